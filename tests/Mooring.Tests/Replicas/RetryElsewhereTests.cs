using System.Net;
using System.Text.Json.Nodes;
using Mooring.FrontDoor;
using Mooring.Replicas;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Replicas;

/// <summary>A client without sessions was asked something by one replica and brings the answer to another: the call goes on where it is, once, or is said to be lost.</summary>
public sealed class RetryElsewhereTests
{
    private const string Capabilities = """{"elicitation":{"form":{},"url":{}},"roots":{}}""";

    private const string Elicit = """{"jsonrpc":"2.0","id":"s1","method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}""";

    private const string Roots = """{"jsonrpc":"2.0","id":"s2","method":"roots/list"}""";

    private const string Accept = """{"action":"accept","content":{"name":"Ann"}}""";

    private const string Played = "00000000000000aa";

    private static readonly TimeSpan Long = TimeSpan.FromHours(1);

    [Fact]
    public async Task Retry_AtTheOther_GoesOnWithTheSameCall_WithProgressAndMoreQuestions()
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var (call, asked) = await AskAsync(pair, meta: """{"progressToken":"first"}""");

        // Asked at A, answered at B, which is asked the next question, answered at A.
        var retrying = At(pair.B).CallAsync("slow", id: "\"r1\"", meta: """{"progressToken":"second"}""", rest: Rest(asked, Accept));
        await AnsweredAsync(pair, "s1", $$"""{"jsonrpc":"2.0","id":"s1","result":{{Accept}}}""");
        await call.ProgressAsync(2);
        await call.SendAsync(Roots);
        using var middle = await pair.A.PassTimeAsync(retrying, TimeSpan.FromSeconds(5), "the head of the answer");
        var progress = await pair.A.PassTimeAsync(middle.MessageAsync(), TimeSpan.FromSeconds(5), "progress");
        Assert.Equal(("second", 2), ((string?)progress["params"]!["progressToken"], (int?)progress["params"]!["progress"]));
        var again = await pair.A.PassTimeAsync(middle.MessageAsync(), TimeSpan.FromSeconds(5), "the next question");
        Assert.Equal(("\"r1\"", "input_required"), (again.RawId(), (string?)again["result"]!["resultType"]));
        var last = At(pair.B).CallAsync("slow", id: "3", rest: Rest(again, """{"roots":[]}"""));
        await AnsweredAsync(pair, "s2", """{"roots":[]}""");
        await call.SendTextAsync("Hello Ann");

        var answer = await EndAsync(pair, last);

        Assert.Equal(("3", "Hello Ann", "complete"), (answer.RawId()!, answer.Text()!, (string?)answer["result"]!["resultType"]));
        Assert.Equal(1, pair.Upstream.Executions("slow"));
        Assert.Equal((0, 0, 0), (pair.A.Get<ParkedCalls>().Count, pair.A.Runner.Running, pair.B.Runner.Running));
    }

    [Fact]
    public async Task Retry_AtBothAtOnce_GoesOnForOneAndTheOtherIsToldThatItWasUsed()
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var (call, asked) = await AskAsync(pair);

        Task<TestReply>[] tries = [At(pair.B).CallAsync("slow", rest: Rest(asked, Accept)), At(pair.A).CallAsync("slow", rest: Rest(asked, Accept)), At(pair.B).CallAsync("slow", rest: Rest(asked, Accept))];
        await AnsweredAsync(pair, "s1", Accept);
        await call.SendTextAsync("once");
        var answers = new List<JsonObject>();
        foreach (var one in tries)
        {
            answers.Add(await EndAsync(pair, one));
        }

        Assert.Equal("once", Assert.Single(answers, a => a["result"] is not null).Text());
        Assert.Equal(2, answers.Count(a => a.ErrorCode() == -32602));
        Assert.Single(pair.Upstream.Requests, r => r.Body.Contains("\"id\":\"s1\"", StringComparison.Ordinal));
        Assert.Equal(1, pair.Upstream.Executions("slow"));
    }

    [Fact]
    public async Task Retry_AtTheOther_OfAnotherUserOrRequest_IsRefusedAndDoesNotUseItUp()
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var (call, asked) = await AskAsync(pair, user: "ann");
        var rest = Rest(asked, Accept);
        var state = (string)asked["result"]!["requestState"]!;

        foreach (var (wrong, why) in new (Func<Task<TestReply>>, string)[]
        {
            (() => At(pair.B, user: "bob").CallAsync("slow", rest: rest), "another user"),
            (() => At(pair.B).CallAsync("slow", rest: rest), "nobody"),
            (() => At(pair.B, "/mcp", "ann").CallAsync("slow", rest: rest), "another route"),
            (() => At(pair.B, user: "ann").CallAsync("slow", """{"x":1}""", rest: rest), "other arguments"),
            (() => At(pair.B, user: "ann").CallAsync("slow", rest: rest.Replace(state[^32..], new string('0', 32), StringComparison.Ordinal)), "a guess"),
        })
        {
            using var refused = await pair.A.PassTimeAsync(wrong(), TimeSpan.FromSeconds(5), why);
            Assert.True((HttpStatusCode.BadRequest, -32602) == (refused.Status, (await refused.MessageAsync()).ErrorCode()), why);
        }

        var retrying = At(pair.B, user: "ann").CallAsync("slow", rest: rest);
        await AnsweredAsync(pair, "s1", Accept);
        await call.SendTextAsync("done");
        Assert.Equal("done", (await EndAsync(pair, retrying)).Text());
    }

    [Fact]
    public async Task Retry_AtTheOther_ItsClientLeaves_TheCallIsCancelledAtItsServer()
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var (call, asked) = await AskAsync(pair);
        using var leaving = new CancellationTokenSource();
        _ = At(pair.B).CallAsync("slow", rest: Rest(asked, Accept), cancel: leaving.Token);
        await AnsweredAsync(pair, "s1", Accept);

        await leaving.CancelAsync();

        await pair.UntilAsync(() => pair.Upstream.Messages("notifications/cancelled").Count == 1, "the server was told");
        Assert.Equal(call.Id, pair.Upstream.Messages("notifications/cancelled")[0]["params"]!["requestId"]!.ToJsonString());
        await pair.UntilAsync(() => pair.A.Runner.Running == 0 && pair.B.Runner.Running == 0, "nothing is under way");
    }

    [Fact]
    public async Task Retry_ReplicaThatBroughtItDies_TheCallIsCancelledAtItsServer()
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var (call, asked) = await AskAsync(pair);
        await pair.Store.Replicas.BeatAsync(Played, "", TimeSpan.FromSeconds(10));
        await pair.UntilAsync(() => pair.A.Get<Peers>().IsAlive(Played), "it is known");
        var request = $$$"""{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"slow","arguments":{}{{{Rest(asked, Accept)}}}}}""";

        await PostAsync(pair, pair.A.Get<Peers>().Name, "retry", $"{Played} key {pair.A.Get<Peers>().Name}", (string)asked["result"]!["requestState"]!, $"\"\"\n\"\"\n\"one\"\n{request}");
        await AnsweredAsync(pair, "s1", Accept);

        await pair.UntilAsync(() => pair.Upstream.Messages("notifications/cancelled").Count == 1, "the server was told");
        Assert.Equal(call.Id, pair.Upstream.Messages("notifications/cancelled")[0]["params"]!["requestId"]!.ToJsonString());
    }

    [Fact]
    public async Task Retry_AfterThePageWasVisited_IsRunAnewWhereItCame()
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var posting = At(pair.A).CallAsync("slow");
        var call = await pair.Upstream.CallAsync();
        call.Status(HttpStatusCode.OK, $$$$"""{"jsonrpc":"2.0","id":{{{{call.Id}}}},"error":{"code":-32042,"message":"x","data":{"elicitations":[{"mode":"url","elicitationId":"e1","message":"x","url":"https://x.test"}]}}}""");
        var asked = await EndAsync(pair, posting);

        var retrying = At(pair.B).CallAsync("slow", rest: Rest(asked, """{"action":"accept"}"""));
        await pair.UntilAsync(() => pair.Upstream.HasCall, "it is called again");
        (await pair.Upstream.CallAsync()).Text("visited");
        Assert.Equal("visited", (await EndAsync(pair, retrying)).Text());

        var used = await EndAsync(pair, At(pair.B).CallAsync("slow", rest: Rest(asked, """{"action":"accept"}""")));
        Assert.Equal(-32602, used.ErrorCode());
    }

    [Fact]
    public async Task Holder_LeftInOrder_ItsCallIsOfUnknownOutcome()
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var (_, asked) = await AskAsync(pair, at: pair.B);
        await pair.StopBAsync();

        var answer = await EndAsync(pair, At(pair.A).CallAsync("slow", rest: Rest(asked, Accept)));

        Assert.Equal(("outcome_unknown", "unknown"), (answer.Reason(), answer.Executed()));
        Assert.Equal(1, pair.Upstream.Executions("slow"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Holder_DiesWithTheRetry_OrSaysNothing_ItsCallIsOfUnknownOutcome(bool dies)
    {
        await using var pair = await ReplicaPair.StartAsync(config: c => ReplicaPair.FastCalls(c) with { Calls = c.Calls with { HardCap = dies ? Long : TimeSpan.FromSeconds(30) } });
        await pair.Store.Replicas.BeatAsync(Played, "", dies ? TimeSpan.FromSeconds(15) : Long);
        await pair.UntilAsync(() => pair.A.Get<Peers>().IsAlive(Played), "it is known");

        var retrying = At(pair.A).CallAsync("slow", rest: Rest($"mooring-{Played}-{new string('0', 32)}", Accept));
        IReadOnlyList<MailRecord> mails = [];
        await pair.UntilAsync(() => (mails = pair.Store.Replicas.ReadMailboxAsync(Played, 0, 10, CancellationToken.None).Result).Count > 0, "the retry came");
        Assert.Equal("retry", Assert.Single(mails).Kind);
        Assert.True(await pair.Store.Replicas.AcknowledgeAsync(Played, mails[0].Sequence));

        var answer = await EndAsync(pair, retrying);
        Assert.Equal("outcome_unknown", answer.Reason());
        Assert.Equal(0, pair.Upstream.Executions("slow"));
        Assert.Equal(0, pair.A.Runner.Running);
    }

    [Fact]
    public async Task Holder_WasTakenOverBefore_ItsCallIsOfUnknownOutcome()
    {
        await using var pair = await ReplicaPair.StartAsync(config: c => ReplicaPair.FastCalls(c) with { Calls = c.Calls with { HardCap = Long } });
        var b = pair.B.Get<Peers>().Name;
        await pair.Store.Replicas.BeatAsync(Played, "", TimeSpan.Zero);
        Assert.True(await pair.Store.Replicas.TryTakeOverAsync(Played, b));

        var answer = await EndAsync(pair, At(pair.A).CallAsync("slow", rest: Rest($"mooring-{Played}-{new string('0', 32)}", Accept)));

        Assert.Equal("outcome_unknown", answer.Reason());
        Assert.Equal(0, pair.A.Runner.Running);
    }

    [Fact]
    public async Task Letter_OfARetry_MeantForAnother_IsNotTaken()
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var (call, asked) = await AskAsync(pair);
        var request = $$$"""{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"slow","arguments":{}{{{Rest(asked, Accept)}}}}}""";
        await pair.Store.Replicas.BeatAsync(Played, "", Long);

        await PostAsync(pair, pair.A.Get<Peers>().Name, "retry", $"{Played} key {Played}", (string)asked["result"]!["requestState"]!, $"\"\"\n\"\"\n\"one\"\n{request}");
        await pair.UntilAsync(() => pair.Store.Replicas.ReadMailboxAsync(pair.A.Get<Peers>().Name, 0, 10, CancellationToken.None).Result.Count == 0, "it was read");

        Assert.Equal(1, pair.A.Get<ParkedCalls>().Count);
        var retrying = At(pair.B).CallAsync("slow", rest: Rest(asked, Accept));
        await AnsweredAsync(pair, "s1", Accept);
        await call.SendTextAsync("done");
        Assert.Equal("done", (await EndAsync(pair, retrying)).Text());
    }

    [Fact]
    public async Task Holder_Drains_TheRetryAtTheOtherGetsWhatBecameOfTheCall()
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var (_, asked) = await AskAsync(pair);
        var retrying = At(pair.B).CallAsync("slow", rest: Rest(asked, Accept));
        await AnsweredAsync(pair, "s1", Accept);
        var isPosting = false;
        var posted = new TaskCompletionSource();
        pair.StoreOfA.Before = operation => (isPosting |= operation == "PostAsync") && operation == "PostAsync" ? posted.Task : Task.CompletedTask;

        var draining = pair.A.Drain.RunAsync(CancellationToken.None);
        await pair.A.UntilAsync(() => pair.A.Drain.Stage == Mooring.Drain.DrainStage.AbortRest, "calls are given up", TimeSpan.FromMinutes(2));
        await pair.A.UntilAsync(() => isPosting, "the answer is being posted");
        await pair.PassAsync(TimeSpan.FromMilliseconds(300));
        Assert.False(draining.IsCompleted, "The drain is over before the answer was posted.");
        posted.SetResult();
        await pair.A.PassTimeAsync(draining, TimeSpan.FromMinutes(2), "the drain");
        var answer = await EndAsync(pair, retrying);
        Assert.Equal("draining", answer.Reason());
    }

    [Fact]
    public async Task ReplicaThatBroughtIt_Drains_ItsClientIsToldThatNobodyKnows()
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var (_, asked) = await AskAsync(pair);
        var retrying = At(pair.B).CallAsync("slow", rest: Rest(asked, Accept));
        await AnsweredAsync(pair, "s1", Accept);

        await pair.A.PassTimeAsync(pair.B.Drain.RunAsync(CancellationToken.None), TimeSpan.FromMinutes(2), "the drain");

        var answer = await EndAsync(pair, retrying);
        Assert.Equal("outcome_unknown", answer.Reason());
    }

    private static StatelessClient At(GatewayFixture gateway, string path = "/servers/one/mcp", string? user = null) => new(gateway.Http, path, user, Capabilities);

    /// <summary>Calls the tool, at A where nothing else is said, and has its server ask.</summary>
    private static async Task<(UpstreamExchange Call, JsonObject Asked)> AskAsync(ReplicaPair pair, string? user = null, GatewayFixture? at = null, string? meta = null)
    {
        var posting = At(at ?? pair.A, user: user).CallAsync("slow", meta: meta);
        var call = await pair.Upstream.CallAsync();
        await call.SendAsync(Elicit);
        var asked = await EndAsync(pair, posting);
        Assert.Equal("input_required", (string?)asked["result"]?["resultType"]);
        return (call, asked);
    }

    private static async Task<JsonObject> EndAsync(ReplicaPair pair, Task<TestReply> posting)
    {
        using var reply = await pair.A.PassTimeAsync(posting, TimeSpan.FromSeconds(60), "the head of the answer");
        return await pair.A.PassTimeAsync(reply.MessageAsync(), TimeSpan.FromSeconds(60), "the answer");
    }

    private static async Task AnsweredAsync(ReplicaPair pair, string id, string says)
    {
        string? Answer() => pair.Upstream.Requests.Select(r => r.Body).FirstOrDefault(b => b.Contains($"\"id\":\"{id}\",", StringComparison.Ordinal) && !b.Contains("\"method\"", StringComparison.Ordinal));
        await pair.UntilAsync(() => Answer() is not null, $"the answer to {id}");
        Assert.Contains(says, Answer()!, StringComparison.Ordinal);
    }

    private static Task PostAsync(ReplicaPair pair, string to, string kind, string subject, string session, string body) =>
        pair.Store.Replicas.PostAsync(to, kind, "posted by the test", new Letter(session, subject, System.Text.Encoding.UTF8.GetBytes(body)).ToBytes());

    private static string Rest(JsonObject asked, string answer) =>
        $",\"requestState\":\"{(string)asked["result"]!["requestState"]!}\",\"inputResponses\":{{\"{asked["result"]!["inputRequests"]!.AsObject().Single().Key}\":{answer}}}";

    private static string Rest(string state, string answer) => $",\"requestState\":\"{state}\",\"inputResponses\":{{\"q\":{answer}}}";
}
