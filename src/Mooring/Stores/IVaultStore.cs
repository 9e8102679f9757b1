namespace Mooring.Stores;

/// <summary>
/// What the vault keeps in a store: the wrapped data keys, and the credentials that people have at other systems. Bodies are sealed before
/// they come here. Every kind of store has it, and passes the same contract tests.
/// </summary>
internal interface IVaultStore
{
    /// <summary>All data keys, by number.</summary>
    Task<IReadOnlyList<KeyRecord>> LoadKeysAsync(CancellationToken cancel);

    /// <summary>Adds a data key unless there is one with its number. Returns whether it was added.</summary>
    Task<bool> AddKeyAsync(KeyRecord key);

    /// <summary>Replaces how a data key is wrapped, provided that it is still wrapped by <paramref name="before"/>. Returns whether it was.</summary>
    Task<bool> RewrapKeyAsync(KeyRecord key, string before);

    /// <summary>Whether <see cref="BeginSealingAsync"/> was ever called on this store.</summary>
    Task<bool> IsSealedAsync(CancellationToken cancel);

    /// <summary>
    /// Says that rows are sealed from now on. A release that cannot read sealed rows refuses to open the store afterwards
    /// (<c>works_from</c>); one that has it open already is not stopped by it.
    /// </summary>
    Task BeginSealingAsync();

    ValueTask<CredentialRecord?> FindCredentialAsync(CredentialKey key, CancellationToken cancel);

    /// <summary>All credentials there are, whoever's, by issuer, subject and provider. For whoever steers the gateway: it looks at all of them.</summary>
    Task<IReadOnlyList<CredentialKey>> ListCredentialsAsync(CancellationToken cancel);

    /// <summary>
    /// Credentials that are due for a refresh (<see cref="CredentialRecord.Due"/>) before <paramref name="before"/> and that nobody holds a lease on, the most urgent first.
    /// </summary>
    /// <param name="before">When.</param>
    /// <param name="limit">How many at most.</param>
    /// <param name="except">Providers whose credentials are left out.</param>
    /// <param name="cancel">Gives up.</param>
    Task<IReadOnlyList<CredentialKey>> FindDueCredentialsAsync(DateTimeOffset before, int limit, IEnumerable<string> except, CancellationToken cancel);

    /// <summary>
    /// Writes version <see cref="CredentialRecord.Version"/>, provided that the one before it is there (for 1: that there is none). The lease on
    /// it, whoever holds it, ends.
    /// </summary>
    /// <returns>False: nothing was changed; somebody else wrote, or deleted, it meanwhile.</returns>
    Task<bool> SaveCredentialAsync(CredentialRecord credential);

    /// <summary>Removes one. Removing an unknown one is fine.</summary>
    Task DeleteCredentialAsync(CredentialKey key);

    /// <summary>
    /// Takes the lease on refreshing a credential of this version: of all that try at once one gets it, and it ends by the store's own clock, so
    /// that a holder that died is followed by another. Whoever holds it may take it again, which prolongs it.
    /// </summary>
    /// <returns>False: somebody else holds it, or there is no such credential with this version any more.</returns>
    Task<bool> TryLeaseCredentialAsync(CredentialKey key, long version, string holder, TimeSpan lease);

    /// <summary>Gives the lease back; somebody else's is left alone.</summary>
    Task ReleaseCredentialAsync(CredentialKey key, string holder);
}

/// <summary>One data key as it lies in the store.</summary>
/// <param name="Number">1, 2, 3 …; rows say with which they are sealed. The highest seals.</param>
/// <param name="Wrapped">The key, wrapped by one that is not in the store.</param>
/// <param name="WrappedBy">The name of that one.</param>
/// <param name="Created">When it was made.</param>
internal sealed record KeyRecord(uint Number, ReadOnlyMemory<byte> Wrapped, string WrappedBy, DateTimeOffset Created);

/// <summary>Whose credentials, and for what.</summary>
/// <param name="Issuer">As in <see cref="SessionRecord.Issuer"/>.</param>
/// <param name="Subject">As in <see cref="SessionRecord.Subject"/>.</param>
/// <param name="Provider">The system that they are for.</param>
internal readonly record struct CredentialKey(string Issuer, string Subject, string Provider);

/// <summary>What a person has at one provider.</summary>
/// <param name="Key">Whose, and for what.</param>
/// <param name="Version">1, 2, 3 … with every change.</param>
/// <param name="Body">Sealed by the vault.</param>
/// <param name="Due">When it wants to be refreshed; null: never.</param>
internal sealed record CredentialRecord(CredentialKey Key, long Version, ReadOnlyMemory<byte> Body, DateTimeOffset? Due);
