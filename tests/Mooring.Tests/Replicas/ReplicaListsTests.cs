using System.Text.Json.Nodes;
using Xunit;

namespace Mooring.Tests.Replicas;

/// <summary>
/// A session's own lists where two replicas use its session with the server: only the one that listens knows when they change, and what the other
/// read before is never shown after it.
/// </summary>
public sealed class ReplicaListsTests
{
    private const string Changed = """{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}""";

    private readonly FakeUpstream _server = new() { HasGetStream = true };
    private UpstreamExchange? _heldBack;
    private bool _holdsBack;

    public ReplicaListsTests() => _server.Intercept = e =>
    {
        if (!_holdsBack || (string?)e.Message?["method"] != "tools/list")
        {
            return false;
        }

        (_holdsBack, _heldBack) = (false, e);
        return true;
    };

    [Fact]
    public async Task ListReadByTheOtherBeforeAChange_AnsweredAfterIt_IsShownByNeither()
    {
        await using var pair = await ReplicaPair.StartAsync(_server);
        var (client, there, listening) = await UsedByBothAsync(pair);
        await ChangeAsync(pair, listening, client, "first", "e1");

        var old = await HoldBackAsync(pair, there);
        await ChangeAsync(pair, listening, client, "second", "e2");
        Answer(old.Exchange, "echo", "first");
        await old.Tools;
        await pair.PassAsync(TimeSpan.FromSeconds(2));

        Assert.Contains("second", await ToolsAsync(pair, client));
        Assert.Contains("second", await ToolsAsync(pair, there));
    }

    [Fact]
    public async Task ListReadWhileItIsDoubted_IsReadOnceMore()
    {
        await using var pair = await ReplicaPair.StartAsync(_server);
        var (_, there, _) = await UsedByBothAsync(pair);
        var lists = pair.B.Session(there).Lists;

        var old = await HoldBackAsync(pair, there);
        _server.Hold("new");
        lists.Doubt(Mooring.Routing.ListKind.Tools);
        Answer(old.Exchange, "echo");

        Assert.Contains("new", await old.Tools);
    }

    [Fact]
    public async Task OtherReplicaRead_WhatIsKept_IsWhatTheListenerKnows()
    {
        await using var pair = await ReplicaPair.StartAsync(_server);
        var (client, there, listening) = await UsedByBothAsync(pair);
        await ChangeAsync(pair, listening, client, "first", "e1");
        // Only what is written counts here.
        pair.Store.Signals.LosesAll = true;
        var old = await HoldBackAsync(pair, there);
        await ChangeAsync(pair, listening, client, "second", "e2");
        Answer(old.Exchange, "echo", "third");
        await old.Tools;
        // Whatever either of them writes is written by then.
        await pair.PassAsync(TimeSpan.FromSeconds(2));

        var kept = Assert.Single(await pair.Store.Store.FindLinksAsync(client.SessionId!, TestContext.Current.CancellationToken));
        Assert.Equal(["echo", "first", "second"], kept.OwnLists.IsEmpty ? ["none"] : JsonNode.Parse(kept.OwnLists.Span)!["tools"]!["tools"]!.AsArray().Select(tool => (string)tool!["name"]!));
    }

    [Fact]
    public async Task ListenerGone_TheNextOne_AsksBeforeItShowsWhatItHad()
    {
        await using var pair = await ReplicaPair.StartAsync(_server);
        var there = await pair.B.ClientAsync();
        var client = ReplicaPair.At(pair.A, there);
        await there.ResultAsync("echo");
        await pair.UntilAsync(() => pair.B.Session(there).Links.Open[0].Listens, "the first listens");
        await client.ResultAsync("echo");
        Assert.DoesNotContain("new", await ToolsAsync(pair, client));
        pair.Store.Signals.LosesAll = true;
        _server.Hold("new");

        await pair.StopBAsync();
        await pair.UntilAsync(() => pair.A.Session(client).Links.Open[0].Listens, "the other listens");

        Assert.Contains("new", await ToolsAsync(pair, client));
    }

    /// <summary>The same change may come by two ways, and is told once; changes of two servers are two.</summary>
    [Fact]
    public async Task Change_OfAnotherServerOrOfAllWithinSeconds_IsToldToo()
    {
        const string Method = "notifications/tools/list_changed";
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        using var stream = await pair.A.ListenAsync(client);
        var there = ReplicaPair.At(pair.B, client);
        await there.ResultAsync("echo");
        var (a, b) = (pair.A.Session(client).Outbox, pair.B.Session(there).Outbox);
        await pair.UntilAsync(() => !b.HasStream && b.IsConnected, "it is known where the stream is");

        // All of them, as after a reload, and one of which only the other replica knows: nothing else belongs to them.
        a.SendListChanged(Method, isEverybodys: true);
        b.SendListChanged(Method);
        await ToldAsync(2);
        a.SendListChanged(Method, "one", isEverybodys: true);
        await ToldAsync(1);
        // The second way of that one, and then the first of the next.
        b.SendListChanged(Method, "one");
        await pair.UntilAsync(() => !b.HasBacklog, "the letter is posted");
        b.SendListChanged(Method, "one");
        await ToldAsync(1);
        a.SendListChanged(Method, "two", isEverybodys: true);
        await ToldAsync(1);
        a.SendListChanged(Method, "one", isEverybodys: true);
        pair.A.Tell(client, "after");

        Assert.Equal("notifications/message", (string?)(await stream.Events.EventAsync()).Message["method"]);

        async Task ToldAsync(int times)
        {
            for (var i = 0; i < times; i++)
            {
                var told = await pair.A.PassTimeAsync(stream.Events.EventAsync(), TimeSpan.FromSeconds(2), "it is told");
                Assert.Equal(Method, (string?)told.Message["method"]);
            }
        }
    }

    /// <summary>The session is used through both, and the first listens.</summary>
    private static async Task<(McpTestClient Client, McpTestClient There, UpstreamExchange Listening)> UsedByBothAsync(ReplicaPair pair)
    {
        var client = await pair.A.ClientAsync();
        await client.ResultAsync("echo");
        var link = pair.A.Session(client).Links.Open[0];
        UpstreamExchange listening;
        do
        {
            listening = await pair.Upstream.GetAsync();
        }
        while (listening.Session != link.SessionId);

        var there = ReplicaPair.At(pair.B, client);
        await there.ResultAsync("echo");
        await ToolsAsync(pair, there);
        await pair.UntilAsync(() => !pair.B.Session(there).Links.Open[0].Listens && pair.B.Session(there).Links.IsHeardElsewhere(pair.B.Session(there).Links.Open[0].Upstream), "it is known who listens");
        return (client, there, listening);
    }

    private async Task ChangeAsync(ReplicaPair pair, UpstreamExchange listening, McpTestClient client, string tool, string id)
    {
        _server.Hold(tool);
        await listening.SendAsync(Changed, id);
        await pair.UntilAsync(
            () => pair.A.Session(client).Lists.Of(pair.A.Session(client).Links.Open[0].Upstream)?[Mooring.Routing.ListKind.Tools]?.Find(tool) is not null, "the listener has read it");
    }

    /// <summary>The client asks the second replica for its tools, which asks the server, which takes its time.</summary>
    private async Task<(UpstreamExchange Exchange, Task<List<string>> Tools)> HoldBackAsync(ReplicaPair pair, McpTestClient there)
    {
        pair.B.Session(there).Lists.Doubt(Mooring.Routing.ListKind.Tools);
        _holdsBack = true;
        var tools = ToolsAsync(pair, there);
        await pair.UntilAsync(() => _heldBack is not null, "the server was asked");
        Assert.Equal(pair.B.Session(there).Links.Open[0].SessionId, _heldBack!.Session);
        return (_heldBack!, tools);
    }

    private static void Answer(UpstreamExchange exchange, params IEnumerable<string> tools) =>
        exchange.Result($$"""{"tools":[{{string.Join(',', tools.Select(name => $$$"""{"name":"{{{name}}}","inputSchema":{"type":"object"}}"""))}}]}""");

    private static async Task<List<string>> ToolsAsync(ReplicaPair pair, McpTestClient client)
    {
        using var reply = await pair.A.PassTimeAsync(client.RequestAsync("tools/list"), TimeSpan.FromSeconds(10), "the list");
        return [.. (await reply.MessageAsync())["result"]!["tools"]!.AsArray().Select(tool => (string)tool!["name"]!)];
    }
}
