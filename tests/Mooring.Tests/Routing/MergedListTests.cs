using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Mooring.Configuration;
using Mooring.Routing;
using Mooring.Stores.Memory;
using Mooring.Telemetry;
using Mooring.Upstreams;
using Xunit;

namespace Mooring.Tests.Routing;

public sealed class MergedListTests
{
    private static readonly MooringMeter Meter =
        new(new ServiceCollection().AddMetrics().BuildServiceProvider().GetRequiredService<System.Diagnostics.Metrics.IMeterFactory>());

    private readonly Names _names = new(new MemoryStore(new FakeClock()), NullLogger<Names>.Instance);

    [Fact]
    public void Tools_OfTwoServers_CarryTheirServersNamesInConfigOrder()
    {
        var (a, b) = (Server("a"), Server("b"));

        var merged = Build(ListKind.Tools, (a, "x,y"), (b, "x"));

        Assert.Equal(["a__x", "a__y", "b__x"], Shown(merged));
        Assert.Equal(new Place(b, "x"), merged.Find("b__x"));
        Assert.Null(merged.Find("x"));
        Assert.Equal("b__x", merged.Renamed(b, "x"));
    }

    [Fact]
    public void Item_Renamed_StaysByteForByteButForItsName()
    {
        var a = Server("a");
        const string Item = """{ "title":"x", "inputSchema" : {"type":"object","properties":{"name":{"const":"x"}},"$defs":{}}, "name" : "x" , "_meta":{"k":1.50}, "new":[] }""";

        var merged = Build(ListKind.Tools, (a, Of(ListKind.Tools, Item)));

        Assert.Equal(Item.Replace("\"name\" : \"x\"", "\"name\" : \"a__x\"", StringComparison.Ordinal), Encoding.UTF8.GetString(merged.Items[0]));
    }

    [Fact]
    public void Tools_WithoutPrefix_TheClashStaysWithItsFirstHolderWhateverTheOrder()
    {
        var (a, b) = (Server("a", PrefixRule.Never), Server("b", PrefixRule.Never));
        Assert.Equal(["x"], Shown(Build(ListKind.Tools, (b, "x"))));

        var merged = Build(ListKind.Tools, (a, "x,z"), (b, "x"));

        Assert.Equal(["a__x", "z", "x"], Shown(merged));
        Assert.Equal(new Place(b, "x"), merged.Find("x"));
        Assert.Equal(new Place(a, "x"), merged.Find("a__x"));
    }

    [Fact]
    public void ToolsAndPrompts_OfOneName_DoNotClash()
    {
        var (a, b) = (Server("a", PrefixRule.Never), Server("b", PrefixRule.Never));

        Assert.Equal(["x"], Shown(Build(ListKind.Tools, (a, "x"))));
        Assert.Equal(["x"], Shown(Build(ListKind.Prompts, (b, "x"))));
    }

    [Fact]
    public void Tools_WhosePrefixedNamesMeet_StayApart()
    {
        var (a, ab) = (Server("a"), Server("a__b"));

        var merged = Build(ListKind.Tools, (a, "b__c"), (ab, "c,c"));

        Assert.Equal(2, merged.Items.Count);
        Assert.Equal("a__b__c", Shown(merged)[0]);
        Assert.Matches("^a__b__c_[0-9a-f]{8}$", Shown(merged)[1]);
        Assert.Equal(new Place(a, "b__c"), merged.Find(Shown(merged)[0]));
        Assert.Equal(new Place(ab, "c"), merged.Find(Shown(merged)[1]));
    }

    [Fact]
    public void Tools_OneServerListsTwice_AreShownOnce() =>
        Assert.Equal(["a__x", "a__y"], Shown(Build(ListKind.Tools, (Server("a"), "x,x,y"))));

    [Fact]
    public void Tools_OverLongOrIllegalNames_AreLegalAndFound()
    {
        var a = Server("a");
        var name = new string('n', 200);

        var merged = Build(ListKind.Tools, (a, $"{name},über alles"));

        Assert.All(Shown(merged), shown => Assert.Matches("^[A-Za-z0-9_.-]{1,128}$", shown));
        Assert.Equal(new Place(a, name), merged.Find(Shown(merged)[0]));
        Assert.Equal(new Place(a, "über alles"), merged.Find(Shown(merged)[1]));
    }

    [Fact]
    public void Resources_OfOneUri_TheLaterIsShownUnderItsServersScheme()
    {
        var (a, b) = (Server("a"), Server("b"));

        var merged = Build(ListKind.Resources, (a, "u:1,u:2"), (b, "u:1,u:3"));

        Assert.Equal(["u:1", "u:2", "mooring+b:u:1", "u:3"], Shown(merged));
        Assert.Equal(new Place(b, "u:1"), merged.Find("mooring+b:u:1"));
        Assert.Null(merged.Renamed(a, "u:1"));
        Assert.Equal("mooring+b:u:1", merged.Renamed(b, "u:1"));
        Assert.True(merged.HasRenamed(b));
        Assert.False(merged.HasRenamed(a));
    }

    [Fact]
    public void Templates_OfOneUri_TheLaterIsShownUnderItsServersScheme() =>
        Assert.Equal(["u:{x}", "mooring+b:u:{x}"], Shown(Build(ListKind.Templates, (Server("a"), "u:{x}"), (Server("b"), "u:{x}"))));

    [Fact]
    public void Hash_FollowsTheListsAndTheirServers()
    {
        var (a, b) = (Server("a"), Server("b"));
        var one = Build(ListKind.Tools, (a, "x"), (b, "y")).Hash;

        Assert.Equal(one, Build(ListKind.Tools, (a, "x"), (b, "y")).Hash);
        Assert.NotEqual(one, Build(ListKind.Tools, (a, "x"), (b, "z")).Hash);
        Assert.NotEqual(one, Build(ListKind.Tools, (b, "x"), (a, "y")).Hash);
        Assert.NotEqual(one, Build(ListKind.Tools, (a, "x")).Hash);
    }

    private MergedList Build(ListKind kind, params (Upstream Server, string Names)[] servers) =>
        Build(kind, [.. servers.Select(s => (s.Server, Of(kind, [.. s.Names.Split(',').Select(name => new JsonObject { [kind.NameKey()] = name }.ToJsonString())])))]);

    private MergedList Build(ListKind kind, params (Upstream, ServerList)[] servers) => MergedList.Build(kind, servers, servers.Length, _names, named: 0, NullLogger.Instance);

    private static ServerList Of(ListKind kind, params string[] items) =>
        ServerList.Of(kind, Encoding.UTF8.GetBytes($$"""{"{{kind.Key()}}":[{{string.Join(',', items)}}]}"""));

    private static List<string> Shown(MergedList merged) =>
        [.. merged.Items.Select(item => (string)JsonNode.Parse(item)![merged.Kind.NameKey()]!)];

    private static Upstream Server(string name, PrefixRule prefix = PrefixRule.Default) =>
        new(name, new ServerConfig { Name = name, Prefix = prefix }, connector: null,
            new UpstreamServices(new ConfigStore(new MooringConfig(), ""), new FakeClock(), guard: null!, new UpstreamMetrics(Meter), NullLoggerFactory.Instance));

    [Fact]
    public void Build_BehindAServerThatIsStillStarting_TakesNoNameForGood()
    {
        var (a, b, c) = (Server("a"), Server("b"), Server("c"));
        var list = ServerList.Of(ListKind.Resources, """{"resources":[{"uri":"u:1","name":"r"}]}"""u8.ToArray());

        Assert.Equal(["u:1", "mooring+c:u:1"], Shown(MergedList.Build(ListKind.Resources, [(b, list), (c, list)], settled: 0, _names, named: 0, NullLogger.Instance)));
        Assert.Null(_names.Holder("resource", "u:1"));

        Assert.Equal(["u:1", "mooring+b:u:1", "mooring+c:u:1"], Shown(Build(ListKind.Resources, (a, list), (b, list), (c, list))));
        Assert.Equal("a", _names.Holder("resource", "u:1"));
        Assert.Equal(["mooring+b:u:1"], Shown(MergedList.Build(ListKind.Resources, [(b, list)], settled: 0, _names, named: 0, NullLogger.Instance)));
    }

    [Fact]
    public void UriPrefix_IsALegalSchemeAndAnotherOneForEveryName()
    {
        string[] names = ["a", "A", "a_b", "a-b", "a__b", "aB", "Ab", "_a", "9", "-"];

        var prefixes = names.Select(MergedList.UriPrefix).ToList();

        Assert.All(prefixes, prefix => Assert.Matches("^[a-z][a-z0-9+.-]*:$", prefix));
        Assert.Equal(names.Length, prefixes.Distinct(StringComparer.OrdinalIgnoreCase).Count());
        Assert.Equal(["mooring+a:", "mooring++a:", "mooring+a.b:", "mooring+a-b:"], prefixes.Take(4));
    }
}
