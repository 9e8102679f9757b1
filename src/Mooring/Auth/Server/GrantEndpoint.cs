using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Mooring.Auth.Server.Providers;
using Mooring.Audit;
using Mooring.Configuration;
using Mooring.Stores;

namespace Mooring.Auth.Server;

/// <summary>
/// Codes and refresh tokens become tokens (OAuth 2.1, 4.1.3 and 4.3). Each works once. One that comes a second time was stolen, from the client or by
/// it: everything that came of the same consent ends then. What is given is written first and the use last, so that where the store fails on the way
/// nothing was used and the client may try again.
/// </summary>
internal sealed partial class GrantEndpoint(
    ConfigStore config, IAuthStore store, Authenticator authenticator, IdentityProviders providers, Attempts attempts, PublicAddress address, TimeProvider time, AuditLog audit, ILogger<GrantEndpoint> logger)
{
    public const string RefreshPrefix = "mrr_";

    private const int PerMinute = 300;

    public async Task AnswerAsync(HttpContext context)
    {
        if (await ReadAsync(context) is not { } form)
        {
            return;
        }

        switch (form.GetValueOrDefault("grant_type"))
        {
            case "authorization_code":
                await CodeAsync(context, form);
                return;
            case "refresh_token":
                await RefreshAsync(context, form);
                return;
            default:
                await RefuseAsync(context, "unsupported_grant_type", "grant_type must be authorization_code or refresh_token.");
                return;
        }
    }

    /// <summary>Takes a token away (RFC 7009). Whoever has it may; what is not known is as good as revoked.</summary>
    public async Task RevokeAsync(HttpContext context)
    {
        if (await ReadAsync(context) is not { } form)
        {
            return;
        }

        var token = form.GetValueOrDefault("token") ?? "";
        var kind = token.StartsWith(RefreshPrefix, StringComparison.Ordinal) ? AuthKind.RefreshToken : AuthKind.AccessToken;
        if (await store.FindAuthAsync(kind, Secret.KeyOf(token), time.GetUtcNow(), context.RequestAborted) is { } record
            && (form.GetValueOrDefault("client_id") is not { } client || AuthJson.Read<TokenData>(record).Client == client))
        {
            Note(context, "token_revoked", "ok", AuthJson.Read<TokenData>(record), kind == AuthKind.RefreshToken ? "refresh token" : "access token");
            if (kind == AuthKind.RefreshToken)
            {
                await EndAsync(record.Grant!);
            }
            else
            {
                await store.RemoveAuthAsync(kind, record.Key);
                authenticator.Forget(token);
            }
        }

        context.Response.Headers.CacheControl = "no-store";
        await OpenAnswers.WriteAsync(context, StatusCodes.Status200OK, []);
    }

    private async Task CodeAsync(HttpContext context, Dictionary<string, string> form)
    {
        var code = form.GetValueOrDefault("code") ?? "";
        var now = time.GetUtcNow();
        if (await store.FindAuthAsync(AuthKind.Code, Secret.KeyOf(code), now, context.RequestAborted) is not { } record)
        {
            await RefuseAsync(context, "invalid_grant", "The code is not known, or is older than a minute.");
            return;
        }

        var data = AuthJson.Read<CodeData>(record);
        if (IsUsedUp(record, now))
        {
            await UsedTwiceAsync(context, record, data.Token);
            return;
        }

        var problem = form.GetValueOrDefault("client_id") != data.Token.Client ? "It was issued to another client."
            // OAuth 2.1 (10.2) has taken it out of this request: PKCE says whose the code is. Clients of OAuth 2.0 send it, and it is held against the code.
            : form.GetValueOrDefault("redirect_uri") is { Length: > 0 } redirectUri && redirectUri != data.RedirectUri ? "redirect_uri is not the one it was sent to."
            : form.GetValueOrDefault("code_verifier") is not { Length: >= 43 and <= 128 } verifier || !Secret.Same(ChallengeOf(verifier), data.Challenge) ? "code_verifier does not belong to it."
            : null;
        if (problem is not null)
        {
            await EndAsync(record.Grant!);
            await RefuseAsync(context, "invalid_grant", problem);
            return;
        }

        if (!IsSameResource(context, form, data.Token.Path))
        {
            await RefuseAsync(context, "invalid_target", "resource is another one than the code was issued for.");
            return;
        }

        await GiveAsync(context, record, data.Token, data.Token.Scopes, data.Refreshes, now);
    }

    private async Task RefreshAsync(HttpContext context, Dictionary<string, string> form)
    {
        var now = time.GetUtcNow();
        var token = form.GetValueOrDefault("refresh_token") ?? "";
        var known = await store.FindAuthAsync(AuthKind.RefreshToken, Secret.KeyOf(token), now, context.RequestAborted);
        if (known is null || AuthJson.Read<TokenData>(known) is not { } data || form.GetValueOrDefault("client_id") != data.Client)
        {
            // Not used up by somebody who does not even know whose it is.
            await RefuseAsync(context, "invalid_grant", "The refresh token is not known, has expired, was revoked, or was issued to another client.");
            return;
        }

        if (!IsSameResource(context, form, data.Path))
        {
            await RefuseAsync(context, "invalid_target", "resource is another one than was allowed.");
            return;
        }

        IReadOnlyList<string> asked = form.TryGetValue("scope", out var text) && text.Length > 0 ? [.. Scopes.Parse(text).Where(scope => Scopes.All.Contains(scope))] : data.Scopes;
        if (asked.Count == 0 || asked.Any(scope => !data.Scopes.Contains(scope)))
        {
            await RefuseAsync(context, "invalid_scope", "That is more than was allowed.");
            return;
        }

        if (IsUsedUp(known, now))
        {
            await UsedTwiceAsync(context, known, data);
            return;
        }

        await GiveAsync(context, known, data, asked, refreshes: true, now);
    }

    /// <param name="context">The request.</param>
    /// <param name="given">The code or the refresh token, as it was found.</param>
    /// <param name="data">What it says.</param>
    /// <param name="scopes">What is given for it.</param>
    /// <param name="refreshes">Whether a refresh token is.</param>
    /// <param name="now">When it is used.</param>
    private async Task GiveAsync(HttpContext context, AuthRecord given, TokenData data, IReadOnlyList<string> scopes, bool refreshes, DateTimeOffset now)
    {
        var grant = given.Grant!;
        if (await LastAsync(context, given, data, now) is not { } last)
        {
            return;
        }

        // :: 1 what is given: nobody knows the secrets yet
        var oauth = config.Current.Auth.OAuth;
        DateTimeOffset End(TimeSpan lifetime) => now + lifetime < last ? now + lifetime : last;
        // Who is an administrator may have changed since.
        scopes = [.. scopes.Where(scope => scope != Scopes.Admin || Scopes.IsAdmin(config.Current.Auth, data.Person))];
        var access = Secret.New(StoredTokens.AccessPrefix);
        await store.AddAuthAsync(new AuthRecord
        {
            Kind = AuthKind.AccessToken,
            Key = Secret.KeyOf(access),
            Grant = grant,
            Data = AuthJson.Write(data with { Scopes = scopes }),
            Created = now,
            Expires = End(oauth.AccessToken),
        });
        var answer = new JsonObject { ["access_token"] = access, ["token_type"] = "Bearer", ["expires_in"] = (long)(End(oauth.AccessToken) - now).TotalSeconds, ["scope"] = string.Join(' ', scopes) };
        if (refreshes)
        {
            var refresh = Secret.New(RefreshPrefix);
            await store.ExtendAuthAsync(AuthKind.Grant, grant, End(oauth.RefreshToken));
            await store.AddAuthAsync(new AuthRecord
            {
                Kind = AuthKind.RefreshToken,
                Key = Secret.KeyOf(refresh),
                Grant = grant,
                // What was allowed at first: an access token for less does not make the consent less.
                Data = AuthJson.Write(data),
                Created = now,
                Expires = End(oauth.RefreshToken),
            });
            answer["refresh_token"] = refresh;
        }

        // :: 2 the use, which decides
        if (await store.UseAuthAsync(given.Kind, given.Key, now) is not { } before)
        {
            // Its grant is gone, and what was given with it.
            await RefuseAsync(context, "invalid_grant", $"The {WordOf(given)} was revoked.");
            return;
        }

        if (IsUsedUp(before, now))
        {
            await UsedTwiceAsync(context, before, data);
            return;
        }

        Note(context, "token_issued", "ok", data, WordOf(given));
        context.Response.Headers.CacheControl = "no-store";
        await OpenAnswers.WriteAsync(context, StatusCodes.Status200OK, answer);
    }

    /// <summary>Until when what is given may work: then its person has to have signed in again. Null after answering that nothing may be given.</summary>
    private async Task<DateTimeOffset?> LastAsync(HttpContext context, AuthRecord given, TokenData data, DateTimeOffset now)
    {
        if (!providers.StillVouches(data.Person))
        {
            Note(context, "token_revoked", "unknown_person", data, WordOf(given));
            await EndAsync(given.Grant!);
            await RefuseAsync(context, "invalid_grant", "The person it was issued to is not known here any more.");
            return null;
        }

        if (!Clients.MayBe(config.Current.Auth.OAuth, data.Client))
        {
            Note(context, "token_revoked", "unknown_client", data, WordOf(given));
            await EndAsync(given.Grant!);
            await RefuseAsync(context, "invalid_grant", "The client it was issued to is let in no longer.");
            return null;
        }

        if (await store.FindAuthAsync(AuthKind.Grant, given.Grant!, now, context.RequestAborted) is not { } grant)
        {
            await RefuseAsync(context, "invalid_grant", $"The {WordOf(given)} was revoked.");
            return null;
        }

        var last = (AuthJson.Read<GrantData>(grant).SignedIn ?? grant.Created) + config.Current.Auth.OAuth.SignInAgainAfter;
        if (last <= now)
        {
            Note(context, "token_revoked", "sign_in_again", data, WordOf(given));
            await EndAsync(given.Grant!);
            await RefuseAsync(context, "invalid_grant", "It is too long ago that the person it was issued to signed in. Sign in again.");
            return null;
        }

        return last;
    }

    /// <summary>Whether what works once was used before, and not so shortly before that it may be the same client again.</summary>
    private bool IsUsedUp(AuthRecord given, DateTimeOffset now)
    {
        var leeway = given.Kind == AuthKind.RefreshToken ? config.Current.Auth.OAuth.RefreshLeeway : TimeSpan.Zero;
        return given.Used is { } used && (leeway == TimeSpan.Zero || now - used > leeway);
    }

    private async Task UsedTwiceAsync(HttpContext context, AuthRecord given, TokenData data)
    {
        Log.UsedTwice(logger, WordOf(given));
        Note(context, "token_revoked", "used_twice", data, WordOf(given));
        await EndAsync(given.Grant!);
        await RefuseAsync(context, "invalid_grant", $"The {WordOf(given)} was used already; everything that came of the same consent is revoked. Sign in again.");
    }

    private static string WordOf(AuthRecord given) => given.Kind == AuthKind.Code ? "code" : "refresh token";

    private void Note(HttpContext context, string what, string outcome, TokenData data, string reason)
    {
        if (audit.IsOn)
        {
            audit.Write(new AuditEntry(what, outcome)
            {
                Issuer = data.Person.Issuer,
                User = data.Person.Subject,
                Client = data.Client,
                Address = context.Connection.RemoteIpAddress?.ToString(),
                Reason = reason,
            });
        }
    }

    /// <summary>Everything that came of one consent ends.</summary>
    private async Task EndAsync(string grant)
    {
        await store.RemoveAuthAsync(AuthKind.Grant, grant);
        authenticator.Doubt(grant);
    }

    private bool IsSameResource(HttpContext context, Dictionary<string, string> form, string? path) =>
        !form.TryGetValue("resource", out var resource) || (address.PathOf(context, resource) is { } asked && asked == (path ?? ""));

    private static string ChallengeOf(string verifier) => Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(verifier)));

    private static Task RefuseAsync(HttpContext context, string error, string why) => OpenAnswers.RefuseAsync(context, StatusCodes.Status400BadRequest, error, why);

    /// <summary>What was sent; null after answering. A form, or JSON as clients of earlier deployments send it.</summary>
    private async Task<Dictionary<string, string>?> ReadAsync(HttpContext context)
    {
        if (OpenAnswers.Preflight(context, "POST, OPTIONS"))
        {
            return null;
        }

        if (!HttpMethods.IsPost(context.Request.Method))
        {
            context.Response.Headers.Allow = "POST, OPTIONS";
            await OpenAnswers.RefuseAsync(context, StatusCodes.Status405MethodNotAllowed, "invalid_request", "Ask with POST.");
            return null;
        }

        if (attempts.TryTake("token", Attempts.Who(context.Connection.RemoteIpAddress), PerMinute, TimeSpan.FromMinutes(1)) is { } seconds)
        {
            context.Response.Headers.RetryAfter = seconds.ToString();
            await OpenAnswers.RefuseAsync(context, StatusCodes.Status429TooManyRequests, "temporarily_unavailable", "Too many requests from this address.");
            return null;
        }

        var form = await FormAsync(context);
        if (form is null)
        {
            await RefuseAsync(context, "invalid_request", "The body must be a form, with each name once.");
            return null;
        }

        if (!form.ContainsKey("client_id") && BasicName(context.Request.Headers.Authorization) is { } name)
        {
            // A client without a secret may name itself that way too.
            form["client_id"] = name;
        }

        return form;
    }

    private static async Task<Dictionary<string, string>?> FormAsync(HttpContext context)
    {
        if (context.Request.ContentType?.StartsWith("application/json", StringComparison.OrdinalIgnoreCase) is not true)
        {
            return await Forms.ReadAsync(context);
        }

        try
        {
            var all = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (var (key, value) in OneNameJson.Parse(await Forms.BodyAsync(context))?.AsObject() ?? [])
            {
                all[key] = value is JsonValue text && text.TryGetValue<string>(out var plain) ? plain : "";
            }

            return all;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private static string? BasicName(string? header)
    {
        if (header is null || !header.StartsWith("Basic ", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var buffer = new byte[header.Length];
        return Convert.TryFromBase64String(header[6..], buffer, out var length) ? Uri.UnescapeDataString(Encoding.UTF8.GetString(buffer, 0, length).Split(':')[0].Replace('+', ' ')) : null;
    }

    private static partial class Log
    {
        [LoggerMessage(840, LogLevel.Warning, "A {What} was used a second time; everything that came of the same consent was revoked.", EventName = "UsedTwice")]
        public static partial void UsedTwice(ILogger logger, string what);
    }
}
