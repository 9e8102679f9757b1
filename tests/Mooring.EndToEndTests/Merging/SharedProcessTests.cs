using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Merging;

/// <summary>One process of a server for all sessions: what is one's does not reach the other.</summary>
public sealed class SharedProcessTests : IDisposable
{
    private static readonly string Script = Path.Combine(Repository.Root, "tests", "Mooring.EndToEndTests", "Merging", "Parts", "shared-server.mjs");

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Calls_WithTheSameIds_AreAnsweredToWhoAskedAndCancelledAlone()
    {
        await using var gateway = await StartAsync("shared");
        using var one = await McpClient.ConnectAsync(gateway.ServerUrl("local"));
        using var other = await McpClient.ConnectAsync(gateway.ServerUrl("local"));
        Assert.Equal(await one.CallAsync("pid"), await other.CallAsync("pid"));
        var (ones, others) = (one.ToolCall("hold", "of one"), other.ToolCall("hold", "of other"));
        Assert.Equal((int)ones["id"]!, (int)others["id"]!);
        using var onesStream = await one.PostForStreamAsync(ones);
        using var othersStream = await other.PostForStreamAsync(others);

        using var taken = await one.PostAsync(new JsonObject
        {
            ["jsonrpc"] = "2.0",
            ["method"] = "notifications/cancelled",
            ["params"] = new JsonObject { ["requestId"] = (int)ones["id"]! },
        });
        Assert.Equal(HttpStatusCode.Accepted, taken.StatusCode);
        await Wait.UntilAsync(async () => (await SeenAsync(other))["cancelled"]!.AsArray().Count > 0, () => "the server did not hear of it");

        var seen = await SeenAsync(other);
        Assert.Equal("""["of one"]""", seen["cancelled"]!.ToJsonString());
        Assert.Equal("""["of other"]""", seen["held"]!.ToJsonString());
        await one.CallAsync("release", "of other");
        var answer = await othersStream.AnswerAsync((int)others["id"]!);
        Assert.Equal("released of other", (string?)answer["result"]!["content"]![0]!["text"]);
    }

    [Fact]
    public async Task Link_OfAClientThatCanDoMuch_DeclaresNothing()
    {
        await using var gateway = await StartAsync("shared");
        using var client = new McpClient(gateway.ServerUrl("local"));
        using var response = await client.PostAsync(client.Request("initialize", new JsonObject
        {
            ["protocolVersion"] = "2025-11-25",
            ["capabilities"] = new JsonObject { ["sampling"] = new JsonObject(), ["elicitation"] = new JsonObject(), ["roots"] = new JsonObject { ["listChanged"] = true } },
            ["clientInfo"] = new JsonObject { ["name"] = client.Name, ["version"] = "1" },
        }));
        client.SessionId = response.Headers.GetValues("Mcp-Session-Id").Single();

        Assert.Equal("{}", (await SeenAsync(client))["capabilities"]!.ToJsonString());
    }

    [Fact]
    public async Task Log_OfTheServer_GoesToTheGatewaysLogAndToNoClient()
    {
        await using var gateway = await StartAsync("shared");
        using var one = await McpClient.ConnectAsync(gateway.ServerUrl("local"));
        using var other = await McpClient.ConnectAsync(gateway.ServerUrl("local"));
        using var onesStream = await one.OpenAsync();
        using var othersStream = await other.OpenAsync();
        Assert.DoesNotContain("touched", await one.ToolsAsync());

        await one.CallAsync("say", "heard by the gateway");
        await one.CallAsync("touch");

        // The first that either client hears is what came after the log message.
        Assert.Equal("notifications/tools/list_changed", (string?)(await onesStream.MessageAsync())["method"]);
        Assert.Equal("notifications/tools/list_changed", (string?)(await othersStream.MessageAsync())["method"]);
        await Wait.UntilAsync(
            () => (gateway.Process.Output + gateway.Process.Errors).Contains("heard by the gateway", StringComparison.Ordinal), () => gateway.Process.Describe("no log line"));
        Assert.Contains("touched", await other.ToolsAsync());
    }

    [Fact]
    public async Task Process_Killed_BothSessionsGoOnWithAnotherOne()
    {
        await using var gateway = await StartAsync("shared");
        using var one = await McpClient.ConnectAsync(gateway.ServerUrl("local"));
        using var other = await McpClient.ConnectAsync(new Uri(gateway.BaseUrl, "/mcp"));
        var before = await one.CallAsync("pid");
        Assert.Equal(before, await other.CallAsync("local__pid"));

        using (var process = Process.GetProcessById(int.Parse(before, CultureInfo.InvariantCulture)))
        {
            process.Kill();
        }

        // A call that was on its way ends with an honest error; the ones after it are answered by the next process.
        JsonObject answer = [];
        await Wait.UntilAsync(async () => (answer = await one.TryCallAsync("pid"))["result"] is not null, () => answer.ToJsonString());
        var after = (string?)answer["result"]!["content"]![0]!["text"];
        Assert.NotEqual(before, after);
        Assert.Equal(after, await other.CallAsync("local__pid"));
        Assert.Equal(2, (await File.ReadAllLinesAsync(_folder.File("starts"), TestContext.Current.CancellationToken)).Length);
    }

    [Theory]
    [InlineData("session", "/mcp", "local__pid")]
    [InlineData("session", "/servers/local/mcp", "pid")]
    [InlineData("shared", "/mcp", "local__pid")]
    [InlineData("shared", "/servers/local/mcp", "pid")]
    public async Task Lists_WhileTheProcessHangsAtStart_AreTheLastKnown(string scope, string path, string pid)
    {
        await using var gateway = await StartAsync(scope);
        using var client = await McpClient.ConnectAsync(new Uri(gateway.BaseUrl, path));
        var known = await client.ToolsAsync();
        Assert.Contains(pid, known);
        await client.CallAsync(pid);
        Assert.Equal(0, await gateway.StopAsync());
        var starts = _folder.File("starts");
        await File.WriteAllTextAsync(starts + ".hang", "", TestContext.Current.CancellationToken);
        var before = (await File.ReadAllLinesAsync(starts, TestContext.Current.CancellationToken)).Length;

        await gateway.RestartAsync();

        // This one needs the server, and waits for it.
        var call = client.TryCallAsync(pid);
        await Wait.UntilAsync(() => File.ReadAllLines(starts).Length > before, () => gateway.Process.Describe("the server was not started"));
        Assert.Equal(known, await client.ToolsAsync());
        using var newcomer = await McpClient.ConnectAsync(new Uri(gateway.BaseUrl, path));
        Assert.Equal(known, await newcomer.ToolsAsync());
        Assert.False(call.IsCompletedSuccessfully);
        await gateway.KillAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => call);
    }

    private static async Task<JsonObject> SeenAsync(McpClient client) => JsonNode.Parse(await client.CallAsync("seen"))!.AsObject();

    private async Task<GatewayProcess> StartAsync(string scope)
    {
        var server = GatewayProcess.Command(NodeTool.Program, Script, _folder.File("starts"));
        server["scope"] = scope;
        var config = GatewayProcess.Config(("local", server));
        // Longer than any test waits: a list that waits for the server is no answer.
        config["calls"] = new JsonObject { ["firstListWait"] = "1m" };
        return await GatewayProcess.StartAsync(config);
    }
}
