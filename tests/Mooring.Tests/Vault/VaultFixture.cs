using Microsoft.Extensions.Logging;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Stores.Sqlite;
using Mooring.Vault;

namespace Mooring.Tests.Vault;

/// <summary>A data directory, and gateways' vaults that are opened on it one after the other.</summary>
internal sealed class VaultFixture : IAsyncDisposable
{
    private readonly List<SqliteStore> _stores = [];

    public string Folder { get; } = Directory.CreateTempSubdirectory("mooring-vault-").FullName;

    public FakeClock Clock { get; } = new();

    public FixtureLog Log { get; } = new();

    public string DefaultKey => Path.Combine(Folder, KeyWrappers.DefaultFile);

    public SqliteStoreOptions Options => new() { Directory = Folder };

    public LoggerFactory Loggers => new([Log]);

    /// <summary>A file with a key of its own.</summary>
    public string MakeKey(string name)
    {
        var path = Path.Combine(Folder, name);
        FileKey.Create(path);
        return path;
    }

    public async Task<SqliteStore> OpenStoreAsync()
    {
        var store = new SqliteStore(Options, Clock, Loggers.CreateLogger<SqliteStore>());
        _stores.Add(store);
        await store.OpenAsync(CancellationToken.None);
        return store;
    }

    /// <summary>What a start does with a store that is open.</summary>
    public async Task<OpenedVault> OpenAsync(SqliteStore store, Func<VaultConfig, VaultConfig>? vault = null)
    {
        var opened = Make(store, store, store, vault);
        await opened.Seal.OpenAsync(CancellationToken.None);
        return opened;
    }

    public OpenedVault Make(IStore store, IReplicaStore replicas, IVaultStore keys, Func<VaultConfig, VaultConfig>? vault = null, StoreKind kind = StoreKind.Sqlite)
    {
        var config = new ConfigStore(new MooringConfig { Store = new StoreConfig { Kind = kind }, Vault = (vault ?? (v => v))(new VaultConfig()) }, Folder);
        var ring = new KeyRing(keys, new KeyWrappers(config), config, Clock, Loggers.CreateLogger<KeyRing>());
        var seal = new StoreSeal(ring, keys, config, Loggers.CreateLogger<StoreSeal>());
        return new OpenedVault(ring, seal, seal.Seal(store), seal.Seal(replicas), config);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var store in _stores)
        {
            await store.DisposeAsync();
        }

        Directory.Delete(Folder, recursive: true);
    }
}

internal sealed record OpenedVault(KeyRing Keys, StoreSeal Seal, IStore Store, IReplicaStore Replicas, ConfigStore Config);
