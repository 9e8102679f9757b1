using System.Net;
using Mooring.Configuration;
using Mooring.Upstreams;
using Xunit;

namespace Mooring.Tests.Calls;

/// <summary>What may be sent twice and what never (invariant 9), and what becomes of servers that answer badly.</summary>
public sealed class OutcomeTests
{
    private static readonly TimeSpan AMinute = TimeSpan.FromMinutes(1);

    [Theory]
    [InlineData(HttpRequestError.ResponseEnded)]
    [InlineData(HttpRequestError.InvalidResponse)]
    [InlineData(HttpRequestError.Unknown)]
    public async Task Call_ConnectionBreaksAfterSending_IsOutcomeUnknownAndExecutedOnce(HttpRequestError error)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();

        var posting = client.CallAsync("slow");
        (await gateway.Upstream.CallAsync()).Fail(error);
        using var reply = await gateway.PassTimeAsync(posting, AMinute, "the answer");

        var answer = await reply.MessageAsync();
        Assert.Equal(("outcome_unknown", "unknown"), (answer.Reason(), answer.Executed()));
        gateway.Advance(TimeSpan.FromSeconds(20));
        Assert.Equal(1, gateway.Upstream.Executions("slow"));
    }

    [Theory]
    [InlineData("reads")]
    [InlineData("repeats")]
    [InlineData("allowed")]
    public async Task Call_ToolDeclaredSafe_IsSentAgain(string tool)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        using var list = await client.RequestAsync("tools/list");

        var posting = client.CallAsync(tool);
        (await gateway.Upstream.CallAsync()).Fail(HttpRequestError.ResponseEnded);
        var again = gateway.Upstream.CallAsync();
        await gateway.PassTimeAsync(again, AMinute, "the second try");
        (await again).Text("second");

        using var reply = await Limit.Of(posting, "the answer");
        Assert.Equal("second", (await reply.MessageAsync()).Text());
        Assert.Equal(2, gateway.Upstream.Executions(tool));
    }

    [Theory]
    [InlineData(null)]
    [InlineData(HttpStatusCode.BadRequest)]
    public async Task Call_SentAgainAndNotExecutedThen_IsOutcomeUnknown(HttpStatusCode? refused)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        using var list = await client.RequestAsync("tools/list");
        var posting = client.ResultAsync("repeats");
        var first = await gateway.Upstream.CallAsync();
        gateway.Upstream.Intercept = e =>
        {
            if ((string?)e.Message?["method"] != "tools/call")
            {
                return false;
            }

            if (refused is { } status)
            {
                e.Status(status, "no");
            }
            else
            {
                e.Fail(HttpRequestError.ConnectionError);
            }

            return true;
        };

        first.Fail(HttpRequestError.ResponseEnded);

        var answer = await gateway.PassTimeAsync(posting, AMinute, "the answer");
        Assert.Equal(("outcome_unknown", "unknown"), (answer.Reason(), answer.Executed()));
        Assert.Equal(1, gateway.Upstream.Executions("repeats"));
        var line = Assert.Single(gateway.LogLines.Lines, l => l.StartsWith("Information CallNotSentAgain", StringComparison.Ordinal));
        Assert.Contains("A call of repeats to server one is not sent again (gave_up): ", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Call_ReadOnlyToolButConfigForbids_IsExecutedOnce()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        using var list = await client.RequestAsync("tools/list");

        var posting = client.CallAsync("forbidden");
        (await gateway.Upstream.CallAsync()).Fail(HttpRequestError.ResponseEnded);
        using var reply = await gateway.PassTimeAsync(posting, AMinute, "the answer");

        Assert.Equal("outcome_unknown", (await reply.MessageAsync()).Reason());
        Assert.Equal(1, gateway.Upstream.Executions("forbidden"));
    }

    [Fact]
    public async Task Call_ConnectFailsFirst_IsSentAgainAndExecutedOnce()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var refused = 0;
        gateway.Upstream.Intercept = e => (string?)e.Message?["method"] == "tools/call" && Interlocked.Increment(ref refused) <= 2
            ? throw new HttpRequestException(HttpRequestError.ConnectionError, "scripted")
            : false;

        var answer = await gateway.PassTimeAsync(client.ResultAsync("echo"), AMinute, "the answer");

        Assert.Equal("nothing", answer.Text());
        Assert.Equal(1, gateway.Upstream.Executions("echo"));
    }

    [Fact]
    public async Task Calls_WhileTheirServerRestarts_AreAllAnsweredOnceItIsBack()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var health = gateway.Get<UpstreamTable>().Find("one")!.Health;
        var isDown = true;
        gateway.Upstream.Intercept = _ => Volatile.Read(ref isDown) ? throw new HttpRequestException(HttpRequestError.ConnectionError, "scripted") : false;
        var calls = Enumerable.Range(0, 10).Select(_ => client.ResultAsync("echo")).ToList();
        await gateway.UntilAsync(() => health.IsAway, "the breaker is open", TimeSpan.FromSeconds(2));
        gateway.Advance(TimeSpan.FromMilliseconds(300));
        calls.Add(client.ResultAsync("echo"));

        Volatile.Write(ref isDown, false);

        var answers = await gateway.PassTimeAsync(Task.WhenAll(calls), TimeSpan.FromSeconds(8), "the answers");
        Assert.All(answers, answer => Assert.Equal("nothing", answer.Text()));
        Assert.Equal(calls.Count, gateway.Upstream.Executions("echo"));
    }

    [Fact]
    public async Task Calls_AfterTheirServerDiedWithOthersUnderWay_WaitForItToBeBack()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var health = gateway.Get<UpstreamTable>().Find("one")!.Health;
        for (var call = 0; call < UpstreamHealth.Threshold; call++)
        {
            var posting = client.CallAsync("slow");
            (await gateway.Upstream.CallAsync()).Fail(HttpRequestError.ResponseEnded);
            using var reply = await gateway.PassTimeAsync(posting, AMinute, "the answer");
            Assert.Equal("outcome_unknown", (await reply.MessageAsync()).Reason());
        }

        Assert.True(health.IsAway);

        var answer = await gateway.PassTimeAsync(client.ResultAsync("echo"), UpstreamHealth.Restart, "the answer");
        Assert.Equal("nothing", answer.Text());
    }

    [Fact]
    public async Task Call_RefusedForAWhileAndThenItsSessionIsLost_GoesOnInAnother()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        Refuse(gateway.Upstream, times: 5);
        gateway.Upstream.ForgetSessions();

        var answer = await gateway.PassTimeAsync(client.ResultAsync("echo"), AMinute, "the answer");

        Assert.Equal("nothing", answer.Text());
        Assert.Equal(1, gateway.Upstream.Executions("echo"));
    }

    [Fact]
    public async Task Call_SafeToRepeatAndRefusedForAWhile_IsSentAsOftenAsAnyOther()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        using var list = await client.RequestAsync("tools/list");
        Refuse(gateway.Upstream, times: 3);

        var posting = client.ResultAsync("repeats");
        for (var sent = 1; sent <= 3; sent++)
        {
            var call = gateway.Upstream.CallAsync();
            await gateway.PassTimeAsync(call, AMinute, "it is sent");
            (await call).Fail(HttpRequestError.ResponseEnded);
        }

        var last = gateway.Upstream.CallAsync();
        await gateway.PassTimeAsync(last, AMinute, "it is sent once more");
        (await last).Text("at last");
        Assert.Equal("at last", (await gateway.PassTimeAsync(posting, AMinute, "the answer")).Text());
    }

    [Fact]
    public async Task Call_503WhereConfigSaysNotExecuted_IsSentAgain()
    {
        await using var gateway = await StartAsync(s => s with { RetryOn503 = true });
        var client = await gateway.ClientAsync();
        Fail503Once(gateway.Upstream);

        var answer = await gateway.PassTimeAsync(client.ResultAsync("echo"), AMinute, "the answer");

        Assert.Equal("nothing", answer.Text());
    }

    [Fact]
    public async Task Call_503Otherwise_IsOutcomeUnknown()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        Fail503Once(gateway.Upstream);

        var answer = await gateway.PassTimeAsync(client.ResultAsync("echo"), AMinute, "the answer");

        Assert.Equal("outcome_unknown", answer.Reason());
        Assert.Equal(0, gateway.Upstream.Executions("echo"));
    }

    [Theory]
    [InlineData("slow", "not_declared")]
    [InlineData("forbidden", "forbidden")]
    public async Task Decision_NotToSendAgain_IsLoggedAndCountedWithItsReason(string tool, string reason)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        using var list = await client.RequestAsync("tools/list");

        var posting = client.CallAsync(tool);
        (await gateway.Upstream.CallAsync()).Fail(HttpRequestError.ResponseEnded);
        using var reply = await gateway.PassTimeAsync(posting, AMinute, "the answer");

        Assert.Equal("outcome_unknown", (await reply.MessageAsync()).Reason());
        var line = Assert.Single(gateway.LogLines.Lines, l => l.StartsWith("Information CallNotSentAgain", StringComparison.Ordinal));
        Assert.Contains($"A call of {tool} to server one is not sent again ({reason}): ", line, StringComparison.Ordinal);
        Assert.Equal([$"mooring_calls_unknown_outcome_total{{server=\"one\",reason=\"{reason}\"}} 1"], await gateway.MetricsAsync("mooring_calls_unknown_outcome_total{"));
        Assert.Empty(await gateway.MetricsAsync("mooring_calls_replayed_total{"));
    }

    [Theory]
    [InlineData("reads", "declared_safe")]
    [InlineData("repeats", "declared_safe")]
    [InlineData("allowed", "configured")]
    public async Task Decision_ToSendAgain_IsLoggedAndCountedWithItsReason(string tool, string reason)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        using var list = await client.RequestAsync("tools/list");

        var posting = client.CallAsync(tool);
        (await gateway.Upstream.CallAsync()).Fail(HttpRequestError.ResponseEnded);
        var again = gateway.Upstream.CallAsync();
        await gateway.PassTimeAsync(again, AMinute, "the second try");
        (await again).Text("second");
        using var reply = await Limit.Of(posting, "the answer");

        var line = Assert.Single(gateway.LogLines.Lines, l => l.StartsWith("Information CallSentAgain", StringComparison.Ordinal));
        Assert.Contains($"A call of {tool} to server one is sent again ({reason}): ", line, StringComparison.Ordinal);
        Assert.Equal([$"mooring_calls_replayed_total{{server=\"one\",reason=\"{reason}\"}} 1"], await gateway.MetricsAsync("mooring_calls_replayed_total{"));
        Assert.Empty(await gateway.MetricsAsync("mooring_calls_unknown_outcome_total{"));
    }

    [Fact]
    public async Task Decision_ConnectFails_IsForTheLogOfEveryDayOnce()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var refused = 0;
        gateway.Upstream.Intercept = e => (string?)e.Message?["method"] == "tools/call" && Interlocked.Increment(ref refused) <= 2
            ? throw new HttpRequestException(HttpRequestError.ConnectionError, "scripted")
            : false;

        await gateway.PassTimeAsync(client.ResultAsync("echo"), AMinute, "the answer");

        var lines = gateway.LogLines.Lines.Where(l => l.Contains(" CallSentAgain", StringComparison.Ordinal)).ToList();
        Assert.Equal(3, lines.Count);
        Assert.All(lines.Take(2), line => Assert.StartsWith("Debug CallSentAgain: A call of echo to server one is sent again (not_executed): ", line, StringComparison.Ordinal));
        Assert.StartsWith("Information CallSentAgain: A call of echo to server one is sent again (not_executed): 2 times before it was over; at last: ", lines[2], StringComparison.Ordinal);
        Assert.Equal(["mooring_calls_replayed_total{server=\"one\",reason=\"not_executed\"} 2"], await gateway.MetricsAsync("mooring_calls_replayed_total{"));
    }

    [Fact]
    public async Task Call_SafeToRepeatButNeverAnswered_IsGivenUpAndSaidSo()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        using var list = await client.RequestAsync("tools/list");
        gateway.Upstream.Intercept = e =>
        {
            var fails = (string?)e.Message?["method"] == "tools/call";
            if (fails)
            {
                e.Fail(HttpRequestError.ResponseEnded);
            }

            return fails;
        };

        var answer = await gateway.PassTimeAsync(client.ResultAsync("repeats"), AMinute, "the answer");

        Assert.Equal("outcome_unknown", answer.Reason());
        Assert.Contains("at the last of 4 tries", (string?)answer["error"]!["message"], StringComparison.Ordinal);
        Assert.Equal(4, gateway.Upstream.Messages("tools/call").Count);
        Assert.Equal(["mooring_calls_unknown_outcome_total{server=\"one\",reason=\"gave_up\"} 1"], await gateway.MetricsAsync("mooring_calls_unknown_outcome_total{"));
        Assert.Equal(["mooring_calls_replayed_total{server=\"one\",reason=\"declared_safe\"} 3"], await gateway.MetricsAsync("mooring_calls_replayed_total{"));
    }

    [Theory]
    [InlineData(HttpStatusCode.OK, "<html>hello</html>", "text/html")]
    [InlineData(HttpStatusCode.OK, "{not json", "application/json")]
    [InlineData(HttpStatusCode.OK, "", "application/json")]
    [InlineData(HttpStatusCode.OK, "[]", "application/json")]
    [InlineData(HttpStatusCode.OK, """{"jsonrpc":"2.0","method":"notifications/message"}""", "application/json")]
    [InlineData(HttpStatusCode.Accepted, "", "application/json")]
    [InlineData(HttpStatusCode.BadGateway, "bad gateway", "text/plain")]
    [InlineData(HttpStatusCode.InternalServerError, "oops", "text/plain")]
    public async Task Call_ServerAnswersGarbage_IsOutcomeUnknownAtOnce(HttpStatusCode status, string body, string type)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();

        var posting = client.CallAsync("slow", id: "\"g\"");
        (await gateway.Upstream.CallAsync()).Status(status, body, type);

        using var reply = await Limit.Of(posting, "the answer");
        var answer = await reply.MessageAsync();
        Assert.Equal(("\"g\"", "outcome_unknown"), (answer.RawId(), answer.Reason()));
        Assert.Equal(1, gateway.Upstream.Executions("slow"));
    }

    [Theory]
    [InlineData(HttpStatusCode.Forbidden)]
    [InlineData(HttpStatusCode.Redirect)]
    [InlineData(HttpStatusCode.BadRequest)]
    public async Task Call_ServerRefuses_IsSaidSoAndNotSentAgain(HttpStatusCode status)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();

        var posting = client.CallAsync("slow");
        (await gateway.Upstream.CallAsync()).Status(status, "no", "text/plain");

        using var reply = await Limit.Of(posting, "the answer");
        Assert.Equal("upstream_refused", (await reply.MessageAsync()).Reason());
        Assert.Equal(1, gateway.Upstream.Executions("slow"));
    }

    [Theory]
    [InlineData("data: {\"jsonrpc\":\"2.0\",")]
    [InlineData("event: message\ndata: {}\n")]
    [InlineData(": nothing but a comment\n\n")]
    public async Task Stream_CutBeforeTheAnswer_IsOutcomeUnknown(string sent)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();

        var posting = client.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        await call.RawAsync(sent);
        call.Cut();
        using var reply = await gateway.PassTimeAsync(posting, AMinute, "the head");

        Assert.Equal("outcome_unknown", (await reply.MessageAsync()).Reason());
        Assert.Equal(1, gateway.Upstream.Executions("slow"));
    }

    [Fact]
    public async Task Stream_CutAfterAnEventId_IsResumedAndTheCallGoesOn()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var posting = client.CallAsync("slow", meta: """{"progressToken":1}""");
        var call = await gateway.Upstream.CallAsync();
        await call.RawAsync("id: up-1\ndata:\n\n");
        await call.ProgressAsync(1);
        using var reply = await Limit.Of(posting, "the head");
        await reply.MessageAsync();

        call.Cut();
        var resuming = gateway.Upstream.GetAsync();
        await gateway.PassTimeAsync(resuming, AMinute, "the resumption");
        var resumed = await resuming;
        Assert.Equal("up-1", resumed.LastEventId);
        await resumed.SendAsync($$$"""{"jsonrpc":"2.0","id":{{{call.Id}}},"result":{"content":[{"type":"text","text":"rest"}]}}""");

        Assert.Equal("rest", (await reply.MessageAsync()).Text());
        Assert.Equal(1, gateway.Upstream.Executions("slow"));
    }

    [Fact]
    public async Task Call_ClientLeaves_IsNotCancelledAtTheServer()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var (reply, call) = await gateway.StreamedAsync(client);

        reply.Dispose();
        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");
        gateway.Advance(TimeSpan.FromSeconds(60));

        Assert.False(call.Aborted.IsCancellationRequested);
        Assert.Empty(gateway.Upstream.Messages("notifications/cancelled"));
        Assert.Equal(1, gateway.Runner.Running);
    }

    private static void Refuse(FakeUpstream upstream, int times)
    {
        var refused = 0;
        upstream.Intercept = e => (string?)e.Message?["method"] == "tools/call" && Interlocked.Increment(ref refused) <= times
            ? throw new HttpRequestException(HttpRequestError.ConnectionError, "scripted")
            : false;
    }

    private static void Fail503Once(FakeUpstream upstream)
    {
        var refused = 0;
        upstream.Intercept = e =>
        {
            if ((string?)e.Message?["method"] != "tools/call" || Interlocked.Increment(ref refused) > 1)
            {
                return false;
            }

            e.Status(HttpStatusCode.ServiceUnavailable, "busy", "text/plain");
            return true;
        };
    }

    private static Task<GatewayFixture> StartAsync(Func<ServerConfig, ServerConfig>? server = null) => GatewayFixture.StartAsync(
        new FixtureOptions
        {
            Server = s => (server ?? (x => x))(s with
            {
                Tools = new Dictionary<string, ToolConfig>(StringComparer.Ordinal)
                {
                    ["allowed"] = new() { Replay = true },
                    ["forbidden"] = new() { Replay = false },
                },
            }),
        },
        new FakeUpstream().Hold("slow").Hold("reads", readOnly: true).Hold("repeats", idempotent: true).Hold("allowed").Hold("forbidden", readOnly: true));
}
