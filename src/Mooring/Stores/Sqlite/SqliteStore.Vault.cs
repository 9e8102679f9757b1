namespace Mooring.Stores.Sqlite;

/// <content>What the vault keeps.</content>
internal sealed partial class SqliteStore
{
    public Task<IReadOnlyList<KeyRecord>> LoadKeysAsync(CancellationToken cancel) => Read(static (database, _) => VaultRows.LoadKeys(database), 0, cancel);

    public Task<bool> AddKeyAsync(KeyRecord key) => Write(VaultRows.AddKey, key);

    public Task<bool> RewrapKeyAsync(KeyRecord key, string before) => Write(VaultRows.Rewrap, (key, before));

    public Task<bool> IsSealedAsync(CancellationToken cancel) => Read(static (database, _) => VaultRows.IsSealed(database), 0, cancel);

    public Task BeginSealingAsync() => Write(VaultRows.BeginSealing, time.GetUtcNow());

    public async ValueTask<CredentialRecord?> FindCredentialAsync(CredentialKey key, CancellationToken cancel) => await Read(VaultRows.Find, key, cancel);

    public Task<IReadOnlyList<CredentialKey>> ListCredentialsAsync(CancellationToken cancel) => Read(static (database, _) => VaultRows.ListCredentials(database), 0, cancel);

    public Task<IReadOnlyList<CredentialKey>> FindDueCredentialsAsync(DateTimeOffset before, int limit, IEnumerable<string> except, CancellationToken cancel) =>
        Read(VaultRows.FindDue, (before, time.GetUtcNow(), limit, (IReadOnlyList<string>)[.. except]), cancel);

    public Task<bool> SaveCredentialAsync(CredentialRecord credential) => Write(VaultRows.Save, credential);

    public Task DeleteCredentialAsync(CredentialKey key) => Write(VaultRows.Delete, key);

    public Task<bool> TryLeaseCredentialAsync(CredentialKey key, long version, string holder, TimeSpan lease)
    {
        var now = time.GetUtcNow();
        return Write(VaultRows.Lease, (key, version, holder, now + lease, now));
    }

    public Task ReleaseCredentialAsync(CredentialKey key, string holder) => Write(VaultRows.Release, (key, holder));
}
