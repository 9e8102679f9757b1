using Microsoft.AspNetCore.Http;
using Mooring.Auth.Server.Providers;
using Mooring.Configuration;
using Mooring.Stores;

namespace Mooring.Auth.Server;

/// <summary>
/// What browsers hold: one random text that says which browser it is, to which requests and visits are bound, and, once somebody signed in, another
/// that says who. Both are new with every sign-in, so that what was put into a browser before is worth nothing after it.
/// </summary>
internal sealed class Browsers(ConfigStore config, IAuthStore store, PublicAddress address, IdentityProviders providers, TimeProvider time)
{
    private const string Browser = "mooring-browser";
    private const string SignedIn = "mooring-signin";

    /// <summary>The hash of what the browser holds; it is given something where it holds nothing.</summary>
    public string Know(HttpContext context) => KeyOf(context) ?? Mark(context);

    /// <summary>As <see cref="Know"/>; null where it holds nothing.</summary>
    public string? KeyOf(HttpContext context) => Read(context, Browser) is { } text ? Secret.KeyOf(text) : null;

    /// <summary>Whether this is the browser that something was begun in.</summary>
    public bool Is(HttpContext context, string browser) => KeyOf(context) is { } own && Secret.Same(own, browser);

    /// <summary>A secret for one purpose that this browser's requests bring along and no address does; null where it holds nothing.</summary>
    public string? SecretFor(HttpContext context, string purpose) => Read(context, Browser) is { } text ? Secret.Derived(text, purpose) : null;

    /// <summary>Who is signed in, and may still come in; and since when.</summary>
    public async Task<(Person Person, DateTimeOffset Since)?> FindAsync(HttpContext context) =>
        Read(context, SignedIn) is { } text && await store.FindAuthAsync(AuthKind.Browser, Secret.KeyOf(text), time.GetUtcNow(), context.RequestAborted) is { } record
            && time.GetUtcNow() - record.Created < config.Current.Auth.OAuth.SignInAgainAfter
            && AuthJson.Read<BrowserData>(record).Person is var person && providers.StillVouches(person)
            ? (person, record.Created)
            : null;

    /// <summary>Makes whoever is signed in the user of a request to one of the gateway's other pages. It gives no scope: tokens do.</summary>
    public async Task RecognizeAsync(HttpContext context)
    {
        if (config.Current.Auth.Has(AuthMode.OAuth) && await FindAsync(context) is { Person: var person })
        {
            context.User = new Caller(person, [], time.GetUtcNow());
        }
    }

    /// <summary>Somebody proved who they are, in this browser.</summary>
    /// <returns>The hash of what the browser holds from now on.</returns>
    public async Task<string> SignInAsync(HttpContext context, Person person)
    {
        if (Read(context, SignedIn) is { } before)
        {
            await store.RemoveAuthAsync(AuthKind.Browser, Secret.KeyOf(before));
        }

        var secret = Secret.New("");
        var now = time.GetUtcNow();
        var lifetime = config.Current.Auth.OAuth.SignIn;
        await store.AddAuthAsync(new AuthRecord { Kind = AuthKind.Browser, Key = Secret.KeyOf(secret), Data = AuthJson.Write(new BrowserData(person)), Created = now, Expires = now + lifetime });
        Set(context, SignedIn, secret, lifetime);
        return Mark(context);
    }

    private string Mark(HttpContext context)
    {
        var secret = Secret.New("");
        Set(context, Browser, secret, TimeSpan.FromDays(1));
        return Secret.KeyOf(secret);
    }

    // The prefix makes browsers take the cookie from this very host alone, over https alone.
    private string NameOf(HttpContext context, string name) => IsSecure(context) ? "__Host-" + name : name;

    private bool IsSecure(HttpContext context) => address.Of(context).StartsWith("https:", StringComparison.Ordinal);

    private string? Read(HttpContext context, string name) => context.Request.Cookies[NameOf(context, name)] is { Length: > 0 and < 256 } text ? text : null;

    private void Set(HttpContext context, string name, string value, TimeSpan lifetime) => context.Response.Cookies.Append(NameOf(context, name), value, new CookieOptions
    {
        HttpOnly = true,
        Secure = IsSecure(context),
        // Providers send people back from their own pages, which is another site.
        SameSite = SameSiteMode.Lax,
        Path = "/",
        MaxAge = lifetime,
    });
}
