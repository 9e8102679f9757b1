using System.Net;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Hosting;
using Mooring.Drain;
using Xunit;

namespace Mooring.Tests.Stores;

/// <summary>A store on another machine that is not there when the gateway starts (invariant 3).</summary>
public sealed class RemoteStoreStartTests
{
    private const string Initialize = """{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}""";

    [Fact]
    public async Task Start_StoreIsAway_ServesHealthRefusesSessionsForNowAndHealsByItself()
    {
        FaultyStore store = null!;
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Store = time => store = new FaultyStore(time) { IsRemote = true, IsAway = true } });

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(gateway, "/health"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await StatusAsync(gateway, "/ready"));
        var known = gateway.NewClient();
        known.SessionId = "0123456789abcdef0123456789abcdef";
        foreach (var asking in new[] { gateway.NewClient().RequestAsync("initialize", Initialize), known.CallAsync("echo"), known.GetAsync(), known.DeleteAsync() })
        {
            using var reply = await Limit.Of(asking, "an answer while the store is away");
            Assert.Equal(HttpStatusCode.ServiceUnavailable, reply.Status);
            Assert.NotNull(reply.Header("Retry-After"));
        }

        using (var legacy = await gateway.NewClient(path: "/sse").GetAsync())
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, legacy.Status);
            Assert.NotNull(legacy.Header("Retry-After"));
        }

        gateway.Advance(TimeSpan.FromMinutes(1));
        Assert.Single(gateway.LogLines.Lines, line => line.StartsWith("Error StoreNotOpen", StringComparison.Ordinal));

        store.IsAway = false;
        await gateway.UntilAsync(() => gateway.Get<Readiness>().IsReady, "the gateway was ready", TimeSpan.FromMinutes(1));

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(gateway, "/ready"));
        var client = await gateway.ClientAsync();
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
        Assert.Single(gateway.LogLines.Lines, line => line.StartsWith("Information StoreOpenAtLast", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Start_StoreIsAwayForGood_StopsAllTheSame()
    {
        var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Store = time => new FaultyStore(time) { IsRemote = true, IsAway = true } });

        await gateway.DisposeAsync();

        Assert.DoesNotContain(gateway.LogLines.Lines, line => line.StartsWith("Critical", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Start_OpeningFailsByABug_SaysSoAndStops()
    {
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions
        {
            Store = time => new FaultyStore(time)
            {
                IsRemote = true,
                Before = operation => operation == "OpenAsync" ? Task.FromException(new InvalidOperationException("scripted bug")) : Task.CompletedTask,
            },
        });

        await gateway.UntilAsync(() => gateway.Get<IHostApplicationLifetime>().ApplicationStopping.IsCancellationRequested, "the gateway stops");

        Assert.Contains(gateway.LogLines.Lines, line => line.StartsWith("Critical StartFailed", StringComparison.Ordinal));
        Assert.Equal("scripted bug", gateway.Get<Readiness>().Failure);
    }

    [Fact]
    public async Task Ready_StoreGoesAwayLater_StaysReadyAndSaysSinceWhen()
    {
        FaultyStore store = null!;
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Store = time => store = new FaultyStore(time) { IsRemote = true } });
        await gateway.UntilAsync(() => gateway.Get<Readiness>().IsReady, "the gateway was ready");
        foreach (var path in new[] { "/ready", "/health" })
        {
            Assert.Equal((HttpStatusCode.OK, "ok", null), await StoreAsync(gateway, path));
        }

        var since = gateway.Clock.GetUtcNow();
        store.IsAway = true;
        gateway.Advance(TimeSpan.FromMinutes(1));

        foreach (var path in new[] { "/ready", "/health" })
        {
            Assert.Equal((HttpStatusCode.OK, "away", since), await StoreAsync(gateway, path));
        }

        store.IsAway = false;
        Assert.Equal((HttpStatusCode.OK, "ok", null), await StoreAsync(gateway, "/ready"));
    }

    private static async Task<(HttpStatusCode Status, string? Store, DateTimeOffset? Since)> StoreAsync(GatewayFixture gateway, string path)
    {
        using var reply = await Limit.Of(gateway.Http.GetAsync(path), path);
        var said = JsonNode.Parse(await reply.Content.ReadAsStringAsync())!;
        return (reply.StatusCode, (string?)said["store"], (DateTimeOffset?)said["storeAwaySince"]);
    }

    private static async Task<HttpStatusCode> StatusAsync(GatewayFixture gateway, string path)
    {
        using var reply = await Limit.Of(gateway.Http.GetAsync(path), path);
        return reply.StatusCode;
    }
}
