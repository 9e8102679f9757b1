using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Mooring.Audit;
using Mooring.Configuration;
using Mooring.Stores;

namespace Mooring.Auth.Server;

/// <summary>Clients register themselves (RFC 7591). Anybody may, so it gives no right but to ask a person; it is bounded, and ends when nobody uses it.</summary>
internal sealed class Registration(ConfigStore config, IAuthStore store, Attempts attempts, TimeProvider time, AuditLog audit)
{
    /// <summary>How long a registration is kept of which nobody has allowed anything yet. Anybody may make them, so those that are of no use must not fill the place of others.</summary>
    public static readonly TimeSpan Unproven = TimeSpan.FromHours(1);

    /// <summary>What the id of each client that registered begins with.</summary>
    public const string Prefix = "mrc-";

    /// <summary>A network may register as often as this many addresses: whoever has one of its addresses often has them all, and could take the place of everybody else with them.</summary>
    internal const int AddressesPerNetwork = 10;

    private const int MostAddresses = 50;
    private const int LongestName = 120;

    public async Task AnswerAsync(HttpContext context)
    {
        if (OpenAnswers.Preflight(context, "POST, OPTIONS"))
        {
            return;
        }

        var oauth = config.Current.Auth.OAuth;
        if (!HttpMethods.IsPost(context.Request.Method) || !oauth.Registration)
        {
            await OpenAnswers.RefuseAsync(context, oauth.Registration ? StatusCodes.Status405MethodNotAllowed : StatusCodes.Status404NotFound, "invalid_request", "Clients do not register here that way.");
            return;
        }

        var (from, hour) = (context.Connection.RemoteIpAddress, TimeSpan.FromHours(1));
        var wait = attempts.TryTake("register", Attempts.Who(from), oauth.RegistrationsPerHour, hour)
            ?? attempts.TryTake("register from network", Attempts.NetworkOf(from), oauth.RegistrationsPerHour * AddressesPerNetwork, hour);
        if (wait is { } seconds)
        {
            context.Response.Headers.RetryAfter = seconds.ToString();
            await OpenAnswers.RefuseAsync(context, StatusCodes.Status429TooManyRequests, "temporarily_unavailable", "Too many registrations from this address, or the network around it (auth.oauth.registrationsPerHour).");
            return;
        }

        if (await ReadAsync(context) is not { } metadata)
        {
            Note(context, "refused", null, "invalid_client_metadata");
            await OpenAnswers.RefuseAsync(context, StatusCodes.Status400BadRequest, "invalid_client_metadata", "The body must be a JSON object of well-formed text, with each name once.");
            return;
        }

        var (data, problem) = Read(Prefix + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16)), metadata, oauth);
        if (data is null)
        {
            // What is wrong with an address may be a password in it: only the client is told in full.
            var error = problem!.StartsWith("redirect_uris", StringComparison.Ordinal) ? "invalid_redirect_uri" : "invalid_client_metadata";
            Note(context, "refused", null, error);
            await OpenAnswers.RefuseAsync(context, StatusCodes.Status400BadRequest, error, problem + ".");
            return;
        }

        if (await store.CountAuthAsync(AuthKind.Client, context.RequestAborted) >= oauth.Registrations)
        {
            Note(context, "refused", data, "too many clients");
            context.Response.Headers.RetryAfter = "3600";
            await OpenAnswers.RefuseAsync(context, StatusCodes.Status429TooManyRequests, "temporarily_unavailable", "Too many clients are registered (auth.oauth.registrations).");
            return;
        }

        var now = time.GetUtcNow();
        await store.AddAuthAsync(new AuthRecord { Kind = AuthKind.Client, Key = data.Id, Data = AuthJson.Write(data), Created = now, Expires = now + TimeSpan.FromTicks(Math.Min(Unproven.Ticks, oauth.RegistrationLifetime.Ticks)) });
        Note(context, "ok", data, string.Join(' ', data.RedirectUris.Select(RedirectUris.Plainly)));
        context.Response.Headers.CacheControl = "no-store";
        await OpenAnswers.WriteAsync(context, StatusCodes.Status201Created, new JsonObject
        {
            ["client_id"] = data.Id,
            ["client_id_issued_at"] = now.ToUnixTimeSeconds(),
            ["client_name"] = data.Name,
            ["redirect_uris"] = new JsonArray([.. data.RedirectUris.Select(uri => JsonValue.Create(uri))]),
            ["grant_types"] = data.Refreshes ? new JsonArray("authorization_code", "refresh_token") : new JsonArray("authorization_code"),
            ["response_types"] = new JsonArray("code"),
            ["token_endpoint_auth_method"] = "none",
        });
    }

    /// <summary>What a client says of itself, in a registration or in its document.</summary>
    /// <returns>What is wrong with it, where it is.</returns>
    internal static (ClientData? Data, string? Problem) Read(string id, JsonObject metadata, OAuthConfig oauth)
    {
        if (Words(metadata["redirect_uris"]) is not { Count: > 0 and <= MostAddresses } addresses)
        {
            return (null, $"redirect_uris must be a list of 1 to {MostAddresses} addresses");
        }

        foreach (var address in addresses)
        {
            if (RedirectUris.ProblemOf(address, oauth.RedirectSchemes) is { } problem)
            {
                return (null, $"redirect_uris: {(address.Length > 200 ? address[..200] + "…" : address)} {problem}");
            }
        }

        var grants = metadata["grant_types"] is null ? ["authorization_code", "refresh_token"] : Words(metadata["grant_types"]);
        if (grants is null || !grants.Contains("authorization_code"))
        {
            return (null, "grant_types must be a list with authorization_code in it");
        }

        if (metadata["response_types"] is { } responses && Words(responses)?.Contains("code") is not true)
        {
            return (null, "response_types must be a list with code in it");
        }

        return (new ClientData(id, NameOf(metadata["client_name"]), addresses, grants.Contains("refresh_token")), null);
    }

    /// <summary>Only past the limit of tries: without it, anybody could fill the log.</summary>
    private void Note(HttpContext context, string outcome, ClientData? data, string? reason)
    {
        if (audit.IsOn)
        {
            audit.Write(new AuditEntry("client_registered", outcome)
            {
                Client = outcome == "ok" ? data?.Id : null,
                Name = data?.Name,
                Address = context.Connection.RemoteIpAddress?.ToString(),
                Reason = reason,
            });
        }
    }

    /// <summary>What a client calls itself, without what could make a page say something else.</summary>
    private static string? NameOf(JsonNode? node)
    {
        if (node is not JsonValue value || !value.TryGetValue<string>(out var text))
        {
            return null;
        }

        return Pages.Plain(text, LongestName) is { Length: > 0 } plain ? plain : null;
    }

    private static List<string>? Words(JsonNode? node)
    {
        if (node is not JsonArray list)
        {
            return null;
        }

        List<string> words = [];
        foreach (var item in list)
        {
            if (item is not JsonValue value || !value.TryGetValue<string>(out var word))
            {
                return null;
            }

            words.Add(word);
        }

        return words;
    }

    private static async Task<JsonObject?> ReadAsync(HttpContext context)
    {
        try
        {
            return OneNameJson.Parse(await Forms.BodyAsync(context)) as JsonObject;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
