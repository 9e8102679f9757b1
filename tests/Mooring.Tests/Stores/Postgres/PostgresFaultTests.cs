using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Mooring.Stores;
using Mooring.Stores.Postgres;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores.Postgres;

/// <summary>What the store does when PostgreSQL, or the way to it, fails.</summary>
public sealed class PostgresFaultTests(SharedCluster shared)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Server_CrashesAndComesBack_FailsFastMeanwhileAndHealsByItself()
    {
        await using var fixture = await PostgresFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await store.SaveSessionAsync(Session());
        await store.OpenStreamAsync(Call(), Event(1));
        await fixture.Cluster.StopServerAsync();

        var write = await Assert.ThrowsAsync<StoreException>(() => store.AppendEventAsync(Event(2)));
        var read = await Assert.ThrowsAsync<StoreException>(async () => await store.FindSessionAsync("session", Cancel));
        Assert.Contains($"'{fixture.Database}' at 127.0.0.1:{fixture.Cluster.Port} cannot be reached", write.Message, StringComparison.Ordinal);
        Assert.Contains("Connection refused", read.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("Sesame", write + read.ToString() + fixture.Log, StringComparison.Ordinal);

        // Known to be away: nobody tries to connect for a caller any more.
        Assert.True(store.Database.IsAway);
        Assert.Equal(fixture.Clock.GetUtcNow(), store.AwaySince);
        Assert.True(store.SaveSessionAsync(Session()).IsFaulted);
        Assert.True(store.CountSessionsAsync(Cancel).IsFaulted);

        await fixture.Cluster.StartServerAsync();
        await fixture.UntilBackAsync(store);
        await store.AppendEventAsync(Event(2), StreamState.Finished);

        Assert.Equal([1, 2], (await store.ReadEventsAsync("session", "stream", 0, 10, Cancel)).Select(e => e.Sequence));
        Assert.Null(store.AwaySince);
        Assert.Single(fixture.Log.Lines, line => line.StartsWith("Information StoreBack", StringComparison.Ordinal));
        Assert.Contains(fixture.Log.Lines, line => line.StartsWith("Error StoreAway", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Disk_Full_SaysSinceWhen_AnswersQuestions_AndTakesWritesAgainByItself()
    {
        await using var fixture = await PostgresFixture.OnAsync(shared);
        var store = await fixture.OpenAsync();
        await store.SaveSessionAsync(Session());
        await store.OpenStreamAsync(Call(), Event(1));
        await fixture.ExecuteAsync("""
            create function mooring.no_room() returns trigger language plpgsql as $$ begin raise exception 'could not extend file' using errcode = '53100'; end $$;
            create trigger no_room before insert on mooring.events for each row execute function mooring.no_room();
            """);

        var refused = await Assert.ThrowsAsync<StoreException>(() => store.AppendEventAsync(Event(2)));

        Assert.Contains("Make room", refused.Message, StringComparison.Ordinal);
        var since = fixture.Clock.GetUtcNow();
        Assert.Equal(since, store.AwaySince);
        Assert.False(store.Database.IsAway);
        Assert.NotNull(await store.FindSessionAsync("session", Cancel));
        // What fits is taken, and says nothing of the rest.
        await store.SaveSessionAsync(Session("fits"));
        fixture.Clock.Advance(PostgresDatabase.Room / 2);
        await Assert.ThrowsAsync<StoreException>(() => store.AppendEventAsync(Event(2)));
        fixture.Clock.Advance(PostgresDatabase.Room / 2);
        await store.SaveSessionAsync(Session("too"));
        Assert.Equal(since, store.AwaySince);

        await fixture.ExecuteAsync("drop trigger no_room on mooring.events");
        fixture.Clock.Advance(PostgresDatabase.Room);
        await store.AppendEventAsync(Event(2), StreamState.Finished);

        Assert.Null(store.AwaySince);
        Assert.Equal([1, 2], (await store.ReadEventsAsync("session", "stream", 0, 10, Cancel)).Select(e => e.Sequence));
        Assert.Single(fixture.Log.Lines, line => line.StartsWith("Error StoreFull", StringComparison.Ordinal));
        Assert.Single(fixture.Log.Lines, line => line.StartsWith("Information StoreHasRoom", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Server_RestartedWhileNobodyAsked_TheNextCallersNoticeNothing()
    {
        await using var fixture = await PostgresFixture.AloneAsync();
        var store = await fixture.OpenAsync();
        await store.SaveSessionAsync(Session());
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => store.CountSessionsAsync(Cancel)));
        await fixture.Cluster.StopServerAsync();
        await fixture.Cluster.StartServerAsync();

        await store.SaveSessionAsync(Session("other"));

        Assert.Equal(2, await store.CountSessionsAsync(Cancel));
        Assert.False(store.Database.IsAway);
    }

    [Fact]
    public async Task Session_EndedInTheMiddleOfAWrite_TheWriteIsDoneOnceAllTheSame()
    {
        await using var fixture = await PostgresFixture.OnAsync(shared);
        var store = await fixture.OpenAsync();
        await store.SaveSessionAsync(Session());
        await store.OpenStreamAsync(Call(), Event(1));
        await using var locker = new Npgsql.NpgsqlConnection(fixture.Options.Connection);
        await locker.OpenAsync(Cancel);
        await using var transaction = await locker.BeginTransactionAsync(Cancel);
        await using (var hold = new Npgsql.NpgsqlCommand("lock table mooring.events in share mode", locker, transaction))
        {
            await hold.ExecuteNonQueryAsync(Cancel);
        }

        var append = store.AppendEventAsync(Event(2), StreamState.Finished);
        await fixture.UntilAsync(
            async () => await fixture.AskAsync($"select count(*) from pg_stat_activity where datname = '{fixture.Database}' and application_name = 'mooring' and wait_event_type = 'Lock'") is > 0L,
            "the write waited for the lock");
        await fixture.EndSessionsAsync("mooring");
        await transaction.RollbackAsync(Cancel);
        await append;

        Assert.Equal([1, 2], (await store.ReadEventsAsync("session", "stream", 0, 10, Cancel)).Select(e => e.Sequence));
        Assert.Equal(StreamState.Finished, (await store.FindStreamAsync("session", "stream", Cancel))!.State);
    }

    [Fact]
    public async Task Write_PerhapsCommittedBeforeTheConnectionBroke_IsNotCalledADuplicate()
    {
        await using var fixture = await PostgresFixture.OnAsync(shared);
        var store = await fixture.OpenAsync();
        await store.SaveSessionAsync(Session());
        await store.OpenStreamAsync(Call(), Event(1));

        var again = new PostgresWrite<(EventRecord, StreamState?), WriteOutcome>(EventRows.Append, "session", (Event(1), null), 0) { MayBeDone = true };
        var mistake = new PostgresWrite<(EventRecord, StreamState?), WriteOutcome>(EventRows.Append, "session", (Event(1), null), 0);
        var another = new PostgresWrite<(EventRecord, StreamState?), WriteOutcome>(EventRows.Append, "session", (Event(1, body: "another"), null), 0) { MayBeDone = true };
        foreach (var write in new[] { again, mistake, another })
        {
            await store.Database.RunAsync(
                async (connection, cancel) =>
                {
                    await PostgresBatch.RunAsync(connection, [write], cancel);
                    return true;
                },
                Cancel);
            write.Complete();
        }

        Assert.Equal(WriteOutcome.WasThere, await again.Done);
        await Assert.ThrowsAsync<InvalidOperationException>(() => mistake.Done);
        // Whose it is, is not known: to be asked again.
        await Assert.ThrowsAsync<StoreException>(() => another.Done);
    }

    [Fact]
    public async Task Write_CommittedButItsAnswerLostOnTheWay_IsDoneOnceAndNotCalledADuplicate()
    {
        await using var fixture = await PostgresFixture.OnAsync(shared);
        await using var road = new Road(fixture.Cluster.Port);
        var store = await fixture.OpenAsync(new PostgresStoreOptions { Connection = fixture.With(c => c.Port = road.Port) });
        await store.SaveSessionAsync(Session());
        await store.OpenStreamAsync(Call(), Event(1));

        road.Stall(backOnly: true);
        var append = store.AppendEventAsync(Event(2), StreamState.Finished);
        await fixture.UntilAsync(async () => await fixture.AskAsync("select count(*) from mooring.events") is 2L, "the write was committed");
        Assert.False(append.IsCompleted);
        // Not refused meanwhile: whoever comes back at once would find the database away, and say so.
        road.Reset();
        road.Heal();
        await Limit.Of(append, "the write");

        Assert.Equal([1, 2], (await store.ReadEventsAsync("session", "stream", 0, 10, Cancel)).Select(e => e.Sequence));
        Assert.False(store.Database.IsAway);
    }

    [Fact]
    public async Task Road_Stalled_CommandsFailInTimeOthersAtOnceAndAllHeals()
    {
        await using var fixture = await PostgresFixture.OnAsync(shared);
        await using var road = new Road(fixture.Cluster.Port);
        var store = await fixture.OpenAsync(new PostgresStoreOptions
        {
            Connection = fixture.With(c => c.Port = road.Port),
            ConnectTimeout = TimeSpan.FromSeconds(1),
            CommandTimeout = TimeSpan.FromSeconds(1),
        });
        await store.SaveSessionAsync(Session());

        road.Stall();
        await Assert.ThrowsAsync<StoreException>(() => Limit.Of(store.SaveSessionAsync(Session("other")), "the write to fail"));
        Assert.True(store.Database.IsAway);
        Assert.True(store.CountSessionsAsync(Cancel).IsFaulted);

        road.Heal();
        await fixture.UntilBackAsync(store);
        await store.SaveSessionAsync(Session("other"));
        Assert.Equal(2, await store.CountSessionsAsync(Cancel));
    }

    [Fact]
    public async Task Pool_AllConnectionsBusy_FurtherReadersAreRefusedInTimeAndLaterServed()
    {
        await using var fixture = await PostgresFixture.OnAsync(shared);
        var store = await fixture.OpenAsync(fixture.Options with { MaxConnections = 2 });
        await store.SaveSessionAsync(Session());
        await using var locker = new Npgsql.NpgsqlConnection(fixture.Options.Connection);
        await locker.OpenAsync(Cancel);
        var transaction = await locker.BeginTransactionAsync(Cancel);
        await using (var hold = new Npgsql.NpgsqlCommand("lock table mooring.sessions in access exclusive mode", locker, transaction))
        {
            await hold.ExecuteNonQueryAsync(Cancel);
        }

        var holding = store.CountSessionsAsync(Cancel);
        var waiting = store.CountSessionsAsync(Cancel);
        await fixture.UntilAsync(() => Task.FromResult(waiting.IsCompleted), "the second reader was refused");

        var refusal = await Assert.ThrowsAsync<StoreException>(() => waiting);
        Assert.Contains("store.maxConnections is 2", refusal.Message, StringComparison.Ordinal);
        Assert.False(store.Database.IsAway);
        await transaction.RollbackAsync(Cancel);
        Assert.Equal(1, await holding);
        Assert.Equal(1, await store.CountSessionsAsync(Cancel));
    }

    [Fact]
    public async Task Command_TakesTooLong_FailsAndTheStoreGoesOn()
    {
        await using var fixture = await PostgresFixture.OnAsync(shared);
        var store = await fixture.OpenAsync(fixture.Options with { CommandTimeout = TimeSpan.FromSeconds(1) });
        await using var locker = new Npgsql.NpgsqlConnection(fixture.Options.Connection);
        await locker.OpenAsync(Cancel);
        var transaction = await locker.BeginTransactionAsync(Cancel);
        await using (var hold = new Npgsql.NpgsqlCommand("lock table mooring.sessions in access exclusive mode", locker, transaction))
        {
            await hold.ExecuteNonQueryAsync(Cancel);
        }

        var failure = await Assert.ThrowsAsync<StoreException>(() => store.SaveSessionAsync(Session()));
        Assert.Contains("failed: no answer in time", failure.Message, StringComparison.Ordinal);
        Assert.False(store.Database.IsAway);
        await transaction.RollbackAsync(Cancel);
        await store.SaveSessionAsync(Session());
        Assert.DoesNotContain(fixture.Log.Lines, line => line.StartsWith("Error StoreAway", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Write_WaitsForARowThatAnotherHolds_FailsAloneAndTheOthersAreDone()
    {
        await using var fixture = await PostgresFixture.OnAsync(shared);
        var store = await fixture.OpenAsync(fixture.Options with { CommandTimeout = TimeSpan.FromSeconds(1), MaxConnections = 2 });
        await store.SaveSessionAsync(Session("held"));
        await store.SaveSessionAsync(Session("free"));
        await store.OpenStreamAsync(Call("stream", "free"), null);
        await using var locker = new Npgsql.NpgsqlConnection(fixture.Options.Connection);
        await locker.OpenAsync(Cancel);
        var transaction = await locker.BeginTransactionAsync(Cancel);
        await using (var hold = new Npgsql.NpgsqlCommand("select n from mooring.sessions where id = 'held' for update", locker, transaction))
        {
            await hold.ExecuteNonQueryAsync(Cancel);
        }

        // There is one lane: the first write goes alone, and the others wait behind it for a transaction of their own.
        var held = new List<Task> { store.SetListenerAsync("held", new("a", "g1")) };
        List<Task> free = [];
        for (var i = 1; i <= 10; i++)
        {
            held.Add(store.SetListenerAsync("held", new("a", $"g{i + 1}")));
            free.Add(store.AppendEventAsync(Event(i, "stream", "free")));
            free.Add(store.SaveSessionAsync(Session($"new{i}")));
        }

        Assert.Equal(2, await store.CountSessionsAsync(Cancel));
        await Task.WhenAll(free);
        foreach (var write in held)
        {
            await Assert.ThrowsAsync<StoreException>(() => write);
        }

        Assert.False(store.Database.IsAway);
        Assert.DoesNotContain(fixture.Log.Lines, line => line.StartsWith("Error StoreAway", StringComparison.Ordinal));
        Assert.Equal(Enumerable.Range(1, 10).Select(i => (long)i), (await store.ReadEventsAsync("free", "stream", 0, 100, Cancel)).Select(e => e.Sequence));
        await transaction.RollbackAsync(Cancel);
        await store.SetListenerAsync("held", new("b", "g1"));
        Assert.Equal(new SessionListener("b", "g1"), (await store.FindSessionAsync("held", Cancel))!.Listener);
    }

    [Fact]
    public async Task DeleteIdleSession_IsBeingTouchedElsewhere_WaitsAndKeepsIt()
    {
        await using var fixture = await PostgresFixture.OnAsync(shared);
        var store = await fixture.OpenAsync();
        await store.SaveSessionAsync(Session());
        await store.SaveLinkAsync(Link());
        var before = FakeClock.Start + TimeSpan.FromMinutes(1);
        var gone = true;

        await fixture.BesideAsync(
            $"update mooring.sessions set last_seen = {before.UtcTicks}",
            async () => gone = await store.DeleteIdleSessionAsync("session", before));

        Assert.False(gone);
        Assert.NotNull(await store.FindSessionAsync("session", Cancel));
        Assert.Single(await store.FindLinksAsync("session", Cancel));
    }

    [Fact]
    public async Task Open_WrongPasswordOrNoSuchDatabase_SaysWhatToDoAndNeverThePassword()
    {
        await using var fixture = await PostgresFixture.OnAsync(shared);
        var password = await Assert.ThrowsAsync<StoreException>(() => fixture.OpenAsync(new PostgresStoreOptions { Connection = fixture.With(c => c.Password = "S3cret") }));
        var database = await Assert.ThrowsAsync<StoreException>(() => fixture.OpenAsync(new PostgresStoreOptions { Connection = fixture.With(c => c.Database = "nowhere") }));

        Assert.Contains("28P01", password.Message, StringComparison.Ordinal);
        Assert.Contains("Check the user and the password in store.connection", password.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("S3cret", password.ToString(), StringComparison.Ordinal);
        Assert.Contains("'nowhere' at 127.0.0.1:", database.Message, StringComparison.Ordinal);
        Assert.Contains("Create the database", database.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_PeerTakesTheConnectionAndSaysNothing_GivesUpInTime()
    {
        await using var fixture = await PostgresFixture.OnAsync(shared);
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var connection = fixture.With(c => c.Port = ((IPEndPoint)silent.LocalEndpoint).Port);

        var failure = await Limit.Of(
            Assert.ThrowsAsync<StoreException>(() => fixture.OpenAsync(new PostgresStoreOptions { Connection = connection, ConnectTimeout = TimeSpan.FromSeconds(1) })),
            "the attempt to be given up");

        Assert.Contains("no answer in time", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Writes_OneIsRefusedByTheServer_ItsNeighboursAreDone()
    {
        await using var fixture = await PostgresFixture.OnAsync(shared);
        var store = await fixture.OpenAsync(fixture.Options with { MaxConnections = 2 });
        await store.SaveSessionAsync(Session());
        await store.OpenStreamAsync(Call(), null);
        await fixture.ExecuteAsync("alter table mooring.events add constraint refused check (sequence <> 7)");

        var writes = Enumerable.Range(1, 20).Select(sequence => store.AppendEventAsync(Event(sequence))).ToList();
        await Task.WhenAll(writes.Where((_, i) => i != 6));

        var failure = await Assert.ThrowsAsync<StoreException>(() => writes[6]);
        Assert.Contains("SQLSTATE 23514", failure.Message, StringComparison.Ordinal);
        Assert.Equal(
            Enumerable.Range(1, 20).Where(i => i != 7).Select(i => (long)i),
            (await store.ReadEventsAsync("session", "stream", 0, 100, Cancel)).Select(e => e.Sequence));
        Assert.False(store.Database.IsAway);
    }

    [Fact]
    public async Task OpenStream_SessionIsBeingDeletedElsewhere_WaitsAndLeavesNothingBehind()
    {
        await using var fixture = await PostgresFixture.OnAsync(shared);
        var store = await fixture.OpenAsync();
        await store.SaveSessionAsync(Session());

        await fixture.BesideAsync("delete from mooring.sessions", () => store.OpenStreamAsync(Call(), Event(1)));
        await store.SaveSessionAsync(Session());
        await fixture.BesideAsync("delete from mooring.sessions", () => store.SaveLinkAsync(Link()));

        Assert.Equal(0L, await fixture.AskAsync("select (select count(*) from mooring.streams) + (select count(*) from mooring.links) + (select count(*) from mooring.events)"));
    }

    [Fact]
    public async Task DeleteSession_StreamIsBeingOpenedElsewhere_TakesItAlong()
    {
        await using var fixture = await PostgresFixture.OnAsync(shared);
        var store = await fixture.OpenAsync();
        await store.SaveSessionAsync(Session());

        await fixture.BesideAsync(
            """
            select n from mooring.sessions for key share;
            insert into mooring.streams (session, stream_id, kind, state, changed) select n, 'late', 0, 0, 0 from mooring.sessions;
            insert into mooring.links (session, server, version, initialize_result, fingerprint, own_lists) select n, 'late', '', '', '', '' from mooring.sessions
            """,
            () => store.DeleteSessionAsync("session"));

        Assert.Equal(0L, await fixture.AskAsync("select (select count(*) from mooring.streams) + (select count(*) from mooring.links)"));
    }

    [Fact]
    public async Task Writes_OfTwoReplicasToTheSameSessions_AllSucceed()
    {
        await using var fixture = await PostgresFixture.OnAsync(shared);
        var (here, there) = (await fixture.OpenAsync(), await fixture.OpenAsync());
        var ids = Enumerable.Range(0, 30).Select(i => $"s{i}").ToList();
        await Task.WhenAll(ids.Select(id => here.SaveSessionAsync(Session(id))));
        await Task.WhenAll(ids.Select(id => here.OpenStreamAsync(Call("stream", id), null)));

        var later = FakeClock.Start + TimeSpan.FromMinutes(1);
        List<Task> writes = [];
        for (var i = 0; i < 20; i++)
        {
            writes.AddRange(ids.Select(id => here.SetStreamStateAsync(id, "stream", StreamState.Finished)));
            writes.AddRange(Enumerable.Reverse(ids).Select(id => there.SetStreamStateAsync(id, "stream", StreamState.Running)));
            writes.Add(here.TouchSessionsAsync([.. ids.Select(id => (id, later.AddTicks(i)))]));
            writes.Add(there.TouchSessionsAsync([.. Enumerable.Reverse(ids).Select(id => (id, later.AddTicks(i)))]));
        }

        await Task.WhenAll(writes);
        Assert.Empty(await here.FindIdleSessionsAsync(later.AddTicks(19), 10, Cancel));
    }

    [Fact]
    public async Task Opener_ServerIsNotThereYet_SaysSoOnceAndOpensWhenItComes()
    {
        await using var fixture = await PostgresFixture.AloneAsync();
        await fixture.Cluster.StopServerAsync();
        var store = fixture.Make();
        var opener = new StoreOpener(fixture.Clock, new Logger<StoreOpener>(new LoggerFactory([fixture.Log])));
        var tries = 0;
        var opening = opener.OpenAsync(
            cancel =>
            {
                tries++;
                return store.OpenAsync(cancel);
            },
            Cancel);

        await fixture.UntilAsync(() => Task.FromResult(tries > 3), "it was tried several times");
        var meanwhile = await Assert.ThrowsAsync<StoreException>(() => store.SaveSessionAsync(Session()));
        Assert.Contains("Connection refused", meanwhile.Message, StringComparison.Ordinal);

        await fixture.Cluster.StartServerAsync();
        await fixture.UntilAsync(() => Task.FromResult(opening.IsCompleted), "the store was open");
        await opening;
        await store.SaveSessionAsync(Session());

        Assert.Single(fixture.Log.Lines, line => line.Contains("Connection refused", StringComparison.Ordinal));
        Assert.Single(fixture.Log.Lines, line => line.StartsWith("Information StoreOpenAtLast", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Dispose_WritesStillQueued_AllAreThereAfterReopening()
    {
        await using var fixture = await PostgresFixture.OnAsync(shared);
        var store = await fixture.OpenAsync(fixture.Options with { QueueLength = 100 });
        List<Task> writes = [store.SaveSessionAsync(Session()), store.OpenStreamAsync(Call(), null)];
        writes.AddRange(Enumerable.Range(1, 90).Select(sequence => store.AppendEventAsync(Event(sequence))));
        await store.DisposeAsync();
        await Task.WhenAll(writes);

        var again = await fixture.OpenAsync();

        Assert.Equal(90, (await again.ReadEventsAsync("session", "stream", 0, 2000, Cancel)).Count);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => store.SaveSessionAsync(Session()));
    }

    [Fact]
    public async Task Sessions_AfterManyUses_HoldNothingOfOurs()
    {
        await using var fixture = await PostgresFixture.OnAsync(shared);
        var store = await fixture.OpenAsync(fixture.Options with { MaxConnections = 2 });
        await store.SaveSessionAsync(Session());
        await store.OpenStreamAsync(Call(), Event(1));
        await store.AppendEventAsync(Event(2));
        await store.BeatAsync("a", "", TimeSpan.FromHours(1));

        var left = await store.Database.RunAsync(
            async (connection, cancel) =>
            {
                // Locks of this database only: other tests have theirs on the same server.
                await using var ask = new Npgsql.NpgsqlCommand(
                    """
                    select (select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database()))
                        + (select count(*) from pg_settings where source = 'session')
                    """,
                    connection);
                return await ask.ExecuteScalarAsync(cancel);
            },
            Cancel);

        Assert.Equal(0L, left);
    }
}
