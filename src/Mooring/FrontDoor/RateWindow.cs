using Mooring.Stores;

namespace Mooring.FrontDoor;

/// <summary>One limit in this process: a minute counted from its first request, or permits leased of a minute that replicas share. Whoever uses it holds its lock.</summary>
internal sealed class RateWindow
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private bool _isBegun;
    private long _began;
    private int _used;
    private long _leasedAt;
    private TimeSpan _leasedFor;
    private int _permits;
    private bool _isEmpty;
    private bool _wasAlone;

    /// <summary>Permits that are on their way.</summary>
    public Task? Leasing { get; set; }

    /// <summary>A twentieth of the minute's: what one replica may hold unused is little, and the store is asked seldom.</summary>
    public static int BatchOf(int limit) => Math.Clamp(limit / 20, 1, 1000);

    public bool IsLow(int limit) => !_isEmpty && _permits < (BatchOf(limit) + 1) / 2;

    /// <returns>Null: they may pass; else the seconds until the minute is over.</returns>
    public int? TakeAlone(TimeProvider time, long now, int count, int limit)
    {
        if (!_isBegun || time.GetElapsedTime(_began, now) >= Minute)
        {
            (_isBegun, _began, _used) = (true, now, 0);
        }

        if (_used + count > limit)
        {
            return Seconds(Minute - time.GetElapsedTime(_began, now));
        }

        (_used, _wasAlone) = (_used + count, true);
        return null;
    }

    /// <param name="count">How many.</param>
    /// <param name="seconds">Where they may not: until when there are none; null where the store has to be asked.</param>
    public bool TryTake(TimeProvider time, long now, int count, out int? seconds)
    {
        seconds = null;
        var left = _leasedFor - time.GetElapsedTime(_leasedAt, now);
        if (left <= TimeSpan.Zero)
        {
            (_permits, _isEmpty) = (0, false);
            return false;
        }

        if (_permits >= count)
        {
            (_permits, _wasAlone) = (_permits - count, false);
            return true;
        }

        seconds = _isEmpty ? Seconds(left) : null;
        return false;
    }

    public void Add(TimeProvider time, PermitLease lease, int wanted)
    {
        var now = time.GetTimestamp();
        if (_leasedFor - time.GetElapsedTime(_leasedAt, now) <= TimeSpan.Zero)
        {
            _permits = 0;
        }

        _permits += lease.Granted;
        (_leasedAt, _leasedFor, _isEmpty) = (now, lease.Left, lease.Granted < wanted);
    }

    /// <summary>They were not used after all.</summary>
    public void GiveBack(int count)
    {
        lock (this)
        {
            if (_wasAlone)
            {
                _used = Math.Max(0, _used - count);
            }
            else
            {
                _permits += count;
            }
        }
    }

    public bool IsOld(TimeProvider time)
    {
        var now = time.GetTimestamp();
        lock (this)
        {
            return Leasing is null && (!_isBegun || time.GetElapsedTime(_began, now) >= Minute) && time.GetElapsedTime(_leasedAt, now) >= _leasedFor;
        }
    }

    private static int Seconds(TimeSpan left) => Math.Max(1, (int)Math.Ceiling(left.TotalSeconds));
}
