using System.Net;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Faults;

/// <summary>Readers that stop reading, on real sockets: each costs only itself (invariant 12), whatever it reads and over whichever HTTP version.</summary>
public sealed class SlowReaderTests
{
    /// <summary>More than the kernel takes on both ends for somebody who does not read (net.ipv4.tcp_wmem and tcp_rmem: 4 MB and 6 MB).</summary>
    private const int Much = 12_000_000;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task GetStreamIsNotRead_EndsAsSlowReader_OthersNoticeNothing_AndItsReaderCanResume(int major)
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server);
        using var slow = await McpClient.ConnectAsync(gateway.ServerUrl("up"), http: Http(major));
        using var other = await McpClient.ConnectAsync(gateway.ServerUrl("up"), http: Http(major));
        await slow.CallAsync("echo", "opens the link");
        using var stuck = await slow.OpenAsync();
        var seen = await stuck.FirstIdAsync();

        server.Log(new string('x', Much));
        await MetricsPage.EndedAsync(gateway, "get", "slow_reader");

        await AssertServedAsync(server, other);
        Assert.Equal("by another way", await slow.CallAsync("echo", "by another way"));
        using var again = await slow.OpenAsync(seen);
        Assert.Equal(Much, ((string?)(await again.NotificationAsync("notifications/message"))["params"]!["data"])!.Length);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task AnswerIsNotRead_EndsAsSlowReader_OthersNoticeNothing_AndItsReaderCanResume(int major)
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server);
        using var slow = await McpClient.ConnectAsync(gateway.ServerUrl("up"), http: Http(major));
        using var other = await McpClient.ConnectAsync(gateway.ServerUrl("up"), http: Http(major));
        var call = slow.ToolCall("talk", new string('x', Much));
        using var stuck = await slow.PostForStreamAsync(call);
        var seen = await stuck.FirstIdAsync();

        server.Release();
        await MetricsPage.EndedAsync(gateway, "post", "slow_reader");

        await AssertServedAsync(server, other);
        using var again = await slow.OpenAsync(seen);
        var answer = await again.AnswerAsync((int)call["id"]!);
        Assert.Equal(Much, ((string?)answer["result"]!["content"]![0]!["text"])!.Length);
        Assert.Equal(1, server.Calls("talk"));
    }

    [Fact]
    public async Task LegacyStreamIsNotRead_EndsAsSlowReader_OthersNoticeNothing_AndItsSessionGoesOn()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server);
        using var slow = await LegacyClient.ConnectAsync(gateway.ServerSseUrl("up"));
        using var other = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        var id = slow.Stream.LastEventId;

        await slow.SendAsync("tools/call", LegacyClient.CallParameters("echo", new string('x', Much)));
        await MetricsPage.EndedAsync(gateway, "sse", "slow_reader");

        await AssertServedAsync(server, other);
        await slow.OpenAsync(id);
        Assert.Equal("goes on", (string?)(await slow.CallAsync("echo", "goes on"))["result"]!["content"]![0]!["text"]);
    }

    [Fact]
    public async Task StreamIsNotRead_AndTheKernelHoldsWhatIsThere_EndsAsSlowReaderAllTheSame()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "TCP_USER_TIMEOUT is of Linux");
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, writeTimeout: "1h", peerTimeout: "2s");
        using var slow = await McpClient.ConnectAsync(gateway.ServerUrl("up"), handler: new SleepyMachine().Handler(receiveBuffer: 16_384));
        await slow.CallAsync("echo", "opens the link");
        using var stuck = await slow.OpenAsync();
        await stuck.FirstIdAsync();

        server.Log(new string('x', 400_000));

        await MetricsPage.EndedAsync(gateway, "get", "slow_reader");
    }

    [Fact]
    public async Task ReaderIsAsleepWhileMuchIsSaid_EndsAsVanishedAndNotAsSlow()
    {
        SleepyMachine.SkipElsewhere();
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server);
        var laptop = new SleepyMachine();
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"), handler: laptop.Handler());
        await client.CallAsync("echo", "opens the link");
        using var stream = await client.OpenAsync();
        await stream.FirstIdAsync();

        laptop.FallAsleep();
        server.Log(new string('x', Much));

        await MetricsPage.EndedAsync(gateway, "get", "client_vanished");
    }

    private static async Task AssertServedAsync(FaultyServer server, McpClient client)
    {
        Assert.Equal("unhurt", await client.CallAsync("echo", "unhurt"));
        using var stream = await client.OpenAsync();
        server.Log("heard");
        await stream.MessageAsync(message => (string?)message["params"]?["data"] == "heard");
    }

    private static Version Http(int major) => major == 2 ? HttpVersion.Version20 : HttpVersion.Version11;

    private static Task<GatewayProcess> StartAsync(FaultyServer server, string writeTimeout = "5s", string peerTimeout = "1m")
    {
        var config = GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url)));
        config["streams"] = new JsonObject { ["writeTimeout"] = writeTimeout };
        config["http"] = new JsonObject { ["peerTimeout"] = peerTimeout };
        config["eventLog"] = new JsonObject { ["bytes"] = "64MB" };
        return GatewayProcess.StartAsync(config);
    }
}
