using System.Text;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using Mooring.Audit;
using Mooring.Auth.Issuers;
using Mooring.Configuration;
using Mooring.Vault;

namespace Mooring.Auth;

/// <summary>Tokens that other issuers signed (RFC 7519, RFC 9068), verified here with the issuer's keys and without asking it.</summary>
internal sealed class SignedTokens(ConfigStore config, RemoteIssuers issuers, TimeProvider time) : ITokenVerifier
{
    /// <summary>What a header may say the token is. An identity token says the same as an access token often does, and is told by its audience.</summary>
    private static readonly string[] Types = ["JWT", "at+jwt", "application/at+jwt"];

    private readonly JsonWebTokenHandler _handler = new() { MapInboundClaims = false, MaximumTokenSizeInBytes = 16 * 1024 };
    private volatile Trusted? _trusted;

    /// <summary>The configuration and all keys known: with another key, or issuer, each token is looked at anew.</summary>
    public int Generation
    {
        get
        {
            var trusted = _trusted;
            if (trusted is null || !ReferenceEquals(trusted.Config, config.Current.Auth))
            {
                var auth = config.Current.Auth;
                _trusted = trusted = new Trusted(auth, [.. auth.Jwt.Select(one => issuers.Of(one.Issuer, one.Jwks))], trusted is null ? 0 : trusted.Number + 1);
            }

            var sum = trusted.Number;
            foreach (var issuer in trusted.Issuers)
            {
                sum = unchecked((sum * 31) + issuer.Generation);
            }

            return sum & int.MaxValue;
        }
    }

    public bool Takes(string token) => config.Current.Auth.Has(AuthMode.Jwt) && token.Count(c => c == '.') == 2;

    /// <summary>A reload is another <see cref="Generation"/>.</summary>
    public bool Allows(Caller caller) => true;

    /// <summary>Known tokens never ask for keys, so one whose key was withdrawn would work until it ends: with other keys there is another <see cref="Generation"/>.</summary>
    public void Remembered(IReadOnlySet<string> names)
    {
        foreach (var issuer in config.Current.Auth.Jwt.Where(one => names.Contains(one.Issuer)))
        {
            issuers.Of(issuer.Issuer, issuer.Jwks).LookIfOld();
        }
    }

    public bool CanTell(string token)
    {
        var auth = config.Current.Auth;
        return !_handler.CanReadToken(token) || Read(token) is not { } read || auth.Jwt.FirstOrDefault(one => one.Issuer == read.Issuer) is not { } issuer
            || issuers.Of(issuer.Issuer, issuer.Jwks).LookFor(read.Kid);
    }

    public async ValueTask<(Caller? Caller, TokenFound Found)> VerifyAsync(string token, CancellationToken cancel)
    {
        var auth = config.Current.Auth;
        if (!_handler.CanReadToken(token) || Read(token) is not { } read || auth.Jwt.FirstOrDefault(one => one.Issuer == read.Issuer) is not { } issuer)
        {
            return (null, TokenFound.Unknown);
        }

        var keys = await issuers.Of(issuer.Issuer, issuer.Jwks).KeysAsync(read.Kid);
        if (keys.All.Count > 0 && await _handler.ValidateTokenAsync(token, ParametersFor(issuer, keys.All)) is { IsValid: true, SecurityToken: JsonWebToken { Subject: { Length: > 0 } subject } good })
        {
            return (CallerOf(good, subject, issuer, auth), TokenFound.Good);
        }

        // A key that is not among those of an issuer signs nothing, unless the issuer has it since it was asked: that cannot be so of a token that is older than its answer.
        var isSettled = keys.HasIt || (keys.All.Count > 0 && read.IssuedAt <= keys.At.UtcDateTime) || read.IssuedAt > time.GetUtcNow().UtcDateTime + issuer.ClockSkew;
        return (null, isSettled || !await MayBeGoodAsync(read, token, issuer) ? TokenFound.Unknown : keys.All.Count == 0 || keys.IsAway ? TokenFound.KeysAway : TokenFound.KeysOlder);
    }

    /// <summary>Whether all is well with a token but for what its issuer's keys would say of it.</summary>
    private async Task<bool> MayBeGoodAsync(JsonWebToken read, string token, JwtIssuerConfig issuer)
    {
        var parameters = ParametersFor(issuer, []);
        (parameters.RequireSignedTokens, parameters.ValidateIssuerSigningKey) = (false, false);
        parameters.SignatureValidator = (_, _) => read;
        return read.Subject is { Length: > 0 } && issuer.Algorithms.Contains(read.Alg, StringComparer.Ordinal) && (await _handler.ValidateTokenAsync(token, parameters)).IsValid;
    }

    /// <summary>What is checked of any signed token, also of the identity tokens of providers.</summary>
    internal static TokenValidationParameters Parameters(string issuer, IEnumerable<string> audiences, IReadOnlyList<SecurityKey> keys, IReadOnlyList<string> algorithms, TimeSpan skew, TimeProvider time) => new()
    {
        ValidIssuer = issuer,
        ValidAudiences = audiences,
        IssuerSigningKeys = keys,
        ValidAlgorithms = algorithms,
        RequireSignedTokens = true,
        RequireExpirationTime = true,
        ValidateIssuerSigningKey = true,
        TryAllIssuerSigningKeys = true,
        // By the gateway's clock, not by the library's own.
        LifetimeValidator = (from, until, _, _) =>
        {
            var now = time.GetUtcNow().UtcDateTime;
            return until is { } end && end + skew > now && (from is not { } begin || begin - skew <= now);
        },
    };

    private TokenValidationParameters ParametersFor(JwtIssuerConfig issuer, IReadOnlyList<SecurityKey> keys)
    {
        var parameters = Parameters(issuer.Issuer, [], keys, issuer.Algorithms, issuer.ClockSkew, time);
        parameters.ValidTypes = null;
        parameters.TypeValidator = (type, _, _) => string.IsNullOrEmpty(type) || Types.Contains(type, StringComparer.OrdinalIgnoreCase)
            ? type
            : throw new SecurityTokenInvalidTypeException($"{type} is no access token");
        parameters.AudienceValidator = (audiences, _, _) => PathsOf(issuer, audiences) is not { Count: 0 };
        return parameters;
    }

    private Caller CallerOf(JsonWebToken token, string subject, JwtIssuerConfig issuer, AuthConfig auth)
    {
        var email = token.TryGetPayloadValue<bool>("email_verified", out var verified) && verified ? Text(token, "email") : null;
        var person = new Person(issuer.Issuer, subject, Text(token, "name") ?? Text(token, "preferred_username"), email, Words(token, issuer.GroupsClaim), Words(token, issuer.RolesClaim));
        var theirs = Words(token, "scope").Concat(Words(token, "scp")).SelectMany(words => Scopes.Parse(words)).ToList();
        List<string> scopes = [];
        if (issuer.RequiredScope is null || theirs.Contains(issuer.RequiredScope, StringComparer.Ordinal))
        {
            scopes.Add(Scopes.Use);
        }

        if (Scopes.IsAdmin(auth, person) || (issuer.AdminScope is { } admin && theirs.Contains(admin, StringComparer.Ordinal)))
        {
            scopes.Add(Scopes.Admin);
        }

        var expires = new DateTimeOffset(token.ValidTo, TimeSpan.Zero);
        return new Caller(person, scopes, expires + issuer.ClockSkew, PathsOf(issuer, token.Audiences)) { Shown = new SubjectToken(token.EncodedToken, expires), Credential = CredentialOf(token) };
    }

    /// <summary>What the issuer knows the token by, hashed, or else the client that it was given to (RFC 9068, 2.2; OpenID Connect has <c>azp</c> for that).</summary>
    private static string CredentialOf(JsonWebToken token) =>
        Text(token, "jti") is { } id ? $"signed_token:{AuditEntry.HashOf(Encoding.UTF8.GetBytes(id))[..16]}"
        : (Text(token, "client_id") ?? Text(token, "azp")) is { } client ? $"signed_token of {client}"
        : "signed_token";

    /// <summary>The paths an audience stands for; null: all, empty: none.</summary>
    private IReadOnlyList<string>? PathsOf(JwtIssuerConfig issuer, IEnumerable<string> audiences)
    {
        if (issuer.Audience.Count > 0)
        {
            return audiences.Any(one => issuer.Audience.Contains(one, StringComparer.Ordinal)) ? null : [];
        }

        var own = config.Current.PublicUrl is { } url ? PublicAddress.Of(url) : null;
        var paths = own is null ? [] : audiences.Select(one => PublicAddress.PathOf(own, one)).OfType<string>().ToList();
        return paths.Contains("") ? null : paths;
    }

    private static JsonWebToken? Read(string token)
    {
        try
        {
            return new JsonWebToken(token);
        }
        catch (Exception e) when (e is ArgumentException or SecurityTokenException)
        {
            return null;
        }
    }

    private static string? Text(JsonWebToken token, string claim) => token.TryGetPayloadValue<string>(claim, out var text) && text.Length > 0 ? text : null;

    /// <summary>A claim that is a list, or one word.</summary>
    internal static IReadOnlyList<string> Words(JsonWebToken token, string claim) => [.. token.Claims.Where(one => one.Type == claim).Select(one => one.Value)];

    /// <summary>The issuers of one configuration.</summary>
    private sealed record Trusted(AuthConfig Config, RemoteIssuer[] Issuers, int Number);
}
