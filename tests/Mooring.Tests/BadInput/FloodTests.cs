using System.Text;
using System.Text.Json.Nodes;
using Xunit;

namespace Mooring.Tests.BadInput;

/// <summary>Tests that weigh the memory of the whole process run while no other test does.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class WeighedAlone
{
    public const string Name = "weighed alone";
}

/// <summary>Servers that talk without end: what nobody takes stays with them, the call is answered, others notice nothing.</summary>
[Collection(WeighedAlone.Name)]
public sealed class FloodTests
{
    private const int Many = 100_000;
    private const string Said = """{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":#}}""";

    [Fact]
    public async Task Call_OfAHundredThousandNotifications_IsAnsweredAndNothingPilesUp()
    {
        FloodStream? flood = null;
        var upstream = Flooding("flood", e => flood = new FloodStream(Many, Said, Answer(e)));
        await using var gateway = await GatewayFixture.StartAsync(null, upstream, new FakeUpstream("calm"));
        var client = await gateway.ClientAsync(path: "/servers/flood/mcp");
        var other = await gateway.ClientAsync(path: "/servers/calm/mcp");
        var before = GC.GetTotalMemory(forceFullCollection: true);

        using var reply = await Limit.Of(client.CallAsync("echo"), "the head");
        var others = 0;
        var (told, last, id) = await ReadAsync(reply, async () =>
        {
            Assert.Equal("nothing", (await other.ResultAsync("echo")).Text());
            others++;
        });
        while (last is null)
        {
            // Cut as a slow reader, which a test's own may be: it comes back for the rest.
            using var rest = await gateway.ListenAsync(client, id);
            var (more, end, after) = await ReadAsync(rest, () => Task.CompletedTask);
            Assert.NotEqual(id, after);
            (told, last, id) = (told + more, end, after);
        }

        Assert.Equal("done", last.Text());
        Assert.InRange(told, 1, Many);
        Assert.InRange(others, 1, Many);
        Assert.Equal(Many + 1, flood!.Made);
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, 16 * 1024 * 1024);
    }

    [Fact]
    public async Task Call_FloodedWhileTheStoreIsSlow_LeavesTheFloodWithTheServer()
    {
        FloodStream? flood = null;
        FaultyStore store = null!;
        var upstream = Flooding("flood", e => flood = new FloodStream(Many, Said, Answer(e)));
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Store = clock => store = new FaultyStore(clock) }, upstream, new FakeUpstream("calm"));
        var client = await gateway.ClientAsync(path: "/servers/flood/mcp");
        var other = await gateway.ClientAsync(path: "/servers/calm/mcp");

        store.Hold();
        var calling = client.CallAsync("echo");
        var made = -1;
        await gateway.UntilAsync(() => store.Waiting > 0, "the stream waits for the store");
        await gateway.UntilAsync(() => Interlocked.Exchange(ref made, flood!.Made) == flood.Made && made > 0, "the flood stands still");

        // A quarter of a megabyte at most, of messages that count for some two hundred bytes each.
        Assert.InRange(flood!.Made, 1, 3000);
        Assert.Equal("nothing", (await other.ResultAsync("echo")).Text());
        var cancelling = client.NotifyAsync("notifications/cancelled", """{"requestId":1}""");
        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call is over");
        store.Release();
        await cancelling;
        (await Limit.Of(calling, "the head")).Dispose();
    }

    [Fact]
    public async Task Session_FloodedOutsideOfCalls_KeepsABoundedRestForItsClient()
    {
        FloodStream? flood = null;
        var upstream = new FakeUpstream("flood") { HasGetStream = true };
        upstream.Intercept = e =>
        {
            if (e.HttpMethod != "GET" || Interlocked.CompareExchange(ref flood, new FloodStream(Many, Said, last: null), null) is not null)
            {
                return false;
            }

            e.Raw(new StreamContent(flood!), "text/event-stream");
            return true;
        };
        await using var gateway = await GatewayFixture.StartAsync(null, upstream);
        var client = await gateway.ClientAsync(path: "/servers/flood/mcp");
        await gateway.UntilAsync(() => flood?.Made == Many, "the flood is over");

        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
        using var listening = await gateway.ListenAsync(client);
        gateway.Tell(client, "end");
        var bytes = 0;
        for (var next = ""; !next.Contains("\"end\"", StringComparison.Ordinal); next = (await listening.Events.EventAsync()).Data!)
        {
            bytes += next.Length;
        }

        Assert.InRange(bytes, 0, 256 * 1024);
    }

    private static FakeUpstream Flooding(string name, Func<UpstreamExchange, FloodStream> flood) => new(name)
    {
        Intercept = e =>
        {
            if ((string?)e.Message?["method"] != "tools/call")
            {
                return false;
            }

            e.Raw(new StreamContent(flood(e)), "text/event-stream");
            return true;
        },
    };

    private static string Answer(UpstreamExchange exchange) =>
        $$$"""{"jsonrpc":"2.0","id":{{{exchange.Id}}},"result":{"content":[{"type":"text","text":"done"}]}}""";

    /// <summary>Reads a stream to its end, keeping nothing of it but how many notifications there were, the answer, and the last id.</summary>
    private static async Task<(int Told, JsonObject? Answer, string? Id)> ReadAsync(TestReply reply, Func<Task> nowAndThen)
    {
        using var reader = new StreamReader(reply.Stream, Encoding.UTF8);
        var (told, id) = (0, (string?)null);
        JsonObject? answer = null;
        try
        {
            // More patience than elsewhere: a hundred thousand events keep a small machine busy that runs other tests as well.
            while (await reader.ReadLineAsync().WaitAsync(3 * Limit.Patience, TimeProvider.System) is { } line)
            {
                if (line.StartsWith("id:", StringComparison.Ordinal))
                {
                    id = line[3..].Trim();
                }
                else if (line.Contains("notifications/message", StringComparison.Ordinal))
                {
                    if (++told % 1000 == 1)
                    {
                        await nowAndThen();
                    }
                }
                else if (line.StartsWith("data: {", StringComparison.Ordinal))
                {
                    answer = JsonNode.Parse(line[5..])!.AsObject();
                }
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // Cut; what came before counts.
        }

        return (told, answer, id);
    }
}
