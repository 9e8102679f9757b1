using System.Net;
using Mooring.Configuration;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Calls;

/// <summary>A durable call is on record, and its client has an event id to come back with, before its server hears of it.</summary>
public sealed class DurableCallTests
{
    [Theory]
    [InlineData("/servers/one/mcp", "slow")]
    [InlineData("/mcp", "one__slow")]
    public async Task Call_StoreHoldsTheCommit_ServerHearsOfItOnlyAfterTheClientHasItsPrimer(string path, string tool)
    {
        var (gateway, store) = await StartAsync();
        await using var stopping = gateway;
        var client = await gateway.ClientAsync(path: path);
        using var list = await client.RequestAsync("tools/list");
        var openWhenAsked = -1;
        gateway.Upstream.Intercept = e =>
        {
            openWhenAsked = (string?)e.Message?["method"] == "tools/call" ? gateway.Streams.Count : openWhenAsked;
            return false;
        };

        store.Hold();
        var posting = client.CallAsync(tool, id: "\"c\"");
        await gateway.UntilAsync(() => store.Waiting == 1, "the call is on its way to the store");
        gateway.Advance(TimeSpan.FromSeconds(3));
        Assert.False(posting.IsCompleted);
        Assert.Empty(gateway.Upstream.Messages("tools/call"));
        Assert.Equal(1, gateway.Runner.Running);
        store.Release();

        using var reply = await Limit.Of(posting, "the head");
        Assert.Equal(1000, (await reply.Events.NextAsync())!.Retry);
        Assert.True((await reply.Events.NextAsync())!.IsPrimer);
        var call = await gateway.Upstream.CallAsync();
        Assert.Equal(1, openWhenAsked);
        var record = Assert.Single(await store.FindRunningCallsAsync(CancellationToken.None));
        Assert.Equal((client.SessionId, "one", StreamState.Running), (record.SessionId, record.Server, record.State));
        Assert.Equal(["\"c\""], record.RequestIds);
        Assert.NotNull(record.Replica);

        call.Text("done");
        var answer = await reply.Events.EventAsync();
        Assert.Equal("done", answer.Message.Text());
        Assert.NotNull(answer.Id);
        Assert.Null(await reply.Events.NextAsync());
        Assert.Empty(await store.FindRunningCallsAsync(CancellationToken.None));
    }

    [Fact]
    public async Task Call_StoreAway_Is503WithRetryAfter_AndItsServerHearsNothing()
    {
        var (gateway, store) = await StartAsync();
        await using var stopping = gateway;
        var client = await gateway.ClientAsync();

        store.IsAway = true;
        using (var refused = await Limit.Of(client.CallAsync("echo", id: "\"r\""), "the refusal"))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.Status);
            Assert.Equal("2", refused.Header("Retry-After"));
            Assert.Equal("application/json", refused.Header("Content-Type"));
            var error = await refused.MessageAsync();
            Assert.Equal(("\"r\"", "not_recorded", "no"), (error.RawId(), error.Reason(), error.Executed()));
        }

        Assert.Empty(gateway.Upstream.Messages("tools/call"));
        Assert.Equal(0, gateway.Runner.Running);
        Assert.Equal(["mooring_call_duration_seconds_count{server=\"one\",outcome=\"not_recorded\"} 1"], await gateway.MetricsAsync("mooring_call_duration_seconds_count{"));
        store.IsAway = false;
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task Call_StoreAwayAndTheClientReadsOnlyStreams_IsAnErrorOnTheStream()
    {
        var (gateway, store) = await StartAsync();
        await using var stopping = gateway;
        var client = await gateway.ClientAsync();

        store.IsAway = true;
        using var reply = await Limit.Of(client.CallAsync("echo", accept: "text/event-stream"), "the head");

        Assert.Equal("not_recorded", (await reply.MessageAsync()).Reason());
        Assert.Empty(gateway.Upstream.Messages("tools/call"));
        store.IsAway = false;
        using var again = await Limit.Of(client.CallAsync("echo", accept: "text/event-stream"), "the head");
        Assert.Equal("nothing", (await again.MessageAsync()).Text());
        Assert.True(again.Events.Seen[1].IsPrimer);
    }

    [Theory]
    [InlineData("2025-06-18", "application/json, text/event-stream")]
    [InlineData("2025-03-26", "application/json, text/event-stream")]
    [InlineData("2024-11-05", "application/json, text/event-stream")]
    [InlineData("2025-11-25", "application/json")]
    public async Task Call_ClientWithNothingToComeBackWith_IsAnsweredAsEver(string version, string accept)
    {
        var (gateway, store) = await StartAsync();
        await using var stopping = gateway;
        var client = await gateway.ClientAsync(version);

        store.IsAway = true;
        using var reply = await Limit.Of(client.CallAsync("echo", accept: accept), "the answer");

        Assert.False(reply.IsStream);
        Assert.Equal("nothing", (await reply.MessageAsync()).Text());
    }

    [Fact]
    public async Task Call_CancelledWhileItIsRecorded_ReachesNoServer()
    {
        var (gateway, store) = await StartAsync();
        await using var stopping = gateway;
        var client = await gateway.ClientAsync();
        store.Hold();
        var posting = client.CallAsync("slow", id: "7");
        await gateway.UntilAsync(() => store.Waiting == 1, "the call is on its way to the store");

        await client.NotifyAsync("notifications/cancelled", """{"requestId":7}""");
        store.Release();

        using var reply = await Limit.Of(posting, "the head");
        Assert.DoesNotContain(await reply.Events.RestAsync(), e => e.IsMessage);
        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call is over");
        Assert.Empty(gateway.Upstream.Messages("tools/call"));
        Assert.Equal(0, gateway.Session(client).RunningCalls);
        using var resumed = await client.GetAsync(reply.Events.LastEventId);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, resumed.Status);
    }

    [Fact]
    public async Task Call_ClientLeavesWhileItIsRecorded_ReachesNoServer()
    {
        var (gateway, store) = await StartAsync();
        await using var stopping = gateway;
        var client = await gateway.ClientAsync();
        using var leaving = new CancellationTokenSource();
        store.Hold();
        var posting = client.CallAsync("slow", cancel: leaving.Token);
        await gateway.UntilAsync(() => store.Waiting == 1, "the call is on its way to the store");

        await leaving.CancelAsync();
        store.Release();
        await Limit.Of(Task.WhenAny(posting), "the end of the request");

        await gateway.UntilAsync(() => gateway.Runner.Running == 0 && gateway.Session(client).Connections == 0, "the call is over");
        Assert.Empty(gateway.Upstream.Messages("tools/call"));
        await gateway.UntilAsync(() => store.FindRunningCallsAsync(CancellationToken.None).Result.Count == 0, "its record is closed");
    }

    [Fact]
    public async Task Call_ClientLeavesAfterThePrimer_GoesOnAndIsAnsweredToWhoeverComesBack()
    {
        var (gateway, _) = await StartAsync();
        await using var stopping = gateway;
        var client = await gateway.ClientAsync();
        var reply = await Limit.Of(client.CallAsync("slow"), "the head");
        var call = await gateway.Upstream.CallAsync();
        await reply.Events.NextAsync();
        var primer = (await reply.Events.NextAsync())!;

        reply.Dispose();
        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the client is gone");
        call.Text("kept");

        await gateway.UntilAsync(() => gateway.Runner.Running == 0, "the call is over");
        using var resumed = await Limit.Of(client.GetAsync(primer.Id), "the rest");
        Assert.Equal("kept", (await resumed.MessageAsync()).Text());
        Assert.Equal(1, gateway.Upstream.Executions("slow"));
    }

    [Fact]
    public async Task Call_StoreTakesLong_TheServersDeadlineBeginsAfterIt()
    {
        var (gateway, store) = await StartAsync(s => s with { Deadline = TimeSpan.FromSeconds(10) });
        await using var stopping = gateway;
        var client = await gateway.ClientAsync();
        store.Hold();
        var posting = client.CallAsync("slow");
        await gateway.UntilAsync(() => store.Waiting == 1, "the call is on its way to the store");
        gateway.Advance(TimeSpan.FromSeconds(3));
        store.Release();
        using var reply = await Limit.Of(posting, "the head");
        var call = await gateway.Upstream.CallAsync();

        gateway.Advance(TimeSpan.FromSeconds(9));
        call.Text("in time");

        Assert.Equal("in time", (await reply.MessageAsync()).Text());
    }

    [Fact]
    public async Task Call_StoreTakesTooLong_Is503BeforeProxiesGiveUp_AndNeverReachesTheServer()
    {
        var (gateway, store) = await StartAsync();
        await using var stopping = gateway;
        var client = await gateway.ClientAsync();
        store.Hold();
        var posting = client.CallAsync("slow");
        await gateway.UntilAsync(() => store.Waiting == 1, "the call is on its way to the store");

        using var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(5), "the refusal");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, reply.Status);
        Assert.NotNull(reply.Header("Retry-After"));
        Assert.Equal("not_recorded", (await reply.MessageAsync()).Reason());
        var isClosed = false;
        store.Before = operation =>
        {
            isClosed |= operation == "SetStreamStateAsync";
            return Task.CompletedTask;
        };
        store.Release();

        await gateway.UntilAsync(() => isClosed && gateway.Runner.Running == 0 && store.FindRunningCallsAsync(CancellationToken.None).Result.Count == 0, "its record is closed");
        Assert.Empty(gateway.Upstream.Messages("tools/call"));
    }

    [Fact]
    public async Task Call_StoreTookTheRecordAndItsAnswerIsLost_Is503_AndTheRecordIsClosed()
    {
        var (gateway, store) = await StartAsync();
        await using var stopping = gateway;
        var client = await gateway.ClientAsync();
        store.LosesAnswers = true;
        var isClosed = false;
        store.Before = operation =>
        {
            isClosed |= operation == "SetStreamStateAsync";
            return Task.CompletedTask;
        };
        using var reply = await gateway.PassTimeAsync(client.CallAsync("slow"), TimeSpan.FromSeconds(5), "the refusal");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, reply.Status);
        store.LosesAnswers = false;

        await gateway.UntilAsync(() => isClosed && store.FindRunningCallsAsync(CancellationToken.None).Result.Count == 0, "its record is closed");
        Assert.Empty(gateway.Upstream.Messages("tools/call"));
    }

    [Theory]
    [InlineData("slow", true, true)]
    [InlineData("reads", true, false)]
    [InlineData("repeats", true, false)]
    [InlineData("allowed", true, false)]
    [InlineData("forbidden", true, true)]
    [InlineData("unlisted", true, true)]
    [InlineData("quick", true, false)]
    [InlineData("kept", true, true)]
    [InlineData("slow", false, false)]
    [InlineData("forbidden", false, false)]
    [InlineData("kept", false, true)]
    public async Task Default_ByToolAndStore(string tool, bool isShared, bool isDurable)
    {
        var clock = new FakeClock();
        var store = isShared ? SharedStore.On(clock) : null;
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Clock = clock, Shared = store, Server = s => s with { Tools = Rules } }, Tools());

        await AssertCommitAsync(gateway, tool, isDurable);
    }

    [Theory]
    [InlineData(CommitRule.Durable, "reads", true)]
    [InlineData(CommitRule.Durable, "quick", false)]
    [InlineData(CommitRule.Durable, "automatic", false)]
    [InlineData(CommitRule.Fast, "slow", false)]
    [InlineData(CommitRule.Fast, "kept", true)]
    public async Task Configured_ToolComesBeforeServer_AndServerBeforeTheDefault(CommitRule server, string tool, bool isDurable)
    {
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Server = s => s with { Commit = server, Tools = Rules } }, Tools());

        await AssertCommitAsync(gateway, tool, isDurable);
    }

    [Fact]
    public async Task OtherRequests_OfADurableServer_TouchNoStore()
    {
        var (gateway, store) = await StartAsync();
        await using var stopping = gateway;
        var client = await gateway.ClientAsync();
        gateway.Upstream.Intercept = e =>
        {
            var reads = (string?)e.Message?["method"] == "resources/read";
            if (reads)
            {
                e.Result("""{"contents":[]}""");
            }

            return reads;
        };

        store.IsAway = true;
        using var reply = await Limit.Of(client.RequestAsync("resources/read", """{"uri":"test://one/a"}"""), "the answer");

        Assert.Equal(HttpStatusCode.OK, reply.Status);
        Assert.NotNull((await reply.MessageAsync())["result"]);
    }

    private static readonly Dictionary<string, ToolConfig> Rules = new(StringComparer.Ordinal)
    {
        ["allowed"] = new() { Replay = true },
        ["forbidden"] = new() { Replay = false },
        ["quick"] = new() { Commit = CommitRule.Fast },
        ["kept"] = new() { Commit = CommitRule.Durable },
        ["automatic"] = new() { Commit = CommitRule.Default },
    };

    private static FakeUpstream Tools() => new FakeUpstream()
        .Hold("slow").Hold("reads", readOnly: true).Hold("repeats", idempotent: true).Hold("allowed").Hold("forbidden", readOnly: true)
        .Hold("quick").Hold("kept", readOnly: true).Hold("automatic");

    /// <summary>A durable call has its head before it is answered and before the grace is over; a fast one is one JSON object.</summary>
    private static async Task AssertCommitAsync(GatewayFixture gateway, string tool, bool isDurable)
    {
        var client = await gateway.ClientAsync();
        using var list = await client.RequestAsync("tools/list");
        var posting = client.CallAsync(tool);
        var call = await gateway.Upstream.CallAsync();
        if (isDurable)
        {
            await Limit.Of(posting, "the head of a durable call");
        }

        call.Text("done");
        using var reply = await Limit.Of(posting, "the answer");
        Assert.Equal(isDurable, reply.IsStream);
        Assert.Equal("done", (await reply.MessageAsync()).Text());
    }

    private static async Task<(GatewayFixture Gateway, FaultyStore Store)> StartAsync(Func<ServerConfig, ServerConfig>? server = null)
    {
        FaultyStore store = null!;
        var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Store = time => store = new FaultyStore(time), Server = s => (server ?? (x => x))(s with { Commit = CommitRule.Durable }) },
            new FakeUpstream().Hold("slow"));
        return (gateway, store);
    }
}
