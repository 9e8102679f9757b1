using System.Net;
using System.Text.Json.Nodes;
using System.Web;
using Mooring.Auth;
using Mooring.Configuration;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Auth;

/// <summary>People whom the configuration lets in no longer: what they hold is worth nothing from the reload on, not only when it ends by itself.</summary>
public sealed class LeftOutTests
{
    private const string Corp = "https://id.corp.example";

    private readonly TestInternet _internet = new();
    private readonly FakeClock _clock = new();
    private TestIssuer? _issuer;

    [Fact]
    public async Task User_TakenOut_TokensAreWorthNothing_AndItsStreamEndsAsAuthExpired()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var (access, refresh) = await client.TokensAsync();
        var (other, _) = await client.TokensAsync(user: "ben");
        var (ann, ben) = (await gateway.ClientWithAsync(access), await gateway.ClientWithAsync(other));
        using var ended = await gateway.ListenAsync(ann);
        using var goesOn = await gateway.ListenAsync(ben);

        Reload(gateway, oauth => oauth with { Users = oauth.Users.Where(one => one.Key != "ann").ToDictionary() });

        Assert.Equal((HttpStatusCode.Unauthorized, HttpStatusCode.OK), (await ann.TryAsync(), await ben.TryAsync()));
        await AssertEndsAsync(gateway, ended);
        Assert.Equal((HttpStatusCode.BadRequest, "invalid_grant"), Refused(await client.RefreshAsync(refresh)));
        Assert.Equal(1, gateway.Streams.Count);
    }

    [Fact]
    public async Task User_TakenOut_StreamAlone_EndsWithinFiveSeconds()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var (access, _) = await (await TestOAuthClient.RegisterAsync(gateway)).TokensAsync();
        using var stream = await gateway.ListenAsync(await gateway.ClientWithAsync(access));

        Reload(gateway, oauth => oauth with { Users = oauth.Users.Where(one => one.Key != "ann").ToDictionary() });

        // Nobody uses the token meanwhile: the heartbeat alone finds it.
        await AssertEndsAsync(gateway, stream);
    }

    [Fact]
    public async Task User_TakenOutWhileTheStoreIsAway_IsLetInNoLonger()
    {
        FaultyStore? store = null;
        await using var gateway = await SignInFixture.StartAsync(options: new FixtureOptions { Store = clock => store = new FaultyStore(clock) });
        var (access, _) = await (await TestOAuthClient.RegisterAsync(gateway)).TokensAsync();
        var client = await gateway.ClientWithAsync(access);
        store!.IsAway = true;
        gateway.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(HttpStatusCode.OK, await client.TryAsync());

        Reload(gateway, oauth => oauth with { Users = oauth.Users.Where(one => one.Key != "ann").ToDictionary() });

        Assert.Equal(HttpStatusCode.Unauthorized, await client.TryAsync());
        store.IsAway = false;
    }

    [Fact]
    public async Task User_TakenOut_TokenThatNobodyHasUsedYet_IsWorthNothing_NorIsTheCodeOrTheBrowser()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);
        var (access, _) = await client.TokensAsync(browser);
        var code = (await client.AllowAsync(browser)).Query["code"]!;

        Reload(gateway, oauth => oauth with { Users = oauth.Users.Where(one => one.Key != "ann").ToDictionary() });

        Assert.Equal(HttpStatusCode.Unauthorized, (await gateway.SendAsync(HttpMethod.Post, "/servers/one/mcp", access)).Status);
        Assert.Equal((HttpStatusCode.BadRequest, "invalid_grant"), Refused(await client.ExchangeAsync(code)));
        var page = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl())).Location!);
        Assert.Contains("type=\"password\"", page.Html, StringComparison.Ordinal);
    }

    public static TheoryData<string, string> Ways => new()
    {
        { "corp", "provider" },
        { "corp", "domain" },
        { "google", "provider" },
        { "google", "domain" },
    };

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Provider_OrItsDomain_TakenOut_TokensAreWorthNothing_AndAnotherChangeLeavesThem(string name, string what)
    {
        var provider = new TestProvider(_internet, _clock, name == "google" ? "https://accounts.google.com" : Corp)
        {
            Claims = [("email", "ann@example.com"), ("email_verified", true), ("hd", name == "google" ? "example.com" : null)],
        };
        await using var gateway = await AuthFixture.StartAsync(
            new AuthConfig
            {
                Mode = [AuthMode.OAuth],
                OAuth = new OAuthConfig
                {
                    Providers = new Dictionary<string, SignInProviderConfig>(StringComparer.Ordinal)
                    {
                        [name] = new() { Issuer = name == "google" ? null : Corp, ClientId = "gateway", ClientSecret = "s", Domains = ["example.com", "other.example"] },
                    },
                },
            },
            new FixtureOptions { Others = _internet, Clock = _clock });
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);
        var page = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl())).Location!);
        var from = page.Html.IndexOf($"http://localhost/oauth/signin/{name}?", StringComparison.Ordinal);
        var visit = (await browser.OpenAsync(WebUtility.HtmlDecode(page.Html[from..page.Html.IndexOf('"', from)]))).Location!;
        var consent = await browser.OpenAsync((await browser.OpenAsync(provider.Answer(visit))).Location!);
        var (_, json) = await client.ExchangeAsync((await browser.SubmitAsync(consent, ("decision", "allow"))).Query["code"]!);
        var mcp = await gateway.ClientWithAsync((string)json["access_token"]!);
        using var stream = await gateway.ListenAsync(mcp);

        Reload(gateway, oauth => With(oauth, name, one => one with { Domains = ["example.com"] }));
        gateway.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(HttpStatusCode.OK, await mcp.TryAsync());
        Assert.Equal(1, gateway.Streams.Count);

        Reload(gateway, oauth => what == "provider"
            ? oauth with { Providers = new Dictionary<string, SignInProviderConfig>(StringComparer.Ordinal) }
            : With(oauth, name, one => one with { Domains = ["other.example"] }));

        await AssertEndsAsync(gateway, stream);
        Assert.Equal(HttpStatusCode.Unauthorized, await mcp.TryAsync());
        Assert.Equal((HttpStatusCode.BadRequest, "invalid_grant"), Refused(await client.RefreshAsync((string)json["refresh_token"]!)));
    }

    /// <summary>A gateway is closed to others once everybody is there; that ends nothing.</summary>
    [Fact]
    public async Task Client_ThatRegistered_GoesOnWhereNoOthersMayAnyMore()
    {
        await using var gateway = await SignInFixture.StartAsync(oauth => oauth, new FixtureOptions { Others = _internet, Clock = _clock });
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var (access, refresh) = await client.TokensAsync();

        Reload(gateway, oauth => oauth with { Registration = false });

        Assert.Equal(HttpStatusCode.OK, await (await gateway.ClientWithAsync(access)).TryAsync());
        Assert.Equal(HttpStatusCode.OK, (await client.RefreshAsync(refresh)).Status);
    }

    /// <summary>One of the configuration, and one with a document.</summary>
    [Theory]
    [InlineData("known")]
    [InlineData("https://app.example.com/client.json")]
    public async Task Client_LetInNoLonger_TokensAreWorthNothing_NothingIsRefreshed_AndThoseOfOthersGoOn(string kind)
    {
        const string document = "https://app.example.com/client.json";
        _internet.Serve(document, new JsonObject { ["client_id"] = document, ["redirect_uris"] = new JsonArray(TestOAuthClient.Callback) });
        var configured = new OAuthClientConfig { RedirectUris = [TestOAuthClient.Callback] };
        await using var gateway = await SignInFixture.StartAsync(
            oauth => oauth with { Clients = new Dictionary<string, OAuthClientConfig>(StringComparer.Ordinal) { ["known"] = configured, ["other"] = configured } },
            new FixtureOptions { Others = _internet, Clock = _clock });
        var client = new TestOAuthClient(gateway) { Id = kind };
        var other = new TestOAuthClient(gateway) { Id = "other" };
        var (access, refresh) = await client.TokensAsync();
        var (unused, _) = await client.TokensAsync();
        var code = (await client.AllowAsync(new TestBrowser(gateway.Http))).Query["code"]!;
        var (others, othersRefresh) = await other.TokensAsync();
        var (mcp, othersMcp) = (await gateway.ClientWithAsync(access), await gateway.ClientWithAsync(others));
        using var ended = await gateway.ListenAsync(mcp);
        using var goesOn = await gateway.ListenAsync(othersMcp);

        Reload(gateway, oauth => kind switch
        {
            "known" => oauth with { Clients = new Dictionary<string, OAuthClientConfig>(StringComparer.Ordinal) { ["other"] = configured } },
            _ => oauth with { ClientMetadata = false },
        });

        Assert.Equal((HttpStatusCode.Unauthorized, HttpStatusCode.OK), (await mcp.TryAsync(), await othersMcp.TryAsync()));
        Assert.Equal(HttpStatusCode.Unauthorized, (await gateway.SendAsync(HttpMethod.Post, "/servers/one/mcp", unused)).Status);
        await AssertEndsAsync(gateway, ended);
        Assert.Equal((HttpStatusCode.BadRequest, "invalid_grant"), Refused(await client.RefreshAsync(refresh)));
        Assert.Equal((HttpStatusCode.BadRequest, "invalid_grant"), Refused(await client.ExchangeAsync(code)));
        Assert.Equal(HttpStatusCode.BadRequest, (await new TestBrowser(gateway.Http).OpenAsync(client.AuthorizeUrl())).Status);
        Assert.Equal(HttpStatusCode.OK, (await other.RefreshAsync(othersRefresh)).Status);
        Assert.Equal(1, gateway.Streams.Count);
    }

    [Fact]
    public async Task Administrator_WhoIsNoneAnyMore_HasNoUseOfTheTokenThatSaysSo()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var (admin, refresh) = await client.TokensAsync(changes: [("scope", "mcp admin"), ("resource", null)]);
        Assert.Equal(HttpStatusCode.OK, (await gateway.SendAsync(HttpMethod.Get, "/admin/api/drain", admin)).Status);

        var config = gateway.Config.Current;
        gateway.Config.Replace(config with { Auth = config.Auth with { AdminUsers = [], AdminGroups = [] } });

        Assert.Equal(HttpStatusCode.Unauthorized, (await gateway.SendAsync(HttpMethod.Get, "/admin/api/drain", admin)).Status);
        var (_, next) = await client.RefreshAsync(refresh);
        var token = (string)next["access_token"]!;
        Assert.Equal(HttpStatusCode.Forbidden, (await gateway.SendAsync(HttpMethod.Get, "/admin/api/drain", token)).Status);
        Assert.Equal(HttpStatusCode.OK, await (await gateway.ClientWithAsync(token)).TryAsync());
    }

    [Fact]
    public async Task Administrator_OfAnotherIssuer_WhoIsNoneAnyMore_HasNoUseOfTheTokenThatWasKnown()
    {
        await using var gateway = await StartJwtAsync(auth => auth with { AdminUsers = ["https://login.example.com#root"] });
        var token = Sign("root", Whole);
        Assert.Equal(HttpStatusCode.OK, (await gateway.SendAsync(HttpMethod.Get, "/admin/api/drain", token)).Status);
        var client = await gateway.ClientWithAsync(token);
        using var stream = await gateway.ListenAsync(client);

        ReloadAuth(gateway, auth => auth with { AdminUsers = [] });

        Assert.Equal(HttpStatusCode.Forbidden, (await gateway.SendAsync(HttpMethod.Get, "/admin/api/drain", token)).Status);
        await AssertEndsAsync(gateway, stream);
        Assert.Equal(HttpStatusCode.OK, await client.TryAsync());
    }

    [Fact]
    public async Task Token_OfAnotherIssuer_IsHeldAgainstWhatTheConfigurationSaysOfItsScopesAndClaims()
    {
        await using var gateway = await StartJwtAsync(auth => auth with { Jwt = [auth.Jwt[0] with { AdminScope = "steer" }] });
        var token = Sign("ann", Whole, ("scope", "steer"), ("teams", new[] { "blue" }));
        var client = await gateway.ClientWithAsync(token);
        Assert.Equal(HttpStatusCode.OK, (await gateway.SendAsync(HttpMethod.Get, "/admin/api/drain", token)).Status);

        ReloadAuth(gateway, auth => auth with { Jwt = [auth.Jwt[0] with { AdminScope = null }] });
        Assert.Equal(HttpStatusCode.Forbidden, (await gateway.SendAsync(HttpMethod.Get, "/admin/api/drain", token)).Status);

        ReloadAuth(gateway, auth => auth with { Jwt = [auth.Jwt[0] with { RequiredScope = "use" }] });
        Assert.Equal(HttpStatusCode.Forbidden, await client.TryAsync());

        ReloadAuth(gateway, auth => auth with { Jwt = [auth.Jwt[0] with { RequiredScope = null, GroupsClaim = "teams" }] });
        Assert.Equal(HttpStatusCode.OK, await client.TryAsync());
        Assert.Equal(["blue"], Assert.Single(gateway.Sessions.All).Person!.Groups!);
    }

    [Fact]
    public async Task Token_OfAnotherIssuer_ReloadThatChangesNothingOfIt_ItsStreamGoesOn()
    {
        await using var gateway = await StartJwtAsync(auth => auth);
        var client = await gateway.ClientWithAsync(Sign("ann", ("scope", "b a"), ("groups", new[] { "y", "x" })));
        using var stream = await gateway.ListenAsync(client);

        ReloadAuth(gateway, auth => auth with { AdminUsers = ["https://login.example.com#root"] });

        Assert.Equal(HttpStatusCode.OK, await client.TryAsync());
        Assert.Equal(1, gateway.Streams.Count);
    }

    private Task<GatewayFixture> StartJwtAsync(Func<AuthConfig, AuthConfig> change)
    {
        _issuer = new TestIssuer(_internet);
        return AuthFixture.StartAsync(
            change(new AuthConfig { Mode = [AuthMode.Jwt], Jwt = [new JwtIssuerConfig { Issuer = _issuer.Name }] }),
            new FixtureOptions { Others = _internet, Clock = _clock },
            config => config with { PublicUrl = new Uri("https://mcp.example.com") });
    }

    /// <summary>For the gateway as a whole, as those who administer it need it.</summary>
    private static readonly (string, object?) Whole = ("aud", "https://mcp.example.com");

    private string Sign(string subject, params (string, object?)[] claims) => _issuer!.Sign(_clock.GetUtcNow(), claims: [("sub", subject), .. claims]);

    private static void ReloadAuth(GatewayFixture gateway, Func<AuthConfig, AuthConfig> change)
    {
        var config = gateway.Config.Current;
        gateway.Config.Replace(config with { Auth = change(config.Auth) });
    }

    private static void Reload(GatewayFixture gateway, Func<OAuthConfig, OAuthConfig> change)
    {
        var config = gateway.Config.Current;
        gateway.Config.Replace(config with { Auth = config.Auth with { OAuth = change(config.Auth.OAuth) } });
    }

    private static OAuthConfig With(OAuthConfig oauth, string name, Func<SignInProviderConfig, SignInProviderConfig> change) =>
        oauth with { Providers = new Dictionary<string, SignInProviderConfig>(StringComparer.Ordinal) { [name] = change(oauth.Providers[name]) } };

    private static (HttpStatusCode Status, string? Error) Refused((HttpStatusCode Status, JsonObject Json) answer) => (answer.Status, (string?)answer.Json["error"]);

    private static async Task AssertEndsAsync(GatewayFixture gateway, TestReply stream)
    {
        await gateway.PassTimeAsync(stream.Events.RestAsync(), TimeSpan.FromSeconds(5), "the end of the stream");
        Assert.Contains(await gateway.MetricsAsync("mooring_stream_duration"), line => line.Contains("reason=\"auth_expired\"", StringComparison.Ordinal) && line.Contains("closed_by=\"gateway\"", StringComparison.Ordinal));
    }
}
