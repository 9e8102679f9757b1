using Mooring.Streams;

namespace Mooring.Host.Lifetime;

/// <summary>
/// Gives back the memory that a busy time used. The runtime collects young objects once so many were made; open streams that are quiet make none,
/// and without this the garbage of the last rush would stay for good. A large heap is left alone: there the pause would be felt, and the garbage is
/// the smaller part.
/// </summary>
internal sealed class QuietCollection : IHeartbeatHandler
{
    /// <summary>Bytes made in a second up to which it counts as quiet.</summary>
    internal const long Quiet = 1024 * 1024;

    /// <summary>Seconds in a row that have to be quiet.</summary>
    internal const int QuietSeconds = 5;

    /// <summary>Bytes that were made since the last time, below which it is not worth a pause.</summary>
    internal const long Worth = 16 * 1024 * 1024;

    /// <summary>Bytes in use above which nothing is done; a full collection of that many takes about a quarter of a second.</summary>
    internal const long Most = 256 * 1024 * 1024;

    private readonly TimeProvider _time;
    private readonly Func<long> _made;
    private readonly Func<long> _inUse;
    private readonly Action _collect;
    private long _next = long.MinValue;
    private long _before;
    private long _collected;
    private int _quiet;
    private bool _wasBusy;

    public QuietCollection(TimeProvider time)
        : this(
            time, () => GC.GetTotalAllocatedBytes(), () => GC.GetTotalMemory(forceFullCollection: false),
            // Not on the thread of the heartbeat, though it has to stand still like all others.
            () => ThreadPool.UnsafeQueueUserWorkItem(_ => GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true), null))
    {
    }

    /// <param name="time">The clock.</param>
    /// <param name="made">Bytes made since the start.</param>
    /// <param name="inUse">Bytes in use, garbage included.</param>
    /// <param name="collect">Collects, and gives back what is free.</param>
    internal QuietCollection(TimeProvider time, Func<long> made, Func<long> inUse, Action collect) => (_time, _made, _inUse, _collect) = (time, made, inUse, collect);

    public void OnHeartbeat(long now)
    {
        if (now < _next)
        {
            return;
        }

        _next = now + _time.TimestampFrequency;
        var made = _made();
        var isBusy = made - _before > Quiet;
        _quiet = isBusy ? 0 : _quiet + 1;
        _before = made;
        // Only after a rush: a few calls in each second are quiet too, and go on, and would be stopped for as little again and again.
        _wasBusy |= isBusy;
        if (_wasBusy && _quiet >= QuietSeconds && made - _collected >= Worth && _inUse() <= Most)
        {
            (_collected, _wasBusy) = (made, false);
            _collect();
        }
    }
}
