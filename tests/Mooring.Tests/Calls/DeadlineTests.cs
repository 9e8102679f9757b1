using Mooring.Configuration;
using Mooring.Upstreams;
using Xunit;

namespace Mooring.Tests.Calls;

/// <summary>How long a call may take, cancelling, and how a slow or dead server costs only its own calls (invariant 11).</summary>
public sealed class DeadlineTests
{
    [Fact]
    public async Task Call_SilentForTheDeadline_TimesOutAndIsCancelledAtTheServer()
    {
        await using var gateway = await StartAsync(s => s with { Deadline = TimeSpan.FromSeconds(10) });
        var client = await gateway.ClientAsync();
        var (stream, call) = await gateway.StreamedAsync(client);
        using var reply = stream;

        gateway.Advance(TimeSpan.FromSeconds(9));
        Assert.Equal(1, gateway.Runner.Running);
        gateway.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal("timed_out", (await reply.MessageAsync()).Reason());
        Assert.True(call.Aborted.IsCancellationRequested);
        await gateway.UntilAsync(() => gateway.Upstream.Messages("notifications/cancelled").Count == 1, "the server is told");
        Assert.Equal(call.Id, gateway.Upstream.Messages("notifications/cancelled")[0]["params"]!["requestId"]!.ToJsonString());
    }

    [Fact]
    public async Task Call_ProgressInTime_ExtendsTheDeadlineUpToTheHardCap()
    {
        await using var gateway = await StartAsync(
            s => s with { Deadline = TimeSpan.FromSeconds(10) }, c => c with { Calls = c.Calls with { HardCap = TimeSpan.FromSeconds(35) } });
        var client = await gateway.ClientAsync();
        var posting = client.CallAsync("slow", meta: """{"progressToken":1}""");
        var call = await gateway.Upstream.CallAsync();
        await call.ProgressAsync(0);
        using var reply = await Limit.Of(posting, "the head");
        await reply.MessageAsync();

        for (var i = 1; i <= 4; i++)
        {
            gateway.Advance(TimeSpan.FromSeconds(8));
            await call.ProgressAsync(i);
            Assert.Equal(i, (int)(await reply.MessageAsync())["params"]!["progress"]!);
        }

        gateway.Advance(TimeSpan.FromSeconds(4));
        var answer = await reply.MessageAsync();
        Assert.Equal("timed_out", answer.Reason());
        Assert.Contains("hard cap", (string?)answer["error"]!["message"]);
    }

    [Fact]
    public async Task Cancel_ByTheClient_ReachesTheServerWithItsIdAndHasNoResponse()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var (stream, call) = await gateway.StreamedAsync(client, id: "\"mine\"");
        using var reply = stream;

        await client.NotifyAsync("notifications/cancelled", """{"requestId":"mine"}""");

        Assert.DoesNotContain(await reply.Events.RestAsync(), e => e.IsMessage);
        await gateway.UntilAsync(() => gateway.Upstream.Messages("notifications/cancelled").Count == 1, "the server is told");
        Assert.Equal(call.Id, gateway.Upstream.Messages("notifications/cancelled")[0]["params"]!["requestId"]!.ToJsonString());
    }

    [Fact]
    public async Task Cancel_OfAnotherSessionsCall_DoesNothing()
    {
        await using var gateway = await StartAsync();
        var ann = await gateway.ClientAsync(user: "ann");
        var bob = await gateway.ClientAsync(user: "bob");
        var (stream, call) = await gateway.StreamedAsync(ann, id: "1");
        using var reply = stream;

        await bob.NotifyAsync("notifications/cancelled", """{"requestId":1}""");
        call.Text("still here");

        Assert.Equal("still here", (await reply.MessageAsync()).Text());
    }

    [Fact]
    public async Task Concurrency_Full_NextWaitsAndTheOneAfterIsRefused()
    {
        await using var gateway = await StartAsync(s => s with { Concurrency = 1, Queue = 1 });
        var client = await gateway.ClientAsync();
        var first = client.CallAsync("slow");
        var running = await gateway.Upstream.CallAsync();
        var second = client.CallAsync("slow");
        await gateway.UntilAsync(() => gateway.Runner.Running == 2, "the second call waits");

        var refused = await Limit.Of(client.ResultAsync("slow"), "the refusal of the third call");
        Assert.Equal(("busy", "no"), (refused.Reason(), refused.Executed()));
        Assert.False(gateway.Upstream.HasCall);

        running.Text("first");
        using var one = await Limit.Of(first, "the first answer");
        (await gateway.Upstream.CallAsync()).Text("second");
        using var two = await Limit.Of(second, "the second answer");
        Assert.Equal(("first", "second"), ((await one.MessageAsync()).Text(), (await two.MessageAsync()).Text()));
        Assert.Equal(2, gateway.Upstream.Executions("slow"));
    }

    [Fact]
    public async Task Cancel_OfAWaitingCall_FreesItsPlaceAndNeverReachesTheServer()
    {
        await using var gateway = await StartAsync(s => s with { Concurrency = 1, Queue = 1 });
        var client = await gateway.ClientAsync();
        var first = client.CallAsync("slow", id: "1");
        var running = await gateway.Upstream.CallAsync();
        var second = client.CallAsync("slow", id: "2");
        await gateway.UntilAsync(() => gateway.Runner.Running == 2, "the second call waits");

        await client.NotifyAsync("notifications/cancelled", """{"requestId":2}""");
        (await Limit.Of(second, "the end of the cancelled one")).Dispose();
        running.Text("first");
        (await Limit.Of(first, "the first answer")).Dispose();

        Assert.Equal(1, gateway.Upstream.Executions("slow"));
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task Server_Hangs_TheOtherServerIsUnhurt()
    {
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Server = s => s with { Concurrency = 1, Queue = 0 } }, new FakeUpstream("one").Hold("slow"), new FakeUpstream("two"));
        var client = await gateway.ClientAsync(path: "/mcp");
        using var list = await client.RequestAsync("tools/list");
        var hanging = client.CallAsync("one__slow");
        var call = await gateway.Upstream.CallAsync();

        Assert.Equal("nothing", (await client.ResultAsync("two__echo")).Text());
        Assert.Equal("busy", (await client.ResultAsync("one__echo")).Reason());
        call.Text("done");
        (await hanging).Dispose();
    }

    [Fact]
    public async Task Breaker_FiveFailures_RefusesAtOnceAndProbesForEver()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var upstream = gateway.Get<UpstreamTable>().Find("one")!;
        var down = true;
        var tries = 0;
        gateway.Upstream.Intercept = _ =>
        {
            Interlocked.Increment(ref tries);
            return down ? throw new HttpRequestException(HttpRequestError.ConnectionError, "scripted") : false;
        };

        for (var i = 0; i < UpstreamHealth.Threshold && !upstream.Health.IsAway; i++)
        {
            var failed = await gateway.PassTimeAsync(client.ResultAsync("echo"), TimeSpan.FromMinutes(1), "the answer");
            Assert.Equal(("upstream_unreachable", "no"), (failed.Reason(), failed.Executed()));
        }

        Assert.Equal(UpstreamState.Away, upstream.Health.State);
        var before = Volatile.Read(ref tries);
        Assert.Equal("upstream_unreachable", (await client.ResultAsync("echo")).Reason());
        Assert.Equal(before, Volatile.Read(ref tries));

        // Lists come from what is known, all the while (invariant 4).
        using (var list = await client.RequestAsync("tools/list"))
        {
            Assert.NotEmpty((await list.MessageAsync())["result"]!["tools"]!.AsArray());
        }

        for (var hours = 0; hours < 2; hours++)
        {
            gateway.Advance(TimeSpan.FromMinutes(30));
            before = Volatile.Read(ref tries);
            await gateway.UntilAsync(() => Volatile.Read(ref tries) > before, "it is probed again", TimeSpan.FromSeconds(40));
        }

        down = false;
        await gateway.UntilAsync(() => upstream.Health.State == UpstreamState.Ready, "the server is back", TimeSpan.FromSeconds(40));
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
    }

    private static Task<GatewayFixture> StartAsync(Func<ServerConfig, ServerConfig>? server = null, Func<MooringConfig, MooringConfig>? config = null) =>
        GatewayFixture.StartAsync(new FixtureOptions { Server = server ?? (s => s), Config = config ?? (c => c) }, new FakeUpstream().Hold("slow"));
}
