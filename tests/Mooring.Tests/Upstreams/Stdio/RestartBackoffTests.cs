using Mooring.Upstreams.Stdio;
using Xunit;

namespace Mooring.Tests.Upstreams.Stdio;

public sealed class RestartBackoffTests
{
    private readonly ManualTime _time = new();

    [Fact]
    public void Next_WithoutJitter_DoublesFromHalfASecondAndStays()
    {
        var backoff = new RestartBackoff(_time, new FixedRandom(0));

        Assert.Equal([0.5, 1, 2, 4, 8, 16, 24, 24, 24], Enumerable.Range(0, 9).Select(_ => backoff.Next().TotalSeconds));
    }

    [Fact]
    public void Next_WithAllJitter_NeverExceedsTheLongest()
    {
        var backoff = new RestartBackoff(_time, new FixedRandom(0.999_999));

        var waits = Enumerable.Range(0, 100).Select(_ => backoff.Next()).ToList();

        Assert.All(waits, wait => Assert.InRange(wait, RestartBackoff.Shortest, RestartBackoff.Longest));
        Assert.Equal(30, waits[^1].TotalSeconds, 3);
        Assert.Equal(0.625, waits[0].TotalSeconds, 3);
    }

    [Fact]
    public void Next_TwoServers_DoNotWaitTheSame()
    {
        var first = new RestartBackoff(_time, new Random(1));
        var second = new RestartBackoff(_time, new Random(2));

        Assert.NotEqual(first.Next(), second.Next());
    }

    [Fact]
    public void Next_AfterAHealthyTime_BeginsAnew()
    {
        var backoff = new RestartBackoff(_time, new FixedRandom(0));
        backoff.Next();
        backoff.Next();

        backoff.Started();
        _time.Advance(RestartBackoff.HealthyAfter);

        Assert.Equal(0.5, backoff.Next().TotalSeconds);
    }

    [Fact]
    public void Next_EndedBeforeItWasHealthy_GoesOnDoubling()
    {
        var backoff = new RestartBackoff(_time, new FixedRandom(0));
        backoff.Next();

        backoff.Started();
        _time.Advance(RestartBackoff.HealthyAfter - TimeSpan.FromTicks(1));

        Assert.Equal(1, backoff.Next().TotalSeconds);
    }

    [Fact]
    public void Next_TimeWithoutAProcess_IsNotHealth()
    {
        var backoff = new RestartBackoff(_time, new FixedRandom(0));
        backoff.Started();
        backoff.Next();

        _time.Advance(TimeSpan.FromHours(1));

        Assert.Equal(1, backoff.Next().TotalSeconds);
    }

    private sealed class FixedRandom(double value) : Random
    {
        public override double NextDouble() => value;
    }
}
