using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Mooring.Auth.Server;
using Mooring.Configuration;
using Mooring.Network;
using Mooring.Stores;

namespace Mooring.Auth;

/// <summary>The paths of who may come in: metadata, and the gateway's own authorization server.</summary>
internal sealed partial class AuthEndpoints(
    ConfigStore config, ResourceMetadata resources, ServerMetadata server, AuthorizeEndpoint authorize, SignInEndpoint signIn, ConsentEndpoint consent, GrantEndpoint token, Registration registration,
    PublicAddress address, Attempts attempts, ILogger<AuthEndpoints> logger)
{
    /// <summary>Pages that one address may open: each asks the store for what its request names. Whoever signs in opens three of them, and an office may do so behind one address.</summary>
    internal const int PagesPerMinute = 360;

    private static readonly string[] Methods = ["GET", "POST", "OPTIONS", "HEAD"];

    /// <param name="routes">Where to map them.</param>
    /// <param name="checkHost">Says what is wrong with the name a request came by; null: nothing.</param>
    public void Map(IEndpointRouteBuilder routes, Func<HttpContext, string?> checkHost)
    {
        void Add(string path, Func<HttpContext, Task> answer) => routes.MapMethods(path, Methods, context => AnswerAsync(context, answer, checkHost));
        void AddServer(string path, Func<HttpContext, Task> answer) => Add(path, context => config.Current.Auth.Has(AuthMode.OAuth)
            ? answer(context)
            : OpenAnswers.RefuseAsync(context, StatusCodes.Status404NotFound, "not_found", "The gateway issues no tokens (auth.mode)."));

        void AddPage(string path, Func<HttpContext, Task> answer) => AddServer(path, context =>
            attempts.TryTake("page", Attempts.Who(context.Connection.RemoteIpAddress), PagesPerMinute, TimeSpan.FromMinutes(1)) is { } seconds ? Pages.WaitAsync(context, seconds) : answer(context));

        Add(ResourceMetadata.Path, context => resources.AnswerAsync(context, ""));
        Add(ResourceMetadata.Path + "/{**path}", context => resources.AnswerAsync(context, (string?)context.GetRouteValue("path") ?? ""));
        AddServer(ServerMetadata.Path, server.AnswerAsync);
        // Clients of 2025-03-26 take the path they connect to for the issuer's; what they find says who it is.
        AddServer(ServerMetadata.Path + "/{**path}", server.AnswerAsync);
        AddServer("/oauth/authorize", authorize.AnswerAsync);
        AddPage("/oauth/signin", signIn.AnswerAsync);
        AddPage("/oauth/signin/{provider}", signIn.VisitAsync);
        AddPage("/oauth/consent", consent.AnswerAsync);
        AddServer("/oauth/token", token.AnswerAsync);
        AddServer("/oauth/revoke", token.RevokeAsync);
        AddServer("/oauth/register", registration.AnswerAsync);
        AddPage("/oauth/callback", signIn.CallbackAsync);
        // What providers were told in earlier deployments.
        AddPage("/auth/callback", signIn.CallbackAsync);
    }

    private async Task AnswerAsync(HttpContext context, Func<HttpContext, Task> answer, Func<HttpContext, string?> checkHost)
    {
        address.Harden(context);
        if (checkHost(context) is { } wrong)
        {
            await OpenAnswers.RefuseAsync(context, StatusCodes.Status403Forbidden, "access_denied", wrong);
            return;
        }

        // Much of this asks the store, or others.
        await WaitingThreads.Leave();
        try
        {
            await answer(context);
        }
        catch (StoreException e) when (!context.Response.HasStarted)
        {
            Log.StoreFailed(logger, e.Message);
            context.Response.Headers.RetryAfter = "2";
            await OpenAnswers.RefuseAsync(context, StatusCodes.Status503ServiceUnavailable, "temporarily_unavailable", "The gateway's store is not reachable just now. Try again.");
        }
    }

    private static partial class Log
    {
        [LoggerMessage(810, LogLevel.Warning, "Somebody could not be served while signing in, the store failed: {Reason}", EventName = "SignInStoreFailed")]
        public static partial void StoreFailed(ILogger logger, string reason);
    }
}
