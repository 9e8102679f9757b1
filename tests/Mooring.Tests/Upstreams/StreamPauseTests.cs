using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Mooring.Upstreams.Http;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <summary>A stream that ends, or is refused, is asked for again after a pause that is never nothing and grows where nothing comes.</summary>
public sealed class StreamPauseTests
{
    [Fact]
    public void Next_NothingComes_GrowsUpToHalfAMinuteAndAFifth()
    {
        var pause = new StreamPause(new FakeClock());

        var pauses = Enumerable.Range(0, 10).Select(_ => pause.Next(wish: null)).ToList();

        foreach (var (taken, seconds) in pauses.Zip([1.0, 2, 4, 8, 16, 30, 30, 30, 30, 30]))
        {
            Assert.InRange(taken.TotalSeconds, seconds, 1.2 * seconds);
        }

        Assert.True(pauses.Skip(5).Distinct().Count() > 1, "no two come back together");
    }

    [Fact]
    public void Next_ServerWishesForNoPause_IsAPauseAllTheSameAndGrows()
    {
        var pause = new StreamPause(new FakeClock());

        foreach (var tenths in new[] { 1.0, 2, 4 })
        {
            Assert.InRange(pause.Next(TimeSpan.Zero).TotalSeconds, 0.1 * tenths, 0.12 * tenths);
        }
    }

    [Fact]
    public void Next_ServerWishesForLonger_GetsItWithinReason()
    {
        var pause = new StreamPause(new FakeClock());

        Assert.InRange(pause.Next(TimeSpan.FromSeconds(50)).TotalSeconds, 50, 60);
        Assert.InRange(pause.Next(TimeSpan.FromDays(9)).TotalSeconds, 300, 360);
        Assert.InRange(pause.Next(TimeSpan.FromSeconds(50)).TotalSeconds, 50, 60);
    }

    /// <summary>2025-11-25, basic/transports, "Sending Messages to the Server": a client must wait as long as it is told.</summary>
    [Fact]
    public void Next_ServerHasAWish_NeverComesSooner()
    {
        var pause = new StreamPause(new FakeClock());

        for (var i = 0; i < 100; i++)
        {
            pause.Reset();
            Assert.InRange(pause.Next(TimeSpan.FromMilliseconds(500)).TotalMilliseconds, 500, 600);
        }
    }

    [Fact]
    public void Ended_AfterSomethingCame_BeginsAnew_UnlessItWasRefusedBefore()
    {
        var clock = new FakeClock();
        var pause = new StreamPause(clock);
        Assert.Equal(5, Enumerable.Range(0, 5).Count(_ => pause.Next(null) > TimeSpan.Zero));
        pause.Begun();
        pause.Ended(any: true);
        Assert.InRange(pause.Next(null).TotalSeconds, 1, 1.2);

        pause.Refused();
        pause.Begun();
        pause.Ended(any: true);
        Assert.InRange(pause.Next(null).TotalSeconds, 2, 2.4);

        pause.Begun();
        clock.Advance(TimeSpan.FromSeconds(5));
        pause.Ended(any: false);
        Assert.InRange(pause.Next(null).TotalSeconds, 1, 1.2);
    }

    [Fact]
    public async Task Listening_EveryStreamEndsAtOnceAndWishesForNoPause_IsAskedForLessAndLess()
    {
        var upstream = Streaming(e => e.Raw(Text("retry: 0\n\n"), "text/event-stream"));
        await using var gateway = await GatewayFixture.StartAsync(null, upstream);
        await (await gateway.ClientAsync()).ResultAsync("echo");

        await PassAsync(gateway, TimeSpan.FromMinutes(5));

        // Without end at the beginning, ten a minute or so would come of a second's pause.
        Assert.InRange(Gets(upstream).Count, 10, 60);
    }

    [Fact]
    public async Task Listening_EveryStreamBringsOneMessageAndWishesForNoPause_IsNotALoop()
    {
        var last = 0;
        var upstream = Streaming(e => e.Raw(Text($"retry: 0\nid: e{++last}\ndata: {Said}\n\n"), "text/event-stream"));
        await using var gateway = await GatewayFixture.StartAsync(null, upstream);
        await (await gateway.ClientAsync()).ResultAsync("echo");

        await PassAsync(gateway, TimeSpan.FromSeconds(10));

        // Each link for itself; one belongs to the session, one to what all share.
        Assert.InRange(Gets(upstream).Count, 10, 2 * 130);
    }

    [Fact]
    public async Task Listening_WhoeverComesBackIsAnswered404_IsAskedForLessAndLess()
    {
        var upstream = Streaming(e =>
        {
            if (e.LastEventId is null)
            {
                e.Raw(Text($"id: e1\ndata: {Said}\n\n"), "text/event-stream");
            }
            else
            {
                e.Status(HttpStatusCode.NotFound);
            }
        });
        await using var gateway = await GatewayFixture.StartAsync(null, upstream);
        await (await gateway.ClientAsync()).ResultAsync("echo");

        await PassAsync(gateway, TimeSpan.FromMinutes(5));

        Assert.InRange(upstream.Messages("initialize").Count, 4, 60);
    }

    [Fact]
    public async Task Listening_WhoeverComesBackIsAnswered400_IsAskedForLessAndLess()
    {
        var upstream = Streaming(e =>
        {
            if (e.LastEventId is null)
            {
                e.Raw(Text($"retry: 0\nid: e1\ndata: {Said}\n\n"), "text/event-stream");
            }
            else
            {
                e.Status(HttpStatusCode.BadRequest);
            }
        });
        await using var gateway = await GatewayFixture.StartAsync(null, upstream);
        await (await gateway.ClientAsync()).ResultAsync("echo");

        await PassAsync(gateway, TimeSpan.FromMinutes(5));

        Assert.InRange(Gets(upstream).Count, 10, 80);
    }

    [Fact]
    public async Task Call_ItsStreamEndsAtOnceTimeAndAgain_IsNotALoop()
    {
        var upstream = Streaming(e => e.Raw(Text("retry: 0\nid: s1\ndata:\n\n"), "text/event-stream")).Hold("slow");
        await using var gateway = await GatewayFixture.StartAsync(null, upstream);
        var client = await gateway.ClientAsync();
        var calling = client.CallAsync("slow");
        var call = await upstream.CallAsync();
        await call.RawAsync("retry: 0\nid: s1\ndata:\n\n");
        call.End();

        await PassAsync(gateway, TimeSpan.FromSeconds(60));

        Assert.InRange(Gets(upstream).Count(e => e.LastEventId == "s1"), 5, 60);
        await client.NotifyAsync("notifications/cancelled", """{"requestId":1}""");
        (await Limit.Of(calling, "the head")).Dispose();
    }

    [Fact]
    public async Task Call_ItsStreamEndsOftenAndBringsSomethingEachTime_GoesOnAsLongAsTheCallMay()
    {
        var (last, answer) = (0, "");
        var upstream = Streaming(e =>
        {
            // The stream of the call alone.
            if (e.LastEventId is null)
            {
                e.Status(HttpStatusCode.MethodNotAllowed);
                return;
            }

            e.Raw(Text($"retry: 0\nid: s{++last}\ndata: {(last < 150 ? Said : answer)}\n\n"), "text/event-stream");
        }).Hold("slow");
        await using var gateway = await GatewayFixture.StartAsync(null, upstream);
        // One that cannot be sent away to come back, as those are that can.
        var client = new StatelessClient(gateway.Http);
        var calling = client.CallAsync("slow");
        var call = await upstream.CallAsync();
        answer = $$$"""{"jsonrpc":"2.0","id":{{{call.Id}}},"result":{"content":[{"type":"text","text":"at last"}]}}""";
        await call.RawAsync("retry: 0\nid: s0\ndata:\n\n");
        call.End();

        using var reply = await gateway.PassTimeAsync(calling, TimeSpan.FromMinutes(10), "the head");
        JsonObject? message = null;
        do
        {
            message = await gateway.PassTimeAsync(reply.MessageAsync(), TimeSpan.FromMinutes(10), "the answer");
        }
        while (message["method"] is not null);

        Assert.Equal("at last", message.Text());
    }

    private const string Said = """{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}""";

    private static FakeUpstream Streaming(Action<UpstreamExchange> get)
    {
        var upstream = new FakeUpstream { HasGetStream = true };
        upstream.Intercept = e =>
        {
            if (e.HttpMethod != "GET" || e.Session is null || !upstream.Sessions.Contains(e.Session))
            {
                return false;
            }

            get(e);
            return true;
        };
        return upstream;
    }

    private static StringContent Text(string text) => new(text);

    private static List<UpstreamExchange> Gets(FakeUpstream upstream) => [.. upstream.Requests.Where(e => e.HttpMethod == "GET")];

    private static Task PassAsync(GatewayFixture gateway, TimeSpan time) =>
        gateway.PassTimeAsync(Task.Delay(time, gateway.Clock), time + TimeSpan.FromSeconds(1), string.Create(CultureInfo.InvariantCulture, $"{time} passed"));
}
