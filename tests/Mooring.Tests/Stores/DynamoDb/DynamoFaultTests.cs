using Mooring.Stores;
using Mooring.Stores.DynamoDb;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores.DynamoDb;

/// <summary>A service that throttles, loses answers, is slow, or is away.</summary>
public sealed class DynamoFaultTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Open_TableIsNotThere_NamesItTheRegionAndTheSetting()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = fixture.Make(fixture.Options with { CreateTable = false });

        var failure = await Assert.ThrowsAsync<StoreException>(() => store.OpenAsync(Cancel));

        Assert.Contains(fixture.Options.Table, failure.Message, StringComparison.Ordinal);
        Assert.Contains("eu-central-1", failure.Message, StringComparison.Ordinal);
        Assert.Contains("store.createTable: true", failure.Message, StringComparison.Ordinal);
        Assert.Equal(["GetItem"], (await fixture.Server.AskedAsync()).Keys);
        Assert.NotNull(store.AwaySince);
    }

    [Fact]
    public async Task Open_TableIsThere_NeverAsksTheControlPlane()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        await fixture.OpenAsync();
        // The server knows no TTL.
        Assert.Contains("has no TTL", fixture.Log.ToString(), StringComparison.Ordinal);
        Assert.Contains("CreateTable", (await fixture.Server.AskedAsync()).Keys);

        await fixture.OpenAsync();

        Assert.DoesNotContain((await fixture.Server.AskedAsync()).Keys, what => what is not ("GetItem" or "PutItem"));
    }

    [Fact]
    public async Task Open_WrittenByANewerRelease_IsRefused()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await store.Table.WriteAsync(new DynamoWrite(DynamoKeys.Meta).Set("worksFrom", DynamoValues.Number(99)));

        var failure = await Assert.ThrowsAsync<StoreException>(() => fixture.Make().OpenAsync(Cancel));

        Assert.Contains("newer release", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Write_Throttled_IsTriedAgainUntilItIsDone()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await fixture.Server.ThrottleAsync(5);

        await fixture.UntilDoneAsync(SaveAsync(store), "it was written");

        Assert.NotNull(await store.FindSessionAsync("session", Cancel));
        Assert.Null(store.AwaySince);
    }

    [Fact]
    public async Task Write_ThrottledForGood_FailsAloneAndTheStoreIsNotAway()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await fixture.Server.ThrottleAsync(100_000);

        var failure = await Assert.ThrowsAsync<StoreException>(() => fixture.UntilDoneAsync(SaveAsync(store), "it was given up"));

        Assert.Contains("is throttled", failure.Message, StringComparison.Ordinal);
        Assert.Null(store.AwaySince);
        await fixture.Server.GoAsync();
        await store.SaveSessionAsync(Session());
    }

    [Fact]
    public async Task Append_AnswerLost_IsThereOnceAndNotCalledAppendedBefore()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await store.SaveSessionAsync(Session());
        await store.OpenStreamAsync(Call(), null);

        await fixture.Server.LoseAsync("PutItem");
        Assert.True(await store.AppendEventAsync(Event(1)));

        Assert.Single(await store.ReadEventsAsync("session", "stream", 0, 10, Cancel));
        await Assert.ThrowsAsync<InvalidOperationException>(() => store.AppendEventAsync(Event(1)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Append_LastWriteOfAServersEventFailed_TheEventIsThereAndCalledAppended(bool isOwn)
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        await HeardAsync(await fixture.OpenAsync());
        var store = await fixture.OpenAsync();
        await WaitAsync(store);

        // The same once more, or the answer of a replica that knows nothing of it.
        await Assert.ThrowsAsync<InvalidOperationException>(() => store.AppendEventAsync(isOwn ? ServersEvent(1, "e1", "") : Event(1, body: "\"answer\"")));

        Assert.Equal("{}", await OnlyAsync(store));
        Assert.True(await store.AppendEventAsync(ServersEvent(2, "e2", "e1")));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Append_OverOneOfWhichNobodyKnowsWhetherItCounts_SeesItThroughFirst(bool isOwn)
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        await HeardAsync(await fixture.OpenAsync());
        var store = await fixture.OpenAsync();
        await WaitAsync(store);
        // The write that decides may be under way yet.
        await HeadAsync(store, heard: null);

        await Assert.ThrowsAsync<InvalidOperationException>(() => store.AppendEventAsync(isOwn ? ServersEvent(1, "e1", "") : Event(1, body: "\"answer\"")));

        Assert.Equal("{}", await OnlyAsync(store));
        Assert.Equal("e1", Assert.Single(await store.FindLinksAsync("session", Cancel)).Heard);
    }

    [Fact]
    public async Task Append_OverOneThatCanCountNoMore_TakesItsPlace()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        await HeardAsync(await fixture.OpenAsync());
        var store = await fixture.OpenAsync();
        await WaitAsync(store);
        await HeadAsync(store, heard: "e7");

        Assert.True(await store.AppendEventAsync(Event(1, body: "\"answer\"")));

        Assert.Equal("\"answer\"", await OnlyAsync(store));
    }

    [Fact]
    public async Task UseAuth_AnswerLost_IsStillTheFirst()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await store.AddAuthAsync(new AuthRecord
        {
            Kind = AuthKind.Code,
            Key = "c",
            Data = Utf8("{}"),
            Created = FakeClock.Start,
            Expires = FakeClock.Start + TimeSpan.FromMinutes(10),
        });

        await fixture.Server.LoseAsync("UpdateItem");
        var first = await store.UseAuthAsync(AuthKind.Code, "c", FakeClock.Start);
        var second = await store.UseAuthAsync(AuthKind.Code, "c", FakeClock.Start);

        Assert.Null(first!.Used);
        Assert.NotNull(second!.Used);
    }

    [Fact]
    public async Task Store_IsAwayAndBack_FailsAtOnceAndGoesOnByItself()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await store.SaveSessionAsync(Session());
        await fixture.Server.KillAsync();

        await fixture.UntilDoneAsync(Assert.ThrowsAsync<StoreException>(() => SaveAsync(store)), "it failed");
        Assert.NotNull(store.AwaySince);
        var failure = await Assert.ThrowsAsync<StoreException>(() => SaveAsync(store));
        Assert.Contains("cannot be reached", failure.Message, StringComparison.Ordinal);

        await fixture.Server.StartAgainAsync();
        await fixture.UntilBackAsync(store);

        Assert.NotNull(await store.FindSessionAsync("session", Cancel));
        Assert.Null(store.AwaySince);
        Assert.Contains("is back", fixture.Log.ToString(), StringComparison.Ordinal);
    }

    /// <summary>In a new and empty one the marks and data keys of what this process writes would be missing.</summary>
    [Fact]
    public async Task Table_VanishesUnderARunningGateway_IsNotMadeAgain()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await store.Table.AskAsync((client, cancel) => client.DeleteTableAsync(fixture.Options.Table, cancel), Cancel);
        await fixture.UntilAsync(
            async () =>
            {
                try
                {
                    await SaveAsync(store);
                    return false;
                }
                catch (StoreException)
                {
                    return store.AwaySince is not null;
                }
            },
            "the store is away");
        await fixture.Server.AskedAsync();

        var looks = 0;
        await fixture.UntilAsync(async () => (looks += (await fixture.Server.AskedAsync()).GetValueOrDefault("GetItem")) > 3, "it was looked for several times");

        Assert.NotNull(store.AwaySince);
        await Assert.ThrowsAsync<StoreException>(() => SaveAsync(store));
    }

    [Fact]
    public async Task Request_FailsAgainAndAgain_FailsAloneWhereOthersAreAnswered()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await fixture.Server.FailAsync("UpdateItem");

        await fixture.UntilDoneAsync(Assert.ThrowsAsync<StoreException>(() => store.BeatAsync("a", "", TimeSpan.FromHours(1))), "it failed");

        Assert.Null(store.AwaySince);
    }

    [Fact]
    public async Task Request_NoAnswerInItsTime_MarksTheStoreAwayWhereNobodyElseGetsOneEither()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        await fixture.OpenAsync();
        var store = await fixture.OpenAsync(fixture.Options with { RequestTimeout = TimeSpan.FromSeconds(3) });
        await fixture.Server.HangAsync();

        await Assert.ThrowsAsync<StoreException>(() => SaveAsync(store));

        Assert.NotNull(store.AwaySince);
        await fixture.Server.GoAsync();
        await fixture.UntilBackAsync(store);
    }

    [Fact]
    public async Task Signals_StoreIsAwayAndBack_SayLostAndCaughtUp()
    {
        await using var fixture = await DynamoFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await using var signals = fixture.Signals(store);
        var heard = new HeardSignals();
        await using var listening = signals.Listen("a", heard.Listener);
        Assert.Equal("caught up", await heard.NextAsync());

        await fixture.Server.KillAsync();
        Assert.Equal("lost", await fixture.UntilDoneAsync(heard.NextAsync(), "it was lost"));
        await fixture.Server.StartAgainAsync();

        Assert.Equal("caught up", await fixture.UntilDoneAsync(heard.NextAsync(), "it heard again"));
    }

    private static EventRecord ServersEvent(long sequence, string id, string after) =>
        Event(sequence) with { Origin = new("files", Link().UpstreamSessionId!, id, after, "me") };

    private static async Task HeardAsync(DynamoDbStore store)
    {
        await store.SaveSessionAsync(Session());
        await store.SaveLinkAsync(Link());
        await store.OpenStreamAsync(Call(), null);
        Assert.True(await store.AppendEventAsync(ServersEvent(1, "e1", "")));
    }

    /// <summary>As it is before the last write of an append.</summary>
    private static async Task WaitAsync(DynamoDbStore store)
    {
        var head = (await store.Table.GetAsync(DynamoKeys.Session("session"), Cancel))!;
        var item = (await store.Table.GetAsync(DynamoKeys.Event(head.Text("inc"), "stream", 1), Cancel))!;
        EventItems.Wait(item, ServersEvent(1, "e1", "").Origin!);
        await store.Table.WriteAsync(DynamoWrite.Put(item));
    }

    /// <summary>As it is without the write that decides.</summary>
    private static async Task HeadAsync(DynamoDbStore store, string? heard)
    {
        var write = new DynamoWrite(DynamoKeys.Session("session"));
        write.Remove(write.N("pend", "files"));
        var path = write.N("heard", "files", "e");
        await store.Table.WriteAsync(heard is null ? write.Remove(path) : write.SetRaw($"{path} = {write.V(DynamoValues.Text(heard))}"));
    }

    private static async Task<string> OnlyAsync(DynamoDbStore store) =>
        System.Text.Encoding.UTF8.GetString(Assert.Single(await store.ReadEventsAsync("session", "stream", 0, 10, Cancel)).Body.Span);

    private static async Task<bool> SaveAsync(IStore store)
    {
        await store.SaveSessionAsync(Session());
        return true;
    }
}
