using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Mooring.Auth.Server;

/// <summary>
/// The few pages people see: plain HTML that needs no script, no font and no picture. Their policy allows nothing but the one style sheet inside, and
/// no other page may frame them (2025-11-25, basic/authorization; RFC 6819, 4.4.1.9).
/// </summary>
internal static class Pages
{
    private const string Style =
        "body{font:1rem/1.5 system-ui,sans-serif;max-width:30rem;margin:3rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}h1{font-size:1.4rem}"
        + "label{display:block;margin:1rem 0 .2rem}input{font:inherit;width:100%;box-sizing:border-box;padding:.5rem;border:1px solid #666;border-radius:.3rem}"
        + "button,.button{display:inline-block;font:inherit;margin:1rem .5rem 0 0;padding:.5rem 1.2rem;border:1px solid #1a4fa0;border-radius:.3rem;background:#1a4fa0;color:#fff;text-decoration:none;cursor:pointer}"
        + ".plain{background:#fff;color:#1a4fa0}.wrong{border-left:.3rem solid #b00020;padding:.2rem .8rem}dt{font-weight:600;margin-top:.6rem}dd{margin:0;overflow-wrap:anywhere}"
        + "@media(prefers-color-scheme:dark){body{background:#111;color:#eee}input{background:#222;color:#eee;border-color:#999}.plain{background:#111;color:#9bf;border-color:#9bf}a{color:#9bf}a.button{color:#fff}a.plain{color:#9bf}}";

    private static readonly string StyleHash = "sha256-" + Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(Style)));

    /// <summary>Text in a page.</summary>
    public static string Text(string text) => WebUtility.HtmlEncode(text);

    /// <summary>What somebody else made up, without what could make a page say something else; empty where nothing is left.</summary>
    public static string Plain(string text, int longest)
    {
        var plain = string.Concat(text.Where(c => !char.IsControl(c) && char.GetUnicodeCategory(c) != UnicodeCategory.Format)).Trim();
        return plain.Length > longest ? plain[..longest] + "…" : plain;
    }

    /// <summary>Something that went wrong in a way that no client can be told: nothing is known of where it may be told.</summary>
    public static Task ProblemAsync(HttpContext context, int status, string title, string why, string? again = null) => WriteAsync(
        context, status, title, $"<p class=\"wrong\" role=\"alert\">{Text(why)}</p>{(again is null ? "" : $"<p><a class=\"button\" href=\"{Text(again)}\">Try again</a></p>")}");

    /// <summary>Something was tried too often.</summary>
    public static Task WaitAsync(HttpContext context, int seconds)
    {
        context.Response.Headers.RetryAfter = seconds.ToString();
        return ProblemAsync(context, StatusCodes.Status429TooManyRequests, "Too many tries", $"Try again in {seconds} seconds.");
    }

    /// <summary>A page of another part of the gateway.</summary>
    /// <param name="context">The request.</param>
    /// <param name="status">Of the answer.</param>
    /// <param name="title">What it is about.</param>
    /// <param name="text">What it says.</param>
    /// <param name="html">What can be done there, in words of the gateway's own.</param>
    /// <param name="formTarget">Where the form on it may lead beside the gateway, in the words of a content security policy.</param>
    public static Task NoticeAsync(HttpContext context, int status, string title, string text, string html = "", string? formTarget = null) =>
        WriteAsync(context, status, title, $"<p>{Text(text)}</p>{html}", formTarget);

    /// <summary>Something that went wrong, and that a client may be told; but nobody answers for the web site that it would be told at, so whether to go there is the person's to say.</summary>
    public static Task RefusedAsync(HttpContext context, string? name, string redirectUri, string why, string back)
    {
        var site = Text(RedirectUris.Shown(redirectUri));
        return WriteAsync(
            context, StatusCodes.Status400BadRequest, "That cannot be done",
            $"<p class=\"wrong\" role=\"alert\">{Text(name ?? "The program that sent you here")} asked for something that is not possible here: {Text(why)}</p>"
            + $"<p>The way back leads to <strong>{site}</strong>. Nobody here has checked whose site that is, so take it only if you have just come from there.</p>"
            + $"<p><a class=\"button plain\" href=\"{Text(back)}\" rel=\"nofollow\">Back to {site}</a></p>");
    }

    /// <summary>Where people choose how to sign in.</summary>
    /// <param name="context">The request.</param>
    /// <param name="status">Of the answer.</param>
    /// <param name="root">The gateway's address.</param>
    /// <param name="request">What names the request that waits.</param>
    /// <param name="why">What they sign in for.</param>
    /// <param name="providers">Where they can.</param>
    /// <param name="hasUsers">Whether they can here.</param>
    /// <param name="wrong">What went wrong before; null: nothing.</param>
    /// <param name="more">Parameters of the way to a provider, each with its ampersand.</param>
    public static Task SignInAsync(
        HttpContext context, int status, string root, string request, string why, IReadOnlyList<(string Name, string Title)> providers, bool hasUsers, string? wrong, string more)
    {
        var body = new StringBuilder($"<p>{Text(why)}</p>");
        if (wrong is not null)
        {
            body.Append($"<p class=\"wrong\" role=\"alert\" id=\"wrong\">{Text(wrong)}</p>");
        }

        foreach (var (name, title) in providers)
        {
            // A link, not a form: browsers hold a page's policy for forms against the redirect to the provider.
            body.Append($"<p><a class=\"button\" href=\"{Text(root)}/oauth/signin/{Uri.EscapeDataString(name)}?request={Uri.EscapeDataString(request)}{Text(more)}\" rel=\"nofollow\">Sign in with {Text(title)}</a></p>");
        }

        if (hasUsers)
        {
            body.Append(
                $"<form method=\"post\" action=\"{Text(root)}/oauth/signin\"><input type=\"hidden\" name=\"request\" value=\"{Text(request)}\">"
                + $"<label for=\"user\">User name</label><input id=\"user\" name=\"user\" autocomplete=\"username\" autocapitalize=\"none\" required autofocus{(wrong is null ? "" : " aria-describedby=\"wrong\"")}>"
                + $"<label for=\"password\">Password</label><input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required{(wrong is null ? "" : " aria-describedby=\"wrong\"")}>"
                + "<button>Sign in</button></form>");
        }

        return WriteAsync(context, status, "Sign in", body.ToString());
    }

    /// <summary>Where a person allows, or does not, what a client asks for. Says who asks, and where the answer goes.</summary>
    public static Task ConsentAsync(HttpContext context, string root, string request, RequestData data, Person person, IReadOnlyList<string> scopes)
    {
        var name = data.Client.Name ?? "A client without a name";
        var said = data.ClientSource is { } source ? $"{Text(name)} (known by {Text(source)})" : $"{Text(name)} (so it says of itself; nobody has checked it)";
        var allowed = string.Concat(scopes.Select(scope => $"<li>{Text(scope == Scopes.Admin ? "See and steer the gateway itself (admin)" : "Use the tools behind this gateway in your name (mcp)")}</li>"));
        return WriteAsync(
            context,
            StatusCodes.Status200OK,
            "Allow access?",
            $"<dl><dt>Who asks</dt><dd>{said}</dd><dt>What for</dt><dd><ul>{allowed}</ul></dd><dt>At</dt><dd>{Text(root + data.Path)}</dd>"
            + $"<dt>The answer goes to</dt><dd>{Text(RedirectUris.Shown(data.RedirectUri))}: <code>{Text(data.RedirectUri)}</code></dd><dt>You are</dt><dd>{Text(person.Shown)} "
            + $"(<a href=\"{Text(root)}/oauth/signin?request={Uri.EscapeDataString(request)}\">not you?</a>)</dd></dl>"
            + "<p>Allow it only if you have just asked this program to connect.</p>"
            + $"<form method=\"post\" action=\"{Text(root)}/oauth/consent\"><input type=\"hidden\" name=\"request\" value=\"{Text(request)}\">"
            + "<button name=\"decision\" value=\"allow\">Allow</button><button class=\"plain\" name=\"decision\" value=\"deny\">Do not allow</button></form>",
            RedirectUris.PolicySource(data.RedirectUri));
    }

    private static async Task WriteAsync(HttpContext context, int status, string title, string body, string? formTarget = null)
    {
        var bytes = Encoding.UTF8.GetBytes(
            $"<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{Text(title)} - Mooring</title><style>{Style}</style></head>"
            + $"<body><main><h1>{Text(title)}</h1>{body}</main></body></html>");
        var response = context.Response;
        response.StatusCode = status;
        response.ContentType = "text/html; charset=utf-8";
        response.ContentLength = bytes.Length;
        Guard(context, formTarget);
        await response.Body.WriteAsync(bytes, CancellationToken.None);
    }

    /// <summary>What keeps a page, or a redirect, from being framed, kept, or told to others by its address.</summary>
    public static void Guard(HttpContext context, string? formTarget = null)
    {
        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy = $"default-src 'none'; style-src '{StyleHash}'; form-action 'self'{(formTarget is null ? "" : " " + formTarget)}; frame-ancestors 'none'; base-uri 'none'";
        headers.XFrameOptions = "DENY";
        headers.XContentTypeOptions = "nosniff";
        // The address of a page names its request; no other site is told it.
        headers["Referrer-Policy"] = "same-origin";
        headers.CacheControl = "no-store";
    }
}
