namespace Mooring.Drain;

/// <summary>Stops the gateway in phases (see docs/architecture.md, invariant 13) before the host ends listening.</summary>
internal interface IDrain
{
    /// <summary>
    /// Returns when the last phase is over: streams are closed, and calls answered or out of time. It happens once: whoever comes while it
    /// runs waits for the same one, and whoever comes later does not wait.
    /// </summary>
    /// <param name="cancel">Ends the waiting, not the drain.</param>
    Task RunAsync(CancellationToken cancel);
}
