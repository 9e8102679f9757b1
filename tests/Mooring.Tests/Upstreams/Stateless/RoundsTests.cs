using System.Net;
using System.Text.Json.Nodes;
using Mooring.Upstreams.Stateless;
using Xunit;

namespace Mooring.Tests.Upstreams.Stateless;

/// <summary>Results that ask for more, and clients that are asked by requests.</summary>
public sealed class RoundsTests
{
    private const string Everything = """{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{}}""";

    private const string Name = """{"who":{"method":"elicitation/create","params":{"mode":"form","message":"Who?","requestedSchema":{"type":"object"}}}}""";

    private static readonly TimeSpan AMinute = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Call_AsksForAll_IsSentAgainWithEachAnswerAndTheExactState()
    {
        await using var gateway = await Servers.StartAsync();
        var client = await gateway.ClientAsync(capabilities: Everything);

        var posting = client.CallAsync("slow", """{"a":1}""");
        var first = await Servers.Of(gateway).CallAsync();
        first.AsksFor("""{"who":{"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object"}}},"what":{"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}},"where":{"method":"roots/list"}}""", "\"st\\u0061te \\\"1\\\"\"");
        using var reply = await Limit.Of(posting, "the head");
        var questions = new[] { await reply.MessageAsync(), await reply.MessageAsync(), await reply.MessageAsync() };
        Assert.Equal(["elicitation/create", "sampling/createMessage", "roots/list"], questions.Select(q => (string?)q["method"]));
        await AnswerAsync(client, questions[2], """{"roots":[]}""");
        await AnswerAsync(client, questions[0], """{"action":"accept","content":{"name":"Ada"}}""");
        await AnswerAsync(client, questions[1], """{"role":"assistant","model":"m","content":{"type":"text","text":"x"}}""");

        var second = await Servers.Of(gateway).CallAsync();
        second.Text("done");

        Assert.Equal("done", (await reply.MessageAsync()).Text());
        Assert.NotEqual(first.Id, second.Id);
        var parameters = second.Message!["params"]!;
        Assert.Equal("Ada", (string?)parameters["inputResponses"]!["who"]!["content"]!["name"]);
        Assert.Equal("x", (string?)parameters["inputResponses"]!["what"]!["content"]!["text"]);
        Assert.Empty(parameters["inputResponses"]!["where"]!["roots"]!.AsArray());
        Assert.Contains("\"requestState\":\"st\\u0061te \\\"1\\\"\"", second.Body, StringComparison.Ordinal);
        Assert.Equal(1, (int?)parameters["arguments"]!["a"]);
        Assert.Empty(Servers.Of(gateway).Faults);
    }

    [Fact]
    public async Task Question_WithParametersOfNull_IsOneWithout()
    {
        await using var gateway = await Servers.StartAsync();
        var client = await gateway.ClientAsync(capabilities: Everything);

        var posting = client.CallAsync("slow");
        (await Servers.Of(gateway).CallAsync()).AsksFor("""{"where":{"method":"roots/list","params":null}}""");
        using var reply = await Limit.Of(posting, "the head");
        var question = await reply.MessageAsync();
        Assert.Equal("roots/list", (string?)question["method"]);
        await AnswerAsync(client, question, """{"roots":[]}""");

        (await Servers.Of(gateway).CallAsync()).Text("done");
        Assert.Equal("done", (await reply.MessageAsync()).Text());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Question_WithoutAMethod_EndsTheCallAsTheServersFault(bool hasSession)
    {
        await using var gateway = await Servers.StartAsync();
        var posting = hasSession
            ? (await gateway.ClientAsync(capabilities: Everything)).CallAsync("slow")
            : new StatelessClient(gateway.Http, capabilities: Everything).CallAsync("slow");

        (await Servers.Of(gateway).CallAsync()).AsksFor("""{"where":{"params":{}}}""");

        using var reply = await Limit.Of(posting, "the head");
        Assert.Contains("asked for input without a method", (string?)(await reply.MessageAsync())["error"]!["message"], StringComparison.Ordinal);
        Assert.DoesNotContain(gateway.LogLines.Lines, line => line.Contains("CallRunnerFailed", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("""{"action":"decline"}""", "decline")]
    [InlineData("""{"action":"cancel"}""", "cancel")]
    [InlineData(null, "cancel")]
    public async Task Client_Declines_TheServerIsToldSo(string? result, string action)
    {
        await using var gateway = await Servers.StartAsync();
        var client = await gateway.ClientAsync(capabilities: Everything);

        var posting = client.CallAsync("slow");
        (await Servers.Of(gateway).CallAsync()).AsksFor(Name);
        using var reply = await Limit.Of(posting, "the head");
        await AnswerAsync(client, await reply.MessageAsync(), result);

        var second = await Servers.Of(gateway).CallAsync();
        second.Text("then not");
        Assert.Equal(action, (string?)second.Message!["params"]!["inputResponses"]!["who"]!["action"]);
        Assert.Null(second.Message["params"]!["requestState"]);
        Assert.Equal("then not", (await reply.MessageAsync()).Text());
    }

    [Fact]
    public async Task Client_HasNoSample_TheCallEndsWithThat()
    {
        await using var gateway = await Servers.StartAsync();
        var client = await gateway.ClientAsync(capabilities: Everything);

        var posting = client.CallAsync("slow");
        (await Servers.Of(gateway).CallAsync()).AsksFor("""{"what":{"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}}""");
        using var reply = await Limit.Of(posting, "the head");
        await AnswerAsync(client, await reply.MessageAsync(), null);

        var answer = await reply.MessageAsync();
        Assert.Contains("sorry", (string?)answer["error"]!["message"], StringComparison.Ordinal);
        Assert.Single(gateway.Upstream.Messages("tools/call"));
    }

    [Fact]
    public async Task Call_OnlyWantsToBeAskedAgain_IsAfterAPause()
    {
        await using var gateway = await Servers.StartAsync();
        var client = await gateway.ClientAsync();

        var posting = client.ResultAsync("slow");
        (await Servers.Of(gateway).CallAsync()).Result("""{"resultType":"input_required","requestState":"later"}""");
        var second = Servers.Of(gateway).CallAsync();
        var call = await gateway.PassTimeAsync(second, AMinute, "the second round");
        call.Text("done");

        Assert.Equal("later", (string?)call.Message!["params"]!["requestState"]);
        Assert.Null(call.Message["params"]!["inputResponses"]);
        Assert.Equal("done", (await posting).Text());
    }

    [Fact]
    public async Task Call_AsksForEver_IsEnded()
    {
        await using var gateway = await Servers.StartAsync();
        var client = await gateway.ClientAsync();
        Servers.Of(gateway).Intercept = e =>
        {
            if ((string?)e.Message?["method"] != "tools/call")
            {
                return false;
            }

            e.Result("""{"resultType":"input_required","requestState":"more"}""");
            return true;
        };

        var answer = await gateway.PassTimeAsync(client.ResultAsync("slow"), TimeSpan.FromMinutes(4), "the end");

        Assert.Equal("wrong_answer", answer.Reason());
        Assert.Equal(StatelessLink.MaxRounds + 1, gateway.Upstream.Messages("tools/call").Count);
    }

    [Fact]
    public async Task Call_CancelledWhileTheClientIsAsked_TheQuestionIsTakenBack()
    {
        await using var gateway = await Servers.StartAsync();
        var client = await gateway.ClientAsync(capabilities: Everything);

        var posting = client.CallAsync("slow", id: "5");
        (await Servers.Of(gateway).CallAsync()).AsksFor(Name);
        using var reply = await Limit.Of(posting, "the head");
        var question = await reply.MessageAsync();
        Assert.Equal(1, gateway.Session(client).Questions.Count);
        await client.NotifyAsync("notifications/cancelled", """{"requestId":5}""");

        await gateway.UntilAsync(() => gateway.Session(client).Questions.Count == 0, "nobody is asked any more");
        Assert.Single(gateway.Upstream.Messages("tools/call"));
        _ = question;
    }

    [Fact]
    public async Task Call_ClientIsSlowToAnswer_OnlyTheHardCapCounts()
    {
        await using var gateway = await Servers.StartAsync();
        var client = await gateway.ClientAsync(capabilities: Everything);

        var posting = client.CallAsync("slow");
        (await Servers.Of(gateway).CallAsync()).AsksFor(Name);
        using var reply = await Limit.Of(posting, "the head");
        var question = await reply.MessageAsync();
        gateway.Advance(TimeSpan.FromMinutes(10));
        await AnswerAsync(client, question, """{"action":"accept","content":{}}""");

        (await Servers.Of(gateway).CallAsync()).Text("done");
        Assert.Equal("done", (await reply.MessageAsync()).Text());
    }

    [Fact]
    public async Task Url_ToOpen_HasAnIdByWhichTheClientHearsThatItIsDone()
    {
        await using var gateway = await Servers.StartAsync();
        var client = await gateway.ClientAsync(capabilities: Everything);

        var posting = client.CallAsync("slow");
        (await Servers.Of(gateway).CallAsync()).AsksFor("""{"pay":{"method":"elicitation/create","params":{"mode":"url","message":"Pay","url":"https://pay.test/1"}}}""");
        using var reply = await Limit.Of(posting, "the head");
        var question = await reply.MessageAsync();
        var id = (string?)question["params"]!["elicitationId"];
        await AnswerAsync(client, question, """{"action":"accept"}""");
        (await Servers.Of(gateway).CallAsync()).Text("paid");

        var complete = await reply.MessageAsync();
        Assert.NotNull(id);
        Assert.Equal(("notifications/elicitation/complete", id), ((string?)complete["method"], (string?)complete["params"]!["elicitationId"]));
        Assert.Equal("paid", (await reply.MessageAsync()).Text());
    }

    [Fact]
    public async Task Answers_ServerCannotBeReached_AreSentAgainAndNeverTheFirstRequest()
    {
        await using var gateway = await Servers.StartAsync();
        var client = await gateway.ClientAsync(capabilities: Everything);

        var posting = client.CallAsync("slow");
        (await Servers.Of(gateway).CallAsync()).AsksFor(Name);
        using var reply = await Limit.Of(posting, "the head");
        var question = await reply.MessageAsync();
        Servers.Of(gateway).Intercept = e =>
        {
            if ((string?)e.Message?["method"] != "tools/call")
            {
                return false;
            }

            e.Fail(HttpRequestError.ConnectionError);
            return true;
        };
        await AnswerAsync(client, question, """{"action":"accept","content":{}}""");

        var answer = await gateway.PassTimeAsync(reply.MessageAsync(), AMinute, "the end");
        Assert.Equal(("outcome_unknown", "unknown"), (answer.Reason(), answer.Executed()));
        Assert.All(gateway.Upstream.Messages("tools/call").Skip(1), m => Assert.NotNull(m["params"]!["inputResponses"]));
        Assert.True(gateway.Upstream.Messages("tools/call").Count > 2);
        Assert.Single(gateway.LogLines.Lines, l => l.StartsWith("Information CallSentAgain: A call of slow to server one is sent again (answers): 4 times before it was over; at last: ", StringComparison.Ordinal));
        Assert.Equal(["mooring_calls_replayed_total{server=\"one\",reason=\"answers\"} 4"], await gateway.MetricsAsync("mooring_calls_replayed_total{"));
    }

    [Fact]
    public async Task Call_AsksAndThenIsATask_IsFollowedToItsEnd()
    {
        await using var gateway = await Servers.StartAsync();
        var client = await gateway.ClientAsync(capabilities: Everything);
        Servers.Of(gateway).Intercept = e => Answers(e, "tasks/get", () => e.Result("""{"resultType":"complete","taskId":"theirs","status":"completed","result":{"content":[{"type":"text","text":"paid"}]}}"""));

        var posting = client.CallAsync("slow");
        (await Servers.Of(gateway).CallAsync()).AsksFor("""{"pay":{"method":"elicitation/create","params":{"mode":"url","message":"Pay","url":"https://pay.test/1"}}}""");
        using var reply = await Limit.Of(posting, "the head");
        await AnswerAsync(client, await reply.MessageAsync(), """{"action":"accept"}""");
        (await Servers.Of(gateway).CallAsync()).Result("""{"resultType":"task","taskId":"theirs","status":"working","pollIntervalMs":200}""");

        // The question was answered; the task is another matter.
        Assert.Equal("notifications/elicitation/complete", (string?)(await reply.MessageAsync())["method"]);
        Assert.Equal("paid", (await gateway.PassTimeAsync(reply.MessageAsync(), AMinute, "the end")).Text());
        Assert.Equal("theirs", (string?)gateway.Upstream.Messages("tasks/get")[0]["params"]!["taskId"]);
        Assert.Equal(2, gateway.Upstream.Messages("tools/call").Count);
    }

    [Fact]
    public async Task Answers_HeadersMissingAtTheServer_ToolsAreReadAgainAndTheAnswersSentOnceMore()
    {
        await using var gateway = await Servers.StartAsync();
        var client = await gateway.ClientAsync(capabilities: Everything);

        var posting = client.CallAsync("slow", """{"region":"here"}""");
        (await Servers.Of(gateway).CallAsync()).AsksFor(Name);
        using var reply = await Limit.Of(posting, "the head");
        Servers.Of(gateway).Tools = """[{"name":"slow","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}]""";
        await AnswerAsync(client, await reply.MessageAsync(), """{"action":"accept","content":{}}""");
        (await Servers.Of(gateway).CallAsync()).Refuse(HttpStatusCode.BadRequest, -32020, "Mcp-Param-Region is missing");
        var again = await Servers.Of(gateway).CallAsync();
        again.Text("done");

        Assert.Equal("done", (await reply.MessageAsync()).Text());
        Assert.Equal(("here", "accept"), (again.Header("Mcp-Param-Region"), (string?)again.Message!["params"]!["inputResponses"]!["who"]!["action"]));
    }

    [Theory]
    [InlineData(-32020, null)]
    [InlineData(-32022, """{"supported":["2026-07-28"]}""")]
    [InlineData(-32022, """{"supported":["2025-11-25"]}""")]
    public async Task Answers_RefusedForWhatTheGatewaySaid_IsNotTheClientsAffair(int code, string? data)
    {
        await using var gateway = await Servers.StartAsync();
        var (client, reply, question) = await AskedAsync(gateway);
        Servers.Of(gateway).Intercept = e => Answers(e, "tools/call", () => e.Refuse(HttpStatusCode.BadRequest, code, "never right", data));

        await AnswerAsync(client, question, """{"action":"accept","content":{}}""");

        var answer = await reply.MessageAsync();
        Assert.Equal((-32603, "upstream_refused"), (answer.ErrorCode(), answer.Reason()));
        reply.Dispose();
    }

    [Fact]
    public async Task Answers_ServerIsOneWithSessionsByNow_IsOutcomeUnknownAtOnce()
    {
        await using var gateway = await Servers.StartAsync();
        var (client, reply, question) = await AskedAsync(gateway);
        Servers.Of(gateway).Intercept = e =>
            Answers(e, "tools/call", () => e.Status(HttpStatusCode.NotFound, "what?", "text/plain"))
            || Answers(e, "server/discover", () => e.Refuse(HttpStatusCode.BadRequest, -32601, "Method not found"));

        await AnswerAsync(client, question, """{"action":"accept","content":{}}""");

        Assert.Equal(("outcome_unknown", 2), ((await reply.MessageAsync()).Reason(), gateway.Upstream.Messages("tools/call").Count));
        reply.Dispose();
    }

    /// <summary>A client whose call asks it something.</summary>
    private static async Task<(McpTestClient Client, TestReply Reply, JsonObject Question)> AskedAsync(GatewayFixture gateway)
    {
        var client = await gateway.ClientAsync(capabilities: Everything);
        var posting = client.CallAsync("slow");
        (await Servers.Of(gateway).CallAsync()).AsksFor(Name);
        var reply = await Limit.Of(posting, "the head");
        return (client, reply, await reply.MessageAsync());
    }

    private static bool Answers(UpstreamExchange exchange, string method, Action answer)
    {
        if ((string?)exchange.Message?["method"] != method)
        {
            return false;
        }

        answer();
        return true;
    }

    /// <param name="result">The client's result; null: an error.</param>
    private static async Task AnswerAsync(McpTestClient client, JsonObject question, string? result)
    {
        var said = result is null ? """ "error":{"code":-1,"message":"sorry"} """ : $"\"result\":{result}";
        using var reply = await client.PostAsync($$"""{"jsonrpc":"2.0","id":{{question.RawId()}},{{said}}}""");
        Assert.Equal(HttpStatusCode.Accepted, reply.Status);
    }
}
