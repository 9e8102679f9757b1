using System.Text.Json.Nodes;
using Xunit;
using static Mooring.Tests.Routing.Asking;
using static Mooring.Tests.Routing.ListingServer;

namespace Mooring.Tests.Routing;

/// <summary>Servers a and b both list u:1; b also lists u:2.</summary>
public sealed class MergedResourcesTests
{
    private readonly ListingServer _a = new("a") { Resources = Uris("u:1") };
    private readonly ListingServer _b = new("b") { Resources = Uris("u:1", "u:2") };

    [Fact]
    public async Task List_TheSameUriTwice_TheLaterIsUnderItsServersScheme()
    {
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await ListedAsync(gateway);

        Assert.Equal(["u:1", "mooring+b:u:1", "u:2"], await client.ListAsync("resources"));
    }

    [Theory]
    [InlineData("u:1", "a:u:1")]
    [InlineData("mooring+b:u:1", "b:u:1")]
    [InlineData("u:2", "b:u:2")]
    public async Task Read_GoesToTheOwnerByItsOwnUriAndComesBackAsShown(string uri, string text)
    {
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await ListedAsync(gateway);

        var content = (await client.ReadAsync(uri))["result"]!["contents"]![0]!;

        Assert.Equal(text, (string?)content["text"]);
        Assert.Equal(uri, (string?)content["uri"]);
    }

    [Fact]
    public async Task Read_WhatNobodyHas_IsNotFoundWithItsUri()
    {
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await ListedAsync(gateway);

        var error = (await client.ReadAsync("u:none"))["error"]!;

        Assert.Equal(-32002, (int?)error["code"]);
        Assert.Equal("u:none", (string?)error["data"]!["uri"]);
        Assert.Empty(_a.Exchanges("resources/read"));
        Assert.Empty(_b.Exchanges("resources/read"));
    }

    [Fact]
    public async Task Read_ErrorOfTheLaterServer_NamesTheUriAsShown()
    {
        _b.Before = e =>
        {
            if ((string?)e.Message?["method"] != "resources/read")
            {
                return false;
            }

            e.Status(System.Net.HttpStatusCode.OK, $$$$"""{"jsonrpc":"2.0","id":{{{{e.Id}}}},"error":{"code":-32002,"message":"gone","data":{"uri":"u:1"}}}""");
            return true;
        };
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await ListedAsync(gateway);

        Assert.Equal("mooring+b:u:1", (string?)(await client.ReadAsync("mooring+b:u:1"))["error"]!["data"]!["uri"]);
    }

    [Fact]
    public async Task ToolResult_OfTheLaterServer_LinksAndEmbedsWithItsScheme()
    {
        _a.CallResult = _b.CallResult =
            """{"content":[{"type":"resource_link","uri":"u:1","name":"u:1"},{"type":"resource","resource":{"uri":"u:1","text":"u:1"}},{"type":"text","text":"uri u:1"}],"structuredContent":{"uri":"u:1"},"_meta":{"uri":"u:1"}}""";
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await ListedAsync(gateway);
        await client.ListAsync("resources");

        Assert.Equal(_a.CallResult, (await client.ResultAsync("a__x"))["result"]!.ToJsonString());
        Assert.Equal(
            """{"content":[{"type":"resource_link","uri":"mooring+b:u:1","name":"u:1"},{"type":"resource","resource":{"uri":"mooring+b:u:1","text":"u:1"}},{"type":"text","text":"uri u:1"}],"structuredContent":{"uri":"u:1"},"_meta":{"uri":"u:1"}}""",
            (await client.ResultAsync("b__x"))["result"]!.ToJsonString().Replace("\\u002B", "+", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Prompt_OfTheLaterServer_EmbedsWithItsScheme()
    {
        _b.Prompts = Named("p");
        _b.Before = e =>
        {
            if ((string?)e.Message?["method"] != "prompts/get")
            {
                return false;
            }

            e.Result("""{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"u:1","text":""}}}]}""");
            return true;
        };
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await ListedAsync(gateway);

        var answer = await client.AskAsync("prompts/get", """{"name":"b__p"}""");

        Assert.Equal("mooring+b:u:1", (string?)answer["result"]!["messages"]![0]!["content"]!["resource"]!["uri"]);
    }

    [Fact]
    public async Task Read_UnlistedUri_GoesToTheServerWithAMatchingTemplate()
    {
        _b.Templates = UriTemplates("t:{id}/data");
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await ListedAsync(gateway);

        var content = (await client.ReadAsync("t:7/data"))["result"]!["contents"]![0]!;

        Assert.Equal("b:t:7/data", (string?)content["text"]);
        Assert.Equal("t:7/data", (string?)content["uri"]);
        Assert.Equal(-32002, (int?)(await client.ReadAsync("t:7/8/data"))["error"]!["code"]);
    }

    [Fact]
    public async Task Templates_TheSameTwice_TheLaterKeepsItsSchemeInWhatComesOfIt()
    {
        _a.Templates = _b.Templates = UriTemplates("t:{id}");
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await ListedAsync(gateway);

        Assert.Equal(["t:{id}", "mooring+b:t:{id}"], await client.ListAsync("resourceTemplates"));
        var ofA = (await client.ReadAsync("t:7"))["result"]!["contents"]![0]!;
        var ofB = (await client.ReadAsync("mooring+b:t:7"))["result"]!["contents"]![0]!;
        Assert.Equal(("a:t:7", "t:7"), ((string?)ofA["text"], (string?)ofA["uri"]));
        Assert.Equal(("b:t:7", "mooring+b:t:7"), ((string?)ofB["text"], (string?)ofB["uri"]));
    }

    [Fact]
    public async Task Read_UnlistedUri_GoesToTheServerThatSentThisSessionALinkToIt()
    {
        _b.CallResult = """{"content":[{"type":"resource_link","uri":"l:1","name":"l"}],"structuredContent":{"uri":"l:2"}}""";
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await ListedAsync(gateway);
        var other = await ListedAsync(gateway);
        Assert.Equal(-32002, (int?)(await client.ReadAsync("l:1"))["error"]!["code"]);

        await client.ResultAsync("b__x");

        Assert.Equal("b:l:1", (string?)(await client.ReadAsync("l:1"))["result"]!["contents"]![0]!["text"]);
        Assert.Equal(-32002, (int?)(await client.ReadAsync("l:2"))["error"]!["code"]);
        Assert.Equal(-32002, (int?)(await other.ReadAsync("l:1"))["error"]!["code"]);
    }

    [Fact]
    public async Task Links_OfTwoServersToTheSameUnlistedUri_AreToldApart()
    {
        _a.CallResult = _b.CallResult = """{"content":[{"type":"resource_link","uri":"l:1","name":"l"}]}""";
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await ListedAsync(gateway);

        var ofA = (string?)(await client.ResultAsync("a__x"))["result"]!["content"]![0]!["uri"];
        var ofB = (string?)(await client.ResultAsync("b__x"))["result"]!["content"]![0]!["uri"];

        Assert.Equal(("l:1", "mooring+b:l:1"), (ofA, ofB));
        Assert.Equal("a:l:1", (string?)(await client.ReadAsync("l:1"))["result"]!["contents"]![0]!["text"]);
        Assert.Equal("b:l:1", (string?)(await client.ReadAsync("mooring+b:l:1"))["result"]!["contents"]![0]!["text"]);
    }

    [Theory]
    [InlineData("u:1", "a")]
    [InlineData("mooring+b:u:1", "b")]
    public async Task Subscribe_GoesToTheOwnerAndUpdatesComeBackAsShown(string uri, string owner)
    {
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await ListedAsync(gateway);
        var parameters = new JsonObject { ["uri"] = uri }.ToJsonString();
        using var stream = await client.GetAsync();

        Assert.NotNull((await client.AskAsync("resources/subscribe", parameters))["result"]);

        var server = owner == "a" ? _a : _b;
        Assert.Equal(["""{"uri":"u:1"}"""], server.Params("resources/subscribe"));
        Assert.Empty((owner == "a" ? _b : _a).Exchanges("resources/subscribe"));
        var announced = await server.StreamOfLatestAsync("resources/subscribe");
        await announced.SendAsync("""{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"u:1","title":"t"}}""");
        var update = await stream.Events.MessageAsync();
        Assert.Equal("notifications/resources/updated", (string?)update["method"]);
        Assert.Equal($$"""{"uri":"{{uri}}","title":"t"}""", update["params"]!.ToJsonString().Replace("\\u002B", "+", StringComparison.Ordinal));

        Assert.NotNull((await client.AskAsync("resources/unsubscribe", parameters))["result"]);
        Assert.Equal(["""{"uri":"u:1"}"""], server.Params("resources/unsubscribe"));
    }

    [Theory]
    [InlineData("t:{id}", "a:t:{id}")]
    [InlineData("mooring+b:t:{id}", "b:t:{id}")]
    [InlineData("mooring+b:u:1", "b:u:1")]
    public async Task Completion_OfAResource_GoesToItsServerUnderItsOwnUri(string uri, string value)
    {
        _a.Templates = _b.Templates = UriTemplates("t:{id}");
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await ListedAsync(gateway);

        var answer = await client.AskAsync("completion/complete", $$$"""{"argument":{"name":"id","value":""},"ref":{"type":"ref/resource","uri":"{{{uri}}}"}}""");

        Assert.Equal(value, (string?)answer["result"]!["completion"]!["values"]![0]);
    }

    [Fact]
    public async Task SingleRoute_UrisStayAsTheyAre()
    {
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await gateway.ClientAsync(path: "/servers/b/mcp");

        Assert.Equal(["u:1", "u:2"], await client.ListAsync("resources"));
        Assert.Equal("b:u:none", (string?)(await client.ReadAsync("u:none"))["result"]!["contents"]![0]!["text"]);
    }

    /// <summary>A client that has seen the lists, as clients have that use a URI: who holds one is settled then.</summary>
    private static async Task<McpTestClient> ListedAsync(GatewayFixture gateway)
    {
        var client = await gateway.MergedAsync();
        await client.ListAsync("resources");
        await client.ListAsync("resourceTemplates");
        return client;
    }

    [Fact]
    public async Task FirstStart_TheFirstServerIsSlow_TheUriIsStillTheFirsts()
    {
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _a.Before = e =>
        {
            if (release.Task.IsCompleted || (string?)e.Message?["method"] != "resources/list")
            {
                return false;
            }

            _ = release.Task.ContinueWith(_ => e.Result($$"""{"resources":[{{Uris("u:1")[0]}}]}"""), TaskScheduler.Default);
            return true;
        };
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await gateway.MergedAsync();
        using var stream = await client.GetAsync();
        var first = gateway.PassTimeAsync(client.ListAsync("resources"), new Mooring.Configuration.CallsConfig().FirstListWait * 2, "the list came without the first server");
        Assert.Equal(["u:1", "u:2"], await first);
        Assert.Equal("b:u:1", (string?)(await client.ReadAsync("u:1"))["result"]!["contents"]![0]!["text"]);

        release.SetResult();
        Assert.Equal("notifications/resources/list_changed", (string?)(await stream.Events.MessageAsync())["method"]);

        Assert.Equal(["u:1", "mooring+b:u:1", "u:2"], await client.ListAsync("resources"));
        Assert.Equal("a:u:1", (string?)(await client.ReadAsync("u:1"))["result"]!["contents"]![0]!["text"]);
    }
}
