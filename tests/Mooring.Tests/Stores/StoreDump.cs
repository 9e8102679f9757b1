using Mooring.Stores;
using Mooring.Vault;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores;

/// <summary>
/// A row of everything, as a gateway of one schema version leaves it: written by the code of that time, kept beside the tests as text, and never changed,
/// since every later release has to serve it. Rows are sealed with a key that was made for these dumps and opens nothing else.
/// </summary>
internal static class StoreDump
{
    private static readonly CredentialKey Whose = new("https://issuer.example", "ada", "acme");

    /// <summary>Has the dump of the present version written where there is none yet.</summary>
    public static bool Writes => Environment.GetEnvironmentVariable("WRITE_DUMPS") == "1";

    /// <summary>The key file of the sealed ones.</summary>
    public static string Key => Path.Combine(AppContext.BaseDirectory, "fixtures", "stores", "key-of-the-dumps-for-tests-only.txt");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static Task<string> ReadAsync(string kind, int version) => File.ReadAllTextAsync(Path.Combine(AppContext.BaseDirectory, Name(kind, version)), Cancel);

    /// <summary>One for each version from the first kept one to the present one, so that the next step finds one of the release before it.</summary>
    public static async Task DemandAsync(string kind, int first, int present, Func<Task<string>> dump)
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(root.FullName, "Mooring.slnx")))
        {
            root = root.Parent ?? throw new InvalidOperationException("The tests run outside a checkout.");
        }

        var file = Path.Combine(root.FullName, "tests", Name(kind, present));
        if (Writes && !File.Exists(file))
        {
            await File.WriteAllTextAsync(file, await dump(), Cancel);
        }

        var missing = Enumerable.Range(first, present - first + 1).Select(version => Name(kind, version)).Where(name => !File.Exists(Path.Combine(root.FullName, "tests", name)));
        Assert.True(!missing.Any(), $"Missing below tests: {string.Join(", ", missing)}. With the code of that version run this test with WRITE_DUMPS=1, and commit what it wrote.");
    }

    /// <summary>Writes a row of everything that the dumps have.</summary>
    public static async Task FillAsync(IStore store, IReplicaStore replicas, IAuthStore auth, Credentials credentials)
    {
        await replicas.BeatAsync("old", "left behind", TimeSpan.FromSeconds(1));
        // From now on rows are sealed: no replica is left that cannot read them.
        await replicas.FindReplicasAsync(Cancel);
        await replicas.PostAsync("old", "call", "c", Utf8("mail"));
        await store.SaveSessionAsync(OlderSession());
        await store.SetListenerAsync("session", new("old", "g"));
        await replicas.ClaimHomeAsync("session", "files", "old");
        await store.SaveLinkAsync(Link());
        await store.OpenStreamAsync(Call(), Event(1));
        await store.AppendEventAsync(Event(2));
        await store.OpenStreamAsync(Get(), Event(1, "get"));
        await store.SetStreamStateAsync("session", "get", StreamState.Finished);
        await store.SaveCatalogueAsync(new CatalogueRecord("files", "k", "tools", Utf8("[]"), "h", FakeClock.Start));
        await store.ClaimNameAsync(new NameRecord("tool", "search", "files"));
        await store.SaveTaskAsync(new TaskRecord("files", "t", "issuer", "ada", FakeClock.Start + TimeSpan.FromHours(1)));
        Assert.True(await store.HoldTaskAsync(Held(), 10, 10));
        Assert.True(await auth.AddAuthAsync(ApiKey()));
        Assert.True(await auth.AddAuthAsync(Used()));
        await auth.UseAuthAsync(AuthKind.Code, "used", FakeClock.Start);
        Assert.True(await credentials.SaveAsync(Whose, Theirs(), before: 0));
    }

    /// <summary>Reads all of it back, and goes on with it.</summary>
    /// <param name="store">The store, behind the seal.</param>
    /// <param name="replicas">Its side for replicas, behind the seal.</param>
    /// <param name="auth">Its side for those who come in.</param>
    /// <param name="credentials">Null where that version had none.</param>
    /// <param name="hasPlaces">Whether that version kept how far the server of a call was heard.</param>
    public static async Task AssertServedAsync(IStore store, IReplicaStore replicas, IAuthStore auth, Credentials? credentials, bool hasPlaces)
    {
        var session = OlderSession() with { Listener = new("old", "g") };
        var place = hasPlaces ? Cursor() : null;
        var held = Held() with { Cursor = place };
        Assert.Equal(Describe(session), Describe(await store.FindSessionAsync("session", Cancel)));
        Assert.Equal([Describe(Link())], (await store.FindLinksAsync("session", Cancel)).Select(Describe));
        Assert.Equal(Describe(Call() with { Cursor = place }), Describe(Assert.Single(await store.FindRunningCallsAsync(Cancel))));
        Assert.Equal([Describe(Event(1)), Describe(Event(2))], (await store.ReadEventsAsync("session", "stream", 0, 10, Cancel)).Select(Describe));
        Assert.Equal(StreamState.Finished, (await store.FindStreamAsync("session", "get", Cancel))!.State);
        Assert.Equal("[]", Text(Assert.Single(await store.LoadCatalogueAsync(Cancel)).Body));
        Assert.Equal("files", await store.ClaimNameAsync(new NameRecord("tool", "search", "other")));
        Assert.Equal(["t"], await store.FindTasksOfAsync("files", "issuer", "ada", Cancel));
        Assert.Equal(Describe(held), Describe(await store.FindHeldTaskAsync("task", Cancel)));
        Assert.Equal("task", Assert.Single(await store.FindUnfinishedTasksAsync("r1", Cancel)).Id);
        Assert.Equal(["old"], (await replicas.FindReplicasAsync(Cancel)).Select(replica => replica.Id));
        Assert.Equal("mail", Text(Assert.Single(await replicas.ReadMailboxAsync("old", 0, 10, Cancel)).Body));
        Assert.Equal("old", await replicas.ClaimHomeAsync("session", "files", "other"));
        Assert.Equal("{}", Text((await auth.FindAuthAsync(AuthKind.ApiKey, "key", FakeClock.Start, Cancel))!.Data));
        Assert.NotNull((await auth.UseAuthAsync(AuthKind.Code, "used", FakeClock.Start))!.Used);
        if (credentials is not null)
        {
            var (theirs, version, _) = await credentials.FindAsync(Whose, Cancel);
            Assert.Equal(("access", "refresh", 1), (theirs!.AccessToken, theirs.RefreshToken, version));
            Assert.True(await credentials.SaveAsync(Whose, theirs with { AccessToken = "next" }, version));
        }

        await store.SetCallCursorAsync("session", "stream", Cursor("next"));
        Assert.Equal("next", (await store.FindStreamAsync("session", "stream", Cancel))!.Cursor!.EventId);
        await store.AppendEventAsync(Event(3), StreamState.Finished);
        await store.SaveLinkAsync(Link() with { Fingerprint = "other" });
        Assert.True(await store.UpdateSessionAsync(session with { LogLevel = "error" }));
        Assert.True(await store.UpdateHeldTaskAsync(held with { Status = HeldTaskStatus.Completed }));
        await store.SaveSessionAsync(Session("new"));
        Assert.Equal("error", (await store.FindSessionAsync("session", Cancel))!.LogLevel);
        Assert.Equal(3, (await store.ReadEventsAsync("session", "stream", 0, 10, Cancel)).Count);
        Assert.Equal(HeldTaskStatus.Completed, (await store.FindHeldTaskAsync("task", Cancel))!.Status);
        Assert.Equal(2, await store.CountSessionsAsync(Cancel));
    }

    private static AuthRecord ApiKey() => new()
    {
        Kind = AuthKind.ApiKey,
        Key = "key",
        Data = Utf8("{}"),
        Created = FakeClock.Start,
        Expires = FakeClock.Start + TimeSpan.FromDays(1),
    };

    private static AuthRecord Used() => ApiKey() with { Kind = AuthKind.Code, Key = "used" };

    private static Credential Theirs() => new()
    {
        AccessToken = "access",
        RefreshToken = "refresh",
        Expires = FakeClock.Start + TimeSpan.FromHours(1),
        Received = FakeClock.Start,
    };

    private static string Name(string kind, int version) => Path.Combine("fixtures", kind, $"schema-{version}.sql");
}
