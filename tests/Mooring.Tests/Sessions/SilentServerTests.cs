using Xunit;

namespace Mooring.Tests.Sessions;

/// <summary>Servers that declare changes of their lists and have no GET stream to tell them on: what they do not say is looked for.</summary>
public sealed class SilentServerTests
{
    [Theory]
    [InlineData("/servers/one/mcp", "")]
    [InlineData("/mcp", "one__")]
    public async Task List_ChangesUnsaid_ClientIsToldAndShownTheNewOne(string path, string prefix)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync(path: path);
        Assert.Equal([prefix + "echo"], await ToolsAsync(client));
        await client.ResultAsync(prefix + "echo");
        using var stream = await gateway.ListenAsync(client);

        gateway.Upstream.Hold("new");
        var told = await gateway.PassTimeAsync(stream.Events.MessageAsync(), TimeSpan.FromSeconds(20), "it is told");

        Assert.Equal("notifications/tools/list_changed", (string?)told["method"]);
        Assert.Equal([prefix + "echo", prefix + "new"], await ToolsAsync(client));
    }

    [Fact]
    public async Task List_ChangesUnsaid_ClientWithoutSessions_IsToldWhatWasAcknowledged()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = new StatelessClient(gateway.Http);
        await client.ResultAsync("tools/list");
        var (listening, acknowledged) = await client.ListenAsync("""{"toolsListChanged":true}""");
        using var stream = listening;
        Assert.True((bool?)acknowledged["params"]!["notifications"]!["toolsListChanged"]);

        gateway.Upstream.Hold("new");
        var told = await gateway.PassTimeAsync(listening.Events.MessageAsync(), TimeSpan.FromSeconds(20), "it is told");

        Assert.Equal("notifications/tools/list_changed", (string?)told["method"]);
        Assert.Equal(2, (await client.ResultAsync("tools/list"))["result"]!["tools"]!.AsArray().Count);
    }

    [Fact]
    public async Task List_ChangesUnsaid_AfterALookThatTookTooLong_ClientIsToldAllTheSame()
    {
        var hangs = false;
        var hung = 0;
        var fake = new FakeUpstream { Intercept = e => hangs && (string?)e.Message?["method"] == "initialize" && Interlocked.Increment(ref hung) > 0 };
        await using var gateway = await GatewayFixture.StartAsync(upstreams: fake);
        var client = await gateway.ClientAsync();
        await ToolsAsync(client);
        using var stream = await gateway.ListenAsync(client);

        // The next look finds the session lost, and making another takes longer than a look may.
        hangs = true;
        fake.ForgetSessions();
        await gateway.UntilAsync(() => Volatile.Read(ref hung) > 0, "a look has begun", TimeSpan.FromSeconds(60));
        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromSeconds(40), gateway.Clock), TimeSpan.FromSeconds(41), "it took too long");
        hangs = false;
        fake.Hold("new");

        var told = await gateway.PassTimeAsync(stream.Events.MessageAsync(), TimeSpan.FromMinutes(5), "it is told");
        Assert.Equal("notifications/tools/list_changed", (string?)told["method"]);
    }

    [Fact]
    public async Task Listening_FailsByABug_IsBegunAgain()
    {
        var gets = 0;
        var fake = new FakeUpstream { HasGetStream = true };
        fake.Intercept = e => e.HttpMethod == "GET" && Interlocked.Increment(ref gets) == 1 ? throw new InvalidOperationException("scripted bug") : false;
        await using var gateway = await GatewayFixture.StartAsync(upstreams: fake);

        await gateway.UntilAsync(() => Volatile.Read(ref gets) > 1, "it is asked for again", TimeSpan.FromSeconds(5));

        Assert.Contains(gateway.LogLines.Lines, line => line.StartsWith("Error UpstreamListeningFailed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task List_StaysAsItIs_IsReadLessAndLessOften()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        await gateway.UntilAsync(() => gateway.Upstream.Messages("resources/templates/list").Count > 0, "it was read first");
        var before = gateway.Upstream.Messages("tools/list").Count;

        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromMinutes(10), gateway.Clock), TimeSpan.FromMinutes(11), "time passed");

        Assert.InRange(gateway.Upstream.Messages("tools/list").Count - before, 5, 9);
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public async Task List_OfAServerThatCanTell_OrSaysNothingOfChanges_IsNotReadAgain(bool hasStream, bool declares)
    {
        var fake = new FakeUpstream { HasGetStream = hasStream, Capabilities = declares ? """{"tools":{"listChanged":true}}""" : """{"tools":{}}""" };
        await using var gateway = await GatewayFixture.StartAsync(upstreams: fake);
        await gateway.UntilAsync(() => fake.Messages("tools/list").Count > 0, "it was read first");
        var before = fake.Messages("tools/list").Count;

        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromMinutes(1), gateway.Clock), TimeSpan.FromMinutes(2), "time passed");

        Assert.Equal(before, fake.Messages("tools/list").Count);
    }

    private static async Task<IEnumerable<string>> ToolsAsync(McpTestClient client)
    {
        using var reply = await client.RequestAsync("tools/list");
        return (await reply.MessageAsync())["result"]!["tools"]!.AsArray().Select(tool => (string)tool!["name"]!);
    }
}
