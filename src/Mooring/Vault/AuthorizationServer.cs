using System.Text.Json;

namespace Mooring.Vault;

/// <summary>What is known of the authorization server of an MCP server.</summary>
/// <param name="Issuer">As it calls itself.</param>
/// <param name="AuthorizeUrl">Where a user allows it.</param>
/// <param name="TokenUrl">Where tokens are given.</param>
/// <param name="RegisterUrl">Where clients register; null: nowhere.</param>
/// <param name="Resource">What the token is for.</param>
/// <param name="Scopes">What the MCP server says that a token may allow.</param>
internal sealed record AuthorizationServer(
    string Issuer, Uri AuthorizeUrl, Uri TokenUrl, Uri? RegisterUrl, string? Resource, IReadOnlyList<string> Scopes)
{
    /// <summary>Whether an address may stand for a registration (client id metadata documents).</summary>
    public bool TakesClientDocuments { get; init; }

    /// <summary>Where it takes tokens back (RFC 7009); null: nowhere.</summary>
    public Uri? RevokeUrl { get; init; }

    /// <summary>How it wants clients to say who they are; empty: it says nothing.</summary>
    public IReadOnlyList<string> AuthMethods { get; init; } = [];

    /// <summary>Whether its answers name it (RFC 9207): then one that does not is a forgery.</summary>
    public bool NamesItself { get; init; }

    /// <summary>Scopes that the authorization server itself knows.</summary>
    public IReadOnlyList<string> KnownScopes { get; init; } = [];

    public static AuthorizationServer? Parse(JsonElement document, string? resource, IReadOnlyList<string> scopes)
    {
        if (Text(document, "issuer") is not { } issuer || Url(document, "authorization_endpoint") is not { } authorize || Url(document, "token_endpoint") is not { } token)
        {
            return null;
        }

        return new AuthorizationServer(issuer, authorize, token, Url(document, "registration_endpoint"), resource, scopes)
        {
            TakesClientDocuments = Flag(document, "client_id_metadata_document_supported"),
            RevokeUrl = Url(document, "revocation_endpoint"),
            AuthMethods = Texts(document, "token_endpoint_auth_methods_supported"),
            NamesItself = Flag(document, "authorization_response_iss_parameter_supported"),
            KnownScopes = Texts(document, "scopes_supported"),
        };
    }

    public static string? Text(JsonElement document, string name) =>
        document.ValueKind == JsonValueKind.Object && document.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    public static IReadOnlyList<string> Texts(JsonElement document, string name) =>
        document.ValueKind == JsonValueKind.Object && document.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Array
            ? [.. value.EnumerateArray().Where(item => item.ValueKind == JsonValueKind.String).Select(item => item.GetString()!)]
            : [];

    private static bool Flag(JsonElement document, string name) =>
        document.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;

    /// <summary>Https, or this machine: a secret goes there.</summary>
    private static Uri? Url(JsonElement document, string name) =>
        Uri.TryCreate(Text(document, name), UriKind.Absolute, out var url) && (url.Scheme == "https" || (url.Scheme == "http" && url.IsLoopback)) ? url : null;
}
