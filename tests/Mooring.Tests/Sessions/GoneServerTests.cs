using System.Collections.Concurrent;
using System.Net;
using Mooring.Replicas;
using Mooring.Sessions;
using Mooring.Tests.Replicas;
using Mooring.Upstreams;
using Xunit;

namespace Mooring.Tests.Sessions;

/// <summary>A server that is taken out of the configuration, or changed there, while a link to it is being opened: the link is given up, and counts for nothing.</summary>
public sealed class GoneServerTests
{
    private const string Late = "late";

    private readonly FakeUpstream _server = new() { HasGetStream = true, Instructions = _ => "new" };
    private readonly ConcurrentQueue<string> _late = new();
    private readonly TaskCompletionSource<UpstreamExchange> _opening = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="opener">Who opens it: the gateway for all, or for the session of a client.</param>
    [Theory]
    [InlineData("mooring")]
    [InlineData("test")]
    public async Task Changed_WhileALinkIsOpened_ItIsGivenUp_AndWhatItSaidIsNotTakenForTheNewOnes(string opener)
    {
        HoldOpening(opener);
        await using var gateway = await GatewayFixture.StartAsync(null, _server);
        var client = await gateway.PassTimeAsync(gateway.ClientAsync(), TimeSpan.FromSeconds(30), "the hello, which waits for the server for a while");
        var calling = client.ResultAsync("echo");
        var opening = await Limit.Of(_opening.Task, "a link that is being opened");

        gateway.Config.Replace(gateway.Config.Current with { Servers = [gateway.Config.Current.Servers[0] with { Concurrency = 7 }] });
        await gateway.UntilAsync(() => _server.Messages("initialize").Count(m => (string?)m["params"]!["clientInfo"]!["name"] == "mooring") > (opener == "mooring" ? 1 : 0), "the new one is looked at");
        Answer(opening);

        await gateway.UntilAsync(() => _late.Contains("DELETE"), "it is given up");
        Assert.DoesNotContain("GET", _late);
        var hello = await gateway.NewClient().InitializeAsync();
        Assert.Equal("new", (string?)hello["result"]!["instructions"]);
        // By the old one or the new one, whichever it was when the call came.
        Assert.True(await gateway.PassTimeAsync(calling, TimeSpan.FromSeconds(30), "the answer") is var answer && (answer.Text() == "nothing" || answer.Executed() == "no"), answer.ToJsonString());
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
        Assert.DoesNotContain(gateway.Session(client).Links.Open, link => link.SessionId == Late);
    }

    [Fact]
    public async Task Removed_WhileALinkIsOpened_HasNoStateAmongTheMetrics()
    {
        HoldOpening("mooring");
        await using var gateway = await GatewayFixture.StartAsync(null, _server);
        var opening = await Limit.Of(_opening.Task, "a link that is being opened");

        gateway.Config.Replace(gateway.Config.Current with { Servers = [] });
        Answer(opening);

        await gateway.UntilAsync(() => _late.Contains("DELETE"), "it is given up");
        Assert.Empty(await gateway.MetricsAsync("mooring_upstream_state{"));
    }

    [Fact]
    public async Task Removed_LinkIsWantedAfterwards_IsNotOpened()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, _server);
        var client = await gateway.ClientAsync();
        var gone = gateway.Get<UpstreamTable>().Find("one")!;

        gateway.Config.Replace(gateway.Config.Current with { Servers = [] });

        Assert.Null((await Limit.Of(gateway.Session(client).Links.OpenAsync(gone, CancellationToken.None).AsTask(), "no link")).Link);
        Assert.Null((await Limit.Of(gateway.Get<SharedLinks>().GetAsync(gone, CancellationToken.None).AsTask(), "no shared link")).Link);
    }

    /// <summary>One that hangs, or that giving up fails with for whatever reason, costs the others nothing.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Removed_SeveralSessionsHaveALink_AllAreGivenUpAtOnce_AndMergedClientsAreTold(bool fails)
    {
        await using var gateway = await GatewayFixture.StartAsync(null, _server);
        McpTestClient[] clients = [await gateway.ClientAsync(path: "/mcp"), await gateway.ClientAsync(path: "/mcp"), await gateway.ClientAsync(path: "/mcp")];
        foreach (var client in clients)
        {
            await gateway.PassTimeAsync(client.ResultAsync("one__echo"), TimeSpan.FromSeconds(30), "the answer");
        }

        var deleted = new ConcurrentDictionary<string, bool>();
        var sessions = clients.SelectMany(client => gateway.Session(client).Links.Open).Select(link => link.SessionId!).ToList();
        _server.Intercept = exchange => exchange.HttpMethod == "DELETE" && deleted.TryAdd(exchange.Session!, true) && (fails ? throw new InvalidOperationException("a bug") : true);
        using var stream = await gateway.ListenAsync(clients[2]);

        gateway.Config.Replace(gateway.Config.Current with { Servers = [] });

        Assert.EndsWith("list_changed", (string?)(await stream.Events.MessageAsync())["method"]!, StringComparison.Ordinal);
        await gateway.UntilAsync(() => sessions.TrueForAll(deleted.ContainsKey), "all are given up");
        await gateway.UntilAsync(() => gateway.LogLines.Lines.Count(line => line.StartsWith("Error LinkNotGivenUp: Giving up the link to server one", StringComparison.Ordinal)) == (fails ? 3 : 0), "the log says so");
    }

    [Fact]
    public async Task Removed_ItHadAskedTheClient_TheQuestionIsTakenBack()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, _server);
        var client = await gateway.PassTimeAsync(gateway.ClientAsync(capabilities: """{"elicitation":{}}"""), TimeSpan.FromSeconds(30), "the hello, which waits for the server for a while");
        await gateway.PassTimeAsync(client.ResultAsync("echo"), TimeSpan.FromSeconds(30), "the answer");
        using var stream = await gateway.ListenAsync(client);
        var session = Assert.Single(gateway.Session(client).Links.Open).SessionId;
        UpstreamExchange heard;
        do
        {
            heard = await _server.GetAsync();
        }
        while (heard.Session != session);
        await heard.SendAsync("""{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}""");
        var question = await stream.Events.MessageAsync();
        Assert.Equal("elicitation/create", (string?)question["method"]);

        gateway.Config.Replace(gateway.Config.Current with { Servers = [] });

        var told = await stream.Events.MessageAsync();
        Assert.Equal(("notifications/cancelled", question.RawId()), ((string?)told["method"], told["params"]!["requestId"]!.ToJsonString()));
        Assert.Equal(0, gateway.Session(client).Questions.Count);
    }

    /// <summary>Another replica, whose configuration is as before, is to listen where this one does no longer.</summary>
    /// <param name="held">What the store is slow with.</param>
    [Theory]
    [InlineData("ClaimHomeAsync")]
    [InlineData("FindLinksAsync")]
    public async Task Removed_WhileItIsBegunToBeListenedTo_ItsPlaceIsGivenBack(string held)
    {
        await using var pair = await ReplicaPair.StartAsync(_server, ReplicaPair.FastCalls);
        var (hold, waits, claimed) = (new TaskCompletionSource(), 0, 0);
        pair.StoreOfA.Before = operation => operation == held && (claimed == 1 || held == "ClaimHomeAsync") ? WaitAsync() : Task.CompletedTask;
        pair.StoreOfA.After = operation => claimed += operation == "ClaimHomeAsync" ? 1 : 0;
        var client = await pair.A.PassTimeAsync(pair.A.ClientAsync(), TimeSpan.FromSeconds(30), "the hello, which waits for the server for a while");
        var calling = client.ResultAsync("echo");
        await pair.UntilAsync(() => waits == 1 && (held == "ClaimHomeAsync" || claimed == 1), "it is about to be listened to");

        pair.A.Config.Replace(pair.A.Config.Current with { Servers = [] });
        hold.SetResult();

        await pair.UntilAsync(() => claimed == 1, "it has the place");
        var other = pair.B.Get<Peers>().Name;
        await pair.UntilAsync(() => pair.Store.Replicas.ClaimHomeAsync(client.SessionId!, "one", other).Result == other, "it gave the place back");
        await pair.UntilAsync(() => _server.Requests.Any(e => e.HttpMethod == "DELETE"), "the link is given up");
        await pair.A.PassTimeAsync(calling, TimeSpan.FromSeconds(30), "the answer");

        Task WaitAsync()
        {
            waits++;
            return hold.Task;
        }
    }

    /// <summary>A server that is changed: the link to the one before lets go of the place that the new one's has, in the store, by the same name.</summary>
    /// <param name="held">What of the link to the one before the store is slow with.</param>
    [Theory]
    [InlineData("ClaimHomeAsync")]
    [InlineData("ReleaseHomeAsync")]
    public async Task Changed_ThePlaceOfTheOneBeforeIsGivenBackLate_TheNewOneKeepsIts(string held)
    {
        await using var pair = await ReplicaPair.StartAsync(_server, ReplicaPair.FastCalls);
        var (hold, waits, claims) = (new TaskCompletionSource(), 0, 0);
        pair.StoreOfA.Before = operation => operation == held && Interlocked.Increment(ref waits) == 1 ? hold.Task : Task.CompletedTask;
        pair.StoreOfA.After = operation => claims += operation == "ClaimHomeAsync" ? 1 : 0;
        var client = await pair.A.PassTimeAsync(pair.A.ClientAsync(), TimeSpan.FromSeconds(30), "the hello, which waits for the server for a while");
        await pair.A.PassTimeAsync(client.ResultAsync("echo"), TimeSpan.FromSeconds(30), "the answer");
        await pair.UntilAsync(() => held == "ClaimHomeAsync" ? waits == 1 : claims == 1, "it is listened to, or about to be");

        pair.A.Config.Replace(pair.A.Config.Current with { Servers = [pair.A.Config.Current.Servers[0] with { Concurrency = 7 }] });
        await pair.UntilAsync(() => held == "ClaimHomeAsync" || waits == 1, "its place is about to be given back");
        await pair.A.PassTimeAsync(client.ResultAsync("echo"), TimeSpan.FromSeconds(30), "the answer");
        await pair.PassAsync(TimeSpan.FromSeconds(1));
        hold.SetResult();

        var upstream = pair.A.Get<UpstreamTable>().Find("one")!;
        await pair.UntilAsync(() => pair.A.Session(client).Links.Hears(upstream), "the new one is listened to");
        await pair.PassAsync(TimeSpan.FromSeconds(1));
        Assert.Equal(pair.A.Get<Peers>().Name, await pair.Store.Replicas.ClaimHomeAsync(client.SessionId!, "one", pair.B.Get<Peers>().Name));
    }

    /// <summary>Has the first link of somebody wait for <see cref="Answer"/>.</summary>
    private void HoldOpening(string opener) => _server.Intercept = exchange =>
    {
        if (exchange.Session == Late)
        {
            _late.Enqueue(exchange.HttpMethod);
            exchange.Status(exchange.HttpMethod == "GET" ? HttpStatusCode.MethodNotAllowed : HttpStatusCode.Accepted);
            return true;
        }

        return (string?)exchange.Message?["method"] == "initialize" && (string?)exchange.Message["params"]!["clientInfo"]!["name"] == opener && _opening.TrySetResult(exchange);
    };

    private static void Answer(UpstreamExchange opening) => opening.Result(
        """{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"one","version":"1"},"instructions":"old"}""", Late);
}
