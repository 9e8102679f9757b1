namespace Mooring.Configuration;

/// <summary>Whose credentials the gateway uses at a server.</summary>
public enum ServerAuthKind
{
    /// <summary>The user's token at one of the <see cref="MooringConfig.Providers"/>.</summary>
    Provider,

    /// <summary>The user's token from the server's own authorization server, which the server names (MCP authorization).</summary>
    OAuth,
}

/// <summary>What a server is used with beside fixed headers. The token that a client sends to the gateway is never passed on.</summary>
public sealed record ServerAuthConfig
{
    public ServerAuthKind Kind { get; init; }

    /// <summary>Name of the provider.</summary>
    public string? Provider { get; init; }

    /// <summary>Who the gateway is at the server's authorization server; null: found out, by a document about itself or a registration.</summary>
    public string? ClientId { get; init; }

    public string? ClientSecret { get; init; }

    /// <summary>What is asked for; empty: what the server says.</summary>
    public IReadOnlyList<string> Scopes { get; init; } = [];
}
