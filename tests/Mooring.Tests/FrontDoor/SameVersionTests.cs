using System.Net;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mooring.Configuration;
using Mooring.Upstreams;
using Mooring.Upstreams.Stdio;
using Xunit;

namespace Mooring.Tests.FrontDoor;

/// <summary>Clients without sessions in front of servers without: the gateway routes, and what the two say to each other stays theirs.</summary>
public sealed class SameVersionTests
{
    private const string Forms = """{"elicitation":{"form":{}}}""";

    private const string Question = """{"who":{"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object"}}}}""";

    [Theory]
    [InlineData("/servers/one/mcp", "slow")]
    [InlineData("/mcp", "one__slow")]
    public async Task Server_AsksBack_TheRetryReachesItWithItsOwnReference(string path, string tool)
    {
        var (gateway, server) = await StartAsync();
        await using var _ = gateway;
        var client = new StatelessClient(gateway.Http, path, capabilities: """{"elicitation":{"form":{}}}""");
        Assert.Contains(tool, (await client.ResultAsync("tools/list"))["result"]!["tools"]!.AsArray().Select(t => (string?)t!["name"]));

        var asking = client.CallAsync(tool, """{"a":1}""");
        (await server.CallAsync()).AsksFor(Question, "\"st\\u0061te \\\"1\\\"\"");
        using var asked = await Limit.Of(asking, "the question");
        var body = await asked.BodyAsync();
        Assert.Contains("\"requestState\":\"st\\u0061te \\\"1\\\"\"", body, StringComparison.Ordinal);
        var question = JsonNode.Parse(body)!["result"]!;
        Assert.Equal(("input_required", "elicitation/create"), ((string?)question["resultType"], (string?)question["inputRequests"]!["who"]!["method"]));

        var answering = client.CallAsync(tool, """{"a":1}""", rest: ""","requestState":"state \"1\"","inputResponses":{"who":{"action":"accept","content":{}}}""");
        var retry = await server.CallAsync();
        Assert.Equal(("slow", "slow"), ((string?)retry.Message!["params"]!["name"], retry.Header("Mcp-Name")));
        Assert.Equal("state \"1\"", (string?)retry.Message["params"]!["requestState"]);
        Assert.Equal("accept", (string?)retry.Message["params"]!["inputResponses"]!["who"]!["action"]);
        retry.Text("done");
        using var answered = await Limit.Of(answering, "the answer");
        Assert.Equal("done", (await answered.MessageAsync()).Text());
        Assert.Empty(server.Faults);
    }

    [Fact]
    public async Task Request_SaysForItselfWhatItsClientCan_AndKeepsItsHeaders()
    {
        var (gateway, server) = await StartAsync();
        await using var _ = gateway;
        var client = new StatelessClient(gateway.Http, capabilities: """{"roots":{},"extensions":{"x.test/y":{"z":1}}}""");

        var calling = client.CallAsync("slow", meta: """{"io.modelcontextprotocol/logLevel":"warning","x.test/trace":"t"}""", headers: ("Mcp-Param-Region", "eu"));
        var call = await server.CallAsync();

        Assert.Equal("""{"roots":{},"extensions":{"x.test/y":{"z":1}}}""", call.Meta("clientCapabilities")!.ToJsonString());
        Assert.Equal(("test", "warning"), ((string?)call.Meta("clientInfo")!["name"], (string?)call.Meta("logLevel")));
        Assert.Equal("t", (string?)call.Message!["params"]!["_meta"]!["x.test/trace"]);
        Assert.Equal("eu", call.Header("Mcp-Param-Region"));
        call.Text("done");
        using var reply = await Limit.Of(calling, "the answer");
        Assert.Equal("done", (await reply.MessageAsync()).Text());
        Assert.Empty(server.Faults);
    }

    [Fact]
    public async Task Client_Leaves_TheRequestAtTheServerIsClosed()
    {
        var (gateway, server) = await StartAsync();
        await using var running = gateway;
        var client = new StatelessClient(gateway.Http);
        using var leaves = new CancellationTokenSource();

        _ = client.CallAsync("slow", cancel: leaves.Token);
        var call = await server.CallAsync();
        await leaves.CancelAsync();

        await gateway.UntilAsync(() => call.Aborted.IsCancellationRequested, "the server is hung up on");
    }

    [Theory]
    [InlineData("mooring-0123456789abcdef-0123456789abcdef0123456789abcdef")]
    [InlineData("mooring-passed-mooring-x")]
    [InlineData("mooring-")]
    [InlineData("\\u006dooring-\\u0041")]
    public async Task ServersReference_LooksLikeTheGatewaysOwn_ComesBackToItAsItWas(string state)
    {
        var (gateway, server) = await StartAsync();
        await using var _ = gateway;
        var client = new StatelessClient(gateway.Http, capabilities: Forms);
        var asking = client.CallAsync("slow");
        (await server.CallAsync()).AsksFor(Question, $"\"{state}\"");
        using var asked = await Limit.Of(asking, "the question");
        var given = (string)(await asked.MessageAsync())["result"]!["requestState"]!;
        Assert.StartsWith("mooring-passed-mooring-", given, StringComparison.Ordinal);

        var answering = client.CallAsync("slow", rest: $",\"requestState\":\"{given}\",\"inputResponses\":{{\"who\":{{\"action\":\"accept\"}}}}");
        var retry = await server.CallAsync();

        Assert.Equal(JsonNode.Parse($"\"{state}\"")!.GetValue<string>(), (string?)retry.Message!["params"]!["requestState"]);
        retry.Text("done");
        using var answered = await Limit.Of(answering, "the answer");
        Assert.Equal("done", (await answered.MessageAsync()).Text());
        Assert.Empty(server.Faults);
    }

    [Fact]
    public async Task ServerIsAnotherMooringBeforeAServerWithSessions_ThatAsks_TheAnswersReachIt()
    {
        var fake = new FakeUpstream().Hold("slow");
        await using var far = await GatewayFixture.StartAsync(null, fake);
        await using var near = await GatewayFixture.StartAsync(new FixtureOptions
        {
            Clock = far.Clock,
            Server = s => s with { Url = new Uri("http://localhost/servers/one/mcp") },
            Services = services => services.AddSingleton(parts => new UpstreamServices(
                parts.GetRequiredService<ConfigStore>(), far.Clock, parts.GetRequiredService<ProcessGuard>(), parts.GetRequiredService<UpstreamMetrics>(), parts.GetRequiredService<ILoggerFactory>())
            {
                Handler = far.NewHandler,
            }),
        });
        var client = new StatelessClient(near.Http, capabilities: Forms);

        var asking = client.CallAsync("slow");
        var call = await near.PassTimeAsync(fake.CallAsync(), TimeSpan.FromMinutes(1), "the call is at the server");
        await call.SendAsync("""{"jsonrpc":"2.0","id":"s1","method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}""");
        using var asked = await near.PassTimeAsync(asking, TimeSpan.FromMinutes(1), "the question");
        var question = (await near.PassTimeAsync(asked.MessageAsync(), TimeSpan.FromMinutes(1), "the question"))["result"]!;
        Assert.Equal("input_required", (string?)question["resultType"]);
        var key = Assert.Single(question["inputRequests"]!.AsObject()).Key;
        var answering = client.CallAsync("slow", rest: $",\"requestState\":{question["requestState"]!.ToJsonString()},\"inputResponses\":{{\"{key}\":{{\"action\":\"accept\",\"content\":{{\"name\":\"Ann\"}}}}}}");
        await near.UntilAsync(() => fake.Requests.Any(r => r.Message?["id"]?.ToJsonString() == "\"s1\"" && r.Message["result"] is not null), "the answer is at the server", TimeSpan.FromMinutes(1));
        await call.SendTextAsync("Hello Ann");

        using var answered = await near.PassTimeAsync(answering, TimeSpan.FromMinutes(1), "the answer");
        Assert.Equal("Hello Ann", (await near.PassTimeAsync(answered.MessageAsync(), TimeSpan.FromMinutes(1), "the answer")).Text());
        Assert.Equal(1, fake.Executions("slow"));
    }

    [Fact]
    public async Task Requests_OfClientsThatSayLess_GetNothingOfAnotherClientsOrRequests()
    {
        var (gateway, server) = await StartAsync();
        await using var _ = gateway;
        var one = new StatelessClient(gateway.Http);
        var asking = one.CallAsync("slow", meta: """{"io.modelcontextprotocol/logLevel":"debug"}""");
        (await server.CallAsync()).Text("one");
        (await asking).Dispose();
        var two = new StatelessClient(gateway.Http);
        two.Meta.Remove("io.modelcontextprotocol/clientInfo");

        var bare = two.CallAsync("slow");
        var call = await server.CallAsync();
        Assert.Equal(two.Meta.ToJsonString(), call.Message!["params"]!["_meta"]!.ToJsonString());
        call.Text("two");
        (await bare).Dispose();
        var quiet = one.CallAsync("slow");
        call = await server.CallAsync();

        Assert.Equal(one.Meta.ToJsonString(), call.Message!["params"]!["_meta"]!.ToJsonString());
        call.Text("three");
        (await quiet).Dispose();
        Assert.Empty(server.Faults);
    }

    [Theory]
    [InlineData("{}", "elicitation/create", "{}", """{"elicitation":{"form":{}}}""")]
    [InlineData("""{"elicitation":{}}""", "elicitation/create", """{"mode":"url","url":"https://a.test"}""", """{"elicitation":{"url":{}}}""")]
    [InlineData("""{"elicitation":{}}""", "sampling/createMessage", "{}", """{"sampling":{}}""")]
    [InlineData("""{"sampling":{}}""", "sampling/createMessage", """{"tools":[]}""", """{"sampling":{"tools":{}}}""")]
    [InlineData("""{"elicitation":{}}""", "roots/list", "{}", """{"roots":{}}""")]
    public async Task Server_AsksWhatTheRequestDidNotDeclare_TheClientIsToldWhatItWouldHaveTo(string capabilities, string method, string parameters, string required)
    {
        var (gateway, server) = await StartAsync();
        await using var _ = gateway;

        var asking = new StatelessClient(gateway.Http, capabilities: capabilities).CallAsync("slow");
        (await server.CallAsync()).AsksFor($"{{\"q\":{{\"method\":\"{method}\",\"params\":{parameters}}}}}", "\"s\"");
        using var reply = await Limit.Of(asking, "the answer");

        var answer = await reply.MessageAsync();
        Assert.Equal((HttpStatusCode.BadRequest, -32021), (reply.Status, answer.ErrorCode()));
        Assert.Equal(required, answer["error"]!["data"]!["requiredCapabilities"]!.ToJsonString());
        Assert.Contains(method, (string?)answer["error"]!["message"], StringComparison.Ordinal);
        Assert.False(server.Fake.Messages("tools/call").Count > 1);
    }

    [Theory]
    [InlineData("{}", false)]
    [InlineData("""{"elicitation":{},"extensions":{"io.modelcontextprotocol/ui":{}}}""", false)]
    [InlineData("""{"extensions":{"x.test/streams":{}}}""", true)]
    public async Task Result_OfAKindThatNobodyKnows_IsPassedOnlyWhereTheClientDeclaresWhatMayBringIt(string capabilities, bool passes)
    {
        var (gateway, server) = await StartAsync();
        await using var _ = gateway;

        var asking = new StatelessClient(gateway.Http, capabilities: capabilities).CallAsync("slow");
        (await server.CallAsync()).Result("""{"resultType":"stream","of":"bytes"}""");
        using var reply = await Limit.Of(asking, "the answer");

        var answer = await reply.MessageAsync();
        Assert.Equal(passes ? "stream" : null, (string?)answer["result"]?["resultType"]);
        Assert.Equal(passes ? null : "wrong_answer", answer.Reason());
        Assert.Equal(passes ? null : "unknown", answer.Executed());
    }

    [Fact]
    public async Task Retry_ComesBeforeAnybodyKnowsWhatItsServerSpeaks_ReachesIt()
    {
        const string Rest = ""","requestState":"theirs","inputResponses":{"who":{"action":"accept"}}""";
        var fake = new FakeUpstream();
        var server = StatelessUpstream.At(fake);
        var isAway = true;
        server.Intercept = exchange => Volatile.Read(ref isAway) && Refuse(exchange);
        await using var gateway = await GatewayFixture.StartAsync(null, fake);
        var upstream = gateway.Get<UpstreamTable>().Find("one")!;
        var client = new StatelessClient(gateway.Http, capabilities: Forms);

        using var refused = await gateway.PassTimeAsync(client.CallAsync("slow", rest: Rest), TimeSpan.FromMinutes(2), "the answer");
        Assert.Equal(("upstream_unreachable", "no"), ((await refused.MessageAsync()).Reason(), (await refused.MessageAsync()).Executed()));
        Assert.False(upstream.IsKnown);

        Volatile.Write(ref isAway, false);
        var answering = client.CallAsync("slow", rest: Rest);
        var retry = await gateway.PassTimeAsync(server.CallAsync(), TimeSpan.FromMinutes(2), "the retry");

        Assert.Equal("theirs", (string?)retry.Message!["params"]!["requestState"]);
        retry.Text("done");
        using var answered = await gateway.PassTimeAsync(answering, TimeSpan.FromMinutes(2), "the answer");
        Assert.Equal("done", (await answered.MessageAsync()).Text());

        static bool Refuse(UpstreamExchange exchange)
        {
            exchange.Fail(HttpRequestError.ConnectionError);
            return true;
        }
    }

    private static async Task<(GatewayFixture Gateway, StatelessUpstream Server)> StartAsync()
    {
        var fake = new FakeUpstream();
        var server = StatelessUpstream.At(fake);
        return (await GatewayFixture.StartAsync(null, fake), server);
    }
}
