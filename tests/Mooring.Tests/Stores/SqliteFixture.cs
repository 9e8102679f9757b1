using Microsoft.Extensions.Logging.Abstractions;
using Mooring.Stores.Sqlite;

namespace Mooring.Tests.Stores;

/// <summary>A data directory of its own for one test, and the stores opened on it.</summary>
internal sealed class SqliteFixture : IAsyncDisposable
{
    private readonly List<SqliteStore> _stores = [];

    public string Directory { get; } = System.IO.Directory.CreateTempSubdirectory("mooring-store-").FullName;

    public FakeClock Clock { get; } = new();

    public SqliteStoreOptions Options => new() { Directory = Directory };

    public SqliteStore Make(SqliteStoreOptions? options = null)
    {
        var store = new SqliteStore(options ?? Options, Clock, NullLogger<SqliteStore>.Instance);
        _stores.Add(store);
        return store;
    }

    public async Task<SqliteStore> OpenAsync(SqliteStoreOptions? options = null)
    {
        var store = Make(options);
        await store.OpenAsync(CancellationToken.None);
        return store;
    }

    /// <summary>A store opened and closed again, so that the file is there.</summary>
    public async Task MakeFileAsync()
    {
        var store = await OpenAsync();
        await store.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var store in _stores)
        {
            await store.DisposeAsync();
        }

        System.IO.Directory.Delete(Directory, recursive: true);
    }
}
