using System.Diagnostics;

namespace Mooring.Benchmarks.Load;

/// <summary>Counts for all held streams; called from any thread.</summary>
internal sealed class HoldTally(double longestGapSeconds)
{
    private readonly Lock _lock = new();
    private readonly List<double> _late = [];
    private bool _measuring;
    private long _comments;
    private int _failed;

    public long Comments
    {
        get
        {
            lock (_lock)
            {
                return _comments;
            }
        }
    }

    public int Failed => Volatile.Read(ref _failed);

    public string? FirstError { get; private set; }

    public void Begin()
    {
        lock (_lock)
        {
            _measuring = true;
            _comments = 0;
        }
    }

    public void Comment(long previous, long now)
    {
        lock (_lock)
        {
            _comments++;
            if (_measuring && previous != 0)
            {
                _late.Add(Math.Max(0, Stopwatch.GetElapsedTime(previous, now).TotalSeconds - longestGapSeconds));
            }
        }
    }

    public void Ended(string why)
    {
        Interlocked.Increment(ref _failed);
        FirstError ??= why;
    }

    /// <summary>Milliseconds; null if no gap was seen.</summary>
    public double? Late(double share)
    {
        lock (_lock)
        {
            _late.Sort();
            return _late.Count == 0 || double.IsInfinity(longestGapSeconds) ? null : _late[(int)(share * (_late.Count - 1))] * 1000;
        }
    }
}
