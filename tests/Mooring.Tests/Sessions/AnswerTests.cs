using System.Net;
using System.Text.Json.Nodes;
using Mooring.Tests.Tasks;
using Xunit;

namespace Mooring.Tests.Sessions;

/// <summary>Answers of clients that the server which asked does not take at once: sent again, or the call ends.</summary>
public sealed class AnswerTests
{
    private const string Elicit = """{"jsonrpc":"2.0","id":"s1","method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}""";

    private const string Accept = """{"action":"accept","content":{"name":"Ann"}}""";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [Theory]
    [InlineData(503)]
    [InlineData(429)]
    [InlineData(0)]
    public async Task Answer_NotTakenAtFirst_IsSentUntilItIs_AndTheCallGoesOn(int status)
    {
        await using var gateway = await StartAsync();
        var tries = Refuse(gateway, status, times: 3);
        var (call, retrying) = await RetryAsync(gateway);

        await gateway.UntilAsync(() => tries.Count == 4, "the server has the answer", Patience);
        await call.SendTextAsync("Hello Ann");

        using var reply = await Limit.Of(retrying, "the answer");
        Assert.Equal("Hello Ann", (await reply.MessageAsync()).Text());
        Assert.All(tries, body => Assert.Equal(tries[0], body));
        gateway.Advance(Patience);
        Assert.Equal(4, tries.Count);
    }

    [Fact]
    public async Task Answer_NeverTaken_TheCallEndsAtOnceAsOutcomeUnknown_AndItsServerIsTold()
    {
        await using var gateway = await StartAsync();
        Refuse(gateway, 503, times: int.MaxValue);
        var (call, retrying) = await RetryAsync(gateway);

        using var reply = await gateway.PassTimeAsync(retrying, Patience, "the answer");

        var answer = await gateway.PassTimeAsync(reply.MessageAsync(), Patience, "the answer");
        Assert.Equal("outcome_unknown", answer.Reason());
        await gateway.UntilAsync(() => gateway.Upstream.Messages("notifications/cancelled").Count == 1, "the server was told");
        Assert.Equal(call.Id, gateway.Upstream.Messages("notifications/cancelled")[0]["params"]!["requestId"]!.ToJsonString());
        Assert.Equal(1, gateway.Upstream.Executions("slow"));
        Assert.Contains(await gateway.MetricsAsync("mooring_calls_unknown_outcome"), line => line.Contains("answer_not_taken", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Answer_NeverTaken_OfATask_TheTaskFails()
    {
        await using var gateway = await StartAsync();
        var client = TaskClient.New(gateway);
        var (id, call) = await gateway.TaskAsync(client);
        await call.SendAsync(Elicit);
        var asks = await gateway.UntilTaskAsync(client, id, "input_required");
        Refuse(gateway, 503, times: int.MaxValue);

        await client.AnswerTaskAsync(id, (asks["inputRequests"]!.AsObject().First().Key, Accept));

        var failed = await gateway.UntilTaskAsync(client, id, "failed", Patience);
        Assert.Equal("outcome_unknown", (string?)failed["error"]!["data"]!["mooring"]!["reason"]);
    }

    [Fact]
    public async Task Answer_NotTaken_ItsServerTakesTheQuestionBack_TheCallGoesOn()
    {
        await using var gateway = await StartAsync();
        var tries = Refuse(gateway, 503, times: int.MaxValue);
        var (call, retrying) = await RetryAsync(gateway);
        await gateway.UntilAsync(() => tries.Count == 2, "it is sent again", Patience);

        await call.SendAsync("""{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"s1"}}""");
        await call.SendAsync("""{"jsonrpc":"2.0","id":"p","method":"ping"}""");
        await gateway.UntilAsync(() => gateway.Upstream.Requests.Any(r => r.Body.Contains("\"id\":\"p\"", StringComparison.Ordinal)), "that was taken");
        await gateway.PassTimeAsync(Task.Delay(Patience * 2, gateway.Clock), Patience * 3, "time passed");
        await call.SendTextAsync("without you");

        using var reply = await Limit.Of(retrying, "the answer");
        Assert.Equal("without you", (await reply.MessageAsync()).Text());
        Assert.Equal(2, tries.Count);
    }

    [Fact]
    public async Task Answer_OfAClientWithASession_NotTaken_IsAcknowledgedAndSentAgain_ThoughItsRequestIsOver()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync(capabilities: """{"elicitation":{}}""");
        var (reply, call) = await gateway.StreamedAsync(client);
        using var stream = reply;
        await call.SendAsync(Elicit);
        var question = await stream.MessageAsync();
        var tries = Refuse(gateway, 503, times: 2);

        using (var taken = await Limit.Of(client.PostAsync($$"""{"jsonrpc":"2.0","id":{{question.RawId()}},"result":{{Accept}}}"""), "the acknowledgement"))
        {
            Assert.Equal(HttpStatusCode.Accepted, taken.Status);
        }

        await gateway.UntilAsync(() => tries.Count == 3, "the server has the answer", Patience);
        await call.SendTextAsync("Hello Ann");
        Assert.Equal("Hello Ann", (await stream.MessageAsync()).Text());
    }

    private static Task<GatewayFixture> StartAsync() => GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));

    /// <summary>Has the server not take answers for some times.</summary>
    /// <returns>What it was sent, each time.</returns>
    private static List<string> Refuse(GatewayFixture gateway, int status, int times)
    {
        var tries = new List<string>();
        gateway.Upstream.Intercept = exchange =>
        {
            if (exchange.Message is not { } message || message.ContainsKey("method") || (string?)message["id"] != "s1")
            {
                return false;
            }

            tries.Add(exchange.Body);
            if (tries.Count > times)
            {
                return false;
            }

            if (status == 0)
            {
                exchange.Fail(HttpRequestError.ConnectionError);
            }
            else
            {
                exchange.Status((HttpStatusCode)status);
            }

            return true;
        };
        return tries;
    }

    /// <summary>A call of a client without sessions whose server asks, and the retry that brings the answer.</summary>
    private static async Task<(UpstreamExchange Call, Task<TestReply> Retrying)> RetryAsync(GatewayFixture gateway)
    {
        var client = new StatelessClient(gateway.Http, "/servers/one/mcp", null, """{"elicitation":{"form":{}}}""");
        var posting = client.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        await call.SendAsync(Elicit);
        using var first = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(1), "the question");
        var asked = (await gateway.PassTimeAsync(first.MessageAsync(), TimeSpan.FromSeconds(1), "the question"))["result"]!;
        var key = asked["inputRequests"]!.AsObject().First().Key;
        return (call, client.CallAsync("slow", rest: $$""","requestState":"{{(string)asked["requestState"]!}}","inputResponses":{"{{key}}":{{Accept}}}"""));
    }
}
