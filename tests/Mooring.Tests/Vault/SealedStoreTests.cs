using Microsoft.Extensions.Logging.Abstractions;
using Mooring.Stores;
using Mooring.Stores.Memory;
using Mooring.Stores.Sqlite;
using Mooring.Tests.Stores;
using Mooring.Vault;

namespace Mooring.Tests.Vault;

/// <summary>The contract of all stores, on one whose rows are sealed.</summary>
public sealed class SealedStoreTests : StoreContractTests
{
    private readonly VaultFixture _fixture = new();

    // What the vault keeps is not sealed a second time; its contract begins with an empty store, and this one has a key already.
    private readonly MemoryStore _empty = new(new FakeClock());
    private OpenedVault _vault = null!;
    private SqliteStore _inner = null!;

    private protected override int Overhead => SealedBody.Overhead;

    private protected override IReplicaStore Replicas => _vault.Replicas;

    private protected override IVaultStore VaultSide => _empty;

    // Holds hashes, which need no seal.
    private protected override IAuthStore Auth => _inner;

    private protected override Task<IStore> CreateAsync(TimeProvider time)
    {
        _inner = new SqliteStore(_fixture.Options, time, NullLogger<SqliteStore>.Instance);
        _vault = _fixture.Make(_inner, _inner, _inner);
        return Task.FromResult(_vault.Store);
    }

    private protected override Task OpenedAsync() => _vault.Seal.OpenAsync(CancellationToken.None);

    private protected override async Task CleanUpAsync() => await _fixture.DisposeAsync();
}
