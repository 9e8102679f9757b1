using System.Net;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Xunit;

namespace Mooring.EndToEndTests.Replicas;

/// <summary>Two gateways on one store: whichever a request reaches, it is served as if there were one.</summary>
public sealed class AnyReplicaTests(ReplicaDatabase database) : IClassFixture<ReplicaDatabase>
{
    [Theory(Timeout = ReplicaPair.TestLimit)]
    [MemberData(nameof(McpClient.Versions), MemberType = typeof(McpClient))]
    public async Task SessionOfA_PostGetAndDeleteOnB_AreServed(string version)
    {
        await using var pair = await ReplicaPair.StartAsync(database);
        using var client = await McpClient.ConnectAsync(pair.AtA, version);
        using var other = client.At(pair.AtB);

        Assert.Equal("through B", await other.CallAsync("echo", "through B"));
        Assert.Contains("echo", await other.ToolsAsync());
        using var stream = await other.OpenAsync();
        Assert.True(await other.DeleteAsync() is HttpStatusCode.OK or HttpStatusCode.NoContent or HttpStatusCode.Accepted);
        using var gone = await other.PostAsync(other.ToolCall("echo"));
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task DeletedOnB_OnA_Is404AndItsStreamEnds()
    {
        await using var pair = await ReplicaPair.StartAsync(database);
        using var client = await McpClient.ConnectAsync(pair.AtA);
        await client.CallAsync("echo", "in A's memory");
        using var stream = await client.OpenAsync();
        using var other = client.At(pair.AtB);

        await other.DeleteAsync();

        Assert.Empty(await stream.RestAsync());
        await Wait.UntilAsync(
            async () =>
            {
                using var response = await client.PostAsync(client.ToolCall("echo"));
                return response.StatusCode == HttpStatusCode.NotFound;
            },
            () => "A still serves a session that was deleted on B");
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task BehindABalancerWithoutStickiness_OneSession_IsServedByBoth()
    {
        await using var pair = await ReplicaPair.StartAsync(database);
        var balancer = await pair.BalancedAsync();
        using var client = await McpClient.ConnectAsync(balancer.Url("/servers/up/mcp"));
        using var stream = await client.OpenAsync();

        for (var call = 0; call < 20; call++)
        {
            Assert.Equal($"{call}", await client.CallAsync("echo", $"{call}"));
        }

        pair.Server.Log("heard");
        Assert.Equal("heard", (string?)(await stream.NotificationAsync("notifications/message"))["params"]!["data"]);
        Assert.Equal(20, pair.Server.Calls("echo"));
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task CallUnderWayOnA_ResumedOnB_DeliversProgressAndAnswerAsTheyCome()
    {
        await using var pair = await ReplicaPair.StartAsync(database);
        using var client = await McpClient.ConnectAsync(pair.AtA);
        var call = client.ToolCall("talk", "answered");
        call["params"]!["_meta"] = new JsonObject { ["progressToken"] = "steps" };
        var stream = await client.PostForStreamAsync(call);
        await stream.NotificationAsync("notifications/message");
        pair.Server.Progress(1);
        await stream.NotificationAsync("notifications/progress");
        var seen = stream.LastEventId;
        stream.Dispose();

        using var other = client.At(pair.AtB);
        using var rest = await other.OpenAsync(seen);
        // Each is sent only when the one before it has come: it is live, no replay.
        foreach (var step in new[] { 2, 3 })
        {
            pair.Server.Progress(step);
            Assert.Equal(step, (int?)(await rest.MessageAsync())["params"]!["progress"]);
        }

        pair.Server.Release();
        var answer = await rest.MessageAsync();
        Assert.Equal((int)call["id"]!, (int?)answer["id"]);
        Assert.Equal("answered", (string?)answer["result"]!["content"]![0]!["text"]);
        Assert.Empty(await rest.RestAsync());
        Assert.Equal(1, pair.Server.Calls("talk"));
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task ServerHeardOnA_StreamHeldOnB_GetsEachNotificationOnce()
    {
        await using var pair = await ReplicaPair.StartAsync(database);
        using var client = await McpClient.ConnectAsync(pair.AtA);
        await client.CallAsync("echo", "opens the link on A");
        using var other = client.At(pair.AtB);
        using var stream = await other.OpenAsync();

        var heard = new List<string?>();
        foreach (var text in new[] { "one", "two", "three", "end" })
        {
            pair.Server.Log(text);
        }

        while (heard.LastOrDefault() != "end")
        {
            heard.Add((string?)(await stream.NotificationAsync("notifications/message"))["params"]!["data"]);
        }

        Assert.Equal(["one", "two", "three", "end"], heard);
        // A call through B may have opened another link; what is said now must come once all the same.
        await other.CallAsync("echo", "through B");
        pair.Server.Log("again");
        pair.Server.Log("over");
        heard.Clear();
        while (heard.LastOrDefault() != "over")
        {
            heard.Add((string?)(await stream.NotificationAsync("notifications/message"))["params"]!["data"]);
        }

        Assert.Equal(["again", "over"], heard);
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task ToolsChange_StreamHeldOnB_IsToldOncePerChange()
    {
        // Whoever is not shown the new list in time is told once more when it is there; here nobody is.
        await using var pair = await ReplicaPair.StartAsync(database, config => config["calls"] = new JsonObject { ["firstListWait"] = "60s" });
        using var client = await McpClient.ConnectAsync(pair.AtA);
        await client.CallAsync("echo", "opens the link on A");
        using var other = client.At(pair.AtB);
        Assert.Contains("echo", await other.ToolsAsync());
        using var stream = await other.OpenAsync();
        await other.CallAsync("echo", "B knows who listens");

        foreach (var tool in new[] { "first", "second" })
        {
            pair.Server.Tools = [.. pair.Server.Tools, tool];
            pair.Server.Announce("notifications/tools/list_changed");
            await Wait.UntilAsync(
                async () => (await client.ToolsAsync()).Contains(tool) && (await other.ToolsAsync()).Contains(tool),
                () => $"the replicas do not both list the {tool} new tool");
        }

        var changes = 0;
        while (changes < 2)
        {
            changes += (string?)(await stream.MessageAsync())["method"] == "notifications/tools/list_changed" ? 1 : 0;
        }

        pair.Server.Log("end");
        while ((string?)(await stream.MessageAsync())["method"] is var method and not "notifications/message")
        {
            changes += method == "notifications/tools/list_changed" ? 1 : 0;
        }

        Assert.Equal(2, changes);
    }

    [Theory(Timeout = ReplicaPair.TestLimit)]
    [InlineData("A")]
    [InlineData("B")]
    public async Task Cancelled_CallOnA_IsCancelledAtTheServer(string postedTo)
    {
        await using var pair = await ReplicaPair.StartAsync(database);
        using var client = await McpClient.ConnectAsync(pair.AtA);
        var call = client.ToolCall("hold", "never");
        using var stream = await client.PostForStreamAsync(call);
        await Wait.UntilAsync(() => pair.Server.Calls("hold") == 1, () => "the call never reached the server");
        using var other = client.At(postedTo == "A" ? pair.AtA : pair.AtB);

        using var taken = await other.PostAsync(new JsonObject
        {
            ["jsonrpc"] = "2.0",
            ["method"] = "notifications/cancelled",
            ["params"] = new JsonObject { ["requestId"] = (int)call["id"]! },
        });

        Assert.Equal(HttpStatusCode.Accepted, taken.StatusCode);
        await Wait.UntilAsync(() => pair.Server.Received("notifications/cancelled").Count == 1, () => "the server was not told");
        var sent = pair.Server.Received("tools/call").Single(message => (string?)message["params"]!["name"] == "hold");
        Assert.Equal(sent["id"]!.ToJsonString(), pair.Server.Received("notifications/cancelled")[0]["params"]!["requestId"]!.ToJsonString());
        Assert.Equal("next", await client.CallAsync("echo", "next"));
    }

    [Theory(Timeout = ReplicaPair.TestLimit)]
    [InlineData("A", "elicitation/create")]
    [InlineData("B", "elicitation/create")]
    [InlineData("B", "sampling/createMessage")]
    public async Task AskedThroughA_AnswerPosted_ReachesTheServer(string postedTo, string asks)
    {
        await using var pair = await ReplicaPair.StartAsync(database);
        using var client = new McpClient(pair.AtA) { Capabilities = new JsonObject { ["elicitation"] = new JsonObject(), ["sampling"] = new JsonObject() } };
        await client.InitializeAsync();
        var call = client.ToolCall("ask", asks);
        using var stream = await client.PostForStreamAsync(call);
        var question = await stream.MessageAsync(message => (string?)message["method"] == asks);
        using var other = client.At(postedTo == "A" ? pair.AtA : pair.AtB);

        using var taken = await other.PostAsync(new JsonObject
        {
            ["jsonrpc"] = "2.0",
            ["id"] = question["id"]!.DeepClone(),
            ["result"] = asks == "sampling/createMessage"
                ? new JsonObject { ["role"] = "assistant", ["model"] = "none", ["content"] = new JsonObject { ["type"] = "text", ["text"] = "Ada" } }
                : new JsonObject { ["action"] = "accept", ["content"] = new JsonObject { ["name"] = "Ada" } },
        });

        Assert.Equal(HttpStatusCode.Accepted, taken.StatusCode);
        var answer = await stream.AnswerAsync((int)call["id"]!);
        Assert.Equal("Ada", (string?)answer["result"]?["content"]?[0]?["text"]);
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task LegacyStreamOnA_MessagesPostedToB_AreAnsweredOnTheStream()
    {
        await using var pair = await ReplicaPair.StartAsync(database);
        using var client = await LegacyClient.ConnectAsync(pair.A.ServerSseUrl("up"));

        client.PostsTo = pair.B.BaseUrl;
        foreach (var text in new[] { "one", "two", "three" })
        {
            var answer = await client.CallAsync("echo", text);
            Assert.Equal(text, (string?)answer["result"]?["content"]?[0]?["text"]);
        }

        Assert.Equal(3, pair.Server.Calls("echo"));
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task LogLevelSetOnA_LinksOfB_HaveItToo()
    {
        await using var pair = await ReplicaPair.StartAsync(database);
        using var client = await McpClient.ConnectAsync(pair.AtA);
        using var other = client.At(pair.AtB);
        await other.CallAsync("echo", "B has what it needs of the session");
        await client.AskAsync("logging/setLevel", new JsonObject { ["level"] = "warning" });

        await other.CallAsync("echo", "through B");

        await Wait.UntilAsync(
            () => pair.Server.Levels(client.Name) is { Count: > 0 } levels && levels.TrueForAll(level => level == "warning"),
            () => $"levels at the server: {string.Join(", ", pair.Server.Levels(client.Name))}");
    }
}
