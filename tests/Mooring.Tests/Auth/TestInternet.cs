using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using System.Web;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Mooring.Tests.Auth;

/// <summary>Everybody else that is asked about who may come in, without sockets: documents by their address, and parties that answer by themselves.</summary>
internal sealed class TestInternet : HttpMessageHandler
{
    private readonly ConcurrentDictionary<string, Func<HttpRequestMessage, string, HttpResponseMessage>> _places = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _asked = new();

    /// <summary>Whether nobody can be reached.</summary>
    public bool IsAway { get; set; }

    /// <summary>Addresses that were asked, in order.</summary>
    public IReadOnlyList<string> Asked => [.. _asked];

    public int Times(string url) => _asked.Count(one => one == url);

    public void Serve(string url, JsonNode document, TimeSpan? maxAge = null) => Serve(url, (_, _) =>
    {
        var response = Json(document);
        if (maxAge is { } age)
        {
            response.Headers.CacheControl = new CacheControlHeaderValue { MaxAge = age };
        }

        return response;
    });

    public void Serve(string url, Func<HttpRequestMessage, string, HttpResponseMessage> answer) => _places[url] = answer;

    public static HttpResponseMessage Json(JsonNode document, HttpStatusCode status = HttpStatusCode.OK) =>
        new(status) { Content = new StringContent(document.ToJsonString(), Encoding.UTF8, "application/json") };

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var url = request.RequestUri!.GetLeftPart(UriPartial.Path);
        _asked.Enqueue(url);
        var body = request.Content is null ? "" : await request.Content.ReadAsStringAsync(cancellationToken);
        await Task.Yield();
        return IsAway ? throw new HttpRequestException("no route to host")
            : _places.TryGetValue(url, out var place) ? place(request, body)
            : new HttpResponseMessage(HttpStatusCode.NotFound);
    }
}

/// <summary>An issuer with a key: makes tokens, and serves what is needed to verify them.</summary>
internal sealed class TestIssuer
{
    private readonly TestInternet _internet;
    private readonly JsonWebTokenHandler _handler = new() { SetDefaultTimesOnTokenCreation = false };
    private RsaSecurityKey _key = NewKey("k1");

    public TestIssuer(TestInternet internet, string name = "https://login.example.com", bool isOpenId = false)
    {
        (_internet, Name) = (internet, name);
        var document = new JsonObject { ["issuer"] = name, ["jwks_uri"] = name + "/jwks" };
        if (isOpenId)
        {
            document["authorization_endpoint"] = name + "/authorize";
            document["token_endpoint"] = name + "/token";
            document["userinfo_endpoint"] = name + "/userinfo";
        }

        internet.Serve(name + "/.well-known/openid-configuration", document);
        Publish();
    }

    public string Name { get; }

    public string Jwks => Name + "/jwks";

    /// <summary>From now on it signs with another key; whether that is published is another matter.</summary>
    public void Rotate(string id, bool publish = true)
    {
        _key = NewKey(id);
        if (publish)
        {
            Publish();
        }
    }

    public void Publish() => _internet.Serve(Jwks, KeySet());

    /// <summary>A token with these claims, made at a time; null takes a claim away.</summary>
    public string Sign(DateTimeOffset now, string algorithm = SecurityAlgorithms.RsaSha256, string? type = null, params (string Name, object? Value)[] claims)
    {
        var all = new Dictionary<string, object>(StringComparer.Ordinal)
        {
            ["iss"] = Name,
            ["sub"] = "ann",
            ["aud"] = "https://mcp.example.com/servers/one/mcp",
            ["iat"] = now.ToUnixTimeSeconds(),
            ["exp"] = now.AddHours(1).ToUnixTimeSeconds(),
        };
        foreach (var (name, value) in claims)
        {
            if (value is null)
            {
                all.Remove(name);
            }
            else
            {
                all[name] = value;
            }
        }

        SigningCredentials? credentials = algorithm switch
        {
            "none" => null,
            // The trick: the public key taken for a shared secret.
            SecurityAlgorithms.HmacSha256 => new SigningCredentials(new SymmetricSecurityKey(Encoding.UTF8.GetBytes(KeySet().ToJsonString())) { KeyId = _key.KeyId }, algorithm),
            _ => new SigningCredentials(_key, algorithm),
        };
        var descriptor = new SecurityTokenDescriptor { Claims = all, SigningCredentials = credentials };
        if (type is not null)
        {
            descriptor.TokenType = type;
        }

        return _handler.CreateToken(descriptor);
    }

    public JsonObject KeySet()
    {
        var parameters = _key.Rsa.ExportParameters(includePrivateParameters: false);
        return new JsonObject
        {
            ["keys"] = new JsonArray(new JsonObject
            {
                ["kty"] = "RSA",
                ["use"] = "sig",
                ["kid"] = _key.KeyId,
                ["n"] = Base64UrlEncoder.Encode(parameters.Modulus),
                ["e"] = Base64UrlEncoder.Encode(parameters.Exponent),
            }),
        };
    }

    private static RsaSecurityKey NewKey(string id) => new(RSA.Create(2048)) { KeyId = id };
}

/// <summary>A provider where whoever comes is signed in at once.</summary>
internal sealed class TestProvider
{
    private readonly ConcurrentDictionary<string, (string Nonce, string Challenge)> _codes = new(StringComparer.Ordinal);

    public TestProvider(TestInternet internet, FakeClock clock, string name)
    {
        Issuer = new TestIssuer(internet, name, isOpenId: true);
        internet.Serve(name + "/token", (request, body) =>
        {
            var form = HttpUtility.ParseQueryString(body);
            Basic = request.Headers.Authorization?.Parameter;
            return _codes.TryRemove(form["code"] ?? "", out var given)
                && given.Challenge == Base64UrlEncoder.Encode(SHA256.HashData(Encoding.ASCII.GetBytes(form["code_verifier"] ?? "")))
                ? TestInternet.Json(new JsonObject
                {
                    ["access_token"] = "at",
                    ["id_token"] = Issuer.Sign(clock.GetUtcNow(), claims: [("aud", "gateway"), ("nonce", Nonce ?? given.Nonce), ("sub", "u-1"), .. Claims]),
                })
                : TestInternet.Json(new JsonObject { ["error"] = "invalid_grant" }, HttpStatusCode.BadRequest);
        });
    }

    public TestIssuer Issuer { get; }

    /// <summary>What it says of the person.</summary>
    public (string Name, object? Value)[] Claims { get; set; } = [("email", "ann@example.com"), ("email_verified", true), ("name", "Ann")];

    /// <summary>Another nonce than it was given.</summary>
    public string? Nonce { get; set; }

    /// <summary>How the gateway said who it is.</summary>
    public string? Basic { get; private set; }

    /// <summary>What its page does: signs somebody in and sends the browser back.</summary>
    public string Answer(string authorizeUrl)
    {
        var query = HttpUtility.ParseQueryString(new Uri(authorizeUrl).Query);
        var code = Convert.ToHexString(RandomNumberGenerator.GetBytes(8));
        _codes[code] = (query["nonce"]!, query["code_challenge"]!);
        return $"{query["redirect_uri"]}?code={code}&state={Uri.EscapeDataString(query["state"]!)}";
    }
}
