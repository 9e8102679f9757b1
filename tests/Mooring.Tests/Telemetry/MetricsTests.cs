using System.Globalization;
using Xunit;

namespace Mooring.Tests.Telemetry;

/// <summary>What /metrics shows of the store and of the lists.</summary>
public sealed class MetricsTests
{
    [Fact]
    public async Task Store_EachOperation_IsTimedWithItsCommit()
    {
        FaultyStore store = null!;
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Store = time => store = new FaultyStore(time) });
        store.Hold();
        var connecting = gateway.ClientAsync();
        await gateway.UntilAsync(() => store.Waiting == 1, "the session is on its way to the store");
        gateway.Advance(TimeSpan.FromSeconds(3));
        store.Release();
        await connecting;

        Assert.InRange(await NumberAsync(gateway, """mooring_store_duration_seconds_sum{store="faulty",operation="save_session"}"""), 3, 3.1);
        Assert.Empty(await gateway.MetricsAsync("mooring_store_failures"));
    }

    [Fact]
    public async Task Store_IsAway_FailuresAreCountedByOperation()
    {
        FaultyStore store = null!;
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Store = time => store = new FaultyStore(time) });
        var client = await gateway.ClientAsync();

        store.IsAway = true;
        (await client.DeleteAsync()).Dispose();
        (await client.DeleteAsync()).Dispose();
        store.IsAway = false;
        (await client.DeleteAsync()).Dispose();

        Assert.Equal(2, await NumberAsync(gateway, """mooring_store_failures_total{store="faulty",operation="delete_session"}"""));
        Assert.Equal(3, await NumberAsync(gateway, """mooring_store_duration_seconds_count{store="faulty",operation="delete_session"}"""));
    }

    [Fact]
    public async Task Catalogue_Age_IsTheTimeSinceItsServerLastConfirmedAList()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream(), new FakeUpstream("silent") { Intercept = _ => true });
        using (var list = await (await gateway.ClientAsync()).RequestAsync("tools/list"))
        {
            await list.MessageAsync();
        }

        // From here on it confirms nothing.
        gateway.Upstream.Intercept = _ => true;
        var before = await NumberAsync(gateway, "mooring_catalogue_age_seconds{server=\"one\"}");
        gateway.Advance(TimeSpan.FromSeconds(7));

        Assert.Equal(before + 7, await NumberAsync(gateway, "mooring_catalogue_age_seconds{server=\"one\"}"), 3);
        Assert.Empty(await gateway.MetricsAsync("mooring_catalogue_age_seconds{server=\"silent\"}"));
    }

    [Fact]
    public async Task Catalogue_ServerIsRemoved_ItsAgeIsNotShownAnyMore()
    {
        await using var gateway = await GatewayFixture.StartAsync();
        using (var list = await (await gateway.ClientAsync()).RequestAsync("tools/list"))
        {
            await list.MessageAsync();
        }

        Assert.Single(await gateway.MetricsAsync("mooring_catalogue_age_seconds{"));
        gateway.Config.Replace(gateway.Config.Current with { Servers = [] });

        Assert.Empty(await gateway.MetricsAsync("mooring_catalogue_age_seconds{"));
    }

    [Fact]
    public async Task TwoGatewaysInOneProcess_CountApart()
    {
        await using var one = await GatewayFixture.StartAsync();
        await using var two = await GatewayFixture.StartAsync();
        await one.ClientAsync();
        await one.ClientAsync();
        await two.ClientAsync();

        Assert.Equal(["mooring_sessions_active{era=\"session\"} 2"], await one.MetricsAsync("mooring_sessions_active"));
        Assert.Equal(["mooring_sessions_active{era=\"session\"} 1"], await two.MetricsAsync("mooring_sessions_active"));
    }

    private static async Task<double> NumberAsync(GatewayFixture gateway, string series) =>
        double.Parse(Assert.Single(await gateway.MetricsAsync(series)).Split(' ')[^1], CultureInfo.InvariantCulture);
}
