using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Mooring.Drain;
using Xunit;

namespace Mooring.Tests.Drain;

/// <summary>A stop has stages (invariant 13).</summary>
public sealed class DrainTests
{
    [Fact]
    public async Task Drain_FromStartToEnd_KeepsTheOrderOfItsStages()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow").Hold("stuck"));
        var client = await gateway.ClientAsync();
        var older = await gateway.ClientAsync("2025-06-18");
        using var listening = await gateway.ListenAsync(client);
        var (postReply, slow) = await gateway.StreamedAsync(client);
        using var post = postReply;
        var (olderReply, stuck) = await gateway.StreamedAsync(older, "stuck");
        using var olderPost = olderReply;
        var draining = gateway.Drain.RunAsync(CancellationToken.None);

        // Unready, but serving everything, new sessions too.
        using (var ready = await gateway.Http.GetAsync("/ready", TestContext.Current.CancellationToken))
        using (var health = await gateway.Http.GetAsync("/health", TestContext.Current.CancellationToken))
        {
            Assert.Equal((HttpStatusCode.ServiceUnavailable, HttpStatusCode.OK), (ready.StatusCode, health.StatusCode));
        }

        var late = await gateway.ClientAsync();
        Assert.Equal("nothing", (await late.ResultAsync("echo")).Text());
        gateway.Advance(TimeSpan.FromSeconds(4));
        Assert.Equal((DrainStage.Unready, 3), (gateway.Drain.Stage, gateway.Streams.Count));

        // Streams that can come back are sent away; the older version's call stays.
        await gateway.UntilAsync(() => gateway.Drain.Stage == DrainStage.FinishCalls, "the streams are closed", TimeSpan.FromSeconds(2));
        foreach (var stream in new[] { listening, post })
        {
            var rest = await stream.Events.RestAsync();
            Assert.InRange(rest[^1].Retry!.Value, 1000, 5000);
        }

        Assert.Equal(1, gateway.Streams.Count);

        // Calls go on meanwhile, and their answers wait where the client can come for them.
        slow.Text("finished");
        await gateway.UntilAsync(() => gateway.Runner.Running == 1, "one call finished");
        using (var resumed = await client.GetAsync(post.Events.LastEventId))
        {
            Assert.Equal("finished", (await resumed.MessageAsync()).Text());
        }

        // What does not finish is told so.
        await gateway.PassTimeAsync(draining, TimeSpan.FromSeconds(40), "the drain is over");
        Assert.Equal("draining", (await olderPost.MessageAsync()).Reason());
        Assert.Equal(DrainStage.AbortRest, gateway.Drain.Stage);
        Assert.True(stuck.Aborted.IsCancellationRequested);
    }

    /// <summary>An application that embeds the gateway gets its signal; the gateway hears of it when its host stops.</summary>
    [Fact]
    public async Task Host_StopsAndNobodyDrained_DoesSoFirst_WithinTheTimeThatItHas()
    {
        await using var gateway = await StartAsync(hostWaits: TimeSpan.FromMinutes(20), new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync("2025-06-18");
        using var listening = await gateway.ListenAsync(client);
        var (reply, slow) = await gateway.StreamedAsync(client);
        using var post = reply;

        var stopping = gateway.StopAsync();
        await gateway.UntilAsync(() => gateway.Drain.Stage == DrainStage.FinishCalls, "streams were sent away", TimeSpan.FromSeconds(6));
        Assert.InRange((await listening.Events.RestAsync())[^1].Retry!.Value, 1000, 5000);
        slow.Text("finished");
        Assert.Equal("finished", (await post.MessageAsync()).Text());
        await gateway.PassTimeAsync(stopping, TimeSpan.FromSeconds(10), "the host stopped");
    }

    [Fact]
    public async Task Host_StopsAndHasLessTimeThanTheDrain_CallsAreToldBeforeItIsOver()
    {
        await using var gateway = await StartAsync(hostWaits: TimeSpan.FromSeconds(200), new FakeUpstream().Hold("slow"), grace: TimeSpan.FromHours(1));
        var (reply, _) = await gateway.StreamedAsync(await gateway.ClientAsync("2025-06-18"));
        using var post = reply;

        var stopping = gateway.StopAsync();
        await gateway.PassTimeAsync(stopping, TimeSpan.FromSeconds(200), "the host stopped");

        Assert.Equal("draining", (await post.MessageAsync()).Reason());
    }

    [Fact]
    public async Task Drain_CallsFinish_DoesNotWaitForTheWholeGrace()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync("2025-06-18");
        var (stream, call) = await gateway.StreamedAsync(client);
        using var reply = stream;
        var began = gateway.Clock.Elapsed;
        var draining = gateway.Drain.RunAsync(CancellationToken.None);
        await gateway.UntilAsync(() => gateway.Drain.Stage == DrainStage.FinishCalls, "calls may finish", TimeSpan.FromSeconds(6));

        call.Text("finished");
        Assert.Equal("finished", (await reply.MessageAsync()).Text());
        await gateway.PassTimeAsync(draining, TimeSpan.FromSeconds(40), "the drain is over");

        Assert.InRange((gateway.Clock.Elapsed - began).TotalSeconds, 5, 10);
    }

    [Fact]
    public async Task Drain_StreamThatWasResumed_EndsLikeTheOthers()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        string? id;
        using (var first = await gateway.ListenAsync(client))
        {
            gateway.Tell(client, "0");
            id = (await first.Events.EventAsync()).Id;
        }

        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is lost");
        using var resumed = await gateway.ListenAsync(client, id);

        await gateway.PassTimeAsync(gateway.Drain.RunAsync(CancellationToken.None), TimeSpan.FromSeconds(40), "the drain is over");

        Assert.InRange((await resumed.Events.RestAsync())[^1].Retry!.Value, 1000, 5000);
        Assert.Equal(0, gateway.Streams.Count);
    }

    [Theory]
    [InlineData("2025-11-25")]
    [InlineData("2026-07-28")]
    public async Task Drain_NobodyWasHeardOfForAMinute_IsOverAtOnce(string version)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        await CallOnceAsync(gateway, version);
        gateway.Advance(TimeSpan.FromSeconds(61));
        var began = gateway.Clock.Elapsed;

        await Limit.Of(gateway.Drain.RunAsync(CancellationToken.None), "the drain");

        Assert.Equal(began, gateway.Clock.Elapsed);
    }

    /// <summary>Clients that open a connection for each request are not seen between two of them, and would be refused one.</summary>
    [Theory]
    [InlineData("2025-11-25")]
    [InlineData("2026-07-28")]
    public async Task Drain_SomebodyWasHeardOfLately_ServesForTheDelay(string version)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        await CallOnceAsync(gateway, version);
        gateway.Advance(TimeSpan.FromSeconds(50));

        var draining = gateway.Drain.RunAsync(CancellationToken.None);
        gateway.Advance(TimeSpan.FromSeconds(4));

        Assert.Equal(DrainStage.Unready, gateway.Drain.Stage);
        await CallOnceAsync(gateway, version);
        await gateway.PassTimeAsync(draining, TimeSpan.FromSeconds(6), "the drain is over");
    }

    private static async Task CallOnceAsync(GatewayFixture gateway, string version)
    {
        if (version == "2026-07-28")
        {
            using var reply = await new StatelessClient(gateway.Http).CallAsync("echo");
            Assert.Equal("nothing", (await reply.MessageAsync()).Text());
        }
        else
        {
            Assert.Equal("nothing", (await (await gateway.ClientAsync(version)).ResultAsync("echo")).Text());
        }

        await gateway.UntilAsync(() => gateway.Sessions.All.All(s => s.Connections == 0) && gateway.Runner.Running == 0, "nobody is connected");
    }

    [Fact]
    public async Task Drain_FromItsFirstStage_AnswersTellTheConnectionToClose()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        using var listening = await gateway.ListenAsync(client);
        Assert.Null(listening.Header("Connection"));

        var draining = gateway.Drain.RunAsync(CancellationToken.None);

        using (var call = await client.CallAsync("echo"))
        using (var stream = await client.GetAsync())
        using (var unknown = await gateway.NewClient().DeleteAsync(("Mcp-Session-Id", "nobody")))
        {
            Assert.Equal((DrainStage.Unready, HttpStatusCode.OK), (gateway.Drain.Stage, call.Status));
            Assert.All([call, stream, unknown], reply => Assert.Equal("close", reply.Header("Connection")));
        }

        await gateway.PassTimeAsync(draining, TimeSpan.FromSeconds(40), "the drain is over");
    }

    [Theory]
    [InlineData("POST", "/mcp")]
    [InlineData("GET", "/servers/one/mcp")]
    [InlineData("GET", "/sse")]
    [InlineData("POST", "/messages?sessionId=x")]
    public async Task Drain_LastStage_WhatComesNowIs503WithRetryAfter(string method, string path)
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("stuck"));
        var older = await gateway.ClientAsync("2025-06-18");
        var (held, _) = await gateway.StreamedAsync(older, "stuck");
        using var reply = held;
        var draining = gateway.Drain.RunAsync(CancellationToken.None);
        await gateway.UntilAsync(() => gateway.Drain.Stage == DrainStage.FinishCalls, "calls may finish", TimeSpan.FromSeconds(6));
        // New sessions too, up to here.
        await gateway.ClientAsync();
        await gateway.PassTimeAsync(draining, TimeSpan.FromSeconds(40), "the drain is over");
        Assert.Equal(DrainStage.AbortRest, gateway.Drain.Stage);

        var client = gateway.NewClient(path: path);
        using var late = method == "GET" ? await client.GetAsync() : await client.PostAsync("""{"jsonrpc":"2.0","id":1,"method":"ping"}""");

        Assert.Equal((HttpStatusCode.ServiceUnavailable, "1"), (late.Status, late.Header("Retry-After")));
        Assert.Equal(-32000, (await late.MessageAsync()).ErrorCode());
        Assert.Equal("close", late.Header("Connection"));
    }

    [Fact]
    public async Task Drain_ManyStreams_AreSpreadOverTheWindow()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var streams = new List<TestReply>();
        for (var i = 0; i < 12; i++)
        {
            streams.Add(await gateway.ListenAsync(await gateway.ClientAsync()));
        }

        var draining = gateway.Drain.RunAsync(CancellationToken.None);
        await gateway.PassTimeAsync(draining, TimeSpan.FromSeconds(40), "the drain is over");

        var retries = new HashSet<int>();
        foreach (var stream in streams)
        {
            var last = (await stream.Events.RestAsync())[^1];
            Assert.InRange(last.Retry!.Value, 1000, 5000);
            retries.Add(last.Retry.Value);
            stream.Dispose();
        }

        Assert.True(retries.Count > 3, "they are told different times");
    }

    private static Task<GatewayFixture> StartAsync(TimeSpan hostWaits, FakeUpstream upstream, TimeSpan? grace = null) => GatewayFixture.StartAsync(
        new FixtureOptions
        {
            Config = c => c with { Drain = c.Drain with { Grace = grace ?? c.Drain.Grace } },
            // A host has the system's clock, so this is far more than a test takes.
            Services = services => services.Configure<HostOptions>(host => host.ShutdownTimeout = hostWaits),
        },
        upstream);
}
