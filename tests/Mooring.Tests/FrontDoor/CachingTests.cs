using System.Text.Json.Nodes;
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

    private static (int, string) Said(JsonObject answer) => ((int)answer["result"]!["ttlMs"]!, (string)answer["result"]!["cacheScope"]!);
}
