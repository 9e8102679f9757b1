using System.Net;
using System.Net.Http;
using System.Text;
using System.Text.Json.Nodes;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Upstreams.Stateless;

/// <summary>What a server without sessions says of its own accord: one subscription for all that a link wishes for, whatever becomes of it.</summary>
public sealed partial class ListeningTests
{
    private const string Uri = "test://one/a";

    private static readonly TimeSpan AMinute = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task Lists_ChangesAreTold_AreReadAndPassedOnWithoutTheServersId()
    {
        await using var gateway = await Servers.StartAsync();
        var (client, events, listen) = await ListeningAsync(gateway);
        Assert.Equal("""{"promptsListChanged":true,"resourcesListChanged":true,"toolsListChanged":true}""", Filter(listen));

        Servers.Of(gateway).Tools = """[{"name":"new","inputSchema":{"type":"object"}}]""";
        await listen.TellAsync("notifications/tools/list_changed");

        Assert.Equal("""{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}""", (await events.EventAsync()).Data);
        using var list = await client.RequestAsync("tools/list");
        Assert.Equal("new", (string?)(await list.MessageAsync())["result"]!["tools"]![0]!["name"]);
        Assert.Empty(Servers.Of(gateway).Faults);
    }

    [Fact]
    public async Task Listening_FailsByABug_IsBegunAgain()
    {
        var asked = 0;
        await using var gateway = await Servers.StartAsync(intercept: e =>
            (string?)e.Message?["method"] == "subscriptions/listen" && Interlocked.Increment(ref asked) == 1 ? throw new InvalidOperationException("scripted bug") : false);

        await gateway.UntilAsync(() => Volatile.Read(ref asked) > 1, "it is asked for again", AMinute);

        Assert.Contains(gateway.LogLines.Lines, line => line.StartsWith("Error StatelessListeningFailed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Subscription_Made_OpensTheNextBeforeItEndsTheOneBefore()
    {
        await using var gateway = await Servers.StartAsync();
        var (client, events, before) = await ListeningAsync(gateway);

        var subscribing = client.RequestAsync("resources/subscribe", $$"""{"uri":"{{Uri}}"}""");
        var after = await Servers.Of(gateway).ListenAsync();
        Assert.Equal($$"""{"promptsListChanged":true,"resourcesListChanged":true,"toolsListChanged":true,"resourceSubscriptions":["{{Uri}}"]}""", Filter(after));
        Assert.False(before.Aborted.IsCancellationRequested);
        Assert.False(subscribing.IsCompleted);
        await after.AcknowledgeAsync();
        Assert.NotNull((await (await subscribing).MessageAsync())["result"]);

        await gateway.UntilAsync(() => before.WasLeft, "the one before is ended", AMinute);
        await after.TellAsync("notifications/resources/updated", Uri);
        var told = await events.MessageAsync();
        Assert.Equal(("notifications/resources/updated", Uri), ((string?)told["method"], (string?)told["params"]!["uri"]));
        Assert.Null(told["params"]!["_meta"]);
        Assert.Empty(gateway.Upstream.Messages("resources/subscribe"));
    }

    [Fact]
    public async Task Subscription_BothTell_IsToldOnce()
    {
        await using var gateway = await Servers.StartAsync();
        var (client, events, before) = await ListeningAsync(gateway);

        var subscribing = client.RequestAsync("resources/subscribe", $$"""{"uri":"{{Uri}}"}""");
        var after = await Servers.Of(gateway).ListenAsync();
        await after.AcknowledgeAsync();
        using var reply = await subscribing;

        // Of what the server tells by both, and of what it told by the one before alone, each is news once.
        await before.TellAsync("notifications/resources/updated", Uri);
        await after.TellAsync("notifications/resources/updated", Uri);
        await after.TellAsync("notifications/resources/updated", "test://one/b");
        Assert.Equal(Uri, (string?)(await events.MessageAsync())["params"]!["uri"]);
        Assert.Equal("test://one/b", (string?)(await events.MessageAsync())["params"]!["uri"]);
        await before.TellAsync("notifications/resources/updated", "test://one/b");
        await before.TellAsync("notifications/resources/updated", "test://one/c");
        Assert.Equal("test://one/c", (string?)(await events.MessageAsync())["params"]!["uri"]);
    }

    [Fact]
    public async Task Subscription_TheOneBeforeBreaksWhileItIsHeardOn_WhatItMayHaveToldIsLookedFor()
    {
        await using var gateway = await Servers.StartAsync();
        var (client, events, before) = await ListeningAsync(gateway);
        var subscribing = client.RequestAsync("resources/subscribe", $$"""{"uri":"{{Uri}}"}""");
        var after = await Servers.Of(gateway).ListenAsync();
        await after.AcknowledgeAsync();
        using var reply = await subscribing;

        // Told by the one before alone, and lost with it.
        Servers.Of(gateway).Tools = """[{"name":"new","inputSchema":{"type":"object"}}]""";
        before.Cut();

        var told = new SortedSet<string>(StringComparer.Ordinal);
        while (told.Count < 2)
        {
            told.Add((string)(await events.MessageAsync())["method"]!);
        }

        Assert.Equal(["notifications/resources/updated", "notifications/tools/list_changed"], told);
        Assert.False(after.WasLeft);
    }

    [Fact]
    public async Task Subscription_TheOneBeforeEndsInOrderOrIsLeft_NobodyLooks()
    {
        await using var gateway = await Servers.StartAsync();
        var (client, events, before) = await ListeningAsync(gateway);
        var subscribing = client.RequestAsync("resources/subscribe", $$"""{"uri":"{{Uri}}"}""");
        var after = await Servers.Of(gateway).ListenAsync();
        await after.AcknowledgeAsync();
        using var reply = await subscribing;
        var subscribingMore = client.RequestAsync("resources/subscribe", """{"uri":"test://one/b"}""");
        var last = await Servers.Of(gateway).ListenAsync();
        await gateway.UntilAsync(() => before.WasLeft, "the first is left");
        await last.AcknowledgeAsync();
        using var more = await subscribingMore;
        await after.CompleteAsync();
        await gateway.UntilAsync(() => after.WasLeft, "the second has ended");
        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromSeconds(2), gateway.Clock), TimeSpan.FromSeconds(3), "time passed");

        await last.TellAsync("notifications/resources/updated", "test://one/b");
        Assert.Equal("test://one/b", (string?)(await events.MessageAsync())["params"]!["uri"]);
    }

    [Fact]
    public async Task Subscription_NotHonoured_IsRefusedToTheClientAndForgotten()
    {
        await using var gateway = await Servers.StartAsync();
        var (client, _, _) = await ListeningAsync(gateway);

        var subscribing = client.RequestAsync("resources/subscribe", $$"""{"uri":"{{Uri}}"}""");
        await (await Servers.Of(gateway).ListenAsync()).AcknowledgeAsync("""{"toolsListChanged":true}""");

        Assert.Equal(-32602, (await (await subscribing).MessageAsync()).ErrorCode());
        Assert.DoesNotContain("resourceSubscriptions", Filter(await Servers.Of(gateway).ListenAsync()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Subscription_TakenBack_IsListenedForNoMore()
    {
        await using var gateway = await Servers.StartAsync();
        var (client, _, _) = await ListeningAsync(gateway);
        var subscribing = client.RequestAsync("resources/subscribe", $$"""{"uri":"{{Uri}}"}""");
        await (await Servers.Of(gateway).ListenAsync()).AcknowledgeAsync();
        await subscribing;

        using var reply = await client.RequestAsync("resources/unsubscribe", $$"""{"uri":"{{Uri}}"}""");

        Assert.NotNull((await reply.MessageAsync())["result"]);
        Assert.DoesNotContain("resourceSubscriptions", Filter(await Servers.Of(gateway).ListenAsync()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stream_Breaks_IsOpenedAgainAndWhatWasMissedIsTold()
    {
        await using var gateway = await Servers.StartAsync();
        var (client, events, listen) = await ListeningAsync(gateway);

        Servers.Of(gateway).Tools = """[{"name":"new","inputSchema":{"type":"object"}}]""";
        listen.Cut();
        var again = Servers.Of(gateway).ListenAsync();
        await (await gateway.PassTimeAsync(again, AMinute, "the next one")).AcknowledgeAsync();

        Assert.Equal("notifications/tools/list_changed", (string?)(await events.MessageAsync())["method"]);
        _ = client;
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Stream_BreaksWhileTheNextIsOpened_WhatWasMissedIsTold(bool nextBreaksToo)
    {
        await using var gateway = await Servers.StartAsync();
        var (client, events, before) = await ListeningAsync(gateway);

        var subscribing = client.RequestAsync("resources/subscribe", $$"""{"uri":"{{Uri}}"}""");
        var next = await Servers.Of(gateway).ListenAsync();
        Servers.Of(gateway).Tools = """[{"name":"new","inputSchema":{"type":"object"}}]""";
        before.Cut();
        await gateway.UntilAsync(() => before.WasLeft, "that is noticed");
        if (nextBreaksToo)
        {
            next.Fail(HttpRequestError.ResponseEnded);
            next = await gateway.PassTimeAsync(Servers.Of(gateway).ListenAsync(), AMinute, "another one");
        }

        await next.AcknowledgeAsync();
        await subscribing;

        // In whichever order: the list is read before it is told of; and of a resource it is told each time that nobody listened.
        var told = new SortedSet<string>(StringComparer.Ordinal);
        while (told.Count < 2)
        {
            told.Add((string)(await events.MessageAsync())["method"]!);
        }

        Assert.Equal(["notifications/resources/updated", "notifications/tools/list_changed"], told);
    }

    [Fact]
    public async Task Stream_BreaksAndNothingIsNew_NobodyIsTold()
    {
        await using var gateway = await Servers.StartAsync();
        var (client, events, listen) = await ListeningAsync(gateway);
        var lists = gateway.Upstream.Messages("resources/templates/list").Count;

        listen.Cut();
        var again = await gateway.PassTimeAsync(Servers.Of(gateway).ListenAsync(), AMinute, "the next one");
        await again.AcknowledgeAsync();
        await gateway.UntilAsync(() => gateway.Upstream.Messages("resources/templates/list").Count > lists, "it has looked");
        await again.TellAsync("notifications/prompts/list_changed");

        Assert.Equal("notifications/prompts/list_changed", (string?)(await events.MessageAsync())["method"]);
        _ = client;
    }

    [Fact]
    public async Task Subscribed_StreamBreaks_ResourceMayBeAnother()
    {
        await using var gateway = await Servers.StartAsync();
        var (client, events, _) = await ListeningAsync(gateway);
        var subscribing = client.RequestAsync("resources/subscribe", $$"""{"uri":"{{Uri}}"}""");
        var listen = await Servers.Of(gateway).ListenAsync();
        await listen.AcknowledgeAsync();
        await subscribing;

        listen.Cut();
        var again = await gateway.PassTimeAsync(Servers.Of(gateway).ListenAsync(), AMinute, "the next one");
        Assert.Contains(Uri, Filter(again), StringComparison.Ordinal);
        await again.AcknowledgeAsync();

        Assert.Equal(Uri, (string?)(await events.MessageAsync())["params"]!["uri"]);
    }

    [Fact]
    public async Task Server_EndsEachAtOnce_IsAskedLessAndLessOften()
    {
        await using var gateway = await Servers.StartAsync(Only);
        Servers.Of(gateway).Intercept = EndsAtOnce;
        await gateway.ClientAsync();
        await gateway.UntilAsync(() => gateway.Upstream.Messages("subscriptions/listen").Count >= 1, "it is asked for");

        await gateway.UntilAsync(() => gateway.Upstream.Messages("subscriptions/listen").Count >= 5, "it is asked for again", AMinute);
        var soon = gateway.Upstream.Messages("subscriptions/listen").Count;
        await gateway.PassTimeAsync(Task.Delay(AMinute, gateway.Clock), AMinute + TimeSpan.FromSeconds(1), "a minute");

        Assert.InRange(gateway.Upstream.Messages("subscriptions/listen").Count - soon, 0, 8);
    }

    [Theory]
    [InlineData(20_000)]
    [InlineData(0)]
    [InlineData(null)]
    public async Task Server_EndsEachAtOnce_ListsAreReadWhenTheirTimeIsUp(int? ttl)
    {
        await using var gateway = await Servers.StartAsync();
        Servers.Of(gateway).Intercept = EndsAtOnce;
        Servers.Of(gateway).TtlMs = ttl;
        var client = await gateway.ClientAsync();
        await client.ResultAsync("echo");
        using var stream = await gateway.ListenAsync(client);
        await gateway.UntilAsync(() => gateway.Upstream.Messages("resources/templates/list").Count >= 2, "all lists are read");

        // The lists are the same after the pauses between subscriptions; then the server changes one while nobody can hear of it.
        Servers.Of(gateway).Intercept = e => (string?)e.Message?["method"] == "subscriptions/listen" && Said(() => e.Status(HttpStatusCode.InternalServerError));
        Servers.Of(gateway).Tools = """[{"name":"new","inputSchema":{"type":"object"}}]""";
        var told = stream.Events.MessageAsync();

        Assert.Equal("notifications/tools/list_changed", (string?)(await gateway.PassTimeAsync(told, TimeSpan.FromMinutes(3), "the change"))["method"]);
    }

    [Fact]
    public async Task Server_HonoursNothingAndSaysNoTime_ListsAreReadLessAndLessOften()
    {
        await using var gateway = await Servers.StartAsync(Only, e =>
        {
            if ((string?)e.Message?["method"] != "subscriptions/listen")
            {
                return false;
            }

            _ = e.Stream().AcknowledgeAsync("{}");
            return true;
        });
        using var client = await SharedClientAsync(gateway);
        await gateway.UntilAsync(() => gateway.Upstream.Messages("subscriptions/listen").Count >= 1, "it listens");
        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromMinutes(8), gateway.Clock), TimeSpan.FromMinutes(9), "some minutes");
        var read = gateway.Upstream.Messages("tools/list").Count;
        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromMinutes(10), gateway.Clock), TimeSpan.FromMinutes(11), "ten minutes");

        Assert.InRange(gateway.Upstream.Messages("tools/list").Count - read, 3, 7);
    }

    [Fact]
    public async Task Server_CannotBeListenedTo_PromisesNothingOfResources_AndItsListsAreRead()
    {
        await using var gateway = await Servers.StartAsync();
        Servers.Of(gateway).Intercept = e => (string?)e.Message?["method"] == "subscriptions/listen" && Said(() => e.Refuse(HttpStatusCode.NotFound, -32601, "Method not found"));
        var first = await gateway.ClientAsync();
        await first.ResultAsync("echo");
        await gateway.UntilAsync(() => gateway.Upstream.Messages("subscriptions/listen").Count > 0, "it was asked");
        var asked = gateway.Upstream.Messages("subscriptions/listen").Count;
        await gateway.PassTimeAsync(Task.Delay(AMinute, gateway.Clock), AMinute + TimeSpan.FromSeconds(1), "a minute");

        Assert.InRange(gateway.Upstream.Messages("subscriptions/listen").Count, asked, 2);
        var later = await gateway.ClientAsync(capabilities: """{"roots":{}}""");
        using var subscribed = await later.RequestAsync("resources/subscribe", $$"""{"uri":"{{Uri}}"}""");
        Assert.Equal(-32602, (await subscribed.MessageAsync()).ErrorCode());
        var hello = await gateway.NewClient().InitializeAsync("""{"roots":{"listChanged":true}}""");
        Assert.Equal(
            """{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"listChanged":true},"logging":{},"completions":{}}""",
            hello["result"]!["capabilities"]!.ToJsonString());

        using var stream = await gateway.ListenAsync(first);
        Servers.Of(gateway).Tools = """[{"name":"new","inputSchema":{"type":"object"}}]""";
        Assert.Equal("notifications/tools/list_changed", (string?)(await gateway.PassTimeAsync(stream.Events.MessageAsync(), TimeSpan.FromMinutes(3), "the change"))["method"]);
    }

    [Fact]
    public async Task Server_CouldNotBeListenedTo_IsAskedAgainAfterTenMinutes_AndThenHeard()
    {
        await using var gateway = await Servers.StartAsync(Only, CannotListen);
        using var stream = await SharedClientAsync(gateway);
        await gateway.UntilAsync(() => gateway.Upstream.Messages("subscriptions/listen").Count > 0, "it was asked");
        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromMinutes(9), gateway.Clock), TimeSpan.FromMinutes(10), "nine minutes");
        var asked = gateway.Upstream.Messages("subscriptions/listen").Count;
        Assert.Equal(1, asked);

        Servers.Of(gateway).Intercept = null;
        var listen = await gateway.PassTimeAsync(Servers.Of(gateway).ListenAsync(), TimeSpan.FromMinutes(2), "it is asked again");
        await listen.AcknowledgeAsync();
        Servers.Of(gateway).Tools = """[{"name":"new","inputSchema":{"type":"object"}}]""";
        await listen.TellAsync("notifications/tools/list_changed");

        Assert.Equal("notifications/tools/list_changed", (string?)(await stream.Events.MessageAsync())["method"]);
        Assert.Equal(
            """{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"logging":{},"completions":{}}""",
            Capabilities(await gateway.NewClient().InitializeAsync()));
    }

    [Fact]
    public async Task Server_CouldNotBeListenedToAndSaysOtherwiseOfItself_IsAskedAtOnce()
    {
        await using var gateway = await Servers.StartAsync(intercept: CannotListen);
        await gateway.UntilAsync(() => gateway.Upstream.Messages("subscriptions/listen").Count > 0, "it was asked");
        await gateway.PassTimeAsync(Task.Delay(AMinute, gateway.Clock), AMinute + TimeSpan.FromSeconds(1), "a minute");
        Servers.Of(gateway).Intercept = null;
        Servers.Of(gateway).Capabilities = """{"tools":{"listChanged":true},"resources":{"subscribe":true}}""";

        await (await gateway.ClientAsync(capabilities: """{"roots":{}}""")).ResultAsync("echo");

        await (await gateway.PassTimeAsync(Servers.Of(gateway).ListenAsync(), AMinute, "it is listened to")).AcknowledgeAsync();
    }

    private static bool CannotListen(UpstreamExchange exchange) =>
        (string?)exchange.Message?["method"] == "subscriptions/listen" && Said(() => exchange.Refuse(HttpStatusCode.NotFound, -32601, "Method not found"));

    private static string Capabilities(JsonObject hello) => hello["result"]!["capabilities"]!.ToJsonString();

    [Fact]
    public async Task Server_AnswersLineByLineAndWritesTheIdAsAString_IsHeard()
    {
        await using var gateway = await Servers.StartAsync(Only, e => (string?)e.Message?["method"] == "subscriptions/listen" && Said(() => e.Lines()));
        using var client = await SharedClientAsync(gateway);
        await gateway.UntilAsync(() => gateway.Upstream.Requests.Any(e => e.IsLines), "it listens");
        var listen = gateway.Upstream.Requests.Last(e => e.IsLines);

        await listen.RawAsync($$$"""{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"{{{listen.Id}}}"},"notifications":{"toolsListChanged":true} } }""" + "\n");
        Servers.Of(gateway).Tools = """[{"name":"new","inputSchema":{"type":"object"}}]""";
        await listen.RawAsync($$$"""{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"{{{listen.Id}}}"} } }""" + "\n");

        Assert.Equal("notifications/tools/list_changed", (string?)(await client.Events.MessageAsync())["method"]);
    }

    private static ServerConfig Only(ServerConfig server) => server with { Scope = LinkScope.Shared };

    private static async Task<TestReply> SharedClientAsync(GatewayFixture gateway)
    {
        var client = await gateway.ClientAsync();
        await client.ResultAsync("echo");
        return await gateway.ListenAsync(client);
    }

    /// <summary>A client that listens, its link open, and the subscription of that link.</summary>
    private static async Task<(McpTestClient Client, TestEvents Events, UpstreamExchange Listen)> ListeningAsync(GatewayFixture gateway)
    {
        // The watch that belongs to no session.
        await (await Servers.Of(gateway).ListenAsync()).AcknowledgeAsync();
        var client = await gateway.ClientAsync();
        await client.ResultAsync("echo");
        var listen = await Servers.Of(gateway).ListenAsync();
        await listen.AcknowledgeAsync();
        var stream = await gateway.ListenAsync(client);
        var lists = new[] { "tools/list", "prompts/list", "resources/list", "resources/templates/list" };
        await gateway.UntilAsync(() => lists.All(l => gateway.Upstream.Messages(l).Count >= 2), "all lists are read on both links");
        return (client, stream.Events, listen);
    }

    private static string Filter(UpstreamExchange listen) => listen.Message!["params"]!["notifications"]!.ToJsonString();

    private static bool EndsAtOnce(UpstreamExchange exchange)
    {
        if ((string?)exchange.Message?["method"] != "subscriptions/listen")
        {
            return false;
        }

        // Nobody waits for it: a pipe takes all of it.
        _ = exchange.Stream().AcknowledgeAsync("{}");
        _ = exchange.CompleteAsync();
        exchange.End();
        return true;
    }

    private static bool Said(Action answer)
    {
        answer();
        return true;
    }
}
