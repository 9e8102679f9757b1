using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features.Authentication;
using Mooring.Audit;
using Mooring.Auth.Issuers;
using Mooring.Auth.Server;
using Mooring.Configuration;
using Mooring.Protocol;

namespace Mooring.Auth;

/// <summary>
/// Lets a request in, or says what it would need (RFC 6750; 2025-11-25, basic/authorization, "Error Handling"): 401 where nobody is known, with the way to the metadata from which a
/// client finds where to sign in; 403 where somebody is known who may not do this, with the scope that would be needed.
/// </summary>
internal sealed class Doorkeeper(ConfigStore config, Authenticator authenticator, PublicAddress address, AuthMetrics metrics, AuditLog audit, AuditPace pace)
{
    private static readonly Task<bool> Entered = Task.FromResult(true);

    /// <summary>Whether the gateway asks nobody who they are; a host around it may have.</summary>
    public bool IsOpen => config.Current.Auth.IsOpen;

    /// <summary>Whether the request may go on; false after answering why not. Whoever is known is the user of the request then.</summary>
    /// <param name="context">The request.</param>
    /// <param name="scope">What the caller must be allowed to do.</param>
    /// <param name="path">What is asked for; a token must be issued for that.</param>
    public Task<bool> EnterAsync(HttpContext context, string scope, string path) => TryEnter(context, scope, path, out var otherwise) ? Entered : otherwise;

    /// <summary>As <see cref="EnterAsync"/>, for those with many to let in: true where there is nothing to wait for.</summary>
    /// <param name="context">The request.</param>
    /// <param name="scope">What the caller must be allowed to do.</param>
    /// <param name="path">What is asked for; a token must be issued for that.</param>
    /// <param name="otherwise">What <see cref="EnterAsync"/> would give.</param>
    public bool TryEnter(HttpContext context, string scope, string path, out Task<bool> otherwise)
    {
        otherwise = Entered;
        if (IsOpen || (scope == Scopes.Use && IsKnownToTheHost(context)))
        {
            return true;
        }

        var finding = authenticator.FindAsync(context);
        if (!finding.IsCompletedSuccessfully)
        {
            otherwise = AwaitAsync(context, finding, scope, path);
            return false;
        }

        var (caller, found) = finding.Result;
        if (May(context, caller, scope, path))
        {
            return true;
        }

        otherwise = RefuseAsync(context, caller, found, scope, path);
        return false;
    }

    /// <summary>Whether an application around the gateway knows who it is; who is an administrator of the gateway it does not say.</summary>
    private static bool IsKnownToTheHost(HttpContext context) => context.Features.Get<IHttpAuthenticationFeature>()?.User is { Identity.IsAuthenticated: true };

    private async Task<bool> AwaitAsync(HttpContext context, ValueTask<(Caller? Caller, TokenFound Found)> finding, string scope, string path)
    {
        var (caller, found) = await finding;
        return May(context, caller, scope, path) || await RefuseAsync(context, caller, found, scope, path);
    }

    /// <summary>An endpoint for administrators is used, or was not to be. Looking changes nothing, and is not noted.</summary>
    public void NoteAdmin(HttpContext context, string outcome, string? reason = null)
    {
        if (audit.IsOn && !HttpMethods.IsGet(context.Request.Method))
        {
            if (outcome == "refused" && !pace.TryTake("admin", WhoOf(context, context.User as Caller), out _))
            {
                return;
            }

            var person = (context.User as Caller)?.Person;
            audit.Write(new AuditEntry("admin", outcome)
            {
                Issuer = person?.Issuer,
                User = person?.Subject,
                Credential = (context.User as Caller)?.Credential,
                Method = context.Request.Method,
                Name = context.Request.Path,
                Address = context.Connection.RemoteIpAddress?.ToString(),
                Reason = reason,
            });
        }
    }

    private bool May(HttpContext context, Caller? caller, string scope, string path)
    {
        if (caller is null || !caller.IsFor(PublicAddress.TokenPathOf(path)) || !Scopes.Covers(caller.Scopes, scope))
        {
            return false;
        }

        context.User = caller;
        return true;
    }

    private async Task<bool> RefuseAsync(HttpContext context, Caller? caller, TokenFound found, string scope, string path)
    {
        address.Harden(context);
        var response = context.Response;
        var isFor = caller is null || caller.IsFor(PublicAddress.TokenPathOf(path));
        var reason = found switch
        {
            TokenFound.Missing => "missing",
            TokenFound.Expired => "expired",
            TokenFound.StoreAway => "store_away",
            TokenFound.KeysAway or TokenFound.KeysOlder => "keys_away",
            TokenFound.TooMany => "too_many",
            TokenFound.Good => isFor ? "scope" : "audience",
            _ => "unknown",
        };
        metrics.Refused(reason);
        // Without a token clients ask each time they look where to sign in: that is no try.
        if (audit.IsOn && found is not (TokenFound.Missing or TokenFound.StoreAway or TokenFound.KeysAway or TokenFound.KeysOlder or TokenFound.TooMany) && pace.TryTake(reason, WhoOf(context, caller), out var leftOut))
        {
            audit.Write(new AuditEntry("token_refused", reason)
            {
                Issuer = caller?.Person.Issuer,
                User = caller?.Person.Subject,
                Credential = caller?.Credential,
                Address = context.Connection.RemoteIpAddress?.ToString(),
                Name = context.Request.Path,
                Reason = AuditPace.Say(leftOut),
            });
        }

        if (found == TokenFound.StoreAway)
        {
            response.Headers.RetryAfter = "2";
            await WriteAsync(context, StatusCodes.Status503ServiceUnavailable, "The gateway's store is not reachable just now, so it cannot tell whose token this is. Try again.");
            return false;
        }

        if (found is TokenFound.KeysAway or TokenFound.KeysOlder)
        {
            // Not 401: clients would throw away a token that is good.
            response.Headers.RetryAfter = ((int)RemoteIssuer.Pause.TotalSeconds).ToString();
            await WriteAsync(context, StatusCodes.Status503ServiceUnavailable, "The keys of the token's issuer cannot be had just now, so the gateway cannot tell whose token this is. Try again.");
            return false;
        }

        if (found == TokenFound.TooMany)
        {
            response.Headers.RetryAfter = authenticator.WaitOf(context).ToString();
            await WriteAsync(context, StatusCodes.Status429TooManyRequests, "Too many tokens that are not known were shown from this address. Try again later.");
            return false;
        }

        var (status, error, why) = found switch
        {
            TokenFound.Missing => (StatusCodes.Status401Unauthorized, null, "A token is needed: Authorization: Bearer, and the token."),
            TokenFound.Expired => (StatusCodes.Status401Unauthorized, "invalid_token", "The token has expired."),
            TokenFound.Good when !isFor => (StatusCodes.Status401Unauthorized, "invalid_token", "The token was issued for another resource."),
            TokenFound.Good => (StatusCodes.Status403Forbidden, "insufficient_scope", $"This needs the scope {scope}."),
            _ => (StatusCodes.Status401Unauthorized, "invalid_token", "The token is not known, or was revoked."),
        };
        response.Headers.WWWAuthenticate = Challenge(context, error, why, scope, path);
        response.Headers.CacheControl = "no-store";
        await WriteAsync(context, status, why);
        return false;
    }

    private static string WhoOf(HttpContext context, Caller? caller) =>
        caller is null ? Attempts.Who(context.Connection.RemoteIpAddress) : $"{caller.Person.Issuer} {caller.Person.Subject}";

    private string Challenge(HttpContext context, string? error, string why, string scope, string path)
    {
        var challenge = new StringBuilder("Bearer");
        var first = true;
        void Add(string name, string value)
        {
            challenge.Append(first ? " " : ", ").Append(name).Append("=\"").Append(value.Replace("\"", "'", StringComparison.Ordinal)).Append('"');
            first = false;
        }

        if (error is not null)
        {
            Add("error", error);
            // Header values are ASCII.
            Add("error_description", why);
        }

        if (ResourceMetadata.HasIssuers(config.Current.Auth))
        {
            if (Scopes.Words(config.Current.Auth, scope) is { Count: > 0 } words)
            {
                Add("scope", string.Join(' ', words));
            }

            // The admin paths are served under any name, which must not come back as the gateway's own.
            var root = address.Of(context);
            if (config.Current.PublicUrl is null && scope == Scopes.Admin && !(Uri.TryCreate(root, UriKind.Absolute, out var own) && own.IsLoopback))
            {
                return challenge.ToString();
            }

            // Paths come decoded, and may hold what no header may.
            Add("resource_metadata", $"{root}{ResourceMetadata.Path}{new PathString(PublicAddress.ResourceOf(path)).ToUriComponent()}");
        }

        return challenge.ToString();
    }

    private static async Task WriteAsync(HttpContext context, int status, string message)
    {
        var body = JsonRpc.Error(default, JsonRpc.ServerError, message);
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, CancellationToken.None);
    }
}
