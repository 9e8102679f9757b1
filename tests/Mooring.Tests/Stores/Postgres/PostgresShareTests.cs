using Microsoft.Extensions.Logging;
using Mooring.Configuration;
using Mooring.Replicas;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Stores.Postgres;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores.Postgres;

/// <summary>How much each replica has of what is limited for all, on a real server and by its clock.</summary>
public sealed class PostgresShareTests(SharedCluster shared) : IAsyncLifetime
{
    private static readonly TimeSpan Lease = TimeSpan.FromMinutes(10);

    private static readonly Principal Ann = new("i", "ann");

    private PostgresFixture _fixture = null!;

    public async ValueTask InitializeAsync() => _fixture = await PostgresFixture.OnAsync(shared);

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    [Fact]
    public async Task Share_OfSeveralKeys_GivesWhatTheOthersThatLiveHave_InItsOrder()
    {
        var store = await _fixture.OpenAsync();
        foreach (var name in new[] { "a", "b", "c" })
        {
            await store.BeatAsync(name, "", Lease);
        }

        await store.ShareStreamsAsync("a", 1, [new("y", 2), new("x", 1)]);
        await store.ShareStreamsAsync("b", 1, [new("x", 10)]);

        Assert.Equal([11, 0, 2], await store.ShareStreamsAsync("c", 1, [new("x", 5), new("z", 5), new("y", 5)]));
        Assert.Equal([15], await store.ShareStreamsAsync("a", 2, [new("x", 0)]));
        Assert.Equal([5], await store.ShareStreamsAsync("b", 2, [new("x", 10)]));
    }

    [Fact]
    public async Task Share_SaidLaterWithALowerStamp_StaysAsItWas()
    {
        var store = await _fixture.OpenAsync();
        await store.BeatAsync("a", "", Lease);

        await store.ShareStreamsAsync("a", 7, [new("x", 3)]);
        await store.ShareStreamsAsync("a", 6, [new("x", 9)]);

        Assert.Equal([3], await store.ShareStreamsAsync("b", 1, [new("x", 1)]));
    }

    [Fact]
    public async Task Share_OfAReplicaThatIsDeadOrUnknownOrTakenOver_DoesNotCount_AndIsSwept()
    {
        var store = await _fixture.OpenAsync();
        foreach (var name in new[] { "dead", "taken", "alive" })
        {
            await store.BeatAsync(name, "", Lease);
            await store.ShareStreamsAsync(name, 1, [new("x", 1)]);
        }

        await store.ShareStreamsAsync("unknown", 1, [new("x", 1)]);
        Assert.Equal([2], await store.ShareStreamsAsync("alive", 2, [new("x", 1)]));

        await _fixture.ExecuteAsync("update mooring.replicas set expires = now() where id in ('dead', 'taken')");
        Assert.Equal([0], await store.ShareStreamsAsync("alive", 3, [new("x", 1)]));
        Assert.True(await store.TryTakeOverAsync("taken", "alive"));
        await _fixture.ExecuteAsync("update mooring.replicas set expires = now() + interval '1 hour'");
        Assert.Equal([1], await store.ShareStreamsAsync("alive", 4, [new("x", 1)]));

        await store.ShareStreamsAsync("alive", 5, [new("gone", 0)]);
        await _fixture.ExecuteAsync("update mooring.open_streams set changed = changed - interval '2 minutes'");
        await store.ExpireTasksAsync(DateTimeOffset.MinValue);
        Assert.Equal("alive x,dead x", await _fixture.AskAsync("select string_agg(replica || ' ' || key, ',' order by replica, key) from mooring.open_streams"));
    }

    [Fact]
    public async Task Places_AtTwoReplicasAtOnce_AreHardlyMoreThanThereMayBe_AndThoseOfAKilledOneAreGivenBack()
    {
        await using var a = await ReplicaAsync();
        await using var b = await ReplicaAsync();
        await a.Store.BeatAsync(a.Peers.Name, "", Lease);
        await b.Store.BeatAsync(b.Peers.Name, "", Lease);

        var taken = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => (i % 2 == 0 ? a : b).Places.TakeAsync(Ann).AsTask()));
        // Two that ask at the same moment may both be let in; what was refused for one that was refused itself is free again.
        Assert.InRange(taken.Count(refusal => refusal is null), 5, 12);
        while (await a.Places.TakeAsync(Ann) is null)
        {
        }

        Assert.NotNull(await a.Places.TakeAsync(Ann));
        await _fixture.ExecuteAsync($"update mooring.replicas set expires = now() where id = '{b.Peers.Name}'");
        Assert.Null(await a.Places.TakeAsync(Ann));
    }

    [Fact]
    public async Task Sessions_OfAPerson_AreCountedUpToALimit_AlsoThoseThatTheReleaseBeforeMade()
    {
        var store = await _fixture.OpenAsync();
        for (var i = 0; i < 5; i++)
        {
            await store.SaveSessionAsync(Session($"s{i}") with { Issuer = "i", Subject = i < 3 ? "ann" : "b\0b" });
        }

        await store.SaveSessionAsync(Session("s0") with { Issuer = "i", Subject = "ann" });
        Assert.Equal(3, await store.CountSessionsOfAsync("i", "ann", 10));
        Assert.Equal(2, await store.CountSessionsOfAsync("i", "ann", 2));
        Assert.Equal(2, await store.CountSessionsOfAsync("i", "b\0b", 10));
        Assert.Equal(0, await store.CountSessionsOfAsync("j", "ann", 10));
        Assert.Equal(5, await store.CountSessionsUpToAsync(10));
        Assert.Equal(4, await store.CountSessionsUpToAsync(4));

        await store.DeleteSessionAsync("s0");
        Assert.Equal(2, await store.CountSessionsOfAsync("i", "ann", 10));
        // As a release does that knows no owners.
        await _fixture.ExecuteAsync("""
            insert into mooring.sessions (id, issuer, subject, transport, version, initialize_params, initialized, created, last_seen)
            values ('old', 'i', 'ann', 'http', '2025-11-25', '', true, 1, 1); delete from mooring.sessions where id = 's1'
            """);
        Assert.Equal(2, await store.CountSessionsOfAsync("i", "ann", 10));
    }

    private async Task<Replica> ReplicaAsync()
    {
        var store = await _fixture.OpenAsync();
        var peers = new Peers(store, store, _fixture.Signals(store), _fixture.Clock, new Logger<Peers>(new LoggerFactory([_fixture.Log])));
        var places = new StreamPlaces(
            _fixture.Clock, new ConfigStore(new MooringConfig { Limits = new LimitsConfig { StreamsPerUser = 10 } }, ""), peers, new PermitSource(store),
            new Logger<StreamPlaces>(new LoggerFactory([_fixture.Log])));
        return new Replica(store, peers, places);
    }

    private sealed record Replica(PostgresStore Store, Peers Peers, StreamPlaces Places) : IAsyncDisposable
    {
        public ValueTask DisposeAsync() => Peers.DisposeAsync();
    }
}
