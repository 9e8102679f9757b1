using System.Collections.Concurrent;

namespace Mooring.Auth.Issuers;

/// <summary>What is known of other issuers, each by its name. Nothing is asked of any of them before it is needed.</summary>
internal sealed class RemoteIssuers(AuthHttp http, TimeProvider time, ILogger<RemoteIssuer> logger)
{
    private readonly ConcurrentDictionary<(string Issuer, Uri? Jwks), RemoteIssuer> _issuers = new();

    public RemoteIssuer Of(string issuer, Uri? jwks = null) =>
        _issuers.GetOrAdd((issuer, jwks), static (key, parts) => new RemoteIssuer(key.Issuer, key.Jwks, parts.http, parts.time, parts.logger), (http, time, logger));
}
