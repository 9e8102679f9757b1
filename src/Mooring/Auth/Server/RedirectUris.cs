using System.Text;

namespace Mooring.Auth.Server;

/// <summary>Where a code may be sent. A code that goes anywhere else is somebody else's way in.</summary>
internal static class RedirectUris
{
    public const int Longest = 2048;

    /// <summary>Whether a client may register an address at all: https anywhere, plain http to the person's own machine, and programs there that the configuration knows.</summary>
    /// <returns>Why not; null: it may.</returns>
    public static string? ProblemOf(string text, IReadOnlyList<string> schemes)
    {
        if (text.Length > Longest || !Uri.TryCreate(text, UriKind.Absolute, out var uri) || text.Any(c => char.IsControl(c) || char.IsWhiteSpace(c)))
        {
            return "is no absolute address";
        }

        if (!Ascii.IsValid(text))
        {
            // An answer names it in a header (RFC 3986, 2: other characters are written as percent-encoded octets).
            return "has letters other than those of ASCII; write them percent-encoded, and those of a host as xn--";
        }

        if (uri.Fragment.Length > 0 || text.Contains('#', StringComparison.Ordinal))
        {
            return "has a fragment";
        }

        if (uri.UserInfo.Length > 0)
        {
            return "has a user name in it";
        }

        return uri.Scheme switch
        {
            "https" => uri.Host.Length > 0 ? null : "names no host",
            "http" => IsLoopback(uri) ? null : "is plain http to another machine",
            _ => schemes.Contains(uri.Scheme, StringComparer.OrdinalIgnoreCase) ? null : $"has the scheme {uri.Scheme}, which is not among auth.oauth.redirectSchemes",
        };
    }

    /// <summary>
    /// Whether an address is one of those that were registered: to the letter, but for the port of one on the person's own machine, which a program gets
    /// from its system each time it starts (RFC 8252, 7.3).
    /// </summary>
    public static bool Matches(IReadOnlyList<string> registered, string asked, IReadOnlyList<string> schemes) =>
        ProblemOf(asked, schemes) is null && (registered.Contains(asked, StringComparer.Ordinal) || (Plain(asked) is { } plain && registered.Any(one => Plain(one) == plain)));

    /// <summary>Whether an answer stays on the person's own machine, with a program there; else it goes to a web site, which may be anybody's.</summary>
    public static bool IsOnThePersonsMachine(string redirectUri) => new Uri(redirectUri) is var uri && (uri.Scheme != "https" || IsLoopback(uri));

    /// <summary>What a person is shown of where an answer goes.</summary>
    public static string Shown(string redirectUri)
    {
        var uri = new Uri(redirectUri);
        return uri.Scheme is "http" or "https" ? (IsLoopback(uri) ? "a program on this computer" : uri.IdnHost) : $"the program that opens {uri.Scheme}: links";
    }

    /// <summary>An address as it may be written down: what follows a question mark is the client's own business.</summary>
    public static string Plainly(string redirectUri) => redirectUri.Split('?')[0];

    /// <summary>Where a form may lead, in the words of a content security policy: browsers hold it against the redirect that answers the form as well.</summary>
    public static string PolicySource(string redirectUri)
    {
        var uri = new Uri(redirectUri);
        return uri.Scheme is "http" or "https" && uri.HostNameType != UriHostNameType.IPv6 ? $"{uri.Scheme}://{uri.IdnHost}:{uri.Port}" : uri.Scheme + ":";
    }

    private static bool IsLoopback(Uri uri) => uri.Host is "localhost" or "127.0.0.1" or "[::1]";

    /// <summary>An address on the person's own machine without its port; null for any other.</summary>
    private static string? Plain(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme == "http" && IsLoopback(uri) ? $"http://{uri.Host}{uri.PathAndQuery}" : null;
}
