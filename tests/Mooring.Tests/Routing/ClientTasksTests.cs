using System.Text.Json.Nodes;
using Mooring.Configuration;
using Xunit;
using static Mooring.Tests.Routing.Asking;

namespace Mooring.Tests.Routing;

/// <summary>Tasks of 2025-11-25 that the client holds for servers: each server reaches those that it had made.</summary>
public sealed class ClientTasksTests
{
    private const string Capabilities =
        """{"sampling":{},"elicitation":{},"tasks":{"list":{},"cancel":{},"requests":{"sampling":{"createMessage":{}},"elicitation":{"create":{}}}}}""";

    private readonly ListingServer _a = new("a");
    private readonly ListingServer _b = new("b");
    private int _asked;

    [Theory]
    [InlineData("sampling/createMessage", """{"messages":[],"maxTokens":1,"task":{"ttl":60000}}""")]
    [InlineData("elicitation/create", """{"message":"?","requestedSchema":{},"task":{}}""")]
    public async Task Task_OfOneServer_IsThereForItAlone(string method, string parameters)
    {
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await ConnectAsync(gateway);
        using var stream = await client.GetAsync();
        Assert.Equal("t1", (string?)(await AskAsync(gateway, client, stream, _a, method, parameters, """{"task":{"taskId":"t1","status":"working"}}"""))["result"]!["task"]!["taskId"]);
        await AskAsync(gateway, client, stream, _b, method, parameters, """{"task":{"taskId":"t2","status":"working"}}""");

        foreach (var about in new[] { "tasks/get", "tasks/result", "tasks/cancel" })
        {
            Assert.Equal("working", (string?)(await AskAsync(gateway, client, stream, _a, about, """{"taskId":"t1"}""", """{"taskId":"t1","status":"working"}"""))["result"]!["status"]);
            // The client is not even asked.
            Assert.Equal(-32602, (int?)(await AskAsync(gateway, client, stream, _b, about, """{"taskId":"t1"}""", answer: null))["error"]!["code"]);
        }

        const string All = """{"tasks":[{"taskId":"t1"},{"taskId":"t2"},{"taskId":"t3"}],"nextCursor":"c"}""";
        Assert.Equal("""{"tasks":[{"taskId":"t1"}],"nextCursor":"c"}""", (await AskAsync(gateway, client, stream, _a, "tasks/list", "{}", All))["result"]!.ToJsonString());
        Assert.Equal("""{"tasks":[{"taskId":"t2"}],"nextCursor":"c"}""", (await AskAsync(gateway, client, stream, _b, "tasks/list", "{}", All))["result"]!.ToJsonString());
    }

    [Fact]
    public async Task Status_IsToldToTheServerThatHadTheTaskMade()
    {
        await using var gateway = await GatewayAsync(null, _a, _b);
        var client = await ConnectAsync(gateway);
        using var stream = await client.GetAsync();
        foreach (var server in new[] { _a, _b })
        {
            await AskAsync(gateway, client, stream, server, "sampling/createMessage", """{"messages":[],"maxTokens":1,"task":{}}""", $$$"""{"task":{"taskId":"of-{{{server.Name}}}","status":"working"}}""");
        }

        await client.NotifyAsync("notifications/tasks/status", """{"taskId":"of-b","status":"completed"}""");
        await client.NotifyAsync("notifications/tasks/status", """{"taskId":"of-a","status":"completed"}""");
        await gateway.UntilAsync(() => _a.Exchanges("notifications/tasks/status").Count > 0 && _b.Exchanges("notifications/tasks/status").Count > 0, "both heard of theirs");

        Assert.Equal(["""{"taskId":"of-a","status":"completed"}"""], _a.Params("notifications/tasks/status"));
        Assert.Equal(["""{"taskId":"of-b","status":"completed"}"""], _b.Params("notifications/tasks/status"));
    }

    [Fact]
    public async Task Task_StoreAway_ItsServerIsToldThatItCannotHaveIt()
    {
        FaultyStore? store = null;
        await using var gateway = await GatewayAsync(new FixtureOptions { Store = time => store = new FaultyStore(time), Server = s => s with { Commit = CommitRule.Fast } }, _a, _b);
        var client = await ConnectAsync(gateway);
        using var stream = await client.GetAsync();
        await (await _a.StreamOfLatestAsync("tools/call")).SendAsync("""{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{"messages":[],"maxTokens":1,"task":{}}}""");
        var question = await stream.Events.MessageAsync();

        store!.IsAway = true;
        await AnswerAsync(client, question, """{"task":{"taskId":"t1","status":"working"}}""");

        Assert.Equal(-32603, (int?)(await AnswerAtAsync(gateway, _a, "q"))["error"]!["code"]);
    }

    [Fact]
    public async Task SingleRoute_AllTasksAreItsServers()
    {
        await using var gateway = await GatewayAsync(null, _a);
        var client = await gateway.ClientAsync(path: "/servers/a/mcp", capabilities: Capabilities);
        await client.ResultAsync("x");
        using var stream = await client.GetAsync();

        Assert.NotNull((await AskAsync(gateway, client, stream, _a, "tasks/get", """{"taskId":"t0"}""", """{"taskId":"t0","status":"working"}"""))["result"]);
        Assert.Equal("""{"tasks":[{"taskId":"t0"}]}""", (await AskAsync(gateway, client, stream, _a, "tasks/list", "{}", """{"tasks":[{"taskId":"t0"}]}"""))["result"]!.ToJsonString());
    }

    private static async Task<McpTestClient> ConnectAsync(GatewayFixture gateway)
    {
        var client = await gateway.MergedAsync(Capabilities);
        await client.ResultAsync("a__x");
        await client.ResultAsync("b__x");
        return client;
    }

    /// <summary>A server asks, the client answers where it is to be asked at all, and the server has what came of it.</summary>
    private async Task<JsonObject> AskAsync(GatewayFixture gateway, McpTestClient client, TestReply stream, ListingServer server, string method, string parameters, string? answer)
    {
        var id = $"q{++_asked}";
        await (await server.StreamOfLatestAsync("tools/call")).SendAsync($$"""{"jsonrpc":"2.0","id":"{{id}}","method":"{{method}}","params":{{parameters}}}""");
        if (answer is not null)
        {
            var question = await stream.Events.MessageAsync();
            Assert.Equal((method, parameters), ((string?)question["method"], question["params"]!.ToJsonString()));
            await AnswerAsync(client, question, answer);
        }

        return await AnswerAtAsync(gateway, server, id);
    }

    private static async Task AnswerAsync(McpTestClient client, JsonObject question, string result)
    {
        using var posted = await client.PostAsync($$"""{"jsonrpc":"2.0","id":{{question["id"]!.ToJsonString()}},"result":{{result}}}""");
        Assert.Equal(System.Net.HttpStatusCode.Accepted, posted.Status);
    }

    private static async Task<JsonObject> AnswerAtAsync(GatewayFixture gateway, ListingServer server, string id)
    {
        JsonObject? answer = null;
        await gateway.UntilAsync(() => (answer = Find()) is not null, $"the answer to {id} came to {server.Name}");
        return answer!;

        JsonObject? Find() => server.Fake.Requests.Select(e => e.Message).OfType<JsonObject>().FirstOrDefault(m => m["method"] is null && m["id"]?.ToJsonString() == $"\"{id}\"");
    }
}
