using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Faults;

/// <summary>Real proxies that cut what is silent and hold back what is small, with their usual 60 s scaled down.</summary>
public sealed class ProxyTests
{
    private const int IdleSeconds = 2;

    /// <summary>A quarter of the idle time; a loaded machine must be very late to miss it.</summary>
    private const string Interval = "500ms";

    /// <summary>Comments that take ten idle times at the least jittered pace.</summary>
    private const int Comments = 40;

    [Theory]
    [InlineData("nginx")]
    [InlineData("haproxy")]
    public async Task IdleStreamAndLongCall_OutliveTheProxysIdleTime(string kind)
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, Interval);
        await using var proxy = await StartProxyAsync(kind, gateway);
        using var client = await McpClient.ConnectAsync(proxy.Url("/servers/up/mcp"));
        using var older = await McpClient.ConnectAsync(proxy.Url("/servers/up/mcp"), "2025-03-26");
        using var legacy = await LegacyClient.ConnectAsync(proxy.Url("/servers/up/sse"));
        await client.CallAsync("echo", "opens the link");
        using var get = await client.OpenAsync();
        var call = client.ToolCall("hold", "long");
        using var post = await client.PostForStreamAsync(call);
        var olderCall = older.ToolCall("hold", "long too");
        using var olderPost = await older.PostForStreamAsync(olderCall);
        var legacyCall = await legacy.SendAsync("tools/call", LegacyClient.CallParameters("hold", "long as well"));

        await Task.WhenAll(
            get.CommentsAsync(Comments), post.CommentsAsync(Comments), olderPost.CommentsAsync(Comments), legacy.Stream.CommentsAsync(Comments));

        server.Log("still there");
        Assert.Equal("still there", (string?)(await get.NotificationAsync("notifications/message"))["params"]!["data"]);
        server.Release();
        Assert.Equal("long", Text(await post.AnswerAsync((int)call["id"]!)));
        Assert.Equal("long too", Text(await olderPost.AnswerAsync((int)olderCall["id"]!)));
        Assert.Equal("long as well", Text(await legacy.Stream.AnswerAsync(legacyCall)));
    }

    [Theory]
    [InlineData("nginx")]
    [InlineData("haproxy")]
    public async Task KeepAliveSlowerThanTheProxy_Stream_IsCut_AndTheCallCanBeResumed(string kind)
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, interval: "1h");
        await using var proxy = await StartProxyAsync(kind, gateway);
        using var client = await McpClient.ConnectAsync(proxy.Url("/servers/up/mcp"));
        using var get = await client.OpenAsync();
        var call = client.ToolCall("hold", "kept");
        using var post = await client.PostForStreamAsync(call);

        Assert.Empty(await get.RestAsync());
        Assert.Empty(await post.RestAsync());

        server.Release();
        using var rest = await client.OpenAsync(post.LastEventId);
        Assert.Equal("kept", Text(await rest.AnswerAsync((int)call["id"]!)));
        Assert.Equal(1, server.Calls("hold"));
    }

    [Fact]
    public async Task BufferingProxy_Events_ArriveAtOnce()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, interval: "1h");
        await using var proxy = await Proxy.NginxAsync(gateway, idleSeconds: 60, "proxy_http_version 1.1; proxy_set_header Connection \"\"; gzip on; gzip_types *; gzip_proxied any; gzip_min_length 0;");
        using var client = await McpClient.ConnectAsync(proxy.Url("/servers/up/mcp"));
        await client.CallAsync("echo", "opens the link");
        using var get = await client.OpenAsync();
        server.Log("on the GET stream");
        Assert.Equal("on the GET stream", (string?)(await get.NotificationAsync("notifications/message"))["params"]!["data"]);

        var call = client.ToolCall("talk", "done");
        using var post = await client.PostForStreamAsync(call);
        Assert.Equal("talking", (string?)(await post.NotificationAsync("notifications/message"))["params"]!["data"]);

        server.Release();
        Assert.Equal("done", Text(await post.AnswerAsync((int)call["id"]!)));
    }

    /// <summary>Shows that the test before can fail: nginx, told to ignore the header, holds the events back.</summary>
    [Fact]
    public async Task BufferingProxyThatIgnoresTheHeader_HoldsEventsBack()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, interval: "1h");
        await using var proxy = await Proxy.NginxAsync(gateway, idleSeconds: IdleSeconds, "proxy_ignore_headers X-Accel-Buffering;");
        using var direct = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        using var client = new McpClient(proxy.Url("/servers/up/mcp")) { SessionId = direct.SessionId };

        // The head alone comes once the idle time is over and nginx gives what it has.
        using var get = await client.OpenAsync();
        server.Log("late");
        Assert.Empty(await get.RestAsync());
    }

    private static Task<GatewayProcess> StartAsync(FaultyServer server, string interval)
    {
        var config = GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url)));
        config["keepAlive"] = new JsonObject { ["interval"] = interval };
        return GatewayProcess.StartAsync(config);
    }

    private static Task<Proxy> StartProxyAsync(string kind, GatewayProcess gateway) =>
        kind == "nginx" ? Proxy.NginxAsync(gateway, IdleSeconds) : Proxy.HaproxyAsync(gateway, IdleSeconds);

    private static string? Text(JsonObject answer) => (string?)answer["result"]?["content"]?[0]?["text"];
}
