using Xunit;

namespace Mooring.Tests;

public sealed class FakeClockTests
{
    private readonly FakeClock _clock = new();

    [Fact]
    public void GetElapsedTime_AfterManyOddSteps_IsExactlyTheSumOfTheSteps()
    {
        var random = new Random(7);
        var start = _clock.GetTimestamp();
        var sum = TimeSpan.Zero;
        for (var i = 0; i < 10_000; i++)
        {
            var step = TimeSpan.FromTicks(random.NextInt64(TimeSpan.TicksPerHour));
            _clock.Advance(step);
            sum += step;
            Assert.Equal(sum, _clock.GetElapsedTime(start));
        }

        Assert.Equal(FakeClock.Start + sum, _clock.GetUtcNow());
    }

    [Fact]
    public void Advance_OverSeveralTimers_FiresThemInDueOrderEachAtItsInstant()
    {
        var fired = new List<string>();
        void Note(object? name) => fired.Add($"{name}@{_clock.Elapsed.TotalSeconds}");
        using var late = _clock.CreateTimer(Note, "late", TimeSpan.FromSeconds(5), Timeout.InfiniteTimeSpan);
        using var every = _clock.CreateTimer(Note, "every", TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(2));
        using var early = _clock.CreateTimer(Note, "early", TimeSpan.FromSeconds(1), Timeout.InfiniteTimeSpan);
        using var never = _clock.CreateTimer(Note, "never", Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

        _clock.Advance(TimeSpan.FromSeconds(6));

        Assert.Equal(["early@1", "every@2", "every@4", "late@5", "every@6"], fired);
        Assert.Equal(1, _clock.ArmedTimers);
    }

    [Fact]
    public void Advance_TimerThatRearmsItselfForAtOnce_ReturnsAndFiresItOncePerInstant()
    {
        var fired = 0;
        ITimer? timer = null;
        timer = _clock.CreateTimer(
            _ =>
            {
                fired++;
                timer!.Change(TimeSpan.Zero, Timeout.InfiniteTimeSpan);
            },
            null,
            TimeSpan.FromSeconds(1),
            Timeout.InfiniteTimeSpan);

        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(1, fired);
        _clock.Advance(TimeSpan.Zero);
        Assert.Equal(2, fired);
        timer.Dispose();
        Assert.False(timer.Change(TimeSpan.Zero, Timeout.InfiniteTimeSpan));
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(2, fired);
    }

    [Fact]
    public void Advance_FromACallback_IsRefused()
    {
        using var timer = _clock.CreateTimer(_ => _clock.Advance(TimeSpan.Zero), null, TimeSpan.Zero, Timeout.InfiniteTimeSpan);

        Assert.Throws<InvalidOperationException>(() => _clock.Advance(TimeSpan.FromSeconds(1)));
    }

    [Fact]
    public async Task DelayCancellationAndPeriodicTimer_DrivenByTheClock_CompleteWhenDue()
    {
        var cancel = TestContext.Current.CancellationToken;
        using var source = new CancellationTokenSource(TimeSpan.FromSeconds(3), _clock);
        using var periodic = new PeriodicTimer(TimeSpan.FromSeconds(4), _clock);
        var delay = Task.Delay(TimeSpan.FromSeconds(2), _clock, cancel);
        var tick = periodic.WaitForNextTickAsync(cancel);

        _clock.Advance(TimeSpan.FromSeconds(2) - TimeSpan.FromTicks(1));
        Assert.False(delay.IsCompleted);
        _clock.Advance(TimeSpan.FromTicks(1));
        await delay;
        Assert.False(source.IsCancellationRequested);
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.True(source.IsCancellationRequested);
        Assert.False(tick.IsCompleted);
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.True(await tick);
    }

    [Fact]
    public async Task WaitForTimers_TimersArmedByAnotherThread_CompletesWhenTheLastIsArmed()
    {
        var cancel = TestContext.Current.CancellationToken;
        var armed = _clock.WaitForTimersAsync(2);
        var first = Task.Delay(TimeSpan.FromSeconds(1), _clock, cancel);
        Assert.False(armed.IsCompleted);

        var second = Task.Run(() => Task.Delay(TimeSpan.FromSeconds(2), _clock, cancel), cancel);
        await armed;
        _clock.Advance(TimeSpan.FromSeconds(2));

        await Task.WhenAll(first, second);
        Assert.Equal(0, _clock.ArmedTimers);
    }
}
