namespace Mooring.Drain;

/// <summary>Whether a balancer should send new clients here: after the start, until a drain begins.</summary>
internal sealed class Readiness
{
    private volatile bool _started;
    private volatile bool _draining;
    private volatile bool _closing;

    public bool IsReady => _started && !_draining;

    public bool IsDraining => _draining;

    public void Started() => _started = true;

    public void Drain() => _draining = true;

    /// <summary>Whether work that comes now could not be finished any more.</summary>
    public bool IsClosing => _closing;

    public void Close() => _closing = true;

    /// <summary>Why the process ends although nobody told it to; null: it does not.</summary>
    public string? Failure { get; private set; }

    public void Fail(string reason) => Failure = reason;
}
