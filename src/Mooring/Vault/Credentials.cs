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

    /// <summary>Which linking the account is of that can be used now, empty where that was not noted; null: there is none.</summary>
    /// <exception cref="StoreException">The store cannot be asked.</exception>
    public async Task<string?> LinkingAsync(CredentialKey key, CancellationToken cancel) =>
        await FindAsync(key, cancel) is var (credential, _) && credential.Broken is null ? credential.Link ?? "" : null;

    /// <summary>Null: there is none, or none that opens.</summary>
    public async Task<(Credential Credential, long Version)?> FindAsync(CredentialKey key, CancellationToken cancel)
    {
        if (await store.FindCredentialAsync(key, cancel) is not { } record)
        {
            return null;
        }

        // Never written in clear, so clear text is a forgery.
        var body = SealedBody.IsSealed(record.Body.Span) ? await keys.TryOpenAsync(NameOf(key, record.Version), record.Body, cancel) : null;
        return body is { } opened && Credential.Parse(opened.Span) is { } credential ? (credential, record.Version) : null;
    }

    /// <summary>Puts a credential in the place of whatever there is: its person has just linked.</summary>
    public async Task ReplaceAsync(CredentialKey key, Credential credential, CancellationToken cancel)
    {
        credential = credential with { Link = RandomNumberGenerator.GetHexString(32, lowercase: true) };
        while (true)
        {
            var known = await store.FindCredentialAsync(key, cancel);
            if (await SaveAsync(key, credential, known?.Version ?? 0))
            {
                Changed?.Invoke(new AccountChange(key, IsLinked: true));
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
            Changed?.Invoke(new AccountChange(key, IsLinked: credential.Broken is null));
        }

        return isSaved;
    }

    public async Task DeleteAsync(CredentialKey key)
    {
        await store.DeleteCredentialAsync(key);
        Changed?.Invoke(new AccountChange(key, IsLinked: false));
    }

    private static RowName NameOf(CredentialKey key, long version) => new($"credentials {key.Issuer}", key.Subject, key.Provider, version);
}
