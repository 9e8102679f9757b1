using Microsoft.Extensions.DependencyInjection;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Stores.DynamoDb;
using Mooring.Stores.Postgres;
using Mooring.Telemetry;
using Mooring.Vault;
using Xunit;

namespace Mooring.Tests.Stores;

public sealed class AddStoresTests
{
    [Fact]
    public async Task AddStores_Memory_GivesOneStoreThatIsMeasured()
    {
        await using var provider = new ServiceCollection().AddLogging().AddMetrics().AddSingleton<MooringMeter>()
            .AddStores(_ => (new StoreConfig { Kind = StoreKind.Memory }, "unused")).BuildServiceProvider();

        Assert.IsType<MeasuredStore>(provider.GetRequiredService<IStore>());
        Assert.Same(provider.GetRequiredService<IStore>(), provider.GetRequiredService<IStore>());
    }

    [Theory]
    [InlineData(typeof(MeasuredStore), typeof(IStore))]
    [InlineData(typeof(SealedStore), typeof(IStore))]
    [InlineData(typeof(MeasuredAuth), typeof(IAuthStore))]
    [InlineData(typeof(FaultyStore), typeof(IStore))]
    public void Wrapper_OfAStore_PassesOnAlsoWhatTheContractAnswersByItself(Type wrapper, Type contract)
    {
        var map = wrapper.GetInterfaceMap(contract);

        Assert.Empty(map.InterfaceMethods.Zip(map.TargetMethods).Where(pair => pair.Second.DeclaringType == contract).Select(pair => pair.First.Name));
    }

    [Fact]
    public async Task AddStores_Memory_MeasuredStorePassesOnWhatReplicasAskOfEachOther()
    {
        await using var provider = new ServiceCollection().AddLogging().AddMetrics().AddSingleton<MooringMeter>()
            .AddStores(_ => (new StoreConfig { Kind = StoreKind.Memory }, "unused")).BuildServiceProvider();
        var store = provider.GetRequiredService<IStore>();
        await store.SaveSessionAsync(StoreRecords.Session());
        await store.OpenStreamAsync(StoreRecords.Call(), null);

        await store.SetListenerAsync("session", new("r9", "g"));

        Assert.Equal(new SessionListener("r9", "g"), (await store.FindSessionAsync("session", TestContext.Current.CancellationToken))!.Listener);
        Assert.Single(await store.FindRunningCallsAsync("r1", TestContext.Current.CancellationToken));
        Assert.Empty(await store.FindRunningCallsAsync("r9", TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task AddStores_Postgres_IsRemoteAndReachesForNothingBeforeItIsOpened()
    {
        await using var provider = new ServiceCollection().AddLogging().AddMetrics().AddSingleton<MooringMeter>()
            .AddStores(_ => (new StoreConfig { Kind = StoreKind.Postgres, Connection = "Host=nowhere.invalid;Database=mooring" }, "unused")).BuildServiceProvider();

        var store = provider.GetRequiredService<IStore>();

        Assert.True(store.IsRemote);
        Assert.IsType<PostgresSignals>(provider.GetRequiredService<IStoreSignals>());
        Assert.IsType<MeasuredReplicas>(provider.GetRequiredService<IReplicaStore>());
        var failure = await Assert.ThrowsAsync<StoreException>(() => store.CountSessionsAsync(TestContext.Current.CancellationToken));
        Assert.Contains("'mooring' at nowhere.invalid:5432 was not reached yet", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AddStores_DynamoDb_IsRemoteAndReachesForNothingBeforeItIsOpened()
    {
        await using var provider = new ServiceCollection().AddLogging().AddMetrics().AddSingleton<MooringMeter>()
            .AddStores(_ => (new StoreConfig { Kind = StoreKind.DynamoDb, Table = "mine", Region = "eu-central-1" }, "unused")).BuildServiceProvider();

        var store = provider.GetRequiredService<IStore>();

        Assert.True(store.IsRemote);
        Assert.IsType<DynamoSignals>(provider.GetRequiredService<IStoreSignals>());
        Assert.IsType<MeasuredReplicas>(provider.GetRequiredService<IReplicaStore>());
        var failure = await Assert.ThrowsAsync<StoreException>(() => store.CountSessionsAsync(TestContext.Current.CancellationToken));
        Assert.Contains("'mine' in eu-central-1 was not reached yet", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, "data")]
    [InlineData("own", "own")]
    public async Task AddStores_Sqlite_UsesTheConfiguredDirectoryBeforeTheDefault(string? configured, string expected)
    {
        await using var fixture = new SqliteFixture();
        var config = new StoreConfig { Directory = configured is null ? null : Path.Combine(fixture.Directory, configured) };
        await using (var provider = new ServiceCollection().AddLogging().AddMetrics().AddSingleton<MooringMeter>()
            .AddStores(_ => (config, Path.Combine(fixture.Directory, "data"))).BuildServiceProvider())
        {
            var store = provider.GetRequiredService<IStore>();
            await store.OpenAsync(TestContext.Current.CancellationToken);
        }

        Assert.True(File.Exists(Path.Combine(fixture.Directory, expected, "mooring.db")));
    }
}
