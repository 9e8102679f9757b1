using Mooring.Upstreams;
using Xunit;

namespace Mooring.Tests.Upstreams;

public sealed class UpstreamHealthTests
{
    private readonly FakeClock _clock = new();

    [Fact]
    public void New_IsUnknownAndNotAway()
    {
        var health = New();

        Assert.Equal(UpstreamState.Unknown, health.State);
        Assert.False(health.IsAway);
        Assert.False(health.TryBeginProbe());
    }

    [Fact]
    public void Failed_FewerThanTheThreshold_IsFailingAndStillAsked()
    {
        var health = New();
        for (var i = 1; i < UpstreamHealth.Threshold; i++)
        {
            Assert.False(health.Failed($"reason {i}"));
        }

        Assert.Equal(UpstreamState.Failing, health.State);
        Assert.Equal($"reason {UpstreamHealth.Threshold - 1}", health.LastFailure);
        Assert.False(health.TryBeginProbe());
    }

    [Fact]
    public void Succeeded_InBetween_CountsFromTheBeginning()
    {
        var health = New();
        Fail(health, UpstreamHealth.Threshold - 1);
        Assert.False(health.Succeeded());

        Fail(health, UpstreamHealth.Threshold - 1);

        Assert.False(health.IsAway);
    }

    [Fact]
    public void Failed_TheThreshold_IsAwayAndSaysSoOnce()
    {
        var health = Away();

        Assert.Equal(UpstreamState.Away, health.State);
        Assert.False(health.Failed("again"));
        Assert.InRange(health.UntilProbe, TimeSpan.FromSeconds(0.8), TimeSpan.FromSeconds(1.2));
    }

    [Fact]
    public void UnreachedFor_CountsFromTheFirstFailure_UntilOneReachedTheServer()
    {
        var health = New();
        Assert.Null(health.UnreachedFor);
        health.Failed("refused");
        _clock.Advance(TimeSpan.FromSeconds(3));
        health.Failed("refused");
        Assert.Equal(TimeSpan.FromSeconds(3), health.UnreachedFor);

        health.Failed("garbage", wasReached: true);
        health.Failed("refused");
        Assert.Null(health.UnreachedFor);

        health.Succeeded();
        health.Failed("refused");
        Assert.Equal(TimeSpan.Zero, health.UnreachedFor);
    }

    [Fact]
    public void TryBeginProbe_Due_IsGivenToOneCallerOnly()
    {
        var health = Away();
        Assert.False(health.TryBeginProbe());

        _clock.Advance(health.UntilProbe);

        Assert.Equal(TimeSpan.Zero, health.UntilProbe);
        Assert.True(health.TryBeginProbe());
        Assert.False(health.TryBeginProbe());
    }

    [Fact]
    public void Failed_CallsWhileAway_DoNotPutTheProbeOff()
    {
        var health = Away();
        var due = health.UntilProbe;

        Fail(health, 100);

        Assert.Equal(due, health.UntilProbe);
    }

    [Fact]
    public void Probes_ThatFail_GoOnForEverAtMost36SecondsApart()
    {
        var health = Away();
        var waits = new List<double>();
        for (var i = 0; i < 200; i++)
        {
            waits.Add(health.UntilProbe.TotalSeconds);
            _clock.Advance(health.UntilProbe);
            Assert.True(health.TryBeginProbe());
            health.Failed("probe");
        }

        Assert.All(waits, wait => Assert.InRange(wait, 0.8, 36));
        Assert.All(waits.Skip(16), wait => Assert.InRange(wait, 24, 36));
        Assert.True(waits.Distinct().Count() > 100, "No jitter: replicas would probe together.");
    }

    [Fact]
    public void Probes_WhileAServerMayJustBeStarting_ComeEverySecond()
    {
        var health = Away();
        var began = _clock.GetUtcNow();

        while (_clock.GetUtcNow() - began < UpstreamHealth.Restart)
        {
            Assert.InRange(health.UntilProbe, TimeSpan.FromSeconds(0.8), TimeSpan.FromSeconds(1.2));
            _clock.Advance(health.UntilProbe);
            Assert.True(health.TryBeginProbe());
            health.Failed("probe");
        }

        Assert.InRange(health.UntilProbe, TimeSpan.FromSeconds(1.6), TimeSpan.FromSeconds(2.4));
    }

    [Fact]
    public void Succeeded_WhileAway_IsBackAndTheNextTimeBeginsWithShortProbes()
    {
        var health = Away();
        for (var i = 0; i < 6; i++)
        {
            _clock.Advance(health.UntilProbe);
            health.TryBeginProbe();
            health.Failed("probe");
        }

        Assert.True(health.Succeeded());

        Assert.Equal(UpstreamState.Ready, health.State);
        Assert.Null(health.LastFailure);
        Assert.False(health.Succeeded());
        Fail(health, UpstreamHealth.Threshold);
        Assert.InRange(health.UntilProbe, TimeSpan.FromSeconds(0.8), TimeSpan.FromSeconds(1.2));
    }

    [Fact]
    public void EndProbe_NothingWasToldOfIt_NextOneComesAfterTwiceThePause()
    {
        var health = Away();
        _clock.Advance(UpstreamHealth.Restart);
        Assert.True(health.TryBeginProbe());

        health.EndProbe();

        Assert.InRange(health.UntilProbe, TimeSpan.FromSeconds(1.6), TimeSpan.FromSeconds(2.4));
        health.EndProbe();
        Assert.InRange(health.UntilProbe, TimeSpan.FromSeconds(1.6), TimeSpan.FromSeconds(2.4));
        _clock.Advance(health.UntilProbe);
        Assert.True(health.TryBeginProbe());
    }

    /// <summary>What a probe fails with is a bug, which must not be the last thing that is tried.</summary>
    [Fact]
    public async Task Probe_FailsInAWayThatNobodyThoughtOf_IsLoggedAndTriedAgain()
    {
        var (away, bugs) = (true, 2);
        var server = new FakeUpstream();
        server.Intercept = exchange => (string?)exchange.Message?["method"] == "initialize"
            && (away ? throw new HttpRequestException(HttpRequestError.ConnectionError, "scripted failure") : bugs-- > 0 ? throw new InvalidOperationException("a bug") : false);
        await using var gateway = await GatewayFixture.StartAsync(null, server);
        var health = gateway.Get<UpstreamTable>().Find("one")!.Health;
        await gateway.UntilAsync(() => health.LastFailure is not null, "it was looked at");
        Fail(health, UpstreamHealth.Threshold);
        Assert.True(health.IsAway);

        away = false;

        await gateway.UntilAsync(() => health.State == UpstreamState.Ready, "it is back", TimeSpan.FromMinutes(1));
        Assert.Contains(gateway.LogLines.Lines, line => line.StartsWith("Error ProbeFailed: Probing server one failed", StringComparison.Ordinal));
    }

    private UpstreamHealth New() => new(_clock, new Random(1));

    private UpstreamHealth Away()
    {
        var health = New();
        Fail(health, UpstreamHealth.Threshold - 1);
        Assert.True(health.Failed("last"));
        return health;
    }

    private static void Fail(UpstreamHealth health, int times)
    {
        for (var i = 0; i < times; i++)
        {
            health.Failed("reason");
        }
    }
}
