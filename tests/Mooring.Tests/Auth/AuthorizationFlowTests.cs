using System.Net;
using System.Text.Json.Nodes;
using Mooring.Auth;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Auth;

/// <summary>From a client that knows nothing to one that calls a tool, and what is refused on the way.</summary>
public sealed class AuthorizationFlowTests
{
    [Fact]
    public async Task Client_FromZero_SignsInAndCallsATool()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var document = JsonNode.Parse((await gateway.SendAsync(HttpMethod.Get, "/.well-known/oauth-authorization-server")).Body)!;
        Assert.Equal("http://localhost", (string?)document["issuer"]);
        Assert.Equal("http://localhost/oauth/token", (string?)document["token_endpoint"]);
        Assert.Equal("S256", (string?)document["code_challenge_methods_supported"]![0]);
        Assert.True((bool)document["authorization_response_iss_parameter_supported"]!);
        var client = await TestOAuthClient.RegisterAsync(gateway);

        var answer = await client.AllowAsync(new TestBrowser(gateway.Http));

        Assert.Equal(HttpStatusCode.SeeOther, answer.Status);
        Assert.StartsWith(TestOAuthClient.Callback + "?code=", answer.Location, StringComparison.Ordinal);
        Assert.Equal(("st/ä te", "http://localhost"), (answer.Query["state"], answer.Query["iss"]));
        var (status, tokens) = await client.ExchangeAsync(answer.Query["code"]!);
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(("Bearer", 3600, "mcp"), ((string?)tokens["token_type"], (int)tokens["expires_in"]!, (string?)tokens["scope"]));
        var mcp = await gateway.ClientWithAsync((string)tokens["access_token"]!);
        Assert.NotNull((await mcp.ResultAsync("echo"))["result"]);
        Assert.Equal((Person.OfConfiguration, "ann"), (gateway.Session(mcp).Principal.Issuer, gateway.Session(mcp).Principal.Subject));
    }

    [Fact]
    public async Task Refresh_GivesNewTokensOfTheSamePerson_AndTheSessionGoesOn()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var (access, refresh) = await client.TokensAsync();
        var mcp = await gateway.ClientWithAsync(access);

        gateway.Advance(TimeSpan.FromMinutes(61));
        Assert.Equal(HttpStatusCode.Unauthorized, await mcp.TryAsync());
        var (status, json) = await client.RefreshAsync(refresh);

        Assert.Equal(HttpStatusCode.OK, status);
        Assert.NotEqual(refresh, (string?)json["refresh_token"]);
        Assert.Equal(HttpStatusCode.OK, await mcp.With((string)json["access_token"]!).TryAsync());
    }

    [Fact]
    public async Task Refresh_ASecondTime_RevokesAllThatCameOfTheConsent()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var other = await client.TokensAsync();
        var (access, refresh) = await client.TokensAsync();
        var mcp = await gateway.ClientWithAsync(access);
        var (_, second) = await client.RefreshAsync(refresh);
        Assert.Equal(HttpStatusCode.OK, await mcp.TryAsync());

        var (status, json) = await client.RefreshAsync(refresh);

        Assert.Equal((HttpStatusCode.BadRequest, "invalid_grant"), (status, (string?)json["error"]));
        Assert.Equal(HttpStatusCode.Unauthorized, await mcp.TryAsync());
        Assert.Equal(HttpStatusCode.Unauthorized, await mcp.With((string)second["access_token"]!).TryAsync());
        Assert.Equal(HttpStatusCode.BadRequest, (await client.RefreshAsync((string)second["refresh_token"]!)).Status);
        // Another consent of the same person is another thing.
        Assert.Equal(HttpStatusCode.OK, await mcp.With(other.Access).TryAsync());
    }

    [Fact]
    public async Task Refresh_ManyAtOnce_OneSucceeds()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var (_, refresh) = await client.TokensAsync();

        var all = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => client.RefreshAsync(refresh)));

        Assert.Single(all, one => one.Status == HttpStatusCode.OK);
    }

    [Fact]
    public async Task Refresh_AgainWithinTheLeeway_IsAnsweredAgain_AndAfterItRevokes()
    {
        await using var gateway = await SignInFixture.StartAsync(oauth => oauth with { RefreshLeeway = TimeSpan.FromSeconds(10) });
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var (_, refresh) = await client.TokensAsync();
        Assert.Equal(HttpStatusCode.OK, (await client.RefreshAsync(refresh)).Status);

        gateway.Advance(TimeSpan.FromSeconds(9));
        Assert.Equal(HttpStatusCode.OK, (await client.RefreshAsync(refresh)).Status);
        gateway.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(HttpStatusCode.BadRequest, (await client.RefreshAsync(refresh)).Status);
    }

    [Theory]
    [InlineData("client_id", "somebody else")]
    [InlineData("client_id", null)]
    [InlineData("scope", "admin")]
    [InlineData("resource", "http://localhost/mcp")]
    public async Task Refresh_OfSomebodyElseOrForMore_IsRefused_AndUsesNothingUp(string name, string? value)
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var (_, refresh) = await client.TokensAsync();

        Assert.Equal(HttpStatusCode.BadRequest, (await client.RefreshAsync(refresh, (name, value))).Status);
        Assert.Equal(HttpStatusCode.OK, (await client.RefreshAsync(refresh)).Status);
    }

    [Fact]
    public async Task Refresh_OfSomebodyWhoIsKnownNoLonger_IsRefused()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var (_, refresh) = await client.TokensAsync();

        var config = gateway.Config.Current;
        gateway.Config.Replace(config with { Auth = config.Auth with { OAuth = config.Auth.OAuth with { Users = config.Auth.OAuth.Users.Where(one => one.Key != "ann").ToDictionary() } } });

        Assert.Equal(HttpStatusCode.BadRequest, (await client.RefreshAsync(refresh)).Status);
    }

    [Theory]
    [InlineData("code_verifier", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    [InlineData("code_verifier", null)]
    [InlineData("client_id", "somebody else")]
    [InlineData("redirect_uri", "http://127.0.0.1:8888/callback")]
    public async Task Code_ExchangedWithSomethingWrong_IsLost(string name, string? value)
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var code = (await client.AllowAsync(new TestBrowser(gateway.Http))).Query["code"]!;

        var (status, json) = await client.ExchangeAsync(code, (name, value));

        Assert.Equal((HttpStatusCode.BadRequest, "invalid_grant"), (status, (string?)json["error"]));
        Assert.Equal(HttpStatusCode.BadRequest, (await client.ExchangeAsync(code)).Status);
    }

    /// <summary>As clients of OAuth 2.1 do it.</summary>
    [Theory]
    [InlineData(null)]
    [InlineData("")]
    public async Task Code_ExchangedWithoutItsAddress_IsTaken(string? redirectUri)
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var code = (await client.AllowAsync(new TestBrowser(gateway.Http))).Query["code"]!;

        var (status, json) = await client.ExchangeAsync(code, ("redirect_uri", redirectUri));

        Assert.Equal(HttpStatusCode.OK, status);
        await gateway.ClientWithAsync((string)json["access_token"]!);
    }

    [Fact]
    public async Task Code_ASecondTime_RevokesWhatTheFirstGave()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var code = (await client.AllowAsync(new TestBrowser(gateway.Http))).Query["code"]!;
        var mcp = await gateway.ClientWithAsync((string)(await client.ExchangeAsync(code)).Json["access_token"]!);

        Assert.Equal(HttpStatusCode.BadRequest, (await client.ExchangeAsync(code)).Status);

        Assert.Equal(HttpStatusCode.Unauthorized, await mcp.TryAsync());
    }

    [Fact]
    public async Task Code_OlderThanAMinute_IsRefusedByTheGatewaysOwnClock()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var code = (await client.AllowAsync(new TestBrowser(gateway.Http))).Query["code"]!;

        gateway.Advance(TimeSpan.FromSeconds(60));

        Assert.Equal(HttpStatusCode.BadRequest, (await client.ExchangeAsync(code)).Status);
    }

    [Fact]
    public async Task Token_ForOneServer_IsNotTakenByAnother()
    {
        await using var gateway = await SignInFixture.StartAsync(options: null);
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var (access, _) = await client.TokensAsync();

        var (status, _, headers) = await gateway.SendAsync(HttpMethod.Post, "/mcp", access);

        Assert.Equal(HttpStatusCode.Unauthorized, status);
        Assert.Contains("issued for another resource", headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        var (whole, _) = await client.TokensAsync(changes: ("resource", null));
        Assert.Equal(HttpStatusCode.OK, (await gateway.SendAsync(HttpMethod.Get, "/mcp/status", whole)).Status);
    }

    [Fact]
    public async Task Admin_IsGivenToAdministratorsAlone_AndStepsUpWhenItIsAskedFor()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var (plain, _) = await client.TokensAsync(changes: ("resource", null));
        Assert.Equal(HttpStatusCode.Forbidden, (await gateway.SendAsync(HttpMethod.Get, "/admin/api/drain", plain)).Status);

        var (admin, _) = await client.TokensAsync(changes: [("scope", "mcp admin"), ("resource", null)]);
        var (ben, _) = await client.TokensAsync(user: "ben", changes: [("scope", "mcp admin"), ("resource", null)], browser: null);

        Assert.Equal(HttpStatusCode.OK, (await gateway.SendAsync(HttpMethod.Get, "/admin/api/drain", admin)).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await gateway.SendAsync(HttpMethod.Get, "/admin/api/drain", ben)).Status);
    }

    [Theory]
    [InlineData("/servers/one/mcp", false)]
    [InlineData("/mcp", false)]
    [InlineData("/admin", true)]
    [InlineData("/admin/api", true)]
    [InlineData("", true)]
    public async Task Admin_TokenOfAnAdministrator_CountsOnlyWhereItIsForTheGatewayItself(string resource, bool isTaken)
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var (token, _) = await client.TokensAsync(changes: [("scope", "mcp admin"), ("resource", "http://localhost" + resource)]);

        var (drain, _, headers) = await gateway.SendAsync(HttpMethod.Get, "/admin/api/drain", token);
        var (reindex, _, _) = await gateway.SendAsync(HttpMethod.Post, "/reindex", token);

        // 404: nothing here is read beforehand, which only somebody who was let in is told.
        Assert.Equal(isTaken ? (HttpStatusCode.OK, HttpStatusCode.NotFound) : (HttpStatusCode.Unauthorized, HttpStatusCode.Unauthorized), (drain, reindex));
        if (!isTaken)
        {
            Assert.Contains("issued for another resource", headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
            Assert.Contains("resource_metadata=\"http://localhost/.well-known/oauth-protected-resource/admin/api\"", headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("/mcp/sse", "/mcp/sse")]
    [InlineData("/mcp/sse", "/mcp")]
    [InlineData("/mcp", "/mcp")]
    [InlineData("/sse", "/sse")]
    [InlineData("/servers/one/sse", "/servers/one/sse")]
    public async Task OlderTransport_TokenForWhereItConnects_IsTakenForItsMessagesToo(string path, string resource)
    {
        await using var gateway = await SignInFixture.StartAsync();
        var (token, _) = await (await TestOAuthClient.RegisterAsync(gateway)).TokensAsync(changes: ("resource", "http://localhost" + resource));

        using var stream = await gateway.NewClient("2024-11-05", path).With(token).GetAsync();
        await stream.Events.NextAsync();
        var messages = new Uri(new Uri("http://localhost" + path), (await stream.Events.NextAsync())!.Data!);
        using var posted = await gateway.NewClient("2024-11-05", messages.PathAndQuery).With(token).PostAsync("""{"jsonrpc":"2.0","id":1,"method":"ping"}""");

        Assert.Equal(HttpStatusCode.Accepted, posted.Status);
        Assert.Equal("1", (await stream.MessageAsync()).RawId());
    }

    [Theory]
    [InlineData("/sse")]
    [InlineData("/servers/one/sse")]
    public async Task OlderTransport_TokenForAnotherPlace_IsNotTakenForMessages(string resource)
    {
        await using var gateway = await SignInFixture.StartAsync();
        var (token, _) = await (await TestOAuthClient.RegisterAsync(gateway)).TokensAsync(changes: ("resource", "http://localhost" + resource));

        var (status, _, headers) = await gateway.SendAsync(HttpMethod.Post, "/mcp/messages?sessionId=x", token);

        Assert.Equal(HttpStatusCode.Unauthorized, status);
        // One for this would do at either of the places that such clients connect to.
        Assert.Contains("resource_metadata=\"http://localhost/.well-known/oauth-protected-resource/mcp\"", headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Revoke_OfARefreshToken_EndsItsAccessTokensToo_AndOfAnAccessTokenThatAlone()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var (access, refresh) = await client.TokensAsync();
        var mcp = await gateway.ClientWithAsync(access);

        Assert.Equal(HttpStatusCode.OK, (await client.RevokeAsync(access)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, await mcp.TryAsync());
        var (_, next) = await client.RefreshAsync(refresh);
        Assert.Equal(HttpStatusCode.OK, await mcp.With((string)next["access_token"]!).TryAsync());

        Assert.Equal(HttpStatusCode.OK, (await client.RevokeAsync((string)next["refresh_token"]!)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, await mcp.TryAsync());
        Assert.Equal(HttpStatusCode.OK, (await client.RevokeAsync("unknown")).Status);
    }

    [Fact]
    public async Task Store_AfterASignIn_HoldsNoSecret_AndNeitherDoesTheLog()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);
        var code = (await client.AllowAsync(browser)).Query["code"]!;
        var (_, json) = await client.ExchangeAsync(code);
        string[] secrets = [code, (string)json["access_token"]!, (string)json["refresh_token"]!, client.Verifier, "secret", .. browser.Cookies.Values];

        var store = gateway.Get<IAuthStore>();
        var rows = (await Task.WhenAll(Enum.GetValues<AuthKind>().Select(kind => store.ListAuthAsync(kind, TestContext.Current.CancellationToken)))).SelectMany(list => list).ToList();

        Assert.True(rows.Count >= 6);
        Assert.All(rows, row => Assert.DoesNotContain(secrets, secret => (row.Key + row.Grant + System.Text.Encoding.UTF8.GetString(row.Data.Span)).Contains(secret, StringComparison.Ordinal)));
        Assert.DoesNotContain(gateway.LogLines.Lines, line => secrets.Any(secret => secret != "secret" && line.Contains(secret, StringComparison.Ordinal)));
    }
}
