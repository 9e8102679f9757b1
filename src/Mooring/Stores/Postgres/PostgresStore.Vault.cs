namespace Mooring.Stores.Postgres;

/// <content>What the vault keeps.</content>
internal sealed partial class PostgresStore
{
    public Task<IReadOnlyList<KeyRecord>> LoadKeysAsync(CancellationToken cancel) => ManyAsync(VaultRows.LoadKeysSql, _ => { }, VaultRows.ReadKey, cancel);

    public async Task<bool> AddKeyAsync(KeyRecord key) => await ChangeAsync(
        VaultRows.AddKeySql, to => to.Number(key.Number).Bytes(key.Wrapped).Text(key.WrappedBy).Time(key.Created)) > 0;

    public async Task<bool> RewrapKeyAsync(KeyRecord key, string before) => await ChangeAsync(
        VaultRows.RewrapSql, to => to.Number(key.Number).Bytes(key.Wrapped).Text(key.WrappedBy).Text(before)) > 0;

    public Task<bool> IsSealedAsync(CancellationToken cancel) =>
        OneAsync(VaultRows.IsSealedSql, _ => { }, row => row.GetBoolean(0), cancel);

    public Task BeginSealingAsync() => TogetherAsync(VaultRows.BeginSealingSql, to => to.Time(_time.GetUtcNow()).Number(PostgresSchema.ReadsSealed));

    public async ValueTask<CredentialRecord?> FindCredentialAsync(CredentialKey key, CancellationToken cancel) => await OneAsync(
        VaultRows.FindSql,
        to => to.Name(key),
        row => new CredentialRecord(key, row.GetInt64(0), row.Bytes(1), row.IsDBNull(2) ? null : row.Time(2)),
        cancel);

    public Task<IReadOnlyList<CredentialKey>> ListCredentialsAsync(CancellationToken cancel) => ManyAsync(VaultRows.ListSql, _ => { }, VaultRows.ReadName, cancel);

    public Task<IReadOnlyList<CredentialKey>> FindDueCredentialsAsync(DateTimeOffset before, int limit, IEnumerable<string> except, CancellationToken cancel) =>
        ManyAsync(VaultRows.FindDueSql, to => to.Time(before).Number(limit).Texts([.. except], provider => provider), VaultRows.ReadName, cancel);

    public async Task<bool> SaveCredentialAsync(CredentialRecord credential) => await ChangeAsync(
        credential.Version == 1 ? VaultRows.InsertSql : VaultRows.UpdateSql,
        to => to.Name(credential.Key).Number(credential.Version).Bytes(credential.Body).TimeOrNull(credential.Due)) > 0;

    public Task DeleteCredentialAsync(CredentialKey key) => ChangeAsync(VaultRows.DeleteSql, to => to.Name(key));

    public async Task<bool> TryLeaseCredentialAsync(CredentialKey key, long version, string holder, TimeSpan lease) =>
        await ChangeAsync(VaultRows.LeaseSql, to => to.Name(key).Number(version).Text(holder).Span(lease)) > 0;

    public Task ReleaseCredentialAsync(CredentialKey key, string holder) => ChangeAsync(VaultRows.ReleaseSql, to => to.Name(key).Text(holder));
}
