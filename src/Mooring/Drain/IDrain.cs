namespace Mooring.Drain;

/// <summary>Stops the gateway in phases (see docs/architecture.md, invariant 13) before the host ends listening.</summary>
internal interface IDrain
{
    /// <summary>Returns when the last phase is over: streams are closed, and calls answered or out of time.</summary>
    /// <param name="cancel">Ends the waiting, not the phases that are already done.</param>
    Task RunAsync(CancellationToken cancel);
}
