using System.Net;
using Mooring.Auth;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Vault;
using Xunit;

namespace Mooring.Tests.Auth;

/// <summary>The pages: what they refuse, what they say, and what keeps others from using them in a person's name.</summary>
public sealed class AuthorizePageTests
{
    [Theory]
    [InlineData("redirect_uri", "http://127.0.0.1:7777/other")]
    [InlineData("redirect_uri", "http://127.0.0.1.evil.example:7777/callback")]
    [InlineData("redirect_uri", "https://evil.example/callback")]
    [InlineData("redirect_uri", "http://localhost:7777/callback")]
    [InlineData("redirect_uri", "javascript:alert(1)")]
    [InlineData("redirect_uri", "http://[::")]
    [InlineData("redirect_uri", "")]
    [InlineData("redirect_uri", null)]
    [InlineData("client_id", "mrc-nobody")]
    [InlineData("client_id", null)]
    public async Task Authorize_AddressOrClientIsNotKnown_TellsThePersonAndSendsNobodyAnywhere(string name, string? value)
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);

        var page = await new TestBrowser(gateway.Http).OpenAsync(client.AuthorizeUrl((name, value)));

        Assert.Equal((HttpStatusCode.BadRequest, null), (page.Status, page.Location));
        Assert.Contains("role=\"alert\"", page.Html, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("response_type", "token", "unsupported_response_type")]
    [InlineData("code_challenge", null, "invalid_request")]
    [InlineData("code_challenge", "short", "invalid_request")]
    [InlineData("code_challenge_method", "plain", "invalid_request")]
    [InlineData("code_challenge_method", null, "invalid_request")]
    [InlineData("resource", "https://another.example/mcp", "invalid_target")]
    [InlineData("resource", "http://localhost/elsewhere", "invalid_target")]
    [InlineData("prompt", "none", "consent_required")]
    public async Task Authorize_SomethingElseIsWrong_TellsTheClientWithIssAndState(string name, string? value, string error)
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);

        var page = await new TestBrowser(gateway.Http).OpenAsync(client.AuthorizeUrl((name, value)));

        Assert.Equal(HttpStatusCode.SeeOther, page.Status);
        Assert.StartsWith(TestOAuthClient.Callback, page.Location, StringComparison.Ordinal);
        Assert.Equal((error, "st/ä te", "http://localhost"), (page.Query["error"], page.Query["state"], page.Query["iss"]));
    }

    [Theory]
    [InlineData("code_challenge", null, "invalid_request")]
    [InlineData("response_type", "token", "unsupported_response_type")]
    [InlineData("resource", "https://another.example/mcp", "invalid_target")]
    [InlineData("prompt", "none", "consent_required")]
    public async Task Authorize_SomethingElseIsWrong_WebSiteThatRegisteredItself_NobodyIsSentThereUnasked(string name, string? value, string error)
    {
        const string site = "https://app.example.net/callback?a=b";
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway, "Nice <b>app</b>", site, TestOAuthClient.Callback);
        var browser = new TestBrowser(gateway.Http);

        var page = await browser.OpenAsync(client.AuthorizeUrl(("redirect_uri", site), (name, value)));

        Assert.Equal((HttpStatusCode.BadRequest, null), (page.Status, page.Location));
        Assert.Contains("Nice &lt;b&gt;app&lt;/b&gt; asked for something", page.Html, StringComparison.Ordinal);
        Assert.Contains("<strong>app.example.net</strong>", page.Html, StringComparison.Ordinal);
        var back = page with { Location = page.Links.Single() };
        Assert.StartsWith(site + "&", back.Location, StringComparison.Ordinal);
        Assert.Equal((error, "st/ä te", "http://localhost"), (back.Query["error"], back.Query["state"], back.Query["iss"]));
        // The same client as a program on the person's machine.
        Assert.Equal(HttpStatusCode.SeeOther, (await browser.OpenAsync(client.AuthorizeUrl((name, value)))).Status);
    }

    [Theory]
    [InlineData("https://localhost:7777/callback", HttpStatusCode.SeeOther)]
    [InlineData("cursor://anysphere.cursor-mcp/oauth/callback", HttpStatusCode.SeeOther)]
    [InlineData("https://localhost.example.net/callback", HttpStatusCode.BadRequest)]
    public async Task Authorize_SomethingElseIsWrong_ProgramsOnThePersonsMachine_AreStillTold(string redirectUri, HttpStatusCode status)
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway, "Test program", redirectUri);

        Assert.Equal(status, (await new TestBrowser(gateway.Http).OpenAsync(client.AuthorizeUrl(("redirect_uri", redirectUri), ("prompt", "none")))).Status);
    }

    [Fact]
    public async Task Authorize_WebSiteThatRegisteredItself_IsAnsweredOnceAPersonWasAsked()
    {
        const string site = "https://app.example.net/callback";
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway, "Test program", site);
        var browser = new TestBrowser(gateway.Http);

        var allowed = await client.AllowAsync(browser, "ann", ("redirect_uri", site));
        var consent = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl(("redirect_uri", site)))).Location!);
        var denied = await browser.SubmitAsync(consent, ("decision", "deny"));

        Assert.StartsWith(site + "?code=", allowed.Location, StringComparison.Ordinal);
        Assert.StartsWith(site + "?error=access_denied&", denied.Location, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Authorize_AnotherPortOfThePersonsOwnMachine_IsTheSameProgram()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);

        var page = await new TestBrowser(gateway.Http).OpenAsync(client.AuthorizeUrl(("redirect_uri", "http://127.0.0.1:49152/callback")));

        Assert.StartsWith("http://localhost/oauth/consent?request=", page.Location, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Consent_SaysWhoAsksAndWhereTheAnswerGoes_AndAllowsNoOtherPageAnything()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway, "<b>Nice</b> \u202E editor", "cursor://anysphere.cursor-mcp/oauth/callback");
        var browser = new TestBrowser(gateway.Http);
        var signIn = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl(("redirect_uri", "cursor://anysphere.cursor-mcp/oauth/callback")))).Location!);

        var consent = await browser.OpenAsync((await browser.SubmitAsync(signIn, ("user", "ann"), ("password", "secret"))).Location!);

        Assert.Contains("&lt;b&gt;Nice&lt;/b&gt;  editor", consent.Html, StringComparison.Ordinal);
        Assert.Contains("nobody has checked it", consent.Html, StringComparison.Ordinal);
        Assert.Contains("the program that opens cursor: links", consent.Html, StringComparison.Ordinal);
        Assert.Contains("cursor://anysphere.cursor-mcp/oauth/callback", consent.Html, StringComparison.Ordinal);
        Assert.Contains("ann", consent.Html, StringComparison.Ordinal);
        foreach (var page in new[] { signIn, consent })
        {
            Assert.Contains("default-src 'none'", page.Policy, StringComparison.Ordinal);
            Assert.Contains("frame-ancestors 'none'", page.Policy, StringComparison.Ordinal);
            Assert.DoesNotContain("<script", page.Html, StringComparison.OrdinalIgnoreCase);
        }

        Assert.Contains("form-action 'self' cursor:;", consent.Policy, StringComparison.Ordinal);
        Assert.Contains("form-action 'self';", signIn.Policy, StringComparison.Ordinal);
        Assert.StartsWith("cursor://anysphere.cursor-mcp/oauth/callback?code=", (await browser.SubmitAsync(consent, ("decision", "allow"))).Location, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Consent_Denied_TellsTheClient()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);
        await client.TokensAsync(browser);
        var consent = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl())).Location!);

        var answer = await browser.SubmitAsync(consent, ("decision", "deny"));

        Assert.Equal("access_denied", answer.Query["error"]);
    }

    [Fact]
    public async Task Consent_ASecondTime_GivesNothing()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);
        await client.TokensAsync(browser);
        var consent = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl())).Location!);

        var both = await Task.WhenAll(browser.SubmitAsync(consent, ("decision", "allow")), browser.SubmitAsync(consent, ("decision", "allow")));

        Assert.Single(both, page => page.Location?.Contains("code=", StringComparison.Ordinal) == true);
    }

    [Fact]
    public async Task Consent_SignedInAlready_IsStillAskedFor_AndPromptLoginAsksForThePasswordToo()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);
        await client.TokensAsync(browser);

        var again = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl())).Location!);
        var anew = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl(("prompt", "login")))).Location!);

        Assert.Contains("Who asks", again.Html, StringComparison.Ordinal);
        Assert.Contains("type=\"password\"", anew.Html, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/oauth/consent?request=x")]
    [InlineData("/oauth/signin?request=x")]
    [InlineData("/oauth/signin/corp?request=x")]
    [InlineData("/oauth/callback?state=x&code=y")]
    [InlineData("/auth/callback?state=x&code=y")]
    public async Task Pages_OpenedAgainAndAgainFromOneAddress_Are429ForAWhile_AndForOthersNot(string path)
    {
        await using var gateway = await SignInFixture.StartAsync();
        var browser = new TestBrowser(gateway.Http);
        for (var i = 0; i < AuthEndpoints.PagesPerMinute; i++)
        {
            Assert.Equal(HttpStatusCode.BadRequest, (await browser.OpenAsync(path)).Status);
        }

        var page = await browser.OpenAsync(path);

        Assert.Equal((HttpStatusCode.TooManyRequests, "60"), (page.Status, page.Headers["Retry-After"]));
        Assert.Equal(HttpStatusCode.BadRequest, (await browser.OpenAsync(path, ("X-Test-Address", "10.0.0.9"))).Status);
        gateway.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(HttpStatusCode.BadRequest, (await browser.OpenAsync(path)).Status);
    }

    [Theory]
    [InlineData("Origin", "https://evil.example")]
    [InlineData("Origin", "null")]
    [InlineData("Sec-Fetch-Site", "cross-site")]
    public async Task Form_SentByAnotherPage_IsRefused(string header, string value)
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);
        await client.TokensAsync(browser);
        var consent = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl())).Location!);
        var form = consent.Hidden.Append(KeyValuePair.Create("decision", "allow")).ToDictionary(StringComparer.Ordinal);

        var forged = await browser.PostAsync("/oauth/consent", form, (header, value));

        Assert.Equal((HttpStatusCode.BadRequest, null), (forged.Status, forged.Location));
        Assert.Equal(HttpStatusCode.SeeOther, (await browser.SubmitAsync(consent, ("decision", "allow"))).Status);
    }

    [Fact]
    public async Task Request_BegunInAnotherBrowser_CannotBeFinishedInThisOne()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var (theirs, mine) = (new TestBrowser(gateway.Http), new TestBrowser(gateway.Http));
        await client.TokensAsync(mine);
        var begun = (await theirs.OpenAsync(client.AuthorizeUrl())).Location!;
        var secret = begun.Split("request=")[1];

        var opened = await mine.OpenAsync(begun);
        var sent = await mine.PostAsync("/oauth/consent", new Dictionary<string, string>(StringComparer.Ordinal) { ["request"] = Uri.UnescapeDataString(secret), ["decision"] = "allow" });

        Assert.Equal(HttpStatusCode.BadRequest, opened.Status);
        Assert.Equal((HttpStatusCode.BadRequest, null), (sent.Status, sent.Location));
    }

    [Fact]
    public async Task SignIn_GivesTheBrowserNewCookies_AndWhatItHeldBeforeIsWorthNothing()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);
        var signIn = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl())).Location!);
        var planted = browser.Cookies.ToDictionary(StringComparer.Ordinal);

        var consent = (await browser.SubmitAsync(signIn, ("user", "ann"), ("password", "secret"))).Location!;

        Assert.All(planted, cookie => Assert.NotEqual(cookie.Value, browser.Cookies[cookie.Key]));
        Assert.Contains("mooring-signin", browser.Cookies.Keys);
        var attacker = new TestBrowser(gateway.Http);
        foreach (var (name, value) in planted)
        {
            attacker.Cookies[name] = value;
        }

        Assert.Equal(HttpStatusCode.BadRequest, (await attacker.OpenAsync(consent)).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await attacker.SubmitAsync(signIn, ("user", "ann"), ("password", "secret"))).Status);
    }

    [Fact]
    public async Task SignIn_WithAWrongPassword_IsRefused_AndNotTriedForEver()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);
        var page = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl())).Location!);

        Assert.Equal(HttpStatusCode.Forbidden, (await browser.SubmitAsync(page, ("user", "nobody"), ("password", ""))).Status);
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(HttpStatusCode.Forbidden, (await browser.SubmitAsync(page, ("user", "ann"), ("password", "wrong"))).Status);
        }

        Assert.Equal(HttpStatusCode.TooManyRequests, (await browser.SubmitAsync(page, ("user", "ann"), ("password", "secret"))).Status);
        gateway.Advance(TimeSpan.FromMinutes(5));
        Assert.Equal(HttpStatusCode.SeeOther, (await browser.SubmitAsync(page, ("user", "ann"), ("password", "secret"))).Status);
    }

    [Fact]
    public async Task SignIn_UnknownName_IsToldAsAWrongPasswordIs_ToTheLetter_AlsoOnceItIsBlocked()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);
        var page = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl())).Location!);
        async Task<(HttpStatusCode, string, string)> TryAsync(string user)
        {
            var answer = await browser.SubmitAsync(page, ("user", user), ("password", "wrong"));
            return (answer.Status, answer.Html, string.Join('\n', answer.Headers.OrderBy(header => header.Key, StringComparer.Ordinal).Select(header => $"{header.Key}: {header.Value}")));
        }

        for (var i = 0; i < 12; i++)
        {
            gateway.Advance(TimeSpan.FromSeconds(1));
            var (known, unknown) = (await TryAsync("ann"), await TryAsync("nobody"));

            Assert.Equal(known, unknown);
            Assert.Equal((i < 10 ? HttpStatusCode.Forbidden : HttpStatusCode.TooManyRequests, i >= 10), (known.Item1, known.Item3.Contains("Retry-After: ", StringComparison.Ordinal)));
        }
    }

    [Theory]
    [InlineData("nobody\"><script>alert(1)</script>", "nobody")]
    [InlineData("\"><script>alert(1)</script>", "script")]
    [InlineData("ann", "\"ann\"")]
    public async Task SignIn_Refused_RepeatsNothingOfWhatWasTyped(string user, string trace)
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);
        var page = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl())).Location!);

        TestPage refused;
        do
        {
            refused = await browser.SubmitAsync(page, ("user", user), ("password", "typed and wrong"));
            Assert.DoesNotContain(trace, refused.Html, StringComparison.Ordinal);
            Assert.DoesNotContain("typed and wrong", refused.Html, StringComparison.Ordinal);
        }
        while (refused.Status == HttpStatusCode.Forbidden);

        Assert.Equal(HttpStatusCode.TooManyRequests, refused.Status);
    }

    [Fact]
    public async Task SignedIn_SomebodyWhoIsKnownNoLonger_HasToSignInAnew()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);
        await client.TokensAsync(browser);
        var config = gateway.Config.Current;
        gateway.Config.Replace(config with { Auth = config.Auth with { OAuth = config.Auth.OAuth with { Users = config.Auth.OAuth.Users.Where(one => one.Key != "ann").ToDictionary() } } });

        var page = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl())).Location!);

        Assert.Contains("type=\"password\"", page.Html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Connect_InABrowserInWhichSomebodyIsSignedIn_IsForThatPersonAlone()
    {
        var providers = new Dictionary<string, AccountProviderConfig>(StringComparer.Ordinal)
        {
            ["acme"] = new() { AuthorizeUrl = new Uri("https://acme.test/authorize"), TokenUrl = new Uri("https://acme.test/token"), ClientId = "gateway" },
        };
        await using var gateway = await SignInFixture.StartAsync(options: new FixtureOptions { Config = config => config with { Providers = providers } });
        var links = gateway.Get<AccountLinks>();
        string For(string user) => new Uri(links.AddressFor(new CredentialKey(Person.OfConfiguration, user, "acme"), name: null, Challenge.None)).PathAndQuery;
        var browser = new TestBrowser(gateway.Http);
        Assert.StartsWith("http://localhost/oauth/consent?request=", (await browser.OpenAsync("/connect/acme")).Location, StringComparison.Ordinal);
        await (await TestOAuthClient.RegisterAsync(gateway)).TokensAsync(browser);

        var own = await browser.OpenAsync("/connect/acme");

        Assert.Equal(HttpStatusCode.OK, own.Status);
        Assert.Contains("for ann", own.Html, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await browser.OpenAsync(For("ann"))).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await browser.OpenAsync(For("ben"))).Status);
    }

    [Fact]
    public async Task Request_OlderThanTenMinutes_IsOver()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var client = await TestOAuthClient.RegisterAsync(gateway);
        var browser = new TestBrowser(gateway.Http);
        var location = (await browser.OpenAsync(client.AuthorizeUrl())).Location!;

        gateway.Advance(TimeSpan.FromMinutes(10));

        Assert.Equal(HttpStatusCode.BadRequest, (await browser.OpenAsync(location)).Status);
    }

    [Fact]
    public async Task Requests_OfTwoClientsWithTheSameState_DoNotMeet()
    {
        await using var gateway = await SignInFixture.StartAsync();
        var (one, other) = (await TestOAuthClient.RegisterAsync(gateway, "One"), await TestOAuthClient.RegisterAsync(gateway, "Other"));
        var browser = new TestBrowser(gateway.Http);
        await one.TokensAsync(browser);
        var first = await browser.OpenAsync((await browser.OpenAsync(one.AuthorizeUrl())).Location!);
        var second = await browser.OpenAsync((await browser.OpenAsync(other.AuthorizeUrl())).Location!);

        var (firstCode, secondCode) = ((await browser.SubmitAsync(first, ("decision", "allow"))).Query["code"]!, (await browser.SubmitAsync(second, ("decision", "allow"))).Query["code"]!);

        Assert.Equal(HttpStatusCode.OK, (await one.ExchangeAsync(firstCode)).Status);
        Assert.Equal(HttpStatusCode.OK, (await other.ExchangeAsync(secondCode)).Status);
    }
}
