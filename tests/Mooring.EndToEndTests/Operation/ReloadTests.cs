using System.Net;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Operation;

/// <summary>The configuration changes while clients are connected.</summary>
public sealed class ReloadTests
{
    [Fact]
    public async Task ServerAddedAndRemoved_OpenStream_HearsOfIt_AndOtherServersKeepTheirLinks()
    {
        await using var one = await FaultyServer.StartAsync();
        await using var two = await FaultyServer.StartAsync();
        two.Tools = ["extra"];
        await using var gateway = await GatewayProcess.StartAsync(Config(("one", one)));
        using var client = await McpClient.ConnectAsync(new Uri(gateway.BaseUrl, "/mcp"));
        Assert.Equal(["one__echo", "one__hold", "one__talk"], await client.ToolsAsync());
        await client.CallAsync("one__echo", "opens the link");
        using var stream = await client.OpenAsync();

        await RewriteAsync(gateway, Config(("one", one), ("two", two)));
        await UntilListAsync(client, stream, tools => tools.Contains("two__extra", StringComparer.Ordinal));
        Assert.Equal(["one__echo", "one__hold", "one__talk", "two__extra"], await client.ToolsAsync());

        await RewriteAsync(gateway, Config(("one", one)));
        await UntilListAsync(client, stream, tools => !tools.Contains("two__extra", StringComparer.Ordinal));
        Assert.Equal(["one__echo", "one__hold", "one__talk"], await client.ToolsAsync());

        Assert.Equal("same link", await client.CallAsync("one__echo", "same link"));
        Assert.Equal(1, one.Initialized(client.Name));
        one.Log("same stream");
        Assert.Equal("same stream", (string?)(await stream.NotificationAsync("notifications/message"))["params"]!["data"]);
    }

    [Fact]
    public async Task BrokenConfiguration_KeepsTheOld_AndSaysEverythingThatIsWrong()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await GatewayProcess.StartAsync(Config(("one", server)));
        using var client = await McpClient.ConnectAsync(new Uri(gateway.BaseUrl, "/mcp"));
        using var stream = await client.OpenAsync();
        var broken = Config(("one", server), ("two", server));
        broken["keepAlive"] = new JsonObject { ["interval"] = "soon" };
        broken["drain"] = new JsonObject { ["grace"] = -1 };

        await RewriteAsync(gateway, broken);

        await Wait.UntilAsync(
            () => Said(gateway).Contains("keepAlive.interval", StringComparison.Ordinal) && Said(gateway).Contains("drain.grace", StringComparison.Ordinal),
            () => gateway.Process.Describe("both errors are not in the log"));
        Assert.Equal(["one__echo", "one__hold", "one__talk"], await client.ToolsAsync());
        Assert.Equal("still served", await client.CallAsync("one__echo", "still served"));
        server.Log("stream still open");
        Assert.Equal("stream still open", (string?)(await stream.NotificationAsync("notifications/message"))["params"]!["data"]);
    }

    [Fact]
    public async Task BodySize_RaisedAndLowered_HoldsForTheNextRequestOfAnOpenConnection()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await GatewayProcess.StartAsync(Limited("64kB"));
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("one"));
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.RequestEntityTooLarge), (await SendAsync(60_000), await SendAsync(100_000)));

        await RewriteAsync(gateway, Limited("128kB"));
        await Wait.UntilAsync(async () => await SendAsync(100_000) == HttpStatusCode.OK, () => gateway.Process.Describe("the higher limit does not hold"));

        await RewriteAsync(gateway, Limited("32kB"));
        await Wait.UntilAsync(async () => await SendAsync(60_000) == HttpStatusCode.RequestEntityTooLarge, () => gateway.Process.Describe("the lower limit does not hold"));

        JsonObject Limited(string size)
        {
            var config = Config(("one", server));
            config["limits"] = new JsonObject { ["bodySize"] = size };
            return config;
        }

        // Chunked, as one whose length is not told beforehand.
        async Task<HttpStatusCode> SendAsync(int size)
        {
            using var response = await client.PostAsync(client.ToolCall("echo", new string('x', size)), chunked: true);
            var answer = JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!;
            Assert.True((int?)answer["error"]?["code"] == (response.StatusCode == HttpStatusCode.OK ? null : -32000), $"{response.StatusCode}: {answer.ToJsonString()}");
            return response.StatusCode;
        }
    }

    private static JsonObject Config(params (string Name, FaultyServer Server)[] servers) =>
        GatewayProcess.Config([.. servers.Select(entry => (entry.Name, GatewayProcess.Remote(entry.Server.Url)))]);

    private static string Said(GatewayProcess gateway) => gateway.Process.Output + gateway.Process.Errors;

    private static Task RewriteAsync(GatewayProcess gateway, JsonObject config) =>
        File.WriteAllTextAsync(gateway.ConfigFile, config.ToJsonString(), TestContext.Current.CancellationToken);

    /// <summary>A client looks at the list again only when it is told to.</summary>
    private static async Task UntilListAsync(McpClient client, SseStream stream, Func<string[], bool> wanted)
    {
        do
        {
            await stream.NotificationAsync("notifications/tools/list_changed");
        }
        while (!wanted(await client.ToolsAsync()));
    }
}
