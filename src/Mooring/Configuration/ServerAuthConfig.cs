namespace Mooring.Configuration;

/// <summary>Whose credentials the gateway uses at a server.</summary>
public enum ServerAuthKind
{
    /// <summary>The user's token at one of the <see cref="MooringConfig.Providers"/>.</summary>
    Provider,

    /// <summary>The user's token from the server's own authorization server, which the server names (MCP authorization).</summary>
    OAuth,

    /// <summary>A token that an authorization server gives in exchange for another one of the user (RFC 8693).</summary>
    Exchange,
}

/// <summary>What a server is used with beside fixed headers. The token that a client sends to the gateway is never passed on.</summary>
public sealed record ServerAuthConfig
{
    public ServerAuthKind Kind { get; init; }

    /// <summary>Name of the provider; for exchange: the one whose token is exchanged, null: the token of the client is, which another issuer signed.</summary>
    public string? Provider { get; init; }

    /// <summary>For exchange: the token endpoint.</summary>
    public Uri? TokenUrl { get; init; }

    /// <summary>For exchange: the logical name of the server (RFC 8693, 2.1); null: not sent.</summary>
    public string? Audience { get; init; }

    /// <summary>For exchange: the address of the server (RFC 8693, 2.1; RFC 8707); null: not sent.</summary>
    public string? Resource { get; init; }

    /// <summary>Who the gateway is at the server's authorization server; null: found out, by a document about itself or a registration.</summary>
    public string? ClientId { get; init; }

    public string? ClientSecret { get; init; }

    /// <summary>For oauth: the one authorization server, by its issuer, that the server may name; null: any.</summary>
    public string? Issuer { get; init; }

    /// <summary>What is asked for; empty: what the server says.</summary>
    public IReadOnlyList<string> Scopes { get; init; } = [];
}
