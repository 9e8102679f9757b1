using Mooring.Stores;
using Mooring.Stores.DynamoDb;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores.DynamoDb;

/// <summary>Several processes on one table, and what one leaves that dies between two writes.</summary>
public sealed class DynamoReplicaTests(SharedDynalite shared)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Body_Of16MB_ComesBackUnchangedInChunksThatExpire()
    {
        await using var fixture = await DynamoFixture.OnAsync(shared);
        var store = await fixture.OpenAsync();
        await store.SaveSessionAsync(Session());
        await store.OpenStreamAsync(Call(), null);
        var body = new byte[16 * 1024 * 1024];
        new Random(1).NextBytes(body);

        await store.AppendEventAsync(Event(1) with { Body = body });

        var read = Assert.Single(await (await fixture.OpenAsync()).ReadEventsAsync("session", "stream", 0, 10, Cancel));
        Assert.True(body.AsSpan().SequenceEqual(read.Body.Span));
        var item = Assert.Single(await ChildrenAsync(store, DynamoKeys.Events));
        var chunk = await store.Table.GetAsync(DynamoKeys.Chunk(item.Text("body_blob"), 63), Cancel);
        Assert.True(chunk!.Number(DynamoKeys.Expires) > 0);

        await store.DeleteSessionAsync("session");
        Assert.Null(await store.Table.GetAsync(DynamoKeys.Chunk(item.Text("body_blob"), 0), Cancel));
    }

    [Fact]
    public async Task AppendEvent_HeardByTwoReplicasAtOnce_IsThereOnceAndInOrder()
    {
        await using var fixture = await DynamoFixture.OnAsync(shared);
        DynamoDbStore[] stores = [await fixture.OpenAsync(), await fixture.OpenAsync()];
        await stores[0].SaveSessionAsync(Session());
        await stores[0].SaveLinkAsync(Link());
        await stores[0].OpenStreamAsync(Get("g0"), null);
        await stores[1].OpenStreamAsync(Get("g1"), null);

        var appended = 0;
        for (var said = 1; said <= 20; said++)
        {
            var heard = Event(said) with { Origin = new("files", Link().UpstreamSessionId!, $"e{said}", said == 1 ? "" : $"e{said - 1}", "me") };
            appended += (await Task.WhenAll(
                Task.Run(() => stores[0].AppendEventAsync(heard with { StreamId = "g0" }), Cancel),
                Task.Run(() => stores[1].AppendEventAsync(heard with { StreamId = "g1" }), Cancel))).Count(isAppended => isAppended);
        }

        var all = (await stores[0].ReadEventsAsync("session", "g0", 0, 100, Cancel)).Concat(await stores[1].ReadEventsAsync("session", "g1", 0, 100, Cancel));
        Assert.Equal(20, appended);
        Assert.Equal(Enumerable.Range(1, 20).Select(n => (long)n), all.Select(one => one.Sequence).Order());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task AppendEvent_HearerDiedInBetween_CountsWhereTheSessionSaysSo(bool isNamed)
    {
        await using var fixture = await DynamoFixture.OnAsync(shared);
        var store = await fixture.OpenAsync();
        await store.SaveSessionAsync(Session());
        await store.SaveLinkAsync(Link());
        await store.OpenStreamAsync(Get(), null);
        var first = Event(1, "get") with { Origin = new("files", Link().UpstreamSessionId!, "e1", "", "me") };
        await store.AppendEventAsync(first);
        // As it is after the first of its writes, or after the second.
        var item = Assert.Single(await ChildrenAsync(store, DynamoKeys.Events));
        await store.Table.WriteAsync(new DynamoWrite(DynamoKeys.Of(item)).Set(EventItems.Waits, DynamoValues.Text("files")));
        if (!isNamed)
        {
            var write = new DynamoWrite(DynamoKeys.Session("session"));
            await store.Table.WriteAsync(write.Remove(write.N("pend", "files")).Remove(write.N("heard", "files", "e")));
        }

        var other = await fixture.OpenAsync();
        Assert.Equal(isNamed ? 1 : 0, (await other.ReadEventsAsync("session", "get", 0, 10, Cancel)).Count);
        Assert.Equal(isNamed, await other.AppendEventAsync(Event(2, "get") with { Origin = new("files", Link().UpstreamSessionId!, "e2", "e1", "me") }) && isNamed);
        Assert.Equal(isNamed ? [1, 2] : [2], (await other.ReadEventsAsync("session", "get", 0, 10, Cancel)).Select(one => one.Sequence));
        Assert.Equal(isNamed, (await store.Table.GetAsync(DynamoKeys.Of(item), Cancel))?.ContainsKey(EventItems.Waits) == false);
    }

    [Fact]
    public async Task AppendEvent_ProcessDiedBeforeTheStreamKnewItsState_StreamHasItAndIsNoRunningCall()
    {
        await using var fixture = await DynamoFixture.OnAsync(shared);
        var store = await fixture.OpenAsync();
        await store.SaveSessionAsync(Session());
        await store.OpenStreamAsync(Call(), Event(1));
        await store.AppendEventAsync(Event(2, written: FakeClock.Start + TimeSpan.FromSeconds(3)), StreamState.Finished);
        var running = DynamoKeys.Running("r1", await IncarnationAsync(store), "stream").With("session", DynamoValues.Text("session"))
            .With("inc", DynamoValues.Text(await IncarnationAsync(store))).With("stream", DynamoValues.Text("stream")).With("replica", DynamoValues.Text("r1"));
        await store.Table.WriteAsync(DynamoWrite.Put(running));
        await store.Table.WriteAsync(new DynamoWrite(DynamoKeys.Stream(await IncarnationAsync(store), "stream")).Set("state", DynamoValues.Number(0)));

        Assert.Empty(await store.FindRunningCallsAsync("r1", Cancel));

        var stream = await store.FindStreamAsync("session", "stream", Cancel);
        Assert.Equal((StreamState.Finished, FakeClock.Start + TimeSpan.FromSeconds(3)), (stream!.State, stream.Changed));
    }

    [Fact]
    public async Task Sweep_OfSeveralReplicas_IsOnesAlone_AndTheNextOnesAfterAWhile_WhoeverThatIs()
    {
        await using var fixture = await DynamoFixture.OnAsync(shared);
        DynamoDbStore[] stores = [await fixture.OpenAsync(), await fixture.OpenAsync(), await fixture.OpenAsync()];

        Assert.Single(await Task.WhenAll(stores.Select(store => store.TakeSweepAsync())), isOurs => isOurs);
        Assert.Single(await Task.WhenAll(stores.Select(store => store.TakeAuthSweepAsync())), isOurs => isOurs);
        fixture.Clock.Advance(DynamoDbStore.SweepEvery - TimeSpan.FromMinutes(1));
        Assert.DoesNotContain(true, await Task.WhenAll(stores.Select(store => store.TakeSweepAsync())));

        // The one that had it is gone.
        await EndLeaseAsync(stores[0], "sessions");
        fixture.Clock.Advance(TimeSpan.FromMinutes(2));
        Assert.Single(await Task.WhenAll(stores.Skip(1).Select(store => store.TakeSweepAsync())), isOurs => isOurs);
    }

    [Fact]
    public async Task Sweep_AskedForAgainAndAgain_AsksTheServiceOnceAMinute()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await fixture.Server.AskedAsync();

        for (var i = 0; i < 10; i++)
        {
            await store.TakeSweepAsync();
        }

        Assert.Equal(1, (await fixture.Server.AskedAsync())["UpdateItem"]);
        fixture.Clock.Advance(TimeSpan.FromMinutes(1));
        Assert.False(await store.TakeSweepAsync());
        Assert.Equal(1, (await fixture.Server.AskedAsync())["UpdateItem"]);
    }

    [Fact]
    public async Task Sweep_AnswerLost_IsStillTakenByTheOneThatAsked()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await fixture.Server.LoseAsync("UpdateItem");

        var taking = store.TakeSweepAsync();
        await fixture.UntilAsync(() => Task.FromResult(taking.IsCompleted), "the answer was given again");

        Assert.True(await taking);
    }

    [Fact]
    public async Task DeleteSession_ProcessDiedInBetween_IsFinishedByASweep()
    {
        await using var fixture = await DynamoFixture.OnAsync(shared);
        var store = await fixture.OpenAsync();
        await store.SaveSessionAsync(Session());
        await store.OpenStreamAsync(Call(), Event(1));
        var incarnation = await IncarnationAsync(store);
        await store.Table.WriteAsync(DynamoWrite.Put(DynamoKeys.Key(DynamoKeys.GonePartition, incarnation)
            .With("at", DynamoValues.Number(0)).With("session", DynamoValues.Text("session"))));
        await store.Table.DeleteAsync(DynamoKeys.Session("session"));

        await store.ExpireEventsAsync(FakeClock.Start - TimeSpan.FromDays(1));

        Assert.Empty(await store.Table.QueryAsync(new DynamoQuery(DynamoKeys.Children(incarnation)), Cancel));
        Assert.Empty(await store.Table.QueryAsync(new DynamoQuery(DynamoKeys.GonePartition), Cancel));
        Assert.Empty(await store.FindRunningCallsAsync(Cancel));
    }

    [Fact]
    public async Task TakeOver_WinnerDiedBeforeItMovedTheMail_TheNextOneHasIt()
    {
        await using var fixture = await DynamoFixture.OnAsync(shared);
        IReplicaStore replicas = await fixture.OpenAsync();
        var table = ((DynamoDbStore)replicas).Table;
        await replicas.BeatAsync("dead", "", TimeSpan.Zero);
        await replicas.BeatAsync("winner", "", TimeSpan.Zero);
        await replicas.BeatAsync("next", "", TimeSpan.FromHours(1));
        await replicas.PostAsync("dead", "call", "c", Utf8("kept"));
        // As the winner leaves it after it noted and marked.
        var note = new DynamoWrite(DynamoKeys.Replica("winner"));
        await table.WriteAsync(note.SetRaw($"{note.N("taking", "dead")} = {note.V(DynamoValues.Flag(true))}"));
        await table.WriteAsync(new DynamoWrite(DynamoKeys.Replica("dead")).Set("takenBy", DynamoValues.Text("winner")));

        Assert.True(await replicas.TryTakeOverAsync("winner", "next"));

        Assert.Equal("kept", Text(Assert.Single(await replicas.ReadMailboxAsync("next", 0, 10, Cancel)).Body));
        Assert.Equal(["dead", "winner"], (await replicas.FindTakenOverAsync("next", Cancel)).Order(StringComparer.Ordinal));
        Assert.NotNull(await replicas.PostAsync("dead", "call", "late", Utf8("late")));
    }

    [Fact]
    public async Task Task_ExpiredAndStillInTheTable_IsNotFound()
    {
        await using var fixture = await DynamoFixture.OnAsync(shared);
        var store = await fixture.OpenAsync();
        var task = new TaskRecord("files", "t", "i", "ada", fixture.Clock.GetUtcNow() + TimeSpan.FromMinutes(1));
        await store.SaveTaskAsync(task);
        Assert.NotNull(await store.FindTaskAsync("files", "t", Cancel));

        fixture.Clock.Advance(TimeSpan.FromMinutes(2));

        Assert.Null(await store.FindTaskAsync("files", "t", Cancel));
        Assert.Empty(await store.FindTasksOfAsync("files", "i", "ada", Cancel));
        Assert.NotNull(await store.Table.GetAsync(DynamoKeys.Task("files", "t"), Cancel));
    }

    [Fact]
    public void Clock_AnswersAreFarOff_GoesByThemAndElseByItsOwn()
    {
        var time = new FakeClock();
        var clock = new DynamoClock(time);

        clock.Said(time.GetUtcNow() + TimeSpan.FromSeconds(1));
        Assert.Equal(time.GetUtcNow(), clock.Now);
        clock.Said(time.GetUtcNow() + TimeSpan.FromSeconds(90));
        Assert.Equal(time.GetUtcNow() + TimeSpan.FromSeconds(90), clock.Now);
        time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(time.GetUtcNow() + TimeSpan.FromSeconds(90), clock.Now);
    }

    private static async Task<string> IncarnationAsync(DynamoDbStore store) => (await store.Table.GetAsync(DynamoKeys.Session("session"), Cancel))!.Text("inc");

    private static async Task<List<Dictionary<string, Amazon.DynamoDBv2.Model.AttributeValue>>> ChildrenAsync(DynamoDbStore store, string prefix) =>
        await store.Table.QueryAsync(new DynamoQuery(DynamoKeys.Children(await IncarnationAsync(store))).StartingWith(prefix), Cancel);

    private static Task EndLeaseAsync(DynamoDbStore store, string what) =>
        store.Table.WriteAsync(new DynamoWrite(DynamoKeys.Sweep(what)).Set("until", DynamoValues.Number(0)));
}
