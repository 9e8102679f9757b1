using System.Security.Cryptography;
using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>
/// People's credentials at other systems. Each is a row of its own, sealed for its person, provider and version: a change at one provider
/// touches no other, and a row that is moved to another name does not open. The only door to them.
/// </summary>
internal sealed class Credentials(KeyRing keys, IVaultStore store)
{
    /// <summary>
    /// This process put another account in the place of one, took it away, or found it of no use any more. A refresh is no such change. Called after the store has it; must return
    /// quickly and throw nothing.
    /// </summary>
    public Action<AccountChange>? Changed { get; set; }

    /// <summary>
    /// Which linking the account is of that can be used now. What does not open, its key being away or the row damaged, is not taken away: it may open again, and only then it is seen
    /// whether it is still the same.
    /// </summary>
    /// <returns>Whether it can be told; and the linking, empty where that was not noted, null where there is no account that can be used.</returns>
    /// <exception cref="StoreException">The store cannot be asked.</exception>
    public async Task<(bool IsKnown, string? Linking)> LinkingAsync(CredentialKey key, CancellationToken cancel)
    {
        if (await store.FindCredentialAsync(key, cancel) is not { } record)
        {
            return (true, null);
        }

        try
        {
            var credential = await OpenAsync(key, record, cancel);
            return (credential is not null, credential is { Broken: null } ? credential.Link ?? "" : null);
        }
        catch (StoreException)
        {
            // Its key cannot be had now.
            return (false, null);
        }
    }

    /// <summary>What is kept of an account.</summary>
    /// <exception cref="StoreException">The store cannot be asked, or the key that it is sealed with.</exception>
    public async Task<KeptCredential> FindAsync(CredentialKey key, CancellationToken cancel) => await store.FindCredentialAsync(key, cancel) is { } record
        ? new KeptCredential(await OpenAsync(key, record, cancel), record.Version, IsThere: true)
        : default;

    /// <summary>Puts a credential in the place of whatever there is: its person has just linked.</summary>
    public async Task ReplaceAsync(CredentialKey key, Credential credential, CancellationToken cancel)
    {
        credential = credential with { Link = RandomNumberGenerator.GetHexString(32, lowercase: true) };
        while (true)
        {
            var record = await store.FindCredentialAsync(key, cancel);
            if (await SaveAsync(key, credential, record?.Version ?? 0))
            {
                Changed?.Invoke(new AccountChange(key, record is null ? null : await LinkOfAsync(key, record), credential.Link));
                return;
            }
        }
    }

    /// <summary>Writes the version after <paramref name="before"/>. False: somebody else has changed it meanwhile.</summary>
    /// <param name="key">Whose, and where.</param>
    /// <param name="credential">The credential.</param>
    /// <param name="before">The version that it takes the place of.</param>
    /// <param name="isMended">Whether that one was said to be of no use, by somebody who did not know of this one.</param>
    public async Task<bool> SaveAsync(CredentialKey key, Credential credential, long before, bool isMended = false)
    {
        var isSaved = await store.SaveCredentialAsync(
            new CredentialRecord(key, before + 1, keys.SealAlways(NameOf(key, before + 1), credential.ToBytes()), credential.Due()));
        if (isSaved && (credential.Broken is not null || isMended))
        {
            var link = credential.Link ?? "";
            Changed?.Invoke(credential.Broken is null ? new AccountChange(key, Was: null, link) : new AccountChange(key, link, Now: null));
        }

        return isSaved;
    }

    /// <param name="key">Whose, and where.</param>
    /// <param name="known">What it was; null: it does not open.</param>
    public async Task DeleteAsync(CredentialKey key, Credential? known)
    {
        await store.DeleteCredentialAsync(key);
        Changed?.Invoke(new AccountChange(key, known is null ? null : known.Link ?? "", Now: null));
    }

    /// <summary>Null: it does not open.</summary>
    private async Task<Credential?> OpenAsync(CredentialKey key, CredentialRecord record, CancellationToken cancel)
    {
        // Never written in clear, so clear text is a forgery.
        var body = SealedBody.IsSealed(record.Body.Span) ? await keys.TryOpenAsync(NameOf(key, record.Version), record.Body, cancel) : null;
        return body is { } opened ? Credential.Parse(opened.Span) : null;
    }

    /// <summary>Which linking a row was of that has another in its place already; null: that cannot be told.</summary>
    private async Task<string?> LinkOfAsync(CredentialKey key, CredentialRecord record)
    {
        try
        {
            return await OpenAsync(key, record, CancellationToken.None) is { } credential ? credential.Link ?? "" : null;
        }
        catch (StoreException)
        {
            return null;
        }
    }

    private static RowName NameOf(CredentialKey key, long version) => new($"credentials {key.Issuer}", key.Subject, key.Provider, version);
}
