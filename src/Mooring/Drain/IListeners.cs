namespace Mooring.Drain;

/// <summary>Where the host takes connections from. A host that cannot stop taking them on its own has none.</summary>
internal interface IListeners
{
    /// <summary>Takes no new connection any more; open ones go on. The process goes on too.</summary>
    void StopAccepting();
}
