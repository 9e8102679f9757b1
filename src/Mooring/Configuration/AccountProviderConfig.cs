namespace Mooring.Configuration;

/// <summary>A system at which users have accounts that the gateway may use for them (OAuth 2).</summary>
public sealed record AccountProviderConfig
{
    /// <summary>Where a user allows it.</summary>
    public Uri? AuthorizeUrl { get; init; }

    /// <summary>Where the gateway gets tokens.</summary>
    public Uri? TokenUrl { get; init; }

    /// <summary>Where the gateway says that a token is wanted no longer (RFC 7009); null: nowhere.</summary>
    public Uri? RevokeUrl { get; init; }

    /// <summary>Who the gateway is there.</summary>
    public string ClientId { get; init; } = "";

    /// <summary>Null: a public client.</summary>
    public string? ClientSecret { get; init; }

    public IReadOnlyList<string> Scopes { get; init; } = [];

    /// <summary>The ways back that earlier systems had their providers told.</summary>
    internal static readonly string[] OlderCallbacks = ["/auth/hubspot/callback", "/auth/slack/callback", "/oauth/hubspot-callback"];

    /// <summary>Where it sends people back to, where it knows the gateway by one of <see cref="OlderCallbacks"/>; null: <c>/connect/NAME/callback</c>.</summary>
    public Uri? RedirectUri { get; init; }

    /// <summary>More parameters of the authorization request, such as <c>access_type</c>.</summary>
    public IReadOnlyDictionary<string, string> Parameters { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);
}
