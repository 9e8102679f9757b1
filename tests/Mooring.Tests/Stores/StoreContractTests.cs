using Mooring.Stores;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores;

/// <summary>What every kind of store must do: sessions, links, catalogue, names. Streams and events are in the other part.</summary>
public abstract partial class StoreContractTests : IAsyncLifetime
{
    private readonly FakeClock _clock = new();
    private IStore _store = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _store = await CreateAsync(_clock);
        await _store.OpenAsync(Cancel);
        await OpenedAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        await CleanUpAsync();
        GC.SuppressFinalize(this);
    }

    private protected abstract Task<IStore> CreateAsync(TimeProvider time);

    /// <summary>Bytes that the store needs for an event beyond its body.</summary>
    private protected virtual int Overhead => 0;

    private protected virtual Task OpenedAsync() => Task.CompletedTask;

    private protected virtual Task CleanUpAsync() => Task.CompletedTask;

    [Fact]
    public async Task FindSession_NeverSaved_IsNull()
    {
        Assert.Null(await _store.FindSessionAsync("nobody", Cancel));
        Assert.Equal(0, await _store.CountSessionsAsync(Cancel));
    }

    [Fact]
    public async Task SaveSession_EveryField_ComesBackUnchanged()
    {
        var full = Session("full");
        var bare = Session("bare") with
        {
            Issuer = "",
            Subject = "",
            Server = null,
            InitializeParams = default,
            Initialized = false,
            LogLevel = null,
            Subscriptions = [],
            Links = [],
        };
        await _store.SaveSessionAsync(full);
        await _store.SaveSessionAsync(bare);

        Assert.Equal(Describe(full), Describe(await _store.FindSessionAsync("full", Cancel)));
        Assert.Equal(Describe(bare), Describe(await _store.FindSessionAsync("bare", Cancel)));
        Assert.Null((await _store.FindSessionAsync("bare", Cancel))!.Server);
        Assert.Equal(2, await _store.CountSessionsAsync(Cancel));
    }

    [Fact]
    public async Task SaveSession_IdDiffersOnlyInCase_IsAnotherSession()
    {
        await _store.SaveSessionAsync(Session("Abc"));

        Assert.Null(await _store.FindSessionAsync("abc", Cancel));
    }

    [Fact]
    public async Task SaveSession_SavedBefore_ReplacesTheRecordAndKeepsWhatBelongsToIt()
    {
        await _store.SaveSessionAsync(Session());
        await _store.SaveLinkAsync(Link());
        await _store.OpenStreamAsync(Call(), Event(1));

        var changed = Session() with { LogLevel = "debug", Subscriptions = ["x"], LastSeen = FakeClock.Start + TimeSpan.FromHours(1) };
        await _store.SaveSessionAsync(changed);

        Assert.Equal(Describe(changed with { Revision = 1 }), Describe(await _store.FindSessionAsync("session", Cancel)));
        Assert.Single(await _store.FindLinksAsync("session", Cancel));
        Assert.Single(await _store.ReadEventsAsync("session", "stream", 0, 10, Cancel));
        Assert.Equal(1, await _store.CountSessionsAsync(Cancel));
    }

    [Fact]
    public async Task SetListener_SessionSavedBeforeAndAfter_IsWhatWasSetLast()
    {
        await _store.SaveSessionAsync(Session() with { Listener = new("of the record", "g0") });
        Assert.Null((await _store.FindSessionAsync("session", Cancel))!.Listener);

        await _store.SetListenerAsync("session", new("a", "g1"));
        await _store.SaveSessionAsync(Session() with { Listener = new("of the record", "g0") });
        await _store.SaveSessionAsync(Session());
        await _store.TouchSessionsAsync([("session", FakeClock.Start + TimeSpan.FromMinutes(1))]);
        Assert.Equal(new SessionListener("a", "g1"), (await _store.FindSessionAsync("session", Cancel))!.Listener);

        await Task.WhenAll(
            _store.SetListenerAsync("session", new("b", "g1")),
            _store.SaveSessionAsync(Session() with { LogLevel = "debug" }),
            _store.SetListenerAsync("session", new("c", "g2")));
        Assert.Equal(Describe(Session() with { LogLevel = "debug", Listener = new("c", "g2"), Revision = 3 }), Describe(await _store.FindSessionAsync("session", Cancel)));
    }

    [Fact]
    public async Task UpdateSession_OfTheRevisionThatIsThere_ReplacesWhatAClientChanges()
    {
        await _store.SaveSessionAsync(Session());
        await _store.SetListenerAsync("session", new("a", "g1"));
        var changed = Session() with { Version = "2025-03-26", InitializeParams = "{}"u8.ToArray(), Initialized = false, LogLevel = "debug", Subscriptions = ["x", "y"] };

        Assert.True(await _store.UpdateSessionAsync(changed with { Subject = "not to be changed" }));

        Assert.Equal(
            Describe(changed with { Listener = new("a", "g1"), Revision = 1 }),
            Describe(await _store.FindSessionAsync("session", Cancel)));
    }

    [Fact]
    public async Task UpdateSession_OfAnotherRevision_ChangesNothing()
    {
        await _store.SaveSessionAsync(Session());
        Assert.True(await _store.UpdateSessionAsync(Session() with { LogLevel = "debug" }));

        Assert.False(await _store.UpdateSessionAsync(Session() with { LogLevel = "error" }));

        Assert.Equal("debug", (await _store.FindSessionAsync("session", Cancel))!.LogLevel);
        Assert.True(await _store.UpdateSessionAsync(Session() with { LogLevel = "error", Revision = 1 }));
        Assert.Equal("error", (await _store.FindSessionAsync("session", Cancel))!.LogLevel);
    }

    [Fact]
    public async Task UpdateSession_ManyAtOnceOfOneRevision_OneSucceeds()
    {
        await _store.SaveSessionAsync(Session());

        var done = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => _store.UpdateSessionAsync(Session() with { LogLevel = $"{i}" })));

        Assert.Equal($"{Array.IndexOf(done, true)}", (await _store.FindSessionAsync("session", Cancel))!.LogLevel);
        Assert.Single(done, true);
    }

    [Fact]
    public async Task UpdateSession_ThatIsNotThere_DoesNotBringItBack()
    {
        await _store.SaveSessionAsync(Session());
        await _store.DeleteSessionAsync("session");

        Assert.False(await _store.UpdateSessionAsync(Session()));

        Assert.Null(await _store.FindSessionAsync("session", Cancel));
    }

    [Fact]
    public async Task SetListener_SessionIsNotThere_ChangesNothing()
    {
        await _store.SaveSessionAsync(Session("other"));
        await _store.SaveSessionAsync(Session());
        await _store.SetListenerAsync("session", new("a", "g1"));
        await _store.DeleteSessionAsync("session");

        await _store.SetListenerAsync("session", new("late", "g1"));
        Assert.Null(await _store.FindSessionAsync("session", Cancel));
        await _store.SaveSessionAsync(Session());

        Assert.Null((await _store.FindSessionAsync("session", Cancel))!.Listener);
        Assert.Null((await _store.FindSessionAsync("other", Cancel))!.Listener);
    }

    [Fact]
    public async Task Writes_BufferReusedAfterTheTaskIsDone_StoreKeepsWhatWasWritten()
    {
        var buffer = "before"u8.ToArray();
        await _store.SaveSessionAsync(Session() with { InitializeParams = buffer });
        await _store.SaveLinkAsync(Link() with { InitializeResult = buffer });
        await _store.OpenStreamAsync(Call(), Event(1) with { Body = buffer });
        await _store.SaveCatalogueAsync(new CatalogueRecord("files", "k", "tools", buffer, "h", FakeClock.Start));

        "AFTER!"u8.CopyTo(buffer);

        Assert.Equal("before", Text((await _store.FindSessionAsync("session", Cancel))!.InitializeParams));
        Assert.Equal("before", Text((await _store.FindLinksAsync("session", Cancel))[0].InitializeResult));
        Assert.Equal("before", Text((await _store.ReadEventsAsync("session", "stream", 0, 1, Cancel))[0].Body));
        Assert.Equal("before", Text((await _store.LoadCatalogueAsync(Cancel))[0].Body));
    }

    [Fact]
    public async Task TouchSessions_ManyAtOnce_MovesKnownOnesForwardOnly()
    {
        var ids = Enumerable.Range(0, 2500).Select(i => $"s{i}").ToList();
        await Task.WhenAll(ids.Select(id => _store.SaveSessionAsync(Session(id))));
        var later = FakeClock.Start + TimeSpan.FromMinutes(5);

        await _store.TouchSessionsAsync([("unknown", later), .. ids.Select(id => (id, later))]);
        await _store.TouchSessionsAsync([("s0", FakeClock.Start)]);
        await _store.TouchSessionsAsync([]);

        Assert.Equal(ids.Count, await _store.CountSessionsAsync(Cancel));
        Assert.Equal(later, (await _store.FindSessionAsync("s0", Cancel))!.LastSeen);
        Assert.Empty(await _store.FindIdleSessionsAsync(later, 10, Cancel));
    }

    [Fact]
    public async Task FindIdleSessions_SomeSeenSince_GivesOnlyTheOthersUpToTheLimit()
    {
        for (var i = 1; i <= 4; i++)
        {
            await _store.SaveSessionAsync(Session($"s{i}", FakeClock.Start + TimeSpan.FromSeconds(i)));
        }

        var border = FakeClock.Start + TimeSpan.FromSeconds(3);
        Assert.Equal(["s1", "s2"], (await _store.FindIdleSessionsAsync(border, 10, Cancel)).Order());
        Assert.Single(await _store.FindIdleSessionsAsync(border, 1, Cancel));
    }

    [Fact]
    public async Task DeleteSession_WithLinksStreamsAndEvents_TakesAllOfItsOwnAndNothingElse()
    {
        foreach (var id in new[] { "gone", "stays" })
        {
            await _store.SaveSessionAsync(Session(id));
            await _store.SaveLinkAsync(Link(id));
            await _store.OpenStreamAsync(Call("stream", id), Event(1, session: id));
            await _store.AppendEventAsync(Event(2, session: id));
        }

        await _store.DeleteSessionAsync("gone");
        await _store.DeleteSessionAsync("never there");

        Assert.Null(await _store.FindSessionAsync("gone", Cancel));
        Assert.Empty(await _store.FindLinksAsync("gone", Cancel));
        Assert.Null(await _store.FindStreamAsync("gone", "stream", Cancel));
        Assert.Empty(await _store.ReadEventsAsync("gone", "stream", 0, 10, Cancel));
        Assert.Equal(["stays"], (await _store.FindRunningCallsAsync(Cancel)).Select(call => call.SessionId));
        Assert.Equal([1, 2], await SequencesAsync("stream", "stays"));

        await _store.SaveSessionAsync(Session("gone"));
        Assert.Empty(await _store.FindLinksAsync("gone", Cancel));
        Assert.Null(await _store.FindStreamAsync("gone", "stream", Cancel));
    }

    [Fact]
    public async Task DeleteIdleSession_SeenSince_ChangesNothing()
    {
        await _store.SaveSessionAsync(Session());
        await _store.SaveLinkAsync(Link());
        await _store.OpenStreamAsync(Call(), Event(1));
        var seen = FakeClock.Start + TimeSpan.FromMinutes(1);
        await _store.TouchSessionsAsync([("session", seen)]);

        Assert.False(await _store.DeleteIdleSessionAsync("session", seen));

        Assert.NotNull(await _store.FindSessionAsync("session", Cancel));
        Assert.Single(await _store.FindLinksAsync("session", Cancel));
        Assert.Equal([1], await SequencesAsync("stream"));
    }

    [Fact]
    public async Task DeleteIdleSession_NotSeenSince_TakesAllOfItsOwnAndNothingElse()
    {
        foreach (var id in new[] { "gone", "stays" })
        {
            await _store.SaveSessionAsync(Session(id));
            await _store.SaveLinkAsync(Link(id));
            await _store.OpenStreamAsync(Call("stream", id), Event(1, "stream", id));
        }

        Assert.True(await _store.DeleteIdleSessionAsync("gone", FakeClock.Start.AddTicks(1)));
        Assert.True(await _store.DeleteIdleSessionAsync("gone", FakeClock.Start.AddTicks(1)));

        Assert.Null(await _store.FindSessionAsync("gone", Cancel));
        await _store.SaveSessionAsync(Session("gone"));
        Assert.Empty(await _store.FindLinksAsync("gone", Cancel));
        Assert.Empty(await _store.ReadEventsAsync("gone", "stream", 0, 10, Cancel));
        Assert.Null(await _store.FindStreamAsync("gone", "stream", Cancel));
        Assert.Single(await _store.FindLinksAsync("stays", Cancel));
        Assert.Equal([1], await SequencesAsync("stream", "stays"));
    }

    [Fact]
    public async Task DeleteIdleSession_ManyTouchesMeanwhile_EitherIsGoneOrWasTouched()
    {
        var ids = Enumerable.Range(0, 50).Select(i => $"s{i}").ToList();
        await Task.WhenAll(ids.Select(id => _store.SaveSessionAsync(Session(id))));
        var later = FakeClock.Start + TimeSpan.FromMinutes(1);

        var deleting = ids.Select(id => _store.DeleteIdleSessionAsync(id, later)).ToList();
        await _store.TouchSessionsAsync([.. ids.Select(id => (id, later))]);
        var gone = await Task.WhenAll(deleting);

        for (var i = 0; i < ids.Count; i++)
        {
            Assert.Equal(gone[i], await _store.FindSessionAsync(ids[i], Cancel) is null);
        }
    }

    [Fact]
    public async Task Writes_SessionIsGone_LeaveNothingBehind()
    {
        await _store.SaveSessionAsync(Session());
        await _store.OpenStreamAsync(Call(), null);
        await _store.DeleteSessionAsync("session");

        await _store.AppendEventAsync(Event(1), StreamState.Finished);
        await _store.SetStreamStateAsync("session", "stream", StreamState.Cancelled);
        await _store.OpenStreamAsync(Call("late"), Event(1, "late"));
        await _store.SaveLinkAsync(Link());
        await _store.TouchSessionsAsync([("session", FakeClock.Start)]);
        await _store.TrimEventsAsync("session", 0, 0);
        await _store.SaveSessionAsync(Session());

        Assert.Null(await _store.FindStreamAsync("session", "stream", Cancel));
        Assert.Null(await _store.FindStreamAsync("session", "late", Cancel));
        Assert.Empty(await _store.FindLinksAsync("session", Cancel));
    }

    [Fact]
    public async Task Links_SavedAndReplaced_AreKeptBySessionAndServer()
    {
        await _store.SaveSessionAsync(Session());
        await _store.SaveSessionAsync(Session("other"));
        await _store.SaveLinkAsync(Link(server: "a"));
        await _store.SaveLinkAsync(Link(server: "b"));
        await _store.SaveLinkAsync(Link("other", "a"));
        var replaced = Link(server: "a") with { UpstreamSessionId = null, Fingerprint = "f01", InitializeResult = Utf8("[]") };
        await _store.SaveLinkAsync(replaced);

        Assert.Equal([Describe(replaced), Describe(Link(server: "b"))], (await _store.FindLinksAsync("session", Cancel)).OrderBy(link => link.Server, StringComparer.Ordinal).Select(Describe));
        Assert.Equal(Describe(Link("other", "a")), Describe(Assert.Single(await _store.FindLinksAsync("other", Cancel))));
        Assert.Empty(await _store.FindLinksAsync("unknown", Cancel));
    }

    [Fact]
    public async Task Catalogue_SavedReplacedDeleted_IsKeptByServerKeyAndKind()
    {
        CatalogueRecord Entry(string server, string key, string kind, string body = "[]") => new(server, key, kind, Utf8(body), $"#{body}", FakeClock.Start);
        await _store.SaveCatalogueAsync(Entry("a", "k1", "tools"));
        await _store.SaveCatalogueAsync(Entry("a", "k1", "prompts"));
        await _store.SaveCatalogueAsync(Entry("a", "k2", "tools"));
        await _store.SaveCatalogueAsync(Entry("b", "k1", "tools"));
        await _store.SaveCatalogueAsync(Entry("a", "k1", "tools", """[{"name":"x"}]"""));

        Assert.Equal(
            [.. new[]
            {
                Entry("a", "k1", "prompts"), Entry("a", "k1", "tools", """[{"name":"x"}]"""), Entry("a", "k2", "tools"), Entry("b", "k1", "tools"),
            }.Select(Describe).Order()],
            (await _store.LoadCatalogueAsync(Cancel)).Select(Describe).Order());

        Assert.Equal(Describe(Entry("a", "k1", "tools", """[{"name":"x"}]""")), Describe((await _store.FindCatalogueAsync("a", "k1", "tools", Cancel))!));
        Assert.Null(await _store.FindCatalogueAsync("a", "k2", "prompts", Cancel));
        Assert.Null(await _store.FindCatalogueAsync("b", "k2", "tools", Cancel));

        await _store.DeleteCatalogueAsync("a", "k1");
        await _store.DeleteCatalogueAsync("a", "unknown");
        await _store.DeleteCatalogueAsync("b", "k2");
        Assert.Equal(
            [.. new[] { Entry("a", "k2", "tools"), Entry("b", "k1", "tools") }.Select(Describe)],
            (await _store.LoadCatalogueAsync(Cancel)).Select(Describe).Order());
        Assert.Null(await _store.FindCatalogueAsync("a", "k1", "tools", Cancel));

        await _store.DeleteCatalogueAsync("a");
        await _store.DeleteCatalogueAsync("unknown");
        Assert.Equal([Describe(Entry("b", "k1", "tools"))], (await _store.LoadCatalogueAsync(Cancel)).Select(Describe));
    }

    [Fact]
    public async Task ClaimName_ManyServersAtOnce_AllLearnOfTheSameHolder()
    {
        using var start = new Barrier(8);
        var claims = Enumerable.Range(0, 8).Select(i => Task.Factory.StartNew(
            () =>
            {
                start.SignalAndWait(Cancel);
                return _store.ClaimNameAsync(new NameRecord("tool", "search", $"server{i}"));
            },
            Cancel,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default).Unwrap());

        var holder = Assert.Single((await Task.WhenAll(claims)).Distinct());

        Assert.Equal([new NameRecord("tool", "search", holder)], await _store.LoadNamesAsync(Cancel));
    }

    [Fact]
    public async Task ClaimName_HolderReleases_NextClaimTakesIt()
    {
        Assert.Equal("a", await _store.ClaimNameAsync(new NameRecord("tool", "search", "a")));
        Assert.Equal("a", await _store.ClaimNameAsync(new NameRecord("tool", "search", "a")));
        Assert.Equal("a", await _store.ClaimNameAsync(new NameRecord("tool", "search", "b")));
        Assert.Equal("b", await _store.ClaimNameAsync(new NameRecord("prompt", "search", "b")));

        await _store.ReleaseNamesAsync("a");

        Assert.Equal("b", await _store.ClaimNameAsync(new NameRecord("tool", "search", "b")));
        Assert.Equal("b", await _store.ClaimNameAsync(new NameRecord("tool", "search", "a")));
        Assert.Equal(
            [new NameRecord("prompt", "search", "b"), new NameRecord("tool", "search", "b")],
            (await _store.LoadNamesAsync(Cancel)).OrderBy(name => name.Kind, StringComparer.Ordinal));
    }

    [Fact]
    public async Task Tasks_AreFoundByIdAndByPersonUntilTheyExpire()
    {
        var task = new TaskRecord("a", "t", "issuer", "ada", FakeClock.Start.AddMinutes(1));
        await _store.SaveTaskAsync(task with { Subject = "eve" });
        await _store.SaveTaskAsync(task);
        await _store.SaveTaskAsync(task with { Server = "b", Subject = "bob", Expires = FakeClock.Start.AddMinutes(3) });

        Assert.Equal(task, await _store.FindTaskAsync("a", "t", Cancel));
        Assert.Null(await _store.FindTaskAsync("a", "u", Cancel));
        Assert.Equal(["t"], await _store.FindTasksOfAsync("a", "issuer", "ada", Cancel));
        Assert.Empty(await _store.FindTasksOfAsync("a", "issuer", "eve", Cancel));
        Assert.Empty(await _store.FindTasksOfAsync("b", "issuer", "ada", Cancel));

        await _store.ExpireTasksAsync(FakeClock.Start.AddMinutes(2));

        Assert.Null(await _store.FindTaskAsync("a", "t", Cancel));
        Assert.NotNull(await _store.FindTaskAsync("b", "t", Cancel));
    }
}
