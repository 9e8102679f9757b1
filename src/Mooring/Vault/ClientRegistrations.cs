using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mooring.Configuration;
using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>
/// Who the gateway is at an authorization server: as the configuration says, by the address of a document about itself, or by a registration
/// (RFC 7591) that all replicas share. One that the server knows no longer, or whose secret ends, is made anew with the next link.
/// </summary>
internal sealed class ClientRegistrations(Credentials credentials, TokenRequests endpoint, VaultHttp http, TimeProvider time)
{
    /// <summary>In the place of a person: nobody's account, but the gateway's own.</summary>
    private const string Own = "mooring";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>A registration is not doubted for so long: a server that takes none would be registered at with each link.</summary>
    private static readonly TimeSpan JustMade = TimeSpan.FromMinutes(1);

    /// <summary>Whether it is a registration of the gateway, which lies where people's credentials do, and not somebody's account.</summary>
    public static bool IsOne(CredentialKey key) => key is { Issuer.Length: 0, Subject: Own };

    public async Task<(TokenClient? Client, string Why)> FindAsync(AuthorizationServer server, Uri namedBy, ServerAuthConfig config, Uri gateway, string redirectUri, CancellationToken cancel)
    {
        if (config.Issuer is { } meant && meant.TrimEnd('/') != server.Issuer.TrimEnd('/'))
        {
            return (null, "it names another authorization server than auth.issuer");
        }

        var tokens = server.TokenUrl.AbsoluteUri;
        if (config.ClientId is { } known)
        {
            return (new TokenClient(tokens, known, config.ClientSecret, server.Resource, config.ClientSecret is not null && Takes(server, "client_secret_basic")), "");
        }

        if (server.TakesClientDocuments && gateway.Scheme == "https")
        {
            return (new TokenClient(tokens, AccountLinks.PageOf(gateway, "client.json"), Resource: server.Resource), "");
        }

        // A registration belongs to the address that it was made for.
        var key = new CredentialKey("", Own, $"{server.Issuer} {redirectUri}");
        if (await credentials.FindAsync(key, cancel) is { Credential: { Client: { } registered } kept })
        {
            var client = registered with { Resource = server.Resource, TokenUrl = tokens };
            if (await IsGoodAsync(kept, client with { NamedBy = namedBy }, redirectUri, cancel))
            {
                return (client, "");
            }
        }

        if (server.RegisterUrl is null)
        {
            return (null, "the gateway is not registered at its authorization server, which lets nobody register; set auth.clientId");
        }

        var (made, ends, why) = await RegisterAsync(server, namedBy, redirectUri, cancel);
        if (made is not null)
        {
            await credentials.ReplaceAsync(key, new Credential { AccessToken = "", Received = time.GetUtcNow(), Expires = ends, Client = made }, cancel);
        }

        return (made, why);
    }

    /// <summary>What a client is that says where its description is (client id metadata documents).</summary>
    public static byte[] Document(Uri gateway, IEnumerable<string> redirectUris) => Encoding.UTF8.GetBytes(Describe(redirectUris, "none", new JsonObject
    {
        ["client_id"] = AccountLinks.PageOf(gateway, "client.json"),
        ["client_uri"] = gateway.AbsoluteUri,
    }).ToJsonString());

    private static bool Takes(AuthorizationServer server, string method) =>
        // Nothing said is client_secret_basic (RFC 8414, 2).
        server.AuthMethods.Count == 0 ? method == "client_secret_basic" : server.AuthMethods.Contains(method);

    private static JsonObject Describe(IEnumerable<string> redirectUris, string method, JsonObject document)
    {
        document["client_name"] = "Mooring";
        // A program on a server, whatever its addresses look like.
        document["application_type"] = "web";
        document["redirect_uris"] = new JsonArray([.. redirectUris.Select(uri => JsonValue.Create(uri))]);
        document["grant_types"] = new JsonArray("authorization_code", "refresh_token");
        document["response_types"] = new JsonArray("code");
        document["token_endpoint_auth_method"] = method;
        return document;
    }

    /// <summary>
    /// Whether the registration still counts. A server that forgot it would tell the person, whom nothing leads back from there; so it is asked before, for a code that
    /// nobody has: it says first who it does not know (RFC 6749, 5.2). Whatever else it answers, or none, says nothing against it.
    /// </summary>
    private async Task<bool> IsGoodAsync(Credential kept, TokenClient client, string redirectUri, CancellationToken cancel)
    {
        var now = time.GetUtcNow();
        if (kept.Expires <= now + AccountLinks.Patience)
        {
            // It has to last until the person is back.
            return false;
        }

        var nothing = AccountLinks.Random();
        return kept.Received + JustMade > now || (await endpoint.RedeemAsync(client, nothing, redirectUri, nothing, cancel)).Outcome != TokenOutcome.ClientRefused;
    }

    private async Task<(TokenClient? Client, DateTimeOffset? Ends, string Why)> RegisterAsync(AuthorizationServer server, Uri namedBy, string redirectUri, CancellationToken cancel)
    {
        var method = new[] { "client_secret_basic", "client_secret_post", "none" }.FirstOrDefault(m => Takes(server, m)) ?? "none";
        using var request = new HttpRequestMessage(HttpMethod.Post, server.RegisterUrl)
        {
            Content = new StringContent(Describe([redirectUri], method, []).ToJsonString(), Encoding.UTF8, "application/json"),
        };
        var (status, body, fault) = await http.AskAsync(request, Patience, namedBy, cancel);
        if (fault is not null || status is not (HttpStatusCode.OK or HttpStatusCode.Created))
        {
            return (null, null, $"its authorization server did not register the gateway ({fault ?? $"HTTP {(int)status}"}); set auth.clientId");
        }

        try
        {
            using var answer = JsonDocument.Parse(body);
            if (AuthorizationServer.Text(answer.RootElement, "client_id") is not { Length: > 0 } id)
            {
                return (null, null, "its authorization server registered the gateway without an id");
            }

            var secret = AuthorizationServer.Text(answer.RootElement, "client_secret");
            var uses = AuthorizationServer.Text(answer.RootElement, "token_endpoint_auth_method") ?? method;
            var client = new TokenClient(server.TokenUrl.AbsoluteUri, id, uses == "none" ? null : secret, server.Resource, uses == "client_secret_basic");
            return (client, client.ClientSecret is null ? null : EndOf(answer.RootElement), "");
        }
        catch (JsonException)
        {
            return (null, null, "its authorization server answered the registration with something that is not JSON");
        }
    }

    /// <summary>When its secret ends; null: never, which is written as 0 (RFC 7591, 3.2.1).</summary>
    private static DateTimeOffset? EndOf(JsonElement answer) =>
        answer.TryGetProperty("client_secret_expires_at", out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var seconds)
        && seconds > 0 && seconds < DateTimeOffset.MaxValue.ToUnixTimeSeconds()
            ? DateTimeOffset.FromUnixTimeSeconds(seconds)
            : null;
}
