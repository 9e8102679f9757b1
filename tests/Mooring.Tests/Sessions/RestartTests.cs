using System.Net;
using Mooring.Stores;
using Mooring.Tests.Routing;
using Xunit;

namespace Mooring.Tests.Sessions;

/// <summary>Sessions outlive the process (invariant 6), with what belongs to them.</summary>
public sealed class RestartTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("mooring-test-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Restart_KnownSession_PostGetAndDeleteGoOn()
    {
        var clock = new FakeClock();
        var server = new FakeUpstream();
        string? id;
        await using (var before = await StartAsync(clock, server))
        {
            var client = await before.ClientAsync(user: "ann");
            id = client.SessionId;
            Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
        }

        await using var after = await StartAsync(clock, server);
        var ann = after.NewClient(user: "ann");
        var bob = after.NewClient(user: "bob");
        ann.SessionId = bob.SessionId = id;

        using var stolen = await bob.CallAsync("echo");
        Assert.Equal(HttpStatusCode.NotFound, stolen.Status);
        using var listening = await after.ListenAsync(ann);
        Assert.Equal("nothing", (await ann.ResultAsync("echo")).Text());
        after.Tell(ann, "hello again");
        Assert.Equal("hello again", (string?)(await listening.Events.MessageAsync())["params"]!["data"]);
        using var deleted = await ann.DeleteAsync();
        using var gone = await ann.CallAsync("echo");
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.NotFound), (deleted.Status, gone.Status));
    }

    [Fact]
    public async Task Restart_LinkLevelAndSubscriptions_GoOnWithTheSameUpstreamSession()
    {
        var clock = new FakeClock();
        var server = new FakeUpstream();
        string? id;
        string? upstream;
        await using (var before = await StartAsync(clock, server))
        {
            var client = await before.ClientAsync();
            id = client.SessionId;
            (await client.RequestAsync("logging/setLevel", """{"level":"error"}""")).Dispose();
            (await client.RequestAsync("resources/subscribe", """{"uri":"test://one/a"}""")).Dispose();
            upstream = before.Session(client).Links.Open[0].SessionId;
        }

        await using var after = await StartAsync(clock, server);
        var again = after.NewClient();
        again.SessionId = id;
        Assert.Equal("nothing", (await again.ResultAsync("echo")).Text());

        Assert.Equal(upstream, server.Requests[^1].Session ?? after.Session(again).Links.Open[0].SessionId);
        Assert.Equal("error", after.Session(again).Record.LogLevel);
        Assert.Equal(["test://one/a"], after.Session(again).Record.Subscriptions);
    }

    [Fact]
    public async Task Restart_CallWasRunning_ResumeEndsAsOutcomeUnknownAndIsNotRepeated()
    {
        var clock = new FakeClock();
        var server = new FakeUpstream().Hold("slow");
        string? id;
        string? eventId;
        await using (var before = await StartAsync(clock, server))
        {
            var client = await before.ClientAsync();
            id = client.SessionId;
            var (reply, _) = await before.StreamedAsync(client, id: "\"left\"");
            await reply.Events.NextAsync();
            eventId = (await reply.Events.NextAsync())!.Id;
            reply.Dispose();
        }

        await using var after = await StartAsync(clock, server);
        var again = after.NewClient();
        again.SessionId = id;
        using var resumed = await again.GetAsync(eventId);

        Assert.Equal(HttpStatusCode.OK, resumed.Status);
        var answer = Assert.Single(await resumed.Events.RestAsync(), e => e.IsMessage);
        Assert.Equal(("\"left\"", "outcome_unknown"), (answer.Message.RawId(), answer.Message.Reason()));
        Assert.Equal(1, server.Executions("slow"));

        using var twice = await again.GetAsync(answer.Id);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, twice.Status);
    }

    [Fact]
    public async Task Restart_CallOfALegacySessionWasRunning_EndsAsOutcomeUnknownOnTheNextStream()
    {
        const string path = "/servers/one/sse";
        var clock = new FakeClock();
        var server = new FakeUpstream().Hold("slow");
        TestEvent endpoint;
        await using (var before = await StartAsync(clock, server))
        {
            using var stream = await before.NewClient(path: path).GetAsync();
            await stream.Events.NextAsync();
            endpoint = (await stream.Events.NextAsync())!;
            await SendAsync(before, """{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}""");
            await stream.Events.MessageAsync();
            await SendAsync(before, """{"jsonrpc":"2.0","id":"left","method":"tools/call","params":{"name":"slow","arguments":{}}}""");
            await server.CallAsync();
            await before.UntilAsync(() => before.Get<IStore>().FindRunningCallsAsync(CancellationToken.None).Result.Count == 1, "the call is on record", TimeSpan.FromSeconds(10));
        }

        await using var after = await StartAsync(clock, server);
        using var again = await after.NewClient(path: path).GetAsync(endpoint.Id);
        await again.Events.NextAsync();
        await again.Events.NextAsync();
        var answer = await again.Events.MessageAsync();

        Assert.Equal(("\"left\"", "outcome_unknown"), (answer.RawId(), answer.Reason()));
        Assert.Equal(1, server.Executions("slow"));
        await after.UntilAsync(() => after.Get<IStore>().FindRunningCallsAsync(CancellationToken.None).Result.Count == 0, "it is on record no more", TimeSpan.FromSeconds(10));

        async Task SendAsync(GatewayFixture to, string message)
        {
            using var taken = await to.NewClient(path: "/servers/one/" + endpoint.Data!).PostAsync(message);
            Assert.Equal(HttpStatusCode.Accepted, taken.Status);
        }
    }

    [Fact]
    public async Task Restart_CallOfTheMergedRouteWasRunning_ErrorNamesTheServerThatWasAsked()
    {
        var clock = new FakeClock();
        FakeUpstream[] servers = [new FakeUpstream("two").Hold("slow"), new FakeUpstream("one")];
        string? id;
        string? eventId;
        await using (var before = await StartAsync(clock, servers))
        {
            var client = await before.ClientAsync(path: "/mcp");
            id = client.SessionId;
            var (reply, _) = await before.StreamedAsync(client, "two__slow");
            await reply.Events.NextAsync();
            eventId = (await reply.Events.NextAsync())!.Id;
            reply.Dispose();
        }

        await using var after = await StartAsync(clock, servers);
        var again = after.NewClient(path: "/mcp");
        again.SessionId = id;
        using var resumed = await again.GetAsync(eventId);

        var answer = Assert.Single(await resumed.Events.RestAsync(), e => e.IsMessage).Message;
        Assert.Equal("two", (string?)answer["error"]!["data"]!["mooring"]!["server"]);
    }

    [Fact]
    public async Task Restart_GetStreamAndAnsweredCall_AreReplayedByLastEventId()
    {
        var clock = new FakeClock();
        var server = new FakeUpstream().Hold("slow");
        string? id;
        string? getId;
        string? postId;
        await using (var before = await StartAsync(clock, server))
        {
            var client = await before.ClientAsync();
            id = client.SessionId;
            var (reply, call) = await before.StreamedAsync(client);
            await reply.Events.NextAsync();
            postId = (await reply.Events.NextAsync())!.Id;
            reply.Dispose();
            using (var listening = await before.ListenAsync(client))
            {
                before.Tell(client, "seen");
                getId = (await listening.Events.EventAsync()).Id;
            }

            await before.UntilAsync(() => before.Streams.Count == 0, "both streams are lost");
            call.Text("kept");
            before.Tell(client, "missed");
            await before.UntilAsync(() => before.Runner.Running == 0, "the call is over");
            await before.Session(client).Outbox.Find(getId![..getId!.LastIndexOf('-')])!.SettleAsync();
            await before.Session(client).Outbox.Find(postId![..postId!.LastIndexOf('-')])!.SettleAsync();
        }

        await using var after = await StartAsync(clock, server);
        var again = after.NewClient();
        again.SessionId = id;
        using var get = await after.ListenAsync(again, getId);
        using var post = await after.ListenAsync(again, postId);

        Assert.Equal("missed", (string?)(await get.Events.MessageAsync())["params"]!["data"]);
        Assert.Equal("kept", Assert.Single(await post.Events.RestAsync(), e => e.IsMessage).Message.Text());
        after.Tell(again, "live");
        Assert.Equal("live", (string?)(await get.Events.MessageAsync())["params"]!["data"]);
    }

    [Fact]
    public async Task Restart_ServerUnreachable_ListsAndHelloAreAnsweredAtOnce()
    {
        var clock = new FakeClock();
        var server = new FakeUpstream();
        await using (var before = await StartAsync(clock, server))
        {
            var client = await before.ClientAsync();
            using var known = await client.RequestAsync("tools/list");
            Assert.NotEmpty((await known.MessageAsync())["result"]!["tools"]!.AsArray());
        }

        server.Intercept = _ => throw new HttpRequestException(HttpRequestError.NameResolutionError, "scripted");
        await using var after = await StartAsync(clock, server);

        // No time passes: nothing here waits for the server.
        var late = await after.ClientAsync();
        using var list = await late.RequestAsync("tools/list");
        Assert.NotEmpty((await list.MessageAsync())["result"]!["tools"]!.AsArray());
    }

    private Task<GatewayFixture> StartAsync(FakeClock clock, params FakeUpstream[] servers) =>
        GatewayFixture.StartAsync(new FixtureOptions { Clock = clock, Directory = _directory }, servers);

    [Fact]
    public async Task Restart_SubscribedOnASharedLink_HearsOfUpdatesWithoutACall()
    {
        var clock = new FakeClock();
        var server = new ListingServer("one") { Resources = ListingServer.Uris("u:1") };
        string? id;
        await using (var before = await SharedAsync(clock, server))
        {
            var client = await before.ClientAsync();
            id = client.SessionId;
            (await client.RequestAsync("resources/subscribe", """{"uri":"u:1"}""")).Dispose();
        }

        await using var after = await SharedAsync(clock, server);
        var again = after.NewClient();
        again.SessionId = id;
        using var stream = await after.ListenAsync(again);
        await after.UntilAsync(() => server.Exchanges("resources/subscribe").Count == 2, "the new link subscribed");

        await (await server.StreamOfLatestAsync("resources/subscribe")).SendAsync("""{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"u:1"}}""");
        Assert.Equal("u:1", (string?)(await stream.Events.MessageAsync())["params"]!["uri"]);
    }

    [Fact]
    public async Task SharedLinkLost_WhileASubscribedSessionIsOutOfMemory_HearsOfUpdatesWhenItIsBack()
    {
        var server = new ListingServer("one") { Resources = ListingServer.Uris("u:1") };
        await using var gateway = await SharedAsync(new FakeClock(), server);
        var client = await gateway.ClientAsync();
        (await client.RequestAsync("resources/subscribe", """{"uri":"u:1"}""")).Dispose();
        await gateway.UntilAsync(() => gateway.Sessions.Count == 0, "the session was put away", TimeSpan.FromMinutes(15));
        server.Fake.ForgetSessions();
        var other = await gateway.ClientAsync();
        await other.ResultAsync("x");
        Assert.Single(server.Exchanges("resources/subscribe"));

        using var stream = await gateway.ListenAsync(client);
        await gateway.UntilAsync(() => server.Exchanges("resources/subscribe").Count == 2, "the link subscribed again");

        await (await server.StreamOfLatestAsync("resources/subscribe")).SendAsync("""{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"u:1"}}""");
        Assert.Equal("u:1", (string?)(await stream.Events.MessageAsync())["params"]!["uri"]);
    }

    [Fact]
    public async Task Restart_SubscribedOnItsOwnLink_HearsOfUpdatesWithoutACall()
    {
        var clock = new FakeClock();
        var server = new ListingServer("one") { Resources = ListingServer.Uris("u:1") };
        string? id;
        await using (var before = await GatewayFixture.StartAsync(new FixtureOptions { Clock = clock, Directory = _directory }, server.Fake))
        {
            var client = await before.ClientAsync();
            id = client.SessionId;
            (await client.RequestAsync("resources/subscribe", """{"uri":"u:1"}""")).Dispose();
        }

        await using var after = await GatewayFixture.StartAsync(new FixtureOptions { Clock = clock, Directory = _directory }, server.Fake);
        var again = after.NewClient();
        again.SessionId = id;
        using var stream = await after.ListenAsync(again);

        await after.UntilAsync(() => server.Exchanges("resources/subscribe").Count == 2, "the link subscribed again");
        Assert.Equal(server.Exchanges("resources/subscribe")[0].Session, server.Exchanges("resources/subscribe")[1].Session);
    }

    [Fact]
    public async Task Restart_LinksThatServersSent_LeadToThemAsBefore()
    {
        var clock = new FakeClock();
        var a = new ListingServer("a");
        var b = new ListingServer("b") { CallResult = """{"content":[{"type":"resource_link","uri":"l:1","name":"l"},{"type":"resource_link","uri":"l:2","name":"l"}]}""" };
        string? id;
        await using (var before = await StartAsync(clock, a.Fake, b.Fake))
        {
            var client = await before.ClientAsync(path: "/mcp");
            id = client.SessionId;
            await client.ResultAsync("b__x");
            (await client.RequestAsync("resources/subscribe", """{"uri":"l:1"}""")).Dispose();
            // Also what is only seen is written before long, whatever becomes of the process.
            await before.UntilAsync(() => before.Session(client).Record.Links.Count == 2, "the links are kept", TimeSpan.FromSeconds(15));
        }

        await using var after = await StartAsync(clock, a.Fake, b.Fake);
        var again = after.NewClient(path: "/mcp");
        again.SessionId = id;
        using var stream = await after.ListenAsync(again);

        Assert.Equal("b:l:2", (string?)(await again.ReadAsync("l:2"))["result"]!["contents"]![0]!["text"]);
        await after.UntilAsync(() => b.Exchanges("resources/subscribe").Count == 2, "the link subscribed again");
        Assert.Empty(a.Exchanges("resources/subscribe"));
    }

    [Fact]
    public async Task Unloaded_SessionThatWasSentALink_FindsItsServerWhenItIsBack()
    {
        var server = new ListingServer("a") { CallResult = """{"content":[{"type":"resource_link","uri":"l:1","name":"l"}]}""" };
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Directory = _directory, Server = s => s with { Scope = Mooring.Configuration.LinkScope.Shared } }, server.Fake);
        var client = await gateway.ClientAsync(path: "/mcp");
        await client.ResultAsync("a__x");
        await gateway.UntilAsync(() => gateway.Sessions.Count == 0, "the session was put away", TimeSpan.FromMinutes(15));

        Assert.Equal("a:l:1", (string?)(await client.ReadAsync("l:1"))["result"]!["contents"]![0]!["text"]);
    }

    private Task<GatewayFixture> SharedAsync(FakeClock clock, ListingServer server) => GatewayFixture.StartAsync(
        new FixtureOptions { Clock = clock, Directory = _directory, Server = s => s with { Scope = Mooring.Configuration.LinkScope.Shared } }, server.Fake);
}
