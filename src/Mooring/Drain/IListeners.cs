namespace Mooring.Drain;

/// <summary>Where the host takes connections from. A host that cannot stop taking them on its own has none.</summary>
internal interface IListeners
{
    /// <summary>Takes no new connection any more; open ones go on. The process goes on too.</summary>
    void StopAccepting();

    /// <summary>Has each connection that is open now end with what it carries now, and at once where that is nothing.</summary>
    void EndConnections();
}
