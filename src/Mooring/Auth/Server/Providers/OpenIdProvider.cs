using System.Text;
using System.Text.Json.Nodes;
using Microsoft.IdentityModel.JsonWebTokens;
using Mooring.Auth.Issuers;
using Mooring.Configuration;
using Mooring.Telemetry;

namespace Mooring.Auth.Server.Providers;

/// <summary>Any provider that speaks OpenID Connect, and Google, which has an organization (<c>hd</c>) where others have a domain.</summary>
internal sealed class OpenIdProvider(string name, SignInProviderConfig config, RemoteIssuer issuer, AuthHttp http, TimeProvider time, bool isGoogle) : IdentityProvider(name, config)
{
    public const string Google = "https://accounts.google.com";

    private static readonly TimeSpan ClockSkew = TimeSpan.FromMinutes(1);
    private static readonly string[] Algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"];

    private readonly JsonWebTokenHandler _handler = new() { MapInboundClaims = false };

    public override string Issuer => issuer.Name;

    public override async ValueTask<string?> AddressAsync(SignInVisit visit)
    {
        if ((await issuer.DocumentAsync())?["authorization_endpoint"] is not JsonValue endpoint)
        {
            return null;
        }

        List<(string, string)> parameters =
        [
            ("response_type", "code"), ("client_id", Config.ClientId), ("redirect_uri", visit.RedirectUri), ("scope", string.Join(' ', new[] { "openid", "email", "profile" }.Concat(Config.Scopes).Distinct())),
            ("state", visit.State), ("nonce", visit.Nonce), ("code_challenge", ChallengeOf(visit.Verifier)), ("code_challenge_method", "S256"),
        ];
        if (isGoogle && Config.Domains.Count > 0)
        {
            // Only for its page to offer the right accounts; what counts is what the token says.
            parameters.Add(("hd", Config.Domains.Count == 1 ? Config.Domains[0] : "*"));
        }

        if (visit.Asks is { } asks)
        {
            // Google knows no other.
            parameters.Add(("prompt", isGoogle ? SignInVisit.SelectAccount : asks));
            if (asks == SignInVisit.Login && !isGoogle)
            {
                // What it says of when the person proved who he is comes with this.
                parameters.Add(("max_age", "0"));
            }
        }

        return WithQuery(endpoint.GetValue<string>(), [.. parameters]);
    }

    public override async Task<PersonFound> PersonAsync(string code, SignInVisit visit, CancellationToken cancel)
    {
        if (await issuer.DocumentAsync() is not { } document || Address(document, "token_endpoint") is not { } endpoint)
        {
            return new PersonFound(null, $"{Title} cannot be reached just now. Try again in a moment.");
        }

        // :: 1 the code becomes an identity token
        var form = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["grant_type"] = "authorization_code",
            ["code"] = code,
            ["redirect_uri"] = visit.RedirectUri,
            ["client_id"] = Config.ClientId,
            ["code_verifier"] = visit.Verifier,
        };
        string? basic = null;
        if (Config.ClientSecret is { } secret)
        {
            if (document["token_endpoint_auth_methods_supported"] is JsonArray methods && methods.Any(method => (string?)method == "client_secret_post"))
            {
                form["client_secret"] = secret;
            }
            else
            {
                basic = Convert.ToBase64String(Encoding.UTF8.GetBytes($"{Uri.EscapeDataString(Config.ClientId)}:{Uri.EscapeDataString(secret)}"));
            }
        }

        var answer = await http.PostFormAsync(endpoint, form, cancel, basic);
        if (!answer.IsGood || Text(answer.Json!, "id_token") is not { } text)
        {
            return new PersonFound(null, $"{Title} did not take the code it gave ({WhyNot(answer, "no identity token")}).");
        }

        // :: 2 which is what it should be
        if (await ReadAsync(text) is not { } token || !token.TryGetPayloadValue<string>("nonce", out var nonce) || !Secret.Same(nonce, visit.Nonce) || token.Subject is not { Length: > 0 } subject)
        {
            return new PersonFound(null, $"What {Title} says of who you are is not valid.");
        }

        if (visit.Asks == SignInVisit.Login && token.TryGetPayloadValue<long>("auth_time", out var proved) && DateTimeOffset.FromUnixTimeSeconds(proved) < visit.Began - ClockSkew)
        {
            return new PersonFound(null, $"{Title} did not ask anew who you are. Sign in there again.");
        }

        // :: 3 of somebody who may come in
        return await JudgeAsync(token, subject, document, Text(answer.Json!, "access_token"), cancel);
    }

    public override bool StillVouches(Person person) => isGoogle ? person.Issuer == Issuer && IsOneOfOurs(person.Organization) : base.StillVouches(person);

    private bool IsOneOfOurs(string? organization) => Config.Domains.Count == 0 || Config.Domains.Contains(organization ?? "", StringComparer.OrdinalIgnoreCase);

    private async Task<JsonWebToken?> ReadAsync(string text)
    {
        if (!_handler.CanReadToken(text))
        {
            return null;
        }

        var keys = await issuer.KeysAsync(new JsonWebToken(text).Kid);
        var result = await _handler.ValidateTokenAsync(text, SignedTokens.Parameters(issuer.Name, [Config.ClientId], keys.All, Algorithms, ClockSkew, time));
        return result.IsValid ? (JsonWebToken)result.SecurityToken : null;
    }

    private async Task<PersonFound> JudgeAsync(JsonWebToken token, string subject, JsonObject document, string? access, CancellationToken cancel)
    {
        string? Text(string claim) => token.TryGetPayloadValue<string>(claim, out var value) && value.Length > 0 ? value : null;
        var isVerified = (token.TryGetPayloadValue<bool>("email_verified", out var verified) && verified) || Text("email_verified") == "true";
        var email = isVerified ? Text("email") : null;
        var called = Text("name") ?? Text("preferred_username");
        var groups = SignedTokens.Words(token, Config.GroupsClaim);
        var roles = SignedTokens.Words(token, Config.RolesClaim);
        if (isGoogle)
        {
            // An address can be anybody's with any ending; the organization is Google's own word.
            var organization = Text("hd");
            return IsOneOfOurs(organization)
                ? new PersonFound(new Person(Issuer, subject, called, email, groups, roles, organization))
                : new PersonFound(null, $"Your account is of no organization that may come in here ({string.Join(", ", Config.Domains)}). Choose another account.");
        }

        if ((email is null || groups.Count == 0 || roles.Count == 0) && access is not null && Address(document, "userinfo_endpoint") is { } endpoint
            && await http.GetAsync(endpoint, cancel, access) is { IsGood: true, Json: { } info } && (string?)info["sub"] == subject)
        {
            // Some providers keep their tokens small, and tell the rest there.
            email ??= IsTrue(info["email_verified"]) ? (string?)info["email"] : null;
            called ??= (string?)info["name"];
            groups = groups.Count == 0 ? Words(info[Config.GroupsClaim]) : groups;
            roles = roles.Count == 0 ? Words(info[Config.RolesClaim]) : roles;
        }

        return MayCome(email)
            ? new PersonFound(new Person(Issuer, subject, called, email, groups, roles))
            : new PersonFound(null, $"You have no verified address of a domain that may come in here ({string.Join(", ", Config.Domains)}). Choose another account.");
    }

    /// <summary>Some write the word as a text.</summary>
    private static bool IsTrue(JsonNode? claim) => claim is JsonValue value && (value.TryGetValue<bool>(out var flag) ? flag : value.TryGetValue<string>(out var text) && text == "true");

    private static IReadOnlyList<string> Words(JsonNode? claim) => claim is JsonArray list ? [.. list.OfType<JsonValue>().Select(one => one.ToString())] : [];

    private static Uri? Address(JsonObject document, string name) => Uri.TryCreate((string?)document[name], UriKind.Absolute, out var url) ? url : null;
}
