using System.Net;
using System.Text.Json.Nodes;
using Mooring.Configuration;
using Mooring.Replicas;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Replicas;

/// <summary>
/// A replica dies while it waits for the answer of a server that gives its events ids: the other one goes on from the last that is known, and nothing is lost,
/// said twice or executed twice.
/// </summary>
public sealed class ResumedCallTests
{
    private static readonly TimeSpan TakeOver = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Replica_Dies_ItsCallIsGoneOnWith_AndItsClientHasAllOfItOnce()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var running = await BeginAsync(pair);
        await running.SayAsync(1);
        await running.SayAsync(2);
        var first = await running.Reply.Events.EventAsync();
        await running.KeptAsync(pair, "e2");

        var get = await running.DieAsync(pair);
        Assert.Equal(("e2", running.Call.Session, "2025-11-25"), (get.LastEventId, get.Session, get.ProtocolVersion));
        var mine = Assert.Single(await pair.Store.Store.FindRunningCallsAsync(pair.B.Get<Peers>().Name, Cancel));
        Assert.Equal(1, pair.B.Runner.Running);
        using var rest = await Limit.Of(running.AtB.GetAsync(first.Id), "the rest");
        await running.SayAsync(3, get);
        await running.AnswerAsync("done", get);

        Assert.Equal(["2", "3", "done \"c\""], await RestAsync(rest));
        Assert.Equal(["1"], running.Reply.Events.Seen.Where(e => e.IsMessage).Select(Said));
        Assert.Equal(1, pair.Upstream.Executions("slow"));
        await pair.UntilAsync(() => pair.B.Runner.Running == 0, "the call is over");
        Assert.Empty(await pair.Store.Store.FindRunningCallsAsync(Cancel));
        Assert.Equal(StreamState.Finished, (await pair.Store.Store.FindStreamAsync(mine.SessionId, mine.StreamId, Cancel))!.State);
    }

    [Fact]
    public async Task Replica_DiesAfterThePrimerAlone_ItsCallIsGoneOnWith_ForAClientThatLooksOnAlready()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var running = await BeginAsync(pair);
        await running.KeptAsync(pair);
        pair.StoreOfA.IsAway = true;
        using var rest = await Limit.Of(running.AtB.GetAsync(running.Reply.Events.LastEventId), "the rest");

        var get = await running.DieAsync(pair);
        await running.SayAsync(1, get);
        await running.AnswerAsync("done", get);

        Assert.Equal("e0", get.LastEventId);
        Assert.Equal(["1", "done \"c\""], await RestAsync(rest));
    }

    /// <summary>The server says something first, so that there is a place before the row is there, or none.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Call_OnRecordOnlyWhenItsServerSpeaks_IsGoneOnWith(bool hasPrimer)
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var client = await pair.A.ClientAsync("2025-06-18");
        var posting = client.CallAsync("slow", id: "\"c\"", meta: """{"progressToken":"t"}""");
        var call = await pair.Upstream.CallAsync();
        await call.RawAsync(hasPrimer ? "id: e0\ndata:\n\n" : ":\n\n");
        await call.SendAsync(Progress(call, 1), "e1");
        using var reply = await Limit.Of(posting, "the head");
        var first = await reply.Events.EventAsync();
        var running = new Running(client, ReplicaPair.At(pair.B, client), reply, call);
        await running.KeptAsync(pair, "e1");

        var get = await running.DieAsync(pair);
        using var rest = await Limit.Of(running.AtB.GetAsync(first.Id), "the rest");
        await running.AnswerAsync("done", get);

        Assert.Equal("e1", get.LastEventId);
        Assert.Equal(["done \"c\""], await RestAsync(rest));
    }

    [Theory]
    [InlineData(HttpStatusCode.BadRequest)]
    [InlineData(HttpStatusCode.NotFound)]
    [InlineData(HttpStatusCode.MethodNotAllowed)]
    public async Task Server_DoesNotGoOnFromThere_OutcomeIsUnknown(HttpStatusCode status)
    {
        await using var pair = await ReplicaPair.StartAsync();
        var running = await BeginAsync(pair);
        await running.KeptAsync(pair);

        var get = await running.DieAsync(pair);
        get.Status(status);

        using var rest = await Limit.Of(running.AtB.GetAsync(running.Reply.Events.LastEventId), "the rest");
        var answer = await pair.B.PassTimeAsync(rest.MessageAsync(), TakeOver, "the answer");
        Assert.Equal(("\"c\"", "outcome_unknown"), (answer.RawId(), answer.Reason()));
        Assert.Equal(1, pair.Upstream.Executions("slow"));
        Assert.Contains(await pair.B.MetricsAsync("mooring_calls_unknown_outcome"), line => line.Contains("replica_gone", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Server_SaysNothingMore_OutcomeIsUnknownAfterTheDeadline_AndItIsTold()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var running = await BeginAsync(pair);
        await running.KeptAsync(pair);
        var get = await running.DieAsync(pair);
        get.Stream();
        using var rest = await Limit.Of(running.AtB.GetAsync(running.Reply.Events.LastEventId), "the rest");

        var answer = await pair.B.PassTimeAsync(rest.MessageAsync(), TimeSpan.FromMinutes(10), "the answer");

        Assert.Equal("outcome_unknown", answer.Reason());
        await pair.UntilAsync(() => pair.Upstream.Messages("notifications/cancelled").Any(m => m["params"]!["requestId"]!.ToJsonString() == running.Call.Id), "the server is told");
    }

    [Fact]
    public async Task Server_EndsTheStreamToBeAskedAgain_IsAsked()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var running = await BeginAsync(pair);
        await running.KeptAsync(pair);
        var get = await running.DieAsync(pair);
        using var rest = await Limit.Of(running.AtB.GetAsync(running.Reply.Events.LastEventId), "the rest");
        await running.SayAsync(1, get);
        get.End();

        var again = await pair.B.PassTimeAsync(pair.Upstream.GetAsync(), TakeOver, "it asks again");
        await running.AnswerAsync("done", again);

        Assert.Equal("e1", again.LastEventId);
        Assert.Equal(["1", "done \"c\""], await RestAsync(rest));
    }

    /// <summary>Both hear the server: whoever is first writes, and the other finds it.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Replica_WasOnlySlow_AllIsInTheLogOnce(bool slowOneFirst)
    {
        await using var pair = await ReplicaPair.StartAsync();
        var running = await BeginAsync(pair);
        await running.SayAsync(1);
        await running.KeptAsync(pair, "e1");
        var get = await running.DieAsync(pair, isGone: false);
        get.Stream();
        var stream = Assert.Single(await pair.Store.Store.FindRunningCallsAsync(Cancel));
        pair.StoreOfA.IsAway = false;
        await pair.UntilAsync(() => pair.A.Get<Peers>().Others.Count == 1 && pair.B.Get<Peers>().Others.Count == 1, "A is back under another name");

        foreach (var of in slowOneFirst ? new[] { running.Call, get } : [get, running.Call])
        {
            await running.SayAsync(2, of);
            await running.SayAsync(3, of);
            await running.AnswerAsync("done", of);
            await pair.PassAsync(TimeSpan.FromSeconds(3));
        }

        await pair.UntilAsync(() => pair.A.Runner.Running + pair.B.Runner.Running == 0, "both are over");
        var events = await pair.Store.Store.ReadEventsAsync(stream.SessionId, stream.StreamId, 0, 100, Cancel);
        Assert.Equal(["", "1", "2", "3", "done \"c\""], events.Select(e => e.Body.IsEmpty ? "" : Said(JsonNode.Parse(e.Body.Span)!.AsObject())));
        Assert.Equal(1, pair.Upstream.Executions("slow"));
    }

    [Fact]
    public async Task Client_CancelsAtTheHeir_TheServerIsToldByTheIdItKnows()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var running = await BeginAsync(pair);
        await running.KeptAsync(pair);
        var get = await running.DieAsync(pair);
        get.Stream();

        await running.AtB.NotifyAsync("notifications/cancelled", """{"requestId":"c"}""");

        await pair.UntilAsync(() => pair.Upstream.Messages("notifications/cancelled").Count == 1, "the server is told");
        Assert.Equal(running.Call.Id, pair.Upstream.Messages("notifications/cancelled")[0]["params"]!["requestId"]!.ToJsonString());
        await pair.UntilAsync(() => pair.B.Runner.Running == 0, "the call is over");
        Assert.Empty(await pair.Store.Store.FindRunningCallsAsync(Cancel));
    }

    /// <summary>What is asked is answered in its own place: on the session in which the server asked.</summary>
    [Fact]
    public async Task Server_AsksAfterwards_TheClientIsAskedAndItsAnswerReachesIt()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var running = await BeginAsync(pair, """{"elicitation":{}}""");
        await running.KeptAsync(pair);
        var get = await running.DieAsync(pair);
        using var rest = await Limit.Of(running.AtB.GetAsync(running.Reply.Events.LastEventId), "the rest");
        await get.SendAsync("""{"jsonrpc":"2.0","id":"s1","method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}""", "e1");

        var asked = await rest.MessageAsync();
        using (await running.AtB.PostAsync($$$"""{"jsonrpc":"2.0","id":{{{asked.RawId()}}},"result":{"action":"decline"}}"""))
        {
        }

        await pair.UntilAsync(() => pair.Upstream.Requests.Any(r => r.Session == running.Call.Session && r.Body.Contains("decline", StringComparison.Ordinal)), "the server has the answer");
        await running.AnswerAsync("done", get);
        Assert.Equal(["done \"c\""], await RestAsync(rest));
    }

    /// <summary>What was asked before is asked again, unless it was answered, whatever the server said since.</summary>
    [Theory]
    [InlineData(true, false, "e1")]
    [InlineData(false, false, "e0")]
    [InlineData(true, true, "e2")]
    [InlineData(false, true, "e0")]
    public async Task Server_AskedBefore_IsGoneOnWithFromBeforeTheQuestion_UnlessThatWasAnswered(bool isAnswered, bool saysMore, string from)
    {
        await using var pair = await ReplicaPair.StartAsync();
        var running = await BeginAsync(pair, """{"elicitation":{}}""");
        await running.Call.SendAsync("""{"jsonrpc":"2.0","id":"s1","method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}""", "e1");
        var asked = await running.Reply.MessageAsync();
        if (saysMore)
        {
            await running.SayAsync(2);
            await running.Reply.MessageAsync();
        }

        if (isAnswered)
        {
            using var taken = await running.Client.PostAsync($$$"""{"jsonrpc":"2.0","id":{{{asked.RawId()}}},"result":{"action":"decline"}}""");
        }

        await running.KeptAsync(pair, from);

        var get = await running.DieAsync(pair);
        Assert.Equal(from, get.LastEventId);
        using var rest = await Limit.Of(running.AtB.GetAsync(running.Reply.Events.LastEventId), "the rest");
        if (from != "e2" && saysMore)
        {
            // It was told before.
            await running.SayAsync(2, get);
        }

        await running.AnswerAsync("done", get);
        Assert.Equal(["done \"c\""], await RestAsync(rest));
    }

    /// <summary>What the heir has for the rest of a call knows nothing else of the server.</summary>
    [Fact]
    public async Task Server_SaysOnTheStreamThatItsListChanged_TheListStaysWhatItIs()
    {
        await using var pair = await ReplicaPair.StartAsync(config: c => c with { Servers = [.. c.Servers.Select(s => s with { Scope = LinkScope.Shared })] });
        var running = await BeginAsync(pair);
        await running.KeptAsync(pair);
        var get = await running.DieAsync(pair);
        using var rest = await Limit.Of(running.AtB.GetAsync(running.Reply.Events.LastEventId), "the rest");

        await get.SendAsync("""{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}""", "e1");
        await running.AnswerAsync("done", get);

        Assert.Equal(["done \"c\""], await RestAsync(rest));
        await pair.PassAsync(TimeSpan.FromSeconds(3));
        using var list = await running.AtB.RequestAsync("tools/list");
        Assert.Contains("slow", (await list.MessageAsync()).ToJsonString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Log_WasTrimmed_AndNothingInItTellsThePlace_OutcomeIsUnknown()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var running = await BeginAsync(pair);
        await running.KeptAsync(pair);
        await running.SayAsync(1);
        await running.Reply.Events.EventAsync();
        await pair.Store.Store.TrimEventsAsync(running.Client.SessionId!, 0, 0);
        pair.StoreOfA.IsAway = true;

        await pair.B.UntilAsync(() => pair.Store.Store.FindRunningCallsAsync(Cancel).Result.Count == 0, "it is ended", TakeOver);

        Assert.DoesNotContain(pair.Upstream.Requests, r => r.LastEventId is not null);
    }

    [Fact]
    public async Task Server_ConfiguredOtherwiseMeanwhile_IsNotAsked()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var running = await BeginAsync(pair);
        await running.KeptAsync(pair);
        var stream = Assert.Single(await pair.Store.Store.FindRunningCallsAsync(Cancel));
        await pair.Store.Store.SetCallCursorAsync(stream.SessionId, stream.StreamId, stream.Cursor! with { Place = "other", Session = "other" });
        pair.StoreOfA.IsAway = true;

        await pair.B.UntilAsync(() => pair.Store.Store.FindRunningCallsAsync(Cancel).Result.Count == 0, "it is ended", TakeOver);

        Assert.DoesNotContain(pair.Upstream.Requests, r => r.LastEventId is not null);
    }

    /// <summary>The store's answer is lost when the call is taken: it is this replica's all the same, and gone on with.</summary>
    [Fact]
    public async Task Heir_IsNotToldThatItHasTheCall_AsksAgainAndGoesOn()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var running = await BeginAsync(pair);
        await running.KeptAsync(pair);
        var tries = 0;
        pair.Store.Store.Before = operation =>
        {
            if (operation == "TakeCallAsync")
            {
                pair.Store.Store.LosesAnswers = Interlocked.Increment(ref tries) == 1;
            }

            return Task.CompletedTask;
        };

        var get = await running.DieAsync(pair);

        Assert.Equal((2, "e0"), (tries, get.LastEventId));
    }

    [Fact]
    public async Task FastCalls_OnRecordWithAServerThatNamesPlaces_CostNoWriteMore()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var writes = 0;
        pair.StoreOfA.Before = operation => Task.FromResult(operation == "SetCallCursorAsync" ? Interlocked.Increment(ref writes) : 0);
        var running = await BeginAsync(pair);
        await running.AnswerAsync("done", running.Call);
        Assert.Equal(["done \"c\""], await RestAsync(running.Reply));
        await pair.PassAsync(TimeSpan.FromSeconds(2));
        Assert.Equal(0, writes);

        var longer = await BeginAsync(pair);
        await longer.KeptAsync(pair);
        await longer.SayAsync(1);
        await longer.SayAsync(2);
        await pair.PassAsync(TimeSpan.FromSeconds(2));
        Assert.Equal(1, writes);
        await longer.AnswerAsync("done", longer.Call);
        Assert.Equal(["1", "2", "done \"c\""], await RestAsync(longer.Reply));
    }

    [Fact]
    public void Cursor_OfAnyText_ComesBack()
    {
        var cursor = new CallCursor("a b", "2025-11-25", "f", 1L << 50, "é/%20 \"", "tools/call", "", "\"t t\"", 7);

        Assert.Equal(cursor, CallCursor.Parse(cursor.ToString()));
        Assert.Equal(cursor.EventId, cursor.EventIdOf(cursor.Key));
        Assert.Null(CallCursor.Parse("of a later release"));
        Assert.Null(cursor.EventIdOf("\"at0:e\""));
        Assert.Null(cursor.EventIdOf((cursor with { Renewals = 1 }).Key));
        Assert.Null(cursor.EventIdOf((cursor with { IsBehindQuestion = true }).Key));
        Assert.Equal(cursor.Key, cursor.Unasked((cursor with { IsBehindQuestion = true }).Key));
    }

    /// <summary>A durable call of a client of 2025-11-25, whose server has named a place and said nothing.</summary>
    private static async Task<Running> BeginAsync(ReplicaPair pair, string capabilities = "{}")
    {
        var client = await pair.A.ClientAsync(capabilities: capabilities);
        var reply = await Limit.Of(client.CallAsync("slow", id: "\"c\"", meta: """{"progressToken":"t"}"""), "the head");
        await reply.Events.NextAsync();
        Assert.True((await reply.Events.NextAsync())!.IsPrimer);
        var call = await pair.Upstream.CallAsync();
        await call.RawAsync("id: e0\ndata:\n\n");
        return new Running(client, ReplicaPair.At(pair.B, client), reply, call);
    }

    private static string Progress(UpstreamExchange call, int step) =>
        $$$"""{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":{{{call.ProgressToken}}},"progress":{{{step}}}}}""";

    private static async Task<IEnumerable<string>> RestAsync(TestReply reply) => (await reply.Events.RestAsync()).Where(e => e.IsMessage).Select(Said);

    private static string Said(TestEvent e) => Said(e.Message);

    private static string Said(JsonObject message)
    {
        if (message["method"] is null)
        {
            return $"{message.Text()} {message.RawId()}";
        }

        Assert.Equal("t", (string?)message["params"]!["progressToken"]);
        return message["params"]!["progress"]!.ToJsonString();
    }

    /// <param name="Client">Whose call it is, at A.</param>
    /// <param name="AtB">The same at B.</param>
    /// <param name="Reply">Its answer at A.</param>
    /// <param name="Call">At the server.</param>
    private sealed record Running(McpTestClient Client, McpTestClient AtB, TestReply Reply, UpstreamExchange Call)
    {
        /// <summary>Progress, on the stream of the call or on another that goes on with it.</summary>
        public Task SayAsync(int step, UpstreamExchange? on = null) => (on ?? Call).SendAsync(Progress(Call, step), $"e{step}");

        public Task AnswerAsync(string text, UpstreamExchange on) =>
            on.SendAsync($$$"""{"jsonrpc":"2.0","id":{{{Call.Id}}},"result":{"content":[{"type":"text","text":"{{{text}}}"}]}}""", "last");

        /// <summary>Waits until whoever goes on knows the place, by the row or by what is in the log.</summary>
        public Task KeptAsync(ReplicaPair pair, string place = "e0") => pair.A.UntilAsync(
            () => pair.Store.Store.FindRunningCallsAsync(Cancel).Result is [{ Cursor: { } cursor } call]
                && (cursor.EventId == place || pair.Store.Store.ReadEventsAsync(call.SessionId, call.StreamId, 0, 100, Cancel).Result.Any(e => cursor.EventIdOf(e.RequestId) == place)),
            $"place {place} is kept",
            TakeOver);

        /// <summary>A is cut off from the store: nobody else can tell it from a dead one. What it still does reaches nobody.</summary>
        /// <returns>How the other one goes on.</returns>
        public async Task<UpstreamExchange> DieAsync(ReplicaPair pair, bool isGone = true)
        {
            pair.StoreOfA.IsAway = true;
            if (isGone)
            {
                Reply.Dispose();
            }

            return await pair.B.PassTimeAsync(pair.Upstream.GetAsync(), TakeOver, "the other replica goes on");
        }
    }
}
