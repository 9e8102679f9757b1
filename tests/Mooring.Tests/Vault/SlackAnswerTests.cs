using System.Net;
using Mooring.Vault;
using Xunit;

namespace Mooring.Tests.Vault;

/// <summary>
/// Slack's token endpoint (<c>oauth.v2.access</c>), which has the person's token in a part of its answer, and refuses in an HTTP 200: its answers as its documentation has them.
/// </summary>
public sealed class SlackAnswerTests : IDisposable
{
    private const string Both = """
        {
          "ok": true, "access_token": "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcBrzbqgy", "token_type": "bot", "scope": "commands,incoming-webhook", "bot_user_id": "U0KRQLJ9H",
          "app_id": "A0KRD7HC3", "expires_in": 43200, "refresh_token": "xoxe-1-of-the-bot", "team": { "name": "Slack Pickleball Team", "id": "T9TK3CUKW" },
          "enterprise": { "name": "slack-pickleball", "id": "E12345678" },
          "authed_user": { "id": "U1234", "scope": "chat:write", "access_token": "xoxp-1234", "expires_in": 3600, "refresh_token": "xoxe-1-1234", "token_type": "user" }
        }
        """;

    private const string PersonAlone = """
        {
          "ok": true, "app_id": "A0KRD7HC3", "authed_user": { "id": "U1234", "scope": "search:read", "access_token": "xoxp-1234", "token_type": "user" },
          "team": { "id": "T9TK3CUKW" }, "enterprise": null, "is_enterprise_install": false
        }
        """;

    private const string Refreshed = """
        {
          "ok": true, "access_token": "xoxe.xoxp-1-next", "expires_in": 43200, "refresh_token": "xoxe-1-next", "token_type": "user", "scope": "chat:write", "user_id": "U1234",
          "app_id": "A0KRD7HC3", "team": { "id": "T9TK3CUKW", "name": "Slack Pickleball Team" }, "enterprise": null
        }
        """;

    private const string BotAlone = """
        { "ok": true, "access_token": "xoxb-1", "token_type": "bot", "scope": "commands", "bot_user_id": "U0KRQLJ9H", "app_id": "A0KRD7HC3", "authed_user": { "id": "U1234" } }
        """;

    private static readonly TokenClient s_slack = new("https://slack.test/api/oauth.v2.access", "1.2", "s");

    private readonly FakeClock _clock = new();
    private readonly FakeProvider _provider;
    private readonly TokenRequests _requests;

    public SlackAnswerTests()
    {
        _provider = new FakeProvider(_clock);
        _requests = new TokenRequests(new VaultHttp(_clock, _ => _provider), _clock);
    }

    public void Dispose() => _provider.Dispose();

    [Theory]
    [InlineData(Both, "xoxp-1234", "xoxe-1-1234", "chat:write", 3600)]
    [InlineData(PersonAlone, "xoxp-1234", null, "search:read", null)]
    [InlineData(Refreshed, "xoxe.xoxp-1-next", "xoxe-1-next", "chat:write", 43200)]
    // Nothing was asked of the person: it is what the configuration wanted.
    [InlineData(BotAlone, "xoxb-1", null, "commands", null)]
    public async Task Answer_WithTokens_IsThePersonsWhereThereIsOne(string body, string token, string? refresh, string scope, int? seconds)
    {
        _provider.Says = (HttpStatusCode.OK, body);

        var answer = await RedeemAsync();

        Assert.Equal(TokenOutcome.Granted, answer.Outcome);
        Assert.Equal((token, refresh, scope), (answer.Credential!.AccessToken, answer.Credential.RefreshToken, answer.Credential.Scope));
        Assert.Equal(seconds is { } life ? _clock.GetUtcNow().AddSeconds(life) : null, answer.Credential.Expires);
    }

    [Theory]
    [InlineData("invalid_code", "Refused")]
    [InlineData("code_already_used", "Refused")]
    [InlineData("invalid_refresh_token", "Refused")]
    [InlineData("token_revoked", "Refused")]
    [InlineData("account_inactive", "Refused")]
    [InlineData("bad_client_secret", "ClientRefused")]
    [InlineData("invalid_client_id", "ClientRefused")]
    [InlineData("ratelimited", "Failed")]
    public async Task Refusal_InAnHttp200_IsWhatItsWordSays_AndTheWordIsTold(string word, string expected)
    {
        _provider.Says = (HttpStatusCode.OK, $$"""{"ok":false,"error":"{{word}}"}""");

        var answer = await RedeemAsync();

        Assert.Equal((expected, null), (answer.Outcome.ToString(), answer.Credential));
        Assert.Contains(word, answer.Why, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"ok":true,"revoked":true}""", null)]
    [InlineData("""{"ok":false,"error":"invalid_auth"}""", "it answered invalid_auth")]
    [InlineData("""{"ok":false,"error":"xoxp-1234"}""", "it answered an error that no specification has")]
    [InlineData("", null)]
    public async Task Revocation_RefusedInAnHttp200_WasNotDone(string body, string? expected)
    {
        _provider.Says = (HttpStatusCode.OK, body);

        Assert.Equal(expected, await _requests.RevokeAsync(
            s_slack, new Uri("https://slack.test/api/auth.revoke"), new Credential { AccessToken = "xoxp-1234", Received = _clock.GetUtcNow() }, TestContext.Current.CancellationToken));
    }

    private Task<TokenAnswer> RedeemAsync() => _requests.RedeemAsync(s_slack, "code", "https://gateway.test/connect/slack/callback", "verifier", TestContext.Current.CancellationToken);
}
