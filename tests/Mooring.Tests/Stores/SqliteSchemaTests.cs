using System.Reflection;
using Mooring.Stores;
using Mooring.Stores.Sqlite;
using Mooring.Tests.Vault;
using Mooring.Vault;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores;

public sealed class SqliteSchemaTests : IAsyncDisposable
{
    /// <summary>The first version of which a row of everything is kept; of version 1 there are those that it had.</summary>
    private const int FirstKept = 9;

    private readonly SqliteFixture _fixture = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync() => await _fixture.DisposeAsync();

    [Fact]
    public void Migrations_AsShipped_CountUpWithoutAGapAndNeedNoFutureRelease()
    {
        Assert.Equal(Enumerable.Range(1, SqliteSchema.Migrations.Count), SqliteSchema.Migrations.Select(step => step.Version));
        Assert.All(SqliteSchema.Migrations, step => Assert.InRange(step.WorksFrom, 1, step.Version));
    }

    [Fact]
    public async Task Open_FileOfVersion1_ServesItsRowsAndGoesOnWithThem()
    {
        // The .dump of a file that a gateway with schema version 1 had written; it breaks off at a NUL, which is put in by hand.
        var dump = await File.ReadAllTextAsync(Path.Combine(AppContext.BaseDirectory, "fixtures", "sqlite", "schema-1.sql"), Cancel);
        await File.WriteAllBytesAsync(_fixture.Options.DatabasePath, [], Cancel);
        using (var database = SqliteDatabase.Open(_fixture.Options))
        {
            database.Execute(dump);
        }

        var store = await _fixture.OpenAsync();

        Assert.Equal(Describe(OlderSession()), Describe(await store.FindSessionAsync("session", Cancel)));
        Assert.Equal([Describe(Link() with { OwnLists = default })], (await store.FindLinksAsync("session", Cancel)).Select(Describe));
        Assert.Equal(Describe(Call() with { Cursor = null }), Describe(Assert.Single(await store.FindRunningCallsAsync(Cancel))));
        Assert.Equal([Describe(Event(1)), Describe(Event(2))], (await store.ReadEventsAsync("session", "stream", 0, 10, Cancel)).Select(Describe));
        Assert.Equal("files", Assert.Single(await store.LoadCatalogueAsync(Cancel)).Server);
        Assert.Equal("files", await store.ClaimNameAsync(new NameRecord("tool", "search", "other")));

        await store.AppendEventAsync(Event(3), StreamState.Finished);
        await store.SetListenerAsync("session", new("old", "g"));
        Assert.True(await store.UpdateSessionAsync(Session() with { LogLevel = "error" }));
        await store.SaveLinkAsync(Link());
        await store.SaveSessionAsync(Session("new"));
        Assert.Equal("old", (await store.FindSessionAsync("session", Cancel))!.Listener?.Replica);
        Assert.Equal("error", (await store.FindSessionAsync("session", Cancel))!.LogLevel);
        Assert.Equal(3, (await store.ReadEventsAsync("session", "stream", 0, 10, Cancel)).Count);
        Assert.Equal(2, await store.CountSessionsAsync(Cancel));
    }

    public static TheoryData<int> Kept => [.. Enumerable.Range(FirstKept, SqliteSchema.Migrations.Count - FirstKept + 1)];

    [Theory]
    [MemberData(nameof(Kept))]
    public async Task Open_FileOfAVersionBefore_ServesEveryRowAndGoesOnWithThem(int version)
    {
        await using var fixture = new VaultFixture();
        await File.WriteAllBytesAsync(fixture.Options.DatabasePath, [], Cancel);
        using (var database = SqliteDatabase.Open(fixture.Options))
        {
            database.Execute(await StoreDump.ReadAsync("sqlite", version));
        }

        var store = await fixture.OpenStoreAsync();
        var isSealed = version >= SqliteSchema.ReadsSealed;
        Assert.Equal(isSealed, SealedBody.IsSealed((await store.FindSessionAsync("session", Cancel))!.InitializeParams.Span));
        var vault = await fixture.OpenAsync(store, config => config with { KeyFile = StoreDump.Key });

        await StoreDump.AssertServedAsync(vault.Store, vault.Replicas, store, isSealed ? new Credentials(vault.Keys, store) : null, hasPlaces: version >= 11);
    }

    [Fact]
    public Task Dumps_OfEveryVersionSinceTheFirstKept_AreThere() => StoreDump.DemandAsync("sqlite", FirstKept, SqliteSchema.Migrations.Count, async () =>
    {
        await using var fixture = new VaultFixture();
        var store = await fixture.OpenStoreAsync();
        var vault = await fixture.OpenAsync(store, config => config with { KeyFile = StoreDump.Key });
        await StoreDump.FillAsync(vault.Store, vault.Replicas, store, new Credentials(vault.Keys, store));
        await store.DisposeAsync();
        using var database = SqliteDatabase.Open(fixture.Options);
        return Dump(database);
    });

    [Fact]
    public async Task Apply_FileOfThePreviousVersion_RunsOnlyWhatIsMissingAndKeepsTheRows()
    {
        await _fixture.MakeFileAsync();
        using var database = SqliteDatabase.Open(_fixture.Options);
        var next = SqliteSchema.Migrations.Count + 1;
        SessionRows.Save(database, Session());
        List<SqliteMigration> migrations =
        [
            .. SqliteSchema.Migrations,
            new(next, 1, "alter table sessions add column colour text"),
            new(next + 1, 1, "update sessions set colour = 'red'"),
        ];

        Assert.Equal((next - 1, next + 1), SqliteSchema.Apply(database, migrations));
        Assert.Equal((next + 1, next + 1), SqliteSchema.Apply(database, migrations));

        Assert.Equal(Describe(Session()), Describe(SessionRows.Find(database, "session")));
        using var read = database.Use("select colour from sessions");
        Assert.True(read.Step());
        Assert.Equal("red", read.Text(0));
    }

    [Fact]
    public async Task Apply_StepFails_LeavesTheVersionBeforeIt()
    {
        await _fixture.MakeFileAsync();
        using var database = SqliteDatabase.Open(_fixture.Options);
        var next = SqliteSchema.Migrations.Count + 1;
        List<SqliteMigration> broken =
            [.. SqliteSchema.Migrations, new(next, 1, "create table half (n integer); create table half (n integer)")];

        Assert.Throws<StoreException>(() => SqliteSchema.Apply(database, broken));

        Assert.Equal((next - 1, next - 1), SqliteSchema.Apply(database, SqliteSchema.Migrations));
        using var read = database.Use("select count(*) from sqlite_master where name = 'half'");
        Assert.True(read.Step());
        Assert.Equal(0, read.Number(0));
    }

    [Fact]
    public async Task Open_NewerSchemaThatStillWorksFromOurs_Opens()
    {
        await _fixture.MakeFileAsync();
        using (var database = SqliteDatabase.Open(_fixture.Options))
        {
            database.Execute("insert into schema_version values (90, 1); alter table sessions add column later text");
        }

        var store = await _fixture.OpenAsync();
        await store.SaveSessionAsync(Session());

        Assert.Equal(1, await store.CountSessionsAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Open_NewerSchemaThatTookAwayWhatWeNeed_IsRefusedWithBothVersions()
    {
        await _fixture.MakeFileAsync();
        using (var database = SqliteDatabase.Open(_fixture.Options))
        {
            database.Execute("insert into schema_version values (90, 89)");
        }

        var refusal = await Assert.ThrowsAsync<StoreException>(() => _fixture.OpenAsync());

        Assert.Contains("schema version 90", refusal.Message, StringComparison.Ordinal);
        Assert.Contains($"this one knows {SqliteSchema.Migrations.Count}", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Statements_OfEveryRequest_UseAnIndex()
    {
        await _fixture.MakeFileAsync();
        using var database = SqliteDatabase.Open(_fixture.Options);
        var statements = new[] { typeof(SessionRows), typeof(StreamRows), typeof(EventRows), typeof(CatalogueRows), typeof(HomeRows), typeof(AuthRows), typeof(VaultRows) }
            .SelectMany(type => type.GetFields(BindingFlags.NonPublic | BindingFlags.Static))
            .Where(field => field is { IsLiteral: true, IsAssembly: true })
            .ToDictionary(field => $"{field.DeclaringType!.Name}.{field.Name}", field => (string)field.GetRawConstantValue()!);
        Assert.True(statements.Count >= 20);

        foreach (var (name, sql) in statements)
        {
            using var plan = database.Use("explain query plan " + sql);
            while (plan.Step())
            {
                // The partial index holds running calls only: reading all of it is the purpose.
                var step = plan.Text(3);
                Assert.False(
                    step.StartsWith("SCAN", StringComparison.Ordinal) && !step.Contains("streams_running_calls", StringComparison.Ordinal),
                    $"{name}: {step}");
            }
        }
    }

    /// <summary>All that is in a file, as text that makes it anew.</summary>
    private static string Dump(SqliteDatabase database)
    {
        var lines = new List<string> { $"-- A file as a gateway with schema version {SqliteSchema.Migrations.Count} leaves it. Never changed: later releases must serve it." };
        lines.AddRange(Ask("select sql || ';' from sqlite_master where type = 'table' order by rowid"));
        foreach (var table in Ask("select name from sqlite_master where type = 'table' order by rowid"))
        {
            // Quoting ends at a NUL.
            var columns = Ask($"select '\"' || name || '\"' from pragma_table_info('{table}') order by cid")
                .Select(column => $"case when typeof({column}) = 'text' and instr({column}, char(0)) > 0 then 'cast(x''' || hex({column}) || ''' as text)' else quote({column}) end");
            lines.AddRange(Ask($"select 'insert into {table} values (' || {string.Join(" || ', ' || ", columns)} || ');' from {table}"));
        }

        lines.AddRange(Ask("select sql || ';' from sqlite_master where type <> 'table' and sql is not null order by rowid"));
        return string.Join('\n', lines) + "\n";

        List<string> Ask(string sql)
        {
            var answers = new List<string>();
            using var read = database.Use(sql);
            while (read.Step())
            {
                answers.Add(read.Text(0));
            }

            return answers;
        }
    }
}
