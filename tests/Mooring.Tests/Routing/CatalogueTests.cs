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
        _catalogue.Changed = change =>
        {
            // The first is no change of anything; it is for those who were left without.
            if (change is not { IsFirst: true, IsNews: false })
            {
                _changed.Add($"{change.Server} {change.Key} {change.List.Kind}{(change.WasTold ? " told" : "")}");
            }
        };
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
        await next.LoadAsync(_ => null, TestContext.Current.CancellationToken);

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
    public async Task Keys_MoreThanMayBe_TheLeastUsedGoes_FromTheStoreToo_AndNeverTheBaseOne()
    {
        _catalogue.Save("a", CatalogueKey.Base, Tools("base"));
        Fill("a", CatalogueEntries.MostKeys);
        _catalogue.Save("b", "k0", Tools("b"));
        var version = _catalogue.Version;
        _catalogue.Find("a", "k0");

        _catalogue.Save("a", "new", Tools("new"));

        Assert.Null(_catalogue.Find("a", "k1")[ListKind.Tools]);
        Assert.True(_catalogue.Version > version + 1);
        string[] left = [CatalogueKey.Base, "k0", .. Enumerable.Range(2, CatalogueEntries.MostKeys - 2).Select(i => $"k{i}"), "new"];
        Assert.All(left, key => Assert.NotNull(_catalogue.Find("a", key)[ListKind.Tools]));
        Assert.Equal(left.Order(), await KeysAsync(_store, "a"));
        Assert.Equal(["k0"], await KeysAsync(_store, "b"));
    }

    [Fact]
    public async Task Keys_AsManyAsTheyMayBe_ListsOfThemChange_NoneGoes()
    {
        Fill("a", CatalogueEntries.MostKeys);

        for (var i = 0; i < CatalogueEntries.MostKeys; i++)
        {
            _catalogue.Save("a", $"k{i}", Tools("y"));
            _catalogue.Save("a", $"k{i}", "{}"u8.ToArray());
        }

        Assert.Equal(CatalogueEntries.MostKeys, (await KeysAsync(_store, "a")).Count());
    }

    [Fact]
    public void Key_Went_NothingOfItSpeaksAgainstWhatIsShownUnderItLater()
    {
        _catalogue.Save("a", "old", Tools("x"));
        _catalogue.DoubtOthers("a", ListKind.Tools);
        Assert.True(_catalogue.IsToldOutdated("a", "old", ListKind.Tools));
        Fill("a", CatalogueEntries.MostKeys);
        Assert.False(_catalogue.IsToldOutdated("a", "old", ListKind.Tools));
        var asked = Tools("y");
        _catalogue.Doubt("a", "old", ListKind.Tools);

        _catalogue.Save("a", "old", asked);

        Assert.True(_catalogue.IsCertain("a", "old", ListKind.Tools));
        Assert.False(_catalogue.IsToldOutdated("a", "old", ListKind.Tools));
        Assert.Empty(_changed);
    }

    [Fact]
    public async Task Key_GoesWhileItIsBeingWritten_IsNotLeftInTheStore()
    {
        var store = new FaultyStore(_clock);
        var slow = new TaskCompletionSource();
        store.Before = _ => slow.Task;
        var catalogue = New(store);
        catalogue.Save("a", "slow", Tools("x"));
        store.Before = null;
        Fill("a", CatalogueEntries.MostKeys, catalogue);
        Assert.DoesNotContain("slow", await KeysAsync(store, "a"));

        slow.SetResult();

        Assert.DoesNotContain("slow", await KeysAsync(store, "a"));
        Assert.Equal(CatalogueEntries.MostKeys, (await KeysAsync(store, "a")).Count());
    }

    [Fact]
    public async Task Key_StoreCannotTakeItOut_TheNextOnesGoAllTheSame()
    {
        var store = new FaultyStore(_clock);
        var catalogue = New(store);
        Fill("a", CatalogueEntries.MostKeys, catalogue);
        store.IsAway = true;
        catalogue.Save("a", "lost", Tools("x"));
        store.IsAway = false;

        catalogue.Save("a", "new", Tools("x"));

        Assert.Null(catalogue.Find("a", "k0")[ListKind.Tools]);
        Assert.DoesNotContain("k1", await KeysAsync(store, "a"));
    }

    [Fact]
    public async Task Load_MoreKeysThanMayBe_TheNewestAreLeft_AndTheOthersTakenOutOfTheStore()
    {
        string[] old = ["old1", "old2"];
        foreach (var key in (string[])[CatalogueKey.Base, .. old, .. Enumerable.Range(0, CatalogueEntries.MostKeys).Select(i => $"k{i}")])
        {
            await _store.SaveCatalogueAsync(new CatalogueRecord("a", key, "initialize", "{}"u8.ToArray(), "", _clock.GetUtcNow()));
            await _store.SaveCatalogueAsync(new CatalogueRecord("a", key, "tools", Tools("x").Result, "h", _clock.GetUtcNow()));
            _clock.Advance(TimeSpan.FromSeconds(1));
        }

        // Written down again since, as far as one of its rows goes.
        await _store.SaveCatalogueAsync(new CatalogueRecord("a", "k0", "tools", Tools("y").Result, "h", _clock.GetUtcNow()));
        var next = New();
        await next.LoadAsync(_ => null, TestContext.Current.CancellationToken);

        Assert.All(old, key => Assert.Null(next.Find("a", key)[ListKind.Tools]));
        Assert.NotNull(next.Find("a", CatalogueKey.Base)[ListKind.Tools]);
        Assert.False(next.Find("a", "k0").InitializeResult.IsEmpty);
        Assert.DoesNotContain(await KeysAsync(_store, "a"), key => old.Contains(key));
        Assert.Equal(CatalogueEntries.MostKeys + 1, (await KeysAsync(_store, "a")).Count());
    }

    [Fact]
    public void OneOf_TheSameAsEverybodys_IsThatObject()
    {
        var everybodys = _catalogue.Save("a", CatalogueKey.Base, Tools("x"));
        var another = Tools("y");

        Assert.Same(everybodys, _catalogue.OneOf("a", Tools("x")));
        Assert.Same(another, _catalogue.OneOf("a", another));
    }

    [Theory]
    [InlineData("""{"sampling":{"tools":{},"context":{}},"roots":{"listChanged":true}}""", """ { "roots" : { "listChanged" : true } , "sampling" : { "context" : { } , "tools" : { } } } """)]
    [InlineData("""{"roots":{}}""", """{"roots":{"listChanged":false}}""")]
    [InlineData("""{"roots":{}}""", """{"r\u006fots":{},"experimental":{},"extensions":{}}""")]
    [InlineData("""{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}}""", """{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":[ "text\/html;profile=mcp-app" ]}}}""")]
    public void Key_TheSameSaidOtherwise_IsTheSame(string one, string other)
    {
        Assert.NotNull(KeyOf(one));
        Assert.Equal(KeyOf(one), KeyOf(other));
    }

    [Fact]
    public void Key_EachThingThatIsKnown_IsAnother()
    {
        string[] all =
        [
            "{}", """{"roots":{}}""", """{"roots":{"listChanged":true}}""", """{"sampling":{}}""", """{"sampling":{"tools":{}}}""", """{"sampling":{"context":{}}}""",
            """{"elicitation":{}}""", """{"elicitation":{"form":{}}}""", """{"elicitation":{"form":{"applyDefaults":true}}}""", """{"elicitation":{"url":{}}}""",
            """{"tasks":{}}""", """{"tasks":{"list":{}}}""", """{"tasks":{"cancel":{}}}""", """{"tasks":{"requests":{"sampling":{"createMessage":{}}}}}""",
            """{"tasks":{"requests":{"elicitation":{"create":{}}}}}""", """{"extensions":{"io.modelcontextprotocol/tasks":{}}}""", """{"extensions":{"io.modelcontextprotocol/ui":{}}}""",
            """{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app"]}}}""",
        ];

        Assert.DoesNotContain(null, all.Select(KeyOf));
        Assert.Equal(all.Length, all.Select(KeyOf).Distinct().Count());
    }

    [Theory]
    [InlineData("""{"experimental":{"n":{}}}""")]
    [InlineData("""{"extensions":{"x.test/y":{}}}""")]
    [InlineData("""{"extensions":{"io.modelcontextprotocol/tasks":{"n":1}}}""")]
    [InlineData("""{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["text/html;profile=mcp-app","n"]}}}""")]
    [InlineData("""{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":["n"]}}}""")]
    [InlineData("""{"extensions":{"io.modelcontextprotocol/ui":{"mimeTypes":[]}}}""")]
    [InlineData("""{"roots":{"n":1}}""")]
    [InlineData("""{"roots":{"listChanged":1}}""")]
    [InlineData("""{"sampling":null}""")]
    [InlineData("""{"sampling":{},"sampling":{"tools":{}}}""")]
    [InlineData("""{"roots":{"listChanged":false,"listChanged":true}}""")]
    [InlineData("""{"\ud800":{}}""")]
    [InlineData("""[]""")]
    [InlineData("1")]
    public void Key_SomethingIsDeclaredThatIsNotKnown_ThereIsNone(string capabilities) => Assert.Null(KeyOf(capabilities));

    [Fact]
    public void Key_DependsOnVersionAndCapabilitiesOnly()
    {
        var key = Key(ProtocolVersion.V2025_11_25, """{"capabilities":{"roots":{}},"clientInfo":{"name":"a"}}""");

        Assert.Equal(key, Key(ProtocolVersion.V2025_11_25, """{"clientInfo":{"name":"b"},"capabilities":{"roots":{}}}"""));
        Assert.NotEqual(key, Key(ProtocolVersion.V2025_06_18, """{"capabilities":{"roots":{}}}"""));
        Assert.NotEqual(key, Key(ProtocolVersion.V2025_11_25, """{"capabilities":{}}"""));
        Assert.Equal(Key(ProtocolVersion.V2025_11_25, ""), Key(ProtocolVersion.V2025_11_25, """{"capabilities":{}}"""));
    }

    private static string? KeyOf(string capabilities) => Key(ProtocolVersion.V2025_11_25, $$"""{"capabilities":{{capabilities}}}""");

    private static string? Key(ProtocolVersion version, string parameters) => CatalogueKey.Of(version, Encoding.UTF8.GetBytes(parameters));

    private static ServerList Tools(string name) => ServerList.Of(ListKind.Tools, Encoding.UTF8.GetBytes($$"""{"tools":[{"name":"{{name}}"}]}"""));

    private string Only(string server, string key) => Assert.Single(_catalogue.Find(server, key)[ListKind.Tools]!.Items).Name;

    /// <summary>Lists under k0, k1 …</summary>
    private void Fill(string server, int keys, Catalogue? catalogue = null)
    {
        for (var i = 0; i < keys; i++)
        {
            (catalogue ?? _catalogue).Save(server, $"k{i}", Tools("x"));
        }
    }

    private static async Task<IEnumerable<string>> KeysAsync(IStore store, string server) => (await store.LoadCatalogueAsync(TestContext.Current.CancellationToken))
        .Where(record => record.Server == server).Select(record => record.Key).Distinct().Order();

    private static async Task<IEnumerable<string>> KeptAsync(FaultyStore store) => (await store.LoadCatalogueAsync(TestContext.Current.CancellationToken))
        .Select(record => ServerList.Of(ListKind.Tools, record.Body.ToArray()).Items[0].Name);

    private Catalogue New(IStore? store = null) =>
        new(store ?? _store, new Peers(_store, _store, new LocalSignals(), _clock, NullLogger<Peers>.Instance), new Eras(_clock), _clock, NullLogger<Catalogue>.Instance);
}
