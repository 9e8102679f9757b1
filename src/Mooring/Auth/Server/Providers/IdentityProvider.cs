using System.Text.Json.Nodes;
using Mooring.Auth.Issuers;
using Mooring.Configuration;
using Mooring.Telemetry;

namespace Mooring.Auth.Server.Providers;

/// <summary>What a visit to a provider takes along.</summary>
/// <param name="State">Comes back as it was.</param>
/// <param name="Verifier">The gateway's own PKCE at the provider.</param>
/// <param name="Nonce">Comes back in the identity token.</param>
/// <param name="RedirectUri">Where the provider sends back to.</param>
internal sealed record SignInVisit(string State, string Verifier, string Nonce, string RedirectUri)
{
    /// <summary>Value of <see cref="Asks"/>: the person has to prove anew who he is.</summary>
    public const string Login = "login";

    /// <summary>Value of <see cref="Asks"/>: he has to choose which of his accounts it is.</summary>
    public const string SelectAccount = "select_account";

    /// <summary>What the provider is to ask, although it may know the person by itself (OpenID Connect Core, 3.1.2.1, <c>prompt</c>); null: nothing.</summary>
    public string? Asks { get; init; }

    /// <summary>When the person was sent there.</summary>
    public DateTimeOffset Began { get; init; }

    /// <param name="state">Stands in addresses, and with the code in the one that comes back.</param>
    /// <param name="secret">Stands in none: whoever reads an address must not be able to make the rest from it.</param>
    /// <param name="redirectUri">As above.</param>
    public static SignInVisit Of(string state, string secret, string redirectUri) => new(state, Secret.Derived(secret, "verifier"), Secret.Derived(secret, "nonce"), redirectUri);
}

/// <summary>Who somebody is, or why it is not known: words for that very person, and nothing secret in them.</summary>
internal sealed record PersonFound(Person? Person, string? Problem = null);

/// <summary>Where people sign in who are not known here. Asked only when somebody wants to sign in: nothing else waits for it.</summary>
internal abstract class IdentityProvider(string name, SignInProviderConfig config)
{
    public string Name => name;

    public string Title => config.Title ?? name;

    public Uri? RedirectUri => config.RedirectUri;

    protected SignInProviderConfig Config => config;

    /// <summary>Who vouches for its people.</summary>
    public abstract string Issuer { get; }

    /// <summary>Whether it is the one that an answer says it is from (RFC 9207).</summary>
    public bool IsIssuer(string issuer) => issuer == Issuer;

    /// <summary>Where to send the person; null where the provider cannot be asked about that just now.</summary>
    public abstract ValueTask<string?> AddressAsync(SignInVisit visit);

    /// <summary>Who came back with a code.</summary>
    public abstract Task<PersonFound> PersonAsync(string code, SignInVisit visit, CancellationToken cancel);

    /// <summary>Whether it would still let in a person whom it let in before, as far as the configuration can tell.</summary>
    public virtual bool StillVouches(Person person) => person.Issuer == Issuer && MayCome(person.Email);

    /// <summary>Whether an address is of one of the domains whose people may come in.</summary>
    protected bool MayCome(string? email) =>
        config.Domains.Count == 0 || (email is not null && config.Domains.Contains(email[(email.LastIndexOf('@') + 1)..], StringComparer.OrdinalIgnoreCase));

    /// <summary>Why no token came, for a page: what was sent may stand in an answer, and is not repeated.</summary>
    protected static string WhyNot(RemoteAnswer answer, string otherwise) =>
        answer.Json?["error"] is { } error ? OAuthText.Word(error is JsonValue value && value.TryGetValue<string>(out var word) ? word : "") : answer.Problem ?? otherwise;

    protected static string? Text(JsonObject answer, string name) => answer[name] is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    protected static string WithQuery(string address, params (string Name, string Value)[] parameters) =>
        address + (address.Contains('?', StringComparison.Ordinal) ? "&" : "?") + string.Join('&', parameters.Select(pair => $"{pair.Name}={Uri.EscapeDataString(pair.Value)}"));

    protected static string ChallengeOf(string verifier) =>
        System.Buffers.Text.Base64Url.EncodeToString(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.ASCII.GetBytes(verifier)));
}
