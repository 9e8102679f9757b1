using System.Net;
using System.Text.Json.Nodes;
using Mooring.Stores.Memory;
using Mooring.Tests.Routing;
using Mooring.Tests.Vault;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <content>What a server says of its own accord to somebody's account, while the token for it cannot be had.</content>
public sealed partial class AccountTests
{
    private readonly CuttableVault _kept = new(new MemoryStore(new FakeClock()));

    private McpTestClient? _ann;

    [Fact]
    public async Task Listening_StoreIsAwayWhenItsStreamEnds_GoesOnFromWhereItWas()
    {
        var (stream, server, said) = await ListenedAsync();

        _kept.IsAway = true;
        server.End();
        await _gateway.PassTimeAsync(Task.Delay(TimeSpan.FromSeconds(20), _gateway.Clock), TimeSpan.FromSeconds(21), "it was tried in vain");
        Assert.Single(_server.Requests, e => e.HttpMethod == "GET");
        _kept.IsAway = false;

        await GoesOnAsync(stream, said);
    }

    [Fact]
    public async Task Listening_ProviderIsAwayWhenItsStreamEnds_GoesOnFromWhereItWas()
    {
        var (stream, server, said) = await ListenedAsync();

        _authorization.IsAway = true;
        _gateway.Advance(TimeSpan.FromHours(2));
        server.End();
        await _gateway.PassTimeAsync(Task.Delay(TimeSpan.FromSeconds(20), _gateway.Clock), TimeSpan.FromSeconds(21), "it was tried in vain");
        Assert.Single(_server.Requests, e => e.HttpMethod == "GET");
        (_authorization.IsAway, _) = (false, _good.Add("Bearer token-2"));

        await GoesOnAsync(stream, said);
    }

    /// <summary>It may be another account: what was said to the one before is nothing for it.</summary>
    [Fact]
    public async Task Listening_ServerTakesTheTokenNoLongerWhenItsStreamEnds_BeginsAnew_OnceTheAccountIsLinkedAgain()
    {
        var (stream, server, _) = await ListenedAsync();
        const string Provider = "https://acme.test/token";
        _authorization.Answers[Provider] = () => FakeAuthorizationServer.Json(HttpStatusCode.BadRequest, new JsonObject { ["error"] = "invalid_grant" });

        _good.Clear();
        server.End();
        await _gateway.PassTimeAsync(Task.Delay(TimeSpan.FromSeconds(20), _gateway.Clock), TimeSpan.FromSeconds(21), "it was tried in vain");
        Assert.Equal(["", "e1"], _server.Requests.Where(e => e.HttpMethod == "GET").Select(e => e.LastEventId ?? ""));
        _authorization.Answers.TryRemove(Provider, out var _);
        _good.UnionWith(["Bearer token-1", "Bearer token-2", "Bearer token-3"]);
        await LinkAsync(await AddressAsync(_ann!));

        await GoesOnAsync(stream, said: null);
        Assert.Equal("one-2", _server.Requests.Last(e => e.HttpMethod == "GET").Session);
    }

    [Fact]
    public async Task Listening_ServerHasNoStream_ListsOfTheAccountAreReadAgainWhileItsClientListens()
    {
        await StartAsync();
        _ann = await _gateway.ClientAsync(user: "ann", capabilities: Url);
        await LinkAsync(await AddressAsync(_ann));
        await _ann.ResultAsync("echo");
        using var stream = await _gateway.ListenAsync(_ann);

        _server.Hold("new");

        await _gateway.PassTimeAsync(UntilShownAsync(stream), TimeSpan.FromSeconds(40), "its client is told");
    }

    /// <summary>Asks for the tools each time that something is told; what was told before may be.</summary>
    private async Task UntilShownAsync(TestReply stream)
    {
        do
        {
            await stream.Events.MessageAsync();
        }
        while (!(await _ann!.AskAsync("tools/list"))["result"]!["tools"]!.AsArray().Any(tool => (string?)tool!["name"] == "new"));
    }

    /// <summary>A client that listens, and its server's stream, on which one event was told.</summary>
    private async Task<(TestReply Stream, UpstreamExchange Server, string Said)> ListenedAsync()
    {
        _server.HasGetStream = true;
        await StartAsync(vault: _kept);
        _ann = await _gateway.ClientAsync(user: "ann", capabilities: Url);
        await LinkAsync(await AddressAsync(_ann));
        await _ann.ResultAsync("echo");
        var stream = await _gateway.ListenAsync(_ann);
        var server = await _server.GetAsync();
        await server.SendAsync(Told("before"), id: "e1");
        Assert.Equal("before", await SaidAsync(stream));
        return (stream, server, "e1");
    }

    private async Task GoesOnAsync(TestReply stream, string? said)
    {
        var again = await _gateway.PassTimeAsync(_server.GetAsync(), TimeSpan.FromMinutes(3), "it is listened to again");
        Assert.Equal(said, again.LastEventId);
        await again.SendAsync(Told("after"), id: "e2");
        Assert.Equal("after", await SaidAsync(stream));
        stream.Dispose();
    }

    /// <summary>What is told next; that the lists are others now is told as well.</summary>
    private static async Task<string?> SaidAsync(TestReply stream)
    {
        while (true)
        {
            if (await stream.Events.MessageAsync() is var message && (string?)message["method"] == "notifications/message")
            {
                return (string?)message["params"]!["data"];
            }
        }
    }

    private static string Told(string data) => $$$"""{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"{{{data}}}"}}""";
}
