using System.Net;
using Mooring.Protocol;
using Xunit;

namespace Mooring.Tests.FrontDoor;

/// <summary>Requests of 2026-07-28 and their answers: form, cancellation, progress, log messages, and who shares what.</summary>
public sealed class StatelessCallTests
{
    [Fact]
    public async Task Call_AnsweredWithinTheGrace_IsOneJsonBodyWithWhatTheVersionWants()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = new StatelessClient(gateway.Http);

        using var reply = await client.CallAsync("echo", """{"text":7}""", id: "\"a\"");

        Assert.False(reply.IsStream);
        Assert.Equal("application/json", reply.Header("Content-Type"));
        Assert.Equal(
            """{"jsonrpc":"2.0","id":"a","result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"one","version":"1"}},"content":[{"type":"text","text":"7"}]}}""",
            await reply.BodyAsync());
    }

    [Theory]
    [InlineData("""{ }""", """{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":INFO} }""")]
    [InlineData("""{"_meta":{ },"x":1.0}""", """{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":INFO },"x":1.0}""")]
    [InlineData("""{"_meta":{"y":2},"x":1.0}""", """{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":INFO,"y":2},"x":1.0}""")]
    [InlineData("""{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{}}}""", """{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{}}}""")]
    [InlineData("""{"resultType":"task","_meta":3}""", """{"resultType":"task","_meta":3}""")]
    public async Task Result_OfAServer_KeepsEveryByteAndGetsWhatIsMissing(string said, string expected)
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var calling = new StatelessClient(gateway.Http).CallAsync("slow", id: "7");
        (await gateway.Upstream.CallAsync()).Result(said);

        using var reply = await calling;

        var result = expected.Replace("INFO", """{"name":"one","version":"1"}""", StringComparison.Ordinal);
        Assert.Equal($$"""{"jsonrpc":"2.0","id":7,"result":{{result}}}""", await reply.BodyAsync());
    }

    /// <summary>A server that has both kinds of versions would take the request for one of the other kind, and its headers for wrong.</summary>
    [Theory]
    [InlineData("VERSION,CAPABILITIES", "{ }")]
    [InlineData("VERSION, \"x\": 1, CAPABILITIES", "{ \"x\": 1 }")]
    [InlineData("\"x\":1,VERSION,INFO,CAPABILITIES,\"y\":{\"z\":[2]}", "{\"x\":1   ,\"y\":{\"z\":[2]}}")]
    [InlineData("\"x\":1,VERSION,LEVEL,\"y\":2,CAPABILITIES", "{\"x\":1  ,\"y\":2 }")]
    public async Task Request_AtAServerWithSessions_KeepsAllButWhatSuchAServerDoesNotKnow(string meta, string expected)
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var said = meta
            .Replace("VERSION", "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"", StringComparison.Ordinal)
            .Replace("CAPABILITIES", "\"io.modelcontextprotocol/clientCapabilities\":{}", StringComparison.Ordinal)
            .Replace("INFO", "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"a\",\"version\":\"1\"}", StringComparison.Ordinal)
            .Replace("LEVEL", "\"io.modelcontextprotocol/logLevel\":\"info\"", StringComparison.Ordinal);
        var calling = new StatelessClient(gateway.Http).PostAsync(
            """{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","arguments":{},"_meta":{""" + said + "}}}",
            headers: [("MCP-Protocol-Version", StatelessClient.Version), ("Mcp-Method", "tools/call"), ("Mcp-Name", "slow")]);

        var call = await gateway.Upstream.CallAsync();

        Assert.EndsWith("\"_meta\":" + expected + "}}", call.Body, StringComparison.Ordinal);
        call.Text("done");
        using var reply = await calling;
        Assert.Equal("done", (await reply.MessageAsync()).Text());
    }

    [Theory]
    [InlineData("tools/list", "tools")]
    [InlineData("prompts/list", "prompts")]
    [InlineData("resources/list", "resources")]
    [InlineData("resources/templates/list", "resourceTemplates")]
    public async Task List_OnEitherRoute_SaysForHowLongAndForWhom(string method, string key)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        foreach (var path in new[] { "/mcp", "/servers/one/mcp" })
        {
            var result = (await new StatelessClient(gateway.Http, path).ResultAsync(method))["result"]!;

            Assert.NotNull(result[key]);
            Assert.Equal(("complete", 0, "private"), ((string?)result["resultType"], (int?)result["ttlMs"], (string?)result["cacheScope"]));
        }
    }

    [Fact]
    public async Task Read_ServerSaysForHowLong_ItsWordCounts()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, Answering("resources/read", """{"contents":[],"ttlMs":5000,"cacheScope":"public"}"""));

        var result = (await new StatelessClient(gateway.Http).ResultAsync("resources/read", """{"uri":"test://one/a"}"""))["result"]!;

        Assert.Equal((5000, "public"), ((int?)result["ttlMs"], (string?)result["cacheScope"]));
    }

    [Theory]
    [InlineData(-32002, HttpStatusCode.OK, -32602)]
    [InlineData(-32601, HttpStatusCode.NotFound, -32601)]
    [InlineData(-32602, HttpStatusCode.OK, -32602)]
    [InlineData(-32603, HttpStatusCode.OK, -32603)]
    [InlineData(-32042, HttpStatusCode.BadRequest, -32021)]
    [InlineData(77, HttpStatusCode.OK, 77)]
    public async Task Error_OfAServer_HasACodeThatTheVersionKnows(int said, HttpStatusCode status, int code)
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream
        {
            Intercept = exchange =>
            {
                if ((string?)exchange.Message?["method"] != "resources/read")
                {
                    return false;
                }

                exchange.Status(HttpStatusCode.OK, $$$$"""{"jsonrpc":"2.0","id":{{{{exchange.Id}}}},"error":{"code":{{{{said}}}},"message":"no","data":{"uri":"test://one/a"}}}""");
                return true;
            },
        });

        using var reply = await new StatelessClient(gateway.Http).RequestAsync("resources/read", """{"uri":"test://one/a"}""", id: "9");

        var answer = await reply.MessageAsync();
        Assert.Equal((status, code, "9"), (reply.Status, answer.ErrorCode()!.Value, answer.RawId()!));
        Assert.Equal(said == -32042 ? """{"requiredCapabilities":{"elicitation":{"url":{}}}}""" : """{"uri":"test://one/a"}""", answer["error"]!["data"]!.ToJsonString());
    }

    [Fact]
    public async Task Resource_OfNobody_IsInvalidParamsWithItsUri()
    {
        await using var gateway = await GatewayFixture.StartAsync();

        var answer = await new StatelessClient(gateway.Http, "/mcp").ResultAsync("resources/read", """{"uri":"nobody://x"}""");

        Assert.Equal((-32602, "nobody://x"), (answer.ErrorCode()!.Value, (string?)answer["error"]!["data"]!["uri"]));
    }

    [Fact]
    public async Task Call_NotAnsweredInTime_IsAStreamWithoutIdsThatIsKeptAlive()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var posting = new StatelessClient(gateway.Http).CallAsync("slow", id: "3");
        var call = await gateway.Upstream.CallAsync();
        gateway.Advance(GatewayFixture.Grace);
        using var reply = await Limit.Of(posting, "the head of the answer");

        Assert.True(reply.IsStream);
        Assert.Equal("no", reply.Header("X-Accel-Buffering"));
        Assert.True((await reply.Events.NextAsync())!.Comment);
        gateway.Advance(TimeSpan.FromSeconds(20));
        Assert.True((await reply.Events.NextAsync())!.Comment);
        Assert.Contains(await gateway.MetricsAsync("mooring_streams_active{"), line => line.Contains("era=\"stateless\"", StringComparison.Ordinal) && line.EndsWith(" 1", StringComparison.Ordinal));
        call.Text("done");
        var answer = await reply.Events.MessageAsync();
        Assert.Equal(("3", "done", "complete"), (answer.RawId()!, answer.Text()!, (string?)answer["result"]!["resultType"]));
        Assert.Empty(await reply.Events.RestAsync());
        Assert.DoesNotContain(reply.Events.Seen, e => e.Id is not null);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Client_ClosesItsRequest_TheCallIsCancelledAtItsServer(bool asStream)
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        using var leaving = new CancellationTokenSource();
        var posting = new StatelessClient(gateway.Http).CallAsync("slow", cancel: leaving.Token);
        var call = await gateway.Upstream.CallAsync();
        TestReply? reply = null;
        if (asStream)
        {
            gateway.Advance(GatewayFixture.Grace);
            reply = await Limit.Of(posting, "the head of the answer");
            await reply.Events.NextAsync();
        }

        reply?.Dispose();
        await leaving.CancelAsync();

        await gateway.UntilAsync(() => gateway.Upstream.Messages("notifications/cancelled").Count == 1, "the server was told");
        Assert.Equal(call.Id, gateway.Upstream.Messages("notifications/cancelled")[0]["params"]!["requestId"]!.ToJsonString());
        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call ended");
        Assert.Contains(await gateway.MetricsAsync("mooring_call_duration_seconds_count{"), line => line.Contains("cancelled", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Client_LeavesBeforeItsCallBegan_ItsServerNeverHearsOfIt()
    {
        // The link hangs: the call waits for it.
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream { Intercept = e => (string?)e.Message?["method"] == "initialize" });
        using var leaving = new CancellationTokenSource();
        _ = new StatelessClient(gateway.Http).CallAsync("echo", cancel: leaving.Token);
        await gateway.UntilAsync(() => gateway.Runner.Running == 1, "the call began");

        await leaving.CancelAsync();

        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call ended");
        Assert.Equal(0, gateway.Upstream.Executions("echo"));
    }

    [Fact]
    public async Task Client_HasItsAnswerAndLeaves_NothingIsCancelled()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        using (var reply = await new StatelessClient(gateway.Http).CallAsync("echo"))
        {
            await reply.MessageAsync();
        }

        await new StatelessClient(gateway.Http).ResultAsync("tools/call", """{"name":"echo"}""");
        Assert.Empty(gateway.Upstream.Messages("notifications/cancelled"));
    }

    [Theory]
    [InlineData("\"mine\"")]
    [InlineData("17")]
    public async Task Progress_OfACall_ComesUnderTheClientsOwnToken(string token)
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var posting = new StatelessClient(gateway.Http).CallAsync("slow", meta: $$"""{"progressToken":{{token}}}""");
        var call = await gateway.Upstream.CallAsync();
        await call.ProgressAsync(1);
        using var reply = await Limit.Of(posting, "the head of the answer");

        var progress = await reply.Events.MessageAsync();

        Assert.Equal(("notifications/progress", token), ((string?)progress["method"], progress["params"]!["progressToken"]!.ToJsonString()));
    }

    [Fact]
    public async Task LogMessages_OnlyThoseThatTheRequestWants_AndNoneWhereItSaysNothing()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = new StatelessClient(gateway.Http);
        foreach (var (level, expected) in new (string?, string[])[] { (null, []), ("warning", ["warning", "error"]), ("debug", ["debug", "warning", "error"]), ("error", ["error"]) })
        {
            var posting = client.CallAsync("slow", meta: level is null ? null : $$"""{"io.modelcontextprotocol/logLevel":"{{level}}"}""");
            var call = await gateway.Upstream.CallAsync();
            foreach (var said in new[] { "debug", "warning", "error" })
            {
                await call.SendAsync($$$"""{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"{{{said}}}","data":1}}""");
            }

            await call.SendTextAsync("done");
            call.End();
            using var reply = await Limit.Of(posting, "the answer");
            var seen = new List<string?>();
            var message = await reply.MessageAsync();
            while (message["method"] is not null)
            {
                seen.Add((string?)message["params"]!["level"]);
                message = await reply.MessageAsync();
            }

            Assert.Equal("done", message.Text());
            Assert.Equal(expected, seen);
        }

        // The server is told of a level only where that is more than what it says already.
        Assert.Equal(["warning", "debug"], gateway.Upstream.Messages("logging/setLevel").Select(m => (string?)m["params"]!["level"]));
    }

    [Fact]
    public async Task Requests_OfOnePersonThatAgree_ShareASessionAtTheServer_OthersDoNot()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        async Task<string?> SessionOf(StatelessClient client)
        {
            await client.ResultAsync("tools/call", """{"name":"echo"}""");
            return gateway.Upstream.Requests.Last(r => (string?)r.Message?["method"] == "tools/call").Session;
        }

        var ann = await SessionOf(new StatelessClient(gateway.Http, user: "ann"));
        var again = await SessionOf(new StatelessClient(gateway.Http, user: "ann"));
        var roots = await SessionOf(new StatelessClient(gateway.Http, user: "ann", capabilities: """{"roots":{}}"""));
        var bob = await SessionOf(new StatelessClient(gateway.Http, user: "bob"));

        Assert.Equal(ann, again);
        Assert.Equal(3, new[] { ann, roots, bob }.Distinct().Count());
        Assert.Contains(gateway.Upstream.Messages("initialize"), m => m["params"]!["capabilities"]!.ToJsonString() == """{"roots":{}}""");
    }

    [Fact]
    public async Task Session_ThatStandsForSuchClients_CannotBeUsedAsOne()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        await new StatelessClient(gateway.Http).ResultAsync("tools/call", """{"name":"echo"}""");
        var client = gateway.NewClient();
        client.SessionId = Assert.Single(gateway.Sessions.All).Id;

        using var reply = await client.RequestAsync("tools/list");

        Assert.Equal(HttpStatusCode.NotFound, reply.Status);
    }

    [Fact]
    public async Task Sessions_MoreThanOneMayHave_AreRefused()
    {
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Config = c => c with { Limits = c.Limits with { SessionsPerUser = 1 } } });

        await new StatelessClient(gateway.Http, user: "ann").ResultAsync("tools/list");
        using var second = await new StatelessClient(gateway.Http, user: "ann", capabilities: """{"roots":{}}""").RequestAsync("tools/list");
        using var other = await new StatelessClient(gateway.Http, user: "bob").RequestAsync("tools/list");

        Assert.Equal((HttpStatusCode.TooManyRequests, HttpStatusCode.OK), (second.Status, other.Status));
    }

    /// <summary>Each set of capabilities has a session of its own, and so links and processes: what anybody may write into a request must not make any number of them.</summary>
    [Fact]
    public async Task Capabilities_MoreSetsThanTheGatewayMayHaveSessions_Is429()
    {
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Config = c => c with { Limits = c.Limits with { Sessions = 2 } } });
        for (var i = 1; i <= 2; i++)
        {
            using var fits = await new StatelessClient(gateway.Http, capabilities: "{\"extensions\":{\"x.test/" + i + "\":{}}}").RequestAsync("tools/list");
            Assert.Equal(HttpStatusCode.OK, fits.Status);
        }

        using var third = await new StatelessClient(gateway.Http, capabilities: """{"extensions":{"x.test/3":{}}}""").RequestAsync("tools/list");
        using var first = await new StatelessClient(gateway.Http, capabilities: """{"extensions":{"x.test/1":{}}}""").RequestAsync("tools/list");

        Assert.Equal((HttpStatusCode.TooManyRequests, HttpStatusCode.OK), (third.Status, first.Status));
    }

    [Fact]
    public async Task Discover_SingleRoute_SaysWhatItsServerSaidWithoutWhatIsNotServed()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream
        {
            Capabilities = """{"tools":{"listChanged":true},"tasks":{"list":{}},"resources":{"subscribe":true},"extensions":{"x.test/y":{}}},"instructions":"Be kind.","x":{}""",
        });
        var client = new StatelessClient(gateway.Http);

        var result = (await client.ResultAsync("server/discover"))["result"]!;

        Assert.Equal("2026-07-28", (string?)result["supportedVersions"]![0]);
        Assert.Equal("""{"extensions":{"io.modelcontextprotocol/tasks":{},"x.test/y":{}},"tools":{"listChanged":true},"resources":{"subscribe":true}}""", result["capabilities"]!.ToJsonString());
        Assert.Equal(("Be kind.", "complete", 0, "private"), ((string?)result["instructions"], (string?)result["resultType"], (int?)result["ttlMs"], (string?)result["cacheScope"]));
        Assert.Equal("one", (string?)result["_meta"]!["io.modelcontextprotocol/serverInfo"]!["name"]);
        Assert.Null(result["protocolVersion"]);
    }

    [Fact]
    public async Task Discover_MergedRouteWhileItsServerHangs_IsAnsweredAtOnce_AndTheSingleRouteAfterTheFirstWait()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream { Intercept = _ => true });

        var merged = (await new StatelessClient(gateway.Http, "/mcp").ResultAsync("server/discover"))["result"]!;
        using var reply = await gateway.PassTimeAsync(new StatelessClient(gateway.Http).RequestAsync("server/discover"), TimeSpan.FromSeconds(4), "the head");
        var single = (await gateway.PassTimeAsync(reply.MessageAsync(), TimeSpan.FromSeconds(4), "the answer"))["result"]!;

        Assert.Equal("mooring", (string?)merged["_meta"]!["io.modelcontextprotocol/serverInfo"]!["name"]);
        Assert.NotNull(merged["capabilities"]!["tools"]);
        Assert.Null(merged["capabilities"]!["tasks"]);
        Assert.NotNull(single["capabilities"]!["tools"]);
    }

    [Fact]
    public async Task Ping_OfAServer_IsAnsweredByTheGateway()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var posting = new StatelessClient(gateway.Http).CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();

        await call.SendAsync("""{"jsonrpc":"2.0","id":"p","method":"ping"}""");

        await gateway.UntilAsync(() => gateway.Upstream.Requests.Any(r => r.Body == """{"jsonrpc":"2.0","id":"p","result":{}}"""), "the answer to the ping");
        await call.SendTextAsync("done");
        using var reply = await Limit.Of(posting, "the answer");
        Assert.Equal("done", (await reply.MessageAsync()).Text());
    }

    [Fact]
    public async Task LegacyAndModernClients_OnOnePath_AreBothServed()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var legacy = await gateway.ClientAsync();

        var modern = await new StatelessClient(gateway.Http).ResultAsync("tools/call", """{"name":"echo"}""");
        var old = await legacy.ResultAsync("echo");

        Assert.Equal("nothing", modern.Text());
        Assert.Null(old["result"]!["resultType"]);
    }

    [Fact]
    public async Task Requests_MoreThanOneMayStart_AreRefused()
    {
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Config = c => c with { Limits = c.Limits with { CallsPerUserPerMinute = 1 } } });
        var client = new StatelessClient(gateway.Http, user: "ann");

        await client.ResultAsync("tools/list");
        using var second = await client.RequestAsync("tools/list");

        Assert.Equal((HttpStatusCode.TooManyRequests, true), (second.Status, second.Header("Retry-After") is not null));
    }

    [Fact]
    public void Methods_OfTheVersion_AreKnown()
    {
        Assert.Equal(McpMethod.Discover, Frame.Parse([.. """{"jsonrpc":"2.0","id":1,"method":"server/discover"}"""u8]).Method);
        Assert.Equal(McpMethod.Listen, Frame.Parse([.. """{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"}"""u8]).Method);
    }

    private static FakeUpstream Answering(string method, string result) => new()
    {
        Intercept = exchange =>
        {
            if ((string?)exchange.Message?["method"] != method)
            {
                return false;
            }

            exchange.Result(result);
            return true;
        },
    };
}
