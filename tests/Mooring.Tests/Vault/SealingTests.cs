using System.Text;
using Mooring.Stores;
using Mooring.Stores.Memory;
using Mooring.Stores.Sqlite;
using Mooring.Vault;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Vault;

/// <summary>What lies in the store, as whoever gets hold of its files sees it, and when rows are sealed.</summary>
public sealed class SealingTests : IAsyncDisposable
{
    private const string Canary = "canary-of-ada";

    private readonly VaultFixture _fixture = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    [Fact]
    public async Task Files_OfTheEmbeddedStore_HoldNothingOfWhatPeopleAskedAndGot()
    {
        var store = await _fixture.OpenStoreAsync();
        var vault = await _fixture.OpenAsync(store);
        await PlantAsync(vault);

        Assert.Equal(0, CanariesInFiles());
        await store.DisposeAsync();
        Assert.Equal(0, CanariesInFiles());

        // The same without the seal, to see that the search finds what is there.
        await using var open = new VaultFixture();
        await PlantAsync(await open.OpenAsync(await open.OpenStoreAsync(), v => v with { Seal = false }));
        Assert.NotEqual(0, CanariesInFiles(open));
    }

    [Fact]
    public async Task Rows_OfEveryKind_AreSealedAndComeBack()
    {
        var store = await _fixture.OpenStoreAsync();
        var vault = await _fixture.OpenAsync(store);
        await PlantAsync(vault);

        var raw = (await store.FindSessionAsync("session", Cancel))!;
        Assert.True(SealedBody.IsSealed(raw.InitializeParams.Span));
        Assert.StartsWith("mooring-sealed:", Assert.Single(raw.Subscriptions), StringComparison.Ordinal);
        var link = Assert.Single(await store.FindLinksAsync("session", Cancel));
        Assert.True(SealedBody.IsSealed(link.InitializeResult.Span) && SealedBody.IsSealed(link.OwnLists.Span));
        Assert.StartsWith("mooring-sealed:", link.Fingerprint, StringComparison.Ordinal);
        Assert.All(await store.ReadEventsAsync("session", "stream", 0, 10, Cancel), known => Assert.True(SealedBody.IsSealed(known.Body.Span)));
        Assert.True(SealedBody.IsSealed(Assert.Single(await store.ReadMailboxAsync("r", 0, 10, Cancel)).Body.Span));

        var session = (await vault.Store.FindSessionAsync("session", Cancel))!;
        Assert.Equal((Canary, Canary), (Text(session.InitializeParams), Assert.Single(session.Subscriptions)));
        Assert.Equal(Canary, Assert.Single(await vault.Store.FindLinksAsync("session", Cancel)).Fingerprint);
        Assert.Equal([Canary, Canary], (await vault.Store.ReadEventsAsync("session", "stream", 0, 10, Cancel)).Select(known => Text(known.Body)));
        Assert.Equal(Canary, Text(Assert.Single(await vault.Replicas.ReadMailboxAsync("r", 0, 10, Cancel)).Body));
    }

    [Fact]
    public async Task Task_AllThatWasAskedAndSaid_IsSealedAndComesBackWithEachRevision()
    {
        var store = await _fixture.OpenStoreAsync();
        var vault = await _fixture.OpenAsync(store);
        var task = new HeldTask
        {
            Id = "task",
            Issuer = "",
            Subject = "ada",
            Server = "files",
            Tool = "search",
            Meta = Utf8(Canary),
            Replica = "r",
            Body = Utf8(Canary),
            Message = Canary,
            Created = FakeClock.Start,
            Updated = FakeClock.Start,
            Expires = FakeClock.Start + TimeSpan.FromHours(1),
        };

        Assert.True(await vault.Store.HoldTaskAsync(task, 10, 10));
        var first = (await vault.Store.FindHeldTaskAsync("task", Cancel))!;
        Assert.True(await vault.Store.UpdateHeldTaskAsync(first with { Message = "later " + Canary }));
        var second = Assert.Single(await vault.Store.FindUnfinishedTasksAsync("r", Cancel));

        Assert.Equal((Canary, Canary, Canary), (Text(first.Meta), Text(first.Body), first.Message));
        Assert.Equal((Canary, Canary, "later " + Canary), (Text(second.Meta), Text(second.Body), second.Message));
        var raw = (await store.FindHeldTaskAsync("task", Cancel))!;
        Assert.True(SealedBody.IsSealed(raw.Meta.Span) && SealedBody.IsSealed(raw.Body.Span));
        Assert.DoesNotContain(Canary, raw.Message, StringComparison.Ordinal);
        Assert.Equal(0, CanariesInFiles());
    }

    [Fact]
    public async Task Replicas_NoKeyIsNamed_RowsAreInClearAndItIsSaid_ButSealedOnesNeedIt()
    {
        var memory = new MemoryStore(_fixture.Clock);
        var shared = new FaultyStore(_fixture.Clock) { IsRemote = true };
        var vault = _fixture.Make(shared, memory, memory);
        await vault.Seal.OpenAsync(Cancel);
        await vault.Store.SaveSessionAsync(Session());
        await vault.Store.OpenStreamAsync(Call(), null);
        await vault.Replicas.BeatAsync("new", "host", TimeSpan.FromHours(1));
        await vault.Replicas.FindReplicasAsync(Cancel);

        await vault.Store.AppendEventAsync(Event(1, body: "clear"));

        Assert.Equal("clear", Text((await shared.ReadEventsAsync("session", "stream", 0, 1, Cancel))[0].Body));
        Assert.Contains(_fixture.Log.Lines, line => line.Contains("vault.keyFile", StringComparison.Ordinal));
        Assert.False(File.Exists(_fixture.DefaultKey));
        await memory.BeginSealingAsync();
        await Assert.ThrowsAsync<VaultKeyException>(() => _fixture.Make(shared, memory, memory).Seal.OpenAsync(Cancel));
    }

    [Fact]
    public async Task Event_MovedIntoAnotherPersonsStream_DoesNotOpen()
    {
        var memory = new MemoryStore(_fixture.Clock);
        var vault = await OpenOnAsync(memory);
        await PlantAsync(vault);
        await vault.Store.SaveSessionAsync(Session("mallory"));
        await vault.Store.OpenStreamAsync(Call("stream", "mallory"), null);
        var stolen = (await memory.ReadEventsAsync("session", "stream", 0, 1, Cancel))[0];

        await memory.AppendEventAsync(stolen with { SessionId = "mallory" });

        await Assert.ThrowsAsync<StoreException>(() => vault.Store.ReadEventsAsync("mallory", "stream", 0, 10, Cancel));
        Assert.DoesNotContain(_fixture.Log.Lines, line => line.Contains(Canary, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Letter_ThatDoesNotOpen_IsEmptyAndHoldsUpNoOther()
    {
        var memory = new MemoryStore(_fixture.Clock);
        var vault = await OpenOnAsync(memory);
        await memory.BeatAsync("r", "", TimeSpan.FromHours(1));
        await vault.Replicas.PostAsync("r", "kind", "a", Utf8(Canary));
        var sealedBody = (await memory.ReadMailboxAsync("r", 0, 1, Cancel))[0].Body;
        await memory.PostAsync("r", "kind", "forged", sealedBody);
        await vault.Replicas.PostAsync("r", "kind", "b", Utf8("next"));

        var letters = await vault.Replicas.ReadMailboxAsync("r", 0, 10, Cancel);

        Assert.Equal([Canary, "", "next"], letters.Select(letter => Text(letter.Body)));
    }

    [Fact]
    public async Task Letter_OfADeadReplica_OpensForWhoeverTakesItOver()
    {
        var memory = new MemoryStore(_fixture.Clock);
        var vault = await OpenOnAsync(memory);
        await memory.BeatAsync("dead", "", TimeSpan.Zero);
        await memory.BeatAsync("heir", "", TimeSpan.FromHours(1));
        await vault.Replicas.PostAsync("heir", "kind", "own", Utf8("own"));
        await vault.Replicas.PostAsync("dead", "kind", "left", Utf8(Canary));

        Assert.True(await vault.Replicas.TryTakeOverAsync("dead", "heir"));

        Assert.Equal(["own", Canary], (await vault.Replicas.ReadMailboxAsync("heir", 0, 10, Cancel)).Select(letter => Text(letter.Body)));
    }

    [Fact]
    public async Task Rows_OfTheReleaseBefore_AreReadAndNewOnesSealed()
    {
        var store = await _fixture.OpenStoreAsync();
        await store.SaveSessionAsync(Session() with { InitializeParams = Utf8("{}"), Subscriptions = ["file:///a", "file:///b"] });
        await store.SaveLinkAsync(Link());
        await store.OpenStreamAsync(Call(), Event(1, body: """{"old":true}"""));

        var vault = await _fixture.OpenAsync(store);
        await vault.Store.AppendEventAsync(Event(2, body: """{"new":true}"""));

        var session = (await vault.Store.FindSessionAsync("session", Cancel))!;
        Assert.Equal("{}", Text(session.InitializeParams));
        Assert.Equal(["file:///a", "file:///b"], session.Subscriptions);
        Assert.Equal(Describe(Link()), Describe(Assert.Single(await vault.Store.FindLinksAsync("session", Cancel))));
        Assert.Equal(["""{"old":true}""", """{"new":true}"""], (await vault.Store.ReadEventsAsync("session", "stream", 0, 10, Cancel)).Select(known => Text(known.Body)));
        Assert.True(SealedBody.IsSealed((await store.ReadEventsAsync("session", "stream", 1, 1, Cancel))[0].Body.Span));
    }

    [Fact]
    public async Task Primer_WithoutBody_StaysEmpty()
    {
        var memory = new MemoryStore(_fixture.Clock);
        var vault = await OpenOnAsync(memory);
        await vault.Store.SaveSessionAsync(Session());
        await vault.Store.OpenStreamAsync(Call(), Event(1, body: ""));

        Assert.True((await memory.ReadEventsAsync("session", "stream", 0, 1, Cancel))[0].Body.IsEmpty);
        Assert.True((await vault.Store.ReadEventsAsync("session", "stream", 0, 1, Cancel))[0].Body.IsEmpty);
    }

    [Fact]
    public async Task File_WithSealedRows_CannotBeOpenedByTheReleaseBefore_AndOneWithoutCan()
    {
        var before = SqliteSchema.Migrations.Where(step => step.Version < SqliteSchema.ReadsSealed).ToList();
        var store = await _fixture.OpenStoreAsync();
        await _fixture.OpenAsync(store, v => v with { Seal = false });
        await store.DisposeAsync();
        using (var file = SqliteDatabase.Open(_fixture.Options))
        {
            SqliteSchema.Apply(file, before);
        }

        store = await _fixture.OpenStoreAsync();
        await _fixture.OpenAsync(store);
        await store.DisposeAsync();

        using var closed = SqliteDatabase.Open(_fixture.Options);
        var refusal = Assert.Throws<StoreException>(() => SqliteSchema.Apply(closed, before));
        Assert.Contains($"needs a release that knows version {SqliteSchema.ReadsSealed}", refusal.Message, StringComparison.Ordinal);

        // A later step of the schema does not open it again.
        var next = SqliteSchema.Migrations.Count + 1;
        SqliteSchema.Apply(closed, [.. SqliteSchema.Migrations, new(next, 1, "create table later (n integer)")]);
        Assert.Throws<StoreException>(() => SqliteSchema.Apply(closed, before));
    }

    [Fact]
    public async Task Replicas_OneOfTheReleaseBeforeIsLeft_RowsAreInClearUntilItIsGone()
    {
        var memory = new MemoryStore(_fixture.Clock);
        var shared = new FaultyStore(_fixture.Clock) { IsRemote = true };
        var key = _fixture.MakeKey("shared.key");
        var vault = _fixture.Make(shared, memory, memory, v => v with { KeyFile = key });
        await vault.Seal.OpenAsync(Cancel);
        await vault.Store.SaveSessionAsync(Session());
        await vault.Store.OpenStreamAsync(Call(), null);
        await memory.BeatAsync("old", "host 1", TimeSpan.FromHours(1));
        await vault.Replicas.BeatAsync("new", "host 2", TimeSpan.FromHours(1));

        Assert.Equal(["host 2", "host 1"], (await vault.Replicas.FindReplicasAsync(Cancel)).Select(replica => replica.Info));
        await vault.Store.AppendEventAsync(Event(1, body: "clear"));
        Assert.False(await memory.IsSealedAsync(Cancel));
        Assert.Equal("clear", Text((await shared.ReadEventsAsync("session", "stream", 0, 1, Cancel))[0].Body));

        await memory.RemoveReplicaAsync("old");
        await vault.Replicas.FindReplicasAsync(Cancel);
        await vault.Store.AppendEventAsync(Event(2, body: "sealed"));

        Assert.True(await memory.IsSealedAsync(Cancel));
        Assert.True(SealedBody.IsSealed((await shared.ReadEventsAsync("session", "stream", 1, 1, Cancel))[0].Body.Span));
        Assert.Equal(["clear", "sealed"], (await vault.Store.ReadEventsAsync("session", "stream", 0, 9, Cancel)).Select(known => Text(known.Body)));
    }

    [Fact]
    public async Task Replicas_OneIsLeftThatReadsNoSealedFingerprints_TheyAreInClearUntilItIsGone_AndOfBothKindsEachIsRead()
    {
        var memory = new MemoryStore(_fixture.Clock);
        var shared = new FaultyStore(_fixture.Clock) { IsRemote = true };
        var key = _fixture.MakeKey("shared.key");
        await _fixture.Make(memory, memory, memory, v => v with { KeyFile = key }).Keys.OpenAsync(Cancel);
        await memory.BeginSealingAsync();
        var vault = _fixture.Make(shared, memory, memory, v => v with { KeyFile = key });
        await vault.Seal.OpenAsync(Cancel);
        await vault.Store.SaveSessionAsync(Session());
        await memory.BeatAsync("old", "host 1 reads-sealed", TimeSpan.FromHours(1));
        await vault.Replicas.BeatAsync("new", "host 2", TimeSpan.FromHours(1));

        Assert.Equal(["host 2", "host 1"], (await vault.Replicas.FindReplicasAsync(Cancel)).Select(replica => replica.Info));
        await vault.Store.SaveLinkAsync(Link());
        var open = Assert.Single(await shared.FindLinksAsync("session", Cancel));
        Assert.Equal((Link().Fingerprint, true), (open.Fingerprint, SealedBody.IsSealed(open.InitializeResult.Span)));
        Assert.EndsWith(" reads-sealed", (await memory.FindReplicasAsync(Cancel)).Single(replica => replica.Id == "new").Info, StringComparison.Ordinal);

        await memory.RemoveReplicaAsync("old");
        await vault.Replicas.FindReplicasAsync(Cancel);
        await vault.Store.SaveLinkAsync(Link(server: "later"));

        Assert.StartsWith("mooring-sealed:", (await shared.FindLinksAsync("session", Cancel)).Single(link => link.Server == "later").Fingerprint, StringComparison.Ordinal);
        Assert.Equal([Link().Fingerprint, Link().Fingerprint], (await vault.Store.FindLinksAsync("session", Cancel)).Select(link => link.Fingerprint));
    }

    [Fact]
    public async Task Rows_BeforeTheKeysAreHad_AreNotWrittenInClear()
    {
        var memory = new MemoryStore(_fixture.Clock);
        var vault = _fixture.Make(memory, memory, memory);

        await Assert.ThrowsAsync<StoreException>(() => vault.Store.SaveSessionAsync(Session()));
        await Assert.ThrowsAsync<StoreException>(() => vault.Replicas.PostAsync("r", "kind", "a", Utf8(Canary)));

        Assert.Equal(0, await memory.CountSessionsAsync(Cancel));
    }

    private static async Task PlantAsync(OpenedVault vault)
    {
        await vault.Store.SaveSessionAsync(Session() with { InitializeParams = Utf8(Canary), Subscriptions = [Canary] });
        await vault.Store.SaveLinkAsync(Link() with { InitializeResult = Utf8(Canary), OwnLists = Utf8(Canary), Fingerprint = Canary });
        await vault.Store.OpenStreamAsync(Call(), Event(1, body: Canary));
        await vault.Store.AppendEventAsync(Event(2, body: Canary));
        await vault.Replicas.BeatAsync("r", "", TimeSpan.FromHours(1));
        await vault.Replicas.PostAsync("r", "kind", "call", Utf8(Canary));
    }

    private int CanariesInFiles(VaultFixture? fixture = null)
    {
        var canary = Encoding.UTF8.GetBytes(Canary);
        // Nobody but its holder may open the lock.
        return Directory.EnumerateFiles((fixture ?? _fixture).Folder).Where(path => !path.EndsWith(".lock", StringComparison.Ordinal)).Count(path =>
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            var bytes = new byte[file.Length];
            file.ReadExactly(bytes);
            return bytes.AsSpan().IndexOf(canary) >= 0;
        });
    }

    private async Task<OpenedVault> OpenOnAsync(MemoryStore memory)
    {
        var vault = _fixture.Make(memory, memory, memory);
        await vault.Seal.OpenAsync(Cancel);
        return vault;
    }
}
