using System.Net;
using System.Text.Json.Nodes;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <content>Accounts that are taken away again.</content>
public sealed partial class AccountTests
{
    [Fact]
    public async Task Account_TakenAway_TheNextCallNeedsAnother_AndItIsNoted()
    {
        var folder = Directory.CreateTempSubdirectory("mooring-audit-");
        try
        {
            _auditFile = Path.Combine(folder.FullName, "audit.jsonl");
            await StartAsync();
            var client = await _gateway.ClientAsync(user: "ann", capabilities: Url);
            await LinkAsync(await AddressAsync(client));
            Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());

            await TakeAwayAsync("acme");

            Assert.Equal(-32042, (int)(await client.ResultAsync("echo"))["error"]!["code"]!);
            Assert.Equal(["Bearer token-1"], _callTokens);
            string[] lines = [];
            await _gateway.UntilAsync(
                () => File.Exists(_auditFile) && (lines = [.. File.ReadAllText(_auditFile).Split('\n').Where(line => line.Contains("\"account_removed\"", StringComparison.Ordinal))]).Length == 1, "a line is written", TimeSpan.FromSeconds(1));
            var noted = JsonNode.Parse(lines[0])!;
            Assert.Equal(("ok", "ann", "acme"), ((string?)noted["outcome"], (string?)noted["user"], (string?)noted["name"]));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Theory]
    [InlineData("https://as.test/revoke", true)]
    [InlineData("https://evil.test/revoke", false)]
    [InlineData("http://as.test/revoke", false)]
    [InlineData(null, false)]
    public async Task OAuthServer_AccountTakenAway_TokenGoesBackToWhereItCameFromAlone(string? revoke, bool isTold)
    {
        await StartAsync(new ServerAuthConfig { Kind = ServerAuthKind.OAuth });
        await LinkAsync(await AddressAsync(await _gateway.ClientAsync(user: "ann", capabilities: Url)));
        _authorization.Metadata["revocation_endpoint"] = revoke;
        _authorization.Answers["https://as.test/revoke"] = () => new HttpResponseMessage(HttpStatusCode.OK);

        var html = await TakeAwayAsync("one");

        Assert.Equal(isTold, html.Contains("has told its provider", StringComparison.Ordinal));
        Assert.Equal(isTold ? ["POST https://as.test/revoke"] : [], _authorization.Requests.Where(request => request.EndsWith("/revoke", StringComparison.Ordinal)));
    }

    /// <summary>A server that turned bad names an authorization server of its own, which would be sent what the one before gave.</summary>
    [Fact]
    public async Task OAuthServer_NamesAnotherAuthorizationServerByNow_TheTokenDoesNotGoThere()
    {
        await StartAsync(new ServerAuthConfig { Kind = ServerAuthKind.OAuth });
        await LinkAsync(await AddressAsync(await _gateway.ClientAsync(user: "ann", capabilities: Url)));
        var evil = _authorization.Metadata.DeepClone().AsObject();
        (evil["issuer"], evil["revocation_endpoint"]) = ("https://evil.test", "https://evil.test/revoke");
        _authorization.Resource!["authorization_servers"] = new JsonArray("https://evil.test");
        _authorization.Answers["https://evil.test/.well-known/oauth-authorization-server"] = () => FakeAuthorizationServer.Json(HttpStatusCode.OK, evil);

        var html = await TakeAwayAsync("one");

        Assert.Contains("was not told", html, StringComparison.Ordinal);
        Assert.DoesNotContain(_authorization.Requests, request => request.EndsWith("/revoke", StringComparison.Ordinal));
    }

    private async Task<string> TakeAwayAsync(string account)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("https://gateway.test/connect"))
        {
            Content = new FormUrlEncodedContent([KeyValuePair.Create("account", account)]),
        };
        request.Headers.Add("X-Test-User", "ann");
        request.Headers.Add("Origin", "https://gateway.test");
        using var done = await Limit.Of(_gateway.Http.SendAsync(request, TestContext.Current.CancellationToken), "the account to be taken away");
        var html = await done.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(done.StatusCode == HttpStatusCode.OK, html);
        return html;
    }
}
