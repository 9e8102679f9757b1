using System.IO.Compression;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Mooring.Configuration;
using Mooring.Routing;
using Mooring.Upstreams;
using Xunit;

namespace Mooring.Tests.BadInput;

/// <summary>Servers that answer with garbage: the client gets exactly one explicit error, which says whether the call may have been executed; others notice nothing.</summary>
public sealed class UpstreamAnswerTests
{
    /// <summary>How deep servers may nest is the configuration's to say, as it is for clients.</summary>
    [Theory]
    [InlineData(100, false, null)]
    [InlineData(100, true, null)]
    [InlineData(40, false, Unknown)]
    [InlineData(40, true, Unknown)]
    public async Task Answer_NestedEightyDeep_IsTakenWhereThatIsAllowed(int allowed, bool asEvent, string? reason)
    {
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Config = c => c with { Limits = c.Limits with { JsonDepth = allowed } } }, new FakeUpstream().Hold("deep"));
        var client = await gateway.ClientAsync();
        var posting = client.CallAsync("deep");
        var call = await gateway.Upstream.CallAsync();
        var deep = $$"""{"content":[],"deep":{{new string('[', 78)}}{{new string(']', 78)}}}""";
        if (asEvent)
        {
            await call.Stream().SendAsync($$"""{"jsonrpc":"2.0","id":{{call.Id}},"result":{{deep}}}""");
        }
        else
        {
            call.Result(deep);
        }

        using var reply = await posting;
        var body = await reply.BodyAsync();

        Assert.True(reason is null ? body.Contains(deep, StringComparison.Ordinal) : body.Contains(reason, StringComparison.Ordinal), body);
    }

    private const string Unknown = "outcome_unknown";
    private const string Refused = "upstream_refused";

    private static readonly Dictionary<string, (Func<UpstreamExchange, Task> Answer, string Reason, string Names)> Cases = new()
    {
        ["not JSON"] = (Body("nope"), Unknown, "not a message"),
        ["empty"] = (Body(""), Unknown, "not a message"),
        ["array"] = (Body("[]"), Unknown, "must be a JSON object"),
        ["html"] = (Body("<html>", "text/html"), Unknown, "content type \"text/html\""),
        ["no answer but a request"] = (e => Body($$"""{"jsonrpc":"2.0","id":{{e.Id}},"method":"ping"}""")(e), Unknown, "a request or notification instead"),
        ["wrong id"] = (Body("""{"jsonrpc":"2.0","id":987654321,"result":{}}"""), Unknown, "id of another request"),
        ["id as string"] = (e => Body($$$"""{"jsonrpc":"2.0","id":"{{{e.Id}}}","result":{}}""")(e), Unknown, "id of another request"),
        ["id as float"] = (e => Body($$$"""{"jsonrpc":"2.0","id":{{{e.Id}}}.0,"result":{}}""")(e), Unknown, "\"id\" must be"),
        ["result with null id"] = (Body("""{"jsonrpc":"2.0","id":null,"result":{}}"""), Unknown, "\"id\" must be"),
        ["result no object"] = (e => Body($$"""{"jsonrpc":"2.0","id":{{e.Id}},"result":[]}""")(e), Unknown, "\"result\" must be an object"),
        ["result and error"] = (e => Body($$$"""{"jsonrpc":"2.0","id":{{{e.Id}}},"result":{},"error":{"code":1,"message":"m"}}""")(e), Unknown, "exactly one of"),
        ["id twice"] = (e => Body($$$"""{"jsonrpc":"2.0","id":{{{e.Id}}},"id":1,"result":{}}""")(e), Unknown, "\"id\" stands twice"),
        ["NDJSON"] = (e => Body($$$"""{"jsonrpc":"2.0","id":{{{e.Id}}},"result":{}}""" + "\n" + $$$"""{"jsonrpc":"2.0","id":{{{e.Id}}},"result":{}}""")(e), Unknown, "Not valid JSON"),
        ["too large"] = (Body(new string(' ', 5000)), Unknown, "more than the limit of 4096"),
        ["too large, length not told"] = (e => Raw(e, new StreamContent(new EndlessStream(' '))), Unknown, "larger than the limit of 4096"),
        ["one object without end"] = (e => Raw(e, new StreamContent(new EndlessStream('{'))), Unknown, "larger than the limit of 4096"),
        ["gzip"] = (e => Raw(e, new ByteArrayContent(Gzip(Answer(e))), encoding: "gzip"), Unknown, "content encoding \"gzip\""),
        ["br stream"] = (e => Raw(e, new ByteArrayContent([0x8b, 0x02, 0x80]), "text/event-stream", "br"), Unknown, "content encoding \"br\""),
        ["gzip that is not told"] = (e => Raw(e, new ByteArrayContent(Gzip(Answer(e)))), Unknown, "not valid UTF-8"),
        ["no UTF-8"] = (e => Raw(e, new ByteArrayContent(Spoil(Answer(e)))), Unknown, "not valid UTF-8"),
        ["UTF-16"] = (e => Raw(e, new ByteArrayContent(Encoding.Unicode.GetBytes(Answer(e)))), Unknown, "not a message"),
        // The stream stays open: the call must not wait for its end.
        ["no UTF-8 in an event"] = (e => e.RawAsync([.. "data: "u8, .. Spoil(Answer(e)), .. "\n\n"u8]), Unknown, "not valid UTF-8"),
        ["202"] = (Status(202), Unknown, "202"),
        ["201"] = (Status(201), Unknown, "201"),
        ["204"] = (Status(204), Unknown, "204"),
        ["301"] = (Status(301), Refused, "a redirect"),
        ["307"] = (Status(307), Refused, "a redirect"),
        ["308"] = (Status(308), Refused, "a redirect"),
        ["400"] = (Status(400), Refused, "HTTP 400"),
        ["401"] = (Status(401), Refused, "HTTP 401"),
        ["403"] = (Status(403), Refused, "HTTP 403"),
        ["404"] = (Status(404), Refused, "lost its session"),
        ["409"] = (Status(409), Refused, "HTTP 409"),
        ["429"] = (Status(429), Refused, "HTTP 429"),
        ["500"] = (Status(500), Unknown, "HTTP 500"),
        ["500 with a broken message"] = (Status(500, "{\"jsonrpc\":"), Unknown, "HTTP 500"),
        ["502"] = (Status(502), Unknown, "HTTP 502"),
        ["503"] = (Status(503), Unknown, "HTTP 503"),
        ["504"] = (Status(504), Unknown, "HTTP 504"),
        ["connection reset"] = (e => { e.Fail(HttpRequestError.ResponseEnded); return Task.CompletedTask; }, Unknown, "closed the connection"),
        ["stream without answer"] = (Stream(": hi\n\n"), Unknown, "ended before the answer"),
        ["stream cut mid-event"] = (Stream("data: {\"jsonrpc\"", cut: true), Unknown, "ended before the answer"),
        ["stream ends mid-event"] = (Stream("data: {\"jsonrpc\":\"2.0\"}"), Unknown, "ended before the answer"),
        ["stream of nonsense"] = (Stream("data: what\n\ndata: {}\n\ndata: [1]\n\nnonsense\n\n"), Unknown, "ended before the answer"),
        ["stream with the answers of others"] = (Stream("data: {\"jsonrpc\":\"2.0\",\"id\":987654321,\"result\":{}}\n\n"), Unknown, "ended before the answer"),
        ["stream with an answer that is none"] = (async e => await e.RawAsync($"id: 1\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{e.Id},\"result\":7}}\n\n"), Unknown, "\"result\" must be an object"),
        ["event without end"] = (async e => await e.RawAsync("data: " + new string('x', 9000)), Unknown, "larger than the limit"),
        ["event of many lines"] = (async e => await e.RawAsync(string.Concat(Enumerable.Repeat("data: xxxxxxxxxxxxxxxxxxxx\n", 300))), Unknown, "larger than the limit"),
        ["answer under another event type"] = (async e => { await e.RawAsync($"event: other\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{e.Id},\"result\":{{}}}}\n\n"); e.End(); }, Unknown, "ended before the answer"),
    };

    public static TheoryData<string> Names => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Call_AnsweredWithGarbage_EndsInOneExplicitError(string name)
    {
        var (answer, reason, names) = Cases[name];
        var bad = new FakeUpstream("bad");
        bad.Intercept = e => Garbage(e, answer);
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Config = c => c with { Limits = c.Limits with { BodySize = 4096 } } }, bad, new FakeUpstream("good"));
        var client = await gateway.ClientAsync(path: "/mcp");

        using var reply = await gateway.PassTimeAsync(client.CallAsync("bad__echo", id: "\"mine\""), TimeSpan.FromSeconds(20), "the head of the answer");
        var message = await gateway.PassTimeAsync(reply.MessageAsync(), TimeSpan.FromSeconds(20), "the answer");

        Assert.Equal(HttpStatusCode.OK, reply.Status);
        Assert.Equal("\"mine\"", message["id"]!.ToJsonString());
        Assert.Equal(-32603, (int?)message["error"]!["code"]);
        Assert.Contains(names, (string?)message["error"]!["message"], StringComparison.Ordinal);
        Assert.Equal(reason, (string?)message["error"]!["data"]!["mooring"]!["reason"]);
        Assert.Equal(reason == Unknown ? "unknown" : "refused", (string?)message["error"]!["data"]!["mooring"]!["executed"]);
        Assert.Equal("bad", (string?)message["error"]!["data"]!["mooring"]!["server"]);
        Assert.Equal(name == "404" ? 4 : 1, bad.Messages("tools/call").Count);
        if (reason == Unknown)
        {
            // Told by the log: looks that go on beside the call may have found the server well again by now.
            Assert.Contains("Server bad failed", gateway.LogLines.ToString(), StringComparison.Ordinal);
        }

        // The other server, and the next call to this one, are as if nothing had been.
        Assert.NotNull((await client.ResultAsync("good__echo"))["result"]);
        bad.Intercept = null;
        var next = await gateway.PassTimeAsync(client.ResultAsync("bad__echo"), TimeSpan.FromSeconds(20), "the next answer");
        Assert.NotNull(next["result"]);
        FrontDoorTests.Unharmed(gateway);
    }

    [Theory]
    [InlineData(HttpStatusCode.BadRequest)]
    [InlineData(HttpStatusCode.Forbidden)]
    [InlineData(HttpStatusCode.InternalServerError)]
    [InlineData(HttpStatusCode.ServiceUnavailable)]
    [InlineData(HttpStatusCode.OK)]
    public async Task Call_RefusedInTheProtocol_PassesTheServersOwnError(HttpStatusCode status)
    {
        var upstream = new FakeUpstream
        {
            Intercept = e => Garbage(e, x =>
            {
                x.Status(status, $"{{\"jsonrpc\":\"2.0\",\"id\":{x.Id},\"error\":{{\"code\":-7,\"message\":\"own\",\"data\":{{\"a\":[1]}}}}}}");
                return Task.CompletedTask;
            }),
        };
        await using var gateway = await GatewayFixture.StartAsync(null, upstream);
        var client = await gateway.ClientAsync();

        var message = await client.ResultAsync("echo");

        Assert.Equal("""{"code":-7,"message":"own","data":{"a":[1]}}""", message["error"]!.ToJsonString());
        Assert.Single(upstream.Messages("tools/call"));
    }

    [Fact]
    public async Task Call_AnsweredTwiceAndBesidesForOthers_GetsItsFirstAnswerOnly()
    {
        var upstream = new FakeUpstream
        {
            Intercept = e => Garbage(e, async x =>
            {
                await x.RawAsync($"data: {{\"jsonrpc\":\"2.0\",\"id\":{long.Parse(x.Id) + 1},\"result\":{{\"wrong\":1}}}}\n\n");
                await x.RawAsync("event: odd\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n\n: comment\nretry: 9x\n\n");
                await x.SendTextAsync("right");
                await x.SendTextAsync("late");
                x.End();
            }),
        };
        await using var gateway = await GatewayFixture.StartAsync(null, upstream);
        var client = await gateway.ClientAsync();

        using var reply = await client.CallAsync("echo");
        var message = await reply.MessageAsync();

        Assert.Contains("right", message["result"]!.ToJsonString(), StringComparison.Ordinal);
        if (reply.IsStream)
        {
            Assert.DoesNotContain(await reply.Events.RestAsync(), e => e.IsMessage);
        }
    }

    [Fact]
    public async Task Call_AnsweredNever_RunsIntoItsDeadline()
    {
        var upstream = new FakeUpstream().Hold("slow");
        await using var gateway = await GatewayFixture.StartAsync(null, upstream);
        var client = await gateway.ClientAsync();
        var calling = client.CallAsync("slow");
        var call = await upstream.CallAsync();
        await call.RawAsync(": alive\n\n");

        using var reply = await gateway.PassTimeAsync(calling, TimeSpan.FromMinutes(6), "the head");
        var message = await gateway.PassTimeAsync(reply.MessageAsync(), TimeSpan.FromMinutes(6), "the error");

        Assert.Equal("timed_out", (string?)message["error"]!["data"]!["mooring"]!["reason"]);
        Assert.Equal("unknown", (string?)message["error"]!["data"]!["mooring"]!["executed"]);
        await gateway.UntilAsync(() => upstream.Messages("notifications/cancelled").Count == 1, "the server heard of it", TimeSpan.FromSeconds(5));
    }

    [Theory]
    [InlineData("not JSON")]
    [InlineData("{}")]
    [InlineData("""{"jsonrpc":"2.0","id":ID,"result":{}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":ID,"result":{"protocolVersion":"1999-01-01","capabilities":{}}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":ID,"result":{"protocolVersion":5,"capabilities":{}}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":ID,"result":{"protocolVersion":"2025-11-25"}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":ID,"result":{"protocolVersion":"2025-11-25","capabilities":[]}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":ID,"error":{"code":-32602,"message":"no"}}""")]
    public async Task Initialize_AnsweredWithGarbage_LeavesTheServerAwayAndTheOthersAlone(string answer)
    {
        var bad = new FakeUpstream("bad")
        {
            Intercept = e =>
            {
                if ((string?)e.Message?["method"] != "initialize")
                {
                    return false;
                }

                e.Status(HttpStatusCode.OK, answer.Replace("ID", e.Id, StringComparison.Ordinal));
                return true;
            },
        };
        await using var gateway = await GatewayFixture.StartAsync(null, bad, new FakeUpstream("good"));
        var client = await gateway.ClientAsync(path: "/mcp");

        using var reply = await gateway.PassTimeAsync(client.CallAsync("bad__echo"), TimeSpan.FromSeconds(20), "the head");
        var message = await gateway.PassTimeAsync(reply.MessageAsync(), TimeSpan.FromSeconds(20), "the error");

        Assert.Equal("upstream_unreachable", (string?)message["error"]!["data"]!["mooring"]!["reason"]);
        Assert.Equal("no", (string?)message["error"]!["data"]!["mooring"]!["executed"]);
        Assert.Empty(bad.Messages("tools/call"));
        Assert.NotNull((await client.ResultAsync("good__echo"))["result"]);
        FrontDoorTests.Unharmed(gateway);
    }

    [Theory]
    [InlineData("""{}""", 0)]
    [InlineData("""{"tools":{}}""", 0)]
    [InlineData("""{"tools":null}""", 0)]
    [InlineData("""{"tools":[1,null,"x",[],{},{"name":5},{"name":""},{"name":"\ud800"},{"name":"ok","inputSchema":{"type":"object"}}]}""", 3)]
    [InlineData("""{"tools":[{"name":"a","x":1},{"name":"a","x":2},{"name":"b"}]}""", 2)]
    [InlineData("""{"tools":[{"name":"a"}],"nextCursor":"again"}""", 0)]
    public async Task ToolsList_OfOddShape_ShowsWhatCanBeUsed(string result, int shown)
    {
        var bad = new FakeUpstream("bad")
        {
            Intercept = e =>
            {
                if ((string?)e.Message?["method"] != "tools/list")
                {
                    return false;
                }

                e.Result(result);
                return true;
            },
        };
        await using var gateway = await GatewayFixture.StartAsync(null, bad, new FakeUpstream("good"));
        var client = await gateway.ClientAsync(path: "/mcp");

        using var reply = await gateway.PassTimeAsync(client.RequestAsync("tools/list"), TimeSpan.FromSeconds(20), "the head");
        var message = await gateway.PassTimeAsync(reply.MessageAsync(), TimeSpan.FromSeconds(20), "the list");

        var names = message["result"]!["tools"]!.AsArray().Select(t => (string)t!["name"]!).ToList();
        Assert.Contains("good__echo", names);
        Assert.Equal(shown, names.Count(n => n.StartsWith("bad__", StringComparison.Ordinal)));
        Assert.Equal(names.Count, names.Distinct(StringComparer.Ordinal).Count());
        FrontDoorTests.Unharmed(gateway);
    }

    [Fact]
    public async Task ToolsList_ThatCannotBeReadAnyMore_LeavesTheKnownOne()
    {
        var upstream = new FakeUpstream { HasGetStream = true };
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Server = s => s with { Scope = LinkScope.Shared } }, upstream);
        var stream = await upstream.GetAsync();
        await gateway.UntilAsync(() => gateway.Get<Catalogue>().FindAny("one")[ListKind.Templates] is not null, "all lists are known");
        var client = await gateway.ClientAsync();

        upstream.Intercept = e =>
        {
            if ((string?)e.Message?["method"] != "tools/list")
            {
                return false;
            }

            e.Status(HttpStatusCode.InternalServerError);
            return true;
        };
        await stream.SendAsync("""{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}""");
        await gateway.UntilAsync(() => gateway.LogLines.Lines.Any(l => l.Contains("tools/list of server one could not be read", StringComparison.Ordinal)), "the list was asked for in vain");

        using var reply = await Limit.Of(client.RequestAsync("tools/list"), "the list");
        Assert.NotEmpty((await reply.MessageAsync())["result"]!["tools"]!.AsArray());
    }

    [Fact]
    public async Task ToolsList_OfEndlessPages_IsCut()
    {
        var pages = 0;
        var bad = new FakeUpstream("bad")
        {
            Intercept = e =>
            {
                if ((string?)e.Message?["method"] != "tools/list")
                {
                    return false;
                }

                var page = Interlocked.Increment(ref pages);
                e.Result($$"""{"tools":[{"name":"t{{page}}"}],"nextCursor":"{{page}}"}""");
                return true;
            },
        };
        await using var gateway = await GatewayFixture.StartAsync(null, bad, new FakeUpstream("good"));
        var client = await gateway.ClientAsync(path: "/mcp");

        // So many pages keep the processor busy; the other server's list is there before the clock moves.
        await gateway.UntilAsync(() => gateway.Get<Catalogue>().FindAny("good")[ListKind.Tools] is not null, "the good server's list is known");
        string? shown = null;
        while (shown is null)
        {
            var message = await ListAsync("{}");
            shown = message["result"]!.ToJsonString();
            if ((string?)message["result"]!["nextCursor"] is { } cursor)
            {
                // A thousand tools fill the first page. A look that ends between the two finds others, and the cursor belongs to no list any more.
                var next = await ListAsync($$"""{"cursor":"{{cursor}}"}""");
                shown = next.ErrorCode() == -32602 ? null : shown + next["result"]!.ToJsonString();
            }
        }

        async Task<JsonObject> ListAsync(string parameters)
        {
            using var reply = await gateway.PassTimeAsync(client.RequestAsync("tools/list", parameters), TimeSpan.FromSeconds(4), "the head");
            return await gateway.PassTimeAsync(reply.MessageAsync(), TimeSpan.FromSeconds(4), "the list");
        }

        Assert.Contains("good__echo", shown, StringComparison.Ordinal);
        // For the list asked for, when the session's link was opened, and at the first look of all: each at most the cap of a thousand.
        Assert.InRange(pages, 1, 3000);
        FrontDoorTests.Unharmed(gateway);
    }

    [Theory]
    [InlineData(HttpStatusCode.Moved)]
    [InlineData(HttpStatusCode.Found)]
    [InlineData(HttpStatusCode.SeeOther)]
    [InlineData(HttpStatusCode.TemporaryRedirect)]
    [InlineData(HttpStatusCode.PermanentRedirect)]
    public async Task Call_Redirected_IsNotFollowedAndSaysWhereToWithoutItsSecrets(HttpStatusCode status)
    {
        var bad = new FakeUpstream("bad") { Intercept = e => Garbage(e, x => { x.Redirect(status, "https://me:pass@other.test/login?state=secret"); return Task.CompletedTask; }) };
        await using var gateway = await GatewayFixture.StartAsync(null, bad);
        var client = await gateway.ClientAsync(path: "/servers/bad/mcp");

        var message = await client.ResultAsync("echo");

        Assert.Equal(("upstream_refused", "refused"), (message.Reason(), message.Executed()));
        var text = (string?)message["error"]!["message"];
        Assert.Contains("a redirect to https://other.test/login, which is not followed", text, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", text, StringComparison.Ordinal);
        Assert.DoesNotContain("pass", text, StringComparison.Ordinal);
        Assert.Single(bad.Messages("tools/call"));
    }

    [Fact]
    public async Task Requests_OfEveryKind_AskForNoEncoding()
    {
        var upstream = new FakeUpstream { HasGetStream = true };
        await using var gateway = await GatewayFixture.StartAsync(null, upstream);
        var client = await gateway.ClientAsync();
        await client.ResultAsync("echo");
        await gateway.UntilAsync(() => upstream.Requests.Any(r => r.HttpMethod == "GET"), "the stream is opened");

        Assert.All(upstream.Requests, r => Assert.Equal("identity", r.Header("Accept-Encoding")));
    }

    [Theory]
    [InlineData(32, true, null)]
    [InlineData(32, false, null)]
    [InlineData(16, true, "more than the limit of 16777216")]
    [InlineData(16, false, "larger than the limit of 16777216 bytes")]
    public async Task Answer_OfTwentyMegabytes_PassesUnderTheLimitAndIsNamedAboveIt(int megabytes, bool withLength, string? names)
    {
        var upstream = new FakeUpstream
        {
            Intercept = e => Garbage(e, x =>
            {
                var body = Encoding.UTF8.GetBytes($$$"""{"jsonrpc":"2.0","id":{{{x.Id}}},"result":{"content":[{"type":"text","text":"{{{new string('x', 20 << 20)}}}"}]}}""");
                return Raw(x, withLength ? new ByteArrayContent(body) : new StreamContent(new UnsizedStream(body)));
            }),
        };
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Config = c => c with { Limits = c.Limits with { BodySize = (long)megabytes << 20 } } }, upstream);
        var client = await gateway.ClientAsync();
        var session = gateway.Session(client).Links.Open[0].SessionId;

        // No time passes: so much is one JSON body, however long this machine takes.
        var message = await client.ResultAsync("echo");

        if (names is null)
        {
            Assert.Equal(20 << 20, message.Text()!.Length);
        }
        else
        {
            Assert.Equal("outcome_unknown", message.Reason());
            Assert.Contains(names, (string?)message["error"]!["message"], StringComparison.Ordinal);
        }

        upstream.Intercept = null;
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
        Assert.Equal(session, upstream.Requests.Last(r => (string?)r.Message?["method"] == "tools/call").Session);
    }

    [Fact]
    public async Task Server_AcceptsAndNeverAnswersAnything_CostsItsCallsTheirDeadlineAndOthersNothing()
    {
        var deaf = new FakeUpstream("deaf") { Intercept = _ => true };
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Server = s => s with { Deadline = TimeSpan.FromSeconds(5) } }, deaf, new FakeUpstream("good"));
        var client = await gateway.PassTimeAsync(gateway.ClientAsync(path: "/servers/deaf/mcp"), TimeSpan.FromSeconds(10), "the client is let in");
        var other = await gateway.ClientAsync(path: "/servers/good/mcp");
        var calling = client.CallAsync("any");
        await gateway.UntilAsync(() => gateway.Runner.Running == 1, "the call runs");

        Assert.Equal("nothing", (await other.ResultAsync("echo")).Text());
        using var reply = await gateway.PassTimeAsync(calling, TimeSpan.FromSeconds(8), "the head");
        var message = await gateway.PassTimeAsync(reply.MessageAsync(), TimeSpan.FromSeconds(8), "the error");

        Assert.Equal("timed_out", message.Reason());
        Assert.Empty(deaf.Messages("tools/call"));
        Assert.Equal("nothing", (await other.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task Breaker_OpenedByGarbage_RefusesAtOnceAndHealsByItself()
    {
        var bad = new FakeUpstream("bad") { Intercept = e => Garbage(e, Body("nope")) };
        await using var gateway = await GatewayFixture.StartAsync(null, bad, new FakeUpstream("good"));
        var client = await gateway.ClientAsync(path: "/mcp");
        await gateway.UntilAsync(() => gateway.Get<Catalogue>().FindAny("bad")[ListKind.Tools] is not null, "the first looks are over");
        var health = gateway.Get<UpstreamTable>().Find("bad")!.Health;
        for (var i = 0; i < UpstreamHealth.Threshold; i++)
        {
            Assert.Equal(Unknown, (await client.ResultAsync("bad__echo")).Reason());
        }

        Assert.Equal(UpstreamState.Away, health.State);
        var refused = await client.ResultAsync("bad__echo");
        Assert.Equal(("upstream_unreachable", "no"), (refused.Reason(), refused.Executed()));
        Assert.Equal(UpstreamHealth.Threshold, bad.Messages("tools/call").Count);
        Assert.Equal("nothing", (await client.ResultAsync("good__echo")).Text());

        // No call asks for it: the gateway's own probe finds the server well.
        bad.Intercept = null;
        await gateway.UntilAsync(() => health.State == UpstreamState.Ready, "the server is back", TimeSpan.FromSeconds(40));
        Assert.Equal("nothing", (await client.ResultAsync("bad__echo")).Text());
    }

    private static bool Garbage(UpstreamExchange exchange, Func<UpstreamExchange, Task> answer)
    {
        if ((string?)exchange.Message?["method"] != "tools/call")
        {
            return false;
        }

        _ = answer(exchange);
        return true;
    }

    private static Func<UpstreamExchange, Task> Body(string body, string type = "application/json") => e =>
    {
        e.Status(HttpStatusCode.OK, body, type);
        return Task.CompletedTask;
    };

    private static string Answer(UpstreamExchange exchange) => $$$"""{"jsonrpc":"2.0","id":{{{exchange.Id}}},"result":{"text":"?"}}""";

    private static Task Raw(UpstreamExchange exchange, HttpContent content, string type = "application/json", string? encoding = null)
    {
        exchange.Raw(content, type, encoding);
        return Task.CompletedTask;
    }

    /// <summary>The same in bytes, with the question mark as one that begins a character and is alone.</summary>
    private static byte[] Spoil(string text) => [.. Encoding.UTF8.GetBytes(text).Select(b => b == '?' ? (byte)0xE9 : b)];

    private static byte[] Gzip(string text)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest))
        {
            gzip.Write(Encoding.UTF8.GetBytes(text));
        }

        return packed.ToArray();
    }

    private static Func<UpstreamExchange, Task> Status(int status, string body = "") => e =>
    {
        e.Status((HttpStatusCode)status, body);
        return Task.CompletedTask;
    };

    private static Func<UpstreamExchange, Task> Stream(string text, bool cut = false) => async e =>
    {
        await e.RawAsync(text);
        if (cut)
        {
            e.Cut();
        }
        else
        {
            e.End();
        }
    };
}
