using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.WebUtilities;

namespace Mooring.Tests.Upstreams;

/// <summary>
/// An authorization server, and the metadata of the MCP server that it gives tokens for: registers clients, lets everybody pass who comes with
/// PKCE, and gives tokens for codes and refresh tokens.
/// </summary>
internal sealed class FakeAuthorizationServer : HttpMessageHandler
{
    private readonly ConcurrentDictionary<string, Dictionary<string, string>> _codes = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<HttpRequestMessage> _requests = new();
    private readonly ConcurrentDictionary<string, bool> _forgotten = new(StringComparer.Ordinal);
    private int _tokens;
    private int _registrations;

    /// <summary>The MCP server's metadata; null: it has none.</summary>
    public JsonObject? Resource { get; set; } = new()
    {
        ["resource"] = "http://one.test/mcp",
        ["authorization_servers"] = new JsonArray("https://as.test"),
        ["scopes_supported"] = new JsonArray("read"),
    };

    /// <summary>Where the MCP server is.</summary>
    public string Root { get; set; } = "http://one.test";

    public JsonObject Metadata { get; } = new()
    {
        ["issuer"] = "https://as.test",
        ["authorization_endpoint"] = "https://as.test/authorize",
        ["token_endpoint"] = "https://as.test/token",
        ["registration_endpoint"] = "https://as.test/register",
        ["code_challenge_methods_supported"] = new JsonArray("S256"),
        ["token_endpoint_auth_methods_supported"] = new JsonArray("client_secret_basic", "none"),
    };

    /// <summary>Everything that came, in order.</summary>
    public IReadOnlyList<string> Requests => [.. _requests.Select(r => $"{r.Method} {r.RequestUri!.GetLeftPart(UriPartial.Path)}")];

    /// <summary>The last form at the token endpoint.</summary>
    public IReadOnlyDictionary<string, string> Form { get; private set; } = new Dictionary<string, string>();

    public string? Authorization { get; private set; }

    public JsonObject? Registered { get; private set; }

    /// <summary>What it says of the end of the secrets that it gives; null: nothing.</summary>
    public long? SecretEnds { get; set; }

    /// <summary>What it says that a token allows; null: nothing, so it is what was asked for.</summary>
    public string? Granted { get; set; }

    /// <summary>As one that was set up anew: it knows none of those that are registered so far.</summary>
    public void Forget()
    {
        for (var n = 1; n <= _registrations; n++)
        {
            _forgotten[ClientOf(n)] = true;
        }
    }

    public bool IsAway { get; set; }

    /// <summary>Answers of its own to some addresses.</summary>
    public ConcurrentDictionary<string, Func<HttpResponseMessage>> Answers { get; } = new(StringComparer.Ordinal);

    /// <summary>What is answered where there is nothing.</summary>
    public HttpStatusCode Otherwise { get; set; } = HttpStatusCode.NotFound;

    /// <summary>A person who allows it: where the browser goes from the authorization request.</summary>
    public Uri Allow(Uri request, string? issuer = null)
    {
        var query = QueryHelpers.ParseQuery(request.Query).ToDictionary(pair => pair.Key, pair => pair.Value.ToString());
        var code = $"code-{_codes.Count + 1}";
        _codes[code] = query;
        return new Uri($"{query["redirect_uri"]}?code={code}&state={Uri.EscapeDataString(query["state"])}{(issuer is null ? "" : $"&iss={Uri.EscapeDataString(issuer)}")}");
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        _requests.Enqueue(request);
        if (IsAway)
        {
            throw new HttpRequestException(HttpRequestError.ConnectionError);
        }

        var body = request.Content is null ? "" : await request.Content.ReadAsStringAsync(cancellationToken);
        if (Answers.TryGetValue(request.RequestUri!.AbsoluteUri, out var answer))
        {
            return answer();
        }

        switch (request.RequestUri!.AbsoluteUri)
        {
            case var address when address == Root + "/.well-known/oauth-protected-resource/mcp" && Resource is not null:
                return Json(HttpStatusCode.OK, Resource);
            case "https://as.test/.well-known/oauth-authorization-server":
                return Json(HttpStatusCode.OK, Metadata);
            case "https://as.test/register":
                Registered = JsonNode.Parse(body)!.AsObject();
                var given = new JsonObject { ["client_id"] = ClientOf(++_registrations), ["client_secret"] = "hush", ["token_endpoint_auth_method"] = "client_secret_basic" };
                if (SecretEnds is { } end)
                {
                    given["client_secret_expires_at"] = end;
                }

                return Json(HttpStatusCode.Created, given);
            case "https://as.test/token" or "https://acme.test/token":
                Form = QueryHelpers.ParseQuery(body).ToDictionary(pair => pair.Key, pair => pair.Value.ToString());
                Authorization = request.Headers.Authorization?.ToString();
                return Token();
            default:
                return new HttpResponseMessage(Otherwise);
        }
    }

    private static string ClientOf(int registration) => registration == 1 ? "registered" : $"registered-{registration}";

    private HttpResponseMessage Token()
    {
        if (Authorization is { } basic && _forgotten.ContainsKey(Encoding.UTF8.GetString(Convert.FromBase64String(basic["Basic ".Length..])).Split(':')[0]))
        {
            return Json(HttpStatusCode.Unauthorized, new JsonObject { ["error"] = "invalid_client" });
        }

        if (Form["grant_type"] == "authorization_code"
            && !(_codes.TryRemove(Form["code"], out var asked) && asked["redirect_uri"] == Form["redirect_uri"] && asked["code_challenge_method"] == "S256"
                && asked["code_challenge"] == WebEncoders.Base64UrlEncode(SHA256.HashData(Encoding.ASCII.GetBytes(Form["code_verifier"])))))
        {
            return Json(HttpStatusCode.BadRequest, new JsonObject { ["error"] = "invalid_grant" });
        }

        var given = new JsonObject { ["access_token"] = $"token-{++_tokens}", ["refresh_token"] = "again", ["expires_in"] = 3600, ["token_type"] = "Bearer" };
        if (Granted is { } granted)
        {
            given["scope"] = granted;
        }

        return Json(HttpStatusCode.OK, given);
    }

    public static HttpResponseMessage Json(HttpStatusCode status, JsonObject body) =>
        new(status) { Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json") };
}
