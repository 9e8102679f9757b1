using Microsoft.Extensions.Logging.Abstractions;
using Mooring.Stores;
using Mooring.Stores.Postgres;

namespace Mooring.Tests.Stores.Postgres;

/// <summary>The shared contract on a real PostgreSQL.</summary>
public sealed class PostgresStoreTests(SharedCluster shared) : StoreContractTests
{
    private PostgresCluster _cluster = null!;
    private string _database = null!;

    private protected override async Task<IStore> CreateAsync(TimeProvider time)
    {
        _cluster = await shared.GetAsync();
        _database = await _cluster.NewDatabaseAsync();
        return new PostgresStore(new PostgresStoreOptions { Connection = _cluster.ConnectionTo(_database) }, time, NullLogger<PostgresStore>.Instance);
    }

    private protected override Task CleanUpAsync() => _cluster.DropDatabaseAsync(_database);
}
