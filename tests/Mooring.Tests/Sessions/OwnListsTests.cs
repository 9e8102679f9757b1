using Mooring.Stores;
using Mooring.Tests.Routing;
using Xunit;
using static Mooring.Tests.Routing.Asking;
using static Mooring.Tests.Routing.ListingServer;

namespace Mooring.Tests.Sessions;

/// <summary>Lists that a server shows one session alone. Tool <c>x</c> of the server is for everybody, <c>own</c> only for those it opened it for.</summary>
public sealed class OwnListsTests : IDisposable
{
    private const string Changed = """{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}""";

    private readonly string _directory = Directory.CreateTempSubdirectory("mooring-test-").FullName;
    private readonly HashSet<string> _opened = new(StringComparer.Ordinal);
    private readonly ListingServer _server = new("a");

    public OwnListsTests() => _server.Before = e =>
    {
        lock (_opened)
        {
            if ((string?)e.Message?["method"] != "tools/list" || e.Session is null || !_opened.Contains(e.Session))
            {
                return false;
            }
        }

        e.Result($$"""{"tools":[{{string.Join(',', Named("x", "own"))}}]}""");
        return true;
    };

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task OwnChange_IsShownToThatSessionOnly()
    {
        await using var gateway = await GatewayAsync(null, _server);
        var (one, stream) = await OpenedForAsync(gateway);
        using var _ = stream;

        Assert.Equal(["a__x", "a__own"], await one.ListAsync("tools"));
        Assert.Equal("a:own", await one.CallTextAsync("a__own"));
        Assert.Equal(["a__x"], await (await gateway.MergedAsync()).ListAsync("tools"));
        Assert.Equal(["a__x", "a__own"], await one.ListAsync("tools"));
    }

    [Fact]
    public async Task OwnChange_IsNotToldToOthers()
    {
        await using var gateway = await GatewayAsync(null, _server);
        var other = await gateway.MergedAsync();
        using var others = await other.GetAsync();
        await other.ListAsync("tools");
        var (_, stream) = await OpenedForAsync(gateway);
        using var _ = stream;

        // What comes next is what is sent next: nothing was told in between.
        gateway.Tell(other, "marker");

        Assert.Equal("notifications/message", (string?)(await others.Events.MessageAsync())["method"]);
        Assert.Equal(["a__x"], await other.ListAsync("tools"));
    }

    [Fact]
    public async Task OwnChange_ANewSession_AsksItsOwnLinkFirst()
    {
        await using var gateway = await GatewayAsync(null, _server);
        var (_, stream) = await OpenedForAsync(gateway);
        using var _ = stream;
        // It was not that session's alone after all.
        _server.Tools = Named("x", "own");

        Assert.Equal(["a__x", "a__own"], await (await gateway.MergedAsync()).ListAsync("tools"));
        var asked = _server.Exchanges("initialize").Count;
        Assert.Equal(["a__x", "a__own"], await (await gateway.MergedAsync()).ListAsync("tools"));
        Assert.Equal(asked, _server.Exchanges("initialize").Count);
    }

    [Fact]
    public async Task OwnChange_AfterARestart_IsThatSessionsStill()
    {
        var clock = new FakeClock();
        var stored = new FixtureOptions { Clock = clock, Directory = _directory };
        string id;
        await using (var before = await GatewayAsync(stored, _server))
        {
            var (one, stream) = await OpenedForAsync(before);
            stream.Dispose();
            id = one.SessionId!;
        }

        var asked = _server.Exchanges("tools/list").Count(e => _opened.Contains(e.Session!));
        await using var after = await GatewayAsync(stored, _server);
        var back = after.NewClient(path: "/mcp");
        back.SessionId = id;

        Assert.Equal(["a__x", "a__own"], await back.ListAsync("tools"));
        Assert.Equal(asked, _server.Exchanges("tools/list").Count(e => _opened.Contains(e.Session!)));
        Assert.Equal(["a__x"], await (await after.MergedAsync()).ListAsync("tools"));

        // Its server's session goes on, and with it what that shows.
        await back.CallTextAsync("a__x");
        await after.UntilAsync(() => _server.Exchanges("tools/list").Count(e => _opened.Contains(e.Session!)) > asked, "the link was read again");
        Assert.Equal(["a__x", "a__own"], await back.ListAsync("tools"));
        Assert.Equal(["a__x"], await (await after.MergedAsync()).ListAsync("tools"));
    }

    [Fact]
    public async Task OwnChange_TheSessionEnds_NothingOfItIsKept()
    {
        await using var gateway = await GatewayAsync(null, _server);
        var (one, stream) = await OpenedForAsync(gateway);
        stream.Dispose();
        var store = gateway.Get<IStore>();
        var cancel = TestContext.Current.CancellationToken;
        Assert.False(Assert.Single(await store.FindLinksAsync(one.SessionId!, cancel)).OwnLists.IsEmpty);

        (await one.DeleteAsync()).Dispose();

        Assert.Empty(await store.FindLinksAsync(one.SessionId!, cancel));
        Assert.DoesNotContain(await store.LoadCatalogueAsync(cancel), r => System.Text.Encoding.UTF8.GetString(r.Body.Span).Contains("own", StringComparison.Ordinal));
    }

    [Fact]
    public async Task OwnChange_TakenBack_IsTheSharedListAgain()
    {
        await using var gateway = await GatewayAsync(null, _server);
        var (one, stream) = await OpenedForAsync(gateway);
        using var _ = stream;
        lock (_opened)
        {
            _opened.Clear();
        }

        await (await _server.StreamOfLatestAsync("tools/call")).SendAsync(Changed);

        Assert.Equal("notifications/tools/list_changed", (string?)(await stream.Events.MessageAsync())["method"]);
        Assert.Equal(["a__x"], await one.ListAsync("tools"));
        Assert.True(Assert.Single(await gateway.Get<IStore>().FindLinksAsync(one.SessionId!, TestContext.Current.CancellationToken)).OwnLists.IsEmpty);
    }

    [Fact]
    public async Task WatchLinksChange_ReachesEverybodyOnceAndEverybodyIsShownIt()
    {
        await using var gateway = await GatewayAsync(null, _server);
        var watch = await _server.StreamAsync("a-1");
        // One with a link of its own, two without one.
        var user = await gateway.MergedAsync();
        Assert.Equal(["a__x"], await user.ListAsync("tools"));
        await user.CallTextAsync("a__x");
        var own = await _server.StreamOfLatestAsync("tools/call");
        var (idle, other) = (await gateway.MergedAsync(), await gateway.MergedAsync());
        using var userStream = await user.GetAsync();
        using var idleStream = await idle.GetAsync();
        using var otherStream = await other.GetAsync();
        await idle.ListAsync("tools");
        await other.ListAsync("tools");
        _server.Tools = Named("x", "new");

        await own.SendAsync(Changed);
        Assert.Equal("notifications/tools/list_changed", (string?)(await userStream.Events.MessageAsync())["method"]);
        await watch.SendAsync(Changed);

        foreach (var (client, stream) in new[] { (idle, idleStream), (other, otherStream), (user, userStream) })
        {
            if (client != user)
            {
                Assert.Equal("notifications/tools/list_changed", (string?)(await stream.Events.MessageAsync())["method"]);
            }

            Assert.Equal(["a__x", "a__new"], await client.ListAsync("tools"));
        }

        foreach (var (client, stream) in new[] { (idle, idleStream), (other, otherStream), (user, userStream) })
        {
            gateway.Tell(client, "marker");
            Assert.Equal("notifications/message", (string?)(await stream.Events.MessageAsync())["method"]);
        }
    }

    /// <summary>A session that uses its link, and that the server then shows more.</summary>
    private async Task<(McpTestClient Client, TestReply Stream)> OpenedForAsync(GatewayFixture gateway)
    {
        var client = await gateway.MergedAsync();
        Assert.Equal(["a__x"], await client.ListAsync("tools"));
        await client.CallTextAsync("a__x");
        var stream = await client.GetAsync();
        lock (_opened)
        {
            _opened.Add(_server.Exchanges("tools/call")[^1].Session!);
        }

        await (await _server.StreamOfLatestAsync("tools/call")).SendAsync(Changed);
        Assert.Equal("notifications/tools/list_changed", (string?)(await stream.Events.MessageAsync())["method"]);
        return (client, stream);
    }
}
