using Microsoft.AspNetCore.Http;
using Mooring.Audit;
using Mooring.Auth;
using Mooring.Auth.Server;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Vault;

namespace Mooring.FrontDoor;

/// <summary>
/// The page on which a person sees which accounts at other systems the gateway uses for him, and takes one away. Whoever is known in the browser sees his own alone; people of API
/// keys, who are known in none, show a key with what they take away, and are told then whether there was one.
/// </summary>
internal sealed partial class AccountsPage(
    AccountRemoval removal, Credentials credentials, Providers providers, Browsers browsers, SignInFirst signIn, KeyFirst keys, PublicAddress address, AuditLog audit,
    ILogger<AccountsPage> logger)
{
    public async Task AnswerAsync(HttpContext context)
    {
        try
        {
            await browsers.RecognizeAsync(context);
            var caller = Principal.Of(context);
            var isKnown = caller != Principal.Anonymous || providers.AreAnonymous;
            if (!isKnown && signIn.CanAskSomebody && (!keys.AreTaken || context.Request.Query[ConnectEndpoints.Prompt] == ConnectEndpoints.Login))
            {
                if (await signIn.TrySendAsync(context, SignInFirst.Accounts, ticket: null, anew: false) is { } seconds)
                {
                    await Pages.WaitAsync(context, seconds);
                }
            }
            else if (!isKnown && !keys.AreTaken)
            {
                await Pages.NoticeAsync(context, StatusCodes.Status403Forbidden, "Nobody is known here", "People who come in with tokens of another issuer cannot be asked here who they are.");
            }
            else if (!HttpMethods.IsPost(context.Request.Method) || !address.IsOwnPage(context.Request))
            {
                await (isKnown ? ShowAsync(context, caller) : AskAsync(context));
            }
            else
            {
                await TakeAwayAsync(context, isKnown ? caller : null);
            }
        }
        catch (StoreException)
        {
            await LaterAsync(context, "The gateway's store is not reachable.");
        }
    }

    private async Task ShowAsync(HttpContext context, Principal caller)
    {
        List<string> held = [];
        foreach (var name in providers.Names)
        {
            if ((await credentials.FindAsync(new CredentialKey(caller.Issuer, caller.Subject, name), context.RequestAborted)).IsThere)
            {
                held.Add(name);
            }
        }

        var who = caller.Subject.Length == 0 ? "everybody who uses this gateway" : ConnectEndpoints.Called(Person.Of(context).Shown, caller.Subject);
        await Pages.NoticeAsync(
            context, StatusCodes.Status200OK, "Your accounts", held.Count == 0 ? $"The gateway uses no account for {who}." : $"The gateway uses these accounts for {who}.",
            held.Count == 0 ? "" : $"""<form method="post">{Buttons(held)}</form>""");
    }

    private Task AskAsync(HttpContext context, bool wasWrong = false) => Pages.NoticeAsync(
        context, wasWrong ? StatusCodes.Status403Forbidden : StatusCodes.Status200OK, "Your accounts", "The gateway may use accounts of yours at these systems. Show your key to take one away.",
        $"""{(wasWrong ? "<p class=\"wrong\" role=\"alert\">That is no key that is known here.</p>" : "")}<form method="post">{ConnectEndpoints.KeyField}{Buttons(providers.Names)}</form>"""
        + (signIn.CanAskSomebody ? $"""<p><a href="?{ConnectEndpoints.Prompt}={ConnectEndpoints.Login}" rel="nofollow">Sign in instead</a></p>""" : ""));

    private static string Buttons(IEnumerable<string> names) =>
        $"<dl>{string.Concat(names.Select(name => $"<dt>{Pages.Text(name)}</dt><dd><button name=\"account\" value=\"{Pages.Text(name)}\">Take away</button></dd>"))}</dl>";

    /// <param name="context">The request.</param>
    /// <param name="caller">Whose account it is; null: whose key it brings.</param>
    private async Task TakeAwayAsync(HttpContext context, Principal? caller)
    {
        var form = await Forms.ReadAsync(context);
        var name = form?.GetValueOrDefault("account") ?? "";
        if (!providers.Names.Contains(name))
        {
            await Pages.NoticeAsync(context, StatusCodes.Status404NotFound, "There is no such account", "No provider of this name is in the gateway's configuration.");
            return;
        }

        if (caller is null)
        {
            var (person, seconds) = await keys.FindAsync(context, form!.GetValueOrDefault("key") ?? "");
            if (seconds is { } wait)
            {
                await Pages.WaitAsync(context, wait);
                return;
            }

            if (person is null)
            {
                await AskAsync(context, wasWrong: true);
                return;
            }

            caller = new Principal(person.Issuer, person.Subject);
        }

        await TakeAwayAsync(context, new CredentialKey(caller.Value.Issuer, caller.Value.Subject, name));
    }

    private async Task TakeAwayAsync(HttpContext context, CredentialKey key)
    {
        if (await removal.RemoveAsync(key, context.RequestAborted) is not { } removed)
        {
            await LaterAsync(context, "Its token is being refreshed.");
            return;
        }

        if (!removed.WasThere)
        {
            await Pages.NoticeAsync(context, StatusCodes.Status200OK, "There is no such account", "The gateway uses no such account for you.");
            return;
        }

        Log.Removed(logger, key.Provider, removed.NotTold ?? "it was told");
        if (audit.IsOn)
        {
            var told = removed.NotTold is { } why ? $"the provider was not told: {why}" : null;
            audit.Write(new AuditEntry("account_removed", "ok") { Issuer = key.Issuer, User = key.Subject, Name = key.Provider, Address = context.Connection.RemoteIpAddress?.ToString(), Reason = told });
        }

        await Pages.NoticeAsync(
            context, StatusCodes.Status200OK, "The account was taken away",
            removed.NotTold is null ? "The gateway uses it no longer, and has told its provider." : $"The gateway uses it no longer. Its provider was not told ({removed.NotTold}): take back there what you had allowed.");
    }

    private static Task LaterAsync(HttpContext context, string why)
    {
        context.Response.Headers.RetryAfter = "5";
        return Pages.NoticeAsync(context, StatusCodes.Status503ServiceUnavailable, "Try again in a moment", why);
    }

    private static partial class Log
    {
        [LoggerMessage(1203, LogLevel.Information, "An account of {Provider} was taken away. Its provider: {Told}", EventName = "AccountRemoved")]
        public static partial void Removed(ILogger logger, string provider, string told);
    }
}
