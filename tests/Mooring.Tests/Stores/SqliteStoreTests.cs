using Microsoft.Extensions.Logging.Abstractions;
using Mooring.Stores;
using Mooring.Stores.Sqlite;

namespace Mooring.Tests.Stores;

/// <summary>The shared contract on a real file.</summary>
public sealed class SqliteStoreTests : StoreContractTests
{
    private readonly string _directory = Directory.CreateTempSubdirectory("mooring-store-").FullName;

    private protected override Task<IStore> CreateAsync(TimeProvider time) => Task.FromResult<IStore>(
        new SqliteStore(new SqliteStoreOptions { Directory = _directory }, time, NullLogger<SqliteStore>.Instance));

    private protected override Task CleanUpAsync()
    {
        Directory.Delete(_directory, recursive: true);
        return Task.CompletedTask;
    }
}
