using System.Net;
using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Replicas;
using Mooring.Routing;
using Xunit;

namespace Mooring.Tests.Replicas;

/// <summary>What a server says of its own accord is listened to by one replica, goes on at another where that is gone, and is passed on once.</summary>
public sealed class ReplicaListeningTests
{
    [Fact]
    public async Task Server_UsedThroughBoth_IsListenedToOnce()
    {
        await using var pair = await StartAsync();
        var client = await pair.A.ClientAsync();
        await client.ResultAsync("echo");
        await ReplicaPair.At(pair.B, client).ResultAsync("echo");

        await pair.PassAsync(TimeSpan.FromSeconds(10));

        Assert.Single(Gets(pair, client));
        Assert.True(pair.A.Session(client).Links.Open[0].Listens);
        Assert.False(pair.B.Session(client).Links.Open[0].Listens);
    }

    [Fact]
    public async Task Listener_Stops_TheOtherGoesOnAfterTheLastEventThatIsInTheLog()
    {
        await using var pair = await StartAsync();
        var there = await pair.B.ClientAsync();
        var client = ReplicaPair.At(pair.A, there);
        await there.ResultAsync("echo");
        var listening = await GetAsync(pair, client);
        using var stream = await pair.A.ListenAsync(client);
        await listening.SendAsync(Said("first"), id: "e 1");
        await listening.SendAsync(Said("second"), id: "e 2");
        Assert.Equal("first", await DataAsync(pair, stream));
        Assert.Equal("second", await DataAsync(pair, stream));
        await client.ResultAsync("echo");
        var link = pair.A.Session(client).Links.Open[0].SessionId!;

        await pair.StopBAsync();

        var next = await pair.A.PassTimeAsync(OfSessionAsync(pair.Upstream, link), TimeSpan.FromSeconds(30), "the other listens");
        Assert.Equal("e 2", next.LastEventId);
        await next.SendAsync(Said("third"), id: "e 3");
        Assert.Equal("third", await DataAsync(pair, stream));
    }

    [Theory]
    [InlineData("notifications/resources/updated", """{"uri":"test://one/a"}""")]
    [InlineData("notifications/prompts/list_changed", "{}")]
    [InlineData("notifications/resources/list_changed", "{}")]
    public async Task Server_SaysSomethingToTheReplicaWithoutTheStream_ItIsToldOnceWhereTheStreamIs(string method, string parameters)
    {
        await using var pair = await StartAsync();
        var there = await pair.B.ClientAsync();
        await there.ResultAsync("echo");
        (await there.RequestAsync("prompts/list")).Dispose();
        (await there.RequestAsync("resources/list")).Dispose();
        (await there.RequestAsync("resources/subscribe", """{"uri":"test://one/a"}""")).Dispose();
        var listening = await GetAsync(pair, there);
        using var stream = await pair.A.ListenAsync(ReplicaPair.At(pair.A, there));

        await listening.SendAsync($$"""{"jsonrpc":"2.0","method":"{{method}}","params":{{parameters}}}""", id: "e 1");
        await pair.PassAsync(TimeSpan.FromSeconds(10));
        await listening.SendAsync(Said("the end"), id: "e 2");

        List<string?> told = [];
        while (told is not [.., "notifications/message"])
        {
            told.Add((string?)(await pair.A.PassTimeAsync(stream.MessageAsync(), TimeSpan.FromSeconds(30), "what is told"))["method"]);
        }

        Assert.Equal([method, "notifications/message"], told);
    }

    [Fact]
    public async Task Listener_Drained_LeavesItToTheOtherForGood()
    {
        await using var pair = await StartAsync();
        var client = await pair.A.ClientAsync();
        await client.ResultAsync("echo");
        await ReplicaPair.At(pair.B, client).ResultAsync("echo");

        await pair.A.PassTimeAsync(pair.A.Get<Mooring.Drain.GatewayDrain>().Begin(evenIfIdle: false), TimeSpan.FromMinutes(2), "the drain is over");

        await pair.UntilAsync(() => pair.B.Session(client).Links.Open[0].Listens, "the other listens");
        await pair.PassAsync(TimeSpan.FromSeconds(5));
        Assert.False(pair.A.Session(client).Links.Open[0].Listens);
        Assert.True(pair.B.Session(client).Links.Open[0].Listens);
    }

    [Fact]
    public async Task Listener_TakenForDead_LeavesItToTheOther()
    {
        await using var pair = await StartAsync();
        var client = await pair.A.ClientAsync();
        await client.ResultAsync("echo");
        await GetAsync(pair, client);
        await ReplicaPair.At(pair.B, client).ResultAsync("echo");
        var before = pair.A.Get<Peers>().Name;
        pair.Store.Store.Before = operation =>
            operation == $"BeatAsync {before}" ? Task.FromException(new Mooring.Stores.StoreException("scripted failure")) : Task.CompletedTask;

        await pair.UntilAsync(() => pair.B.Session(client).Links.Open[0].Listens, "the other listens");
        pair.Store.Store.Before = null;

        await pair.UntilAsync(() => !pair.A.Session(client).Links.Open[0].Listens, "this one does not any more");
        Assert.True(pair.B.Session(client).Links.Open[0].Listens);
    }

    [Fact]
    public async Task Session_OnlyUsedAtTheOther_IsLeftWithItsLinkAndListenedToThere()
    {
        await using var pair = await StartAsync(config => config with { Sessions = config.Sessions with { Idle = TimeSpan.FromSeconds(70) } });
        var client = await pair.A.ClientAsync();
        await client.ResultAsync("echo");
        var link = pair.A.Session(client).Links.Open[0].SessionId;
        var there = ReplicaPair.At(pair.B, client);
        for (var i = 0; i < 4; i++)
        {
            await pair.PassAsync(TimeSpan.FromSeconds(25));
            await there.ResultAsync("echo");
        }

        await pair.UntilAsync(() => pair.A.Sessions.Count == 0 && pair.B.Session(there).Links.Open[0].Listens, "it is let go of, and listened to at the other");

        Assert.Contains(link, pair.Upstream.Sessions);
        Assert.Equal(link, pair.B.Session(there).Links.Open[0].SessionId);
    }

    [Fact]
    public async Task Server_ForgotItsSessions_IsGivenOneForBothReplicas()
    {
        await using var pair = await StartAsync();
        var client = await pair.A.ClientAsync();
        var there = ReplicaPair.At(pair.B, client);
        await client.ResultAsync("echo");
        await there.ResultAsync("echo");
        pair.Upstream.ForgetSessions();
        var before = OfTheSession();
        pair.Store.Signals.LosesAll = true;

        await there.ResultAsync("echo");
        await client.ResultAsync("echo");

        Assert.Equal(before + 1, OfTheSession());
        Assert.Equal(pair.B.Session(there).Links.Open[0].SessionId, pair.A.Session(client).Links.Open[0].SessionId);

        // The gateways' own links, for lists, get new ones as well, whenever they find out.
        int OfTheSession() => pair.Upstream.Messages("initialize").Count(message => (string?)message["params"]!["clientInfo"]!["name"] != "mooring");
    }

    [Fact]
    public async Task Server_GaveTheOtherANewSession_IsListenedToOnThatOne()
    {
        await using var pair = await StartAsync();
        var client = await pair.A.ClientAsync();
        var there = ReplicaPair.At(pair.B, client);
        await client.ResultAsync("echo");
        await GetAsync(pair, client);
        await there.ResultAsync("echo");
        pair.Upstream.ForgetSessions();

        await there.ResultAsync("echo");

        var renewed = pair.B.Session(there).Links.Open[0].SessionId;
        var listening = await pair.A.PassTimeAsync(GetAsync(pair, client), TimeSpan.FromSeconds(30), "somebody listens on the new session");
        Assert.Equal(renewed, listening.Session);
    }

    [Fact]
    public async Task ListChange_HeardByTheOtherAndAllSignalsLost_IsShownAsSoonAsItIsTold()
    {
        await using var pair = await StartAsync();
        var client = await pair.A.ClientAsync();
        await client.ResultAsync("echo");
        var listening = await GetAsync(pair, client);
        var there = ReplicaPair.At(pair.B, client);
        await there.ResultAsync("echo");
        Assert.DoesNotContain("new", await ToolsAsync(pair, there));
        using var stream = await pair.B.ListenAsync(there);
        await pair.UntilAsync(() => pair.A.Session(client).Outbox.IsConnected, "it is known where the stream is");

        pair.Store.Signals.LosesAll = true;
        pair.Upstream.Hold("new");
        await listening.SendAsync("""{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}""", id: "e1");

        var told = await pair.A.PassTimeAsync(stream.Events.EventAsync(), TimeSpan.FromSeconds(30), "the change is told");
        Assert.Equal("notifications/tools/list_changed", (string?)told.Message["method"]);
        Assert.Contains("new", await ToolsAsync(pair, there));
    }

    [Fact]
    public async Task List_ShownAnewToAnotherSession_IsAskedForWhereTheOwnLinkIsNotTheOneThatListens()
    {
        await using var pair = await StartAsync();
        var client = await pair.A.ClientAsync();
        await client.ResultAsync("echo");
        await GetAsync(pair, client);
        var there = ReplicaPair.At(pair.B, client);
        await there.ResultAsync("echo");
        Assert.DoesNotContain("new", await ToolsAsync(pair, there));
        var key = CatalogueKey.Of(ProtocolVersions.Latest, pair.B.Session(client).Record.InitializeParams.Span);

        pair.Upstream.Hold("new");
        await (await pair.A.ClientAsync()).ResultAsync("echo");

        await pair.UntilAsync(() => pair.B.Get<Catalogue>().Find("one", key)[ListKind.Tools]!.Items.Any(tool => tool.Name == "new"), "the news is there");
        await pair.PassAsync(TimeSpan.FromSeconds(1));
        Assert.Contains("new", await ToolsAsync(pair, there));
    }

    /// <summary>What is made of the lists is kept as long as their version is the same.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task News_ReadFromTheStore_AreAnotherVersionOfTheLists(bool isList)
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (here, there) = (pair.A.Get<Catalogue>(), pair.B.Get<Catalogue>());
        var before = there.Version;

        if (isList)
        {
            here.Save("one", "k", ServerList.Of(ListKind.Tools, """{"tools":[{"name":"x"}]}"""u8.ToArray()));
            await pair.UntilAsync(() => there.Find("one", "k")[ListKind.Tools] is not null, "the list is there");
        }
        else
        {
            here.Save("one", "k", """{"capabilities":{"tools":{}}}"""u8.ToArray());
            await pair.UntilAsync(() => !there.Find("one", "k").InitializeResult.IsEmpty, "what the server said first is there");
        }

        await pair.UntilAsync(() => there.Version != before, "it counts as a change");
    }

    [Fact]
    public async Task Server_DoesNotKnowTheLastEventAnyMore_IsListenedToFromNowOn()
    {
        var upstream = new FakeUpstream { HasGetStream = true };
        await using var gateway = await GatewayFixture.StartAsync(null, upstream);
        var client = await gateway.ClientAsync();
        await client.ResultAsync("echo");
        using var stream = await gateway.ListenAsync(client);
        var link = gateway.Session(client).Links.Open[0].SessionId!;
        var first = await OfSessionAsync(upstream, link);
        await first.SendAsync(Said("first"), id: "e1");
        Assert.Equal("first", (string?)(await stream.Events.EventAsync()).Message["params"]?["data"]);
        first.End();

        var second = await gateway.PassTimeAsync(OfSessionAsync(upstream, link), TimeSpan.FromSeconds(30), "the stream is asked for again");
        Assert.Equal("e1", second.LastEventId);
        second.Status(HttpStatusCode.BadRequest);

        var third = await gateway.PassTimeAsync(OfSessionAsync(upstream, link), TimeSpan.FromSeconds(30), "the stream is asked for anew");
        Assert.Null(third.LastEventId);
    }

    [Fact]
    public async Task Gateway_Restarted_GoesOnListeningAfterTheLastEventInTheLog()
    {
        var directory = Directory.CreateTempSubdirectory("mooring-").FullName;
        try
        {
            var upstream = new FakeUpstream { HasGetStream = true };
            McpTestClient client;
            string? last;
            string link;
            await using (var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Directory = directory }, upstream))
            {
                client = await gateway.ClientAsync();
                await client.ResultAsync("echo");
                using var stream = await gateway.ListenAsync(client);
                link = gateway.Session(client).Links.Open[0].SessionId!;
                await (await OfSessionAsync(upstream, link)).SendAsync(Said("first"), id: "e1");
                last = (await stream.Events.EventAsync()).Id;
            }

            await using var again = await GatewayFixture.StartAsync(new FixtureOptions { Directory = directory }, upstream);
            using var resumed = await again.ListenAsync(ReplicaPair.At(again, client), last);

            Assert.Equal("e1", (await again.PassTimeAsync(OfSessionAsync(upstream, link), TimeSpan.FromSeconds(30), "it listens")).LastEventId);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static Task<ReplicaPair> StartAsync(Func<MooringConfig, MooringConfig>? config = null) =>
        ReplicaPair.StartAsync(new FakeUpstream { HasGetStream = true }, config);

    /// <summary>The links' GET requests of the client's session; those of shared links left out.</summary>
    private static IReadOnlyList<UpstreamExchange> Gets(ReplicaPair pair, McpTestClient client) =>
        [.. pair.Upstream.Requests.Where(e => e.HttpMethod == "GET" && e.Session == pair.A.Session(client).Links.Open[0].SessionId)];

    private static Task<UpstreamExchange> GetAsync(ReplicaPair pair, McpTestClient client)
    {
        var gateway = pair.A.Sessions.Has(client.SessionId!) ? pair.A : pair.B;
        return OfSessionAsync(pair.Upstream, () => gateway.Session(client).Links.Open is [var first, ..] ? first.SessionId : null);
    }

    private static Task<UpstreamExchange> OfSessionAsync(FakeUpstream upstream, string session) => OfSessionAsync(upstream, () => session);

    private static async Task<UpstreamExchange> OfSessionAsync(FakeUpstream upstream, Func<string?> session)
    {
        while (true)
        {
            var next = await upstream.GetAsync();
            if (next.Session == session())
            {
                return next;
            }
        }
    }

    private static async Task<List<string>> ToolsAsync(ReplicaPair pair, McpTestClient client)
    {
        using var reply = await pair.A.PassTimeAsync(client.RequestAsync("tools/list"), TimeSpan.FromSeconds(10), "the list");
        return [.. (await reply.MessageAsync())["result"]!["tools"]!.AsArray().Select(tool => (string)tool!["name"]!)];
    }

    private static string Said(string data) => $$$"""{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"{{{data}}}"}}""";

    private static async Task<string?> DataAsync(ReplicaPair pair, TestReply stream) =>
        (string?)(await pair.A.PassTimeAsync(stream.Events.EventAsync(), TimeSpan.FromSeconds(30), "what was said")).Message["params"]?["data"];
}
