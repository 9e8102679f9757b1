using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores.Postgres;

/// <summary>What replicas leave behind in the database, and when it goes.</summary>
public sealed class PostgresReplicaTests(SharedCluster shared) : IAsyncLifetime
{
    private static readonly TimeSpan Long = TimeSpan.FromHours(1);

    private PostgresFixture _fixture = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _fixture = await PostgresFixture.OnAsync(shared);

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    [Fact]
    public async Task TakeOver_OfOneThatHadTakenOverAnother_AnswersForBoth()
    {
        var store = await _fixture.OpenAsync();
        await store.BeatAsync("first", "", TimeSpan.Zero);
        await store.BeatAsync("second", "", TimeSpan.Zero);
        await store.BeatAsync("third", "", Long);
        await store.TryTakeOverAsync("first", "second");

        await store.TryTakeOverAsync("second", "third");

        // One step from any dead name: the names between may be forgotten.
        Assert.Equal("third third", await _fixture.AskAsync("select string_agg(taken_by, ' ') from mooring.replicas where id in ('first', 'second')"));
    }

    [Fact]
    public async Task Acknowledge_TakeOverUnderWayElsewhere_SaysThatTheMessageIsAnothers()
    {
        var store = await _fixture.OpenAsync();
        await store.BeatAsync("slept", "", TimeSpan.Zero);
        await store.BeatAsync("a", "", Long);
        var sequence = (await store.PostAsync("slept", "call", "c", default))!.Value;

        var isOurs = true;
        await _fixture.BesideAsync(
            "update mooring.replicas set taken_by = 'a' where id = 'slept'; delete from mooring.mailbox where replica = 'slept'",
            async () => isOurs = await store.AcknowledgeAsync("slept", sequence));

        Assert.False(isOurs);
    }

    [Fact]
    public async Task RemoveReplica_MessageIsBeingPostedElsewhere_WaitsForItAndChangesNothing()
    {
        var store = await _fixture.OpenAsync();
        await store.BeatAsync("a", "", Long);

        var isGone = true;
        await _fixture.BesideAsync(
            """
            update mooring.replicas set last_sequence = 1 where id = 'a';
            insert into mooring.mailbox (replica, sequence, kind, call_id, body) values ('a', 1, 'call', 'c', '')
            """,
            async () => isGone = await store.RemoveReplicaAsync("a"));

        Assert.False(isGone);
        Assert.Single(await store.ReadMailboxAsync("a", 0, 10, Cancel));
        Assert.Single(await store.FindReplicasAsync(Cancel));
    }

    [Fact]
    public async Task TakeOver_NamesDeadForADay_AreForgottenAndOthersAreNot()
    {
        var store = await _fixture.OpenAsync();
        foreach (var replica in new[] { "old", "new", "dead" })
        {
            await store.BeatAsync(replica, "", TimeSpan.Zero);
        }

        await store.BeatAsync("a", "", Long);
        await store.TryTakeOverAsync("old", "a");
        await store.TryTakeOverAsync("new", "a");
        await _fixture.ExecuteAsync(
            """
            update mooring.replicas set expires = clock_timestamp() - interval '25 hours' where id in ('old', 'dead');
            update mooring.replicas set expires = clock_timestamp() - interval '23 hours' where id = 'new'
            """);

        // Refused, and tidied up all the same; what nobody has taken over yet stays, however old it is.
        Assert.False(await store.TryTakeOverAsync("unknown", "a"));

        Assert.Equal("a dead new", await _fixture.AskAsync("select string_agg(id, ' ' order by id) from mooring.replicas"));
    }

    [Fact]
    public async Task Acknowledge_KeysOf5MinutesAgo_AreForgottenHoweverOftenAcknowledged()
    {
        var store = await _fixture.OpenAsync();
        await store.BeatAsync("a", "", Long);
        var old = await store.PostAsync("a", "call", "old", Utf8("old"));
        var young = await store.PostAsync("a", "call", "young", Utf8("young"));
        await store.AcknowledgeAsync("a", young!.Value);
        await _fixture.ExecuteAsync("update mooring.mailbox set acknowledged = clock_timestamp() - interval '6 minutes' where call_id = 'old'");

        await store.AcknowledgeAsync("a", young.Value);

        Assert.Equal(young, await store.PostAsync("a", "call", "young", Utf8("again")));
        Assert.True(await store.PostAsync("a", "call", "old", Utf8("again")) > young);
        Assert.NotEqual(old, Assert.Single(await store.ReadMailboxAsync("a", 0, 10, Cancel)).Sequence);
    }
}
