using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Configuration;

public sealed class TimeoutChainTests
{
    private static readonly Dictionary<string, string> Laptop = [];

    private static IReadOnlyList<string> Warnings(MooringConfig config, params string[] variables) =>
        TimeoutChain.Of(config, _ => ConfigSource.Default, variables.ToDictionary(v => v, _ => "1")).Warnings;

    [Fact]
    public void Defaults_AreAnUnbrokenChain() => Assert.Empty(Warnings(new()));

    [Fact]
    public void Rows_ShowValueAndOrigin()
    {
        var chain = TimeoutChain.Of(new() { Drain = new() { Delay = TimeSpan.FromSeconds(1) } }, path => $"from {path}", Laptop);

        var row = Assert.Single(chain.Rows, r => r.Setting == "drain.delay");
        Assert.Equal((TimeSpan.FromSeconds(1), "from drain.delay"), (row.Value, row.Origin));
    }

    [Fact]
    public void Rows_ShowWhenAPeerAndAStoreThatAreGoneAreGivenUp()
    {
        var chain = TimeoutChain.Of(
            new() { Http = new() { PeerTimeout = TimeSpan.FromSeconds(7) }, Cache = new() { MaxStale = TimeSpan.FromSeconds(9) } }, _ => ConfigSource.Default, Laptop);

        Assert.Equal(TimeSpan.FromSeconds(7), Assert.Single(chain.Rows, r => r.Setting == "http.peerTimeout").Value);
        Assert.Equal(TimeSpan.FromSeconds(9), Assert.Single(chain.Rows, r => r.Setting == "cache.maxStale").Value);
    }

    [Theory]
    [InlineData(49, 0)]
    [InlineData(50, 1)]
    [InlineData(60, 1)]
    [InlineData(250, 1)]
    public void KeepAlive_LatestBeatAtOrAboveTheUsualIdleLimit_IsBroken(int seconds, int warnings) =>
        // 20 % jitter: 50 s becomes 60 s at the latest.
        Assert.Equal(warnings, Warnings(new() { KeepAlive = new() { Interval = TimeSpan.FromSeconds(seconds) } }).Count(w => w.StartsWith("keepAlive.interval", StringComparison.Ordinal)));

    [Theory]
    [InlineData(601, 0)]
    [InlineData(600, 1)]
    public void HttpKeepAlive_NotAboveTheBalancers_IsBroken(int seconds, int warnings) =>
        Assert.Equal(warnings, Warnings(new() { Http = new() { KeepAlive = TimeSpan.FromSeconds(seconds) } }).Count);

    [Theory]
    [InlineData("KUBERNETES_SERVICE_HOST", 25, 0)]
    [InlineData("KUBERNETES_SERVICE_HOST", 26, 1)]
    [InlineData("ECS_CONTAINER_METADATA_URI_V4", 25, 0)]
    [InlineData("ECS_CONTAINER_METADATA_URI_V4", 26, 1)]
    [InlineData("DOTNET_RUNNING_IN_CONTAINER", 5, 0)]
    [InlineData("DOTNET_RUNNING_IN_CONTAINER", 6, 1)]
    [InlineData("INVOCATION_ID", 85, 0)]
    [InlineData("INVOCATION_ID", 86, 1)]
    [InlineData("HOME", 3000, 0)]
    public void Drain_NotBelowWhatThePlatformGives_IsBroken(string variable, int seconds, int warnings) =>
        // 4 s more end what is left.
        Assert.Equal(warnings, Warnings(
            new() { Drain = new() { Delay = TimeSpan.FromSeconds(5), Grace = TimeSpan.FromSeconds(seconds - 5) } }, variable).Count);

    [Theory]
    [InlineData("HOME", "below the time the platform gives before it kills, usually 30s")]
    [InlineData("KUBERNETES_SERVICE_HOST", "below the 30s that Kubernetes gives before it kills")]
    [InlineData("INVOCATION_ID", "below the 1m30s that systemd gives before it kills")]
    public void Drain_InAll_IsARowBesideWhatThePlatformGives(string variable, string rule)
    {
        var chain = TimeoutChain.Of(new(), _ => ConfigSource.Default, new Dictionary<string, string> { [variable] = "1" });

        var row = Assert.Single(chain.Rows, r => r.Setting == "a stop in all");
        Assert.Equal(TimeSpan.FromSeconds(39), row.Value);
        Assert.EndsWith(rule, row.Rule, StringComparison.Ordinal);
    }

    [Fact]
    public void Calls_DeadlineAboveTheHardCap_IsBrokenAlsoPerServer()
    {
        var config = new MooringConfig
        {
            Calls = new() { HardCap = TimeSpan.FromMinutes(6) },
            Servers = [new() { Name = "slow", Deadline = TimeSpan.FromMinutes(10) }, new() { Name = "fine", Deadline = TimeSpan.FromMinutes(1) }],
        };

        Assert.StartsWith("mcpServers.slow.deadline: 10m is above calls.hardCap (6m)", Assert.Single(Warnings(config)), StringComparison.Ordinal);
    }

    [Fact]
    public void EventLog_OutsideRetryAndSessionIdle_IsBroken()
    {
        Assert.Single(Warnings(new() { EventLog = new() { Age = TimeSpan.FromHours(25) } }));
        Assert.Single(Warnings(new() { EventLog = new() { Age = TimeSpan.FromSeconds(1) } }));
    }

    [Fact]
    public void Grace_NotBelowTheKeepAlive_IsBroken() =>
        Assert.StartsWith("calls.grace", Assert.Single(Warnings(new()
        {
            KeepAlive = new() { Interval = TimeSpan.FromSeconds(2) },
            Calls = new() { Grace = TimeSpan.FromSeconds(2) },
        })), StringComparison.Ordinal);
}
