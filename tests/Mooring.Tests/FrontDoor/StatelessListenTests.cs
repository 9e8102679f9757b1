using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;
using Mooring.Tests.Stores;
using Xunit;

namespace Mooring.Tests.FrontDoor;

/// <summary><c>subscriptions/listen</c>: what is honoured, what is told to whom, and how it ends.</summary>
public sealed class StatelessListenTests
{
    private const string SubscriptionId = "io.modelcontextprotocol/subscriptionId";

    [Theory]
    [InlineData("5")]
    [InlineData("\"five\"")]
    public async Task Listen_FirstMessage_SaysWhatIsHonouredUnderTheIdOfTheRequest(string id)
    {
        await using var gateway = await GatewayFixture.StartAsync();

        var (reply, acknowledged) = await new StatelessClient(gateway.Http, "/mcp").ListenAsync("""{"toolsListChanged":true,"promptsListChanged":false,"others":["x"],"resourceSubscriptions":["nobody://x"]}""", id);

        Assert.Equal("notifications/subscriptions/acknowledged", (string?)acknowledged["method"]);
        Assert.Equal("""{"toolsListChanged":true}""", acknowledged["params"]!["notifications"]!.ToJsonString());
        Assert.Equal(id, acknowledged["params"]!["_meta"]![SubscriptionId]!.ToJsonString());
        Assert.True(reply.Events.Seen[0].Comment);
        Assert.DoesNotContain(reply.Events.Seen, e => e.Id is not null);
        reply.Dispose();
    }

    [Fact]
    public async Task Listen_SingleRouteWhoseServerTellsOfNothing_HonoursNothing()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream { Capabilities = """{"tools":{},"resources":{}}""" });
        var client = new StatelessClient(gateway.Http);
        await client.ResultAsync("server/discover");

        var (reply, acknowledged) = await client.ListenAsync("""{"toolsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":["test://one/a"]}""");

        Assert.Equal("{}", acknowledged["params"]!["notifications"]!.ToJsonString());
        Assert.Empty(gateway.Upstream.Messages("resources/subscribe"));
        reply.Dispose();
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"notifications":[]}""")]
    [InlineData("""{"notifications":{"toolsListChanged":"yes"}}""")]
    [InlineData("""{"notifications":{"resourceSubscriptions":"test://one/a"}}""")]
    [InlineData("""{"notifications":{"resourceSubscriptions":[1]}}""")]
    public async Task Listen_FilterThatIsNone_Is400InvalidParams(string parameters)
    {
        await using var gateway = await GatewayFixture.StartAsync();

        using var reply = await new StatelessClient(gateway.Http).RequestAsync("subscriptions/listen", parameters);

        Assert.Equal((HttpStatusCode.BadRequest, -32602), (reply.Status, (await reply.MessageAsync()).ErrorCode()));
        Assert.Equal(0, gateway.Streams.Count);
    }

    [Fact]
    public async Task ListChanges_GoToThoseThatAsked_EachUnderItsOwnId()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = new StatelessClient(gateway.Http);
        var (tools, _) = await client.ListenAsync("""{"toolsListChanged":true}""", "1");
        var (all, _) = await client.ListenAsync("""{"toolsListChanged":true,"promptsListChanged":true}""", "\"b\"");
        var (prompts, _) = await client.ListenAsync("""{"promptsListChanged":true}""", "3");
        var session = Assert.Single(gateway.Sessions.All);

        session.Outbox.SendListChanged("notifications/tools/list_changed");
        session.Outbox.SendListChanged("notifications/prompts/list_changed");
        session.Outbox.Send([.. """{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":1}}"""u8]);

        Assert.Equal("""{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":1}}}""", (await tools.Events.EventAsync()).Data);
        Assert.Equal(("notifications/tools/list_changed", "\"b\""), Told(await all.Events.MessageAsync()));
        Assert.Equal(("notifications/prompts/list_changed", "\"b\""), Told(await all.Events.MessageAsync()));
        Assert.Equal(("notifications/prompts/list_changed", "3"), Told(await prompts.Events.MessageAsync()));
        Assert.False(tools.Events.HasNext || all.Events.HasNext || prompts.Events.HasNext);
        tools.Dispose();
        all.Dispose();
        prompts.Dispose();
    }

    [Fact]
    public async Task Updates_AreTaggedWhateverParamsTheyHave()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var (reply, _) = await new StatelessClient(gateway.Http).ListenAsync("""{"resourceSubscriptions":["test://one/a"]}""", "1");
        var session = Assert.Single(gateway.Sessions.All);

        session.Outbox.Send([.. """{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"test://one/a"}}"""u8]);
        session.Outbox.Send([.. """{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"test://one/b"}}"""u8]);
        session.Outbox.Send([.. """{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"_meta":{"x":1},"uri":"test://one/a/part"}}"""u8]);
        session.Outbox.Send([.. """{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"test://one/a","_meta":{"io.modelcontextprotocol/subscriptionId":99}}}"""u8]);
        session.Outbox.Send([.. """{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"test://one/ab"}}"""u8]);

        Assert.Equal("""{"_meta":{"io.modelcontextprotocol/subscriptionId":1},"uri":"test://one/a"}""", (await reply.Events.MessageAsync())["params"]!.ToJsonString());
        Assert.Equal("""{"_meta":{"io.modelcontextprotocol/subscriptionId":1,"x":1},"uri":"test://one/a/part"}""", (await reply.Events.MessageAsync())["params"]!.ToJsonString());
        Assert.Equal("""{"uri":"test://one/a","_meta":{"io.modelcontextprotocol/subscriptionId":1}}""", (await reply.Events.MessageAsync())["params"]!.ToJsonString());
        Assert.False(reply.Events.HasNext);
        reply.Dispose();
    }

    [Fact]
    public async Task Resource_OfSeveralListeners_IsSubscribedOnceAndUnsubscribedWithTheLast()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = new StatelessClient(gateway.Http, "/mcp");
        await client.ResultAsync("resources/list");
        var (first, acknowledged) = await client.ListenAsync("""{"resourceSubscriptions":["test://one/a"]}""");
        var (second, _) = await client.ListenAsync("""{"resourceSubscriptions":["test://one/a"]}""");
        Assert.Equal("test://one/a", (string?)acknowledged["params"]!["notifications"]!["resourceSubscriptions"]![0]);
        Assert.Single(gateway.Upstream.Messages("resources/subscribe"));

        var session = Assert.Single(gateway.Sessions.All);
        var connections = session.Connections;
        first.Dispose();
        await gateway.UntilAsync(() => session.Connections == connections / 2, "the first is gone");
        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromSeconds(1), gateway.Clock), TimeSpan.FromSeconds(2), "all that its leaving set going is done");
        var (another, _) = await client.ListenAsync("""{"resourceSubscriptions":["test://one/a"]}""");
        Assert.Empty(gateway.Upstream.Messages("resources/unsubscribe"));
        Assert.Single(gateway.Upstream.Messages("resources/subscribe"));
        Assert.Equal(["test://one/a"], session.Record.Subscriptions);
        another.Dispose();
        second.Dispose();

        await gateway.UntilAsync(() => gateway.Upstream.Messages("resources/unsubscribe").Count == 1, "the server was told");
        Assert.Empty(session.Record.Subscriptions);
        var (third, _) = await client.ListenAsync("""{"resourceSubscriptions":["test://one/a"]}""");
        Assert.Equal(2, gateway.Upstream.Messages("resources/subscribe").Count(m => m["params"]!["uri"] is not null));
        third.Dispose();
    }

    [Fact]
    public async Task Resource_WhoseServerRefuses_IsNotHonoured()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream
        {
            Intercept = exchange =>
            {
                if ((string?)exchange.Message?["method"] != "resources/subscribe")
                {
                    return false;
                }

                exchange.Error(-32602, "no such thing");
                return true;
            },
        });

        var (reply, acknowledged) = await new StatelessClient(gateway.Http).ListenAsync("""{"resourceSubscriptions":["test://one/a"]}""");

        Assert.Equal("{}", acknowledged["params"]!["notifications"]!.ToJsonString());
        Assert.Empty(Assert.Single(gateway.Sessions.All).Record.Subscriptions);
        reply.Dispose();
    }

    [Fact]
    public async Task Resource_WhoseServerHangs_IsNotHonouredAfterTheFirstWait_AndTheStreamIsOpenAtOnce()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream { Intercept = e => (string?)e.Message?["method"] == "resources/subscribe" });

        using var reply = await Limit.Of(
            new StatelessClient(gateway.Http).RequestAsync("subscriptions/listen", """{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["test://one/a"]}}"""), "the head");
        Assert.True((await reply.Events.NextAsync())!.Comment);
        var acknowledged = await gateway.PassTimeAsync(reply.Events.MessageAsync(), TimeSpan.FromSeconds(4), "what is honoured");

        Assert.Equal("""{"toolsListChanged":true}""", acknowledged["params"]!["notifications"]!.ToJsonString());
    }

    [Fact]
    public async Task ServerThatWasAway_ComesBackWithOtherTools_TheChangeIsTold()
    {
        var isAway = false;
        var gets = new ConcurrentQueue<UpstreamExchange>();
        var server = new FakeUpstream();
        server.Intercept = exchange =>
        {
            if (isAway)
            {
                throw new HttpRequestException(HttpRequestError.ConnectionError, "scripted");
            }

            if (exchange.HttpMethod != "GET" || !server.Sessions.Contains(exchange.Session))
            {
                return false;
            }

            gets.Enqueue(exchange.Stream());
            return true;
        };
        await using var gateway = await GatewayFixture.StartAsync(null, server);
        var client = new StatelessClient(gateway.Http, "/mcp");
        await client.ResultAsync("tools/list");
        var (reply, _) = await client.ListenAsync("""{"toolsListChanged":true}""");

        isAway = true;
        gateway.Upstream.ForgetSessions();
        foreach (var get in gets)
        {
            get.Cut();
        }

        using (var failed = await gateway.PassTimeAsync(client.CallAsync("one__echo"), TimeSpan.FromSeconds(20), "the call to fail"))
        {
            Assert.NotNull((await gateway.PassTimeAsync(failed.MessageAsync(), TimeSpan.FromSeconds(20), "the failure"))["error"]);
        }

        gateway.Upstream.Hold("more");
        isAway = false;

        var told = await gateway.PassTimeAsync(reply.Events.MessageAsync(), TimeSpan.FromMinutes(3), "the change");
        Assert.Equal("notifications/tools/list_changed", (string?)told["method"]);
        Assert.Contains((await client.ResultAsync("tools/list"))["result"]!["tools"]!.AsArray(), t => (string?)t!["name"] == "one__more");
        reply.Dispose();
    }

    [Fact]
    public async Task Listen_Silent_IsKeptAliveAndCounted_AndGoneWithItsClient()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var (reply, _) = await new StatelessClient(gateway.Http).ListenAsync("""{"toolsListChanged":true}""");
        Assert.Contains(await gateway.MetricsAsync("mooring_streams_active{"), line => line.Contains("era=\"stateless\"", StringComparison.Ordinal) && line.EndsWith(" 1", StringComparison.Ordinal));

        gateway.Advance(TimeSpan.FromSeconds(20));
        Assert.True((await reply.Events.NextAsync())!.Comment);
        reply.Dispose();

        await gateway.UntilAsync(() => gateway.Streams.Count == 0, "the stream is gone");
        await gateway.UntilAsync(() => !Assert.Single(gateway.Sessions.All).Outbox.IsConnected, "nobody listens");
    }

    [Fact]
    public async Task Listen_MoreThanOneMayHave_Is429_UntilOneIsGone()
    {
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Config = c => c with { Limits = c.Limits with { StreamsPerUser = 1 } } });
        var client = new StatelessClient(gateway.Http, user: "ann");
        var (first, _) = await client.ListenAsync("""{"toolsListChanged":true}""");

        using var second = await client.RequestAsync("subscriptions/listen", """{"notifications":{}}""");
        first.Dispose();
        using var third = await Limit.Of(AgainAsync(), "a place for another");

        Assert.Equal((HttpStatusCode.TooManyRequests, "30"), (second.Status, second.Header("Retry-After")));
        Assert.Equal(HttpStatusCode.OK, third.Status);

        // The place is given back a moment after the stream is over.
        async Task<TestReply> AgainAsync()
        {
            while (true)
            {
                var reply = await client.RequestAsync("subscriptions/listen", """{"notifications":{}}""");
                if (reply.Status != HttpStatusCode.TooManyRequests)
                {
                    return reply;
                }

                reply.Dispose();
                await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System);
            }
        }
    }

    [Fact]
    public async Task Drain_ClosesListens_WithoutAResult()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = new StatelessClient(gateway.Http);
        var (reply, _) = await client.ListenAsync("""{"toolsListChanged":true}""");
        var calling = client.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();

        var draining = gateway.Drain.Begin(evenIfIdle: true);
        var rest = await gateway.PassTimeAsync(reply.Events.RestAsync(), TimeSpan.FromMinutes(1), "the end of the stream");

        // Sent away with the other streams, long before the end of calls, and told when to come back.
        Assert.Equal(Mooring.Drain.DrainStage.FinishCalls, gateway.Drain.Stage);
        Assert.InRange(Assert.Single(rest, e => e.Retry is not null).Retry!.Value, 1000, 5000);
        Assert.DoesNotContain(rest, e => e.IsMessage);
        await call.SendTextAsync("done");
        using var answer = await calling;
        await gateway.PassTimeAsync(draining, TimeSpan.FromMinutes(1), "the drain");
    }

    [Fact]
    public async Task TwoUsers_NeverHearOfEachOthersResources()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream { HasGetStream = true });
        var (ann, _) = await new StatelessClient(gateway.Http, user: "ann").ListenAsync("""{"resourceSubscriptions":["test://one/a"]}""");
        var (bob, _) = await new StatelessClient(gateway.Http, user: "bob").ListenAsync("""{"resourceSubscriptions":["test://one/a"]}""");
        var hers = gateway.Sessions.All.Single(s => s.Principal.Subject == "ann");
        var at = gateway.Upstream.Requests.First(r => (string?)r.Message?["method"] == "resources/subscribe").Session;
        var get = await gateway.Upstream.GetAsync();
        while (get.Session != at)
        {
            get = await gateway.Upstream.GetAsync();
        }

        await get.SendAsync("""{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"test://one/a"}}""");

        Assert.Equal("notifications/resources/updated", (string?)(await ann.Events.MessageAsync())["method"]);
        Assert.NotNull(hers);
        Assert.False(bob.Events.HasNext);
        ann.Dispose();
        bob.Dispose();
    }

    [Fact]
    public async Task ServersWithAndWithoutSessions_BothTell_OneStreamOfTheMergedRouteHearsBoth()
    {
        var conversing = new FakeUpstream("old") { HasGetStream = true };
        var alone = new FakeUpstream("new");
        var server = StatelessUpstream.At(alone);
        await using var gateway = await GatewayFixture.StartAsync(null, conversing, alone);
        var client = new StatelessClient(gateway.Http, "/mcp");
        await client.ResultAsync("resources/list");

        var listening = client.ListenAsync("""{"toolsListChanged":true,"resourceSubscriptions":["test://old/a","test://new/a"]}""", "\"both\"");
        UpstreamExchange listen;
        do
        {
            listen = await server.ListenAsync();
            await listen.AcknowledgeAsync();
        }
        while (!listen.Body.Contains("test://new/a", StringComparison.Ordinal));
        var (reply, acknowledged) = await listening;
        Assert.Equal("""["test://old/a","test://new/a"]""", acknowledged["params"]!["notifications"]!["resourceSubscriptions"]!.ToJsonString());

        // Another link watches the lists for everybody.
        var at = conversing.Requests.First(request => (string?)request.Message?["method"] == "resources/subscribe").Session;
        var get = await conversing.GetAsync();
        while (get.Session != at)
        {
            get = await conversing.GetAsync();
        }

        await get.SendAsync("""{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"test://old/a"}}""");
        var told = await reply.Events.MessageAsync();
        while ((string?)told["params"]!["uri"] == "test://new/a")
        {
            // Where the gateway subscribed anew, nobody knows what was said in between, and it says so.
            told = await reply.Events.MessageAsync();
        }

        Assert.Equal("""{"_meta":{"io.modelcontextprotocol/subscriptionId":"both"},"uri":"test://old/a"}""", told["params"]!.ToJsonString());
        await listen.TellAsync("notifications/resources/updated", "test://new/a");
        Assert.Equal("""{"_meta":{"io.modelcontextprotocol/subscriptionId":"both"},"uri":"test://new/a"}""", (await reply.Events.MessageAsync())["params"]!.ToJsonString());
        server.Tools = """[{"name":"more","inputSchema":{"type":"object"}}]""";
        await listen.TellAsync("notifications/tools/list_changed");
        Assert.Equal(("notifications/tools/list_changed", "\"both\""), Told(await reply.Events.MessageAsync()));
        Assert.False(reply.Events.HasNext);
        Assert.Empty(server.Faults);
        reply.Dispose();
    }

    [Fact]
    public async Task List_ChangesWhileNobodyListens_IsToldWithTheNextAcknowledgement_AndOnce()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = new StatelessClient(gateway.Http);
        var (first, _) = await client.ListenAsync("""{"toolsListChanged":true,"promptsListChanged":true}""");
        var session = Assert.Single(gateway.Sessions.All);
        Assert.False(first.Events.HasNext);
        first.Dispose();
        await gateway.UntilAsync(() => !session.Outbox.IsConnected, "nobody listens");

        session.Outbox.SendListChanged("notifications/tools/list_changed");
        session.Outbox.SendListChanged("notifications/tools/list_changed");
        session.Outbox.SendListChanged("notifications/resources/list_changed");
        var (second, _) = await client.ListenAsync("""{"toolsListChanged":true,"promptsListChanged":true}""", "7");

        Assert.Equal(("notifications/tools/list_changed", "7"), Told(await second.Events.MessageAsync()));
        session.Outbox.SendListChanged("notifications/prompts/list_changed");
        Assert.Equal(("notifications/prompts/list_changed", "7"), Told(await second.Events.MessageAsync()));
        second.Dispose();
        await gateway.UntilAsync(() => !session.Outbox.IsConnected, "nobody listens");
        var (third, _) = await client.ListenAsync("""{"toolsListChanged":true,"promptsListChanged":true}""", "8");
        session.Outbox.SendListChanged("notifications/prompts/list_changed");
        Assert.Equal(("notifications/prompts/list_changed", "8"), Told(await third.Events.MessageAsync()));
        Assert.False(third.Events.HasNext);
        third.Dispose();
    }

    [Fact]
    public async Task List_ChangesWhileOneOfTwoIsAway_IsToldToThatOneToo()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = new StatelessClient(gateway.Http);
        var (stays, _) = await client.ListenAsync("""{"toolsListChanged":true}""");
        var (leaves, _) = await client.ListenAsync("""{"toolsListChanged":true}""");
        var session = Assert.Single(gateway.Sessions.All);
        var connections = session.Connections;
        leaves.Dispose();
        await gateway.UntilAsync(() => session.Connections == connections / 2, "one is gone");

        session.Outbox.SendListChanged("notifications/tools/list_changed");
        var (back, _) = await client.ListenAsync("""{"toolsListChanged":true}""", "9");

        Assert.Equal(("notifications/tools/list_changed", "9"), Told(await back.Events.MessageAsync()));
        Assert.Equal("notifications/tools/list_changed", Told(await stays.Events.MessageAsync()).Item1);
        Assert.False(stays.Events.HasNext || back.Events.HasNext);
        stays.Dispose();
        back.Dispose();
    }

    [Fact]
    public async Task List_ChangedBeforeARestart_IsToldOnceToWhoeverListensAfterIt_ForADay()
    {
        await using var folder = new SqliteFixture();
        var clock = new FakeClock();
        var upstream = new FakeUpstream { HasGetStream = true };
        await using (var before = await GatewayFixture.StartAsync(new FixtureOptions { Directory = folder.Directory, Clock = clock }, upstream))
        {
            await new StatelessClient(before.Http).ResultAsync("tools/list");
        }

        clock.Advance(TimeSpan.FromDays(3));
        upstream.Hold("more");
        await using (var between = await GatewayFixture.StartAsync(new FixtureOptions { Directory = folder.Directory, Clock = clock }, upstream))
        {
            await between.UntilAsync(() => between.LogLines.Lines.Any(line => line.Contains("CatalogueChanged", StringComparison.Ordinal)), "the change is seen", TimeSpan.FromMinutes(1));
        }

        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Directory = folder.Directory, Clock = clock }, upstream);
        var client = new StatelessClient(gateway.Http);
        var (first, _) = await client.ListenAsync("""{"toolsListChanged":true,"promptsListChanged":true}""", "1");
        Assert.Equal(("notifications/tools/list_changed", "1"), Told(await first.Events.MessageAsync()));
        Assert.False(first.Events.HasNext);
        first.Dispose();
        await gateway.UntilAsync(() => !Assert.Single(gateway.Sessions.All).Outbox.IsConnected, "nobody listens");
        var (second, _) = await client.ListenAsync("""{"toolsListChanged":true}""", "2");
        Assert.False(second.Events.HasNext);
        second.Dispose();
        gateway.Advance(TimeSpan.FromDays(2));
        var (third, _) = await client.ListenAsync("""{"toolsListChanged":true}""", "3");
        Assert.False(third.Events.HasNext);
        third.Dispose();
    }

    private static (string?, string) Told(JsonObject message) => ((string?)message["method"], message["params"]!["_meta"]![SubscriptionId]!.ToJsonString());
}
