using Microsoft.AspNetCore.Http;
using Mooring.Stores;

namespace Mooring.Auth.Server;

/// <summary>
/// Where a client sends a person's browser (OAuth 2.1, 4.1.1). What is wrong is told to the client only where it is known that the address to tell it
/// to is the client's own, and that somebody other than the client itself answers for it; else it is told to the person.
/// </summary>
internal sealed class AuthorizeEndpoint(Clients clients, Requests requests, Browsers browsers, Attempts attempts, PublicAddress address, Configuration.ConfigStore config)
{
    /// <summary>Requests of all together that are put into the store, by each process: many addresses cost a stranger little.</summary>
    internal const int PerMinuteInAll = 3000;
    internal const string InAll = "authorization request";

    private const int PerMinute = 120;

    /// <summary>Documents of clients that one address may have the gateway ask for.</summary>
    private const int DocumentsPerMinute = 20;

    private const int LongestState = 4096;

    public async Task AnswerAsync(HttpContext context)
    {
        if (!HttpMethods.IsGet(context.Request.Method))
        {
            context.Response.Headers.Allow = "GET";
            await Pages.ProblemAsync(context, StatusCodes.Status405MethodNotAllowed, "This cannot be opened that way", "The program that sent you here should open this address as a page.");
            return;
        }

        var query = context.Request.Query;
        string? One(string name) => query[name] is [{ Length: > 0 } value] ? value : null;
        var (id, who, minute) = (One("client_id"), Attempts.Who(context.Connection.RemoteIpAddress), TimeSpan.FromMinutes(1));
        var wait = attempts.TryTake("authorize", who, PerMinute, minute) ?? (id is not null && clients.HasToAsk(id) ? attempts.TryTake("document", who, DocumentsPerMinute, minute) : null);
        if (wait is { } seconds)
        {
            await Pages.WaitAsync(context, seconds);
            return;
        }

        // :: 1 who asks, and where the answer may go
        var found = id is not null ? await clients.FindAsync(id, context.Connection.RemoteIpAddress, context.RequestAborted) : new ClientFound(null, Problem: "It did not say who it is (client_id).");
        if (found.Wait is { } documentWait)
        {
            await Pages.WaitAsync(context, documentWait);
            return;
        }

        if (found.Data is not { } client)
        {
            await Pages.ProblemAsync(context, StatusCodes.Status400BadRequest, "The program that sent you here is not known", found.Problem!);
            return;
        }

        if (One("redirect_uri") is not { } redirectUri || !RedirectUris.Matches(client.RedirectUris, redirectUri, config.Current.Auth.OAuth.RedirectSchemes))
        {
            await Pages.ProblemAsync(context, StatusCodes.Status400BadRequest, "The answer would go to the wrong place",
                $"{client.Name ?? "The program that sent you here"} wants the answer at an address (redirect_uri) that is not one of those it registered.");
            return;
        }

        // :: 2 what it asks for
        var state = One("state");
        Task RefuseAsync(string error, string why)
        {
            var back = Back(context, redirectUri, state is { Length: <= LongestState } ? state : null, ("error", error), ("error_description", why));
            if (!config.Current.Auth.OAuth.Clients.ContainsKey(client.Id) && !RedirectUris.IsOnThePersonsMachine(redirectUri))
            {
                // Anybody can register an address, or publish a document: whoever was asked nothing is led to none of them (RFC 9700, 4.11.2).
                return Pages.RefusedAsync(context, client.Name, redirectUri, why, back);
            }

            Redirect(context, back);
            return Task.CompletedTask;
        }

        if (query.Any(pair => pair.Value.Count > 1))
        {
            await RefuseAsync("invalid_request", "A parameter stands more than once.");
            return;
        }

        if (One("response_type") is not "code")
        {
            await RefuseAsync("unsupported_response_type", "response_type must be code.");
            return;
        }

        if (state is { Length: > LongestState } || One("code_challenge") is not { Length: 43 } challenge || !challenge.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_') || One("code_challenge_method") is not "S256")
        {
            await RefuseAsync("invalid_request", "PKCE with code_challenge_method S256 is needed, and a state of at most 4096 characters.");
            return;
        }

        string? path = null;
        if (One("resource") is { } resource && ((path = address.PathOf(context, resource)) is null || !IsResource(path)))
        {
            await RefuseAsync("invalid_target", "resource is none of this gateway's.");
            return;
        }

        var prompts = Scopes.Parse(One("prompt"));
        if (prompts.Contains("none"))
        {
            // What a client may do is a person's to say, each time.
            await RefuseAsync("consent_required", "A person has to allow it.");
            return;
        }

        // :: 3 on to whoever is to decide
        if (attempts.TryTake(InAll, "", PerMinuteInAll, minute) is { } pause)
        {
            await Pages.WaitAsync(context, pause);
            return;
        }

        var asked = Scopes.Parse(One("scope")).Where(scope => Scopes.All.Contains(scope)).ToList();
        var secret = await requests.AddAsync(new RequestData(
            browsers.Know(context), client with { RedirectUris = [] }, found.Source, redirectUri, state, challenge, asked.Count == 0 ? [Scopes.Use] : asked, path is "" ? null : path, prompts.Contains("login")));
        Redirect(context, $"{address.Of(context)}/oauth/consent?request={Uri.EscapeDataString(secret)}");
    }

    /// <summary>Sends the browser back to the client, with the issuer that answers (RFC 9207).</summary>
    public Task AnswerClientAsync(HttpContext context, string redirectUri, string? state, params (string Name, string Value)[] parameters)
    {
        Redirect(context, Back(context, redirectUri, state, parameters));
        return Task.CompletedTask;
    }

    private string Back(HttpContext context, string redirectUri, string? state, params (string Name, string Value)[] parameters)
    {
        var all = parameters.Append(("iss", address.Of(context)));
        var text = string.Join('&', (state is null ? all : all.Append(("state", state))).Select(pair => $"{pair.Item1}={Uri.EscapeDataString(pair.Item2)}"));
        return redirectUri + (redirectUri.Contains('?', StringComparison.Ordinal) ? "&" : "?") + text;
    }

    public static void Redirect(HttpContext context, string to)
    {
        Pages.Guard(context);
        context.Response.StatusCode = StatusCodes.Status303SeeOther;
        context.Response.Headers.Location = to;
    }

    /// <summary>Whether a path is one that clients connect to.</summary>
    private static bool IsResource(string path)
    {
        if (path is "" or "/mcp" or "/mcp/sse" or "/sse" or "/admin" or "/admin/api")
        {
            return true;
        }

        return path.Split('/') is ["", "servers", { Length: > 0 }, "mcp" or "sse"];
    }
}
