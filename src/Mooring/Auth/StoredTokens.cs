using Mooring.Auth.Server;
using Mooring.Auth.Server.Providers;
using Mooring.Configuration;
using Mooring.Stores;

namespace Mooring.Auth;

/// <summary>API keys, and access tokens of the gateway's own authorization server: random texts whose rows are in the store.</summary>
internal sealed class StoredTokens(ConfigStore config, IAuthStore store, IdentityProviders providers, TimeProvider time) : ITokenVerifier
{
    public const string KeyPrefix = "mrk_";
    public const string AccessPrefix = "mra_";

    public int Generation => -1;

    public bool Takes(string token) => KindOf(token) is not null;

    /// <summary>
    /// A key is good until it is revoked; a person comes in for as long as whoever vouched for them may, with a client for as long as that is one. A token that says that its person administers
    /// is worth nothing once that is no longer so: its client gets another, without that.
    /// </summary>
    public bool Allows(Caller caller) => caller.Person.Issuer == Person.OfApiKeys
        || (providers.StillVouches(caller.Person) && Clients.MayBe(config.Current.Auth.OAuth, caller.Client!) && (!caller.Scopes.Contains(Scopes.Admin) || Scopes.IsAdmin(config.Current.Auth, caller.Person)));

    /// <summary>They have no keys.</summary>
    public bool CanTell(string token) => true;

    /// <summary>The store is asked about each of them.</summary>
    public void Remembered(IReadOnlySet<string> names)
    {
    }

    public async ValueTask<(Caller? Caller, TokenFound Found)> VerifyAsync(string token, CancellationToken cancel)
    {
        if (KindOf(token) is not { } kind || await store.FindAuthAsync(kind, Secret.KeyOf(token), time.GetUtcNow(), cancel) is not { } record)
        {
            return (null, TokenFound.Unknown);
        }

        if (kind == AuthKind.ApiKey)
        {
            var key = AuthJson.Read<KeyData>(record);
            return (new Caller(key.Person, key.Scopes, record.Expires) { Credential = $"api_key:{Holdings.IdOf(record)}" }, TokenFound.Good);
        }

        var data = AuthJson.Read<TokenData>(record);
        var caller = new Caller(data.Person, data.Scopes, record.Expires, data.Path is null ? null : [data.Path]) { Client = data.Client, Grant = record.Grant, Credential = $"access_token:{Holdings.IdOf(record)}" };
        return Allows(caller) ? (caller, TokenFound.Good) : (null, TokenFound.Unknown);
    }

    private AuthKind? KindOf(string token) =>
        token.StartsWith(KeyPrefix, StringComparison.Ordinal) && config.Current.Auth.Has(AuthMode.ApiKey) ? AuthKind.ApiKey
        : token.StartsWith(AccessPrefix, StringComparison.Ordinal) && config.Current.Auth.Has(AuthMode.OAuth) ? AuthKind.AccessToken
        : null;
}
