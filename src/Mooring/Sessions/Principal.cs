using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features.Authentication;
using Mooring.Auth;

namespace Mooring.Sessions;

/// <summary>
/// Who makes a request: issuer and subject of the identity at hand, never a token (a refreshed token is the same person).
/// Without authentication everybody is the same anonymous one.
/// </summary>
internal readonly record struct Principal(string Issuer, string Subject)
{
    public static readonly Principal Anonymous = new("", "");

    /// <summary>Stands for it where its name is nobody's business.</summary>
    public string Hash() => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{Issuer}\n{Subject}")));

    /// <summary>Reads the identity that authentication, the host's or the gateway's own, put on the request.</summary>
    public static Principal Of(HttpContext context)
    {
        // Asked of the feature first: the property would make an identity of nobody.
        if (context.Features.Get<IHttpAuthenticationFeature>()?.User is not { Identity.IsAuthenticated: true } user)
        {
            return Anonymous;
        }

        if (user is Caller caller)
        {
            return new Principal(caller.Person.Issuer, caller.Person.Subject);
        }

        var claim = user.FindFirst("sub") ?? user.FindFirst(ClaimTypes.NameIdentifier);
        return claim is null
            ? new Principal(ClaimsIdentity.DefaultIssuer, user.Identity.Name ?? "")
            : new Principal(claim.Issuer, claim.Value);
    }
}
