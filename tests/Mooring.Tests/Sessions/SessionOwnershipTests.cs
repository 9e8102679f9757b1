using System.Net;
using Xunit;

namespace Mooring.Tests.Sessions;

/// <summary>Whose a session is, and what everybody else is told (invariants 2 and 6).</summary>
public sealed class SessionOwnershipTests
{
    private const string Initialize = """{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}""";

    [Theory]
    [InlineData("bob")]
    [InlineData(null)]
    public async Task Session_OfAnotherUser_Is404ForPostGetAndDelete(string? other)
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var ann = await gateway.ClientAsync(user: "ann");
        var thief = gateway.NewClient(user: other);
        thief.SessionId = ann.SessionId;

        await AssertAllNotFoundAsync(thief);

        Assert.Equal(0, gateway.Upstream.Executions("echo"));
        Assert.Equal("nothing", (await ann.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task Session_OnAnotherRoute_Is404()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        var elsewhere = gateway.NewClient(path: "/mcp");
        elsewhere.SessionId = client.SessionId;

        await AssertAllNotFoundAsync(elsewhere);
    }

    [Fact]
    public async Task Session_Unknown_Is404()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = gateway.NewClient();
        client.SessionId = "0123456789abcdef0123456789abcdef";

        await AssertAllNotFoundAsync(client);
    }

    [Fact]
    public async Task Session_Deleted_Is404AndItsStreamsEnd()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        var client = await gateway.ClientAsync();
        var upstreamSession = gateway.Session(client).Links.Open[0].SessionId;
        using var listening = await gateway.ListenAsync(client);

        using var deleted = await client.DeleteAsync();

        Assert.Equal(HttpStatusCode.OK, deleted.Status);
        await listening.Events.RestAsync();
        await AssertAllNotFoundAsync(client);
        Assert.DoesNotContain(upstreamSession, gateway.Upstream.Sessions);
    }

    [Fact]
    public async Task Session_Idle_Is404()
    {
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Config = c => c with { Sessions = c.Sessions with { Idle = TimeSpan.FromMinutes(1) } } });
        var client = await gateway.ClientAsync();
        var listener = await gateway.ClientAsync();
        using var listening = await gateway.ListenAsync(listener);

        gateway.Advance(TimeSpan.FromSeconds(61));

        await AssertAllNotFoundAsync(client);
        Assert.Equal("nothing", (await listener.ResultAsync("echo")).Text());
    }

    /// <summary>Earlier systems forgot the session of a client that only listened.</summary>
    [Theory]
    [InlineData("/servers/one/mcp")]
    [InlineData("/servers/one/sse")]
    public async Task Session_WhoseStreamIsOpen_IsNotIdle(string path)
    {
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Config = c => c with { Sessions = c.Sessions with { Idle = TimeSpan.FromMinutes(1) } } });
        var isLegacy = path.EndsWith("sse", StringComparison.Ordinal);
        var client = isLegacy ? gateway.NewClient(path: path) : await gateway.ClientAsync(path: path);
        using var listening = await client.GetAsync();
        await listening.Events.NextAsync();
        var endpoint = await listening.Events.NextAsync();

        gateway.Advance(TimeSpan.FromMinutes(10));

        var to = isLegacy ? gateway.NewClient(path: "/servers/one/" + endpoint!.Data) : client;
        using var taken = await to.PostAsync("""{"jsonrpc":"2.0","id":1,"method":"ping"}""");
        Assert.Equal(isLegacy ? HttpStatusCode.Accepted : HttpStatusCode.OK, taken.Status);
    }

    [Fact]
    public async Task Session_StoreAway_Is503WithRetryAfterAndNever404()
    {
        FaultyStore store = null!;
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Store = time => store = new FaultyStore(time) });
        var client = await gateway.ClientAsync();

        // Long enough for the session to have left memory: only the store knows it.
        await gateway.Session(client).Links.Open[0].DisposeAsync();
        gateway.Advance(TimeSpan.FromMinutes(11));
        Assert.Empty(gateway.Sessions.All);
        store.IsAway = true;

        foreach (var reply in new[] { await client.CallAsync("echo"), await client.GetAsync(), await client.DeleteAsync() })
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, reply.Status);
            Assert.NotNull(reply.Header("Retry-After"));
            reply.Dispose();
        }

        // Never 400, 404 or 405: clients would fall back to the old transport.
        using var hello = await gateway.NewClient().RequestAsync("initialize", Initialize);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, hello.Status);

        store.IsAway = false;
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task Session_StoreAwayAtDelete_Is503AndGoesOn()
    {
        FaultyStore store = null!;
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Store = time => store = new FaultyStore(time) });
        var client = await gateway.ClientAsync();

        store.IsAway = true;
        using var refused = await client.DeleteAsync();
        store.IsAway = false;

        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.Status);
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task Initialize_StoreHoldsTheCommit_TheIdDoesNotLeaveBeforeIt()
    {
        FaultyStore store = null!;
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Store = time => store = new FaultyStore(time) });
        store.Hold();

        var posting = gateway.NewClient().RequestAsync("initialize", Initialize);
        await gateway.UntilAsync(() => store.Waiting == 1, "the session's row is on its way");
        gateway.Advance(TimeSpan.FromSeconds(1));
        Assert.False(posting.IsCompleted);

        store.Release();
        using var reply = await Limit.Of(posting, "the answer");
        Assert.NotNull(reply.Header("Mcp-Session-Id"));
    }

    private static async Task AssertAllNotFoundAsync(McpTestClient client)
    {
        using var post = await client.CallAsync("echo");
        using var get = await client.GetAsync();
        using var resume = await client.GetAsync("g000000000000-1");
        using var delete = await client.DeleteAsync();
        Assert.Equal([HttpStatusCode.NotFound, HttpStatusCode.NotFound, HttpStatusCode.NotFound, HttpStatusCode.NotFound],
            [post.Status, get.Status, resume.Status, delete.Status]);
    }
}
