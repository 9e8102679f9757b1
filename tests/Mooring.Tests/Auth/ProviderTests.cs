using System.Net;
using System.Text.Json.Nodes;
using System.Web;
using Mooring.Auth;
using Mooring.Configuration;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Auth;

/// <summary>Signing in at somebody else's.</summary>
public sealed class ProviderTests
{
    private const string Corp = "https://id.corp.example";

    private readonly TestInternet _internet = new();
    private readonly FakeClock _clock = new();

    [Theory]
    [InlineData("/oauth/callback", null)]
    [InlineData("/auth/callback", "http://localhost/auth/callback")]
    public async Task Provider_OfOpenIdConnect_SignsIn_OnBothCallbackPaths(string path, string? redirectUri)
    {
        var provider = new TestProvider(_internet, _clock, Corp);
        await using var gateway = await StartAsync("corp", new SignInProviderConfig { Issuer = Corp, ClientId = "gateway", ClientSecret = "s3cret", RedirectUri = redirectUri is null ? null : new Uri(redirectUri) });
        Assert.Empty(_internet.Asked);
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);

        var visit = await VisitAsync(client, browser, "corp");
        var back = provider.Answer(visit);
        var query = HttpUtility.ParseQueryString(new Uri(visit).Query);
        var rows = await gateway.Get<IAuthStore>().ListAuthAsync(AuthKind.Visit, TestContext.Current.CancellationToken);
        Assert.DoesNotContain(query["state"]!.Split('.').Append(query["nonce"]!), secret => rows.Any(row => (row.Key + System.Text.Encoding.UTF8.GetString(row.Data.Span)).Contains(secret, StringComparison.Ordinal)));
        var consent = await browser.OpenAsync((await browser.OpenAsync(back)).Location!);
        var code = (await browser.SubmitAsync(consent, ("decision", "allow"))).Query["code"]!;

        Assert.Equal(path, new Uri(back).AbsolutePath);
        Assert.Contains("ann@example.com", consent.Html, StringComparison.Ordinal);
        Assert.Equal("gateway:s3cret", System.Text.Encoding.UTF8.GetString(Convert.FromBase64String(provider.Basic!)));
        var mcp = await gateway.ClientWithAsync((string)(await client.ExchangeAsync(code)).Json["access_token"]!);
        Assert.Equal((Corp, "u-1"), (gateway.Session(mcp).Principal.Issuer, gateway.Session(mcp).Principal.Subject));
        Assert.DoesNotContain(gateway.LogLines.Lines, line => line.Contains("s3cret", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Visit_WhatGoesWithTheCode_CannotBeMadeFromTheAddressesButFromTheBrowsersCookie()
    {
        _ = new TestProvider(_internet, _clock, Corp);
        await using var gateway = await StartAsync("corp", new SignInProviderConfig { Issuer = Corp, ClientId = "gateway" });
        var browser = new TestBrowser(gateway.Http);

        var query = HttpUtility.ParseQueryString(new Uri(await VisitAsync(await TestOAuthClient.RegisterAsync(gateway), browser, "corp")).Query);

        string ChallengeOf(string secret) => System.Buffers.Text.Base64Url.EncodeToString(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.ASCII.GetBytes(Secret.Derived(secret, "verifier"))));
        foreach (var seen in query["state"]!.Split('.').Append(query["state"]!).Append(query["nonce"]!))
        {
            Assert.NotEqual(query["code_challenge"], ChallengeOf(seen));
            Assert.NotEqual(query["nonce"], Secret.Derived(seen, "nonce"));
        }

        var held = Secret.Derived(browser.Cookies["mooring-browser"], query["state"]!);
        Assert.Equal((ChallengeOf(held), Secret.Derived(held, "nonce")), (query["code_challenge"], query["nonce"]));
    }

    [Fact]
    public async Task Provider_CannotBeReached_ThePersonIsToldAndKnownTokensWork_AndItHealsByItself()
    {
        var provider = new TestProvider(_internet, _clock, Corp);
        await using var gateway = await StartAsync("corp", new SignInProviderConfig { Issuer = Corp, ClientId = "gateway" });
        var mcp = await gateway.ClientWithAsync(await gateway.KeyAsync());
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);

        _internet.IsAway = true;
        var page = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl())).Location!);
        var away = await browser.OpenAsync(LinkOf(page, "corp"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, away.Status);
        Assert.Contains("cannot be reached just now", away.Html, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, await mcp.TryAsync());
        Assert.Equal(HttpStatusCode.OK, (await gateway.SendAsync(HttpMethod.Get, "/ready")).Status);

        _internet.IsAway = false;
        gateway.Advance(TimeSpan.FromSeconds(10));
        Assert.StartsWith(Corp + "/authorize?", (await browser.OpenAsync(LinkOf(page, "corp"))).Location, StringComparison.Ordinal);
        Assert.NotNull(provider);
    }

    [Fact]
    public async Task Provider_SaysAnotherNonce_OrSignsWithAKeyNobodyPublished_IsNotBelieved()
    {
        var provider = new TestProvider(_internet, _clock, Corp);
        await using var gateway = await StartAsync("corp", new SignInProviderConfig { Issuer = Corp, ClientId = "gateway" });
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);

        provider.Nonce = "another";
        Assert.Equal(HttpStatusCode.Forbidden, (await browser.OpenAsync(provider.Answer(await VisitAsync(client, browser, "corp")))).Status);
        provider.Nonce = null;
        provider.Issuer.Rotate("k2", publish: false);
        Assert.Equal(HttpStatusCode.Forbidden, (await browser.OpenAsync(provider.Answer(await VisitAsync(client, browser, "corp")))).Status);
        Assert.DoesNotContain("mooring-signin", browser.Cookies.Keys);
    }

    [Fact]
    public async Task Callback_WithAStateThatIsNotThisBrowsersOrWasUsed_IsRefused()
    {
        var provider = new TestProvider(_internet, _clock, Corp);
        await using var gateway = await StartAsync("corp", new SignInProviderConfig { Issuer = Corp, ClientId = "gateway" });
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var (attacker, victim) = (new TestBrowser(gateway.Http), new TestBrowser(gateway.Http));
        await victim.OpenAsync(client.AuthorizeUrl());

        // The attacker's own account, to be put into the victim's browser.
        var theirs = provider.Answer(await VisitAsync(client, attacker, "corp"));
        Assert.Equal(HttpStatusCode.BadRequest, (await victim.OpenAsync(theirs)).Status);
        Assert.DoesNotContain("mooring-signin", victim.Cookies.Keys);

        var mine = provider.Answer(await VisitAsync(client, victim, "corp"));
        Assert.Equal(HttpStatusCode.BadRequest, (await victim.OpenAsync("/oauth/callback?code=x&state=unknown")).Status);
        Assert.Equal(HttpStatusCode.SeeOther, (await victim.OpenAsync(mine)).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await victim.OpenAsync(mine)).Status);
    }

    [Theory]
    [InlineData("example.com", true, true)]
    [InlineData("example.com", false, false)]
    [InlineData("other.example", true, false)]
    [InlineData("ample.com", true, false)]
    public async Task Provider_WithDomains_LetsInVerifiedAddressesOfTheirs(string domain, bool isVerified, bool mayCome)
    {
        var provider = new TestProvider(_internet, _clock, Corp) { Claims = [("email", "ann@example.com"), ("email_verified", isVerified)] };
        await using var gateway = await StartAsync("corp", new SignInProviderConfig { Issuer = Corp, ClientId = "gateway", Domains = [domain] });
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);

        var page = await browser.OpenAsync(provider.Answer(await VisitAsync(client, browser, "corp")));

        Assert.Equal(mayCome ? HttpStatusCode.SeeOther : HttpStatusCode.Forbidden, page.Status);
    }

    /// <summary>Some providers tell only there what does not fit into a token.</summary>
    [Theory]
    [InlineData("u-1", "ann@example.com", "Ann", "staff", "reader")]
    [InlineData("u-2", null, null, "", "")]
    public async Task Provider_TellsTheRestAtUserinfo_IsTaken_IfItIsOfTheSamePerson(string subject, string? email, string? name, string groups, string roles)
    {
        var provider = new TestProvider(_internet, _clock, Corp) { Claims = [] };
        var bearer = Userinfo(new JsonObject { ["sub"] = subject, ["email"] = "ann@example.com", ["email_verified"] = true, ["name"] = "Ann", ["groups"] = new JsonArray("staff"), ["roles"] = new JsonArray("reader") });

        var person = await PersonAsync(provider);

        Assert.Equal((email, name, groups, roles), (person.Email, person.Name, string.Join(' ', person.Groups!), string.Join(' ', person.Roles!)));
        Assert.Equal(["Bearer at"], bearer);
    }

    [Fact]
    public async Task Provider_TellsRolesAloneAtUserinfo_HasThemTaken_AndWhatItsTokenSaysStays()
    {
        var provider = new TestProvider(_internet, _clock, Corp) { Claims = [("email", "ann@example.com"), ("email_verified", true), ("name", "Ann"), ("groups", new[] { "staff" })] };
        Userinfo(new JsonObject { ["sub"] = "u-1", ["email"] = "other@example.com", ["email_verified"] = true, ["name"] = "Another", ["groups"] = new JsonArray("others"), ["roles"] = new JsonArray("reader") });

        var person = await PersonAsync(provider);

        Assert.Equal(("ann@example.com", "Ann", "staff", "reader"), (person.Email, person.Name, string.Join(' ', person.Groups!), string.Join(' ', person.Roles!)));
    }

    [Theory]
    [InlineData("example.com", true)]
    [InlineData("evil.example", false)]
    [InlineData(null, false)]
    public async Task Google_WithDomains_LetsInTheOrganizationsPeopleAlone(string? organization, bool mayCome)
    {
        // Anybody can have an address of any ending; hd is Google's own word.
        var provider = new TestProvider(_internet, _clock, "https://accounts.google.com") { Claims = [("email", "ann@example.com"), ("email_verified", true), ("hd", organization)] };
        await using var gateway = await StartAsync("google", new SignInProviderConfig { ClientId = "gateway", ClientSecret = "s", Domains = ["example.com"] });
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);

        var visit = await VisitAsync(client, browser, "google");
        var page = await browser.OpenAsync(provider.Answer(visit));

        Assert.Equal("example.com", HttpUtility.ParseQueryString(new Uri(visit).Query)["hd"]);
        Assert.Equal(mayCome ? HttpStatusCode.SeeOther : HttpStatusCode.Forbidden, page.Status);
    }

    [Theory]
    [InlineData("corp", true)]
    [InlineData("others", false)]
    public async Task GitHub_SignsIn_ByNumber_AndWithOrganizationsTheirMembersAlone(string organization, bool mayCome)
    {
        _internet.Serve("https://github.com/login/oauth/access_token", (_, body) =>
            TestInternet.Json(HttpUtility.ParseQueryString(body)["code"] == "good" ? new JsonObject { ["access_token"] = "gho" } : new JsonObject { ["error"] = "bad_verification_code" }));
        _internet.Serve("https://api.github.com/user", new JsonObject { ["id"] = 4711, ["login"] = "ann" });
        _internet.Serve("https://api.github.com/user/orgs", new JsonArray(new JsonObject { ["login"] = "Corp" }, new JsonObject { ["login"] = "ops" }));
        _internet.Serve("https://api.github.com/user/emails", new JsonArray(new JsonObject { ["email"] = "a@x.example", ["verified"] = false, ["primary"] = true }, new JsonObject { ["email"] = "b@x.example", ["verified"] = true, ["primary"] = false }));
        await using var gateway = await StartAsync("github", new SignInProviderConfig { ClientId = "gateway", ClientSecret = "s", Organizations = [organization] });
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);
        var query = HttpUtility.ParseQueryString(new Uri(await VisitAsync(client, browser, "github", "mcp admin")).Query);
        Assert.Contains("read:org", query["scope"], StringComparison.Ordinal);

        var page = await browser.OpenAsync($"{query["redirect_uri"]}?code=good&state={Uri.EscapeDataString(query["state"]!)}");

        Assert.Equal(mayCome ? HttpStatusCode.SeeOther : HttpStatusCode.Forbidden, page.Status);
        if (mayCome)
        {
            var consent = await browser.OpenAsync(page.Location!);
            Assert.Contains("b@x.example", consent.Html, StringComparison.Ordinal);
            var code = (await browser.SubmitAsync(consent, ("decision", "allow"))).Query["code"]!;
            var (_, exchanged) = await client.ExchangeAsync(code);
            var mcp = await gateway.ClientWithAsync((string)exchanged["access_token"]!);
            Assert.Equal(("https://github.com", "4711"), (gateway.Session(mcp).Principal.Issuer, gateway.Session(mcp).Principal.Subject));
            // An organization of their own that is called like a group of ours makes nobody an administrator.
            Assert.DoesNotContain("admin", (string?)exchanged["scope"], StringComparison.Ordinal);

            var config = gateway.Config.Current;
            var elsewhere = new SignInProviderConfig { ClientId = "gateway", ClientSecret = "s", Organizations = ["ops"] };
            gateway.Config.Replace(config with { Auth = config.Auth with { OAuth = config.Auth.OAuth with { Providers = new Dictionary<string, SignInProviderConfig>(StringComparer.Ordinal) { ["github"] = elsewhere } } } });
            Assert.Equal(HttpStatusCode.Unauthorized, await mcp.TryAsync());
        }
    }

    /// <returns>With which tokens it was asked.</returns>
    private System.Collections.Concurrent.ConcurrentQueue<string?> Userinfo(JsonObject says)
    {
        var bearers = new System.Collections.Concurrent.ConcurrentQueue<string?>();
        _internet.Serve(Corp + "/userinfo", (request, _) =>
        {
            bearers.Enqueue(request.Headers.Authorization?.ToString());
            return TestInternet.Json(says);
        });
        return bearers;
    }

    [Theory]
    [InlineData(Corp, null, null)]
    [InlineData(Corp, "login", "login")]
    [InlineData("https://accounts.google.com", "login", "select_account")]
    public async Task Visit_AsksAnewWhereTheClientWantsIt_AsTheProviderKnowsIt(string issuer, string? wanted, string? expected)
    {
        _ = new TestProvider(_internet, _clock, issuer);
        var name = issuer == Corp ? "corp" : "google";
        await using var gateway = await StartAsync(name, new SignInProviderConfig { Issuer = issuer == Corp ? Corp : null, ClientId = "gateway" });
        var (client, browser) = (await TestOAuthClient.RegisterAsync(gateway), new TestBrowser(gateway.Http));

        var page = await browser.OpenAsync((await browser.OpenAsync(wanted is null ? client.AuthorizeUrl() : client.AuthorizeUrl(("prompt", wanted)))).Location!);
        var query = HttpUtility.ParseQueryString(new Uri((await browser.OpenAsync(LinkOf(page, name))).Location!).Query);

        Assert.Equal((expected, expected == "login" ? "0" : null), (query["prompt"], query["max_age"]));
    }

    [Theory]
    [InlineData(null, true)]
    [InlineData(0, true)]
    [InlineData(-3600, false)]
    public async Task Visit_ThatAsksAnew_ProofFromBeforeIsNone(int? seconds, bool isTaken)
    {
        var provider = new TestProvider(_internet, _clock, Corp);
        provider.Claims = [.. provider.Claims, .. seconds is { } offset ? new (string, object?)[] { ("auth_time", _clock.GetUtcNow().AddSeconds(offset).ToUnixTimeSeconds()) } : []];
        await using var gateway = await StartAsync("corp", new SignInProviderConfig { Issuer = Corp, ClientId = "gateway" });
        var browser = new TestBrowser(gateway.Http);

        var page = await browser.OpenAsync(provider.Answer(await VisitAsync(await TestOAuthClient.RegisterAsync(gateway), browser, "corp")));

        Assert.Equal(isTaken ? HttpStatusCode.SeeOther : HttpStatusCode.Forbidden, page.Status);
        Assert.Equal(!isTaken, page.Html.Contains("did not ask anew who you are", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Visit_AfterARefusalOrAsSomebodyElse_AsksWhichAccountItIs()
    {
        var provider = new TestProvider(_internet, _clock, Corp) { Claims = [("email", "ann@other.example"), ("email_verified", true)] };
        await using var gateway = await StartAsync("corp", new SignInProviderConfig { Issuer = Corp, ClientId = "gateway", Domains = ["example.com"] });
        var (client, browser) = (await TestOAuthClient.RegisterAsync(gateway), new TestBrowser(gateway.Http));
        var page = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl())).Location!);

        var refused = await browser.OpenAsync(provider.Answer((await browser.OpenAsync(LinkOf(page, "corp"))).Location!));
        Assert.Equal(HttpStatusCode.Forbidden, refused.Status);
        Assert.Contains("Choose another account", refused.Html, StringComparison.Ordinal);
        var again = (await browser.OpenAsync(LinkOf(refused, "corp"))).Location!;
        Assert.Equal(("select_account", null), (HttpUtility.ParseQueryString(new Uri(again).Query)["prompt"], HttpUtility.ParseQueryString(new Uri(again).Query)["max_age"]));

        // With the account that was chosen: the page that asks for leave says who it is, and leads to another one.
        provider.Claims = [("email", "ann@example.com"), ("email_verified", true)];
        var consent = await browser.OpenAsync((await browser.OpenAsync(provider.Answer(again))).Location!);
        var from = consent.Html.IndexOf("http://localhost/oauth/signin?", StringComparison.Ordinal);
        var other = await browser.OpenAsync(WebUtility.HtmlDecode(consent.Html[from..consent.Html.IndexOf('"', from)]));
        Assert.Equal("select_account", HttpUtility.ParseQueryString(new Uri((await browser.OpenAsync(LinkOf(other, "corp"))).Location!).Query)["prompt"]);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Provider_SaysThatAnAddressIsVerifiedInAText_IsBelieved(bool isInUserInfo)
    {
        (string, object?)[] said = [("email", "ann@example.com"), ("email_verified", "true")];
        var provider = new TestProvider(_internet, _clock, Corp) { Claims = isInUserInfo ? [] : said };
        _internet.Serve(Corp + "/userinfo", new JsonObject { ["sub"] = "u-1", ["email"] = "ann@example.com", ["email_verified"] = isInUserInfo ? "true" : "no" });

        Assert.Equal("ann@example.com", (await PersonAsync(provider)).Email);
    }

    /// <summary>Who is signed in, once the provider has sent somebody back.</summary>
    private async Task<Person> PersonAsync(TestProvider provider)
    {
        await using var gateway = await StartAsync("corp", new SignInProviderConfig { Issuer = Corp, ClientId = "gateway" });
        var browser = new TestBrowser(gateway.Http);
        await browser.OpenAsync(provider.Answer(await VisitAsync(await TestOAuthClient.RegisterAsync(gateway), browser, "corp")));
        var row = Assert.Single(await gateway.Get<IAuthStore>().ListAuthAsync(AuthKind.Browser, TestContext.Current.CancellationToken));
        return AuthJson.Read<BrowserData>(row).Person;
    }

    private Task<GatewayFixture> StartAsync(string name, SignInProviderConfig provider) => AuthFixture.StartAsync(
        new AuthConfig
        {
            Mode = [AuthMode.OAuth, AuthMode.ApiKey],
            AdminGroups = ["ops"],
            OAuth = new OAuthConfig { Providers = new Dictionary<string, SignInProviderConfig>(StringComparer.Ordinal) { [name] = provider } },
        },
        new FixtureOptions { Others = _internet, Clock = _clock });

    /// <summary>Off to the provider: where its page is.</summary>
    private static async Task<string> VisitAsync(TestOAuthClient client, TestBrowser browser, string provider, string scope = "mcp")
    {
        var page = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl(("prompt", "login"), ("scope", scope)))).Location!);
        var visit = await browser.OpenAsync(LinkOf(page, provider));
        Assert.True(visit.Location is not null, visit.Html);
        return visit.Location;
    }

    private static string LinkOf(TestPage page, string provider)
    {
        var from = page.Html.IndexOf($"http://localhost/oauth/signin/{provider}?", StringComparison.Ordinal);
        return WebUtility.HtmlDecode(page.Html[from..page.Html.IndexOf('"', from)]);
    }
}
