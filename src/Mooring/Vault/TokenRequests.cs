using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Mooring.Telemetry;

namespace Mooring.Vault;

/// <summary>Asks token endpoints for tokens (RFC 6749, 4.1.3 and 6; RFC 8693). One per process.</summary>
internal sealed class TokenRequests(VaultHttp http, TimeProvider time)
{
    /// <summary>How long a token endpoint may take; well below the lease on a refresh, which must not end before it.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    /// <summary>How long it may take to take a token back: a person waits for it.</summary>
    private static readonly TimeSpan RevokePatience = TimeSpan.FromSeconds(10);

    public Task<TokenAnswer> RefreshAsync(TokenClient client, Credential credential, CancellationToken cancel) => AskAsync(
        client, [new("grant_type", "refresh_token"), new("refresh_token", credential.RefreshToken!)], credential, cancel);

    /// <summary>Exchanges the code that a person brought back from the provider.</summary>
    public Task<TokenAnswer> RedeemAsync(TokenClient client, string code, string redirectUri, string verifier, CancellationToken cancel) => AskAsync(
        client, [new("grant_type", "authorization_code"), new("code", code), new("redirect_uri", redirectUri), new("code_verifier", verifier)], null, cancel);

    /// <summary>Says that a token is wanted no longer (RFC 7009): the refresh token, with which the others end, where there is one.</summary>
    /// <returns>What went wrong; null: it was taken.</returns>
    public async Task<string?> RevokeAsync(TokenClient client, Uri at, Credential credential, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, at);
        List<KeyValuePair<string, string>> fields =
        [
            new("token", credential.RefreshToken ?? credential.AccessToken), new("token_type_hint", credential.RefreshToken is null ? "access_token" : "refresh_token"),
        ];
        Identify(request, client with { Resource = null }, fields);
        request.Content = new FormUrlEncodedContent(fields);
        var (status, body, fault) = await http.AskAsync(request, RevokePatience, client.NamedBy, cancel);
        return fault is not null ? $"it could not be asked: {fault}"
            : (int)status is < 200 or >= 300 ? $"it answered HTTP {(int)status}"
            : IsRefusal(body, out var word) ? $"it answered {word}"
            : null;
    }

    /// <param name="client">Who asks, and where.</param>
    /// <param name="fields">The form, without what says who the client is.</param>
    /// <param name="before">What is refreshed: the answer need not repeat what stays.</param>
    /// <param name="cancel">Gives up.</param>
    public async Task<TokenAnswer> AskAsync(
        TokenClient client, List<KeyValuePair<string, string>> fields, Credential? before, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, client.TokenUrl);
        Identify(request, client, fields);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        request.Content = new FormUrlEncodedContent(fields);
        var (status, body, fault) = await http.AskAsync(request, Patience, client.NamedBy, cancel);
        if (fault is not null)
        {
            return Failed($"it could not be asked: {fault}");
        }

        return Read(status, body, before);
    }

    private static void Identify(HttpRequestMessage request, TokenClient client, List<KeyValuePair<string, string>> fields)
    {
        if (client is { UsesBasic: true, ClientSecret: { } secret })
        {
            var pair = $"{Uri.EscapeDataString(client.ClientId)}:{Uri.EscapeDataString(secret)}";
            request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(pair)));
        }
        else
        {
            fields.Add(new("client_id", client.ClientId));
            if (client.ClientSecret is { } inBody)
            {
                fields.Add(new("client_secret", inBody));
            }
        }

        if (client.Resource is { } resource)
        {
            fields.Add(new("resource", resource));
        }
    }

    private static TokenAnswer Failed(string why) => new(TokenOutcome.Failed, null, why);

    private TokenAnswer Read(HttpStatusCode status, byte[] body, Credential? before)
    {
        JsonElement answer;
        try
        {
            using var document = JsonDocument.Parse(body);
            answer = document.RootElement.Clone();
        }
        catch (JsonException)
        {
            return Failed($"it answered HTTP {(int)status} with something that is not JSON");
        }

        if (answer.ValueKind != JsonValueKind.Object)
        {
            return Failed($"it answered HTTP {(int)status} with something that is no token");
        }

        if (Text(answer, "error") is { } error)
        {
            // Only the word: its description may repeat what was sent.
            var outcome = OutcomeOf(error);
            return new TokenAnswer(outcome, null, outcome == TokenOutcome.Refused ? OAuthText.Word(error) : $"it answered HTTP {(int)status}, {OAuthText.Word(error)}") { Error = error };
        }

        answer = OfPerson(answer);
        if (status != HttpStatusCode.OK || Text(answer, "access_token") is not { Length: > 0 } token)
        {
            return Failed($"it answered HTTP {(int)status} without a token");
        }

        var now = time.GetUtcNow();
        return new TokenAnswer(
            TokenOutcome.Granted,
            new Credential
            {
                AccessToken = token,
                RefreshToken = Text(answer, "refresh_token") ?? before?.RefreshToken,
                Expires = Seconds(answer) is { } seconds ? now + TimeSpan.FromSeconds(seconds) : null,
                Scope = Text(answer, "scope") ?? before?.Scope,
                Received = now,
                Client = before?.Client,
                Link = before?.Link,
            },
            "");
    }

    /// <summary>The words of RFC 6749 (5.2), and those that Slack has in their place (its <c>oauth.v2.access</c>, in an HTTP 200 with <c>"ok":false</c>).</summary>
    private static TokenOutcome OutcomeOf(string error) => error switch
    {
        "invalid_grant" or "invalid_code" or "code_already_used" or "invalid_refresh_token" or "token_expired" or "token_revoked" or "account_inactive" => TokenOutcome.Refused,
        "invalid_client" or "invalid_client_id" or "bad_client_secret" => TokenOutcome.ClientRefused,
        _ => TokenOutcome.Failed,
    };

    /// <summary>
    /// The part of an answer that is about the person's token. Slack has it in <c>authed_user</c>; what stands beside it is of the app's bot, or nothing (Slack, <c>oauth.v2.access</c>).
    /// </summary>
    private static JsonElement OfPerson(JsonElement answer) =>
        answer.TryGetProperty("authed_user", out var person) && person.ValueKind == JsonValueKind.Object && Text(person, "access_token") is { Length: > 0 } ? person : answer;

    /// <summary>Whether it says itself that it did nothing, as Slack does in an HTTP 200.</summary>
    private static bool IsRefusal(byte[] body, out string word)
    {
        word = "";
        try
        {
            using var document = JsonDocument.Parse(body);
            if (document.RootElement.ValueKind != JsonValueKind.Object || !document.RootElement.TryGetProperty("ok", out var ok) || ok.ValueKind != JsonValueKind.False)
            {
                return false;
            }

            word = OAuthText.Word(Text(document.RootElement, "error"));
            return true;
        }
        catch (JsonException)
        {
            // Nothing has to stand there (RFC 7009, 2.2).
            return false;
        }
    }

    private static string? Text(JsonElement answer, string name) =>
        answer.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>Some providers write the number as a text. A year at most: what is more is no end.</summary>
    private static double? Seconds(JsonElement answer)
    {
        if (!answer.TryGetProperty("expires_in", out var value))
        {
            return null;
        }

        var isNumber = value.ValueKind == JsonValueKind.Number ? value.TryGetDouble(out var seconds)
            : double.TryParse(value.ToString(), System.Globalization.CultureInfo.InvariantCulture, out seconds);
        return isNumber && seconds is > 0 and < 366 * 24 * 3600 ? seconds : null;
    }
}
