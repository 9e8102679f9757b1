using System.Net;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Faults;

/// <summary>Peers that are gone without a word: found on both sides, named as what they are, and nothing is lost to who comes back.</summary>
public sealed class DeadPeerTests
{
    private const string Quiet = "1h";
    private const string Beating = "1s";

    [Theory]
    [InlineData(1, Beating)]
    [InlineData(1, Quiet)]
    [InlineData(2, Beating)]
    [InlineData(2, Quiet)]
    public async Task ClientAsleep_ItsStreams_EndAsVanished_AndWhatItMissedIsThereWhenItWakes(int major, string keepAlive)
    {
        SleepyMachine.SkipElsewhere();
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, keepAlive);
        var laptop = new SleepyMachine();
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"), handler: laptop.Handler(), http: Http(major));
        await client.CallAsync("echo", "opens the link");
        using var get = await client.OpenAsync();
        var heard = await get.FirstIdAsync();
        var call = client.ToolCall("talk", "kept");
        using var post = await client.PostForStreamAsync(call);
        await post.NotificationAsync("notifications/message");
        var talked = post.LastEventId;

        laptop.FallAsleep();

        await MetricsPage.EndedAsync(gateway, "get", "client_vanished");
        await MetricsPage.EndedAsync(gateway, "post", "client_vanished");
        server.Log("meanwhile");
        server.Release();

        using var awake = client.At(gateway.ServerUrl("up"));
        using var rest = await awake.OpenAsync(heard);
        Assert.Equal("meanwhile", (string?)(await rest.NotificationAsync("notifications/message"))["params"]!["data"]);
        using var answer = await awake.OpenAsync(talked);
        Assert.Equal("kept", (string?)(await answer.AnswerAsync((int)call["id"]!))["result"]!["content"]![0]!["text"]);
        Assert.Equal(1, server.Calls("talk"));
    }

    [Fact]
    public async Task LegacyClientAsleep_ItsStream_EndsAsVanished_AndWhatItMissedIsThereWhenItWakes()
    {
        SleepyMachine.SkipElsewhere();
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, Beating);
        var laptop = new SleepyMachine();
        using var client = await LegacyClient.ConnectAsync(gateway.ServerSseUrl("up"), laptop.Handler());
        await client.CallAsync("echo", "opens the link");
        var id = client.Stream.LastEventId;

        laptop.FallAsleep();

        await MetricsPage.EndedAsync(gateway, "sse", "client_vanished");
        server.Log("meanwhile");
        using var awake = new LegacyClient(gateway.ServerSseUrl("up"));
        await awake.OpenAsync(id);
        Assert.Equal("meanwhile", (string?)(await awake.Stream.NotificationAsync("notifications/message"))["params"]!["data"]);
    }

    [Fact]
    public async Task ClientAsleep_ItsIdleConnections_AreGivenUp()
    {
        SleepyMachine.SkipElsewhere();
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, Quiet);
        // Whoever asks for /health and /metrics keeps a connection too.
        var others = await MetricsPage.SumAsync(gateway, "kestrel_active_connections");
        var laptop = new SleepyMachine();
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"), handler: laptop.Handler());
        await client.CallAsync("echo", "opens the connection");
        Assert.True(await MetricsPage.SumAsync(gateway, "kestrel_active_connections") > others);

        laptop.FallAsleep();

        await Wait.UntilAsync(
            async () => await MetricsPage.SumAsync(gateway, "kestrel_active_connections") <= others, () => "the connection of a client that sleeps is still kept");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task ClientResets_ItsStream_EndsAsVanished(int major)
    {
        SleepyMachine.SkipElsewhere();
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, Quiet);
        var laptop = new SleepyMachine();
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"), handler: laptop.Handler(), http: Http(major));
        using var get = await client.OpenAsync();

        laptop.Reset();

        await MetricsPage.EndedAsync(gateway, "get", "client_vanished");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task ClientCloses_ItsStream_EndsAsClosed(int major)
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, Quiet);
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"), http: Http(major));
        var get = await client.OpenAsync();

        // Over HTTP/1.1 that closes the connection, over HTTP/2 only the stream.
        get.Dispose();

        await MetricsPage.EndedAsync(gateway, "get", "client_closed");
    }

    [Fact]
    public async Task ServerAsleep_CallUnderWay_EndsAsUnknown_AndItsNotificationsAreHeardWhenItWakes()
    {
        SleepyMachine.SkipElsewhere();
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, Beating);
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        await client.CallAsync("echo", "opens the link");
        // The session's link, and the one for what concerns everybody.
        await Wait.UntilAsync(() => server.StreamsOpened == 2, () => "the gateway does not listen to the server");
        using var get = await client.OpenAsync();
        var call = client.ToolCall("hold");
        using var post = await client.PostForStreamAsync(call);
        await Wait.UntilAsync(() => server.Calls("hold") == 1, () => "the call never reached the server");

        server.FallAsleep();

        var answer = await post.AnswerAsync((int)call["id"]!);
        Assert.Equal("outcome_unknown", (string?)answer["error"]?["data"]?["mooring"]?["reason"]);
        Assert.Equal(1, server.Calls("hold"));
        await Wait.UntilAsync(() => server.StreamsOpened == 4, () => "the gateway still listens on a connection that is dead");
        server.Log("awake");
        Assert.Equal("awake", (string?)(await get.NotificationAsync("notifications/message"))["params"]!["data"]);
        Assert.Equal("goes on", await client.CallAsync("echo", "goes on"));
    }

    private static Version Http(int major) => major == 2 ? HttpVersion.Version20 : HttpVersion.Version11;

    private static Task<GatewayProcess> StartAsync(FaultyServer server, string keepAlive)
    {
        var config = GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url)));
        config["keepAlive"] = new JsonObject { ["interval"] = keepAlive };
        config["http"] = new JsonObject { ["peerTimeout"] = "2s" };
        return GatewayProcess.StartAsync(config);
    }
}
