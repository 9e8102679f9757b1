using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Mooring.Configuration;
using Mooring.Stores.DynamoDb;
using Mooring.Stores.Memory;
using Mooring.Stores.Postgres;
using Mooring.Stores.Sqlite;

namespace Mooring.Stores;

internal static class StoresServiceCollectionExtensions
{
    /// <summary>Registers the store the configuration asks for. It is opened by whoever starts the gateway, not here.</summary>
    /// <param name="services">Where to register.</param>
    /// <param name="settings">The configuration's store part and the directory to use where it names none; asked once.</param>
    public static IServiceCollection AddStores(
        this IServiceCollection services, Func<IServiceProvider, (StoreConfig Config, string DataDirectory)> settings)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<StoreMetrics>();
        services.TryAddSingleton<StoreOpener>();
        services.TryAddSingleton(provider => Make(provider, settings(provider)));
        services.TryAddSingleton<IStore>(provider =>
        {
            var parts = provider.GetRequiredService<StoreParts>();
            var store = new MeasuredStore(parts.Store, parts.Kind, provider.GetRequiredService<StoreMetrics>(), provider.GetRequiredService<TimeProvider>());
            return provider.GetService<IStoreSeal>()?.Seal(store) ?? store;
        });
        services.TryAddSingleton<IReplicaStore>(provider =>
        {
            var parts = provider.GetRequiredService<StoreParts>();
            var replicas = new MeasuredReplicas(parts.Replicas, parts.Kind, provider.GetRequiredService<StoreMetrics>(), provider.GetRequiredService<TimeProvider>());
            return provider.GetService<IStoreSeal>()?.Seal(replicas) ?? replicas;
        });
        services.TryAddSingleton<IVaultStore>(provider =>
        {
            var parts = provider.GetRequiredService<StoreParts>();
            return new MeasuredVault(parts.Vault, parts.Kind, provider.GetRequiredService<StoreMetrics>(), provider.GetRequiredService<TimeProvider>());
        });
        services.TryAddSingleton<IAuthStore>(provider =>
        {
            var parts = provider.GetRequiredService<StoreParts>();
            return new MeasuredAuth(parts.Auth, parts.Kind, provider.GetRequiredService<StoreMetrics>(), provider.GetRequiredService<TimeProvider>());
        });
        services.TryAddSingleton<PermitSource>(provider =>
        {
            var parts = provider.GetRequiredService<StoreParts>();
            return new PermitSource(parts.Permits is null ? null : new MeasuredPermits(parts.Permits, parts.Kind, provider.GetRequiredService<StoreMetrics>(), provider.GetRequiredService<TimeProvider>()));
        });
        services.TryAddSingleton(provider => provider.GetRequiredService<StoreParts>().Signals);
        return services;
    }

    /// <summary>The store of a configuration for a tool, which may have it open beside a running gateway. The caller's to open and to dispose of.</summary>
    /// <returns>The store, its side for who may come in, and the vault's.</returns>
    public static (IStore Store, IAuthStore Auth, IVaultStore Vault) MakeBeside(StoreConfig config, string dataDirectory, TimeProvider time, ILoggerFactory loggers)
    {
        var parts = Make(config, dataDirectory, time, loggers, isBeside: true);
        return (parts.Store, parts.Auth, parts.Vault);
    }

    private static StoreParts Make(IServiceProvider provider, (StoreConfig Config, string DataDirectory) settings) => Make(
        settings.Config, settings.DataDirectory, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILoggerFactory>(), isBeside: false);

    private static StoreParts Make(StoreConfig config, string dataDirectory, TimeProvider time, ILoggerFactory loggers, bool isBeside)
    {
        var kind = config.Kind.ToString().ToLowerInvariant();
        switch (config.Kind)
        {
            case StoreKind.Memory:
                var memory = new MemoryStore(time);
                return new StoreParts(kind, memory, memory, memory, memory, new LocalSignals());
            case StoreKind.Sqlite:
                var sqlite = new SqliteStore(
                    new SqliteStoreOptions { Directory = config.Directory ?? dataDirectory, IsBeside = isBeside }, time, loggers.CreateLogger<SqliteStore>());
                return new StoreParts(kind, sqlite, sqlite, sqlite, sqlite, new LocalSignals());
            case StoreKind.Postgres:
                var options = new PostgresStoreOptions
                {
                    Connection = config.Connection ?? throw new InvalidOperationException("store.connection is missing."),
                    ListenConnection = config.ListenConnection,
                    MaxConnections = config.MaxConnections,
                };
                var postgres = new PostgresStore(options, time, loggers.CreateLogger<PostgresStore>());
                return new StoreParts(
                    kind, postgres, postgres, postgres, postgres, new PostgresSignals(postgres, options, time, loggers.CreateLogger<PostgresSignals>()))
                { Permits = postgres };
            case StoreKind.DynamoDb:
                var table = new DynamoDbStoreOptions { Table = config.Table, Region = config.Region, Role = config.Role, Endpoint = config.Endpoint, CreateTable = config.CreateTable };
                var dynamo = new DynamoDbStore(table, time, loggers.CreateLogger<DynamoDbStore>());
                return new StoreParts(kind, dynamo, dynamo, dynamo, dynamo, new DynamoSignals(dynamo, time, loggers.CreateLogger<DynamoSignals>()));
            default:
                throw new InvalidOperationException($"There is no store of kind {config.Kind}.");
        }
    }

    /// <summary>The sides of one store. Disposed where they are registered by their contracts.</summary>
    private sealed record StoreParts(string Kind, IStore Store, IReplicaStore Replicas, IAuthStore Auth, IVaultStore Vault, IStoreSignals Signals)
    {
        /// <summary>Limits that replicas share; null where there is only one.</summary>
        public IPermitStore? Permits { get; init; }
    }
}
