using System.Net;
using Microsoft.AspNetCore.Http;
using Mooring.Streams;
using Xunit;

namespace Mooring.Tests.Streams;

/// <summary>The byte per interval on every open stream (invariant 5), and readers that take nothing (invariant 12).</summary>
public sealed class KeepAliveTests
{
    [Theory]
    [InlineData("post")]
    [InlineData("get")]
    [InlineData("sse")]
    public async Task Stream_Silent_GetsACommentPerInterval(string kind)
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = await gateway.ClientAsync();
        using var reply = kind switch
        {
            "post" => (await gateway.StreamedAsync(client)).Reply,
            "get" => await gateway.ListenAsync(client),
            _ => await gateway.NewClient(path: "/servers/one/sse").GetAsync(),
        };
        Assert.Equal(HttpStatusCode.OK, reply.Status);
        await reply.Events.NextAsync();
        await reply.Events.NextAsync();

        gateway.Advance(TimeSpan.FromSeconds(11.9));
        Assert.False(reply.Events.HasNext);
        for (var i = 0; i < 3; i++)
        {
            gateway.Advance(i == 0 ? TimeSpan.FromSeconds(6.2) : TimeSpan.FromSeconds(18.1));
            var next = await reply.Events.NextAsync();
            Assert.Equal((true, null, null), (next!.Comment, next.Data, next.Id));
        }
    }

    [Fact]
    public async Task Comments_AreCountedByTransport_WithHowLateTheyWere()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        using var get = await gateway.ListenAsync(await gateway.ClientAsync());
        using var sse = await gateway.NewClient(path: "/servers/one/sse").GetAsync();
        foreach (var stream in new[] { get, sse })
        {
            await stream.Events.NextAsync();
            await stream.Events.NextAsync();
        }

        gateway.Advance(TimeSpan.FromSeconds(18.1));
        await get.Events.NextAsync();
        await sse.Events.NextAsync();

        Assert.Equal(
            ["mooring_keepalive_sent_total{transport=\"get\"} 1", "mooring_keepalive_sent_total{transport=\"sse\"} 1"],
            (await gateway.MetricsAsync("mooring_keepalive_sent_total{")).Order(StringComparer.Ordinal));
        Assert.Equal(["mooring_keepalive_lateness_seconds_count 2"], await gateway.MetricsAsync("mooring_keepalive_lateness_seconds_count"));
        var late = double.Parse((await gateway.MetricsAsync("mooring_keepalive_lateness_seconds_sum")).Single().Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
        Assert.InRange(late, 0, 2 * Heartbeat.Beat.TotalSeconds);
        Assert.Empty(await gateway.MetricsAsync("mooring_keepalive_failed_total{"));
    }

    [Fact]
    public async Task Stream_JustWrittenTo_IsNotDueBeforeItsInterval()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        using var stream = await gateway.ListenAsync(client);
        await stream.Events.NextAsync();
        await stream.Events.NextAsync();

        gateway.Advance(TimeSpan.FromSeconds(11));
        gateway.Tell(client, "x");
        await stream.Events.EventAsync();
        gateway.Advance(TimeSpan.FromSeconds(11.9));

        Assert.False(stream.Events.HasNext);
    }

    [Fact]
    public async Task NextKeepAlive_ManyTimes_IsSpreadOverTheJitterAndNeverOutside()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var now = gateway.Streams.Now;

        var seconds = Enumerable.Range(0, 2000).Select(_ => gateway.Clock.GetElapsedTime(now, gateway.Streams.NextKeepAlive()).TotalSeconds).ToList();

        Assert.InRange(seconds.Min(), 12, 12.5);
        Assert.InRange(seconds.Max(), 17.5, 18);
    }

    [Fact]
    public async Task Reader_TakesNothing_EndsAsSlowReaderAndCanResume()
    {
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Config = c => c with { Streams = c.Streams with { Buffer = 100_000 } } });
        var slow = await gateway.ClientAsync();
        var other = await gateway.ClientAsync();
        using var healthy = await gateway.ListenAsync(other);
        var stalled = await gateway.ListenAsync(slow);
        await stalled.Events.NextAsync();
        var primer = await stalled.Events.NextAsync();

        for (var i = 0; i < 12; i++)
        {
            gateway.Tell(slow, $"{i:00}{new string('x', 50_000)}");
        }

        await gateway.UntilAsync(() => gateway.Streams.Count == 1, "the slow reader's stream ended");
        await gateway.UntilAsync(() => gateway.LogLines.Lines.Any(l => l.Contains("slow_reader", StringComparison.Ordinal)), "the log names the slow reader");
        gateway.Tell(other, "unhurt");
        Assert.Equal("unhurt", (string?)(await healthy.Events.MessageAsync())["params"]!["data"]);
        stalled.Dispose();

        using var again = await gateway.ListenAsync(slow, primer!.Id);
        for (var i = 0; i < 12; i++)
        {
            Assert.Equal($"{i:00}", ((string?)(await again.Events.MessageAsync())["params"]!["data"])![..2]);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task Write_Fails_ClientHasVanishedAndTheOthersAreKeptAlive(int good)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var context = new DefaultHttpContext();
        context.Response.Body = new BreakingStream(good);
        var connection = new SseConnection(context, gateway.Streams, "get");
        var running = connection.RunAsync();
        using var other = await gateway.ListenAsync(await gateway.ClientAsync());
        await other.Events.NextAsync();
        await other.Events.NextAsync();

        gateway.Advance(TimeSpan.FromSeconds(18.1));

        await Limit.Of(running, "the end of the stream");
        Assert.Equal((StreamReason.ClientVanished, ClosedBy.Client), (connection.Reason, connection.By));
        Assert.True((await other.Events.NextAsync())!.Comment);
        Assert.Contains("""mooring_stream_duration_seconds_count{transport="get",reason="client_vanished",closed_by="client"} 1""", await gateway.MetricsAsync("mooring_stream_duration_seconds_count"));
        // The one whose first bytes did not get out was never owed a comment.
        Assert.Equal(["mooring_keepalive_sent_total{transport=\"get\"} 1"], await gateway.MetricsAsync("mooring_keepalive_sent_total{"));
        Assert.Equal(good == 0 ? [] : ["mooring_keepalive_failed_total{transport=\"get\"} 1"], await gateway.MetricsAsync("mooring_keepalive_failed_total{"));
    }

    [Fact]
    public async Task Reader_TakesNothingForTheWriteTimeout_EndsAsSlowReader()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        using var stalled = await gateway.ListenAsync(client);
        gateway.Tell(client, new string('x', 100_000));
        await gateway.Session(client).Outbox.Legacy!.SettleAsync();

        gateway.Advance(TimeSpan.FromSeconds(29));
        Assert.Equal(1, gateway.Streams.Count);
        gateway.Advance(TimeSpan.FromSeconds(2));

        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream ended");
        await gateway.UntilAsync(() => gateway.LogLines.Lines.Any(l => l.Contains("slow_reader", StringComparison.Ordinal)), "the log names the slow reader");
        Assert.Equal(["mooring_keepalive_failed_total{transport=\"get\"} 1"], await gateway.MetricsAsync("mooring_keepalive_failed_total{"));
    }

    [Fact]
    public async Task Reader_TakesUpAgain_IsKeptAliveWithinItsInterval()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        using var stream = await gateway.ListenAsync(client);
        await gateway.UntilAsync(() => gateway.Session(client).Outbox.IsConnected, "the session knows its stream");
        gateway.Tell(client, new string('x', 100_000));
        var log = gateway.Session(client).Outbox.Legacy!;
        await log.SettleAsync();

        // While it takes nothing, it is next looked at when the write timeout of 30 s is over.
        gateway.Advance(TimeSpan.FromSeconds(10));
        await stream.Events.MessageAsync();
        await gateway.UntilAsync(() => gateway.Clock.GetElapsedTime(gateway.Streams.Now, log.Connection!.Due) < TimeSpan.FromSeconds(18.1), "it has taken everything");
        gateway.Advance(TimeSpan.FromSeconds(18.1));

        Assert.True((await stream.Events.NextAsync())!.Comment);
    }

    [Fact]
    public async Task Reader_TwoLargeMessagesAtOnce_IsNotCalledSlow()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        using var stream = await gateway.ListenAsync(client);

        gateway.Tell(client, "1" + new string('x', 300_000));
        gateway.Tell(client, "2" + new string('x', 300_000));

        Assert.StartsWith("1", (string?)(await stream.Events.MessageAsync())["params"]!["data"]);
        Assert.StartsWith("2", (string?)(await stream.Events.MessageAsync())["params"]!["data"]);
    }

    [Fact]
    public async Task KeepAlive_WhileALargeEventIsUnderWay_NeverStandsInsideIt()
    {
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Config = c => c with { KeepAlive = c.KeepAlive with { Interval = TimeSpan.FromMilliseconds(100) } } });
        var client = await gateway.ClientAsync();
        using var stream = await gateway.ListenAsync(client);
        await gateway.UntilAsync(() => gateway.Session(client).Outbox.IsConnected, "the session knows its stream");
        gateway.Tell(client, "1" + new string('x', 200_000));
        await gateway.Session(client).Outbox.Legacy!.SettleAsync();
        for (var i = 0; i < 20; i++)
        {
            gateway.Advance(Heartbeat.Beat);
        }

        gateway.Tell(client, "2");
        Assert.StartsWith("1", (string?)(await stream.Events.MessageAsync())["params"]!["data"]);
        Assert.Equal("2", (string?)(await stream.Events.MessageAsync())["params"]!["data"]);
        Assert.DoesNotContain(stream.Events.Seen, e => e is { Comment: true, Data: not null });
    }

    /// <summary>Takes so many writes, then fails as a socket does whose other end is gone.</summary>
    private sealed class BreakingStream(int good) : MemoryStream
    {
        private int _left = good;

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            _left-- > 0 ? ValueTask.CompletedTask : ValueTask.FromException(new IOException("scripted failure"));
    }
}
