using Xunit;

namespace Mooring.Tests.Streams;

/// <summary>Standalone GET streams: reopening, which one is told, the cap (invariant 7).</summary>
public sealed class GetStreamTests
{
    [Theory]
    [InlineData("2025-11-25")]
    [InlineData("2025-06-18")]
    public async Task Get_MoreWaitedThanAReaderMayLeaveUntaken_IsGivenAtItsReadersPace(string version)
    {
        const int many = 200;
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Config = config => config with { Streams = config.Streams with { Buffer = 8 * 1024 } } });
        var client = await gateway.ClientAsync(version);
        for (var i = 0; i < many; i++)
        {
            gateway.Tell(client, $"{i} {new string('x', 1000)}");
        }

        using var stream = await gateway.ListenAsync(client);

        for (var i = 0; i < many; i++)
        {
            Assert.StartsWith($"{i} ", (string?)(await stream.Events.EventAsync()).Message["params"]?["data"], StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Get_ReopenedFiveTimes_NewestIsToldAndNobodyTwice()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        var streams = new List<TestReply>();
        for (var i = 0; i < 5; i++)
        {
            streams.Add(await gateway.ListenAsync(client));
            gateway.Tell(client, $"to {i}");
            Assert.Equal($"to {i}", Data(await streams[i].Events.EventAsync()));
        }

        // The cap ended the oldest; the others are still there and were told nothing more.
        Assert.DoesNotContain(await streams[0].Events.RestAsync(), e => e.IsMessage);
        for (var i = 1; i < 4; i++)
        {
            Assert.Single(streams[i].Events.Seen, e => e.IsMessage);
        }

        Assert.Equal(4, gateway.Streams.Count);
        Assert.Contains("""mooring_stream_duration_seconds_count{transport="get",reason="limit",closed_by="gateway"} 1""", await gateway.MetricsAsync("mooring_stream_duration_seconds_count"));
        streams.ForEach(s => s.Dispose());
    }

    [Fact]
    public async Task Get_FourOpen_AllAreKeptAlive()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        var streams = new List<TestReply>();
        for (var i = 0; i < 4; i++)
        {
            streams.Add(await gateway.ListenAsync(client));
            await streams[i].Events.NextAsync();
            Assert.True((await streams[i].Events.NextAsync())!.IsPrimer);
        }

        gateway.Advance(TimeSpan.FromSeconds(18.1));

        Assert.Equal(4, gateway.Streams.Count);
        foreach (var stream in streams)
        {
            Assert.True((await stream.Events.NextAsync())!.Comment);
            stream.Dispose();
        }
    }

    [Fact]
    public async Task Get_NewestLeaves_NextNewestIsTold()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        using var older = await gateway.ListenAsync(client);
        using (await gateway.ListenAsync(client))
        {
            await gateway.UntilAsync(() => gateway.Streams.Count == 2, "both are open");
        }

        await gateway.UntilAsync(() => gateway.Streams.Count == 1, "the newer one is gone");
        gateway.Tell(client, "still there");

        Assert.Equal("still there", Data(await older.Events.EventAsync()));
    }

    [Fact]
    public async Task Get_WithLastEventId_ReplacesOnlyItsOwnConnection()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        using var first = await gateway.ListenAsync(client);
        gateway.Tell(client, "one");
        var seen = await first.Events.EventAsync();
        using var second = await gateway.ListenAsync(client);

        using var again = await gateway.ListenAsync(client, seen.Id);

        await first.Events.RestAsync();
        Assert.Equal(2, gateway.Streams.Count);
        gateway.Advance(TimeSpan.FromSeconds(18.1));
        await second.Events.NextAsync();
        await second.Events.NextAsync();
        Assert.True((await second.Events.NextAsync())!.Comment);
    }

    [Fact]
    public async Task Get_ServerAsksWhileThereIsNeitherStreamNorCall_IsAskedOnTheNext()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream { HasGetStream = true });
        var client = await gateway.ClientAsync(capabilities: """{"elicitation":{}}""");
        using (await gateway.ListenAsync(client))
        {
            // With a stream of its client's the gateway listens to the server.
            await client.ResultAsync("echo");
        }

        await gateway.UntilAsync(() => gateway.Streams.Count == 0 && !gateway.Session(client).Outbox.IsConnected, "nobody listens");
        var link = gateway.Session(client).Links.Open[0].SessionId;
        UpstreamExchange server;
        do
        {
            server = await gateway.Upstream.GetAsync();
        }
        while (server.Session != link);

        await server.Stream().SendAsync("""{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?","requestedSchema":{}}}""");
        await gateway.UntilAsync(() => gateway.Session(client).Questions.Count == 1, "the question is here");
        using var stream = await gateway.ListenAsync(client);
        var question = await stream.Events.MessageAsync();
        Assert.Equal("elicitation/create", (string?)question["method"]);

        using var posted = await client.PostAsync($$"""{"jsonrpc":"2.0","id":{{question.RawId()}},"result":{"action":"decline"} }""");
        await gateway.UntilAsync(() => gateway.Upstream.Requests.Any(e => e.Body.Contains("decline", StringComparison.Ordinal)), "its server has the answer");
        Assert.Equal("q", (string?)gateway.Upstream.Requests.Single(e => e.Body.Contains("decline", StringComparison.Ordinal)).Message!["id"]);
    }

    [Fact]
    public async Task Get_NobodyListening_MessagesWaitForTheNextStream()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        gateway.Tell(client, "one");
        gateway.Tell(client, "two");

        using var stream = await gateway.ListenAsync(client);

        Assert.Equal("one", Data(await stream.Events.EventAsync()));
        Assert.Equal("two", Data(await stream.Events.EventAsync()));
    }

    [Fact]
    public async Task Get_ReopenedWithoutAPlace_AllThatTheLostStreamNeverShowedIsTold()
    {
        const int many = 1100;
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Config = config => config with { EventLog = config.EventLog with { Events = 2 * many } } });
        var client = await gateway.ClientAsync();
        using (await gateway.ListenAsync(client))
        {
            await gateway.UntilAsync(() => gateway.Streams.Count == 1, "it is open");
        }

        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "it is lost");
        for (var i = 0; i < many; i++)
        {
            gateway.Tell(client, $"{i}");
        }

        using var stream = await gateway.ListenAsync(client);

        for (var i = 0; i < many; i++)
        {
            Assert.Equal($"{i}", Data(await stream.Events.EventAsync()));
        }
    }

    [Theory]
    [InlineData("2025-11-25", true, true)]
    [InlineData("2025-06-18", false, true)]
    [InlineData("2025-03-26", false, true)]
    public async Task Get_Opened_BeginsAtOnceAsItsVersionKnowsIt(string version, bool primer, bool ids)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync(version);

        using var stream = await gateway.ListenAsync(client);

        Assert.Equal("text/event-stream", stream.Header("Content-Type"));
        Assert.Equal("no", stream.Header("X-Accel-Buffering"));
        Assert.Equal(1000, (await stream.Events.NextAsync())!.Retry);
        var first = await stream.Events.NextAsync();
        Assert.Equal((primer, !primer), (first!.IsPrimer, first.Comment));
        gateway.Tell(client, "x");
        Assert.Equal(ids, (await stream.Events.EventAsync()).Id is not null);
    }

    [Fact]
    public async Task Get_ServerSaysSomethingOnItsOwnStream_ReachesTheClientsGetStream()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream { HasGetStream = true });
        var client = await gateway.ClientAsync();
        using var stream = await gateway.ListenAsync(client);
        await client.ResultAsync("echo");
        var server = await gateway.Upstream.GetAsync();
        while (server.Session != gateway.Session(client).Links.Open[0].SessionId)
        {
            // The gateway listens on a link of its own too.
            server = await gateway.Upstream.GetAsync();
        }


        await server.SendAsync("""{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"test://one/a"}}""");

        var told = await stream.Events.MessageAsync();
        Assert.Equal("test://one/a", (string?)told["params"]!["uri"]);
    }

    private static string? Data(TestEvent told) => (string?)told.Message["params"]!["data"];
}
