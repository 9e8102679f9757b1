using System.Net;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Faults;

/// <summary>kill -9 of the gateway, then a start on the same data: clients notice a lost connection and nothing else.</summary>
public sealed class GatewayKilledTests
{
    [Theory]
    [MemberData(nameof(McpClient.Versions), MemberType = typeof(McpClient))]
    public async Task GatewayKilled_Session_GoesOnWithPostGetAndDelete(string version)
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url))));
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"), version);
        Assert.Equal("before", await client.CallAsync("echo", "before"));

        await gateway.KillAsync();
        await gateway.RestartAsync();

        Assert.Equal("after", await client.CallAsync("echo", "after"));
        using (var stream = await client.OpenAsync())
        {
            server.Log("heard");
            var heard = await stream.NotificationAsync("notifications/message");
            Assert.Equal("heard", (string?)heard["params"]!["data"]);
        }

        Assert.Equal(1, server.Initialized(client.Name));
        Assert.True(await client.DeleteAsync() is HttpStatusCode.OK or HttpStatusCode.NoContent or HttpStatusCode.Accepted);
        using var gone = await client.PostAsync(client.ToolCall("echo"));
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
    }

    [Fact]
    public async Task GatewayKilled_LegacySession_GoesOnWhenItsStreamIsOpenedAgain()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url))));
        using var client = await LegacyClient.ConnectAsync(gateway.ServerSseUrl("up"));
        await client.CallAsync("echo", "before");
        var id = client.Stream.LastEventId;
        Assert.NotNull(id);

        await gateway.KillAsync();
        await gateway.RestartAsync();
        client.Stream.Dispose();
        await client.OpenAsync(id);

        var answer = await client.CallAsync("echo", "after");
        Assert.Equal("after", (string?)answer["result"]?["content"]?[0]?["text"]);
        Assert.Equal(1, server.Initialized("legacy"));
    }

    [Fact]
    public async Task GatewayKilledAndServerRestarted_LogLevelAndSubscriptions_AreAppliedAgain()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url))));
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        await client.AskAsync("logging/setLevel", new JsonObject { ["level"] = "debug" });
        await client.AskAsync("resources/subscribe", new JsonObject { ["uri"] = "note://a" });
        var (levels, subscriptions) = (server.Received("logging/setLevel").Count, server.Received("resources/subscribe").Count);
        Assert.True(levels > 0 && subscriptions > 0, "The server was never told.");

        await gateway.KillAsync();
        await server.KillAsync();
        await server.StartAgainAsync();
        await gateway.RestartAsync();
        await client.CallAsync("echo", "again");

        await Wait.UntilAsync(
            () => server.Received("logging/setLevel").Count > levels && server.Received("resources/subscribe").Count > subscriptions,
            () => "the new session of the server has neither level nor subscription");
        Assert.Equal("debug", (string?)server.Received("logging/setLevel")[^1]["params"]!["level"]);
        Assert.Equal("note://a", (string?)server.Received("resources/subscribe")[^1]["params"]!["uri"]);
        using var stream = await client.OpenAsync();
        server.Announce("notifications/resources/updated", new JsonObject { ["uri"] = "note://a" });
        var update = await stream.NotificationAsync("notifications/resources/updated");
        Assert.Equal("note://a", (string?)update["params"]!["uri"]);
        server.Log("verbose");
        Assert.Equal("verbose", (string?)(await stream.NotificationAsync("notifications/message"))["params"]!["data"]);
    }

    [Theory]
    [MemberData(nameof(McpClient.ResumableVersions), MemberType = typeof(McpClient))]
    public async Task GatewayKilled_EventsMissedBefore_AreReplayed(string version)
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url))));
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"), version);
        await client.CallAsync("echo", "opens the link");
        using var stream = await client.OpenAsync();
        server.Log("one");
        server.Log("two");
        server.Log("three");
        Assert.Equal("one", (string?)(await stream.NotificationAsync("notifications/message"))["params"]!["data"]);
        var seen = stream.LastEventId;
        Assert.NotNull(seen);
        await stream.NotificationAsync("notifications/message");
        await stream.NotificationAsync("notifications/message");

        await gateway.KillAsync();
        await gateway.RestartAsync();

        using var rest = await client.OpenAsync(seen);
        Assert.Equal("two", (string?)(await rest.NotificationAsync("notifications/message"))["params"]!["data"]);
        Assert.Equal("three", (string?)(await rest.NotificationAsync("notifications/message"))["params"]!["data"]);
        await client.CallAsync("echo", "opens the link again");
        server.Log("four");
        Assert.Equal("four", (string?)(await rest.NotificationAsync("notifications/message"))["params"]!["data"]);
    }

    [Fact]
    public async Task GatewayKilled_CallUnderWay_EndsAsOutcomeUnknownAndIsNotSentAgain()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url))));
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        var call = client.ToolCall("hold", "kept");
        using var stream = await client.PostForStreamAsync(call);
        var seen = await stream.FirstIdAsync();
        await Wait.UntilAsync(() => server.Calls("hold") == 1, () => "the call never reached the server");

        await gateway.KillAsync();
        await gateway.RestartAsync();
        server.Release();

        using var rest = await client.OpenAsync(seen);
        var answer = await rest.AnswerAsync((int)call["id"]!);
        Assert.Equal("outcome_unknown", (string?)answer["error"]?["data"]?["mooring"]?["reason"]);
        Assert.Empty(await rest.RestAsync());
        Assert.Equal(1, server.Calls("hold"));
    }

    [Fact]
    public async Task GatewayKilled_CallWhoseAnswerCanBeResumed_IsGoneOnWithByTheNextProcess()
    {
        await using var server = await FaultyServer.StartAsync();
        var up = GatewayProcess.Remote(server.Url);
        up["commit"] = "durable";
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("up", up)));
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        var call = client.ToolCall("keep", "kept");
        using var stream = await client.PostForStreamAsync(call);
        await stream.FirstIdAsync();
        await Wait.UntilAsync(() => server.Kept == 1, () => "the call never reached the server");
        server.LogToKept("1");
        await stream.NotificationAsync("notifications/message");
        var seen = stream.LastEventId;
        server.LogToKept("2");
        await stream.NotificationAsync("notifications/message");
        await MetricsPage.PlaceKeptAsync(gateway);

        await gateway.KillAsync();
        server.LogToKept("3");
        await gateway.RestartAsync();

        using var rest = await client.OpenAsync(seen);
        Assert.Equal("2", (string?)(await rest.NotificationAsync("notifications/message"))["params"]!["data"]);
        Assert.Equal("3", (string?)(await rest.NotificationAsync("notifications/message"))["params"]!["data"]);
        server.Release();
        var answer = await rest.AnswerAsync((int)call["id"]!);
        Assert.Equal("kept", (string?)answer["result"]?["content"]?[0]?["text"]);
        Assert.Empty(await rest.RestAsync());
        Assert.Equal(1, server.Calls("keep"));
    }
}
