using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores.Postgres;

/// <summary>Races for homes between replicas, each held still until one waits for the other, and what is left in the database.</summary>
public sealed class PostgresHomeTests(SharedCluster shared) : IAsyncLifetime
{
    private static readonly TimeSpan Long = TimeSpan.FromHours(1);

    private PostgresFixture _fixture = null!;

    public async ValueTask InitializeAsync() => _fixture = await PostgresFixture.OnAsync(shared);

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    [Fact]
    public async Task ClaimHome_AnotherStartsAndTakesItFromADeadOneMeanwhile_IsToldOfThatOne()
    {
        var store = await _fixture.OpenAsync();
        await store.SaveSessionAsync(Session());
        await store.ClaimHomeAsync("session", "files", "dead");

        var told = "";
        await _fixture.BesideAsync(
            """
            insert into mooring.replicas (id, info, expires) values ('new', '', clock_timestamp() + interval '1 hour');
            select n from mooring.sessions for no key update;
            update mooring.homes set replica = 'new'
            """,
            async () => told = await store.ClaimHomeAsync("session", "files", "late"));

        Assert.Equal("new", told);
        Assert.Equal("new", await _fixture.AskAsync("select replica from mooring.homes"));
    }

    [Fact]
    public async Task ClaimHome_SessionIsBeingDeletedElsewhere_KeepsNothing()
    {
        var store = await _fixture.OpenAsync();
        await store.SaveSessionAsync(Session());

        var told = "";
        await _fixture.BesideAsync("delete from mooring.sessions", async () => told = await store.ClaimHomeAsync("session", "files", "a"));

        Assert.Equal("a", told);
        Assert.Equal(0L, await _fixture.AskAsync("select count(*) from mooring.homes"));
    }

    [Fact]
    public async Task DeleteSession_HomeIsBeingClaimedElsewhere_TakesItAlong()
    {
        var store = await _fixture.OpenAsync();
        await store.SaveSessionAsync(Session());

        await _fixture.BesideAsync(
            """
            select n from mooring.sessions for no key update;
            insert into mooring.homes (session, server, replica) select n, 'files', 'a' from mooring.sessions
            """,
            () => store.DeleteSessionAsync("session"));

        Assert.Equal(0L, await _fixture.AskAsync("select count(*) from mooring.homes"));
    }

    [Fact]
    public async Task TakeOver_HomesOfTheDeadOne_AreGone()
    {
        var store = await _fixture.OpenAsync();
        await store.SaveSessionAsync(Session());
        await store.BeatAsync("dead", "", TimeSpan.Zero);
        await store.BeatAsync("a", "", Long);
        await store.ClaimHomeAsync("session", "files", "dead");
        await store.ClaimHomeAsync("session", "other", "a");

        Assert.False(await store.TryTakeOverAsync("dead", "unknown"));
        Assert.Equal(2L, await _fixture.AskAsync("select count(*) from mooring.homes"));
        Assert.True(await store.TryTakeOverAsync("dead", "a"));

        Assert.Equal("a", await _fixture.AskAsync("select string_agg(replica, ',') from mooring.homes"));
    }

    [Fact]
    public async Task ClaimHome_HolderWasTakenOverAndTheClockSetBack_LosesItAllTheSame()
    {
        var store = await _fixture.OpenAsync();
        await store.SaveSessionAsync(Session());
        await store.BeatAsync("dead", "", TimeSpan.Zero);
        await store.BeatAsync("a", "", Long);
        Assert.True(await store.TryTakeOverAsync("dead", "a"));
        await _fixture.ExecuteAsync("update mooring.replicas set expires = clock_timestamp() + interval '1 hour' where id = 'dead'");

        Assert.Equal("dead", await store.ClaimHomeAsync("session", "files", "dead"));
        Assert.Equal("a", await store.ClaimHomeAsync("session", "files", "a"));
    }

    [Fact]
    public async Task Session_SavedAndEndedByTheReleaseBefore_KeepsItsListenerAndTakesItsHomesAlong()
    {
        var store = await _fixture.OpenAsync();
        await store.SaveSessionAsync(Session());
        await store.SetListenerAsync("session", new("a", "g"));
        await store.ClaimHomeAsync("session", "files", "a");

        // As schema version 1 had it.
        await _fixture.ExecuteAsync(
            """
            insert into mooring.sessions
                (id, issuer, subject, server, transport, version, initialize_params, initialized, log_level, subscriptions, created, last_seen)
            values ('session', '', '', null, 'http', '2025-11-25', '', true, 'debug', null, 0, 0)
            on conflict (id) do update set log_level = excluded.log_level
            """);
        Assert.Equal("a g debug", await _fixture.AskAsync("select listener || ' ' || log_level from mooring.sessions"));
        await _fixture.ExecuteAsync("delete from mooring.sessions where id = 'session'");

        Assert.Equal(0L, await _fixture.AskAsync("select count(*) from mooring.homes"));
    }
}
