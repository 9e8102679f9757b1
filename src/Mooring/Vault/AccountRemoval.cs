using System.Security.Cryptography;
using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>What became of an account that was to be taken away.</summary>
/// <param name="WasThere">Whether there was one.</param>
/// <param name="NotTold">Why its provider was not told, for a page; null: it was, or there was nothing to tell.</param>
internal sealed record RemovedAccount(bool WasThere, string? NotTold = null);

/// <summary>
/// Takes people's accounts away again: the row first, so that nothing is done with the account any more whatever its provider says, and then the provider is told (RFC 7009), once,
/// as far as it can be.
/// </summary>
internal sealed class AccountRemoval(Credentials credentials, IVaultStore store, Providers providers, OAuthDiscovery discovery, TokenRequests endpoint, VaultHttp http, TimeProvider time)
{
    /// <summary>How long a refresh that is under way is waited for. A provider answers in less; else the person tries again.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(200);

    private readonly string _holder = RandomNumberGenerator.GetHexString(32, lowercase: true);

    /// <returns>Null: it is being refreshed just now, and was left as it is.</returns>
    /// <exception cref="StoreException">The store cannot be asked.</exception>
    public async Task<RemovedAccount?> RemoveAsync(CredentialKey key, CancellationToken cancel)
    {
        var began = time.GetTimestamp();
        while (await store.FindCredentialAsync(key, cancel) is { } record)
        {
            await store.ReleaseCredentialAsync(key, Tokens.Nobody);

            // With the lease nobody refreshes it: what a provider gave for it must not come into the row of the account that is linked next.
            if (await store.TryLeaseCredentialAsync(key, record.Version, _holder, Tokens.Lease))
            {
                var known = (await credentials.FindAsync(key, cancel)).Credential;
                await credentials.DeleteAsync(key, known);
                return new RemovedAccount(true, known is not null ? await TellAsync(key, known) : "what the gateway kept of it cannot be read");
            }

            if (time.GetElapsedTime(began) > Patience)
            {
                return null;
            }

            await Task.Delay(Look, time, cancel);
        }

        return new RemovedAccount(false);
    }

    /// <summary>Goes on when the person leaves: the row is gone, and with it what the provider could be told with.</summary>
    private async Task<string?> TellAsync(CredentialKey key, Credential credential)
    {
        if (providers.ClientFor(key.Provider, credential.Client) is not { } client)
        {
            return "it is not in the configuration any more";
        }

        var at = providers.Find(key.Provider) is { } known ? known.RevokeUrl : await NamedAsync(key.Provider, client);
        return at is null ? "nothing says where it takes tokens back" : await endpoint.RevokeAsync(client, at, credential, CancellationToken.None);
    }

    /// <summary>
    /// Where the authorization server that a server names takes tokens back. Who names it may have turned bad since the account was linked, so a token goes to no other host than the one
    /// that it came from.
    /// </summary>
    private async Task<Uri?> NamedAsync(string provider, TokenClient client)
    {
        if (providers.ServerOf(provider) is not { Url: { } url } named)
        {
            return null;
        }

        var (server, _) = await discovery.FindAsync(url, await http.ChallengeOfAsync(url, CancellationToken.None), named.Auth?.Issuer, CancellationToken.None);
        return server is { RevokeUrl: { } at } && at.GetLeftPart(UriPartial.Authority) == new Uri(client.TokenUrl).GetLeftPart(UriPartial.Authority) ? at : null;
    }
}
