using System.Text.Json.Nodes;
using Mooring.Configuration;
using Mooring.Upstreams;
using Xunit;
using static Mooring.Tests.Routing.Asking;
using static Mooring.Tests.Routing.ListingServer;

namespace Mooring.Tests.Routing;

public sealed class MergedListsTests
{
    private static readonly TimeSpan FirstListWait = new CallsConfig().FirstListWait;

    [Fact]
    public async Task Pages_OverThreeServers_HaveEveryItemOnceInOrder()
    {
        var servers = new[] { "a", "b", "c" }.Select(name => new ListingServer(name, Named([.. Enumerable.Range(0, 700).Select(i => $"t{i}")]))).ToArray();
        await using var gateway = await GatewayAsync(null, servers);
        var client = await gateway.MergedAsync();

        var pages = await PagesAsync(client, "tools");

        Assert.Equal([1000, 1000, 100], pages.Select(p => p.Count));
        Assert.Equal(servers.SelectMany(s => Enumerable.Range(0, 700).Select(i => $"{s.Name}__t{i}")), pages.SelectMany(p => p));
    }

    [Theory]
    [InlineData("/mcp")]
    [InlineData("/servers/a/mcp")]
    public async Task Cursor_OfAListThatChangedOrOfNoList_IsInvalidParams(string path)
    {
        var a = new ListingServer("a", Named([.. Enumerable.Range(0, 1001).Select(i => $"t{i}")]));
        await using var gateway = await GatewayAsync(null, a);
        var client = await gateway.ClientAsync(path: path);
        var cursor = (string)(await client.AskAsync("tools/list"))["result"]!["nextCursor"]!;
        Assert.Single((await client.AskAsync("tools/list", $$"""{"cursor":"{{cursor}}"}"""))["result"]!["tools"]!.AsArray());

        foreach (var wrong in new[] { "\"x\"", "\"\"", "\"0\"", $"\"{cursor}9\"", $"\"{cursor.Split('.')[0]}.-1\"", $"\"{cursor.Split('.')[0]}.\"", "7" })
        {
            Assert.Equal(-32602, (int?)(await client.AskAsync("tools/list", $$"""{"cursor":{{wrong}}}"""))["error"]?["code"]);
        }

        Assert.NotNull((await client.AskAsync("tools/list", """{"cursor":null}"""))["result"]);
        using var stream = await client.GetAsync();
        a.Tools = Named([.. Enumerable.Range(0, 1002).Select(i => $"t{i}")]);
        await client.ResultAsync(path == "/mcp" ? "a__t0" : "t0");
        await (await a.StreamOfLatestAsync("tools/call")).SendAsync(Changed("tools"));
        Assert.Equal("notifications/tools/list_changed", (string?)(await stream.Events.MessageAsync())["method"]);

        Assert.Equal(-32602, (int?)(await client.AskAsync("tools/list", $$"""{"cursor":"{{cursor}}"}"""))["error"]?["code"]);
    }

    [Fact]
    public async Task UpstreamPages_AreDrainedIntoOneList()
    {
        var a = Paged("a", (null, "t1", "p2"), ("p2", "t2", "p3"), ("p3", "t3", ""));
        await using var gateway = await GatewayAsync(null, a);

        Assert.Equal(["a__t1", "a__t2", "a__t3"], await (await gateway.MergedAsync()).ListAsync("tools"));
        var single = await (await gateway.ClientAsync(path: "/servers/a/mcp")).AskAsync("tools/list");
        Assert.Equal(3, single["result"]!["tools"]!.AsArray().Count);
        Assert.False(single["result"]!.AsObject().ContainsKey("nextCursor"));
    }

    [Fact]
    public async Task UpstreamCursors_InACircle_EndAndTheOtherServersAreShown()
    {
        var a = Paged("a", (null, "t1", "p2"), ("p2", "t2", "p3"), ("p3", "t3", "p2"));
        await using var gateway = await GatewayAsync(null, a, new ListingServer("b"));
        var client = await gateway.MergedAsync();

        Assert.Equal(["b__x"], await client.ListAsync("tools"));
        Assert.Contains(gateway.LogLines.Lines, line => line.Contains("go in a circle", StringComparison.Ordinal));
    }

    [Fact]
    public async Task List_ReadingOneServersFailsByABug_TheOthersAreShown()
    {
        var (a, b) = (new ListingServer("a"), new ListingServer("b"));
        a.Before = e => (string?)e.Message?["method"] == "tools/list" ? throw new InvalidOperationException("scripted bug") : false;
        await using var gateway = await GatewayAsync(null, a, b);

        Assert.Equal(["b__x"], await (await gateway.MergedAsync()).ListAsync("tools"));

        Assert.Contains(gateway.LogLines.Lines, line => line.StartsWith("Error ListReadingFailed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Initialize_DeclaresTheSameWhateverTheServersHave()
    {
        var poor = new ListingServer("a") { Fake = { Capabilities = "{}" } };
        await using var withOne = await GatewayAsync(null, poor);
        await using var withDead = await GatewayAsync(null, Dead("a"), Dead("b"));
        await using var withFull = await GatewayAsync(null, new ListingServer("a"), new ListingServer("b"));

        var all = new List<string>();
        foreach (var gateway in new[] { withOne, withDead, withFull })
        {
            all.Add((await gateway.NewClient(path: "/mcp").InitializeAsync())["result"]!["capabilities"]!.ToJsonString());
        }

        Assert.All(all, capabilities => Assert.Equal(
            """{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"logging":{},"completions":{}}""", capabilities));
    }

    [Theory]
    [InlineData("tools")]
    [InlineData("prompts")]
    [InlineData("resources")]
    [InlineData("resourceTemplates")]
    public async Task List_OfWhatNoServerHas_IsEmptyAndAsksNobodyForIt(string what)
    {
        var a = new ListingServer("a") { Fake = { Capabilities = "{}" } };
        await using var gateway = await GatewayAsync(null, a);
        var client = await gateway.MergedAsync();

        Assert.Empty(await client.ListAsync(what));
        Assert.Empty(a.Exchanges(what == "resourceTemplates" ? "resources/templates/list" : what + "/list"));
    }

    [Fact]
    public async Task Instructions_HaveOneHeadingPerServerInConfigOrder()
    {
        var (a, b, c) = (Instructed("a", "do  this\n"), Instructed("b", ""), Instructed("c", "and \"that\""));
        await using var gateway = await GatewayAsync(null, c, a, b);
        await (await gateway.MergedAsync()).ListAsync("tools");

        var result = (await gateway.NewClient(path: "/mcp").InitializeAsync())["result"]!;

        Assert.Equal("## c\n\nand \"that\"\n\n## a\n\ndo  this", (string?)result["instructions"]);
    }

    [Fact]
    public async Task Instructions_TooLongTogether_AreCutAndSayso()
    {
        await using var gateway = await GatewayAsync(null, Instructed("a", new string('a', 10_000)), Instructed("b", new string('b', 10_000)));
        await (await gateway.MergedAsync()).ListAsync("tools");

        var text = (string)(await gateway.NewClient(path: "/mcp").InitializeAsync())["result"]!["instructions"]!;

        Assert.InRange(text.Length, 16 * 1024, (16 * 1024) + 200);
        Assert.EndsWith("passes on]", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task List_OneServerHangs_TheOthersAreShownInTimeAndTheClientIsToldWhenItComes()
    {
        var held = new TaskCompletionSource<UpstreamExchange>(TaskCreationOptions.RunContinuationsAsynchronously);
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var hanging = new ListingServer("a");
        hanging.Before = e =>
        {
            if (release.Task.IsCompleted || (string?)e.Message?["method"] != "tools/list")
            {
                return false;
            }

            held.TrySetResult(e);
            _ = release.Task.ContinueWith(_ => e.Result("""{"tools":[{"name":"late"}]}"""), TaskScheduler.Default);
            return true;
        };
        hanging.Tools = Named("late");
        await using var gateway = await GatewayAsync(null, hanging, new ListingServer("b"));
        var client = await gateway.MergedAsync();
        using var stream = await client.GetAsync();

        var list = await gateway.PassTimeAsync(client.ListAsync("tools"), FirstListWait * 2, "the list came without the server that hangs");

        Assert.Equal(["b__x"], list);
        release.SetResult();
        Assert.Equal("notifications/tools/list_changed", (string?)(await stream.Events.MessageAsync())["method"]);
        Assert.Equal(["a__late", "b__x"], await client.ListAsync("tools"));
    }

    /// <summary>Whoever was shown it must not be left with it because the look that he began came to nothing.</summary>
    [Fact]
    public async Task List_KnownButCouldNotBeRead_IsToldOfOnceItCanAndIsAnotherOne()
    {
        var (refuses, asked) = (false, 0);
        var a = new ListingServer("a");
        a.Before = e =>
        {
            if ((asked == 0 && !refuses) || (string?)e.Message?["method"] != "tools/list")
            {
                return false;
            }

            asked++;
            if (refuses)
            {
                e.Error(-32603, "not now");
            }
            else
            {
                e.Result("""{"tools":[{"name":"late"}]}""");
            }

            return true;
        };
        await using var gateway = await GatewayAsync(null, a);
        var client = await gateway.MergedAsync();
        Assert.Equal(["a__x"], await client.ListAsync("tools"));
        await client.ResultAsync("a__x");
        using var stream = await client.GetAsync();
        refuses = true;
        gateway.Session(client).Lists.Doubt(gateway.Get<UpstreamTable>().Find("a")!, kind: null);
        Assert.Equal(["a__x"], await client.ListAsync("tools"));
        Assert.True(asked > 0, "The server was not asked.");
        refuses = false;

        Assert.Equal(["a__late"], await client.ListAsync("tools"));

        Assert.Equal("notifications/tools/list_changed", (string?)(await stream.Events.MessageAsync())["method"]);
    }

    /// <summary>The list from before is likelier right than a client is patient.</summary>
    [Fact]
    public async Task List_KnownButMayBeAnotherOne_IsShownAfterASecondAndTheClientIsToldWhenItIs()
    {
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var (holds, held) = (false, 0);
        var a = new ListingServer("a");
        a.Before = e =>
        {
            if (!holds || (string?)e.Message?["method"] != "tools/list")
            {
                return false;
            }

            Interlocked.Increment(ref held);
            _ = release.Task.ContinueWith(_ => e.Result("""{"tools":[{"name":"late"}]}"""), TaskScheduler.Default);
            return true;
        };
        await using var gateway = await GatewayAsync(null, a);
        var client = await gateway.MergedAsync();
        Assert.Equal(["a__x"], await client.ListAsync("tools"));
        await client.ResultAsync("a__x");
        using var stream = await client.GetAsync();
        holds = true;
        gateway.Session(client).Lists.Doubt(gateway.Get<UpstreamTable>().Find("a")!, kind: null);

        var list = await gateway.PassTimeAsync(client.ListAsync("tools"), FirstListWait - TimeSpan.FromSeconds(1), "the list from before came");

        Assert.Equal(["a__x"], list);
        Assert.True(held > 0, "The server was not asked.");
        release.SetResult();
        Assert.Equal("notifications/tools/list_changed", (string?)(await stream.Events.MessageAsync())["method"]);
        Assert.Equal(["a__late"], await client.ListAsync("tools"));
    }

    [Fact]
    public async Task List_ServerGoneAway_IsShownAsLastKnown()
    {
        var a = new ListingServer("a");
        await using var gateway = await GatewayAsync(null, a, new ListingServer("b"));
        Assert.Equal(["a__x", "b__x"], await (await gateway.MergedAsync()).ListAsync("tools"));
        a.Before = e =>
        {
            e.Fail(HttpRequestError.ConnectionError);
            return true;
        };
        var upstream = gateway.Get<UpstreamTable>().Find("a")!;
        while (!upstream.Health.IsAway)
        {
            upstream.Failed("gone");
        }

        var newcomer = await gateway.MergedAsync();

        Assert.Equal(["a__x", "b__x"], await newcomer.ListAsync("tools"));
        var single = await gateway.ClientAsync(path: "/servers/a/mcp");
        Assert.Equal(["x"], await single.ListAsync("tools"));
    }

    [Fact]
    public async Task List_ServerAwayThatNobodyKnows_IsAnsweredWithFewConnects_AndWhoeverWasLeftWithoutIsToldWhenItIsBack()
    {
        var isDown = true;
        var a = new ListingServer("a");
        a.Before = e =>
        {
            if (isDown)
            {
                e.Fail(HttpRequestError.ConnectionError);
            }

            return isDown;
        };
        await using var gateway = await GatewayAsync(null, a, new ListingServer("b"));
        var upstream = gateway.Get<UpstreamTable>().Find("a")!;
        await gateway.UntilAsync(() => upstream.Health.State == UpstreamState.Failing, "the first look failed");
        while (!upstream.Health.IsAway)
        {
            upstream.Failed("gone");
        }

        var asked = a.Fake.Requests.Count;
        var single = await gateway.ClientAsync(path: "/servers/a/mcp");
        var merged = await gateway.MergedAsync();
        for (var i = 0; i < 10; i++)
        {
            using var reply = await Limit.Of(single.RequestAsync("tools/list"), "the answer");
            Assert.Contains("has not answered tools/list yet (", (string?)(await reply.MessageAsync())["error"]!["message"], StringComparison.Ordinal);
            Assert.Equal(["b__x"], await merged.ListAsync("tools"));
        }

        // One look each second, and no time has passed.
        Assert.InRange(a.Fake.Requests.Count, asked, asked + 1);
        using var stream = await gateway.ListenAsync(merged);
        isDown = false;
        var told = await gateway.PassTimeAsync(stream.Events.MessageAsync(), TimeSpan.FromSeconds(10), "the change");
        Assert.Equal("notifications/tools/list_changed", (string?)told["method"]);
        Assert.False(upstream.Health.IsAway);
        Assert.Equal(["x"], await single.ListAsync("tools"));
        Assert.Equal(["a__x", "b__x"], await merged.ListAsync("tools"));
    }

    [Fact]
    public async Task List_AfterARestartWithTheServerDead_IsThereAtOnce()
    {
        var folder = Directory.CreateTempSubdirectory("mooring-lists-").FullName;
        try
        {
            var stored = new FixtureOptions { Directory = folder };
            await using (var before = await GatewayAsync(stored, new ListingServer("a") { Instructions = "read me" }))
            {
                await (await before.MergedAsync()).ListAsync("tools");
            }

            await using var gateway = await GatewayAsync(stored, Dead("a"));
            var client = gateway.NewClient(path: "/mcp");

            Assert.Equal("## a\n\nread me", (string?)(await client.InitializeAsync())["result"]!["instructions"]);
            Assert.Equal(["a__x"], await client.ListAsync("tools"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Schemas_AndUnknownFields_StayByteForByte()
    {
        const string Item = """{"title":"x","name":"x" , "inputSchema":{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"name":{"const":"x"},"n":{"default":1.50e+2}},"if":{},"\u0061":1},"outputSchema":{"type":"object"},"x-new":[null, 1],"_meta":{"a/b":{}}}""";
        await using var gateway = await GatewayAsync(null, new ListingServer("a", [Item]));
        var merged = await gateway.MergedAsync();
        var single = await gateway.ClientAsync(path: "/servers/a/mcp");

        using var shownMerged = await merged.RequestAsync("tools/list");
        using var shownSingle = await single.RequestAsync("tools/list");

        Assert.Contains(Item.Replace("\"name\":\"x\" ,", "\"name\":\"a__x\" ,", StringComparison.Ordinal), await shownMerged.BodyAsync(), StringComparison.Ordinal);
        Assert.Contains(Item, await shownSingle.BodyAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sessions_WithOtherCapabilities_SeeTheListsTheirServerShowsThem()
    {
        var a = new ListingServer("a");
        var canSample = new HashSet<string>(StringComparer.Ordinal);
        var last = 0;
        a.Before = e =>
        {
            switch ((string?)e.Message?["method"])
            {
                case "initialize":
                    var session = $"s{Interlocked.Increment(ref last)}";
                    lock (canSample)
                    {
                        if (e.Message!["params"]!["capabilities"]!["sampling"] is not null)
                        {
                            canSample.Add(session);
                        }
                    }

                    e.Result("""{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"a","version":"1"}}""", session);
                    return true;
                case "tools/list":
                    lock (canSample)
                    {
                        e.Result(canSample.Contains(e.Session!) ? """{"tools":[{"name":"plain"},{"name":"sampling"}]}""" : """{"tools":[{"name":"plain"}]}""");
                    }

                    return true;
                default:
                    e.Status(e.HttpMethod == "GET" ? System.Net.HttpStatusCode.MethodNotAllowed : System.Net.HttpStatusCode.Accepted);
                    return true;
            }
        };
        await using var gateway = await GatewayAsync(null, a);
        var plain = await gateway.MergedAsync();
        var sampling = await gateway.MergedAsync("""{"sampling":{}}""");

        Assert.Equal(["a__plain"], await plain.ListAsync("tools"));
        Assert.Equal(["a__plain", "a__sampling"], await sampling.ListAsync("tools"));
        Assert.Equal(["a__plain"], await plain.ListAsync("tools"));
    }

    [Theory]
    [InlineData(LinkScope.Session)]
    [InlineData(LinkScope.Shared)]
    public async Task ListChanged_IsToldOnceAndTheNewListIsShown(LinkScope scope)
    {
        var a = new ListingServer("a");
        await using var gateway = await GatewayAsync(new FixtureOptions { Server = s => s with { Scope = scope } }, a, new ListingServer("b"));
        var client = await gateway.MergedAsync();
        await client.ListAsync("tools");
        await client.ResultAsync("a__x");
        using var stream = await client.GetAsync();
        a.Tools = Named("x", "new");

        await (await a.StreamOfLatestAsync("tools/call")).SendAsync(Changed("tools"));

        Assert.Equal("notifications/tools/list_changed", (string?)(await stream.Events.MessageAsync())["method"]);
        Assert.Equal(["a__x", "a__new", "b__x"], await client.ListAsync("tools"));
        // What is sent next comes next: nothing was told twice.
        a.Prompts = Named("p");
        await (await a.StreamOfLatestAsync("tools/call")).SendAsync(Changed("prompts"));
        Assert.Equal("notifications/prompts/list_changed", (string?)(await stream.Events.MessageAsync())["method"]);
    }

    [Fact]
    public async Task Config_ServersComeAndGo_IsToldAndShown()
    {
        await using var gateway = await GatewayAsync(
            new FixtureOptions { Config = c => c with { Servers = [c.Servers[0]] } }, new ListingServer("a"), new ListingServer("b"));
        var client = await gateway.MergedAsync();
        Assert.Equal(["a__x"], await client.ListAsync("tools"));
        using var stream = await client.GetAsync();
        var one = gateway.Config.Current;

        gateway.Config.Replace(one with { Servers = [.. one.Servers, one.Servers[0] with { Name = "b", Url = new Uri("http://b.test/mcp") }] });

        await AllToldAsync(stream);
        Assert.Equal(["a__x", "b__x"], await client.ListAsync("tools"));
        Assert.Equal("b:x", await client.CallTextAsync("b__x"));

        gateway.Config.Replace(one);

        await AllToldAsync(stream);
        Assert.Equal(["a__x"], await client.ListAsync("tools"));
        Assert.Equal(-32602, (int?)(await client.ResultAsync("b__x"))["error"]!["code"]);
    }

    private static async Task AllToldAsync(TestReply stream)
    {
        var told = new List<string>();
        for (var i = 0; i < 3; i++)
        {
            told.Add((string)(await stream.Events.MessageAsync())["method"]!);
        }

        Assert.Equal(["notifications/prompts/list_changed", "notifications/resources/list_changed", "notifications/tools/list_changed"], told.Order(StringComparer.Ordinal));
    }

    private static string Changed(string what) => $$"""{"jsonrpc":"2.0","method":"notifications/{{what}}/list_changed"}""";

    private static ListingServer Dead(string name) => new(name)
    {
        Before = e =>
        {
            e.Fail(HttpRequestError.ConnectionError);
            return true;
        },
    };

    private static ListingServer Instructed(string name, string text)
    {
        var server = new ListingServer(name);
        server.Instructions = text;
        return server;
    }

    private static ListingServer Paged(string name, params (string? Cursor, string Tool, string Next)[] pages)
    {
        var server = new ListingServer(name);
        server.Before = e =>
        {
            if ((string?)e.Message?["method"] != "tools/list")
            {
                return false;
            }

            var (_, tool, next) = pages.First(p => p.Cursor == (string?)e.Message["params"]?["cursor"]);
            e.Result(new JsonObject { ["tools"] = new JsonArray(new JsonObject { ["name"] = tool }), ["nextCursor"] = next }.ToJsonString());
            return true;
        };
        return server;
    }

    private static async Task<List<List<string>>> PagesAsync(McpTestClient client, string what)
    {
        var pages = new List<List<string>>();
        string? parameters = null;
        do
        {
            var result = (await client.AskAsync(what + "/list", parameters))["result"]!;
            pages.Add([.. result[what]!.AsArray().Select(item => (string)item!["name"]!)]);
            parameters = (string?)result["nextCursor"] is { } cursor ? new JsonObject { ["cursor"] = cursor }.ToJsonString() : null;
        }
        while (parameters is not null && pages.Count < 10);
        return pages;
    }

    [Fact]
    public async Task UpstreamPages_WithSchemasAsDeepAsTheLimitAllows_AreAllRead()
    {
        var a = new ListingServer("a");
        var deep = string.Concat(Enumerable.Repeat("{\"a\":", 80)) + "1" + new string('}', 80);
        a.Before = e =>
        {
            if ((string?)e.Message?["method"] != "tools/list")
            {
                return false;
            }

            e.Result(e.Message["params"]?["cursor"] is null
                ? $$"""{"tools":[{"name":"t1","inputSchema":{{deep}}}],"nextCursor":"2"}"""
                : """{"tools":[{"name":"t2","inputSchema":{"type":"object"}}]}""");
            return true;
        };
        await using var gateway = await GatewayAsync(new FixtureOptions { Config = c => c with { Limits = c.Limits with { JsonDepth = 200 } } }, a);
        var client = await gateway.ClientAsync(path: "/servers/a/mcp");

        // Too deep to be parsed here.
        using var reply = await client.RequestAsync("tools/list");
        var body = await reply.BodyAsync();
        Assert.True(body.Contains("\"t1\"", StringComparison.Ordinal) && body.Contains("\"t2\"", StringComparison.Ordinal), body);
    }

    [Fact]
    public async Task UpstreamPages_MoreThanAreRead_AreCutWithOneWarning()
    {
        var a = new ListingServer("a");
        a.Before = e =>
        {
            if ((string?)e.Message?["method"] != "tools/list")
            {
                return false;
            }

            var page = int.Parse((string?)e.Message["params"]?["cursor"] ?? "1", System.Globalization.CultureInfo.InvariantCulture);
            e.Result($$"""{"tools":[{"name":"t{{page}}"}],"nextCursor":"{{page + 1}}"}""");
            return true;
        };
        await using var gateway = await GatewayAsync(null, a);
        var client = await gateway.ClientAsync(path: "/servers/a/mcp");

        // Read on the link that watches as well as on the session's.
        Assert.Equal(1000, (await client.ListAsync("tools")).Count);
        await gateway.UntilAsync(() => a.Exchanges("tools/list").Count == 2000, "both links were read");

        Assert.Single(gateway.LogLines.Lines, line => line.Contains("more than 1000 pages", StringComparison.Ordinal));
    }
}
