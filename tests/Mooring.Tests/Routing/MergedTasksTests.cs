using Mooring.Configuration;
using Xunit;
using static Mooring.Tests.Routing.Asking;

namespace Mooring.Tests.Routing;

/// <summary>Tasks of 2025-11-25: both servers call theirs t.</summary>
public sealed class MergedTasksTests
{
    private const string Note = "io.modelcontextprotocol/related-task";

    private readonly ListingServer _a = WithTasks("a");
    private readonly ListingServer _b = WithTasks("b");

    [Fact]
    public async Task Create_TheIdCarriesTheServer()
    {
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await gateway.MergedAsync();

        Assert.Equal("a.t", (string?)(await client.ResultAsync("a__x"))["result"]!["task"]!["taskId"]);
        Assert.Equal("b.t", (string?)(await client.ResultAsync("b__x"))["result"]!["task"]!["taskId"]);
    }

    [Theory]
    [InlineData("tasks/get")]
    [InlineData("tasks/cancel")]
    [InlineData("tasks/result")]
    public async Task Requests_ReachTheServerOfTheTaskByItsOwnId(string method)
    {
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await gateway.MergedAsync();
        await client.ResultAsync("b__x");

        var result = (await client.AskAsync(method, """{"taskId":"b.t"}"""))["result"]!;

        Assert.Equal("b.t", (string?)(method == "tasks/result" ? result["_meta"]![Note]!["taskId"] : result["taskId"]));
        Assert.Equal(["""{"taskId":"t"}"""], _b.Params(method));
        Assert.Empty(_a.Exchanges(method));
        Assert.Equal(-32602, (int?)(await client.AskAsync(method, """{"taskId":"t"}"""))["error"]!["code"]);
        Assert.Equal(-32602, (int?)(await client.AskAsync(method, """{"taskId":"c.t"}"""))["error"]!["code"]);
    }

    [Fact]
    public async Task List_HasTheTasksOfAllServersOfAllPages()
    {
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await gateway.MergedAsync();
        await client.ResultAsync("a__x");
        await client.ResultAsync("b__x");

        var tasks = (await client.AskAsync("tasks/list"))["result"]!["tasks"]!.AsArray();

        Assert.Equal(["a.t", "a.u", "b.t", "b.u"], tasks.Select(task => (string)task!["taskId"]!).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task List_WithACursor_IsRefusedSinceNoneWasGivenOut()
    {
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await gateway.MergedAsync();

        Assert.Equal(-32602, (int?)(await client.AskAsync("tasks/list", """{"cursor":"2"}"""))["error"]?["code"]);
    }

    [Fact]
    public async Task Status_NotificationsNameTheTaskAsShown()
    {
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await gateway.MergedAsync();
        await client.ResultAsync("b__x");
        using var stream = await client.GetAsync();

        await (await _b.StreamOfLatestAsync("tools/call")).SendAsync("""{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"t","status":"completed"}}""");

        Assert.Equal("""{"taskId":"b.t","status":"completed"}""", (await stream.Events.MessageAsync())["params"]!.ToJsonString());
    }

    [Fact]
    public async Task Question_OnBehalfOfATask_NamesItAsShownAndItsAnswerByTheServersOwnId()
    {
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await gateway.MergedAsync("""{"elicitation":{}}""");
        await client.ResultAsync("b__x");
        using var stream = await client.GetAsync();
        var server = await _b.StreamOfLatestAsync("tools/call");
        await server.SendAsync("""{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?","requestedSchema":{},"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t"}}}}""");

        var question = await stream.Events.MessageAsync();
        Assert.Equal("b.t", (string?)question["params"]!["_meta"]![Note]!["taskId"]);
        using var posted = await client.PostAsync("""{"jsonrpc":"2.0","id":ID,"result":{"action":"decline","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"b.t"}}}}"""
            .Replace("ID,", question["id"]!.ToJsonString() + ",", StringComparison.Ordinal));
        await gateway.UntilAsync(() => _b.Fake.Requests.Any(e => e.Message?["id"]?.ToJsonString() == "\"q\""), "the answer came");

        var answer = _b.Fake.Requests.Single(e => e.Message?["id"]?.ToJsonString() == "\"q\"").Message!;
        Assert.Equal("t", (string?)answer["result"]!["_meta"]![Note]!["taskId"]);
    }

    [Fact]
    public async Task TaskId_InWhatAToolSays_IsLeftAlone()
    {
        const string Result = """{"content":[],"structuredContent":{"taskId":"t","task":{"taskId":"t"}}}""";
        _a.CallResult = Result;
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await gateway.MergedAsync();

        Assert.Equal(Result, (await client.ResultAsync("a__x"))["result"]!.ToJsonString());
    }

    [Fact]
    public async Task SingleRoute_IdsStayTheServers()
    {
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await gateway.ClientAsync(path: "/servers/a/mcp");

        Assert.Equal("t", (string?)(await client.ResultAsync("x"))["result"]!["task"]!["taskId"]);
        Assert.Equal("t", (string?)(await client.AskAsync("tasks/get", """{"taskId":"t"}"""))["result"]!["taskId"]);
    }

    [Theory]
    [InlineData("/mcp", "a.")]
    [InlineData("/servers/a/mcp", "")]
    public async Task SharedLink_ATaskIsThereOnlyForItsMaker(string path, string prefix)
    {
        await using var gateway = await GatewayAsync(Shared, _a);
        var ada = await gateway.ClientAsync(path: path, user: "ada");
        var eve = await gateway.ClientAsync(path: path, user: "eve");
        Assert.Equal(prefix + "t", await MakeAsync(ada, "t"));
        Assert.Equal(prefix + "u", await MakeAsync(eve, "u"));
        var adaLater = await gateway.ClientAsync(path: path, user: "ada");
        var task = $$"""{"taskId":"{{prefix}}t"}""";

        foreach (var method in new[] { "tasks/get", "tasks/result", "tasks/cancel" })
        {
            Assert.Equal(-32602, (int?)(await eve.AskAsync(method, task))["error"]?["code"]);
            Assert.Equal(-32602, (int?)(await ada.AskAsync(method, $$"""{"taskId":"{{prefix}}none"}"""))["error"]?["code"]);
            Assert.Empty(_a.Exchanges(method));
            Assert.NotNull((await ada.AskAsync(method, task))["result"]);
            Assert.NotNull((await adaLater.AskAsync(method, task))["result"]);
        }

        Assert.Equal([prefix + "t"], await TasksAsync(adaLater));
        Assert.Equal([prefix + "u"], await TasksAsync(eve));
        Assert.Empty(await TasksAsync(await gateway.ClientAsync(path: path)));
    }

    [Fact]
    public async Task SharedLink_HowATaskIsDoing_IsToldToItsMakerOnly()
    {
        await using var gateway = await GatewayAsync(Shared, _a);
        var ada = await gateway.ClientAsync(path: "/mcp", user: "ada");
        var eve = await gateway.ClientAsync(path: "/mcp", user: "eve");
        await MakeAsync(ada, "t");
        using var adas = await ada.GetAsync();
        using var eves = await eve.GetAsync();

        await (await _a.StreamOfLatestAsync("tools/call")).SendAsync("""{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"t","status":"completed"}}""");

        Assert.Equal("a.t", (string?)(await adas.Events.MessageAsync())["params"]!["taskId"]);
        gateway.Tell(eve, "marker");
        Assert.Equal("marker", (string?)(await eves.Events.MessageAsync())["params"]!["data"]);
    }

    [Fact]
    public async Task SharedLink_StoreAway_TheTasksIdDoesNotLeave()
    {
        FaultyStore? store = null;
        await using var gateway = await GatewayAsync(Shared with { Store = time => store = new FaultyStore(time) }, _a);
        var ada = await gateway.ClientAsync(path: "/servers/a/mcp", user: "ada");
        await ada.ListAsync("tools");
        store!.IsAway = true;

        using var reply = await ada.RequestAsync("tools/call", """{"name":"x","arguments":{},"task":{}}""");

        Assert.Equal("outcome_unknown", (string?)(await reply.MessageAsync())["error"]!["data"]!["mooring"]!["reason"]);
    }

    [Fact]
    public async Task SharedLink_StoreAway_WhoseATaskIsCannotBeTold_Is503WithRetryAfter()
    {
        FaultyStore? store = null;
        await using var gateway = await GatewayAsync(Shared with { Store = time => store = new FaultyStore(time) }, _a);
        var ada = await gateway.ClientAsync(path: "/servers/a/mcp", user: "ada");
        await MakeAsync(ada, "t");
        store!.IsAway = true;

        using var reply = await ada.RequestAsync("tasks/get", """{"taskId":"t"}""");

        Assert.Equal((System.Net.HttpStatusCode.ServiceUnavailable, "2"), (reply.Status, reply.Header("Retry-After")));
        Assert.Equal(-32603, (int?)(await reply.MessageAsync())["error"]!["code"]);
    }

    private static FixtureOptions Shared => new() { Server = server => server with { Scope = LinkScope.Shared } };

    private async Task<string?> MakeAsync(McpTestClient client, string id)
    {
        _a.CallResult = $$$"""{"task":{"taskId":"{{{id}}}","status":"working","ttl":60000}}""";
        var name = client.Path == "/mcp" ? "a__x" : "x";
        return (string?)(await client.AskAsync("tools/call", $$$"""{"name":"{{{name}}}","arguments":{},"task":{"ttl":60000}}"""))["result"]!["task"]!["taskId"];
    }

    private static async Task<List<string>> TasksAsync(McpTestClient client) =>
        [.. (await client.AskAsync("tasks/list"))["result"]!["tasks"]!.AsArray().Select(task => (string)task!["taskId"]!)];

    private static ListingServer WithTasks(string name) => new(name)
    {
        CallResult = """{"task":{"taskId":"t","status":"working"}}""",
        Fake = { Capabilities = """{"tools":{},"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}}""" },
        Before = e =>
        {
            switch ((string?)e.Message?["method"])
            {
                case "tasks/get" or "tasks/cancel":
                    e.Result($$"""{"taskId":{{e.Message["params"]!["taskId"]!.ToJsonString()}},"status":"working"}""");
                    return true;
                case "tasks/result":
                    e.Result("""{"content":[],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":ID}}}""".Replace("ID}", e.Message["params"]!["taskId"]!.ToJsonString() + "}", StringComparison.Ordinal));
                    return true;
                case "tasks/list":
                    e.Result(e.Message["params"]?["cursor"] is null ? """{"tasks":[{"taskId":"t"}],"nextCursor":"2"}""" : """{"tasks":[{"taskId":"u"}]}""");
                    return true;
                default:
                    return false;
            }
        },
    };
}
