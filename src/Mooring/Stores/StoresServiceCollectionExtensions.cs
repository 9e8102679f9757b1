using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Mooring.Configuration;
using Mooring.Stores.Memory;
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
        services.TryAddSingleton<IStore>(provider =>
        {
            var (config, dataDirectory) = settings(provider);
            var time = provider.GetRequiredService<TimeProvider>();
            IStore store = config.Kind switch
            {
                StoreKind.Memory => new MemoryStore(time),
                StoreKind.Sqlite => new SqliteStore(
                    new SqliteStoreOptions { Directory = config.Directory ?? dataDirectory },
                    time,
                    provider.GetRequiredService<ILogger<SqliteStore>>()),
                _ => throw new InvalidOperationException($"There is no store of kind {config.Kind}."),
            };
            return new MeasuredStore(store, config.Kind.ToString().ToLowerInvariant(), provider.GetRequiredService<StoreMetrics>(), time);
        });
        return services;
    }
}
