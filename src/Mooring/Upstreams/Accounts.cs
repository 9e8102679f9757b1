using Mooring.Stores;
using Mooring.Vault;

namespace Mooring.Upstreams;

/// <summary>Whose tokens go with requests to servers that are used with people's accounts.</summary>
internal sealed class Accounts(Tokens tokens, AccountLinks links)
{
    /// <param name="upstream">The server.</param>
    /// <param name="issuer">Who issued the person's identity.</param>
    /// <param name="subject">The person; null: nobody, to see whether the server is there.</param>
    /// <returns>Null: the server needs none.</returns>
    public LinkAuthorizer? For(Upstream upstream, string issuer, string? subject) =>
        upstream.Config.Auth is { } auth ? new LinkAuthorizer(upstream.Name, auth, subject is null ? null : new CredentialKey(issuer, subject, ""), tokens, links) : null;
}
