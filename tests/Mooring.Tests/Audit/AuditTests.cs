using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Mooring.Auth;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Tests.Auth;
using Mooring.Tests.Tasks;
using Xunit;

namespace Mooring.Tests.Audit;

/// <summary>What the audit log says of calls and of people who come in, and what it never says.</summary>
public sealed class AuditTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mooring-audit-").FullName;

    private string Path => System.IO.Path.Combine(_folder, "audit.jsonl");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Call_ThatIsAnswered_IsOneLine_WhoWhatWhenHowLongAndWhere()
    {
        string replica;
        await using (var gateway = await StartAsync())
        {
            replica = gateway.Get<Mooring.Replicas.Peers>().Name;
            var client = await gateway.ClientAsync(user: "ann", path: "/mcp");
            var calling = client.CallAsync("one__slow", """{ "text":"x" }""");
            var call = await gateway.Upstream.CallAsync();
            gateway.Advance(TimeSpan.FromMilliseconds(100));
            call.Text("done");
            (await Limit.Of(calling, "the answer")).Dispose();
            await client.ResultAsync("one__echo");
            await client.RequestAsync("ping");
        }

        var lines = Lines("call");
        Assert.Equal(2, lines.Count);
        var line = lines[0];
        Assert.Equal(("result", "https://issuer.test", "ann", "test"), ((string)line["outcome"]!, (string)line["issuer"]!, (string)line["user"]!, (string)line["client"]!));
        Assert.Equal(("one", "tools/call", "slow", replica), ((string)line["server"]!, (string)line["method"]!, (string)line["name"]!, (string)line["replica"]!));
        Assert.Equal(100, (double)line["durationMs"]!);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData("""{ "text":"x" }"""u8)), (string)line["argumentsSha256"]!);
        Assert.Matches("^[0-9a-f]{16}$", (string)line["session"]!);
        Assert.Equal((string)line["session"]!, (string)lines[1]["session"]!);
        Assert.Null(line["arguments"]);
        Assert.Equal("echo", (string)lines[1]["name"]!);
    }

    [Fact]
    public async Task Call_HoweverItEnds_ItsOutcomeIsNamed()
    {
        await using (var gateway = await StartAsync(c => c with
        {
            Policies = new PoliciesConfig { Default = PolicyEffect.Allow, Rules = [new PolicyRuleConfig { Tools = ["forbidden"], Effect = PolicyEffect.Deny }] },
        }))
        {
            var client = await gateway.ClientAsync(user: "ann");
            await client.ResultAsync("forbidden");
            await OfAsync(call => call.Result("""{"content":[],"isError":true}"""));
            await OfAsync(call => call.Error(-32001, "no"));
            var lost = client.CallAsync("slow");
            (await gateway.Upstream.CallAsync()).Fail(HttpRequestError.ResponseEnded);
            (await gateway.PassTimeAsync(lost, TimeSpan.FromMinutes(1), "the answer")).Dispose();
            var cancelled = client.CallAsync("slow", id: "77");
            await gateway.Upstream.CallAsync();
            await client.NotifyAsync("notifications/cancelled", """{"requestId":77}""");
            (await gateway.PassTimeAsync(cancelled, TimeSpan.FromMinutes(1), "the answer")).Dispose();
            using var stateless = await new StatelessClient(gateway.Http, user: "ann").CallAsync("forbidden");

            async Task OfAsync(Action<UpstreamExchange> answer)
            {
                var calling = client.CallAsync("slow");
                answer(await gateway.Upstream.CallAsync());
                (await Limit.Of(calling, "the answer")).Dispose();
            }
        }

        Assert.Equal(["denied", "tool_error", "error", "outcome_unknown", "cancelled", "denied"], Lines("call").Select(line => (string)line["outcome"]!));
        Assert.Equal(-32001, (int)Lines("call")[2]["code"]!);
        Assert.All(Lines("call"), line => Assert.Equal("one", (string)line["server"]!));
    }

    [Theory]
    [InlineData("2025-11-25")]
    [InlineData("2026-07-28")]
    public async Task Call_SaysWithWhichKeyAndFromWhere_AndNotTheKey(string version)
    {
        string key, id;
        await using (var gateway = await StartAsync(c => c with { Auth = AuthFixture.Keys }))
        {
            key = await gateway.KeyAsync();
            id = (await new ApiKeys(gateway.Get<IAuthStore>(), gateway.Clock).ListAsync(TestContext.Current.CancellationToken)).Single().Id;
            if (version == StatelessClient.Version)
            {
                using var reply = await new StatelessClient(gateway.Http).CallAsync("echo", headers: [("Authorization", $"Bearer {key}"), ("X-Test-Address", "2001:db8::7")]);
                await reply.MessageAsync();
            }
            else
            {
                var client = await gateway.ClientWithAsync(key, version);
                using var reply = await client.PostAsync("""{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"echo","arguments":{}}}""", headers: ("X-Test-Address", "2001:db8::7"));
                await reply.MessageAsync();
            }
        }

        Assert.Equal(($"api_key:{id}", "2001:db8::7"), With(Assert.Single(Lines("call"))));
        Assert.Equal(($"api_key:{id}", version == StatelessClient.Version ? "2001:db8::7" : "127.0.0.1"), With(Assert.Single(Lines("token_accepted"))));
        Assert.DoesNotContain(key, await File.ReadAllTextAsync(Path, TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Call_OfAClientThatLeft_OrThatBecameATask_IsSaid()
    {
        await using (var gateway = await StartAsync(c => c with { Calls = c.Calls with { TaskAfter = TimeSpan.FromSeconds(30) } }))
        {
            var client = TaskClient.New(gateway);
            var posting = client.CallAsync("slow");
            var call = await gateway.Upstream.CallAsync();
            var created = await gateway.CreatedAsync(posting);
            await call.SendTextAsync("at last");
            await gateway.UntilTaskAsync(client, (string)created["taskId"]!, "completed");

            var leaving = new StatelessClient(gateway.Http).CallAsync("slow");
            await gateway.Upstream.CallAsync();
            (await gateway.PassTimeAsync(leaving, TimeSpan.FromSeconds(1), "the head of the answer")).Dispose();
            await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call was cancelled");
        }

        var lines = Lines("call");
        Assert.Equal(["task", "result", "cancelled"], lines.Select(line => (string)line["outcome"]!));
        Assert.Equal([null, true, null], lines.Select(line => (bool?)line["task"]));
        Assert.Null(lines[0]["session"]);
    }

    [Fact]
    public async Task Subscription_OfAClientWithoutSessions_IsALineToo()
    {
        await using (var gateway = await StartAsync())
        {
            var client = new StatelessClient(gateway.Http);
            await client.ResultAsync("server/discover");
            var (reply, _) = await client.ListenAsync("""{"resourceSubscriptions":["test://one/a"]}""");
            reply.Dispose();
        }

        var line = Assert.Single(Lines("call"));
        Assert.Equal(("result", "one", "resources/subscribe", "test://one/a"), ((string)line["outcome"]!, (string)line["server"]!, (string)line["method"]!, (string)line["name"]!));
    }

    [Fact]
    public async Task Request_ToAServerOfWhichNothingIsAllowed_IsALineToo()
    {
        await using (var gateway = await StartAsync(c => c with { Policies = new PoliciesConfig { Default = PolicyEffect.Deny } }))
        {
            await gateway.SendAsync(HttpMethod.Post, "/servers/one/mcp", null, ("X-Test-User", "ann"));
        }

        var line = Assert.Single(Lines());
        Assert.Equal(("call", "denied", "ann", "one"), ((string)line["event"]!, (string)line["outcome"]!, (string)line["user"]!, (string)line["server"]!));
    }

    [Fact]
    public async Task Call_BeyondTheLimit_IsALineToo()
    {
        await using (var gateway = await StartAsync(c => c with { Limits = c.Limits with { CallsPerUserPerMinute = 1 } }))
        {
            var client = await gateway.ClientAsync(user: "ann");
            await client.ResultAsync("echo");
            (await client.CallAsync("echo")).Dispose();
        }

        Assert.Equal(["result", "rate_limited"], Lines("call").Select(line => (string)line["outcome"]!));
    }

    [Fact]
    public async Task Call_WhereBeginningsAreNoted_HasTwoLines_ThatBelongTogether()
    {
        await using (var gateway = await StartAsync(c => c with { Audit = c.Audit with { Begun = true } }))
        {
            var client = await gateway.ClientAsync(user: "ann");
            var calling = client.CallAsync("slow", """{"text":"x"}""");
            var call = await gateway.Upstream.CallAsync();
            await client.ResultAsync("echo");
            call.Text("done");
            (await Limit.Of(calling, "the answer")).Dispose();
        }

        var lines = Lines("call");
        Assert.Equal(["slow begun", "echo begun", "echo result", "slow result"], lines.Select(line => $"{line["name"]} {line["outcome"]}"));
        Assert.Equal(lines[0]["call"]!.ToJsonString(), lines[3]["call"]!.ToJsonString());
        Assert.Equal(lines[1]["call"]!.ToJsonString(), lines[2]["call"]!.ToJsonString());
        Assert.NotEqual(lines[0]["call"]!.ToJsonString(), lines[1]["call"]!.ToJsonString());
        Assert.Equal((Hash("""{"text":"x"}"""), "ann"), ((string?)lines[0]["argumentsSha256"], (string?)lines[0]["user"]));
        Assert.Null(lines[0]["durationMs"]);
    }

    [Fact]
    public async Task Batch_BeyondTheLimit_EachOfItsCallsIsALine()
    {
        await using (var gateway = await StartAsync(c => c with { Limits = c.Limits with { CallsPerUserPerMinute = 1 } }))
        {
            var client = await gateway.ClientAsync("2025-03-26", user: "ann");
            using var reply = await client.PostAsync("""
                [{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}},{"jsonrpc":"2.0","id":2,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"slow"}}]
                """);
            Assert.Equal(HttpStatusCode.TooManyRequests, reply.Status);
        }

        Assert.Equal(["echo rate_limited", "slow rate_limited"], Lines("call").Select(line => $"{line["name"]} {line["outcome"]}"));
    }

    [Fact]
    public async Task Call_ThatBecameATaskAfterItsClientAnswered_IsSaid()
    {
        await using (var gateway = await StartAsync(c => c with { Calls = c.Calls with { TaskAfter = TimeSpan.FromSeconds(30) } }))
        {
            var client = TaskClient.New(gateway);
            var posting = client.CallAsync("slow", id: "1");
            var call = await gateway.Upstream.CallAsync();
            await call.SendAsync("""{"jsonrpc":"2.0","id":"s1","method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}""");
            using var first = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(1), "the question");
            var asked = (await gateway.PassTimeAsync(first.MessageAsync(), TimeSpan.FromSeconds(1), "the question"))["result"]!;
            var key = asked["inputRequests"]!.AsObject().First().Key;
            const string decline = """{"action":"decline"}""";
            var created = await gateway.CreatedAsync(client.CallAsync("slow", id: "2", rest: $$""","requestState":"{{(string)asked["requestState"]!}}","inputResponses":{"{{key}}":{{decline}}}"""));
            await call.SendTextAsync("at last");
            await gateway.UntilTaskAsync(client, (string)created["taskId"]!, "completed");
        }

        Assert.Equal(["task ", "result true"], Lines("call").Select(line => $"{line["outcome"]} {line["task"]}"));
    }

    [Fact]
    public async Task Refused_AgainAndAgain_IsOneLine_AndTheNextOneSaysHowManyMore()
    {
        await using (var gateway = await StartAsync(c => c with
        {
            Auth = AuthFixture.Keys,
            Policies = new PoliciesConfig { Default = PolicyEffect.Deny },
        }))
        {
            var key = await gateway.KeyAsync();
            for (var i = 0; i < 5; i++)
            {
                await gateway.SendAsync(HttpMethod.Post, "/mcp", $"made up {i}");
                await gateway.SendAsync(HttpMethod.Post, "/servers/one/mcp", key);
            }

            gateway.Clock.Advance(Mooring.Audit.AuditPace.Span);
            await gateway.SendAsync(HttpMethod.Post, "/mcp", "made up");
            await gateway.SendAsync(HttpMethod.Post, "/servers/one/mcp", key);
        }

        foreach (var lines in new[] { Lines("token_refused"), Lines("call") })
        {
            Assert.Equal([null, "and 4 before it that are not noted"], lines.Select(line => (string?)line["reason"]));
        }
    }

    [Fact]
    public void Refused_ByMoreThanAreToldFromEachOther_IsCountedAsOne()
    {
        var clock = new FakeClock();
        var pace = new Mooring.Audit.AuditPace(clock);
        var noted = Enumerable.Range(0, Mooring.Audit.AuditPace.Most * 2).Count(i => pace.TryTake("unknown", $"{i}", out _));
        Assert.Equal(Mooring.Audit.AuditPace.Most + 1, noted);

        clock.Advance(Mooring.Audit.AuditPace.Span);

        Assert.True(pace.TryTake("unknown", "another", out var leftOut));
        Assert.Equal(Mooring.Audit.AuditPace.Most - 1, leftOut);
    }

    [Fact]
    public async Task Batch_EachOfItsCalls_IsALine()
    {
        await using (var gateway = await StartAsync())
        {
            var client = await gateway.ClientAsync("2025-03-26");
            using var reply = await client.PostAsync("""
                [{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"a"}}},{"jsonrpc":"2.0","id":"1","method":"tools/call","params":{"name":"echo","arguments":{"text":"b"}}}]
                """);
            await reply.BodyAsync();
        }

        Assert.Equal(
            new[] { Hash("""{"text":"a"}"""), Hash("""{"text":"b"}""") }.Order(StringComparer.Ordinal),
            Lines("call").Select(line => (string)line["argumentsSha256"]!).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData(AuditArguments.Hash)]
    [InlineData(AuditArguments.Full)]
    [InlineData(AuditArguments.None)]
    public async Task Secrets_InHeadersTokensAndArguments_AreNowhere(AuditArguments arguments)
    {
        const string canary = "c4nary-7f3a";
        FixtureLog log;
        await using (var gateway = await StartAsync(c => c with { Auth = AuthFixture.Keys, Audit = c.Audit with { Arguments = arguments, Log = true } }))
        {
            log = gateway.LogLines;
            var client = await gateway.ClientWithAsync(await gateway.KeyAsync());
            using var reply = await client.PostAsync(
                """{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"echo","arguments":{"text":"plain","api_key":"CANARY","deep":[{"userPassword":{"x":"CANARY"}}]},"_meta":{"x":"CANARY"}}}""".Replace("CANARY", canary),
                headers: [("Cookie", canary), ("X-Other", canary)]);
            Assert.Equal(HttpStatusCode.OK, reply.Status);
            using var read = await client.RequestAsync("resources/read", $$$"""{"uri":"https://user:{{{canary}}}@files.test/a?token={{{canary}}}#{{{canary}}}"}""");
            await gateway.SendAsync(HttpMethod.Post, "/mcp", canary);
            await gateway.SendAsync(HttpMethod.Post, $"/mcp?access_token={canary}", "mrk_" + canary);
        }

        var text = await File.ReadAllTextAsync(Path, TestContext.Current.CancellationToken);
        Assert.DoesNotContain(canary, text, StringComparison.Ordinal);
        Assert.DoesNotContain(log.Lines, line => line.StartsWith("Information Audit:", StringComparison.Ordinal) && line.Contains(canary, StringComparison.Ordinal));
        Assert.Contains(log.Lines, line => line.StartsWith("Information Audit: {\"time\":", StringComparison.Ordinal));
        var call = Lines("call")[0];
        Assert.Equal(arguments == AuditArguments.Full ? """{"text":"plain","api_key":"***","deep":[{"userPassword":"***"}]}""" : null, call["arguments"]?.ToJsonString());
        Assert.Equal(arguments == AuditArguments.Hash, call["argumentsSha256"] is not null);
        Assert.Equal("https://files.test/a", (string)Lines("call")[1]["name"]!);
        Assert.Equal(["ok"], Lines("token_accepted").Select(line => (string)line["outcome"]!));
        Assert.Equal("ann", (string)Lines("token_accepted")[0]["user"]!);
        Assert.Equal(["unknown"], Lines("token_refused").Select(line => (string)line["outcome"]!));
        Assert.Equal("127.0.0.1", (string)Lines("token_refused")[0]["address"]!);
    }

    [Fact]
    public async Task SignIns_AndTokensThatAreGivenAndTakenAway_AreNoted_WithoutAnySecret()
    {
        List<string> secrets = [];
        await using (var gateway = await SignInFixture.StartAsync(null, new FixtureOptions { Config = c => c with { Audit = new AuditConfig { File = Path } } }))
        {
            var client = await TestOAuthClient.RegisterAsync(gateway);
            var browser = new TestBrowser(gateway.Http);
            var (access, refresh) = await client.TokensAsync(browser);
            var (_, json) = await client.RefreshAsync(refresh);
            await client.RevokeAsync((string)json["refresh_token"]!);
            await client.RefreshAsync(refresh);
            secrets = [access, refresh, (string)json["access_token"]!, (string)json["refresh_token"]!, client.Verifier, .. browser.Cookies.Values];
        }

        var text = await File.ReadAllTextAsync(Path, TestContext.Current.CancellationToken);
        Assert.DoesNotContain(secrets, secret => text.Contains(secret, StringComparison.Ordinal));
        Assert.DoesNotContain("\"secret\"", text, StringComparison.Ordinal);
        Assert.Equal(["client_registered ok http://127.0.0.1:7777/callback", "sign_in ok ", "consent allowed mcp for http://127.0.0.1:7777/callback", "token_issued ok code", "token_issued ok refresh token", "token_revoked ok refresh token"],
            Lines().Select(line => $"{line["event"]} {line["outcome"]} {line["reason"]}"));
        Assert.All(Lines().Skip(1), line => Assert.Equal("ann", (string)line["user"]!));
        Assert.Equal(("password", "127.0.0.1"), With(Assert.Single(Lines("sign_in"))));
    }

    [Fact]
    public async Task Off_NothingIsWritten()
    {
        FixtureLog log;
        await using (var gateway = await StartAsync(c => c with { Audit = new AuditConfig() }))
        {
            log = gateway.LogLines;
            await (await gateway.ClientAsync()).ResultAsync("echo");
        }

        Assert.False(File.Exists(Path));
        Assert.DoesNotContain(log.Lines, line => line.StartsWith("Information Audit:", StringComparison.Ordinal));
    }

    /// <summary>With what and from where it was.</summary>
    private static (string?, string?) With(JsonObject line) => ((string?)line["credential"], (string?)line["address"]);

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    private Task<GatewayFixture> StartAsync(Func<MooringConfig, MooringConfig>? config = null) =>
        GatewayFixture.StartAsync(new FixtureOptions { Config = c => (config ?? (same => same))(c with { Audit = new AuditConfig { File = Path } }) }, new FakeUpstream().Hold("slow"));

    private List<JsonObject> Lines(string? what = null) =>
        [.. File.ReadAllLines(Path).Select(line => JsonNode.Parse(line)!.AsObject()).Where(line => what is null || (string)line["event"]! == what)];
}
