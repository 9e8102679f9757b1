using System.Net;
using System.Text.Json.Nodes;
using Mooring.Stores;
using Mooring.Streams;
using Xunit;

namespace Mooring.Tests.Streams;

/// <summary>What a client gets that comes back with Last-Event-ID (invariant 8).</summary>
public sealed class ResumeTests
{
    [Fact]
    public async Task ResumeGet_NothingToReplay_HeadersAndFirstByteComeAtOnce()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        string? id;
        using (var first = await gateway.ListenAsync(client))
        {
            await first.Events.NextAsync();
            id = (await first.Events.NextAsync())!.Id;
        }

        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");
        using var again = await gateway.ListenAsync(client, id);

        Assert.NotNull(await again.Events.NextAsync());
        gateway.Tell(client, "new");
        Assert.Equal("new", Data(await again.Events.EventAsync()));
    }

    /// <summary>The official libraries come back for a new stream where the resumed one broke before it brought an id: a running call's answer is lost then.</summary>
    [Theory]
    [InlineData("2025-11-25", true)]
    [InlineData("2025-06-18", false)]
    public async Task Resume_BreaksAgainBeforeAnything_TheClientWasToldItsPlace(string version, bool isTold)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync(version);
        TestEvent seen;
        using (var first = await gateway.ListenAsync(client))
        {
            gateway.Tell(client, "0");
            seen = await first.Events.EventAsync();
        }

        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");
        using var again = await gateway.ListenAsync(client, seen.Id);
        gateway.Tell(client, "1");
        var all = new List<TestEvent>();
        do
        {
            all.Add((await again.Events.NextAsync())!);
        }
        while (!all[^1].IsMessage);

        Assert.Equal(isTold ? [seen.Id!] : [], all.SkipLast(1).Select(e => e.Id).OfType<string>());
        Assert.Equal("1", Data(all[^1]));
    }

    [Fact]
    public async Task Health_ClientsComeAndGo_CountsOnlyWhoIsThere()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        for (var i = 0; i < 5; i++)
        {
            using var stream = await gateway.ListenAsync(client);
            Assert.InRange(await ConnectionsAsync(gateway), 1, 5);
        }

        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "all streams are lost");
        Assert.Equal(0, await ConnectionsAsync(gateway));
    }

    [Fact]
    public async Task ResumeGet_MissedMessages_AreReplayedInOrderOnceWithTheirIds()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        TestEvent seen;
        using (var first = await gateway.ListenAsync(client))
        {
            gateway.Tell(client, "0");
            seen = await first.Events.EventAsync();
        }

        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");
        for (var i = 1; i <= 250; i++)
        {
            gateway.Tell(client, $"{i}");
        }

        using var again = await gateway.ListenAsync(client, seen.Id);
        gateway.Tell(client, "251");
        var ids = new HashSet<string?>();
        for (var i = 1; i <= 251; i++)
        {
            var next = await again.Events.EventAsync();
            Assert.Equal($"{i}", Data(next));
            Assert.True(ids.Add(next.Id));
        }

        var replayed = Assert.Single(await gateway.MetricsAsync("mooring_events_replayed_total{"));
        Assert.StartsWith("mooring_events_replayed_total{transport=\"get\"} 25", replayed);
    }

    [Fact]
    public async Task ResumePost_AnswerCameMeanwhile_IsReplayedAndTheStreamEnds()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var (id, call) = await LoseAsync(gateway, client);

        call.Text("kept");
        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call is over");
        using var again = await client.GetAsync(id);

        Assert.Equal(HttpStatusCode.OK, again.Status);
        var rest = await again.Events.RestAsync();
        Assert.Equal("kept", Assert.Single(rest, e => e.IsMessage).Message.Text());
        Assert.Equal(1, gateway.Upstream.Executions("slow"));
        Assert.DoesNotContain(gateway.Upstream.Messages("notifications/cancelled"), _ => true);
    }

    [Fact]
    public async Task ResumePost_StillRunning_GetsTheAnswerLive()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var (id, call) = await LoseAsync(gateway, client);

        using var again = await client.GetAsync(id);
        Assert.NotNull(await again.Events.NextAsync());
        call.Text("live");

        Assert.Equal("live", (await again.MessageAsync()).Text());
        Assert.Null(await again.Events.NextAsync());
    }

    [Fact]
    public async Task ResumePost_AnswerJustBeingCommitted_IsNotMissed()
    {
        FaultyStore store = null!;
        await using var gateway = await StartAsync(new FixtureOptions { Store = time => store = new FaultyStore(time) });
        var client = await gateway.ClientAsync();
        var (id, call) = await LoseAsync(gateway, client);

        store.Hold();
        call.Text("in between");
        await gateway.UntilAsync(() => store.Waiting == 1, "the answer is on its way to the store");
        var getting = client.GetAsync(id);
        await gateway.UntilAsync(() => getting.IsCompleted || gateway.Session(client).Connections > 0, "the client is back");
        for (var i = 0; i < 500; i++)
        {
            await Task.Yield();
        }

        store.Release();

        using var again = await Limit.Of(getting, "the head");
        Assert.Equal(HttpStatusCode.OK, again.Status);
        Assert.Equal("in between", (await again.MessageAsync()).Text());
    }

    [Fact]
    public async Task ResumePost_AnswerAlreadyDelivered_Is405()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var (reply, call) = await gateway.StreamedAsync(client);
        call.Text("done");
        var answer = await reply.Events.EventAsync();
        await reply.Events.RestAsync();
        reply.Dispose();

        using var again = await client.GetAsync(answer.Id);

        Assert.Equal(HttpStatusCode.MethodNotAllowed, again.Status);
    }

    [Fact]
    public async Task ResumePost_CallWasCancelled_Is405()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var (id, _) = await LoseAsync(gateway, client, "7");
        await client.NotifyAsync("notifications/cancelled", """{"requestId":7}""");
        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call is over");

        using var again = await client.GetAsync(id);

        Assert.Equal(HttpStatusCode.MethodNotAllowed, again.Status);
    }

    [Fact]
    public async Task ResumePost_AnswerWasTrimmed_Is200WithAnErrorForThatRequest()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var (id, call) = await LoseAsync(gateway, client, "\"lost\"");
        call.Text("never seen");
        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call is over");
        await gateway.Session(client).Outbox.Find(EventStreamOf(id))!.SettleAsync();
        await gateway.Get<IStore>().TrimEventsAsync(client.SessionId!, 0, 0);

        using var again = await client.GetAsync(id);

        Assert.Equal(HttpStatusCode.OK, again.Status);
        var answer = await again.MessageAsync();
        Assert.Equal(("\"lost\"", -32603), (answer.RawId(), answer.ErrorCode()));
        Assert.Null(await again.Events.NextAsync());
    }

    [Fact]
    public async Task ResumeGet_EventsWereTrimmed_TellsToLookAgainAtEverything()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        using (var subscribed = await client.RequestAsync("resources/subscribe", """{"uri":"test://one/a"}"""))
        {
            Assert.NotNull((await subscribed.MessageAsync())["result"]);
        }

        TestEvent seen;
        using (var first = await gateway.ListenAsync(client))
        {
            gateway.Tell(client, "seen");
            seen = await first.Events.EventAsync();
        }

        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");
        gateway.Tell(client, "lost");
        await gateway.Session(client).Outbox.Find(EventStreamOf(seen.Id!))!.SettleAsync();
        await gateway.Get<IStore>().TrimEventsAsync(client.SessionId!, 0, 0);

        using var again = await gateway.ListenAsync(client, seen.Id);

        var told = new List<string?>();
        for (var i = 0; i < 4; i++)
        {
            told.Add((string?)(await again.Events.MessageAsync())["method"]);
        }

        Assert.Equal(
            ["notifications/prompts/list_changed", "notifications/resources/list_changed", "notifications/resources/updated", "notifications/tools/list_changed"],
            told.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task ResumeGet_LogLargerThanTheBuffer_IsReplayedOnOneConnection()
    {
        await using var gateway = await StartAsync(new FixtureOptions { Config = c => c with { Streams = c.Streams with { Buffer = 4096 } } });
        var client = await gateway.ClientAsync();
        TestEvent seen;
        using (var first = await gateway.ListenAsync(client))
        {
            gateway.Tell(client, "seen");
            seen = await first.Events.EventAsync();
        }

        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");
        for (var i = 0; i < 40; i++)
        {
            gateway.Tell(client, $"{i:00}{new string('x', 10_000)}");
        }

        using var again = await gateway.ListenAsync(client, seen.Id);
        for (var i = 0; i < 40; i++)
        {
            Assert.Equal($"{i:00}", Data(await again.Events.EventAsync())![..2]);
        }
    }

    [Theory]
    [InlineData(long.MaxValue)]
    [InlineData(long.MaxValue - 1)]
    [InlineData(EventId.LastSequence + 1)]
    public async Task ResumeGet_OwnStreamWithASequenceThatNoStreamReaches_IsToldAGapAndGoesOn(long sequence)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        string stream;
        using (var first = await gateway.ListenAsync(client))
        {
            gateway.Tell(client, "seen");
            stream = EventStreamOf((await first.Events.EventAsync()).Id!);
        }

        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");
        using var again = await gateway.ListenAsync(client, $"{stream}-{sequence}");

        Assert.Equal("notifications/tools/list_changed", (string?)(await again.Events.MessageAsync())["method"]);
        gateway.Tell(client, "new");
        TestEvent told;
        do
        {
            told = await again.Events.EventAsync();
            Assert.True(EventId.TryParse(told.Id, out var id) && id.Sequence is > 0 and < 10, told.Id);
        }
        while ((string?)told.Message["method"] != "notifications/message");
    }

    [Fact]
    public async Task ResumePost_OwnStreamWithASequenceThatNoStreamReaches_Is405()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var (id, call) = await LoseAsync(gateway, client);

        using var never = await client.GetAsync($"{EventStreamOf(id)}-{long.MaxValue}");
        call.Text("kept");
        using var rest = await client.GetAsync(id);

        Assert.Equal(HttpStatusCode.MethodNotAllowed, never.Status);
        Assert.Equal("kept", (await rest.MessageAsync()).Text());
    }

    [Fact]
    public async Task ResumePost_OfAnotherSession_TellsNothing()
    {
        await using var gateway = await StartAsync();
        var ann = await gateway.ClientAsync(user: "ann");
        var bob = await gateway.ClientAsync(user: "bob");
        var (id, call) = await LoseAsync(gateway, ann);
        call.Text("ann's");
        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call is over");

        using var stolen = await bob.GetAsync(id);

        Assert.Equal(HttpStatusCode.MethodNotAllowed, stolen.Status);
    }

    private static Task<GatewayFixture> StartAsync(FixtureOptions? options = null) => GatewayFixture.StartAsync(options, new FakeUpstream().Hold("slow"));

    /// <summary>A call whose client was given an event id and then lost its connection.</summary>
    private static async Task<(string Id, UpstreamExchange Call)> LoseAsync(GatewayFixture gateway, McpTestClient client, string? requestId = null)
    {
        var (reply, call) = await gateway.StreamedAsync(client, id: requestId);
        await reply.Events.NextAsync();
        var primer = (await reply.Events.NextAsync())!;
        Assert.True(primer.IsPrimer);
        reply.Dispose();
        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");
        Assert.Equal(1, gateway.Runner.Running);
        return (primer.Id!, call);
    }

    private static string EventStreamOf(string id) => id[..id.LastIndexOf('-')];

    private static string? Data(TestEvent told) => (string?)told.Message["params"]!["data"];

    private static async Task<int> ConnectionsAsync(GatewayFixture gateway) =>
        (int)JsonNode.Parse(await gateway.Http.GetStringAsync("/health", TestContext.Current.CancellationToken))!["activeConnections"]!;
}
