using System.Collections.Concurrent;
using System.Net;
using Xunit;

namespace Mooring.Tests.Calls;

/// <summary>A server that forgot the gateway's session gets a new one, and the client notices nothing (invariant 10).</summary>
public sealed class UpstreamSessionTests
{
    [Fact]
    public async Task SessionRenewedByACall_ListeningBeginsAnewThere()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream { HasGetStream = true });
        var client = await gateway.ClientAsync();
        using var stream = await gateway.ListenAsync(client);
        await client.ResultAsync("echo");
        var before = (await ListenerAsync()).Stream();
        await before.SendAsync("""{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}""", id: "7");
        await stream.Events.MessageAsync();
        gateway.Upstream.ForgetSessions();
        await client.ResultAsync("echo");

        before.Cut();
        var after = await gateway.PassTimeAsync(ListenerAsync(), TimeSpan.FromSeconds(10), "it listens again");

        Assert.NotEqual(before.Session, after.Session);
        Assert.Null(after.LastEventId);

        async Task<UpstreamExchange> ListenerAsync()
        {
            // The gateway listens on a link of its own too.
            while (true)
            {
                var listener = await gateway.Upstream.GetAsync();
                if (listener.Session == gateway.Session(client).Links.Open[0].SessionId)
                {
                    return listener;
                }
            }
        }
    }

    [Fact]
    public async Task SessionRenewedByACall_WhileListeningWasRefusedForLong_ListeningBeginsAtOnce()
    {
        var refused = 0;
        var server = new FakeUpstream { HasGetStream = true };
        var lost = "";
        server.Intercept = exchange =>
        {
            // Somebody else listens on that session.
            if (exchange.HttpMethod != "GET" || exchange.Session != Volatile.Read(ref lost))
            {
                return false;
            }

            exchange.Status(HttpStatusCode.Conflict);
            Interlocked.Increment(ref refused);
            return true;
        };
        await using var gateway = await GatewayFixture.StartAsync(null, server);
        var client = await gateway.ClientAsync();
        await client.ResultAsync("echo");
        var link = gateway.Session(client).Links.Open[0];
        Volatile.Write(ref lost, link.SessionId);
        var first = await ListenerAsync();
        first.Stream().Cut();
        await gateway.UntilAsync(() => Volatile.Read(ref refused) >= 5, "five refusals", TimeSpan.FromMinutes(2));

        gateway.Upstream.ForgetSessions();
        await client.ResultAsync("echo");

        // The clock stands still: the pause after the last refusal is not waited for.
        var after = await ListenerAsync();
        Assert.NotEqual(first.Session, after.Session);

        async Task<UpstreamExchange> ListenerAsync()
        {
            while (true)
            {
                var listener = await gateway.Upstream.GetAsync();
                if (listener.Session == link.SessionId)
                {
                    return listener;
                }
            }
        }
    }

    [Fact]
    public async Task SessionRenewedByACall_ServerHasAGetStreamNow_IsListenedTo()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream { HasGetStream = false });
        var client = await gateway.ClientAsync();
        using var stream = await gateway.ListenAsync(client);
        await client.ResultAsync("echo");
        var link = gateway.Session(client).Links.Open[0];
        await gateway.UntilAsync(() => gateway.Upstream.Requests.Any(e => e.HttpMethod == "GET" && e.Session == link.SessionId), "it was asked for a stream");
        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromMinutes(1), gateway.Clock), TimeSpan.FromMinutes(2), "a minute passed");
        Assert.Single(gateway.Upstream.Requests, e => e.HttpMethod == "GET" && e.Session == link.SessionId);

        gateway.Upstream.HasGetStream = true;
        gateway.Upstream.ForgetSessions();
        await client.ResultAsync("echo");

        UpstreamExchange listener;
        do
        {
            listener = await gateway.PassTimeAsync(gateway.Upstream.GetAsync(), TimeSpan.FromMinutes(1), "it is listened to");
        }
        while (listener.Session != link.SessionId);

        await listener.SendAsync("""{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"heard"}}""");
        Assert.Equal("heard", (string?)(await stream.Events.MessageAsync())["params"]!["data"]);
    }

    [Fact]
    public async Task Session_LostByTheServer_IsRenewedWithLevelAndSubscriptionsAndTheCallGoesOn()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        using (var level = await client.RequestAsync("logging/setLevel", """{"level":"warning"}"""))
        using (var subscribed = await client.RequestAsync("resources/subscribe", """{"uri":"test://one/a"}"""))
        {
            Assert.NotNull((await level.MessageAsync())["result"]);
            Assert.NotNull((await subscribed.MessageAsync())["result"]);
        }

        gateway.Upstream.ForgetSessions();
        using var reply = await gateway.PassTimeAsync(client.CallAsync("echo", id: "\"same\""), TimeSpan.FromMinutes(1), "the answer");

        var answer = await reply.MessageAsync();
        Assert.Equal(("\"same\"", "nothing"), (answer.RawId(), answer.Text()));
        Assert.Equal(1, gateway.Upstream.Executions("echo"));
        var session = gateway.Session(client).Links.Open[0].SessionId;
        Assert.Contains(session, gateway.Upstream.Sessions);
        var after = gateway.Upstream.Requests.Where(r => r.Session == session).Select(r => (Method: (string?)r.Message?["method"], r.Body)).ToList();
        Assert.Contains(after, r => r.Method == "notifications/initialized");
        Assert.Contains(after, r => r.Method == "logging/setLevel" && r.Body.Contains("warning", StringComparison.Ordinal));
        Assert.Contains(after, r => r.Method == "resources/subscribe" && r.Body.Contains("test://one/a", StringComparison.Ordinal));
        Assert.True(
            after.FindIndex(r => r.Method == "resources/subscribe") < after.FindIndex(r => r.Method == "tools/call"),
            "what the client set up is there before its call is");
        Assert.Equal(["mooring_upstream_reinitialized_total{server=\"one\",reason=\"session_lost\"} 1"], await gateway.MetricsAsync("mooring_upstream_reinitialized_total{"));
    }

    [Fact]
    public async Task Session_LostWhileManyCallsStart_IsRenewedOnceForAll()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        gateway.Upstream.ForgetSessions();
        var before = gateway.Upstream.Messages("initialize").Count;

        var calls = Enumerable.Range(0, 10).Select(_ => client.ResultAsync("echo")).ToArray();
        var answers = await gateway.PassTimeAsync(Task.WhenAll(calls), TimeSpan.FromMinutes(1), "all answers");

        Assert.All(answers, a => Assert.Equal("nothing", a.Text()));
        Assert.Equal(10, gateway.Upstream.Executions("echo"));

        // The gateway's own link may renew its session too.
        Assert.InRange(gateway.Upstream.Messages("initialize").Count - before, 1, 2);
    }

    [Fact]
    public async Task Session_LostAndTheFirstCallIsCancelledMeanwhile_TheOtherCallGoesOn()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var held = new TaskCompletionSource<UpstreamExchange>(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Upstream.ForgetSessions();
        gateway.Upstream.Intercept = e => (string?)e.Message?["method"] == "initialize" && held.TrySetResult(e);
        var first = client.CallAsync("echo", id: "1");
        var hello = await Limit.Of(held.Task, "the new initialize");
        var second = client.CallAsync("echo", id: "2");
        await gateway.UntilAsync(() => gateway.Upstream.Messages("tools/call").Count >= 2, "both calls were tried");
        for (var i = 0; i < 200; i++)
        {
            await Task.Yield();
        }

        await client.NotifyAsync("notifications/cancelled", """{"requestId":1}""");
        (await Limit.Of(first, "the end of the cancelled one")).Dispose();
        if (!hello.Aborted.IsCancellationRequested)
        {
            hello.Result("""{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"one","version":"1"}}""", "late");
        }

        using var reply = await gateway.PassTimeAsync(second, TimeSpan.FromMinutes(1), "the second answer");
        Assert.Equal("nothing", (await reply.MessageAsync()).Text());
    }

    [Fact]
    public async Task Session_RenewedByAServerThatGivesNoIdAnyMore_GoesOnWithoutOne()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var lost = gateway.Session(client).Links.Open[0].SessionId;
        gateway.Upstream.HasSessions = false;
        gateway.Upstream.Intercept = e =>
        {
            if (e.Session is null)
            {
                return false;
            }

            e.Status(HttpStatusCode.NotFound);
            return true;
        };

        var answers = new[] { await client.ResultAsync("echo"), await client.ResultAsync("echo") };

        Assert.NotNull(lost);
        Assert.All(answers, a => Assert.Equal("nothing", a.Text()));
        Assert.Null(gateway.Session(client).Links.Open[0].SessionId);

        // At most one try with the id that was lost (another request may have found out before), none afterwards.
        Assert.InRange(gateway.Upstream.Requests.Count(r => r.Session == lost && (string?)r.Message?["method"] == "tools/call"), 0, 1);
    }

    [Fact]
    public async Task Session_BeingRenewed_IsNotUsedBeforeTheServerHeardThatItIsInitialized()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        var lost = gateway.Session(client).Links.Open[0].SessionId;
        var held = new ConcurrentQueue<UpstreamExchange>();
        var let = false;
        gateway.Upstream.ForgetSessions();
        gateway.Upstream.Intercept = e =>
        {
            // Every one of them: the link that watches the server for all sessions may be renewed as well.
            var holds = !let && (string?)e.Message?["method"] == "notifications/initialized";
            if (holds)
            {
                held.Enqueue(e);
            }

            return holds;
        };

        var first = client.ResultAsync("echo");
        await gateway.UntilAsync(() => !held.IsEmpty, "the new session's first notification");
        var second = client.ResultAsync("echo");
        await gateway.UntilAsync(() => gateway.Upstream.Messages("tools/call").Count >= 2, "both calls were tried");
        for (var i = 0; i < 200; i++)
        {
            await Task.Yield();
        }

        Assert.All(gateway.Upstream.Requests.Where(r => (string?)r.Message?["method"] == "tools/call"), r => Assert.Equal(lost, r.Session));
        let = true;
        foreach (var initialized in held)
        {
            initialized.Status(HttpStatusCode.Accepted);
        }

        Assert.All(
            await gateway.PassTimeAsync(Task.WhenAll(first, second), TimeSpan.FromMinutes(1), "both answers"),
            a => Assert.Equal("nothing", a.Text()));
    }

    [Fact]
    public async Task Session_LostOverAndOver_IsSaidSoInsteadOfTryingForEver()
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientAsync();
        gateway.Upstream.Intercept = e =>
        {
            if ((string?)e.Message?["method"] != "tools/call")
            {
                return false;
            }

            e.Status(HttpStatusCode.NotFound);
            return true;
        };

        using var reply = await gateway.PassTimeAsync(client.CallAsync("echo"), TimeSpan.FromMinutes(1), "the answer");

        Assert.Equal("upstream_refused", (await reply.MessageAsync()).Reason());
    }

    private static Task<GatewayFixture> StartAsync() => GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
}
