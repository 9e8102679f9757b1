using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Mooring.Audit;
using Mooring.Auth;
using Mooring.Auth.Server;
using Mooring.Configuration;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Vault;

namespace Mooring.FrontDoor;

/// <summary>
/// The pages on which a person links an account: what is about to happen and for whom, then the provider, then how it went. A link is of use for
/// a few minutes and for one person. Where people sign in at the gateway, that person has to be the one who is signed in; one who has an API key shows it; elsewhere a browser
/// that is known to be somebody else's is refused. The way back is bound to the browser that went.
/// </summary>
internal sealed partial class ConnectEndpoints(
    Gate gate, AccountLinks links, Providers providers, Browsers browsers, SignInFirst signIn, KeyFirst keys, Attempts attempts, PublicAddress address, AccountsPage accounts, AuditLog audit, ILogger<ConnectEndpoints> logger)
{
    private const string Cookie = "mooring-connect";

    internal const string Prompt = "prompt";
    internal const string Login = "login";

    internal const string KeyField = """<p><label for="key">Your API key for this gateway</label><br><input id="key" name="key" type="password" autocomplete="off" required></p>""";

    private const int LongestName = 100;

    /// <summary>Of one address. People link few accounts, and to look at what a stranger shows costs.</summary>
    private const int PerMinute = 60;

    public void Map(IEndpointRouteBuilder routes)
    {
        void Add(string path, string[] methods, Func<HttpContext, Task> answer) => routes.MapMethods(path, methods, context => AnswerAsync(context, answer));
        Add("/connect/client.json", ["GET"], DescribeAsync);
        Add("/connect", ["GET", "POST"], context => BoundedAsync(context, at => HereAsync(at, accounts.AnswerAsync)));
        Add("/connect/{provider}", ["GET", "POST"], context => BoundedAsync(context, at => HereAsync(at, BeginAsync)));
        Add("/connect/{provider}/callback", ["GET"], context => BoundedAsync(context, CompleteAsync));
        foreach (var path in AccountProviderConfig.OlderCallbacks)
        {
            Add(path, ["GET"], context => BoundedAsync(context, CompleteAsync));
        }
    }

    /// <summary>Under the gateway's own names alone, whichever page it is.</summary>
    private Task AnswerAsync(HttpContext context, Func<HttpContext, Task> answer)
    {
        address.Harden(context);
        return gate.CheckHost(context) is { } wrong ? Pages.NoticeAsync(context, StatusCodes.Status403Forbidden, "Not served here", wrong) : answer(context);
    }

    private Task BoundedAsync(HttpContext context, Func<HttpContext, Task> answer) =>
        attempts.TryTake("connect", Attempts.Who(context.Connection.RemoteIpAddress), PerMinute, TimeSpan.FromMinutes(1)) is { } seconds ? Pages.WaitAsync(context, seconds) : answer(context);

    /// <summary>
    /// Under another of its names nobody is known and no button counts: whoever opens a page there is led to the gateway's own address, which the configuration says.
    /// </summary>
    private Task HereAsync(HttpContext context, Func<HttpContext, Task> answer)
    {
        if (HttpMethods.IsPost(context.Request.Method) || address.ElsewhereOf(context.Request) is not { } there)
        {
            return answer(context);
        }

        AuthorizeEndpoint.Redirect(context, there);
        return Task.CompletedTask;
    }

    /// <summary>What the gateway is as a client, for authorization servers that take an address for a registration.</summary>
    private Task DescribeAsync(HttpContext context)
    {
        context.Response.ContentType = "application/json";
        return context.Response.Body.WriteAsync(ClientRegistrations.Document(links.Gateway, providers.Names.Select(links.RedirectUri)), context.RequestAborted).AsTask();
    }

    private async Task BeginAsync(HttpContext context)
    {
        var provider = (string)context.Request.RouteValues["provider"]!;
        if (!providers.Names.Contains(provider))
        {
            await Pages.NoticeAsync(context, StatusCodes.Status404NotFound, "There is no such account", "No provider of this name is in the gateway's configuration.");
            return;
        }

        try
        {
            await browsers.RecognizeAsync(context);
            var caller = Principal.Of(context);
            var brought = (string?)context.Request.Query["ticket"];
            var ticket = await links.ReadAsync(provider, brought, context.RequestAborted);
            if (ticket is null && brought is null && (caller != Principal.Anonymous || providers.AreAnonymous))
            {
                // Whoever is known here needs no link to say who he is.
                ticket = links.NewTicket(new CredentialKey(caller.Issuer, caller.Subject, provider), Person.Of(context).Shown);
            }

            if (ticket is null && brought is null && signIn.CanAskSomebody)
            {
                await SignInAsync(context, provider, ticket: null, anew: false);
            }
            else if (ticket is null)
            {
                await Pages.NoticeAsync(context, StatusCodes.Status400BadRequest, "This link is of no use any more", "Have your client ask for a new one.");
            }
            else if (signIn.CanAsk(ticket.Issuer) && (caller == Principal.Anonymous || context.Request.Query[Prompt] == Login))
            {
                // Not only told whom it is for: who opens it has to be who was asked (2025-11-25, client/elicitation, "Phishing").
                await SignInAsync(context, provider, brought, anew: caller != Principal.Anonymous);
            }
            else if (caller != Principal.Anonymous && caller != new Principal(ticket.Issuer, ticket.Subject))
            {
                Note(context, "refused", caller.Issuer, caller.Subject, provider, $"a link of {(ticket.Subject.Length == 0 ? "everybody" : ticket.Subject)}");
                await RefuseAsync(context, ticket, brought);
            }
            else if (!HttpMethods.IsPost(context.Request.Method) || !address.IsOwnPage(context.Request))
            {
                await AskAsync(context, ticket, NeedsKey(caller, ticket));
            }
            else if (!NeedsKey(caller, ticket) || await TakeKeyAsync(context, ticket))
            {
                await SendOnAsync(context, ticket);
            }
        }
        catch (StoreException)
        {
            context.Response.Headers.RetryAfter = "5";
            await Pages.NoticeAsync(context, StatusCodes.Status503ServiceUnavailable, "Try again in a moment", "The gateway's store is not reachable.");
        }
    }

    private static bool NeedsKey(Principal caller, AccountTicket ticket) => caller == Principal.Anonymous && KeyFirst.IsFor(ticket.Issuer);

    /// <summary>Whether whoever pressed the button has a key of the person that the link is for; false after answering that.</summary>
    private async Task<bool> TakeKeyAsync(HttpContext context, AccountTicket ticket)
    {
        var (isTheirs, seconds) = await keys.TryAsync(context, (await Forms.ReadAsync(context))?.GetValueOrDefault("key") ?? "", ticket.Subject);
        if (seconds is { } wait)
        {
            await Pages.WaitAsync(context, wait);
        }
        else if (!isTheirs)
        {
            Note(context, "failed", ticket.Issuer, ticket.Subject, ticket.Provider, "not with a key of theirs");
            await AskAsync(context, ticket, needsKey: true, wasWrong: true);
        }

        return isTheirs;
    }

    private async Task SignInAsync(HttpContext context, string provider, string? ticket, bool anew)
    {
        if (await signIn.TrySendAsync(context, provider, ticket, anew) is { } seconds)
        {
            await Pages.WaitAsync(context, seconds);
        }
    }

    private CookieOptions CookieOptionsOf(string provider) => new()
    {
        HttpOnly = true,
        SameSite = SameSiteMode.Lax,
        Secure = links.Gateway.Scheme == "https",
        Path = links.CookiePath(provider),
        IsEssential = true,
    };

    private async Task SendOnAsync(HttpContext context, AccountTicket ticket)
    {
        var (to, nonce, why) = await links.BeginAsync(ticket, context.RequestAborted);
        if (to is null)
        {
            Log.NotBegun(logger, ticket.Provider, why);
            await Pages.NoticeAsync(context, StatusCodes.Status502BadGateway, "The account cannot be connected now", $"The gateway did not find out where to send you: {why}.");
            return;
        }

        context.Response.Cookies.Append(Cookie, nonce, new CookieOptions(CookieOptionsOf(ticket.Provider)) { MaxAge = AccountLinks.Patience });
        AuthorizeEndpoint.Redirect(context, to.AbsoluteUri);
    }

    private async Task CompleteAsync(HttpContext context)
    {
        var provider = (string?)context.Request.RouteValues["provider"];
        var query = context.Request.Query;
        try
        {
            await browsers.RecognizeAsync(context);
            var caller = Principal.Of(context);
            var (whose, why) = await links.CompleteAsync(
                provider, query["state"], query["code"], query.ContainsKey("error") ? query["error"].ToString() : null, query["iss"], context.Request.Cookies[Cookie],
                key => caller == Principal.Anonymous ? !signIn.CanAsk(key.Issuer) : caller == new Principal(key.Issuer, key.Subject), context.RequestAborted);
            if ((whose?.Provider ?? provider) is { } of)
            {
                context.Response.Cookies.Delete(Cookie, CookieOptionsOf(of));
            }

            if (whose is { } key)
            {
                // Not where nobody's link was brought back: anybody can make one up.
                Note(context, why is null ? "ok" : "failed", key.Issuer, key.Subject, key.Provider, why);
            }

            if (why is not null)
            {
                await Pages.NoticeAsync(context, StatusCodes.Status400BadRequest, "The account was not connected", why);
                return;
            }

            Log.Linked(logger, whose!.Value.Provider);
            await Pages.NoticeAsync(context, StatusCodes.Status200OK, "The account is connected", "You can close this page and go on in your client.");
        }
        catch (StoreException)
        {
            context.Response.Headers.RetryAfter = "5";
            await Pages.NoticeAsync(context, StatusCodes.Status503ServiceUnavailable, "Try again in a moment", "The gateway's store is not reachable.");
        }
    }

    private void Note(HttpContext context, string outcome, string issuer, string user, string provider, string? reason)
    {
        if (audit.IsOn)
        {
            audit.Write(new AuditEntry("account_linked", outcome) { Issuer = issuer, User = user, Name = provider, Address = context.Connection.RemoteIpAddress?.ToString(), Reason = reason });
        }
    }

    private Task AskAsync(HttpContext context, AccountTicket ticket, bool needsKey, bool wasWrong = false) => Pages.NoticeAsync(
        context, wasWrong ? StatusCodes.Status403Forbidden : StatusCodes.Status200OK, $"Connect an account of {ticket.Provider}?",
        $"The gateway will be able to use this account for {WhoOf(ticket)}. Go on only if you asked for this yourself.",
        $"""{(wasWrong ? "<p class=\"wrong\" role=\"alert\">That is no key of the one whom this is for.</p>" : "")}<form method="post">{(needsKey ? KeyField : "")}<button>Go on</button></form>""",
        // Browsers hold this against each redirect that follows, and providers lead from one of their hosts to the next: none of them can be named.
        links.Gateway.Scheme == "https" ? "https:" : "https: http:");

    private Task RefuseAsync(HttpContext context, AccountTicket ticket, string? brought)
    {
        var person = Person.Of(context);
        // Whoever has two names here, and chose the wrong one, is not kept out until that sign-in is over.
        var another = brought is null || !signIn.CanAsk(ticket.Issuer)
            ? ""
            : $"""<p><a href="?ticket={Uri.EscapeDataString(brought)}&amp;{Prompt}={Login}" rel="nofollow">Sign in as the one it is for</a></p>""";
        return Pages.NoticeAsync(
            context, StatusCodes.Status403Forbidden, "This link is somebody else's",
            $"It is for {WhoOf(ticket)}, and you are {Called(person.Shown, person.Subject)} here. Do not go on. Whoever sent it to you would get the use of your account.", another);
    }

    private static string WhoOf(AccountTicket ticket) => ticket.Subject.Length == 0 ? "everybody who uses this gateway" : Called(ticket.Name, ticket.Subject);

    /// <summary>A name says more to people than what an issuer knows them by; but it may be of their own choice, so it does not stand alone.</summary>
    internal static string Called(string? name, string subject) =>
        name is not null && Pages.Plain(name, LongestName) is { Length: > 0 } plain && plain != subject ? $"{plain} ({subject})" : subject;

    private static partial class Log
    {
        [LoggerMessage(1201, LogLevel.Information, "An account of {Provider} was linked.", EventName = "AccountLinked")]
        public static partial void Linked(ILogger logger, string provider);

        [LoggerMessage(1202, LogLevel.Warning, "An account of {Provider} cannot be linked: {Why}", EventName = "AccountNotBegun")]
        public static partial void NotBegun(ILogger logger, string provider, string why);
    }
}
