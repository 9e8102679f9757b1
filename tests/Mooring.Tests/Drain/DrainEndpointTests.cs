using System.Net;
using System.Text.Json.Nodes;
using Mooring.Drain;
using Xunit;

namespace Mooring.Tests.Drain;

/// <summary>A drain that somebody asks for while the gateway runs: it happens once, tells how far it is, and leaves the process to its signal.</summary>
public sealed class DrainEndpointTests
{
    private const string Path = "/admin/api/drain";

    private static readonly TimeSpan Whole = TimeSpan.FromSeconds(45);

    [Fact]
    public async Task Get_BeforeAnyDrain_TellsOfNone()
    {
        await using var gateway = await GatewayFixture.StartAsync();

        using var reply = await SendAsync(gateway, HttpMethod.Get);

        Assert.Equal(HttpStatusCode.OK, reply.Status);
        var told = await reply.MessageAsync();
        Assert.Null((string?)told["stage"]);
        Assert.False((bool)told["done"]!);
        Assert.Null(gateway.Drain.Stage);
    }

    [Fact]
    public async Task Post_Twice_IsOneDrain()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        using var listening = await gateway.ListenAsync(await gateway.ClientAsync());

        using var first = await SendAsync(gateway, HttpMethod.Post);
        gateway.Advance(TimeSpan.FromSeconds(2));
        using var second = await SendAsync(gateway, HttpMethod.Post);

        Assert.Equal((HttpStatusCode.Accepted, HttpStatusCode.Accepted), (first.Status, second.Status));
        Assert.Equal(
            """{"stage":"unready","sessions":1,"streams":1,"calls":0,"seconds":0,"secondsAtMost":39,"cutOff":0,"done":false}""", await first.BodyAsync());
        var told = await second.MessageAsync();
        Assert.Equal(("unready", 2.0), ((string?)told["stage"], (double)told["seconds"]!));
        await gateway.PassTimeAsync(gateway.Drain.RunAsync(CancellationToken.None), Whole, "the drain is over");
        using var third = await SendAsync(gateway, HttpMethod.Post);
        Assert.Equal(HttpStatusCode.OK, third.Status);
        told = await third.MessageAsync();
        Assert.Equal(("drained", true, 0), ((string?)told["stage"], (bool)told["done"]!, (int)told["cutOff"]!));
        Assert.InRange((double)told["seconds"]!, 5, 6);
        Assert.Single(gateway.LogLines.Lines, line => line.Contains("DrainStage: Drain: Unready", StringComparison.Ordinal));
        Assert.Single(gateway.LogLines.Lines, line => line.Contains("Drained: ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Post_NobodyConnected_ServesForTheDelayAllTheSame()
    {
        await using var gateway = await GatewayFixture.StartAsync();

        using var begun = await SendAsync(gateway, HttpMethod.Post);
        gateway.Advance(TimeSpan.FromSeconds(4));

        Assert.Equal(DrainStage.Unready, gateway.Drain.Stage);
        using (var ready = await gateway.Http.GetAsync("/ready", TestContext.Current.CancellationToken))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        }

        var late = await gateway.ClientAsync();
        Assert.Equal("nothing", (await late.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task Drained_NewWorkIs503_TheProcessIsHealthy_AndAStopDoesNotDrainAgain()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        using var begun = await SendAsync(gateway, HttpMethod.Post);
        await gateway.PassTimeAsync(gateway.Drain.Begin(evenIfIdle: true), Whole, "the drain is over");

        using var late = await client.CallAsync("echo");
        using var health = await gateway.Http.GetAsync("/health", TestContext.Current.CancellationToken);
        using var ready = await gateway.Http.GetAsync("/ready", TestContext.Current.CancellationToken);
        var before = gateway.Clock.Elapsed;
        await Limit.Of(gateway.Drain.RunAsync(CancellationToken.None), "the drain, which is over");

        Assert.Equal((HttpStatusCode.ServiceUnavailable, "1"), (late.Status, late.Header("Retry-After")));
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.ServiceUnavailable), (health.StatusCode, ready.StatusCode));
        Assert.Equal(before, gateway.Clock.Elapsed);
    }

    [Fact]
    public async Task Signal_WhileADrainRuns_WaitsForThatOne()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync("2025-06-18");
        var (stream, call) = await gateway.StreamedAsync(client);
        using var reply = stream;
        using var begun = await SendAsync(gateway, HttpMethod.Post);
        await gateway.UntilAsync(() => gateway.Drain.Stage == DrainStage.FinishCalls, "calls may finish", TimeSpan.FromSeconds(6));

        using var impatient = new CancellationTokenSource();
        var waiting = gateway.Drain.RunAsync(CancellationToken.None);
        var leaving = gateway.Drain.RunAsync(impatient.Token);
        await impatient.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaving);
        Assert.Equal((DrainStage.FinishCalls, false), (gateway.Drain.Stage, waiting.IsCompleted));
        call.Text("finished");
        Assert.Equal("finished", (await reply.MessageAsync()).Text());
        await gateway.PassTimeAsync(waiting, TimeSpan.FromSeconds(3), "the drain is over");
    }

    [Fact]
    public async Task Events_TellEachChangeAndEachSecond_AndEndWithTheDrain()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("stuck"));
        var older = await gateway.ClientAsync("2025-06-18");
        using var listening = await gateway.ListenAsync(older);
        var (held, _) = await gateway.StreamedAsync(older, "stuck");
        using var reply = held;

        using var watching = await Limit.Of(SendAsync(gateway, HttpMethod.Post, ("Accept", "text/event-stream")), "the head of the events");
        var first = await watching.Events.MessageAsync();
        Assert.Equal(("unready", 2, 1), ((string?)first["stage"], (int)first["streams"]!, (int)first["calls"]!));
        await gateway.PassTimeAsync(gateway.Drain.RunAsync(CancellationToken.None), Whole, "the drain is over");
        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the events ended", TimeSpan.FromSeconds(1));
        await watching.Events.RestAsync();

        var told = watching.Events.Seen.Where(e => e.IsMessage).Select(e => e.Message).ToList();
        var stages = told.Select(e => (string?)e["stage"]).Distinct().ToList();
        Assert.Equal(["unready", "finishing_calls", "drained"], stages.Where(s => s is not ("closing_streams" or "aborting_rest")));
        Assert.Contains(told, e => (string?)e["stage"] == "finishing_calls" && (int)e["streams"]! == 1);
        Assert.Equal((true, 1, 0, 0), ((bool)told[^1]["done"]!, (int)told[^1]["cutOff"]!, (int)told[^1]["calls"]!, (int)told[^1]["streams"]!));
        Assert.Single(told, e => (bool)e["done"]!);
        var gaps = told.Zip(told.Skip(1), (a, b) => (double)b["seconds"]! - (double)a["seconds"]!);
        Assert.All(gaps, gap => Assert.InRange(gap, 0, 1.05));
    }

    [Fact]
    public async Task Events_TooManyWatch_Is429()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var watchers = new List<TestReply>();
        for (var i = 0; i < 8; i++)
        {
            watchers.Add(await Limit.Of(SendAsync(gateway, HttpMethod.Get, ("Accept", "text/event-stream")), "the head of the events"));
        }

        using (var more = await SendAsync(gateway, HttpMethod.Get, ("Accept", "text/event-stream")))
        {
            Assert.Equal((HttpStatusCode.TooManyRequests, "5"), (more.Status, more.Header("Retry-After")));
        }

        var told = await watchers[0].Events.MessageAsync();
        Assert.Equal((null, 0), ((string?)told["stage"], (int)told["streams"]!));
        watchers.ForEach(watcher => watcher.Dispose());
        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "they left", TimeSpan.FromSeconds(1));
        var taken = false;
        for (var tries = 0; tries < 100 && !taken; tries++)
        {
            // A place is free a moment after its stream has left the table.
            using var again = await Limit.Of(SendAsync(gateway, HttpMethod.Get, ("Accept", "text/event-stream")), "the head of the events");
            taken = again.Status == HttpStatusCode.OK;
        }

        Assert.True(taken, "no place became free");
    }

    [Theory]
    [InlineData("Origin", "http://localhost:3000")]
    [InlineData("Origin", "https://evil.example")]
    [InlineData("Origin", "null")]
    [InlineData("Sec-Fetch-Site", "cross-site")]
    [InlineData("Sec-Fetch-Site", "same-site")]
    [InlineData("Host", "evil.example")]
    [InlineData("Host", "mcp.example.com")]
    [InlineData("X-Forwarded-For", "127.0.0.1")]
    [InlineData("X-Original-For", "127.0.0.1:1234")]
    [InlineData("Forwarded", "for=127.0.0.1")]
    [InlineData("Via", "1.1 proxy")]
    [InlineData("X-Test-Address", "10.0.0.7")]
    [InlineData("X-Test-Address", "::ffff:10.0.0.7")]
    public async Task AnyoneButALocalProgram_Is403AndChangesNothing(string header, string value)
    {
        // What the MCP paths allow counts for nothing here.
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Config = c => c with { Hosts = ["mcp.example.com"], Origins = ["https://evil.example"] } });

        foreach (var method in new[] { HttpMethod.Post, HttpMethod.Get })
        {
            using var reply = await SendAsync(gateway, method, (header, value));
            Assert.Equal((HttpStatusCode.Forbidden, "application/json"), (reply.Status, reply.Header("Content-Type")));
            Assert.NotNull((string?)(await reply.MessageAsync())["error"]);
            Assert.Null(reply.Header("Access-Control-Allow-Origin"));
        }

        Assert.Null(gateway.Drain.Stage);
        using var ready = await gateway.Http.GetAsync("/ready", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, ready.StatusCode);
    }

    [Theory]
    [InlineData("Host", "127.0.0.1:3000")]
    [InlineData("Host", "[::1]:3000")]
    [InlineData("Host", "LOCALHOST")]
    [InlineData("X-Test-Address", "::1")]
    [InlineData("X-Test-Address", "::ffff:127.0.0.1")]
    public async Task LocalProgram_ByAnyLoopbackName_MayAsk(string header, string value)
    {
        await using var gateway = await GatewayFixture.StartAsync();

        using var reply = await SendAsync(gateway, HttpMethod.Get, (header, value));

        Assert.Equal(HttpStatusCode.OK, reply.Status);
    }

    [Fact]
    public async Task OtherMethods_Are405()
    {
        await using var gateway = await GatewayFixture.StartAsync();

        using var reply = await SendAsync(gateway, HttpMethod.Delete);

        Assert.Equal((HttpStatusCode.MethodNotAllowed, "GET,POST"), (reply.Status, reply.Header("Allow")?.Replace(" ", "", StringComparison.Ordinal)));
        Assert.Null(gateway.Drain.Stage);
    }

    private static async Task<TestReply> SendAsync(GatewayFixture gateway, HttpMethod method, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, Path);
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        return new TestReply(await gateway.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken));
    }
}
