using System.Security.Claims;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features.Authentication;

namespace Mooring.Auth;

/// <summary>Somebody, as whoever vouches for them says.</summary>
/// <param name="Issuer">Who vouches: an issuer's address, or a word of the gateway's own.</param>
/// <param name="Subject">Which of the issuer's people; never changes for one of them.</param>
/// <param name="Name">For people to read.</param>
/// <param name="Email">Only where the issuer says that it is verified.</param>
/// <param name="Groups">As the issuer names them.</param>
/// <param name="Roles">As the issuer names them.</param>
/// <param name="Organization">The organization whose account it is, where the issuer says so (Google's <c>hd</c>).</param>
internal sealed record Person(
    string Issuer, string Subject, string? Name = null, string? Email = null, IReadOnlyList<string>? Groups = null, IReadOnlyList<string>? Roles = null, string? Organization = null)
{
    /// <summary>Whoever comes where nobody is asked who they are.</summary>
    public static readonly Person Nobody = new("", "");

    /// <summary>The issuer of API keys: whoever makes them says whose they are.</summary>
    public const string OfApiKeys = "mooring:key";

    /// <summary>The issuer of people that stand in the configuration.</summary>
    public const string OfConfiguration = "mooring:user";

    /// <summary>What they are called where one of them is shown.</summary>
    public string Shown => Email ?? Name ?? Subject;

    /// <summary>Who it is, however described.</summary>
    public (string Issuer, string Subject) Key => (Issuer, Subject);

    /// <summary>Groups and roles as one text: a person's tokens may differ in them.</summary>
    public string Standing => Groups is null or { Count: 0 } && Roles is null or { Count: 0 }
        ? ""
        : string.Join('\n', (Groups ?? []).Order(StringComparer.Ordinal)) + "\n\n" + string.Join('\n', (Roles ?? []).Order(StringComparer.Ordinal));

    /// <summary>Whether somebody who steers the gateway means this one. A subject alone names nobody of another issuer: each has its own.</summary>
    public bool IsCalled(string name) =>
        (Issuer is OfConfiguration or OfApiKeys && name == Subject)
        || IsNamedInFull(name)
        // What the configuration says of its own people nobody has verified, and it names them anyway.
        || (Email is not null && Issuer != OfConfiguration && string.Equals(name, Email, StringComparison.OrdinalIgnoreCase));

    /// <summary>Whether a name says who vouches, and for whom: <c>issuer#subject</c>, or <c>issuer#address</c> where that issuer says that the address is verified.</summary>
    public bool IsNamedInFull(string name) =>
        name == $"{Issuer}#{Subject}"
        || (Email is not null && Issuer != OfConfiguration && name.StartsWith($"{Issuer}#", StringComparison.Ordinal) && name.AsSpan(Issuer.Length + 1).Equals(Email, StringComparison.OrdinalIgnoreCase));

    /// <summary>Whether it is the same one, described alike.</summary>
    public bool IsAs(Person other) => Standing == other.Standing && this with { Groups = null, Roles = null } == other with { Groups = null, Roles = null };

    /// <summary>The identity that authentication, the host's or the gateway's own, put on the request.</summary>
    public static Person Of(HttpContext context)
    {
        // Asked of the feature first: the property would make an identity of nobody.
        if (context.Features.Get<IHttpAuthenticationFeature>()?.User is not { Identity.IsAuthenticated: true } user)
        {
            return Nobody;
        }

        return user is Caller caller ? caller.Person : Of(user);
    }

    /// <summary>Somebody whom an application around the gateway knows.</summary>
    private static Person Of(ClaimsPrincipal user)
    {
        var claim = user.FindFirst("sub") ?? user.FindFirst(ClaimTypes.NameIdentifier);
        IReadOnlyList<string> Words(params string[] types) => [.. user.Claims.Where(one => types.Contains(one.Type, StringComparer.Ordinal)).Select(one => one.Value).Distinct(StringComparer.Ordinal)];
        return new Person(claim?.Issuer ?? ClaimsIdentity.DefaultIssuer, claim?.Value ?? user.Identity!.Name ?? "", user.Identity!.Name, null, Words("groups"), Words("roles", "role", ClaimTypes.Role));
    }
}
