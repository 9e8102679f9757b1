using System.Collections.Concurrent;
using System.Text;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Mooring.Upstreams;
using Xunit;

namespace Mooring.Tests.FrontDoor;

/// <summary>Several clients without sessions on one link that does not say to which request a message of its server belongs.</summary>
public sealed class StatelessChannelTests
{
    private const string Capabilities = """{"elicitation":{"form":{}}}""";

    [Fact]
    public async Task Question_WhileSeveralCallsAreUnderWay_IsRefusedToItsServer_AndAskedWhileOneIs()
    {
        var server = new ChannelServer();
        await using var gateway = await StartAsync(server);
        var first = Client(gateway).CallAsync("slow");
        await server.CallAsync();
        var second = Client(gateway).CallAsync("slow");
        var call = await server.CallAsync();

        await server.SayAsync(Elicit("s1"));

        var refusal = await server.AnswerAsync("s1");
        Assert.Equal(-32000, refusal.ErrorCode());
        Assert.Contains("Several requests", (string?)refusal["error"]!["message"], StringComparison.Ordinal);
        await server.SayAsync($$$"""{"jsonrpc":"2.0","id":{{{call.RawId()}}},"result":{"content":[{"type":"text","text":"two"}]}}""");
        using var answered = await Limit.Of(second, "the second answer");
        Assert.Equal("two", (await answered.MessageAsync()).Text());

        await server.SayAsync(Elicit("s2"));

        using var reply = await gateway.PassTimeAsync(first, TimeSpan.FromSeconds(1), "the question");
        var asked = await gateway.PassTimeAsync(reply.MessageAsync(), TimeSpan.FromSeconds(1), "the question");
        Assert.Equal("input_required", (string?)asked["result"]?["resultType"]);
        Assert.Contains(gateway.LogLines.Lines, line => line.Contains("QuestionOfNobody", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Question_OfNoCallOverHttp_WhileSeveralAreUnderWay_IsRefusedToItsServer()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream { HasGetStream = true }.Hold("slow"));
        var client = new StatelessClient(gateway.Http, capabilities: Capabilities);
        _ = client.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        _ = client.CallAsync("slow");
        await gateway.Upstream.CallAsync();
        var get = await gateway.Upstream.GetAsync();
        while (get.Session != call.Session)
        {
            get = await gateway.Upstream.GetAsync();
        }

        await get.SendAsync(Elicit("s1"));

        JsonObject? Answer() => gateway.Upstream.Requests.Select(r => r.Message).FirstOrDefault(m => m?.RawId() == "\"s1\"");
        await gateway.UntilAsync(() => Answer() is not null, "the server has an answer");
        Assert.Equal(-32000, Answer()!.ErrorCode());
    }

    [Fact]
    public async Task Progress_UnderEqualTokensOfTwoClients_IsShownToTheOneThatItIsAbout()
    {
        var server = new ChannelServer();
        await using var gateway = await StartAsync(server);
        var first = Client(gateway).CallAsync("slow", meta: """{"progressToken":1}""");
        var one = await server.CallAsync();
        var second = Client(gateway).CallAsync("slow", meta: """{"progressToken":1}""");
        var two = await server.CallAsync();

        foreach (var (call, progress) in new[] { (two, 22), (one, 11) })
        {
            await server.SayAsync($$$"""{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":{{{call["params"]!["_meta"]!["progressToken"]!.ToJsonString()}}},"progress":{{{progress}}}}}""");
            await server.SayAsync($$$"""{"jsonrpc":"2.0","id":{{{call.RawId()}}},"result":{"content":[]}}""");
        }

        foreach (var (posting, progress) in new[] { (first, 11), (second, 22) })
        {
            using var reply = await Limit.Of(posting, "the answer");
            var told = (await reply.MessageAsync())["params"];
            Assert.Equal((1, progress), ((int?)told?["progressToken"], (int?)told?["progress"]));
            Assert.NotNull((await reply.MessageAsync())["result"]);
        }
    }

    [Fact]
    public async Task Progress_ForAClientThatDoesNotRead_HoldsUpNobodyElseOnTheLink()
    {
        var server = new ChannelServer();
        await using var gateway = await StartAsync(server);
        var first = Client(gateway).CallAsync("slow", meta: """{"progressToken":1}""");
        var one = await server.CallAsync();
        var second = Client(gateway).CallAsync("slow");
        var two = await server.CallAsync();

        for (var progress = 0; progress < 100; progress++)
        {
            await Limit.Of(
                server.SayAsync($$$"""{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":{{{one["params"]!["_meta"]!["progressToken"]!.ToJsonString()}}},"progress":{{{progress}}},"message":"{{{new string('x', 20_000)}}}"}}"""),
                "the link to read on");
        }

        await server.SayAsync($$$"""{"jsonrpc":"2.0","id":{{{two.RawId()}}},"result":{"content":[{"type":"text","text":"two"}]}}""");
        using var answered = await Limit.Of(second, "the answer of the other");
        Assert.Equal("two", (await answered.MessageAsync()).Text());

        using var unread = await Limit.Of(first, "the head of the stream that nobody reads");
        gateway.Advance(TimeSpan.FromSeconds(32));
        await gateway.UntilAsync(() => gateway.LogLines.Lines.Any(l => l.Contains("slow_reader", StringComparison.Ordinal)), "the stream that nobody reads has ended");
        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "its call is cancelled");
    }

    private static Task<GatewayFixture> StartAsync(ChannelServer server) => GatewayFixture.StartAsync(new FixtureOptions { Connectors = [server] });

    private static StatelessClient Client(GatewayFixture gateway) => new(gateway.Http, "/servers/channel/mcp", capabilities: Capabilities);

    private static string Elicit(string id) =>
        $$$"""{"jsonrpc":"2.0","id":"{{{id}}}","method":"elicitation/create","params":{"message":"Sure?","requestedSchema":{"type":"object","properties":{}} } }""";

    /// <summary>A server that says whatever the test wants on the one channel that it has.</summary>
    private sealed class ChannelServer : IConnector
    {
        private readonly Channel<JsonObject> _calls = Channel.CreateUnbounded<JsonObject>();
        private readonly ConcurrentDictionary<string, TaskCompletionSource<JsonObject>> _answers = new(StringComparer.Ordinal);
        private Stream _output = Stream.Null;

        public string Name => "channel";

        public Task<JsonObject> CallAsync() => Limit.Of(_calls.Reader.ReadAsync().AsTask(), "a call");

        public Task<JsonObject> AnswerAsync(string id) => Limit.Of(Waiter(id).Task, $"the answer to {id}");

        public async Task SayAsync(string line) => await _output.WriteAsync(Encoding.UTF8.GetBytes(line + "\n"));

        public async Task ServeAsync(Stream input, Stream output, CancellationToken cancel)
        {
            using var reader = new StreamReader(input);
            while (await reader.ReadLineAsync(cancel) is { } line)
            {
                var message = JsonNode.Parse(line)!.AsObject();
                var answer = (string?)message["method"] switch
                {
                    "initialize" => """ "result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"channel","version":"1"}} """,
                    "tools/list" => """ "result":{"tools":[{"name":"slow","inputSchema":{"type":"object"}}]} """,
                    _ => """ "error":{"code":-32601,"message":"Method not found"} """,
                };
                switch ((string?)message["method"])
                {
                    case "tools/call":
                        _output = output;
                        _calls.Writer.TryWrite(message);
                        break;
                    case null:
                        Waiter((string)message["id"]!).TrySetResult(message);
                        break;
                    case var _ when message["id"] is not null:
                        await output.WriteAsync(Encoding.UTF8.GetBytes($$"""{"jsonrpc":"2.0","id":{{message.RawId()}},{{answer}}}""" + "\n"), cancel);
                        break;
                }
            }
        }

        private TaskCompletionSource<JsonObject> Waiter(string id) => _answers.GetOrAdd(id, _ => new(TaskCreationOptions.RunContinuationsAsynchronously));
    }
}
