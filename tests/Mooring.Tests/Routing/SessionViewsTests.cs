using System.Text;
using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Sessions;
using Mooring.Upstreams;
using Xunit;
using static Mooring.Tests.Routing.Asking;

namespace Mooring.Tests.Routing;

/// <summary>What a session saw last serves its next call, for as long as nothing changed that it follows from.</summary>
public sealed class SessionViewsTests
{
    private static readonly FixtureOptions NoPrefix = new() { Server = s => s with { Prefix = PrefixRule.Never } };

    [Fact]
    public async Task Merged_NothingChanged_MakesNothing()
    {
        await using var gateway = await GatewayAsync(null, new ListingServer("a"), new ListingServer("b"));
        var (views, session) = await SeenAsync(gateway);
        views.Merged(session, ListKind.Tools);

        // What is read beside this may change something once in a while.
        var made = Enumerable.Range(0, 20).Min(_ =>
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            views.Merged(session, ListKind.Tools);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        });

        Assert.Equal(0, made);
    }

    [Fact]
    public async Task Merged_ServersInAnotherOrder_IsInThatOrder()
    {
        await using var gateway = await GatewayAsync(null, new ListingServer("a"), new ListingServer("b"));
        var (views, session) = await SeenAsync(gateway);
        Assert.Equal(["a", "b"], views.Merged(session, ListKind.Tools).Sources.Select(s => s.Upstream.Name));

        gateway.Config.Replace(gateway.Config.Current with { Servers = [.. gateway.Config.Current.Servers.Reverse()] });

        Assert.Equal(["b", "a"], views.Merged(session, ListKind.Tools).Sources.Select(s => s.Upstream.Name));
    }

    [Fact]
    public async Task Merged_ServerThatNobodyKnowsGoesAway_LeavesItsNamesToTheOthers()
    {
        var unknown = new ListingServer("a") { Before = _ => true };
        await using var gateway = await GatewayAsync(NoPrefix, unknown, new ListingServer("b"));
        var client = gateway.NewClient(path: "/mcp");
        await client.InitializeAsync();
        await gateway.PassTimeAsync(client.ListAsync("tools"), TimeSpan.FromMinutes(1), "the list without the server that hangs");
        var (views, session) = (gateway.Get<Views>(), gateway.Session(client));
        Assert.Equal(0, views.Merged(session, ListKind.Tools).Settled);

        var upstream = gateway.Get<UpstreamTable>().Find("a")!;
        while (!upstream.Health.IsAway)
        {
            upstream.Failed("gone");
        }

        Assert.Equal(1, views.Merged(session, ListKind.Tools).Settled);
    }

    [Fact]
    public async Task Key_SessionDeclaresMore_IsAnother()
    {
        await using var gateway = await GatewayAsync(null, new ListingServer("a"));
        var (_, session) = await SeenAsync(gateway);
        var upstream = gateway.Get<UpstreamTable>().Find("a")!;
        var before = session.Lists.Key(upstream);

        var declared = Encoding.UTF8.GetBytes("""{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"t","version":"1"}}""");
        Assert.True(await gateway.Sessions.ChangeAsync(session, record => record with { InitializeParams = declared }));

        Assert.NotEqual(before, session.Lists.Key(upstream));
        Assert.Equal(CatalogueKey.Of(ProtocolVersion.V2025_11_25, declared), session.Lists.Key(upstream));
    }

    private static async Task<(Views Views, Session Session)> SeenAsync(GatewayFixture gateway)
    {
        var client = await gateway.MergedAsync();
        await client.ListAsync("tools");
        return (gateway.Get<Views>(), gateway.Session(client));
    }
}
