using System.Net;
using System.Text.Json;

namespace Mooring.Vault;

/// <summary>
/// Finds out where tokens for an MCP server come from: its own metadata (RFC 9728), and that of the authorization server which it names (RFC 8414, or
/// OpenID Connect). A server of 2025-03-26 has none of its own; its authorization server is at its root. It is taken for one only where it says that
/// there is no metadata: whoever cannot be asked just now is not asked by rules with fewer checks.
/// </summary>
internal sealed class OAuthDiscovery(VaultHttp http)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <param name="server">The MCP server's endpoint.</param>
    /// <param name="challenge">What it said when it refused.</param>
    /// <param name="wanted">The issuer that is taken of several that the server names (RFC 9728, 7.6: the client chooses); null, or none of them: the first.</param>
    /// <param name="cancel">Gives up.</param>
    /// <returns>The authorization server, or why there is none, for a person.</returns>
    public async Task<(AuthorizationServer? Found, string Why)> FindAsync(Uri server, Challenge challenge, string? wanted, CancellationToken cancel)
    {
        var root = new Uri(server.GetLeftPart(UriPartial.Authority));
        var path = server.AbsolutePath.TrimEnd('/');
        // Elsewhere it could have the gateway ask any address.
        var named = challenge.Metadata is { } at && at.GetLeftPart(UriPartial.Authority) == server.GetLeftPart(UriPartial.Authority) ? at : null;
        Uri[] places = named is not null
            ? [named]
            : [.. path.Length > 0 ? [new Uri(root, "/.well-known/oauth-protected-resource" + path)] : Array.Empty<Uri>(), new Uri(root, "/.well-known/oauth-protected-resource")];
        foreach (var place in places)
        {
            var (read, whyNot) = await ReadAsync(place, namedBy: null, cancel);
            if (whyNot is not null)
            {
                return (null, $"its metadata cannot be read ({whyNot})");
            }

            if (read is not { } document)
            {
                continue;
            }

            if (AuthorizationServer.Texts(document, "authorization_servers") is not [var first, ..] all)
            {
                return (null, "its metadata names no authorization server");
            }

            var issuer = wanted is null ? first : all.FirstOrDefault(one => one.TrimEnd('/') == wanted.TrimEnd('/')) ?? first;

            var resource = AuthorizationServer.Text(document, "resource");
            return IsFor(resource, server)
                ? await AuthorizationServerAsync(server, issuer, resource, AuthorizationServer.Texts(document, "scopes_supported"), cancel)
                : (null, "its metadata is for another resource");
        }

        return named is null ? await OfOldServerAsync(root, cancel) : (null, "the metadata that it names is not there");
    }

    /// <summary>The resource is the server's address or one above it (RFC 9728, 3.3): a token for something else must not be asked for.</summary>
    internal static bool IsFor(string? resource, Uri server) =>
        Uri.TryCreate(resource, UriKind.Absolute, out var known)
        && Uri.Compare(known, server, UriComponents.SchemeAndServer, UriFormat.SafeUnescaped, StringComparison.OrdinalIgnoreCase) == 0
        && (server.AbsolutePath.TrimEnd('/') + "/").StartsWith(known.AbsolutePath.TrimEnd('/') + "/", StringComparison.Ordinal);

    private async Task<(AuthorizationServer? Found, string Why)> AuthorizationServerAsync(
        Uri server, string issuer, string? resource, IReadOnlyList<string> scopes, CancellationToken cancel)
    {
        if (!Uri.TryCreate(issuer, UriKind.Absolute, out var url) || !(url.Scheme == "https" || (url.Scheme == "http" && url.IsLoopback)))
        {
            return (null, "the address of its authorization server is not https");
        }

        var root = new Uri(url.GetLeftPart(UriPartial.Authority));
        var path = url.AbsolutePath.TrimEnd('/');
        string[] places = path.Length == 0
            ? ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]
            : ["/.well-known/oauth-authorization-server" + path, "/.well-known/openid-configuration" + path, path + "/.well-known/openid-configuration"];
        foreach (var place in places)
        {
            var (read, whyNot) = await ReadAsync(new Uri(root, place), namedBy: server, cancel);
            if (whyNot is not null)
            {
                return (null, $"the metadata of its authorization server cannot be read ({whyNot})");
            }

            if (read is not { } document)
            {
                continue;
            }

            if (AuthorizationServer.Text(document, "issuer")?.TrimEnd('/') != issuer.TrimEnd('/'))
            {
                return (null, "the metadata of its authorization server is of another one");
            }

            if (!AuthorizationServer.Texts(document, "code_challenge_methods_supported").Contains("S256"))
            {
                return (null, "its authorization server does not do PKCE with S256");
            }

            return AuthorizationServer.Parse(document, resource, scopes) is { } found ? (found, "") : (null, "the metadata of its authorization server lacks an endpoint");
        }

        return (null, "its authorization server has no metadata");
    }

    /// <summary>2025-03-26, basic/authorization, "Server Metadata Discovery" and "Fallbacks for Servers without Metadata Discovery".</summary>
    private async Task<(AuthorizationServer? Found, string Why)> OfOldServerAsync(Uri root, CancellationToken cancel)
    {
        var (read, whyNot) = await ReadAsync(new Uri(root, "/.well-known/oauth-authorization-server"), namedBy: null, cancel);
        if (whyNot is not null)
        {
            return (null, $"the metadata of its authorization server cannot be read ({whyNot})");
        }

        if (read is { } document)
        {
            // A host may be shared, and its root somebody else's (RFC 8414, 3.3).
            if (AuthorizationServer.Text(document, "issuer")?.TrimEnd('/') != root.AbsoluteUri.TrimEnd('/'))
            {
                return (null, "the metadata of its authorization server is of another one");
            }

            // That version wants PKCE of clients, but not that a server says that it does it.
            if (document.TryGetProperty("code_challenge_methods_supported", out _) && !AuthorizationServer.Texts(document, "code_challenge_methods_supported").Contains("S256"))
            {
                return (null, "its authorization server does not do PKCE with S256");
            }

            return AuthorizationServer.Parse(document, resource: null, []) is { } found ? (found, "") : (null, "the metadata of its authorization server lacks an endpoint");
        }

        return root.Scheme == "https" || root.IsLoopback
            ? (new AuthorizationServer(root.AbsoluteUri, new Uri(root, "/authorize"), new Uri(root, "/token"), new Uri(root, "/register"), Resource: null, []), "")
            : (null, "it has no metadata, and is not reached over https");
    }

    /// <returns>A document; or neither, where the server says that there is none; or why that is not known.</returns>
    private async Task<(JsonElement? Document, string? WhyNot)> ReadAsync(Uri address, Uri? namedBy, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        request.Headers.TryAddWithoutValidation("Accept", "application/json");
        request.Headers.TryAddWithoutValidation("MCP-Protocol-Version", "2025-11-25");
        var (status, body, fault) = await http.AskAsync(request, Patience, namedBy, cancel);
        if (fault is not null || status != HttpStatusCode.OK)
        {
            return (null, fault ?? (IsNone(status) ? null : $"HTTP {(int)status}"));
        }

        try
        {
            using var document = JsonDocument.Parse(body);
            return document.RootElement.ValueKind == JsonValueKind.Object ? (document.RootElement.Clone(), null) : (null, "it is no JSON object");
        }
        catch (JsonException)
        {
            return (null, "it is not JSON");
        }
    }

    /// <summary>Servers that have a guard before all paths answer 401 or 403 where others have nothing, and those that know no GET 405.</summary>
    private static bool IsNone(HttpStatusCode status) =>
        status is HttpStatusCode.NotFound or HttpStatusCode.Gone or HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden or HttpStatusCode.MethodNotAllowed;
}
