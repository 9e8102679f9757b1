using Microsoft.AspNetCore.Http;
using Mooring.Stores;

namespace Mooring.Auth.Server;

/// <summary>
/// Authorization requests while their user signs in and decides. A page names one by a random text that is good in the browser it was begun in, and
/// nowhere else: no other page can send a form in a person's name, and nobody can have a person finish what they began themselves.
/// </summary>
internal sealed class Requests(IAuthStore store, Browsers browsers, PublicAddress address, TimeProvider time)
{
    /// <summary>How long a person may take.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(10);

    /// <returns>What its pages name it by.</returns>
    public async Task<string> AddAsync(RequestData data)
    {
        var secret = Secret.New("");
        var now = time.GetUtcNow();
        await store.AddAuthAsync(new AuthRecord { Kind = AuthKind.Request, Key = Secret.KeyOf(secret), Data = AuthJson.Write(data with { State = data.State is { } state ? Secret.Seal(secret, state) : null }), Created = now, Expires = now + Lifetime });
        return secret;
    }

    /// <summary>The request a page names; null after answering why it is none.</summary>
    public async Task<RequestData?> FindAsync(HttpContext context, string? secret)
    {
        if (!string.IsNullOrEmpty(secret) && await store.FindAuthAsync(AuthKind.Request, Secret.KeyOf(secret), time.GetUtcNow(), context.RequestAborted) is { Used: null } record
            && Read(secret, record) is { } data && browsers.Is(context, data.Browser))
        {
            return data;
        }

        await GoneAsync(context);
        return null;
    }

    /// <summary>Takes a request for good, since its user decided; null after answering that somebody was first.</summary>
    public async Task<RequestData?> TakeAsync(HttpContext context, string secret)
    {
        if (await store.UseAuthAsync(AuthKind.Request, Secret.KeyOf(secret), time.GetUtcNow()) is { Used: null } record && Read(secret, record) is { } data)
        {
            return data;
        }

        await GoneAsync(context);
        return null;
    }

    /// <summary>Binds a request to what its browser holds since a person signed in there.</summary>
    public async Task<string?> MoveAsync(HttpContext context, string secret, string browser)
    {
        if (await TakeAsync(context, secret) is not { } data)
        {
            return null;
        }

        return await AddAsync(data with { Browser = browser, Prompt = false });
    }

    /// <summary>Whether a form was sent by a page of ours. Browsers say whose page it was; the few that do not are left to what binds the request.</summary>
    public bool IsOurs(HttpContext context)
    {
        var (origin, site) = (context.Request.Headers.Origin, context.Request.Headers["Sec-Fetch-Site"]);
        var own = new Uri(address.Of(context)).GetLeftPart(UriPartial.Authority);
        return (origin.Count == 0 || origin == own) && (site.Count == 0 || site == "same-origin");
    }

    /// <summary>What the client wants back is its secret with its person's browser: a copy of the store does not show it.</summary>
    private static RequestData? Read(string secret, AuthRecord record)
    {
        var data = AuthJson.Read<RequestData>(record);
        return data.State is null ? data : Secret.Open(secret, data.State) is { } state ? data with { State = state } : null;
    }

    private static Task GoneAsync(HttpContext context) => Pages.ProblemAsync(
        context, StatusCodes.Status400BadRequest, "That page is not valid any more", "It was used already, is older than 10 minutes, or was begun in another browser. Go back to the program that you want to connect, and begin again there.");
}
