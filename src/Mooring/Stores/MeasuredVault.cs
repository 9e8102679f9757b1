namespace Mooring.Stores;

/// <summary>Measures what the vault asks of a store of any kind.</summary>
/// <param name="inner">The store's side for the vault.</param>
/// <param name="kind">The metric tag.</param>
internal sealed class MeasuredVault(IVaultStore inner, string kind, StoreMetrics metrics, TimeProvider time) : Measured(kind, metrics, time), IVaultStore
{
    public Task<IReadOnlyList<KeyRecord>> LoadKeysAsync(CancellationToken cancel) => ObserveAsync("load_keys", Now, inner.LoadKeysAsync(cancel));

    public Task<bool> AddKeyAsync(KeyRecord key) => ObserveAsync("add_key", Now, inner.AddKeyAsync(key));

    public Task<bool> RewrapKeyAsync(KeyRecord key, string before) => ObserveAsync("rewrap_key", Now, inner.RewrapKeyAsync(key, before));

    public Task<bool> IsSealedAsync(CancellationToken cancel) => ObserveAsync("is_sealed", Now, inner.IsSealedAsync(cancel));

    public Task BeginSealingAsync() => ObserveAsync("begin_sealing", Now, inner.BeginSealingAsync());

    public ValueTask<CredentialRecord?> FindCredentialAsync(CredentialKey key, CancellationToken cancel) =>
        ReadAsync("find_credential", Now, inner.FindCredentialAsync(key, cancel));

    public Task<IReadOnlyList<CredentialKey>> ListCredentialsAsync(CancellationToken cancel) => ObserveAsync("list_credentials", Now, inner.ListCredentialsAsync(cancel));

    public Task<IReadOnlyList<CredentialKey>> FindDueCredentialsAsync(DateTimeOffset before, int limit, IEnumerable<string> except, CancellationToken cancel) =>
        ObserveAsync("find_due_credentials", Now, inner.FindDueCredentialsAsync(before, limit, except, cancel));

    public Task<bool> SaveCredentialAsync(CredentialRecord credential) => ObserveAsync("save_credential", Now, inner.SaveCredentialAsync(credential));

    public Task DeleteCredentialAsync(CredentialKey key) => ObserveAsync("delete_credential", Now, inner.DeleteCredentialAsync(key));

    public Task<bool> TryLeaseCredentialAsync(CredentialKey key, long version, string holder, TimeSpan lease) =>
        ObserveAsync("lease_credential", Now, inner.TryLeaseCredentialAsync(key, version, holder, lease));

    public Task ReleaseCredentialAsync(CredentialKey key, string holder) => ObserveAsync("release_credential", Now, inner.ReleaseCredentialAsync(key, holder));
}
