namespace Mooring.Tests;

/// <summary>
/// A clock that only the test moves. Timers, periodic timers, <c>Task.Delay</c> and cancellation sources made with it fire inside
/// <see cref="Advance"/>, on the caller's thread, in the order they are due, each seeing the very instant it was due at.
/// </summary>
/// <remarks>
/// Arm before act: <see cref="WaitForTimersAsync"/> says when the code under test has set its timers. A timer armed for "at once" by
/// a callback runs at the next instant or with the next <see cref="Advance"/>, so no timer that re-arms itself can hold the test for ever.
/// </remarks>
internal sealed class FakeClock : TimeProvider
{
    /// <summary>
    /// Timestamps per tick. Neither 1 (ticks of a TimeSpan) nor 100 (nanoseconds, as on Linux), so that code which forgets
    /// <see cref="TimestampFrequency"/> is far off; and 1/7 still turns back into whole ticks without rounding in GetElapsedTime.
    /// </summary>
    private const long TimestampsPerTick = 7;

    private const long FirstTimestamp = -123_456_789;

    /// <summary>Real time after which a wait for timers gives up: the code under test will not arm them any more.</summary>
    private static readonly TimeSpan GiveUp = TimeSpan.FromSeconds(30);

    public static readonly DateTimeOffset Start = new(2030, 3, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly Lock _gate = new();
    private readonly Lock _advancing = new();
    private readonly SortedSet<FakeTimer> _armed = new(FakeTimer.ByDue);
    private readonly List<(int Count, TaskCompletionSource Reached)> _waits = [];
    private long _elapsed;
    private long _order;
    private long _batch;

    public override long TimestampFrequency => TimestampsPerTick * TimeSpan.TicksPerSecond;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    /// <summary>How far the clock was moved since it was made.</summary>
    public TimeSpan Elapsed => TimeSpan.FromTicks(Interlocked.Read(ref _elapsed));

    /// <summary>Timers waiting to fire now; a periodic one counts once.</summary>
    public int ArmedTimers
    {
        get
        {
            lock (_gate)
            {
                return _armed.Count;
            }
        }
    }

    public override DateTimeOffset GetUtcNow() => Start + Elapsed;

    public override long GetTimestamp() => FirstTimestamp + (Interlocked.Read(ref _elapsed) * TimestampsPerTick);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        ArgumentNullException.ThrowIfNull(callback);
        var timer = new FakeTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Moves the clock and fires what falls due on the way. <see cref="TimeSpan.Zero"/> fires what is due already.</summary>
    public void Advance(TimeSpan by)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(by, TimeSpan.Zero);
        if (_advancing.IsHeldByCurrentThread)
        {
            throw new InvalidOperationException("A timer's callback must not move the clock: only the test does.");
        }

        lock (_advancing)
        {
            var target = Interlocked.Read(ref _elapsed) + by.Ticks;
            do
            {
                FireBatch();
            }
            while (StepTowards(target));
        }
    }

    /// <summary>Completes once at least <paramref name="count"/> timers are armed at the same time.</summary>
    /// <exception cref="TimeoutException">They were not armed within 30 s of real time.</exception>
    public async Task WaitForTimersAsync(int count)
    {
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            if (_armed.Count >= count)
            {
                return;
            }

            _waits.Add((count, reached));
        }

        try
        {
            await reached.Task.WaitAsync(GiveUp, TimeProvider.System);
        }
        catch (TimeoutException timeout)
        {
            throw new TimeoutException($"Waited for {count} timers at {GetUtcNow():O}, but only {ArmedTimers} are armed.", timeout);
        }
    }

    /// <summary>Runs what is due at the current instant. What callbacks arm meanwhile belongs to a later batch.</summary>
    private void FireBatch()
    {
        long batch;
        lock (_gate)
        {
            batch = _batch++;
        }

        while (true)
        {
            FakeTimer? due;
            lock (_gate)
            {
                due = _armed.FirstOrDefault(timer => timer.Batch <= batch);
                if (due is null || due.Due > _elapsed)
                {
                    return;
                }

                _armed.Remove(due);
                if (due.Period > 0)
                {
                    ArmLocked(due, _elapsed + due.Period, due.Period);
                }
            }

            due.Fire();
        }
    }

    /// <summary>Sets the clock to the next instant at which a timer is due, or to the target. Returns whether it moved.</summary>
    private bool StepTowards(long target)
    {
        lock (_gate)
        {
            if (_elapsed >= target)
            {
                return false;
            }

            var next = _armed.FirstOrDefault(timer => timer.Due > _elapsed)?.Due ?? target;
            Interlocked.Exchange(ref _elapsed, Math.Min(next, target));
            return true;
        }
    }

    private void ArmLocked(FakeTimer timer, long due, long period)
    {
        _armed.Remove(timer);
        timer.Due = due;
        timer.Period = period;
        timer.Batch = _batch;
        timer.Order = _order++;
        _armed.Add(timer);
        for (var i = _waits.Count - 1; i >= 0; i--)
        {
            if (_armed.Count >= _waits[i].Count)
            {
                _waits[i].Reached.TrySetResult();
                _waits.RemoveAt(i);
            }
        }
    }

    /// <summary>Made by the clock, disposed by the code under test. All fields are guarded by the clock's gate.</summary>
    private sealed class FakeTimer(FakeClock clock, TimerCallback callback, object? state) : ITimer
    {
        public static readonly IComparer<FakeTimer> ByDue = Comparer<FakeTimer>.Create(
            (a, b) => a.Due != b.Due ? a.Due.CompareTo(b.Due) : a.Order.CompareTo(b.Order));

        // Like the real timers: what flows with an async call at arming flows into the callback.
        private readonly ExecutionContext? _context = ExecutionContext.Capture();
        private bool _disposed;

        public long Due { get; set; }

        public long Period { get; set; }

        public long Order { get; set; }

        public long Batch { get; set; }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(dueTime, Timeout.InfiniteTimeSpan);
            ArgumentOutOfRangeException.ThrowIfLessThan(period, Timeout.InfiniteTimeSpan);
            lock (clock._gate)
            {
                if (_disposed)
                {
                    return false;
                }

                if (dueTime == Timeout.InfiniteTimeSpan)
                {
                    clock._armed.Remove(this);
                }
                else
                {
                    clock.ArmLocked(this, clock._elapsed + dueTime.Ticks, period.Ticks);
                }

                return true;
            }
        }

        public void Fire()
        {
            if (_context is null)
            {
                callback(state);
            }
            else
            {
                ExecutionContext.Run(_context, static timer => ((FakeTimer)timer!).Call(), this);
            }
        }

        public void Dispose()
        {
            lock (clock._gate)
            {
                _disposed = true;
                clock._armed.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return default;
        }

        private void Call() => callback(state);
    }
}
