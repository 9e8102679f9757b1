using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Mooring.Auth.Server.Providers;
using Mooring.Audit;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Telemetry;

namespace Mooring.Auth.Server;

/// <summary>Where people say who they are: here, by name and password, or at a provider that sends them back.</summary>
internal sealed partial class SignInEndpoint(
    ConfigStore config, IAuthStore store, Requests requests, Browsers browsers, IdentityProviders providers, Attempts attempts, PublicAddress address, TimeProvider time, AuditLog audit, ILogger<SignInEndpoint> logger)
{
    private const int TriesPerUserAndAddress = 10;
    private const int TriesPerAddress = 30;

    /// <summary>What somebody signed in with, for the audit log.</summary>
    private const string ByPassword = "password";

    /// <summary>From everywhere: many against one name, but not so few that anybody could lock somebody else out by the way.</summary>
    private const int TriesPerUser = 100;

    private const int VisitsPerMinute = 60;

    private static readonly TimeSpan TryWindow = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan VisitLifetime = TimeSpan.FromMinutes(10);

    /// <summary>Beside the request in addresses: the person wants to come in as somebody else than the provider would say by itself.</summary>
    private const string Another = "another";

    /// <summary>The page, and the form on it.</summary>
    public async Task AnswerAsync(HttpContext context)
    {
        if (HttpMethods.IsGet(context.Request.Method))
        {
            var secret = (string?)context.Request.Query["request"] ?? "";
            if (await requests.FindAsync(context, secret) is { } data)
            {
                // Nobody is led here but by saying that it is somebody else.
                await PageAsync(context, StatusCodes.Status200OK, secret, data, isAnother: true);
            }

            return;
        }

        if (!requests.IsOurs(context) || await Forms.ReadAsync(context) is not { } form)
        {
            await Pages.ProblemAsync(context, StatusCodes.Status400BadRequest, "That form is not ours", "It was sent by another page.");
            return;
        }

        await TryAsync(context, form.GetValueOrDefault("request", ""), form.GetValueOrDefault("user", ""), form.GetValueOrDefault("password", ""));
    }

    /// <param name="context">The request.</param>
    /// <param name="status">Of the answer.</param>
    /// <param name="secret">What names the request that waits.</param>
    /// <param name="data">That request.</param>
    /// <param name="wrong">What went wrong before; null: nothing.</param>
    /// <param name="isAnother">Whether a provider is to ask which account it is: the one that it knows by itself was not the right one.</param>
    public Task PageAsync(HttpContext context, int status, string secret, RequestData data, string? wrong = null, bool isAnother = false)
    {
        var oauth = config.Current.Auth.OAuth;
        var why = data.Account == SignInFirst.Accounts ? "Which accounts are connected is shown to their owner alone. Sign in first."
            : data.Account is { } account
            ? $"A link to connect an account of {account} is for one person alone. Sign in first."
            : $"{data.Client.Name ?? "A client without a name"} asks for access. Sign in first.";
        return Pages.SignInAsync(
            context, status, address.Of(context), secret, why, [.. oauth.Providers.Select(one => (one.Key, one.Value.Title ?? TitleOf(one.Key)))], oauth.Users.Count > 0, wrong,
            isAnother ? $"&{Another}=1" : "");
    }

    /// <summary>Off to a provider.</summary>
    public async Task VisitAsync(HttpContext context)
    {
        var secret = (string?)context.Request.Query["request"] ?? "";
        if (await requests.FindAsync(context, secret) is not { } data)
        {
            return;
        }

        if (attempts.TryTake("visit", Attempts.Who(context.Connection.RemoteIpAddress), VisitsPerMinute, TimeSpan.FromMinutes(1)) is { } seconds)
        {
            context.Response.Headers.RetryAfter = seconds.ToString();
            await PageAsync(context, StatusCodes.Status429TooManyRequests, secret, data, $"Too many tries. Try again in {seconds} seconds.");
            return;
        }

        if (providers.Find((string)context.GetRouteValue("provider")!) is not { } provider)
        {
            await PageAsync(context, StatusCodes.Status404NotFound, secret, data, "That way to sign in is not offered here.");
            return;
        }

        // What the answer has to fit comes from the state and the browser's cookie: the store has their hashes, and addresses only the state.
        var state = $"{Secret.New("")}.{secret}";
        var back = provider.RedirectUri?.OriginalString ?? address.Of(context) + "/oauth/callback";
        // A link that is somebody else's needs another account, not a proof of this one.
        var asks = data is { Prompt: true, Account: null } ? SignInVisit.Login : data.Prompt || context.Request.Query.ContainsKey(Another) ? SignInVisit.SelectAccount : null;
        if (await provider.AddressAsync(SignInVisit.Of(state, browsers.SecretFor(context, state)!, back) with { Asks = asks }) is not { } there)
        {
            await PageAsync(context, StatusCodes.Status503ServiceUnavailable, secret, data, $"{provider.Title} cannot be reached just now. Try again in a moment.");
            return;
        }

        var now = time.GetUtcNow();
        await store.AddAuthAsync(new AuthRecord
        {
            Kind = AuthKind.Visit,
            Key = Secret.KeyOf(state),
            Data = AuthJson.Write(new VisitData(data.Browser, provider.Name, back, asks)),
            Created = now,
            Expires = now + VisitLifetime,
        });
        AuthorizeEndpoint.Redirect(context, there);
    }

    /// <summary>Back from a provider.</summary>
    public async Task CallbackAsync(HttpContext context)
    {
        var query = context.Request.Query;
        if (query["state"] is not [{ Length: > 0 } state] || await store.UseAuthAsync(AuthKind.Visit, Secret.KeyOf(state), time.GetUtcNow()) is not { Used: null } record
            || AuthJson.Read<VisitData>(record) is not { } visit || !browsers.Is(context, visit.Browser))
        {
            await Pages.ProblemAsync(context, StatusCodes.Status400BadRequest, "That page is not valid any more",
                "It was used already, is older than 10 minutes, or was begun in another browser. Go back to the program that you want to connect, and begin again there.");
            return;
        }

        var secret = state[(state.IndexOf('.', StringComparison.Ordinal) + 1)..];
        if (await requests.FindAsync(context, secret) is not { } data)
        {
            return;
        }

        if (providers.Find(visit.Provider) is not { } provider)
        {
            await PageAsync(context, StatusCodes.Status404NotFound, secret, data, "That way to sign in is not offered here any more.");
            return;
        }

        var found = query["error"] is [{ Length: > 0 } error]
            ? new PersonFound(null, error == "access_denied" ? $"{provider.Title} says that you did not want to." : $"{provider.Title} did not let you in ({OAuthText.Word(error)}).")
            : query["code"] is [{ Length: > 0 } code] && (query["iss"] is not [{ } issuer] || provider.IsIssuer(issuer))
                ? await provider.PersonAsync(code, SignInVisit.Of(state, browsers.SecretFor(context, state)!, visit.RedirectUri) with { Asks = visit.Asks, Began = record.Created }, context.RequestAborted)
                : new PersonFound(null, "The answer is not of the provider that was asked.");
        if (found.Person is not { } person)
        {
            Log.NotSignedIn(logger, provider.Name, found.Problem!);
            Note(context, "failed", null, null, OfProvider(provider.Name), $"{provider.Name}: {found.Problem}");
            await PageAsync(context, StatusCodes.Status403Forbidden, secret, data, found.Problem, isAnother: true);
            return;
        }

        await GoOnAsync(context, secret, person, OfProvider(provider.Name));
    }

    private async Task TryAsync(HttpContext context, string secret, string user, string password)
    {
        if (await requests.FindAsync(context, secret) is not { } data)
        {
            return;
        }

        var who = Attempts.Who(context.Connection.RemoteIpAddress);
        var name = user.Length > 256 ? "" : user;
        // The address first: names are the sender's to make up, and each would be counted.
        var wait = attempts.TryTake("passwords from", who, TriesPerAddress, TryWindow)
            ?? attempts.TryTake("password from", $"{who} {name}", TriesPerUserAndAddress, TryWindow)
            ?? attempts.TryTake("password", name, TriesPerUser, TryWindow);
        if (wait is { } seconds)
        {
            context.Response.Headers.RetryAfter = seconds.ToString();
            await PageAsync(context, StatusCodes.Status429TooManyRequests, secret, data, $"Too many tries. Try again in {(seconds + 59) / 60} minutes.");
            return;
        }

        // Compared with something also where nobody is called so, in the same time.
        var users = config.Current.Auth.OAuth.Users;
        var isKnown = users.TryGetValue(user, out var known);
        if (!Secret.Same(password, known?.Password ?? "") || !isKnown || known!.Password.Length == 0)
        {
            Log.WrongPassword(logger, who);
            // What was typed may be a password in the wrong field: only a name that is known is written.
            Note(context, "failed", Person.OfConfiguration, isKnown ? name : null, ByPassword, "wrong name or password");
            await PageAsync(context, StatusCodes.Status403Forbidden, secret, data, "That name and password are not known here.");
            return;
        }

        await GoOnAsync(context, secret, new Person(Person.OfConfiguration, user, user, known.Email, known.Groups, known.Roles), ByPassword);
    }

    private async Task GoOnAsync(HttpContext context, string secret, Person person, string credential)
    {
        var browser = await browsers.SignInAsync(context, person);
        if (await requests.MoveAsync(context, secret, browser) is { } moved)
        {
            Log.SignedIn(logger, person.Issuer);
            Note(context, "ok", person.Issuer, person.Subject, credential, null);
            AuthorizeEndpoint.Redirect(context, $"{address.Of(context)}/oauth/consent?request={Uri.EscapeDataString(moved)}");
        }
    }

    private void Note(HttpContext context, string outcome, string? issuer, string? user, string credential, string? reason)
    {
        if (audit.IsOn)
        {
            audit.Write(new AuditEntry("sign_in", outcome) { Issuer = issuer, User = user, Credential = credential, Address = context.Connection.RemoteIpAddress?.ToString(), Reason = reason });
        }
    }

    private static string OfProvider(string name) => $"provider:{name}";

    private static string TitleOf(string name) => name.ToLowerInvariant() switch
    {
        "google" => "Google",
        "github" => "GitHub",
        _ => name,
    };

    private static partial class Log
    {
        [LoggerMessage(830, LogLevel.Information, "Somebody signed in; {Issuer} vouches.", EventName = "SignedIn")]
        public static partial void SignedIn(ILogger logger, string issuer);

        [LoggerMessage(831, LogLevel.Warning, "Somebody was not let in by provider {Provider}: {Reason}", EventName = "NotSignedIn")]
        public static partial void NotSignedIn(ILogger logger, string provider, string reason);

        [LoggerMessage(832, LogLevel.Warning, "A wrong name or password was tried from {Address}.", EventName = "WrongPassword")]
        public static partial void WrongPassword(ILogger logger, string address);
    }
}
