using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Faults;

/// <summary>Servers that are down, hang or come back: the gateway starts and answers lists all the same, and no list becomes empty.</summary>
public sealed class ServerAwayTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task EveryServerAwayAtStart_InitializeAndLists_AreAnsweredFromTheRunBefore(bool hangs)
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server.Url);
        using (var before = await McpClient.ConnectAsync(new Uri(gateway.BaseUrl, "/mcp")))
        {
            Assert.Equal(["up__echo", "up__hold", "up__talk"], await before.ToolsAsync());
        }

        await gateway.StopAsync();
        await server.KillAsync();
        using var silent = hangs ? SilentListener.On(server.Port) : null;
        await gateway.RestartAsync();

        foreach (var path in new[] { "/mcp", "/servers/up/mcp" })
        {
            using var client = await McpClient.ConnectAsync(new Uri(gateway.BaseUrl, path));
            var tools = await client.ToolsAsync();
            Assert.Equal(["echo", "hold", "talk"], tools.Select(tool => tool.Replace("up__", "", StringComparison.Ordinal)));
        }
    }

    [Fact]
    public async Task ServerNeverSeen_ItsList_IsAnErrorAfterAShortWait_AndTheGatewayIsHealthy()
    {
        using var silent = SilentListener.On(0);
        await using var gateway = await StartAsync(new Uri($"http://127.0.0.1:{silent.Port}/mcp"));
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));

        var answer = await client.AskAsync("tools/list");

        Assert.True(answer["error"] is not null, answer.ToJsonString());
        Assert.Contains("up", (string?)answer["error"]!["message"], StringComparison.Ordinal);
        using var http = new HttpClient();
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync(new Uri(gateway.BaseUrl, "/health"), TestContext.Current.CancellationToken)).StatusCode);
    }

    [Fact]
    public async Task OneServerNeverSeen_ListsOfTheOthers_AreShown()
    {
        using var silent = SilentListener.On(0);
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server.Url, ("down", new Uri($"http://127.0.0.1:{silent.Port}/mcp")));
        using var client = await McpClient.ConnectAsync(new Uri(gateway.BaseUrl, "/mcp"));

        Assert.Equal(["up__echo", "up__hold", "up__talk"], await client.ToolsAsync());
        Assert.Equal("works", await client.CallAsync("up__echo", "works"));
    }

    [Fact]
    public async Task ServerKilledAndRestarted_ListsStay_AndCallsGoOn()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server.Url);
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        Assert.Equal("before", await client.CallAsync("echo", "before"));

        await server.KillAsync();
        Assert.Equal(3, (await client.ToolsAsync()).Length);
        using (var late = await McpClient.ConnectAsync(gateway.ServerUrl("up")))
        {
            Assert.Equal(3, (await late.ToolsAsync()).Length);
        }

        var call = client.TryCallAsync("echo", "waits for it");
        await server.StartAgainAsync();

        var answer = await call;
        Assert.Equal("waits for it", (string?)answer["result"]?["content"]?[0]?["text"]);
        Assert.Equal("after", await client.CallAsync("echo", "after"));
        Assert.Equal(3, (await client.ToolsAsync()).Length);
    }

    [Fact]
    public async Task ServerKilledDuringACall_TheCall_EndsAsOutcomeUnknown()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server.Url);
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        var call = client.TryCallAsync("hold", "never");
        await Wait.UntilAsync(() => server.Calls("hold") == 1, () => "the call never reached the server");

        await server.KillAsync();

        Assert.Equal("outcome_unknown", (string?)(await call)["error"]?["data"]?["mooring"]?["reason"]);
        await server.StartAgainAsync();
        server.Release();
        Assert.Equal("after", await client.CallAsync("echo", "after"));
        Assert.Equal(1, server.Calls("hold"));
    }

    [Fact]
    public async Task ServerHangs_Lists_AreAnsweredAtOnce()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server.Url);
        using (var first = await McpClient.ConnectAsync(gateway.ServerUrl("up")))
        {
            Assert.Equal(3, (await first.ToolsAsync()).Length);
        }

        server.Hangs = true;
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        // Were the server asked, the answer would take as long as it hangs.
        Assert.Equal(3, (await client.ToolsAsync()).Length);
    }

    private static Task<GatewayProcess> StartAsync(Uri server, params (string Name, Uri Url)[] others)
    {
        var config = GatewayProcess.Config([("up", GatewayProcess.Remote(server)), .. others.Select(other => (other.Name, GatewayProcess.Remote(other.Url)))]);
        config["calls"] = new JsonObject { ["firstListWait"] = "500ms" };
        return GatewayProcess.StartAsync(config);
    }

    /// <summary>Takes connections and never says anything.</summary>
    private sealed class SilentListener : IDisposable
    {
        private readonly TcpListener _listener;

        private SilentListener(int port)
        {
            // Connections wait in the backlog: to the other side they are open.
            _listener = new TcpListener(IPAddress.Loopback, port);
            _listener.Start(512);
        }

        public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        public static SilentListener On(int port) => new(port);

        public void Dispose() => _listener.Dispose();
    }
}
