using System.Net;
using System.Text.Json.Nodes;
using Mooring.FrontDoor;
using Xunit;

namespace Mooring.Tests.FrontDoor;

/// <summary>What servers ask in the middle of a call of a client without sessions: asked in its answer, answered by its retry, on the same call.</summary>
public sealed class StatelessInputTests
{
    private const string Capabilities = """{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{}}""";

    private const string Elicit = """{"jsonrpc":"2.0","id":"s1","method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}""";

    private const string Accept = """{"action":"accept","content":{"name":"Ann"}}""";

    [Fact]
    public async Task Question_IsAskedInTheAnswer_AndTheRetryGoesOnWithTheSameCall()
    {
        await using var gateway = await StartAsync();
        var client = Client(gateway);
        var (call, asked) = await AskAsync(gateway, client);

        Assert.Equal("input_required", (string?)asked["result"]!["resultType"]);
        Assert.Null(asked["result"]!["ttlMs"]);
        var (key, question) = Assert.Single(asked["result"]!["inputRequests"]!.AsObject());
        Assert.Equal("""{"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}""", question!.ToJsonString());

        var retrying = client.CallAsync("slow", id: "2", rest: Rest(asked, (key, Accept)));
        await AnsweredAsync(gateway, "s1", $$"""{"jsonrpc":"2.0","id":"s1","result":{{Accept}}}""");
        await call.SendTextAsync("Hello Ann");
        using var reply = await Limit.Of(retrying, "the answer");

        var answer = await reply.MessageAsync();
        Assert.Equal(("2", "Hello Ann", "complete"), (answer.RawId()!, answer.Text()!, (string?)answer["result"]!["resultType"]));
        Assert.Equal(1, gateway.Upstream.Executions("slow"));
        Assert.Equal(0, gateway.Get<ParkedCalls>().Count);
    }

    [Fact]
    public async Task Questions_AtOnce_GoOutTogether_AndOnesLeftUnansweredAreAskedAgain()
    {
        await using var gateway = await StartAsync();
        var client = Client(gateway);
        var posting = client.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        await call.SendAsync(Elicit);
        await call.SendAsync("""{"jsonrpc":"2.0","id":2,"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}""");
        await call.SendAsync("""{"jsonrpc":"2.0","id":3,"method":"roots/list"}""");
        await SettledAsync(gateway, call);
        var asked = await AskedAsync(gateway, posting);
        var keys = asked["result"]!["inputRequests"]!.AsObject().ToDictionary(q => (string)q.Value!["method"]!, q => q.Key);
        Assert.Equal("""{"method":"roots/list"}""", asked["result"]!["inputRequests"]![keys["roots/list"]]!.ToJsonString());

        var again = await AskedAsync(gateway, client.CallAsync("slow", rest: Rest(asked, (keys["elicitation/create"], Accept), ("unknown", "{}"), (keys["roots/list"], """{"roots":[]}"""))));

        await AnsweredAsync(gateway, "s1", Accept);
        await AnsweredAsync(gateway, "3", """{"jsonrpc":"2.0","id":3,"result":{"roots":[]}}""");
        Assert.Equal(keys["sampling/createMessage"], Assert.Single(again["result"]!["inputRequests"]!.AsObject()).Key);
        Assert.NotEqual((string?)asked["result"]!["requestState"], (string?)again["result"]!["requestState"]);
    }

    [Fact]
    public async Task Question_AfterQuestion_AsksAgainOnTheRetry()
    {
        await using var gateway = await StartAsync();
        var client = Client(gateway);
        var (call, asked) = await AskAsync(gateway, client);
        var retrying = client.CallAsync("slow", rest: Rest(asked, (Key(asked), Accept)));
        await AnsweredAsync(gateway, "s1", Accept);
        await call.SendAsync("""{"jsonrpc":"2.0","id":"s2","method":"roots/list"}""");

        var again = await AskedAsync(gateway, retrying);

        var last = client.CallAsync("slow", rest: Rest(again, (Key(again), """{"roots":[]}""")));
        await AnsweredAsync(gateway, "s2", """{"roots":[]}""");
        await call.SendTextAsync("done");
        using var reply = await Limit.Of(last, "the answer");
        Assert.Equal("done", (await reply.MessageAsync()).Text());
    }

    [Fact]
    public async Task Progress_AfterTheRetry_ComesUnderTheRetrysToken()
    {
        await using var gateway = await StartAsync();
        var client = Client(gateway);
        var (call, asked) = await AskAsync(gateway, client, """{"progressToken":"first"}""");
        await call.ProgressAsync(1);
        var retrying = client.CallAsync("slow", meta: """{"progressToken":"second"}""", rest: Rest(asked, (Key(asked), Accept)));
        await AnsweredAsync(gateway, "s1", Accept);
        await call.ProgressAsync(2);
        using var reply = await Limit.Of(retrying, "the head of the answer");

        var progress = await reply.Events.MessageAsync();

        Assert.Equal(("second", 2), ((string?)progress["params"]!["progressToken"], (int?)progress["params"]!["progress"]));
    }

    [Fact]
    public async Task Answer_ThatCameWhileTheClientWasAway_IsThereForItsRetry()
    {
        await using var gateway = await StartAsync();
        var client = Client(gateway);
        var (call, asked) = await AskAsync(gateway, client);
        await call.SendTextAsync("without you");
        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call ended");

        using var reply = await client.CallAsync("slow", rest: Rest(asked, (Key(asked), Accept)));

        Assert.Equal("without you", (await reply.MessageAsync()).Text());
    }

    [Fact]
    public async Task Reference_WorksOnce_ForItsUserRouteMethodAndParams_AndAWrongTryDoesNotUseItUp()
    {
        await using var gateway = await StartAsync();
        var ann = Client(gateway, user: "ann");
        var (call, asked) = await AskAsync(gateway, ann);
        var rest = Rest(asked, (Key(asked), Accept));

        foreach (var (wrong, why) in new (Func<Task<TestReply>>, string)[]
        {
            (() => Client(gateway, user: "bob").CallAsync("slow", rest: rest), "another user"),
            (() => Client(gateway).CallAsync("slow", rest: rest), "nobody"),
            (() => Client(gateway, "/mcp", "ann").CallAsync("slow", rest: rest), "another route"),
            (() => ann.CallAsync("echo", rest: rest), "another tool"),
            (() => ann.CallAsync("slow", """{"x":1}""", rest: rest), "other arguments"),
            (() => ann.RequestAsync("prompts/get", $$"""{"name":"slow","arguments":{}{{rest}}}"""), "another method"),
            (() => ann.CallAsync("slow", rest: Rest(asked, "mooring-00000000000000000000000000000000")), "another reference"),
            (() => ann.CallAsync("slow", rest: Rest(asked, "made up")), "no reference of ours"),
            (() => ann.CallAsync("slow", rest: ""","inputResponses":{}"""), "no reference at all"),
            (() => ann.CallAsync("slow", rest: ""","requestState":7"""), "a number"),
            (() => ann.CallAsync("slow", rest: Rest(asked, (Key(asked), "7"))), "an answer that is none"),
            (() => ann.CallAsync("slow", rest: Rest(asked).Replace("{}", "null", StringComparison.Ordinal)), "no answers"),
        })
        {
            using var refused = await wrong();
            var answer = await refused.MessageAsync();
            Assert.True((HttpStatusCode.BadRequest, -32602) == (refused.Status, answer.ErrorCode()), $"{why}: {answer}");
        }

        // As another writer of JSON writes the same.
        var retrying = ann.RequestAsync("tools/call", $$"""{ "arguments" : {  } {{rest}} , "name":"\u0073low" }""");
        await AnsweredAsync(gateway, "s1", Accept);
        await call.SendTextAsync("done");
        using (var reply = await Limit.Of(retrying, "the answer"))
        {
            Assert.Equal("done", (await reply.MessageAsync()).Text());
        }

        using var used = await ann.CallAsync("slow", rest: rest);
        Assert.Equal((HttpStatusCode.BadRequest, -32602), (used.Status, (await used.MessageAsync()).ErrorCode()));
        Assert.Equal(1, gateway.Upstream.Executions("slow"));
        Assert.Equal(0, gateway.Upstream.Executions("echo"));
    }

    [Fact]
    public async Task Client_DoesNotComeBack_ItsServerIsToldNoAndThatNobodyWaits()
    {
        await using var gateway = await StartAsync();
        var client = Client(gateway);
        var posting = client.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        await call.SendAsync(Elicit);
        await call.SendAsync("""{"jsonrpc":"2.0","id":"s2","method":"roots/list"}""");
        await SettledAsync(gateway, call);
        var asked = await AskedAsync(gateway, posting);

        gateway.Advance(TimeSpan.FromMinutes(4.9));
        Assert.Empty(gateway.Upstream.Messages("notifications/cancelled"));
        gateway.Advance(TimeSpan.FromSeconds(10));

        await AnsweredAsync(gateway, "s1", """{"jsonrpc":"2.0","id":"s1","result":{"action":"cancel"}}""");
        await AnsweredAsync(gateway, "s2", "\"error\"");
        await gateway.UntilAsync(() => gateway.Upstream.Messages("notifications/cancelled").Count == 1, "the call is cancelled");
        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call ended");
        using var late = await client.CallAsync("slow", rest: Rest(asked, (Key(asked), Accept)));
        Assert.Equal((HttpStatusCode.BadRequest, -32602), (late.Status, (await late.MessageAsync()).ErrorCode()));
    }

    [Theory]
    [InlineData("{}", Elicit)]
    [InlineData("""{"elicitation":{"url":{}}}""", Elicit)]
    [InlineData("""{"elicitation":{}}""", """{"jsonrpc":"2.0","id":"s1","method":"elicitation/create","params":{"mode":"url","message":"x","url":"https://x.test","elicitationId":"e"}}""")]
    [InlineData("""{"elicitation":{}}""", """{"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}""")]
    [InlineData("""{"sampling":{}}""", """{"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage","params":{"messages":[],"maxTokens":1,"tools":[]}}""")]
    [InlineData("""{"sampling":{}}""", """{"jsonrpc":"2.0","id":"s1","method":"roots/list"}""")]
    [InlineData(Capabilities, """{"jsonrpc":"2.0","id":"s1","method":"tasks/list"}""")]
    public async Task Question_ThatTheClientDidNotDeclare_IsRefusedToItsServer(string capabilities, string question)
    {
        await using var gateway = await StartAsync();
        var posting = new StatelessClient(gateway.Http, capabilities: capabilities).CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();

        await call.SendAsync(question);

        await AnsweredAsync(gateway, "s1", "-32601");
        await call.SendTextAsync("done");
        using var reply = await Limit.Of(posting, "the answer");
        Assert.Equal("done", (await reply.MessageAsync()).Text());
    }

    [Theory]
    [InlineData("{}", "sampling/createMessage", """{"messages":[],"maxTokens":1}""", """{"sampling":{}}""")]
    [InlineData("""{"sampling":{}}""", "sampling/createMessage", """{"messages":[],"maxTokens":1,"tools":[]}""", """{"sampling":{"tools":{}}}""")]
    [InlineData("{}", "elicitation/create", """{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}""", """{"elicitation":{"form":{}}}""")]
    [InlineData("""{"elicitation":{}}""", "elicitation/create", """{"mode":"url","message":"x","url":"https://x.test","elicitationId":"e"}""", """{"elicitation":{"url":{}}}""")]
    [InlineData("{}", "roots/list", null, """{"roots":{}}""")]
    public async Task Call_FailsForWantOfWhatTheClientDidNotDeclare_SaysWhichCapabilitiesItNeeds(string capabilities, string method, string? parameters, string required)
    {
        await using var gateway = await StartAsync();
        var client = new StatelessClient(gateway.Http, capabilities: capabilities);

        foreach (var end in new Func<string, string>[]
        {
            why => $$$"""{"result":{"isError":true,"content":[{"type":"text","text":"Error executing tool slow: {{{why}}}"}]}}""",
            why => $$$"""{"error":{"code":-32603,"message":"MCP error -32601: {{{why}}}"}}""",
        })
        {
            var (call, posting) = await RefusedAsync(gateway, client, method, parameters);
            var why = $"The client did not declare that it takes this {method}.";
            var said = JsonNode.Parse(end(why))!.AsObject();
            (said["jsonrpc"], said["id"]) = ("2.0", JsonNode.Parse(call.Id));
            await call.SendAsync(said.ToJsonString());

            using var reply = await Limit.Of(posting, "the answer");
            var error = (await reply.MessageAsync())["error"]!;
            Assert.Equal((HttpStatusCode.BadRequest, -32021, required), (reply.Status, (int)error["code"]!, error["data"]!["requiredCapabilities"]!.ToJsonString()));
            Assert.Contains(why, (string?)error["message"], StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Call_FailsAtSomethingElseThanWhatWasRefused_OrSucceeds_IsAnsweredAsItsServerSays()
    {
        await using var gateway = await StartAsync();
        var client = new StatelessClient(gateway.Http);

        foreach (var result in new[]
        {
            """{"isError":true,"content":[{"type":"text","text":"The disk is full."}],"resultType":"complete"}""",
            """{"content":[{"type":"text","text":"Not asked: The client did not declare that it takes this roots/list."}],"resultType":"complete"}""",
        })
        {
            var (call, posting) = await RefusedAsync(gateway, client, "roots/list", null);
            await call.SendAsync($$"""{"jsonrpc":"2.0","id":{{call.Id}},"result":{{result}}}""");

            using var reply = await Limit.Of(posting, "the answer");
            var came = (await reply.MessageAsync())["result"]!.AsObject();
            Assert.True(came.Remove("_meta"));
            Assert.Equal((HttpStatusCode.OK, result), (reply.Status, came.ToJsonString()));
        }
    }

    [Fact]
    public async Task Question_InAnswerToAMethodThatCannotAsk_IsRefusedToItsServer()
    {
        await using var gateway = await StartAsync();
        UpstreamExchange? asked = null;
        gateway.Upstream.Intercept = exchange => (string?)exchange.Message?["method"] == "completion/complete" && (asked = exchange) is not null;
        var posting = Client(gateway).RequestAsync("completion/complete", """{"ref":{"type":"ref/prompt","name":"x"},"argument":{"name":"a","value":"b"}}""");
        await gateway.UntilAsync(() => asked is not null, "the request came");

        await asked!.SendAsync(Elicit);

        await AnsweredAsync(gateway, "s1", "-32601");
        await asked.SendAsync($$$$"""{"jsonrpc":"2.0","id":{{{{asked.Id}}}},"result":{"completion":{"values":[]}}}""");
        using var reply = await Limit.Of(posting, "the answer");
        Assert.NotNull((await reply.MessageAsync())["result"]);
    }

    [Fact]
    public async Task Page_ToVisit_IsAskedWithoutAnIdOfItsOwn()
    {
        await using var gateway = await StartAsync();
        var (_, asked) = await AskAsync(gateway, Client(gateway), question:
            """{"jsonrpc":"2.0","id":"s1","method":"elicitation/create","params":{"mode":"url","elicitationId":"e1","message":"x","url":"https://x.test"}}""");

        Assert.Equal("""{"mode":"url","message":"x","url":"https://x.test"}""", asked["result"]!["inputRequests"]![Key(asked)]!["params"]!.ToJsonString());
    }

    [Fact]
    public async Task Error_ThatWantsAPageVisited_IsAsked_AndTheRetryIsRunAnew()
    {
        await using var gateway = await StartAsync();
        var client = Client(gateway);
        var posting = client.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        call.Status(HttpStatusCode.OK, $$$$"""{"jsonrpc":"2.0","id":{{{{call.Id}}}},"error":{"code":-32042,"message":"x","data":{"elicitations":[{"mode":"url","elicitationId":"e1","message":"x","url":"https://x.test"}]}}}""");
        using var first = await Limit.Of(posting, "the answer");
        var asked = await first.MessageAsync();
        Assert.Equal("""{"method":"elicitation/create","params":{"mode":"url","message":"x","url":"https://x.test"}}""", asked["result"]!["inputRequests"]![Key(asked)]!.ToJsonString());

        var retrying = client.CallAsync("slow", id: "22", rest: Rest(asked, (Key(asked), """{"action":"accept"}""")));
        var again = await gateway.Upstream.CallAsync();
        Assert.Equal("""{"name":"slow","arguments":{}}""", JsonNode.Parse(again.Body)!["params"]!.AsObject() is var sent && sent.Remove("_meta") ? sent.ToJsonString() : "");
        again.Text("visited");

        using var reply = await Limit.Of(retrying, "the answer");
        Assert.Equal("visited", (await reply.MessageAsync()).Text());
    }

    [Fact]
    public async Task Question_TakenBackByItsServer_IsNoLongerAsked()
    {
        await using var gateway = await StartAsync();
        var client = Client(gateway);
        var posting = client.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        await call.SendAsync(Elicit);
        await call.SendAsync("""{"jsonrpc":"2.0","id":"s2","method":"roots/list"}""");
        await SettledAsync(gateway, call);
        await call.SendAsync("""{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"s1"}}""");
        await SettledAsync(gateway, call);
        await call.SendAsync("""{"jsonrpc":"2.0","id":"s3","method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}""");
        await SettledAsync(gateway, call);

        var asked = await AskedAsync(gateway, posting);

        Assert.Equal(["roots/list", "sampling/createMessage"], asked["result"]!["inputRequests"]!.AsObject().Select(q => (string?)q.Value!["method"]));
    }

    [Fact]
    public async Task Calls_MoreThanMayWait_AreDeclinedToTheirServers()
    {
        await using var gateway = await StartAsync(1);
        var client = Client(gateway, user: "ann");
        await AskAsync(gateway, client);
        var posting = client.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        await call.SendAsync(Elicit.Replace("s1", "s9", StringComparison.Ordinal));
        await SettledAsync(gateway, call);
        gateway.Advance(TimeSpan.FromMilliseconds(100));

        await AnsweredAsync(gateway, "s9", "waitingCallsPerUser");
        await call.SendTextAsync("done");
        using var reply = await Limit.Of(posting, "the answer");
        Assert.Equal("done", (await reply.MessageAsync()).Text());
        var (_, asked) = await AskAsync(gateway, Client(gateway, user: "bob"));
        Assert.NotNull(asked["result"]!["requestState"]);
    }

    [Fact]
    public async Task Client_LeavesOnTheRetry_TheCallIsCancelled()
    {
        await using var gateway = await StartAsync();
        var client = Client(gateway);
        var (call, asked) = await AskAsync(gateway, client);
        using var leaving = new CancellationTokenSource();
        _ = client.CallAsync("slow", rest: Rest(asked, (Key(asked), Accept)), cancel: leaving.Token);
        await AnsweredAsync(gateway, "s1", Accept);

        await leaving.CancelAsync();

        await gateway.UntilAsync(() => gateway.Upstream.Messages("notifications/cancelled").Count == 1, "the server was told");
        Assert.Equal(call.Id, gateway.Upstream.Messages("notifications/cancelled")[0]["params"]!["requestId"]!.ToJsonString());
    }

    /// <summary>In the answer that carries it, it stands deeper than it came.</summary>
    [Fact]
    public async Task Question_AsDeepAsAMessageMayBe_IsAskedAllTheSame()
    {
        await using var gateway = await StartAsync();
        var client = Client(gateway);
        var deep = $"{new string('[', 62)}{new string(']', 62)}";
        var posting = client.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        await call.SendAsync($$$"""{"jsonrpc":"2.0","id":"s1","method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}},"x":{{{deep}}}}}""");
        await SettledAsync(gateway, call);

        using var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(1), "the question");

        var body = await gateway.PassTimeAsync(reply.BodyAsync(), TimeSpan.FromSeconds(1), "the question");
        Assert.Contains("\"input_required\"", body, StringComparison.Ordinal);
        Assert.Contains(deep, body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Question_OutsideOfCalls_IsRefusedToItsServer()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream { HasGetStream = true });
        var client = Client(gateway);
        await client.ResultAsync("tools/call", """{"name":"echo"}""");
        var session = gateway.Upstream.Requests.Last(r => (string?)r.Message?["method"] == "tools/call").Session;
        var get = await gateway.Upstream.GetAsync();
        while (get.Session != session)
        {
            get = await gateway.Upstream.GetAsync();
        }

        await get.SendAsync(Elicit);

        await AnsweredAsync(gateway, "s1", "-32601");
    }

    private static Task<GatewayFixture> StartAsync(int? perUser = null) => GatewayFixture.StartAsync(
        new FixtureOptions { Config = c => c with { Limits = c.Limits with { WaitingCallsPerUser = perUser } } }, new FakeUpstream().Hold("slow"));

    private static StatelessClient Client(GatewayFixture gateway, string path = "/servers/one/mcp", string? user = null) => new(gateway.Http, path, user, Capabilities);

    /// <summary>Calls the tool and has its server ask.</summary>
    private static async Task<(UpstreamExchange Call, JsonObject Asked)> AskAsync(GatewayFixture gateway, StatelessClient client, string? meta = null, string question = Elicit)
    {
        var posting = client.CallAsync("slow", meta: meta);
        var call = await gateway.Upstream.CallAsync();
        await call.SendAsync(question);
        await SettledAsync(gateway, call);
        return (call, await AskedAsync(gateway, posting));
    }

    private static async Task<JsonObject> AskedAsync(GatewayFixture gateway, Task<TestReply> posting)
    {
        using var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(1), "the questions");
        var asked = await gateway.PassTimeAsync(reply.MessageAsync(), TimeSpan.FromSeconds(1), "the questions");
        Assert.Equal("input_required", (string?)asked["result"]?["resultType"]);
        return asked;
    }

    /// <summary>Waits until the server has an answer to its question, and checks that it says something.</summary>
    private static async Task AnsweredAsync(GatewayFixture gateway, string id, string says)
    {
        string? Answer() => gateway.Upstream.Requests.Select(r => r.Body).FirstOrDefault(b => b.Contains($"\"id\":{(id[0] == 's' ? $"\"{id}\"" : id)},", StringComparison.Ordinal) && !b.Contains("\"method\"", StringComparison.Ordinal));
        await gateway.UntilAsync(() => Answer() is not null, $"the answer to {id}");
        Assert.Contains(says, Answer()!, StringComparison.Ordinal);
    }

    /// <summary>Waits until the gateway has dealt with everything that a server said on its stream: it goes one by one, and a ping it answers itself.</summary>
    private static async Task SettledAsync(GatewayFixture gateway, UpstreamExchange call)
    {
        var id = $"\"ping{gateway.Upstream.Requests.Count}\"";
        await call.SendAsync($$"""{"jsonrpc":"2.0","id":{{id}},"method":"ping"}""");
        await gateway.UntilAsync(() => gateway.Upstream.Requests.Any(r => r.Body.Contains(id, StringComparison.Ordinal)), "the server's messages were taken");
    }

    /// <summary>A call during which its server asked what the client did not declare, and was told so.</summary>
    private static async Task<(UpstreamExchange Call, Task<TestReply> Posting)> RefusedAsync(GatewayFixture gateway, StatelessClient client, string method, string? parameters)
    {
        var posting = client.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        var id = $"s{gateway.Upstream.Requests.Count}";
        await call.SendAsync($$"""{"jsonrpc":"2.0","id":"{{id}}","method":"{{method}}"{{(parameters is null ? "" : $",\"params\":{parameters}")}}}""");
        await AnsweredAsync(gateway, id, "-32601");
        return (call, posting);
    }

    private static string Key(JsonObject asked) => asked["result"]!["inputRequests"]!.AsObject().First().Key;

    private static string Rest(JsonObject asked, params (string Key, string Answer)[] answers) => Rest(asked, (string)asked["result"]!["requestState"]!, answers);

    private static string Rest(JsonObject asked, string state, params (string Key, string Answer)[] answers)
    {
        Assert.NotNull(asked);
        return $",\"requestState\":\"{state}\",\"inputResponses\":{{{string.Join(',', answers.Select(a => $"\"{a.Key}\":{a.Answer}"))}}}";
    }
}
