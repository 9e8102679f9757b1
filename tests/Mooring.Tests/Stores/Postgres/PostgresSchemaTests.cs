using System.Diagnostics;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Stores.Postgres;
using Mooring.Tests.Vault;
using Mooring.Vault;
using Npgsql;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores.Postgres;

public sealed class PostgresSchemaTests(SharedCluster shared) : IAsyncLifetime
{
    /// <summary>The first version of which a row of everything is kept; of version 1 there are those that it had.</summary>
    private const int FirstKept = 8;

    private PostgresFixture _fixture = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _fixture = await PostgresFixture.OnAsync(shared);

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    [Fact]
    public void Migrations_AsShipped_CountUpWithoutAGapAndNeedNoFutureRelease()
    {
        Assert.Equal(Enumerable.Range(1, PostgresSchema.Migrations.Count), PostgresSchema.Migrations.Select(step => step.Version));
        Assert.All(PostgresSchema.Migrations, step => Assert.InRange(step.WorksFrom, 1, step.Version));
    }

    [Fact]
    public async Task Open_DatabaseOfVersion1_ServesItsRowsAndGoesOnWithThem()
    {
        // Taken with pg_dump from a database that a gateway with schema version 1 had written.
        await _fixture.ExecuteAsync(await File.ReadAllTextAsync(Path.Combine(AppContext.BaseDirectory, "fixtures", "postgres", "schema-1.sql"), Cancel));

        var store = await _fixture.OpenAsync();

        Assert.Equal(Describe(OlderSession()), Describe(await store.FindSessionAsync("session", Cancel)));
        Assert.Equal([Describe(Link())], (await store.FindLinksAsync("session", Cancel)).Select(Describe));
        Assert.Equal(Describe(Call() with { Cursor = null }), Describe(Assert.Single(await store.FindRunningCallsAsync(Cancel))));
        Assert.Equal([Describe(Event(1)), Describe(Event(2))], (await store.ReadEventsAsync("session", "stream", 0, 10, Cancel)).Select(Describe));
        Assert.Equal("files", Assert.Single(await store.LoadCatalogueAsync(Cancel)).Server);
        Assert.Equal("files", await store.ClaimNameAsync(new NameRecord("tool", "search", "other")));
        Assert.Equal(["t"], await store.FindTasksOfAsync("files", "issuer", "ada", Cancel));
        Assert.Equal(["old"], (await store.FindReplicasAsync(Cancel)).Select(replica => replica.Id));
        Assert.Equal("mail", Text(Assert.Single(await store.ReadMailboxAsync("old", 0, 10, Cancel)).Body));

        await store.AppendEventAsync(Event(3), StreamState.Finished);
        await store.SetListenerAsync("session", new("old", "g"));
        Assert.Equal(new SessionListener("old", "g"), (await store.FindSessionAsync("session", Cancel))!.Listener);
        Assert.True(await store.UpdateSessionAsync(Session() with { LogLevel = "error" }));
        Assert.Equal("old", await store.ClaimHomeAsync("session", "files", "old"));
        await store.SaveSessionAsync(Session("new"));
        Assert.Equal(2, await store.CountSessionsAsync(Cancel));
        Assert.Equal((long)PostgresSchema.Migrations.Count, await _fixture.AskAsync("select max(version)::bigint from mooring.schema_version"));
    }

    public static TheoryData<int> Kept => [.. Enumerable.Range(FirstKept, PostgresSchema.Migrations.Count - FirstKept + 1)];

    [Theory]
    [MemberData(nameof(Kept))]
    public async Task Open_DatabaseOfAVersionBefore_ServesEveryRowAndGoesOnWithThem(int version)
    {
        await _fixture.ExecuteAsync(await StoreDump.ReadAsync("postgres", version));
        await using var keys = new VaultFixture();

        var store = await _fixture.OpenAsync();
        Assert.True(SealedBody.IsSealed((await store.FindSessionAsync("session", Cancel))!.InitializeParams.Span));
        var vault = await OpenAsync(keys, store);

        await StoreDump.AssertServedAsync(vault.Store, vault.Replicas, store, new Credentials(vault.Keys, store), hasPlaces: version >= 10);
        Assert.Equal(2, await store.CountSessionsOfAsync(Session().Issuer, Session().Subject, 10));
        Assert.Equal(1, (await store.LeasePermitsAsync("ada", 1, 10)).Granted);
    }

    [Fact]
    public Task Dumps_OfEveryVersionSinceTheFirstKept_AreThere() => StoreDump.DemandAsync("postgres", FirstKept, PostgresSchema.Migrations.Count, async () =>
    {
        await using var keys = new VaultFixture();
        var store = await _fixture.OpenAsync();
        var vault = await OpenAsync(keys, store);
        await StoreDump.FillAsync(vault.Store, vault.Replicas, store, new Credentials(vault.Keys, store));
        await store.LeasePermitsAsync("ada", 1, 10);
        return await DumpAsync();
    });

    [Fact]
    public async Task Open_ManyReplicasAtOnceOnAnEmptyDatabase_AllOpen()
    {
        using var start = new Barrier(6);
        var stores = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => _fixture.Make()).ToList().Select(store => Task.Factory.StartNew(
            async () =>
            {
                start.SignalAndWait(Cancel);
                await store.OpenAsync(Cancel);
                return store;
            },
            Cancel,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default).Unwrap()));

        await Task.WhenAll(stores.Select((store, i) => store.SaveSessionAsync(Session($"s{i}"))));
        Assert.Equal(6, await stores[0].CountSessionsAsync(Cancel));
        Assert.Equal((long)PostgresSchema.Migrations.Count, await _fixture.AskAsync("select count(*) from mooring.schema_version"));
    }

    [Fact]
    public async Task Apply_StepsOfTheNextRelease_RunBesideThisOneAndKeepTheRows()
    {
        var store = await _fixture.OpenAsync();
        await store.SaveSessionAsync(Session());
        var next = PostgresSchema.Migrations.Count + 1;
        List<PostgresMigration> migrations =
        [
            .. PostgresSchema.Migrations,
            new(next, 1, "alter table mooring.sessions add column colour text"),
            new(next + 1, 1, "update mooring.sessions set colour = 'red'"),
        ];

        Assert.Equal((next - 1, next + 1), await ApplyAsync(migrations));
        Assert.Equal((next + 1, next + 1), await ApplyAsync(migrations));

        // This release, already running or started only now, works on the newer schema.
        await store.SaveSessionAsync(Session("later"));
        var second = await _fixture.OpenAsync();
        Assert.Equal(2, await second.CountSessionsAsync(Cancel));
        Assert.Equal("red", await _fixture.AskAsync("select colour from mooring.sessions where id = 'session'"));
    }

    [Fact]
    public async Task Apply_StepFails_LeavesEverythingAsItWas()
    {
        await _fixture.OpenAsync();
        var next = PostgresSchema.Migrations.Count + 1;
        List<PostgresMigration> broken =
        [
            .. PostgresSchema.Migrations,
            new(next, 1, "create table mooring.whole (n integer)"),
            new(next + 1, 1, "create table mooring.half (n integer); create table mooring.half (n integer)"),
        ];

        await Assert.ThrowsAsync<PostgresException>(() => ApplyAsync(broken));

        Assert.Equal((next - 1, next - 1), await ApplyAsync(PostgresSchema.Migrations));
        Assert.Equal(true, await _fixture.AskAsync("select to_regclass('mooring.whole') is null and to_regclass('mooring.half') is null"));
    }

    [Fact]
    public async Task Open_NewerSchemaThatTookAwayWhatWeNeed_IsRefusedWithBothVersions()
    {
        await _fixture.OpenAsync();
        await _fixture.ExecuteAsync("insert into mooring.schema_version values (90, 89)");

        var refusal = await Assert.ThrowsAsync<StoreException>(() => _fixture.OpenAsync());

        Assert.Contains("schema version 90", refusal.Message, StringComparison.Ordinal);
        Assert.Contains($"this one knows {PostgresSchema.Migrations.Count}", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_UserMayNotCreateSchemasButOneWasMadeForIt_Opens()
    {
        await _fixture.ExecuteAsync(
            $"create role clerk_{_fixture.Database} login password 'x'; create schema mooring authorization clerk_{_fixture.Database}");
        var connection = _fixture.With(c => (c.Username, c.Password) = ($"clerk_{_fixture.Database}", "x"));

        var store = await _fixture.OpenAsync(new PostgresStoreOptions { Connection = connection });
        await store.SaveSessionAsync(Session());

        Assert.Equal(1, await store.CountSessionsAsync(Cancel));
    }

    [Fact]
    public async Task Open_UserMayNotCreateAnything_SaysWhatItNeeds()
    {
        await _fixture.ExecuteAsync($"create role guest_{_fixture.Database} login password 'x'");
        var connection = _fixture.With(c => (c.Username, c.Password) = ($"guest_{_fixture.Database}", "x"));

        var refusal = await Assert.ThrowsAsync<StoreException>(() => _fixture.OpenAsync(new PostgresStoreOptions { Connection = connection }));

        Assert.Contains("right to create", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Texts_WithBackslashesAndNuls_StayDifferent()
    {
        var store = await _fixture.OpenAsync();
        string[] ids = ["a", "a\0", "a\\0", "a\\", "\\\\0", "\0\0", "\\"];
        foreach (var id in ids)
        {
            await store.SaveTaskAsync(new TaskRecord("s", id, id, id, FakeClock.Start));
        }

        foreach (var id in ids)
        {
            Assert.Equal(new TaskRecord("s", id, id, id, FakeClock.Start), await store.FindTaskAsync("s", id, Cancel));
            Assert.Equal([id], await store.FindTasksOfAsync("s", id, id, Cancel));
        }
    }

    private static async Task<OpenedVault> OpenAsync(VaultFixture keys, PostgresStore store)
    {
        var vault = keys.Make(store, store, store, config => config with { KeyFile = StoreDump.Key }, StoreKind.Postgres);
        await vault.Seal.OpenAsync(Cancel);
        return vault;
    }

    /// <summary>All that is in the schema, as text that makes it anew.</summary>
    private async Task<string> DumpAsync()
    {
        var place = new NpgsqlConnectionStringBuilder(_fixture.Options.Connection);
        var program = Directory.EnumerateFiles("/usr/lib/postgresql", "pg_dump", SearchOption.AllDirectories).Order(StringComparer.Ordinal).Last();
        var start = new ProcessStartInfo(
            program, ["--inserts", "--schema=mooring", "--no-owner", "--no-privileges", "-h", place.Host!, "-p", $"{place.Port}", "-U", place.Username!, place.Database!])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
        };
        start.Environment["PGPASSWORD"] = place.Password;
        using var process = Process.Start(start)!;
        var lines = (await process.StandardOutput.ReadToEndAsync(Cancel)).Split('\n');
        await process.WaitForExitAsync(Cancel);
        Assert.Equal(0, process.ExitCode);
        // Remarks, and orders for another program, are no part of it.
        return $"-- A database as a gateway with schema version {PostgresSchema.Migrations.Count} leaves it (pg_dump --inserts). Never changed: later releases must serve it.\n\n"
            + string.Join('\n', lines.Where(line => line.Length > 0 && !line.StartsWith("--", StringComparison.Ordinal) && !line.StartsWith('\\'))) + "\n";
    }

    private async Task<(int Before, int After)> ApplyAsync(IReadOnlyList<PostgresMigration> migrations)
    {
        await using var connection = new NpgsqlConnection(_fixture.Options.Connection);
        await connection.OpenAsync(Cancel);
        return await PostgresSchema.ApplyAsync(connection, migrations, TimeSpan.FromMinutes(1), "The database", Cancel);
    }
}
