using Mooring.Replicas;
using Mooring.Stores;
using Mooring.Tests.Tasks;
using Xunit;
using static Mooring.Tests.Tasks.TaskClient;

namespace Mooring.Tests.Replicas;

/// <summary>Tasks that run at one replica and are asked about, answered and cancelled at another, and what becomes of them when theirs is gone.</summary>
public sealed class ReplicaTaskTests
{
    [Fact]
    public async Task Task_OfA_IsHadAtB_WhileItRunsAndWhenItIsDone()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (id, call) = await pair.A.TaskAsync(New(pair.A));
        var atB = New(pair.B);

        Assert.Equal("working", (string?)(await atB.GetTaskAsync(id))["status"]);
        await call.SendTextAsync("from A");

        Assert.Equal("from A", (string?)(await pair.B.UntilTaskAsync(atB, id, "completed"))["result"]!["content"]![0]!["text"]);
    }

    [Fact]
    public async Task Question_OfATaskAtA_IsShownAndAnsweredAtB()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (id, call) = await pair.A.TaskAsync(New(pair.A));
        await call.SendAsync("""{"jsonrpc":"2.0","id":"s1","method":"roots/list"}""");
        var atB = New(pair.B);
        var asks = await pair.B.UntilTaskAsync(atB, id, "input_required");

        var acknowledged = await atB.AnswerTaskAsync(id, (asks["inputRequests"]!.AsObject().First().Key, """{"roots":[{"uri":"file:///b"}]}"""));

        Assert.Equal("complete", (string?)acknowledged["result"]!["resultType"]);
        await pair.UntilAsync(() => pair.Upstream.Requests.Any(r => r.Body.Contains("file:///b", StringComparison.Ordinal)), "the server has the answer");
        await call.SendTextAsync("done");
        await pair.B.UntilTaskAsync(atB, id, "completed", TimeSpan.FromSeconds(3));
    }

    [Fact]
    public async Task Cancel_AtB_EndsTheCallAtA()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (id, _) = await pair.A.TaskAsync(New(pair.A));

        await New(pair.B).CancelTaskAsync(id);

        await pair.UntilAsync(() => pair.Upstream.Messages("notifications/cancelled").Count == 1, "the server was told");
        await pair.B.UntilTaskAsync(New(pair.B), id, "cancelled", TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task Listener_AtB_HearsOfATaskAtA()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (id, call) = await pair.A.TaskAsync(New(pair.A));
        var (listening, _) = await New(pair.B).ListenAsync($$"""{"taskIds":["{{id}}"]}""");
        using var stream = listening;
        Assert.Equal("working", (string?)(await listening.Events.MessageAsync())["params"]!["status"]);

        await call.SendTextAsync("heard");

        var done = await pair.B.PassTimeAsync(listening.Events.MessageAsync(), TimeSpan.FromSeconds(10), "the news");
        Assert.Equal("heard", (string?)done["params"]!["result"]!["content"]![0]!["text"]);
    }

    [Fact]
    public async Task Replica_ThatRunsATask_Dies_TheOtherEndsItAsOutcomeUnknown_AndWhatComesLateChangesNothing()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (id, call) = await pair.A.TaskAsync(New(pair.A));

        // As one that is cut off from the store: nobody else can tell it from a dead one.
        pair.StoreOfA.IsAway = true;
        var failed = await pair.B.UntilTaskAsync(New(pair.B), id, "failed", TimeSpan.FromSeconds(30));
        Assert.Equal("outcome_unknown", (string?)failed["error"]!["data"]!["mooring"]!["reason"]);

        await call.SendTextAsync("late");
        pair.StoreOfA.IsAway = false;
        await pair.UntilAsync(() => pair.A.Get<Peers>().Others.Count == 1 && pair.B.Get<Peers>().Others.Count == 1, "A is back under another name");
        await pair.PassAsync(TimeSpan.FromSeconds(3));

        Assert.Equal(failed.ToJsonString(), (await New(pair.A).GetTaskAsync(id)).ToJsonString());
        Assert.Equal(1, pair.Upstream.Executions("slow"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Replica_ThatRunsATask_Dies_TheOtherHearsItsAnswerFromWhereItWasLeft(bool saidBefore)
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (id, call, get) = await TakenOverAsync(pair, saidBefore);

        Assert.Equal(("e0", call.Session), (get.LastEventId, get.Session));
        Assert.Equal("working", (string?)(await New(pair.B).GetTaskAsync(id))["status"]);
        Assert.Equal(pair.B.Get<Peers>().Name, (await pair.Store.Store.FindHeldTaskAsync(id, TestContext.Current.CancellationToken))!.Replica);
        await get.SendAsync($$$"""{"jsonrpc":"2.0","id":{{{call.Id}}},"result":{"content":[{"type":"text","text":"heard"}]}}""", "e1");

        Assert.Equal("heard", (string?)(await pair.B.UntilTaskAsync(New(pair.B), id, "completed", TimeSpan.FromSeconds(3)))["result"]!["content"]![0]!["text"]);
        Assert.Equal(1, pair.Upstream.Executions("slow"));
    }

    [Fact]
    public async Task Heir_OfATask_ItsServerDoesNotGoOn_TheTaskIsOfUnknownOutcome()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (id, _, get) = await TakenOverAsync(pair, saidBefore: true);

        get.Status(System.Net.HttpStatusCode.NotFound);

        var failed = await pair.B.UntilTaskAsync(New(pair.B), id, "failed", TimeSpan.FromSeconds(10));
        Assert.Equal("outcome_unknown", (string?)failed["error"]!["data"]!["mooring"]!["reason"]);
    }

    [Fact]
    public async Task Heir_OfATask_PassesQuestionsAnswersAndTheCancellationOnInTheSameSession()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (id, call, get) = await TakenOverAsync(pair, saidBefore: true, asks: true);
        var client = New(pair.B);
        Assert.Equal("e0", get.LastEventId);

        await get.SendAsync(Question, "e1");
        var asks = await pair.B.UntilTaskAsync(client, id, "input_required", TimeSpan.FromSeconds(3));
        await client.AnswerTaskAsync(id, (asks["inputRequests"]!.AsObject().Single().Key, """{"roots":[{"uri":"file:///b"}]}"""));
        await pair.UntilAsync(() => pair.Upstream.Requests.Any(r => r.Session == call.Session && r.Body.Contains("file:///b", StringComparison.Ordinal)), "the server has the answer");
        await pair.UntilAsync(
            () => pair.Store.Store.FindHeldTaskAsync(id, TestContext.Current.CancellationToken).AsTask().Result!.Cursor!.EventId == "e1", "it is not asked again");
        await client.CancelTaskAsync(id);

        await pair.UntilAsync(() => pair.Upstream.Messages("notifications/cancelled").Count == 1, "the server was told");
        var told = pair.Upstream.Requests.Single(r => (string?)r.Message?["method"] == "notifications/cancelled");
        Assert.Equal((call.Session, call.Id), (told.Session, told.Message!["params"]!["requestId"]!.ToJsonString()));
        await pair.B.UntilTaskAsync(client, id, "cancelled", TimeSpan.FromSeconds(5));
    }

    private const string Question = """{"jsonrpc":"2.0","id":"s1","method":"roots/list"}""";

    /// <summary>A task at A, whose server has named a place, and the way in which B goes on once A is dead.</summary>
    private static async Task<(string Id, UpstreamExchange Call, UpstreamExchange Get)> TakenOverAsync(ReplicaPair pair, bool saidBefore, bool asks = false)
    {
        var posting = New(pair.A).CallAsync("slow");
        var call = await pair.Upstream.CallAsync();
        if (saidBefore)
        {
            await call.RawAsync("id: e0\ndata:\n\n");
        }

        var id = (string)(await pair.A.CreatedAsync(posting))["taskId"]!;
        if (!saidBefore)
        {
            await call.RawAsync("id: e0\ndata:\n\n");
        }

        if (asks)
        {
            await call.SendAsync(Question, "e1");
            await pair.A.UntilTaskAsync(New(pair.A), id, "input_required", TimeSpan.FromSeconds(3));
        }

        await pair.UntilAsync(
            () => pair.Store.Store.FindHeldTaskAsync(id, TestContext.Current.CancellationToken).AsTask().Result!.Cursor is not null, "its place is kept");
        pair.StoreOfA.IsAway = true;
        return (id, call, await pair.B.PassTimeAsync(pair.Upstream.GetAsync(), TimeSpan.FromSeconds(30), "the other replica goes on"));
    }

    [Fact]
    public async Task Replica_StopsInOrder_ItsTaskIsEndedAtOnce()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (id, _) = await pair.B.TaskAsync(New(pair.B));

        await pair.StopBAsync();

        Assert.Equal("failed", (string?)(await New(pair.A).GetTaskAsync(id))["status"]);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Task_OfAReplicaThatNobodyAnswersFor_IsEndedByWhoeverLooks(bool wasLookedThrough)
    {
        await using var pair = await ReplicaPair.StartAsync();
        if (wasLookedThrough)
        {
            // What is recorded under its name from here on, its heir has not seen.
            await pair.Store.Replicas.BeatAsync("nobody", "", TimeSpan.Zero);
            await pair.UntilAsync(
                () => pair.Store.Replicas.FindReplicasAsync(CancellationToken.None).Result.All(r => r.Id != "nobody"), "it is taken over");
            await pair.PassAsync(TimeSpan.FromSeconds(5));
        }

        var (id, call) = await pair.A.TaskAsync(New(pair.A));
        var record = (await pair.Store.Store.FindHeldTaskAsync(id, TestContext.Current.CancellationToken))!;
        var orphan = record with { Id = "orphan", Replica = "nobody", Updated = pair.A.Clock.GetUtcNow() };
        await pair.Store.Store.HoldTaskAsync(orphan, 100, 100);

        await pair.B.UntilTaskAsync(New(pair.B), "orphan", "failed", TimeSpan.FromMinutes(2));

        Assert.Equal("working", (string?)(await New(pair.B).GetTaskAsync(id))["status"]);
        await call.SendTextAsync("fine");
        await pair.B.UntilTaskAsync(New(pair.B), id, "completed", TimeSpan.FromSeconds(2));
    }

    [Fact]
    public async Task Task_OfOneThatCameJustThen_IsNotTakenForLeftBehind()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (id, _) = await pair.A.TaskAsync(New(pair.A));
        var record = (await pair.Store.Store.FindHeldTaskAsync(id, TestContext.Current.CancellationToken))!;
        var looks = 0;
        pair.Store.Store.Before = async operation =>
        {
            if (operation == "FindUnfinishedTasksExceptAsync" && Interlocked.Increment(ref looks) == 1)
            {
                // Its beat comes between the two questions of this look.
                await pair.Store.Store.HoldTaskAsync(record with { Id = "young", Replica = "new" }, 100, 100);
                await pair.Store.Replicas.BeatAsync("new", "", TimeSpan.FromMinutes(10));
            }
        };

        await pair.A.UntilAsync(() => looks >= 4, "it was looked a few times", TimeSpan.FromMinutes(3));

        Assert.Equal("working", (string?)(await New(pair.A).GetTaskAsync("young"))["status"]);
    }

    [Fact]
    public async Task Store_LosesAnAnswer_WhatComesAfterwardsIsWrittenDownAllTheSame()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (id, call) = await pair.A.TaskAsync(New(pair.A));
        pair.StoreOfA.LosesAnswers = true;
        await call.SendAsync("""{"jsonrpc":"2.0","id":"s1","method":"roots/list"}""");
        await pair.B.UntilTaskAsync(New(pair.B), id, "input_required");
        await pair.PassAsync(TimeSpan.FromSeconds(1));
        pair.StoreOfA.LosesAnswers = false;
        await pair.PassAsync(TimeSpan.FromSeconds(1));

        await call.SendTextAsync("once");

        await pair.B.UntilTaskAsync(New(pair.B), id, "completed", TimeSpan.FromSeconds(3));
        // What was written and not told to be may be written once more.
        Assert.InRange((await pair.Store.Store.FindHeldTaskAsync(id, TestContext.Current.CancellationToken))!.Revision, 2, 3);
    }

    [Fact]
    public async Task Store_AwayAtTheEndOfATask_TheEndIsWrittenDownWhenItIsBack()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (id, call) = await pair.A.TaskAsync(New(pair.A));
        pair.StoreOfA.IsAway = true;
        await call.SendTextAsync("kept");
        await pair.PassAsync(TimeSpan.FromSeconds(3));
        Assert.Equal("working", (string?)(await New(pair.B).GetTaskAsync(id))["status"]);

        pair.StoreOfA.IsAway = false;

        Assert.Equal("kept", (string?)(await pair.B.UntilTaskAsync(New(pair.B), id, "completed", TimeSpan.FromSeconds(3)))["result"]!["content"]![0]!["text"]);
    }
}
