using System.Net;
using System.Text.Json.Nodes;
using Mooring.Calls;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Upstreams.Stateless;

/// <summary>Calls of clients with sessions at a server without any: what it is told with each, and what its answers become.</summary>
public sealed class StatelessCallTests
{
    private static readonly TimeSpan AMinute = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Request_OfAClient_SaysWhatTheClientIsAndChangesNothingElse()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync(capabilities: """{"elicitation":{"form":{}},"roots":{"listChanged":true},"tasks":{"list":{}}}""");

        var posting = client.CallAsync("slow", """{ "a":  1.50, "a_b":[ ] }""", meta: """{"traceparent":"00-1-2-01", "progressToken":"mine"}""");
        var call = await Server(gateway).CallAsync();
        call.Result("""{"resultType":"complete","content":[],"structuredContent":{"n":1}}""");
        var answer = await (await posting).MessageAsync();

        Assert.Contains("""{ "a":  1.50, "a_b":[ ] }""", call.Body, StringComparison.Ordinal);
        Assert.Contains("""
            "traceparent":"00-1-2-01", "progressToken":"mine"
            """, call.Body, StringComparison.Ordinal);
        Assert.Equal("""{"extensions":{"io.modelcontextprotocol/tasks":{}},"elicitation":{"form":{}},"roots":{"listChanged":true}}""", call.Meta("clientCapabilities")!.ToJsonString());
        Assert.Equal("""{"name":"test","version":"1"}""", call.Meta("clientInfo")!.ToJsonString());
        Assert.Null(call.Meta("logLevel"));
        Assert.Equal("tools/call", call.Header("Mcp-Method"));
        Assert.Equal("slow", call.Header("Mcp-Name"));
        Assert.Equal("2026-07-28", call.ProtocolVersion);
        Assert.Equal(1, (int?)answer["result"]!["structuredContent"]!["n"]);
        Assert.Empty(Server(gateway).Faults);
    }

    [Theory]
    [InlineData("""{"jsonrpc":"2.0","id":7,"method":"tools/list"}""")]
    [InlineData("""{"jsonrpc":"2.0","id":7,"method":"completion/complete","params":{}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":7,"method":"completion/complete","params":{"_meta":{ },"ref":{"type":"ref/prompt","name":"p"}}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":7,"method":"completion/complete","params":{"_meta":null}}""")]
    public async Task Request_WhateverItsParamsAre_IsSaidForWhom(string request)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();

        using var reply = await client.PostAsync(request);
        await reply.MessageAsync();

        Assert.Empty(Server(gateway).Faults);
        Assert.All(gateway.Upstream.Requests, r => Assert.NotNull(r.Message));
    }

    [Theory]
    [InlineData("")]
    [InlineData(""","_meta":{}""")]
    [InlineData(""","_meta":{"progressToken":"mine"}""")]
    public async Task Call_WithAnIdempotencyKey_SaysItAndWhoseItIsInOneMeta(string meta)
    {
        await using var gateway = await StartAsync(s => s with { IdempotencyKey = KeyRule.Always });
        var client = await gateway.ClientAsync();

        var posting = client.PostAsync($$$"""{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"slow"{{{meta}}}}}""");
        var call = await Server(gateway).CallAsync();
        call.Text("done");
        using var reply = await Limit.Of(posting, "the answer");
        await reply.MessageAsync();

        Assert.Single(call.Body.Split("\"_meta\"").Skip(1));
        Assert.NotNull(call.Message!["params"]!["_meta"]![IdempotencyKey.Name]);
        Assert.Equal("""{"name":"test","version":"1"}""", call.Meta("clientInfo")!.ToJsonString());
        Assert.Empty(Server(gateway).Faults);
    }

    [Fact]
    public async Task Level_SetByTheClient_IsSaidWithEachRequest()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();

        using var set = await client.RequestAsync("logging/setLevel", """{"level":"warning"}""");
        Assert.NotNull((await set.MessageAsync())["result"]);
        var posting = client.CallAsync("slow");
        var call = await Server(gateway).CallAsync();
        await call.SendAsync("""{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"warning","data":"careful"}}""");
        using var reply = await posting;
        Assert.Equal("careful", (string?)(await reply.MessageAsync())["params"]!["data"]);
        await call.SendTextAsync("done");

        Assert.Equal("warning", (string?)call.Meta("logLevel"));
        Assert.Equal("done", (await reply.MessageAsync()).Text());
        Assert.Empty(gateway.Upstream.Messages("logging/setLevel"));
    }

    [Fact]
    public async Task Name_ChangedOnTheMergedRoute_IsTheServersOwnInTheHeaderToo()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync(path: "/mcp");
        using var list = await client.RequestAsync("tools/list");
        await list.MessageAsync();

        var posting = client.CallAsync("one__slow");
        var call = await Server(gateway).CallAsync();
        call.Text("done");

        using var reply = await posting;
        Assert.Equal("done", (await reply.MessageAsync()).Text());
        Assert.Equal(("slow", "slow"), (call.Header("Mcp-Name"), (string?)call.Message!["params"]!["name"]));
    }

    [Theory]
    [InlineData("test://a/ü", "=?base64?dGVzdDovL2Evw7w=?=")]
    [InlineData(" a", "=?base64?IGE=?=")]
    [InlineData("=?base64?x?=", "=?base64?PT9iYXNlNjQ/eD89?=")]
    [InlineData("test://a b", "test://a b")]
    public async Task Name_NotFitForAHeader_IsEncoded(string uri, string header)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();

        var posting = client.RequestAsync("resources/read", $$"""{"uri":"{{uri}}"}""");
        var call = await Server(gateway).CallAsync();
        call.Result("""{"resultType":"complete","contents":[]}""");

        using var reply = await posting;
        Assert.Equal(header, call.Header("Mcp-Name"));
    }

    [Fact]
    public async Task Arguments_MarkedByTheTool_AreHeadersToo()
    {
        await using var gateway = await StartAsync();
        Server(gateway).Tools = """
            [{"name":"slow","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"N"},
            "deep":{"type":"object","properties":{"yes":{"type":"boolean","x-mcp-header":"Yes"}}},"none":{"type":"string","x-mcp-header":"None"}}}}]
            """;
        var client = await gateway.ClientAsync();
        using var list = await client.RequestAsync("tools/list");
        await list.MessageAsync();

        var posting = client.CallAsync("slow", """{"region":"zürich","n":-7,"deep":{"yes":true},"none":null}""");
        var call = await Server(gateway).CallAsync();
        call.Text("done");
        using var reply = await posting;

        Assert.Equal(("=?base64?esO8cmljaA==?=", "-7", "true"), (call.Header("Mcp-Param-Region"), call.Header("Mcp-Param-N"), call.Header("Mcp-Param-Yes")));
        Assert.Null(call.Header("Mcp-Param-None"));
    }

    /// <summary>JSON lets anyone escape half of a surrogate pair; it is no text.</summary>
    [Fact]
    public async Task Headers_NamesAndArgumentsThatAreNoText_CostNothingElse()
    {
        await using var gateway = await StartAsync();
        Server(gateway).Tools = """[{"name":"slow","inputSchema":{"\ud800":1,"type":"object","properties":{"\ud800":{"\ud800":1,"type":"string"},"a":{"\ud801":1,"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"B"}}}}]""";
        var client = await gateway.ClientAsync();
        using var list = await client.RequestAsync("tools/list");
        Assert.Single((await list.MessageAsync())["result"]!["tools"]!.AsArray());

        var posting = client.CallAsync("slow", """{"\ud800":1,"a":"\ud800","b":"right"}""");
        var call = await Server(gateway).CallAsync();
        call.Text("done");
        using var reply = await posting;

        Assert.Equal("done", (await reply.MessageAsync()).Text());
        Assert.Equal(("=?base64?77+9?=", "right"), (call.Header("Mcp-Param-A"), call.Header("Mcp-Param-B")));
    }

    [Fact]
    public async Task Headers_MissingAtTheServer_ToolsAreReadAgainAndTheCallIsSentOnceMore()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        using var list = await client.RequestAsync("tools/list");
        await list.MessageAsync();

        // Another release.
        Server(gateway).Tools = """[{"name":"slow","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}]""";
        var posting = client.CallAsync("slow", """{"region":"here"}""");
        (await Server(gateway).CallAsync()).Refuse(HttpStatusCode.BadRequest, -32020, "Mcp-Param-Region is missing");
        var again = await Server(gateway).CallAsync();
        again.Text("done");

        using var reply = await posting;
        Assert.Equal("done", (await reply.MessageAsync()).Text());
        Assert.Equal("here", again.Header("Mcp-Param-Region"));
        Assert.Single(gateway.LogLines.Lines, l => l.StartsWith("Information CallSentAgain: A call of slow to server one is sent again (headers): 1 times before it was over; at last: Mcp-Param-Region is missing", StringComparison.Ordinal));
        Assert.Equal(["mooring_calls_replayed_total{server=\"one\",reason=\"headers\"} 1"], await gateway.MetricsAsync("mooring_calls_replayed_total{"));
    }

    [Fact]
    public async Task Headers_RefusedAgain_IsNotTheClientsAffair()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        Server(gateway).Intercept = e => (string?)e.Message?["method"] == "tools/call" && Said(() => e.Refuse(HttpStatusCode.BadRequest, -32020, "never right"));

        var answer = await client.ResultAsync("slow");

        Assert.Equal((-32603, "upstream_refused"), (answer.ErrorCode(), answer.Reason()));
        Assert.Contains("never right", (string?)answer["error"]!["message"], StringComparison.Ordinal);
        Assert.Equal(2, gateway.Upstream.Messages("tools/call").Count);
    }

    [Theory]
    [InlineData("""{"type":"object","properties":{"a":{"type":"number","x-mcp-header":"A"}}}""")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A b"}}}""")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"string","x-mcp-header":""}}}""")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}""")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}}}""")]
    [InlineData("""{"type":"object","oneOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]}""")]
    [InlineData("""{"type":"object","$defs":{"a":{"type":"string","x-mcp-header":"A"}}}""")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"\ud800"}}}""")]
    public async Task Tool_WrongMarks_IsNotShown(string schema)
    {
        await using var gateway = await StartAsync();
        Server(gateway).Tools = $$"""[{"name":"good","inputSchema":{"type":"object","properties":{"x-mcp-header":{"type":"number"} } } },{"name":"bad","inputSchema":{{schema}} }]""";
        var client = await gateway.ClientAsync();

        await gateway.UntilAsync(() => gateway.LogLines.Lines.Any(l => l.Contains("StatelessToolLeftOut", StringComparison.Ordinal)), "it is left out");
        using var list = await client.RequestAsync("tools/list");

        Assert.Equal("good", (string?)Assert.Single((await list.MessageAsync())["result"]!["tools"]!.AsArray())!["name"]);
    }

    [Fact]
    public async Task Answer_MissingCapability_IsTheClientsToSee()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();

        var posting = client.ResultAsync("slow");
        (await Server(gateway).CallAsync()).Refuse(HttpStatusCode.BadRequest, -32021, "needs elicitation", """{"requiredCapabilities":{"elicitation":{}}}""");

        var answer = await posting;
        Assert.Equal(-32021, answer.ErrorCode());
        Assert.Equal("needs elicitation", (string?)answer["error"]!["message"]);
    }

    [Theory]
    [InlineData("task")]
    [InlineData("input_required")]
    public async Task Answer_OfAKindNobodyKnows_IsAnErrorAndNotSentAgain(string kind)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        using var list = await client.RequestAsync("tools/list");
        await list.MessageAsync();
        Server(gateway).Intercept = e => (string?)e.Message?["method"] == "completion/complete" && Said(() => e.Result($$"""{"resultType":"{{kind}}"}"""));

        using var reply = await client.RequestAsync("completion/complete", "{}");

        var answer = await reply.MessageAsync();
        Assert.Equal(("wrong_answer", "unknown"), (answer.Reason(), answer.Executed()));
        Assert.Single(gateway.Upstream.Messages("completion/complete"));
    }

    [Theory]
    [InlineData("slow", false)]
    [InlineData("reads", true)]
    public async Task Stream_OfACallBreaks_IsSentAgainOnlyWhereThatIsSafe(string tool, bool again)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        using var list = await client.RequestAsync("tools/list");
        await list.MessageAsync();

        var posting = client.ResultAsync(tool);
        var call = await Server(gateway).CallAsync();
        call.Stream();
        call.Cut();
        if (again)
        {
            var second = Server(gateway).CallAsync();
            (await gateway.PassTimeAsync(second, AMinute, "the second try")).Text("done");
            Assert.Equal("done", (await posting).Text());
            return;
        }

        var answer = await gateway.PassTimeAsync(posting, AMinute, "the answer");
        Assert.Equal(("outcome_unknown", "unknown"), (answer.Reason(), answer.Executed()));
        Assert.Single(gateway.Upstream.Messages("tools/call"));
    }

    [Fact]
    public async Task Cancelled_ByTheClient_IsHungUp()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();

        var posting = client.CallAsync("slow", id: "5");
        var call = await Server(gateway).CallAsync();
        await client.NotifyAsync("notifications/cancelled", """{"requestId":5}""");

        await gateway.UntilAsync(() => call.Aborted.IsCancellationRequested, "it is hung up");
        Assert.Empty(gateway.Upstream.Messages("notifications/cancelled"));
        Assert.Empty(gateway.Upstream.Messages("notifications/initialized"));
        Assert.DoesNotContain(gateway.Upstream.Requests, r => r.HttpMethod != "POST");
        _ = posting;
    }

    [Fact]
    public async Task Progress_OnTheCallsStream_ReachesTheClient()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();

        var posting = client.CallAsync("slow", meta: """{"progressToken":"mine"}""");
        var call = await Server(gateway).CallAsync();
        await call.ProgressAsync(3);
        using var reply = await posting;

        var progress = await reply.MessageAsync();
        Assert.Equal(("mine", 3), ((string?)progress["params"]!["progressToken"], (int?)progress["params"]!["progress"]));
        await call.SendTextAsync("done");
        Assert.Equal("done", (await reply.MessageAsync()).Text());
    }

    [Fact]
    public async Task Server_AsksOfItsOwnAccord_IsNotPassedOn()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync(capabilities: """{"roots":{}}""");

        var posting = client.CallAsync("slow");
        var call = await Server(gateway).CallAsync();
        await call.SendAsync("""{"jsonrpc":"2.0","id":1,"method":"roots/list"}""");
        await call.SendTextAsync("done");
        using var reply = await posting;

        Assert.Equal("done", (await reply.MessageAsync()).Text());
    }

    [Fact]
    public async Task Shared_Server_DeclaresNothing()
    {
        await using var gateway = await StartAsync(s => s with { Scope = LinkScope.Shared });
        var client = await gateway.ClientAsync(capabilities: """{"roots":{}}""");

        var posting = client.ResultAsync("slow");
        var call = await Server(gateway).CallAsync();
        call.Text("done");

        Assert.Equal("done", (await posting).Text());
        Assert.Equal("""{"extensions":{"io.modelcontextprotocol/tasks":{}}}""", call.Meta("clientCapabilities")!.ToJsonString());
    }

    internal static StatelessUpstream Server(GatewayFixture gateway) => Servers.Of(gateway);

    internal static Task<GatewayFixture> StartAsync(Func<ServerConfig, ServerConfig>? server = null) => Servers.StartAsync(server);

    private static bool Said(Action answer)
    {
        answer();
        return true;
    }
}

/// <summary>A gateway before one server without sessions.</summary>
internal static class Servers
{
    private static readonly System.Runtime.CompilerServices.ConditionalWeakTable<FakeUpstream, StatelessUpstream> Known = [];

    public static StatelessUpstream Of(GatewayFixture gateway) => Known.TryGetValue(gateway.Upstream, out var server) ? server : throw new InvalidOperationException();

    /// <param name="server">Changes its configuration.</param>
    /// <param name="intercept">What the server does of its own from the first request on: the gateway listens as soon as it runs.</param>
    public static Task<GatewayFixture> StartAsync(Func<ServerConfig, ServerConfig>? server = null, Func<UpstreamExchange, bool>? intercept = null)
    {
        var fake = new FakeUpstream();
        var stateless = StatelessUpstream.At(fake);
        stateless.Intercept = intercept;
        Known.Add(fake, stateless);
        return GatewayFixture.StartAsync(new FixtureOptions { Server = server ?? (s => s) }, fake);
    }
}
