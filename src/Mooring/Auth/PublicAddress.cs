using Microsoft.AspNetCore.Http;
using Mooring.Configuration;

namespace Mooring.Auth;

/// <summary>What clients know the gateway by: the issuer of its tokens, and the resources that tokens are for (RFC 8707).</summary>
internal sealed class PublicAddress(ConfigStore config)
{
    private const string Admin = "/admin/api";

    /// <summary>What the address of a page has behind its question mark once its reader was led to it from under another name.</summary>
    private const string WasLed = "led";

    /// <summary>
    /// Without a slash at its end. Without <c>publicUrl</c> it is the name the request came by, which was checked; what proxies claim was believed
    /// before, if they are trusted, and is not looked at here.
    /// </summary>
    public string Of(HttpContext context) => config.Current.PublicUrl is { } url
        ? Of(url)
        : $"{context.Request.Scheme}://{context.Request.Host.Value!.ToLowerInvariant()}{context.Request.PathBase.Value}";

    /// <inheritdoc cref="Of(HttpContext)"/>
    public static string Of(Uri publicUrl) => publicUrl.GetLeftPart(UriPartial.Path).TrimEnd('/');

    /// <summary>
    /// What goes with each answer that a browser may show: it is what it says it is, and where the gateway is known by https it is asked by nothing else
    /// for a year (RFC 6797). Not under a name of the own machine, by which whatever else runs there is known too.
    /// </summary>
    public void Harden(HttpContext context)
    {
        var headers = context.Response.Headers;
        headers.XContentTypeOptions = "nosniff";
        if (Uri.TryCreate(Of(context), UriKind.Absolute, out var own) && own is { Scheme: "https", IsLoopback: false })
        {
            headers.StrictTransportSecurity = "max-age=31536000";
        }
    }

    /// <summary>
    /// Whether a button was pressed on one of the gateway's own pages: another page could press it for the person. Its browser says so, by the address of the configuration where
    /// there is one, whatever other names are served; else by the name that the request came by.
    /// </summary>
    public bool IsOwnPage(HttpRequest request) =>
        Uri.TryCreate(request.Headers.Origin.ToString(), UriKind.Absolute, out var origin)
        && (config.Current.PublicUrl is { } url ? (origin.Scheme, origin.IdnHost, origin.Port) == (url.Scheme, url.IdnHost, url.Port) : origin.Authority == request.Host.Value);

    /// <summary>
    /// Where a page is under the gateway's own address, with what follows the question mark; null where that is where it was asked for, as far as can be told. Sign-ins, cookies and buttons
    /// count under that address alone. A proxy may put another Host in the place of it, so whoever was sent there once (<see cref="WasLed"/>) is not sent again.
    /// </summary>
    public string? ElsewhereOf(HttpRequest request)
    {
        if (config.Current.PublicUrl is not { } url
            || request.Query.ContainsKey(WasLed)
            || (string.Equals(request.Host.Host, url.IdnHost, StringComparison.OrdinalIgnoreCase) && (request.Host.Port is null || request.Host.Port == url.Port)))
        {
            return null;
        }

        return $"{Of(url)}{request.Path.ToUriComponent()}{request.QueryString.Add(WasLed, "1").ToUriComponent()}";
    }

    public string? PathOf(HttpContext context, string resource) => PathOf(Of(context), resource);

    /// <summary>
    /// The path of a resource of a gateway: one that clients connect to, or "" for the gateway as a whole; null where it is none of its. Scheme and
    /// host may be written in upper case too, and a slash at the end does not matter.
    /// </summary>
    public static string? PathOf(string address, string resource)
    {
        if (!Uri.TryCreate(resource, UriKind.Absolute, out var wanted) || wanted.Fragment.Length > 0 || wanted.Query.Length > 0 || wanted.UserInfo.Length > 0)
        {
            return null;
        }

        var own = new Uri(address);
        var (path, root) = (wanted.AbsolutePath.TrimEnd('/'), own.AbsolutePath.TrimEnd('/'));
        return wanted.Scheme == own.Scheme && wanted.Host == own.Host && wanted.Port == own.Port
            && path.StartsWith(root, StringComparison.Ordinal) && (path.Length == root.Length || path[root.Length] == '/')
            ? path[root.Length..]
            : null;
    }

    /// <summary>
    /// The path that a client was given for what it asks: messages of the older transport go to another one than it connected to, and all that
    /// administers the gateway is one resource.
    /// </summary>
    public static string ResourceOf(string path) => path switch
    {
        "/mcp" or "/mcp/sse" or "/sse" => path,
        "/mcp/messages" or "/mcp/message" or "/mcp/status" => "/mcp",
        "/messages" => "/sse",
        "/reindex" => Admin,
        _ when path.StartsWith(Admin + "/", StringComparison.Ordinal) => Admin,
        _ when path.StartsWith("/servers/", StringComparison.Ordinal) && path.EndsWith("/messages", StringComparison.Ordinal) => path[..^"/messages".Length] + "/sse",
        _ => path,
    };

    /// <summary>
    /// The path that a token must be for, itself or as one below what it is for. Messages to <c>/mcp/messages</c> are of clients that connected to
    /// <c>/mcp</c> or to <c>/mcp/sse</c>, and their tokens are for that.
    /// </summary>
    public static string TokenPathOf(string path) => path is "/mcp/messages" or "/mcp/message" ? "/mcp/sse" : ResourceOf(path);
}
