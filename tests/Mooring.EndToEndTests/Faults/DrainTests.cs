using System.Net;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Faults;

/// <summary>A stop with streams open and calls under way: everyone is sent away in order, and nothing that runs is lost.</summary>
public sealed class DrainTests
{
    private const int Terminate = 15;
    private const int Interrupt = 2;
    private const int HangUp = 1;

    private static readonly HttpClient Http = new();

    [Theory]
    [InlineData(Terminate)]
    [InlineData(Interrupt)]
    [InlineData(HangUp)]
    public async Task Signalled_ServesUntilTheDelayIsOver_ThenClosesStreams_AndWaitsForCalls(int signal)
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, delay: "2s", grace: "60s");
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        using var older = await McpClient.ConnectAsync(gateway.ServerUrl("up"), "2025-06-18");
        using var legacy = await LegacyClient.ConnectAsync(gateway.ServerSseUrl("up"));
        using var get = await client.OpenAsync();
        var call = older.ToolCall("hold", "finished");
        using var post = await older.PostForStreamAsync(call);
        Assert.Equal(HttpStatusCode.OK, await ReadyAsync(gateway));

        gateway.Signal(signal);
        await UntilUnreadyAsync(gateway);

        Assert.Equal("served", await client.CallAsync("echo", "served"));
        using (var late = await McpClient.ConnectAsync(gateway.ServerUrl("up")))
        {
            Assert.Equal("served too", await late.CallAsync("echo", "served too"));
        }

        Assert.Empty(await get.RestAsync());
        Assert.InRange(get.Retry ?? 0, 1000, 5000);
        await legacy.Stream.RestAsync();
        Assert.InRange(legacy.Stream.Retry ?? 0, 1000, 5000);
        Assert.False(gateway.Process.HasExited, "It did not wait for the call.");
        server.Release();
        var answer = await post.AnswerAsync((int)call["id"]!);
        Assert.Equal("finished", (string?)answer["result"]!["content"]![0]!["text"]);
        Assert.Equal(0, await ExitAsync(gateway));
    }

    [Fact]
    public async Task Signalled_ClosedStreams_AreToldDifferentTimesToComeBack()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, delay: "0s", grace: "10s");
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        using var other = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        var streams = new List<SseStream>();
        for (var i = 0; i < 4; i++)
        {
            streams.Add(await client.OpenAsync());
            streams.Add(await other.OpenAsync());
        }

        gateway.Signal(Terminate);
        foreach (var stream in streams)
        {
            await stream.RestAsync();
            stream.Dispose();
        }

        Assert.All(streams, stream => Assert.InRange(stream.Retry ?? 0, 1000, 5000));
        // Eight draws from 4,000 values: that six of them are equal does not happen.
        Assert.True(streams.Select(stream => stream.Retry).Distinct().Count() > 2);
        Assert.Equal(0, await ExitAsync(gateway));
    }

    [Fact]
    public async Task Signalled_ResumableCallUnderWay_IsAnsweredAfterTheRestart()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, delay: "0s", grace: "60s");
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        var call = client.ToolCall("hold", "kept");
        using var stream = await client.PostForStreamAsync(call);
        await stream.FirstIdAsync();

        gateway.Signal(Terminate);
        Assert.Empty(await stream.RestAsync());
        Assert.InRange(stream.Retry ?? 0, 1000, 5000);
        server.Release();
        Assert.Equal(0, await ExitAsync(gateway));
        await gateway.RestartAsync();

        using var rest = await client.OpenAsync(stream.LastEventId);
        var answer = await rest.AnswerAsync((int)call["id"]!);
        Assert.Equal("kept", (string?)answer["result"]?["content"]?[0]?["text"]);
        Assert.Equal(1, server.Calls("hold"));
        Assert.Equal("new", await client.CallAsync("echo", "new"));
        Assert.Equal(1, server.Initialized(client.Name));
    }

    [Fact]
    public async Task GraceIsOver_CallStillUnderWay_IsToldSo()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, delay: "0s", grace: "1s");
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"), "2025-06-18");
        var call = client.ToolCall("hold", "never");
        using var stream = await client.PostForStreamAsync(call);

        gateway.Signal(Terminate);

        var answer = await stream.AnswerAsync((int)call["id"]!);
        Assert.Equal("draining", (string?)answer["error"]?["data"]?["mooring"]?["reason"]);
        Assert.Equal(0, await ExitAsync(gateway));
    }

    [Theory]
    [InlineData(Terminate, Terminate, 143)]
    [InlineData(Terminate, Interrupt, 130)]
    [InlineData(Interrupt, Interrupt, 130)]
    [InlineData(HangUp, Terminate, 143)]
    public async Task SecondSignal_EndsAtOnce(int first, int second, int exitCode)
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, delay: "10m", grace: "10m");
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        using var stream = await client.OpenAsync();

        gateway.Signal(first);
        await UntilUnreadyAsync(gateway);
        gateway.Signal(second);

        Assert.Equal(exitCode, await ExitAsync(gateway));
    }

    /// <summary>A terminal that is closed says so more than once, and the end of a login asks for the end first.</summary>
    [Theory]
    [InlineData(HangUp)]
    [InlineData(Terminate)]
    public async Task HangUp_WhileStopping_ChangesNothing(int first)
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, delay: "1s", grace: "60s");
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"), "2025-06-18");
        var call = client.ToolCall("hold", "finished");
        using var stream = await client.PostForStreamAsync(call);

        gateway.Signal(first);
        await UntilUnreadyAsync(gateway);
        gateway.Signal(HangUp);

        server.Release();
        var answer = await stream.AnswerAsync((int)call["id"]!);
        Assert.Equal("finished", (string?)answer["result"]!["content"]![0]!["text"]);
        Assert.Equal(0, await ExitAsync(gateway));
    }

    [Theory]
    [InlineData(Terminate)]
    [InlineData(Interrupt)]
    [InlineData(HangUp)]
    public async Task NothingOpen_Signalled_DoesNotWaitForTheDelay(int signal)
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await StartAsync(server, delay: "10m", grace: "10m");

        gateway.Signal(signal);

        Assert.Equal(0, await ExitAsync(gateway));
    }

    private static Task<GatewayProcess> StartAsync(FaultyServer server, string delay, string grace)
    {
        var config = GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url)));
        config["drain"] = new JsonObject { ["delay"] = delay, ["grace"] = grace };
        return GatewayProcess.StartAsync(config);
    }

    private static async Task<HttpStatusCode> ReadyAsync(GatewayProcess gateway)
    {
        using var response = await Http.GetAsync(new Uri(gateway.BaseUrl, "/ready"), TestContext.Current.CancellationToken);
        return response.StatusCode;
    }

    private static Task UntilUnreadyAsync(GatewayProcess gateway) =>
        Wait.UntilAsync(async () => await ReadyAsync(gateway) == HttpStatusCode.ServiceUnavailable, () => gateway.Process.Describe("/ready never said 503"));

    private static Task<int> ExitAsync(GatewayProcess gateway) =>
        gateway.Process.ExitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
}
