using System.Net;
using Xunit;

namespace Mooring.Tests.Streams;

/// <summary>A laptop that sleeps for an hour: whether or not the gateway noticed, it goes on where it was.</summary>
public sealed class AsleepTests
{
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task GetStream_AsleepForAnHour_IsResumedWithWhatIsStillKept(bool isNoticed)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        var asleep = await gateway.ListenAsync(client);
        gateway.Tell(client, "before");
        var seen = await asleep.Events.EventAsync();
        if (isNoticed)
        {
            asleep.Dispose();
            await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");
        }

        // Nobody reads any more; what is written goes into a buffer that nobody will see.
        gateway.Advance(Hour - TimeSpan.FromMinutes(5));
        gateway.Tell(client, "shortly before it woke");
        gateway.Advance(TimeSpan.FromMinutes(5));

        using var awake = await gateway.ListenAsync(client, seen.Id);
        Assert.Equal("shortly before it woke", Data(await awake.Events.EventAsync()));
        gateway.Tell(client, "now");
        Assert.Equal("now", Data(await awake.Events.EventAsync()));
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
        await gateway.UntilAsync(() => gateway.Streams.Count == 1, "the old connection is given up");
        asleep.Dispose();
    }

    [Fact]
    public async Task GetStream_AsleepForLongerThanEventsAreKept_IsToldToLookAgainAtEverything()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        string id;
        using (var asleep = await gateway.ListenAsync(client))
        {
            gateway.Tell(client, "before");
            id = (await asleep.Events.EventAsync()).Id!;
        }

        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");
        gateway.Tell(client, "nobody will ever read this");
        await gateway.Session(client).Outbox.SettleAsync();
        gateway.Advance(Hour);

        using var awake = await gateway.ListenAsync(client, id);
        foreach (var list in new[] { "tools", "prompts", "resources" })
        {
            Assert.Equal($"notifications/{list}/list_changed", (string?)(await awake.Events.MessageAsync())["method"]);
        }

        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task Call_AsleepForHalfOfIt_ItsAnswerIsThere()
    {
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Config = c => c with { Calls = c.Calls with { Deadline = Hour * 2, HardCap = Hour * 2 } } }, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync();
        var (asleep, call) = await gateway.StreamedAsync(client);
        await asleep.Events.NextAsync();
        var id = (await asleep.Events.NextAsync())!.Id;
        asleep.Dispose();
        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");

        gateway.Advance(Hour - TimeSpan.FromMinutes(5));
        call.Text("after an hour");
        gateway.Advance(TimeSpan.FromMinutes(5));

        using var awake = await Limit.Of(client.GetAsync(id), "the head of the stream");
        Assert.Equal("after an hour", Assert.Single(await awake.Events.RestAsync(), e => e.IsMessage).Message.Text());
        Assert.Equal(1, gateway.Upstream.Executions("slow"));
    }

    [Fact]
    public async Task LegacyStream_AsleepForAnHour_IsTheSameSession()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = gateway.NewClient("2024-11-05", "/servers/one/sse");
        var asleep = await client.GetAsync();
        var endpoint = await asleep.Events.EventAsync();
        asleep.Dispose();
        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");

        gateway.Advance(Hour);

        using var awake = await Limit.Of(client.GetAsync(endpoint.Id), "the head of the stream");
        Assert.Equal(HttpStatusCode.OK, awake.Status);
        Assert.Equal(endpoint.Data, (await awake.Events.EventAsync()).Data);
    }

    private static string? Data(TestEvent told) => (string?)told.Message["params"]!["data"];
}
