using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <summary>Servers of 2024-11-05 that cannot be connected to in time.</summary>
public sealed class SseChannelTests
{
    private static readonly TimeSpan AMinute = TimeSpan.FromMinutes(1);

    private readonly SseServer _server = new();
    private int _refused;

    [Fact]
    public async Task Call_CannotBeConnectedInTime_WasNotExecuted_AndIsSentAgain()
    {
        await using var gateway = await StartAsync(e => (string?)e.Message?["method"] == "tools/call");
        var client = await gateway.ClientAsync();

        var answer = await gateway.PassTimeAsync(client.ResultAsync("echo"), AMinute, "the answer");

        Assert.Equal("done", answer.Text());
        Assert.Equal(1, _refused);
    }

    [Fact]
    public async Task Stream_CannotBeConnectedInTime_IsOpenedAgain()
    {
        await using var gateway = await StartAsync(e => e.HttpMethod == "GET");
        var client = await gateway.ClientAsync();

        Assert.Equal("done", (await gateway.PassTimeAsync(client.ResultAsync("echo"), AMinute, "the answer")).Text());
        Assert.Equal(1, _refused);
        Assert.DoesNotContain(gateway.LogLines.Lines, line => line.StartsWith("Error", StringComparison.Ordinal));
    }

    /// <param name="unreachable">The first of these cannot be connected: the handler then cancels what nobody cancelled.</param>
    private Task<GatewayFixture> StartAsync(Func<UpstreamExchange, bool> unreachable) => GatewayFixture.StartAsync(
        new FixtureOptions { Server = s => s with { Transport = ServerTransport.Sse, Commit = CommitRule.Fast } },
        new FakeUpstream
        {
            Intercept = e =>
            {
                if (unreachable(e) && Interlocked.Increment(ref _refused) == 1)
                {
                    throw new TaskCanceledException("a connection could not be made in time");
                }

                _refused = Math.Min(_refused, 1);
                return _server.Handle(e);
            },
        });
}
