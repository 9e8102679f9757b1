using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Vault;

namespace Mooring.Upstreams;

/// <summary>Whose tokens go with requests to servers that are used with people's accounts.</summary>
internal sealed class Accounts(Tokens tokens, TokenExchange exchange, AccountLinks links, Credentials credentials)
{
    /// <inheritdoc cref="Credentials.Changed"/>
    public Action<AccountChange>? Changed
    {
        get => credentials.Changed;
        set => credentials.Changed = value;
    }

    /// <summary>Whose account, and where, a server is used with.</summary>
    public static CredentialKey KeyOf(Upstream upstream, string issuer, string subject) => new(issuer, subject, upstream.Config.Auth?.Provider ?? upstream.Name);

    /// <summary>As <see cref="Credentials.LinkingAsync"/>, of the account that a server is used with; empty where it is used with what the person's client shows.</summary>
    /// <exception cref="StoreException">The store cannot be asked.</exception>
    public async ValueTask<(bool IsKnown, string? Linking)> LinkingAsync(Upstream upstream, string issuer, string subject) =>
        upstream.Config.Auth is { Kind: ServerAuthKind.Exchange, Provider: null } ? (true, "") : await credentials.LinkingAsync(KeyOf(upstream, issuer, subject), CancellationToken.None);

    /// <param name="upstream">The server.</param>
    /// <param name="issuer">Who issued the person's identity.</param>
    /// <param name="subject">The person; null: nobody, to see whether the server is there.</param>
    /// <param name="shown">What the person's client last showed.</param>
    /// <param name="name">What the person was called then, where he is shown.</param>
    /// <returns>Null: the server needs none.</returns>
    public LinkAuthorizer? For(Upstream upstream, string issuer, string? subject, Func<SubjectToken?> shown, Func<string?> name)
    {
        if (upstream.Config.Auth is not { } auth)
        {
            return null;
        }

        if (subject is null)
        {
            return new LinkAuthorizer(upstream.Name, auth, person: null, tokens: null, shown, name, links);
        }

        var person = KeyOf(upstream, issuer, subject);
        IPersonTokens source = auth.Kind == ServerAuthKind.Exchange ? exchange.For(upstream.Name, auth, person) : new LinkedTokens(tokens, person);
        return new LinkAuthorizer(upstream.Name, auth, person, source, shown, name, links);
    }
}
