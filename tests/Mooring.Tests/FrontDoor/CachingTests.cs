using System.Text.Json.Nodes;
using Mooring.Configuration;
using Mooring.Routing;
using Xunit;

namespace Mooring.Tests.FrontDoor;

/// <summary>For how long clients of 2026-07-28 may keep what they are told, and for whom: never longer, nor for more people, than each server says of its part.</summary>
public sealed class CachingTests
{
    [Theory]
    [InlineData("tools/list")]
    [InlineData("prompts/list")]
    [InlineData("resources/list")]
    [InlineData("resources/templates/list")]
    [InlineData("server/discover")]
    public async Task Merged_SeveralServers_IsTheLeastOfAll(string method)
    {
        var (a, b) = (new FakeUpstream("a"), new FakeUpstream("b"));
        (StatelessUpstream.At(a).TtlMs, var second) = (60_000, StatelessUpstream.At(b));
        (second.TtlMs, second.CacheScope) = (5_000, "private");
        await using var gateway = await GatewayFixture.StartAsync(null, a, b);
        await new StatelessClient(gateway.Http, "/mcp").ResultAsync("tools/list");

        Assert.Equal((5_000, "private"), Said(await new StatelessClient(gateway.Http, "/mcp").ResultAsync(method)));
        Assert.Equal((60_000, "public"), Said(await new StatelessClient(gateway.Http, "/servers/a/mcp").ResultAsync(method)));
    }

    [Theory]
    [InlineData("tools/list")]
    [InlineData("server/discover")]
    public async Task Merged_AllArePublic_IsPublic(string method)
    {
        var (a, b) = (new FakeUpstream("a"), new FakeUpstream("b"));
        (StatelessUpstream.At(a).TtlMs, StatelessUpstream.At(b).TtlMs) = (60_000, 5_000);
        await using var gateway = await GatewayFixture.StartAsync(null, a, b);
        await new StatelessClient(gateway.Http, "/mcp").ResultAsync("tools/list");

        Assert.Equal((5_000, "public"), Said(await new StatelessClient(gateway.Http, "/mcp").ResultAsync(method)));
    }

    [Theory]
    [InlineData("tools/list")]
    [InlineData("server/discover")]
    public async Task Merged_OneServerSaysNothing_PromisesNothing(string method)
    {
        var (a, b) = (new FakeUpstream("a"), new FakeUpstream("b"));
        StatelessUpstream.At(a).TtlMs = 60_000;
        await using var gateway = await GatewayFixture.StartAsync(null, a, b);
        await new StatelessClient(gateway.Http, "/mcp").ResultAsync("tools/list");

        Assert.Equal((0, "private"), Said(await new StatelessClient(gateway.Http, "/mcp").ResultAsync(method)));
    }

    [Fact]
    public async Task Merged_OneServerWasNeverSeen_PromisesNothing()
    {
        var (a, b) = (new FakeUpstream("a"), new FakeUpstream("b"));
        StatelessUpstream.At(a).TtlMs = 60_000;
        StatelessUpstream.At(b).Intercept = _ => throw new HttpRequestException(HttpRequestError.ConnectionError, "away");
        await using var gateway = await GatewayFixture.StartAsync(null, a, b);
        var asking = new StatelessClient(gateway.Http, "/mcp").ResultAsync("tools/list");

        Assert.Equal((0, "private"), Said(await gateway.PassTimeAsync(asking, TimeSpan.FromMinutes(1), "the list")));
    }

    [Fact]
    public async Task List_LongerThanAPage_EachPageSaysIt()
    {
        var server = StatelessUpstream.At(new FakeUpstream());
        (server.TtlMs, server.Tools) = (60_000, new JsonArray([.. Enumerable.Range(0, 1_001).Select(i => new JsonObject { ["name"] = $"t{i}", ["inputSchema"] = new JsonObject { ["type"] = "object" } })]).ToJsonString());
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = new StatelessClient(gateway.Http);

        var first = await client.ResultAsync("tools/list");
        var second = await client.ResultAsync("tools/list", $$"""{"cursor":"{{(string)first["result"]!["nextCursor"]!}}"}""");

        Assert.Single(second["result"]!["tools"]!.AsArray());
        Assert.All([first, second], page => Assert.Equal((60_000, "public"), Said(page)));
    }

    [Fact]
    public async Task List_OfNothingThatTheServerHas_HoldsAsLongAsWhatTheServerIs()
    {
        var server = StatelessUpstream.At(new FakeUpstream());
        (server.TtlMs, server.Capabilities) = (60_000, """{"tools":{}}""");
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);

        var prompts = await new StatelessClient(gateway.Http).ResultAsync("prompts/list");

        Assert.Empty(prompts["result"]!["prompts"]!.AsArray());
        Assert.Equal((60_000, "public"), Said(prompts));
    }

    [Fact]
    public async Task Initialize_OfAServerThatSaysIt_DoesNotSayIt()
    {
        var server = StatelessUpstream.At(new FakeUpstream());
        server.TtlMs = 60_000;
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);

        var hello = (await gateway.NewClient().InitializeAsync())["result"]!.AsObject();

        Assert.Equal("stateless", (string?)hello["serverInfo"]!["name"]);
        Assert.False(hello.ContainsKey("ttlMs") || hello.ContainsKey("cacheScope"));
    }

    [Theory]
    [InlineData("/mcp", "tools/list")]
    [InlineData("/mcp", "server/discover")]
    [InlineData("/servers/one/mcp", "tools/list")]
    [InlineData("/servers/one/mcp", "server/discover")]
    public async Task Known_ForAWhile_HoldsForWhatIsLeftOfItsTime(string path, string method)
    {
        var server = StatelessUpstream.At(new FakeUpstream());
        server.TtlMs = 60_000;
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = new StatelessClient(gateway.Http, path);
        await client.ResultAsync("tools/list");

        gateway.Advance(TimeSpan.FromSeconds(20));
        Assert.Equal((40_000, "public"), Said(await client.ResultAsync(method)));
        gateway.Advance(TimeSpan.FromSeconds(50));
        Assert.Equal((0, "public"), Said(await client.ResultAsync(method)));
    }

    [Theory]
    [InlineData(LinkScope.Session, 20_000)]
    [InlineData(LinkScope.Shared, 20_000)]
    [InlineData(LinkScope.Session, 0)]
    [InlineData(LinkScope.Shared, 0)]
    public async Task List_TimeIsUpAndNobodyTellsOfChanges_IsReadAgainBehindTheAnswer_AndAChangeIsTold(LinkScope scope, int ttl)
    {
        var server = StatelessUpstream.At(new FakeUpstream());
        (server.TtlMs, server.Capabilities) = (ttl, """{"tools":{}}""");
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Server = s => s with { Scope = scope } }, server.Fake);
        var client = new StatelessClient(gateway.Http, "/mcp");
        await client.ResultAsync("tools/call", """{"name":"one__echo"}""");
        await client.ResultAsync("tools/list");
        var (listen, _) = await client.ListenAsync("""{"toolsListChanged":true}""");

        server.Tools = """[{"name":"new","inputSchema":{"type":"object"}}]""";
        gateway.Advance(TimeSpan.FromSeconds(30));
        var old = await client.ResultAsync("tools/list");

        Assert.Equal("one__echo", (string?)old["result"]!["tools"]![0]!["name"]);
        Assert.Equal((0, "public"), Said(old));
        Assert.Equal("notifications/tools/list_changed", (string?)(await listen.Events.MessageAsync())["method"]);
        var fresh = await client.ResultAsync("tools/list");
        Assert.Equal("one__new", (string?)fresh["result"]!["tools"]![0]!["name"]);
        Assert.Equal((ttl, "public"), Said(fresh));
        Assert.False(listen.Events.HasNext);
        listen.Dispose();
    }

    [Fact]
    public async Task List_TimeIsUp_IsReadAgainOnceForAllWhoAsk_AndNoSoonerThanAfter15Seconds()
    {
        var server = StatelessUpstream.At(new FakeUpstream());
        server.Capabilities = """{"tools":{}}""";
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = new StatelessClient(gateway.Http);
        await client.ResultAsync("tools/list");
        gateway.Advance(TimeSpan.FromSeconds(30));
        await client.ResultAsync("tools/list");
        var before = server.Fake.Messages("tools/list").Count;
        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromSeconds(10), gateway.Clock), TimeSpan.FromSeconds(11), "it is read");
        var read = server.Fake.Messages("tools/list").Count;
        Assert.InRange(read, before, before + 1);

        for (var i = 0; i < 20; i++)
        {
            await client.ResultAsync("tools/list");
        }

        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromSeconds(3), gateway.Clock), TimeSpan.FromSeconds(4), "time passed");
        Assert.Equal(read, server.Fake.Messages("tools/list").Count);
        gateway.Advance(TimeSpan.FromSeconds(15));
        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => client.ResultAsync("tools/list")));
        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromSeconds(3), gateway.Clock), TimeSpan.FromSeconds(4), "time passed");
        Assert.Equal(read + 1, server.Fake.Messages("tools/list").Count);
    }

    [Fact]
    public async Task List_TimeIsUpAndTheServerTellsOfChanges_IsNotReadAgain()
    {
        var server = StatelessUpstream.At(new FakeUpstream());
        (server.TtlMs, server.Intercept) = (20_000, Acknowledges);
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = new StatelessClient(gateway.Http);
        await client.ResultAsync("tools/call", """{"name":"echo"}""");
        await client.ResultAsync("tools/list");
        await gateway.UntilAsync(() => server.Fake.Messages("subscriptions/listen").Count >= 2, "both links listen");
        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromSeconds(5), gateway.Clock), TimeSpan.FromSeconds(6), "all lists are read");
        var read = server.Fake.Messages("tools/list").Count;

        for (var minutes = 0; minutes < 5; minutes++)
        {
            await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromMinutes(1), gateway.Clock), TimeSpan.FromMinutes(2), "a minute");
            await client.ResultAsync("tools/list");
        }

        Assert.Equal(read, server.Fake.Messages("tools/list").Count);
    }

    [Fact]
    public void List_SameWithAnotherTime_IsTheSameList()
    {
        var one = ServerList.Of(ListKind.Tools, """{"tools":[],"ttlMs":9000,"cacheScope":"public"}"""u8.ToArray(), FakeClock.Start);
        var two = ServerList.Of(ListKind.Tools, """{"tools":[],"ttlMs":2000,"cacheScope":"public"}"""u8.ToArray(), FakeClock.Start + TimeSpan.FromSeconds(1));

        Assert.Equal(one.Hash, two.Hash);
        one.Confirm(two);
        Assert.Equal(500, one.HintAt(FakeClock.Start + TimeSpan.FromSeconds(2.5), isTold: false).TtlMs);
        Assert.NotEqual(one.Hash, ServerList.Of(ListKind.Tools, """{"tools":[],"ttlMs":9000,"cacheScope":"private"}"""u8.ToArray()).Hash);
    }

    private static bool Acknowledges(UpstreamExchange exchange)
    {
        if ((string?)exchange.Message?["method"] != "subscriptions/listen")
        {
            return false;
        }

        _ = exchange.Stream().AcknowledgeAsync();
        return true;
    }

    private static (int, string) Said(JsonObject answer) => ((int)answer["result"]!["ttlMs"]!, (string)answer["result"]!["cacheScope"]!);
}
