namespace Mooring.Upstreams.Stdio;

/// <summary>
/// How long to wait before a process is started again. Owned by whoever restarts it; not for use by several threads at once.
/// The doubling is forgotten once a start has held for a while, so that a server that fails once a day comes back at once.
/// </summary>
internal sealed class RestartBackoff(TimeProvider time, Random random)
{
    /// <summary>The first wait is at least this long.</summary>
    internal static readonly TimeSpan Shortest = TimeSpan.FromSeconds(0.5);

    /// <summary>No wait is longer.</summary>
    internal static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    /// <summary>A process that ran for this long counts as healthy: twice the longest wait, so a crash loop never looks like health.</summary>
    internal static readonly TimeSpan HealthyAfter = TimeSpan.FromSeconds(60);

    // Waits are lengthened by up to this part, so that servers that fell together do not come back together.
    private const double Jitter = 0.25;

    private int _failures;
    private long? _startedAt;

    /// <summary>Tells that the process has just been started.</summary>
    public void Started() => _startedAt = time.GetTimestamp();

    /// <summary>Tells that the process ended or could not be started, and gives the time to wait before the next start.</summary>
    public TimeSpan Next()
    {
        if (_startedAt is { } started && time.GetElapsedTime(started) >= HealthyAfter)
        {
            _failures = 0;
        }

        _startedAt = null;
        var wait = Math.Min(Shortest.TotalSeconds * Math.Pow(2, _failures), Longest.TotalSeconds / (1 + Jitter));
        _failures = Math.Min(_failures + 1, 16);
        return TimeSpan.FromSeconds(wait * (1 + (Jitter * random.NextDouble())));
    }
}
