using System.Net;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <summary>Servers of 2024-11-05 that cannot be connected to in time.</summary>
public sealed class SseChannelTests
{
    private static readonly TimeSpan AMinute = TimeSpan.FromMinutes(1);

    private int _refused;
    private UpstreamExchange? _stream;

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
                return Serve(e);
            },
        });

    private bool Serve(UpstreamExchange exchange)
    {
        if (exchange.HttpMethod == "GET")
        {
            _stream = exchange.Stream();
            _ = _stream.RawAsync("event: endpoint\ndata: /mcp\n\n");
            return true;
        }

        exchange.Status(HttpStatusCode.Accepted);
        if (exchange.Message?["id"] is not null)
        {
            var result = (string?)exchange.Message["method"] switch
            {
                "initialize" => """{"protocolVersion":"2024-11-05","capabilities":{"tools":{}},"serverInfo":{"name":"one","version":"1"}}""",
                "tools/list" => """{"tools":[{"name":"echo","inputSchema":{"type":"object"}}]}""",
                "tools/call" => """{"content":[{"type":"text","text":"done"}]}""",
                _ => "{}",
            };
            _ = _stream!.SendAsync($$"""{"jsonrpc":"2.0","id":{{exchange.Id}},"result":{{result}}}""");
        }

        return true;
    }
}
