using Mooring.Configuration;
using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>
/// Puts the seal around the sides of the store, and decides from when on rows are sealed: at once where this gateway has the store for itself,
/// and where several replicas share it as soon as none is left that cannot read sealed rows. One per process.
/// </summary>
internal sealed partial class StoreSeal(KeyRing keys, IVaultStore vaultStore, ConfigStore config, ILogger<StoreSeal> logger) : IStoreSeal
{
    /// <summary>What replicas that read sealed rows say of themselves.</summary>
    private const string Mark = " reads-sealed";

    /// <summary>Before it: that they read sealed fingerprints of links. Releases that do not know it look at the end alone.</summary>
    private const string FingerprintMark = " reads-sealed-fingerprints";

    private bool _isShared;

    /// <summary>Whether opening it depends on another machine.</summary>
    public bool IsRemote => keys.IsRemote;

    /// <summary>What a store in memory holds never leaves the process.</summary>
    public bool IsNeeded => config.Current.Store.Kind != StoreKind.Memory;

    public IStore Seal(IStore store)
    {
        _isShared = store.IsRemote;
        keys.SealsFingerprints = !_isShared;
        return IsNeeded ? new SealedStore(store, keys) : store;
    }

    public IReplicaStore Seal(IReplicaStore replicas) => IsNeeded ? new SealedReplicas(replicas, keys, this) : replicas;

    /// <summary>Has the keys ready, once the store is open. May be tried again after a <see cref="StoreException"/>.</summary>
    /// <exception cref="VaultKeyException">A key is missing or wrong.</exception>
    public async Task OpenAsync(CancellationToken cancel)
    {
        var vault = config.Current.Vault;
        var isSealed = await vaultStore.IsSealedAsync(cancel);
        if (_isShared && !isSealed && !vault.NamesKey)
        {
            // No key for the replicas together, and nothing that needs one. A key of this replica's own would lock the others out.
            keys.Sealing = Sealing.Off;
            if (vault.Seal)
            {
                Log.InClear(logger);
            }

            return;
        }

        await keys.OpenAsync(cancel);
        if (!IsNeeded)
        {
            return;
        }

        if (!vault.Seal)
        {
            keys.Sealing = Sealing.Off;
        }
        else if (isSealed)
        {
            keys.Sealing = Sealing.On;
        }
        else if (_isShared)
        {
            keys.Sealing = Sealing.Off;
        }
        else
        {
            await BeginAsync();
        }
    }

    /// <summary>What is added to what a replica says of itself.</summary>
    public static string Describe(string info) => info + FingerprintMark + Mark;

    /// <summary>What a replica says of itself, for people.</summary>
    public static string Undescribe(string info) => Without(FingerprintMark, Without(Mark, info));

    /// <summary>Looks whether all replicas read sealed rows by now. Called with each beat.</summary>
    public async Task ConsiderAsync(IReadOnlyList<ReplicaRecord> replicas)
    {
        keys.SealsFingerprints = replicas.All(replica => replica.Info.EndsWith(FingerprintMark + Mark, StringComparison.Ordinal));
        if (keys.Sealing != Sealing.Off || config.Current.Vault is { Seal: false } or { NamesKey: false })
        {
            return;
        }

        var older = replicas.FirstOrDefault(replica => !replica.Info.EndsWith(Mark, StringComparison.Ordinal));
        if (older is not null)
        {
            Log.Waits(logger, older.Id);
            return;
        }

        try
        {
            await BeginAsync();
        }
        catch (StoreException)
        {
            // The store says so itself; the next beat tries again.
        }
    }

    private static string Without(string mark, string info) => info.EndsWith(mark, StringComparison.Ordinal) ? info[..^mark.Length] : info;

    /// <summary>First the word in the store, then the first row: whoever cannot read it must not come in between.</summary>
    private async Task BeginAsync()
    {
        await vaultStore.BeginSealingAsync();
        keys.Sealing = Sealing.On;
        Log.Began(logger);
    }

    private static partial class Log
    {
        [LoggerMessage(1421, LogLevel.Information, "Rows of the store are sealed from now on. Releases before this one cannot open it any more.", EventName = "SealingBegan")]
        public static partial void Began(ILogger logger);

        [LoggerMessage(1423, LogLevel.Warning, "Rows of the store are written in clear: replicas that share a store need one key that all of them have. Name it in vault.keyFile, or set vault.seal to false.", EventName = "RowsInClear")]
        public static partial void InClear(ILogger logger);

        [LoggerMessage(1422, LogLevel.Debug, "Rows are written in clear while replica {Replica} runs, which reads no others.", EventName = "SealingWaits")]
        public static partial void Waits(ILogger logger, string replica);
    }
}
