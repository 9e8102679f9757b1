namespace Mooring.Stores;

/// <summary>Whether a store that could not be asked is worth another question. What it is asked for must be such that one can go on without.</summary>
internal sealed class StorePatience(TimeProvider time)
{
    /// <summary>How long one goes on alone after the store could not be asked.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromSeconds(5);

    /// <summary>How long an answer is waited for: a store that hangs must not hold up what needs nothing else of it.</summary>
    public static readonly TimeSpan LongestWait = TimeSpan.FromMilliseconds(500);

    /// <summary>How long a request that cannot go on without an answer waits for it before it is answered 503; shorter than what proxies wait.</summary>
    public static readonly TimeSpan BeforeRefusal = TimeSpan.FromSeconds(4);

    private readonly StoreOutage _outage = new(time);
    private readonly Lock _gate = new();
    private bool _isAlone;
    private long _aloneSince;

    public bool IsAlone(long now)
    {
        if (!Volatile.Read(ref _isAlone))
        {
            return false;
        }

        lock (_gate)
        {
            return _isAlone = _isAlone && time.GetElapsedTime(_aloneSince, now) < Pause;
        }
    }

    /// <returns>Whether that is worth a line in the log.</returns>
    public bool GoAlone()
    {
        lock (_gate)
        {
            (_isAlone, _aloneSince) = (true, time.GetTimestamp());
        }

        return _outage.IsNews();
    }
}
