using System.Net;
using Mooring.Telemetry;
using Xunit;

namespace Mooring.Tests.FrontDoor;

/// <summary>When a POST becomes a JSON body and when an event stream, and what a stream begins with in each version.</summary>
public sealed class CommitTests
{
    [Fact]
    public async Task Post_AnswerWithinGrace_IsOneJsonObjectWithLength()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();

        using var reply = await client.CallAsync("echo", """{"text":"hi"}""");

        Assert.Equal(HttpStatusCode.OK, reply.Status);
        Assert.Equal("application/json", reply.Header("Content-Type"));
        Assert.NotNull(reply.Header("Content-Length"));
        Assert.Equal("\"hi\"", (await reply.MessageAsync()).Text());
    }

    [Fact]
    public async Task Post_JustBeforeGraceIsOver_IsStillUndecided()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync();

        var posting = client.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        gateway.Advance(TimeSpan.FromMilliseconds(450));
        call.Text("in time");

        using var reply = await Limit.Of(posting, "the answer");
        Assert.False(reply.IsStream);
        Assert.Equal("in time", (await reply.MessageAsync()).Text());
    }

    [Theory]
    [InlineData("2025-11-25", true, true)]
    [InlineData("2025-06-18", false, true)]
    [InlineData("2025-03-26", false, true)]
    [InlineData("2024-11-05", false, false)]
    public async Task Post_GraceOver_StreamBeginsAtOnceAsItsVersionKnowsIt(string version, bool primer, bool ids)
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync(version);

        var (reply, call) = await gateway.StreamedAsync(client);
        using var stream = reply;

        Assert.True(reply.IsStream);
        Assert.Equal("no", reply.Header("X-Accel-Buffering"));
        Assert.Equal(["no-cache", "no-transform"], reply.Header("Cache-Control")!.Split(',', StringSplitOptions.TrimEntries).Order(StringComparer.Ordinal));
        Assert.Equal(1000, (await reply.Events.NextAsync())!.Retry);
        var first = await reply.Events.NextAsync();
        Assert.Equal(primer, first!.IsPrimer);
        Assert.Equal(!primer, first.Comment);
        call.Text("done");
        var answer = await reply.Events.EventAsync();
        Assert.Equal("done", answer.Message.Text());
        Assert.Equal(ids, answer.Id is not null);
        Assert.Null(await reply.Events.NextAsync());
    }

    [Fact]
    public async Task Post_NotificationBeforeAnswer_CommitsToStreamAtOnce()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync(path: "/mcp");
        using var list = await client.RequestAsync("tools/list");

        var posting = client.CallAsync("one__slow", meta: """{"progressToken":"p"}""");
        var call = await gateway.Upstream.CallAsync();
        await call.ProgressAsync(1);

        using var reply = await Limit.Of(posting, "the head");
        Assert.True(reply.IsStream);
        var progress = await reply.MessageAsync();
        Assert.Equal("\"p\"", progress["params"]!["progressToken"]!.ToJsonString());
        await call.SendTextAsync("done");
        Assert.Equal("done", (await reply.MessageAsync()).Text());
    }

    [Theory]
    [InlineData("/servers/one/mcp", "slow", true)]
    [InlineData("/mcp", "one__slow", false)]
    public async Task Post_ServerAnswersWithStream_CommitsOnItsOwnRouteOnly(string path, string tool, bool commits)
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync(path: path);
        using var list = await client.RequestAsync("tools/list");

        var posting = client.CallAsync(tool);
        var call = await gateway.Upstream.CallAsync();
        call.Stream();
        if (commits)
        {
            await Limit.Of(posting, "the head");
        }

        await call.SendTextAsync("done");
        using var reply = await Limit.Of(posting, "the answer");
        Assert.Equal(commits, reply.IsStream);
        Assert.Equal("done", (await reply.MessageAsync()).Text());
    }

    [Theory]
    [InlineData("/servers/one/mcp", "quick", "text/event-stream")]
    [InlineData("/mcp", "one__quick", "application/json")]
    public async Task Post_ServersStreamIsThereAtOnce_AnswerIsWholeAndWaitsForNoStore(string path, string tool, string type)
    {
        FaultyStore store = null!;
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Store = time => store = new FaultyStore(time) }, new FakeUpstream().Hold("quick"));
        var client = await gateway.ClientAsync(path: path);
        using var list = await client.RequestAsync("tools/list");

        store.Hold();
        var posting = client.CallAsync(tool);
        var call = await gateway.Upstream.CallAsync();
        call.Status(
            HttpStatusCode.OK,
            "id: 1\ndata:\n\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\ndata: \"id\":" + call.Id + ",\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}}\n\n",
            "text/event-stream");

        using var reply = await Limit.Of(posting, "the answer");
        Assert.Equal(type, reply.Header("Content-Type"));
        if (reply.IsStream)
        {
            var only = await reply.Events.EventAsync();
            Assert.Null(only.Id);
            Assert.Equal("hi", only.Message.Text());
            Assert.Null(await reply.Events.NextAsync());
        }
        else
        {
            Assert.Equal("hi", (await reply.MessageAsync()).Text());
        }

        store.Release();
    }

    [Fact]
    public async Task Post_AcceptsOnlyJson_StaysJsonHoweverLongItTakes()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync();

        var posting = client.CallAsync("slow", meta: """{"progressToken":1}""", accept: "application/json");
        var call = await gateway.Upstream.CallAsync();
        await call.ProgressAsync(1);
        gateway.Advance(TimeSpan.FromSeconds(30));
        await call.SendTextAsync("late");

        using var reply = await Limit.Of(posting, "the answer");
        Assert.False(reply.IsStream);
        Assert.Equal("late", (await reply.MessageAsync()).Text());
    }

    [Fact]
    public async Task Post_AcceptsOnlyEvents_IsStreamAtOnce()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync();

        using var reply = await Limit.Of(client.CallAsync("slow", accept: "text/event-stream"), "the head");

        Assert.True(reply.IsStream);
        (await gateway.Upstream.CallAsync()).Text("done");
        Assert.Equal("done", (await reply.MessageAsync()).Text());
    }

    [Fact]
    public async Task Post_StoreHoldsTheCommit_NoByteAndNoEventIdLeaveBeforeIt()
    {
        FaultyStore store = null!;
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Store = time => store = new FaultyStore(time) }, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync();
        var posting = client.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();

        store.Hold();
        gateway.Advance(GatewayFixture.Grace);
        await gateway.UntilAsync(() => store.Waiting == 1, "the stream's row is on its way");
        gateway.Advance(TimeSpan.FromSeconds(1));
        Assert.False(posting.IsCompleted);
        store.Release();
        using var reply = await Limit.Of(posting, "the head");
        await reply.Events.NextAsync();
        Assert.True((await reply.Events.NextAsync())!.IsPrimer);

        store.Hold();
        call.Text("done");
        await gateway.UntilAsync(() => store.Waiting == 1, "the answer is on its way to the store");
        Assert.False(reply.Events.HasNext);
        store.Release();
        Assert.NotNull((await reply.Events.EventAsync()).Id);
    }

    [Fact]
    public async Task Post_AnsweredBeforeItsStreamCouldOpen_AnswerIsStillWritten()
    {
        FaultyStore store = null!;
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Store = time => store = new FaultyStore(time) }, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync();
        var posting = client.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        store.Hold();
        gateway.Advance(GatewayFixture.Grace);
        await gateway.UntilAsync(() => store.Waiting == 1, "the stream's row is on its way");

        // Its last message is in, but not written: whoever is attached now must see it first.
        call.Text("done");
        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call is over");
        store.Release();

        using var reply = await Limit.Of(posting, "the head");
        Assert.Equal("done", Assert.Single(await reply.Events.RestAsync(), e => e.IsMessage).Message.Text());
    }

    [Theory]
    [InlineData("2025-11-25", true)]
    [InlineData("2025-06-18", false)]
    public async Task Post_ServerPausesBeforeTheStreamIsOpen_ClientIsSentAwayOnlyWithAnEventId(string version, bool paused)
    {
        FaultyStore store = null!;
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Store = time => store = new FaultyStore(time) }, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync(version);
        var posting = client.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        store.Hold();
        await call.RawAsync("id: 5\nretry: 200\ndata:\n\n");
        await gateway.UntilAsync(() => store.Waiting == 1, "the stream's row is on its way");

        call.End();
        await gateway.UntilAsync(() => gateway.Upstream.Requests.Any(r => r.LastEventId == "5"), "the server was asked for the rest", TimeSpan.FromSeconds(2));
        store.Release();

        using var reply = await Limit.Of(posting, "the head");
        var rest = await gateway.Upstream.GetAsync();
        if (!paused)
        {
            await rest.SendAsync($$$"""{"jsonrpc":"2.0","id":{{{call.Id}}},"result":{"content":[{"type":"text","text":"done"}]}}""");
            Assert.Equal("done", Assert.Single(await reply.Events.RestAsync(), e => e.IsMessage).Message.Text());
            return;
        }

        var seen = await reply.Events.RestAsync();
        Assert.Equal(200, seen[^1].Retry);
        using var again = await client.GetAsync(Assert.Single(seen, e => e.IsPrimer).Id);
        await rest.SendAsync($$$"""{"jsonrpc":"2.0","id":{{{call.Id}}},"result":{"content":[{"type":"text","text":"done"}]}}""");
        Assert.Equal("done", (await again.MessageAsync()).Text());
    }

    [Theory]
    [InlineData("2025-11-25", true, 0)]
    [InlineData("2025-11-25", false, 1)]
    [InlineData("2025-06-18", true, 1)]
    public async Task Post_ClientLeaves_AnswerIsUndeliverableWhereItHasNoEventId(string version, bool afterTheHead, int expected)
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync(version);
        UpstreamExchange call;
        if (afterTheHead)
        {
            (var reply, call) = await gateway.StreamedAsync(client);
            reply.Dispose();
            await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the client is gone");
        }
        else
        {
            using var leaving = new CancellationTokenSource();
            var posting = client.CallAsync("slow", cancel: leaving.Token);
            call = await gateway.Upstream.CallAsync();
            await leaving.CancelAsync();
            gateway.Advance(GatewayFixture.Grace);
            await Limit.Of(Task.WhenAny(posting), "the end of the request");
            await gateway.UntilAsync(() => gateway.Session(client).Connections == 0, "the request is over");
        }

        call.Text("for nobody");
        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call is over");
        await gateway.UntilAsync(() => expected == 0 || gateway.Get<PrometheusExporter>().Scrape().Contains("mooring_calls_undeliverable_total", StringComparison.Ordinal), "it is counted");

        Assert.Equal(expected == 0 ? [] : [$"mooring_calls_undeliverable_total {expected}"], await gateway.MetricsAsync("mooring_calls_undeliverable_total"));
    }
}
