using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Mooring.Protocol;
using Mooring.Replicas;
using Mooring.Routing;
using Mooring.Stores;
using Mooring.Upstreams.Stateless;
using Mooring.Stores.Memory;
using Xunit;

namespace Mooring.Tests.Routing;

public sealed class CatalogueTests
{
    private readonly FakeClock _clock = new();
    private readonly MemoryStore _store;
    private readonly Catalogue _catalogue;
    private readonly List<string> _changed = [];

    public CatalogueTests()
    {
        _store = new MemoryStore(_clock);
        _catalogue = New();
        _catalogue.Changed = change => _changed.Add($"{change.Server} {change.Key} {change.List.Kind}{(change.WasTold ? " told" : "")}");
    }

    [Fact]
    public void Save_FirstList_IsNoChange()
    {
        _catalogue.Save("a", "k", Tools("x"));

        Assert.Equal("x", Only("a", "k"));
        Assert.Empty(_changed);
    }

    [Fact]
    public void Save_EqualList_GivesTheKnownOneAndIsNoChange()
    {
        var first = _catalogue.Save("a", "k", Tools("x"));

        Assert.Same(first, _catalogue.Save("a", "k", Tools("x")));
        Assert.Empty(_changed);
    }

    [Fact]
    public void Save_AnotherList_IsToldOnceUnderItsKey()
    {
        _catalogue.Save("a", "k", Tools("x"));
        _catalogue.Save("a", "l", Tools("x"));

        _catalogue.Save("a", "k", Tools("y"));

        Assert.Equal(["a k Tools"], _changed);
        Assert.Equal("y", Only("a", "k"));
        Assert.Equal("x", Only("a", "l"));
    }

    [Fact]
    public void Save_AskedForEarlierAndReadLater_LeavesTheNewerOneAndIsDoubted()
    {
        _catalogue.Save("a", "k", Tools("old"));
        var late = Tools("late");
        _catalogue.Save("a", "k", Tools("new"));

        Assert.Equal("new", _catalogue.Save("a", "k", late).Items[0].Name);

        Assert.Equal("new", Only("a", "k"));
        Assert.False(_catalogue.IsCertain("a", "k", ListKind.Tools));
        _catalogue.Save("a", "k", Tools("new"));
        Assert.True(_catalogue.IsCertain("a", "k", ListKind.Tools));
    }

    [Fact]
    public void Save_AskedForBeforeTheServerSaidThatItIsAnotherOne_StaysInDoubt()
    {
        _catalogue.Save("a", "k", Tools("old"));
        var before = Tools("old");
        _catalogue.DoubtOthers("a", ListKind.Tools);

        _catalogue.Save("a", "k", before);

        Assert.False(_catalogue.IsCertain("a", "k", ListKind.Tools));
        Assert.True(_catalogue.IsToldOutdated("a", "k", ListKind.Tools));
    }

    [Fact]
    public void Save_SaidAgainInALaterTurn_OneAskedForBetweenIsOlder()
    {
        _catalogue.Save("a", "k", Tools("x"));
        var between = Tools("between");
        _catalogue.Save("a", "k", Tools("x"));

        _catalogue.Save("a", "k", between);

        Assert.Equal("x", Only("a", "k"));
        Assert.Empty(_changed);
    }

    [Fact]
    public async Task Save_StoreDidNotTakeIt_IsWrittenWhenItIsReadAgain()
    {
        var store = new FaultyStore(_clock) { IsAway = true };
        var catalogue = New(store);
        catalogue.Save("a", "k", Tools("x"));
        store.IsAway = false;

        catalogue.Save("a", "k", Tools("x"));

        Assert.Equal(["x"], await KeptAsync(store));
    }

    [Fact]
    public async Task Save_TwoWhileTheFirstIsBeingWritten_TheLatestIsWrittenLast()
    {
        var store = new FaultyStore(_clock);
        var slow = new TaskCompletionSource();
        List<string> written = [];
        store.Before = operation =>
        {
            written.Add(operation);
            return written.Count == 1 ? slow.Task : Task.CompletedTask;
        };
        var catalogue = New(store);

        catalogue.Save("a", "k", Tools("x"));
        catalogue.Save("a", "k", Tools("y"));
        catalogue.Save("a", "k", Tools("z"));
        Assert.Single(written);
        slow.SetResult();

        // The one between is nobody's business any more.
        Assert.Equal(2, written.Count);
        store.Before = null;
        Assert.Equal(["z"], await KeptAsync(store));
    }

    [Fact]
    public void FindAny_PrefersTheBaseKey()
    {
        _catalogue.Save("a", "k", Tools("x"));
        Assert.Equal("x", _catalogue.FindAny("a")[ListKind.Tools]!.Items[0].Name);

        _catalogue.Save("a", CatalogueKey.Base, Tools("y"));

        Assert.Equal("y", _catalogue.FindAny("a")[ListKind.Tools]!.Items[0].Name);
        Assert.Null(_catalogue.FindAny("b")[ListKind.Tools]);
        Assert.False(_catalogue.Knows("b"));
    }

    [Fact]
    public async Task Load_AfterARestart_KnowsListsAndInitializeResults()
    {
        _catalogue.Save("a", "k", """{"capabilities":{"tools":{}}}"""u8.ToArray());
        _catalogue.Save("a", "k", Tools("x"));
        _catalogue.Save("a", "k", ServerList.Of(ListKind.Templates, """{"resourceTemplates":[{"uriTemplate":"u:{x}"}]}"""u8.ToArray()));
        _clock.Advance(TimeSpan.FromHours(1));

        var next = New();
        await next.LoadAsync(_ => false, TestContext.Current.CancellationToken);

        var lists = next.Find("a", "k");
        Assert.True(JsonFields.Find(lists.InitializeResult.Span, "capabilities"u8, "tools"u8).IsPresent);
        Assert.Equal("x", lists[ListKind.Tools]!.Items[0].Name);
        Assert.Equal("u:{x}", lists[ListKind.Templates]!.Items[0].Name);
        Assert.Equal(FakeClock.Start, next.Confirmed("a"));
    }

    [Fact]
    public void With_AnotherList_LeavesTheOlderObjectAsItWas()
    {
        var before = ServerLists.Nothing.With(Tools("x"));

        var after = before.With(Tools("y"));

        Assert.Equal("x", before[ListKind.Tools]!.Items[0].Name);
        Assert.Equal("y", after[ListKind.Tools]!.Items[0].Name);
        Assert.Null(ServerLists.Nothing[ListKind.Tools]);
    }

    [Fact]
    public void Key_DependsOnVersionAndCapabilitiesOnly()
    {
        var key = Key(ProtocolVersion.V2025_11_25, """{"capabilities":{"roots":{}},"clientInfo":{"name":"a"}}""");

        Assert.Equal(key, Key(ProtocolVersion.V2025_11_25, """{"clientInfo":{"name":"b"},"capabilities":{"roots":{}}}"""));
        Assert.NotEqual(key, Key(ProtocolVersion.V2025_06_18, """{"capabilities":{"roots":{}}}"""));
        Assert.NotEqual(key, Key(ProtocolVersion.V2025_11_25, """{"capabilities":{}}"""));
        Assert.Equal(Key(ProtocolVersion.V2025_11_25, ""), Key(ProtocolVersion.V2025_11_25, """{"capabilities":{}}"""));
    }

    private static string Key(ProtocolVersion version, string parameters) => CatalogueKey.Of(version, Encoding.UTF8.GetBytes(parameters));

    private static ServerList Tools(string name) => ServerList.Of(ListKind.Tools, Encoding.UTF8.GetBytes($$"""{"tools":[{"name":"{{name}}"}]}"""));

    private string Only(string server, string key) => Assert.Single(_catalogue.Find(server, key)[ListKind.Tools]!.Items).Name;

    private static async Task<IEnumerable<string>> KeptAsync(FaultyStore store) => (await store.LoadCatalogueAsync(TestContext.Current.CancellationToken))
        .Select(record => ServerList.Of(ListKind.Tools, record.Body.ToArray()).Items[0].Name);

    private Catalogue New(IStore? store = null) =>
        new(store ?? _store, new Peers(_store, _store, new LocalSignals(), _clock, NullLogger<Peers>.Instance), new Eras(_clock), _clock, NullLogger<Catalogue>.Instance);
}
