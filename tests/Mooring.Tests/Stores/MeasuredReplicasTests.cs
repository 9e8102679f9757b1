using Microsoft.Extensions.DependencyInjection;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Telemetry;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores;

/// <summary>What replicas ask of each other through the store is measured like everything else that is asked of it.</summary>
public sealed class MeasuredReplicasTests
{
    private static readonly TimeSpan Long = TimeSpan.FromHours(1);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task EveryOperation_IsTimedAndDoesWhatItIsAskedFor()
    {
        await using var provider = Provide(new StoreConfig { Kind = StoreKind.Memory });
        var replicas = provider.GetRequiredService<IReplicaStore>();
        var exporter = provider.GetRequiredService<PrometheusExporter>();
        await provider.GetRequiredService<IStore>().SaveSessionAsync(Session());

        Assert.True(await replicas.BeatAsync("a", "info", Long));
        Assert.True(await replicas.BeatAsync("dead", "", TimeSpan.Zero));
        Assert.Equal(["a", "dead"], (await replicas.FindReplicasAsync(Cancel)).Select(r => r.Id));
        Assert.Equal("a", await replicas.ClaimHomeAsync("session", "files", "a"));
        await replicas.ReleaseHomeAsync("session", "files", "a");
        Assert.Equal(1, await replicas.PostAsync("a", "mail", "1", new byte[] { 1 }));
        Assert.Single(await replicas.ReadMailboxAsync("a", 0, 10, Cancel));
        await replicas.AcknowledgeAsync("a", 1);
        Assert.Empty(await replicas.ReadMailboxAsync("a", 0, 10, Cancel));
        Assert.True(await replicas.TryTakeOverAsync("dead", "a"));
        Assert.Equal(["dead"], await replicas.FindTakenOverAsync("a", Cancel));
        await replicas.RemoveReplicaAsync("a");
        Assert.Empty(await replicas.FindReplicasAsync(Cancel));

        var counted = Lines(exporter, "mooring_store_duration_seconds_count");
        Assert.All(
            typeof(IReplicaStore).GetMethods().Select(method => method.Name switch
            {
                nameof(IReplicaStore.TryTakeOverAsync) => "take_over",
                nameof(IReplicaStore.PostAsync) => "post_letter",
                var name => string.Concat(name[..^"Async".Length].Select((c, i) => i > 0 && char.IsUpper(c) ? $"_{char.ToLowerInvariant(c)}" : $"{char.ToLowerInvariant(c)}")),
            }),
            operation => Assert.Contains(counted, line => line.StartsWith($$"""mooring_store_duration_seconds_count{store="memory",operation="{{operation}}"}""", StringComparison.Ordinal)));
        Assert.Empty(Lines(exporter, "mooring_store_failures"));
    }

    [Fact]
    public async Task StoreIsAway_FailuresAreCounted()
    {
        await using var provider = Provide(new StoreConfig { Kind = StoreKind.Postgres, Connection = "Host=nowhere.invalid;Database=mooring" });
        var replicas = provider.GetRequiredService<IReplicaStore>();
        var exporter = provider.GetRequiredService<PrometheusExporter>();

        await Assert.ThrowsAsync<StoreException>(() => replicas.BeatAsync("a", "", Long));

        Assert.Contains("""mooring_store_failures_total{store="postgres",operation="beat"} 1""", Lines(exporter, "mooring_store_failures_total"));
    }

    private static ServiceProvider Provide(StoreConfig config) => new ServiceCollection()
        .AddLogging().AddMetrics().AddSingleton<MooringMeter>().AddSingleton<PrometheusExporter>().AddSingleton<TimeProvider>(new FakeClock())
        .AddStores(_ => (config, "unused")).BuildServiceProvider();

    private static string[] Lines(PrometheusExporter exporter, string name) =>
        [.. exporter.Scrape().Split('\n').Where(line => line.StartsWith(name, StringComparison.Ordinal))];
}
