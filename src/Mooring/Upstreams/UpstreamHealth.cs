namespace Mooring.Upstreams;

internal enum UpstreamState
{
    /// <summary>Never asked anything yet.</summary>
    Unknown,
    Ready,

    /// <summary>Failing, but still asked.</summary>
    Failing,

    /// <summary>The breaker is open: calls are refused at once, probes go on for ever.</summary>
    Away,
}

/// <summary>
/// What is known of one server's well-being, and the breaker that follows from it. Passive: told what happened, asked what may happen.
/// It never gives up: however long a server was away, the next probe is at most 30 s (and its jitter) off.
/// </summary>
internal sealed class UpstreamHealth(TimeProvider time, Random random)
{
    /// <summary>Failures in a row that open the breaker.</summary>
    public const int Threshold = 5;

    private static readonly TimeSpan FirstProbe = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestProbe = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long a server that restarts takes at most, mostly. So long calls wait for it, and probes come every second. Failures that are further apart are of
    /// different causes: one of an hour ago says nothing of how long a server has been away.
    /// </summary>
    public static readonly TimeSpan Restart = TimeSpan.FromSeconds(8);

    private readonly Lock _gate = new();
    private int _failures;
    private DateTimeOffset _failingSince;
    private DateTimeOffset _lastFailure;
    private bool _wasReached;
    private TimeSpan _interval = FirstProbe;
    private DateTimeOffset _nextProbe;
    private DateTimeOffset _lastLook;
    private bool _probing;

    public UpstreamState State { get; private set; } = UpstreamState.Unknown;

    /// <summary>What went wrong last, in words; null while well.</summary>
    public string? LastFailure { get; private set; }

    public bool IsAway => State == UpstreamState.Away;

    /// <summary>Time until the next probe; zero when one is due.</summary>
    public TimeSpan UntilProbe
    {
        get
        {
            lock (_gate)
            {
                var left = _nextProbe - time.GetUtcNow();
                return left > TimeSpan.Zero ? left : TimeSpan.Zero;
            }
        }
    }

    /// <summary>Time since the first failure of those in a row that came shortly after each other, where the server was not reached or gone before it answered, and may just be starting; null where it was there, and while it is well.</summary>
    public TimeSpan? UnreachedFor
    {
        get
        {
            lock (_gate)
            {
                return _failures == 0 || _wasReached ? null : time.GetUtcNow() - _failingSince;
            }
        }
    }

    /// <returns>Whether this ended a time of being away.</returns>
    public bool Succeeded()
    {
        if (State == UpstreamState.Ready && _failures == 0)
        {
            return false;
        }

        lock (_gate)
        {
            var back = State == UpstreamState.Away;
            _failures = 0;
            _wasReached = false;
            _interval = FirstProbe;
            _probing = false;
            LastFailure = null;
            State = UpstreamState.Ready;
            return back;
        }
    }

    /// <param name="why">In words.</param>
    /// <param name="wasReached">Whether the server had got what it was asked, and was still there when that failed.</param>
    /// <returns>Whether this opened the breaker.</returns>
    public bool Failed(string why, bool wasReached = false)
    {
        lock (_gate)
        {
            LastFailure = why;
            var now = time.GetUtcNow();
            if (_failures++ == 0 || (State != UpstreamState.Away && now - _lastFailure > Restart))
            {
                (_failingSince, _wasReached) = (now, false);
            }

            (_lastFailure, _wasReached) = (now, _wasReached || wasReached);

            if (State == UpstreamState.Away)
            {
                EndProbeLocked();
                return false;
            }

            State = UpstreamState.Failing;
            if (_failures < Threshold)
            {
                return false;
            }

            State = UpstreamState.Away;
            Schedule();
            return true;
        }
    }

    /// <summary>
    /// Whether a request that would be answered from what a server says may open a link to see: while it is away, one each second for all. Probes alone would not do:
    /// they declare nothing, and are nobody's, and there are servers that take no such link.
    /// </summary>
    public bool TryLook()
    {
        lock (_gate)
        {
            var now = time.GetUtcNow();
            if (State == UpstreamState.Away && now - _lastLook < FirstProbe)
            {
                return false;
            }

            _lastLook = now;
            return true;
        }
    }

    /// <summary>Whether a probe is due now; the one caller that hears yes has to make it.</summary>
    public bool TryBeginProbe()
    {
        lock (_gate)
        {
            if (State != UpstreamState.Away || _probing || time.GetUtcNow() < _nextProbe)
            {
                return false;
            }

            _probing = true;
            return true;
        }
    }

    /// <summary>The probe is over; one of which neither success nor failure was told counts as failed, and the next one comes all the same.</summary>
    public void EndProbe()
    {
        lock (_gate)
        {
            EndProbeLocked();
        }
    }

    private void EndProbeLocked()
    {
        if (_probing)
        {
            _probing = false;
            if (time.GetUtcNow() - _failingSince >= Restart)
            {
                _interval = TimeSpan.FromTicks(Math.Min(_interval.Ticks * 2, LongestProbe.Ticks));
            }

            Schedule();
        }
    }

    // Jitter of ±20 %, so that the replicas of one deployment do not probe together.
    private void Schedule() => _nextProbe = time.GetUtcNow() + (_interval * (0.8 + (random.NextDouble() * 0.4)));
}
