using System.Net;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Mooring.Auth;
using Mooring.Auth.Server;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Tests.Auth;
using Mooring.Tests.Upstreams;
using Mooring.Vault;
using Xunit;

namespace Mooring.Tests.FrontDoor;

/// <summary>Links to connect an account, opened where nobody, or somebody else, is signed in. The link is for one person: who opens it has to be that one.</summary>
public sealed class ConnectSignInTests : IAsyncDisposable
{
    private const string Corp = "https://id.corp.example";

    private readonly TestInternet _internet = new();
    private readonly FakeAuthorizationServer _accounts = new();
    private readonly FakeClock _clock = new();
    private GatewayFixture _gateway = null!;
    private TestBrowser _browser = null!;

    public async ValueTask DisposeAsync()
    {
        await _gateway.DisposeAsync();
        _internet.Dispose();
        _accounts.Dispose();
    }

    [Fact]
    public async Task Link_NobodyIsSignedIn_LeadsThroughTheSignIn_AndBackToItself()
    {
        await StartAsync();
        var link = LinkFor("ann");

        var sent = await _browser.OpenAsync(link);
        var signIn = await _browser.OpenAsync(sent.Location!);
        var rows = await _gateway.Get<IAuthStore>().ListAuthAsync(AuthKind.Request, TestContext.Current.CancellationToken);
        var back = await SignInAsync(signIn, "ann", "secret");

        Assert.Equal((HttpStatusCode.SeeOther, "/oauth/consent"), (sent.Status, new Uri(sent.Location!).AbsolutePath));
        Assert.Contains("an account of acme", signIn.Html, StringComparison.Ordinal);
        Assert.DoesNotContain(rows, row => Encoding.UTF8.GetString(row.Data.Span).Contains(link.Split("ticket=")[1], StringComparison.Ordinal));
        Assert.Equal("http://localhost" + link, back.Location);
        var page = await _browser.OpenAsync(back.Location!);
        Assert.Equal(HttpStatusCode.OK, page.Status);
        Assert.Contains("for ann.", page.Html, StringComparison.Ordinal);
        Assert.StartsWith("https://acme.test/authorize?", (await PressAsync(link)).Location, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Address_WithoutALink_NobodyIsSignedIn_LeadsThroughTheSignIn_AndIsForWhoeverThatWas()
    {
        await StartAsync();

        var signIn = await _browser.OpenAsync((await _browser.OpenAsync("/connect/acme")).Location!);
        var back = await SignInAsync(signIn, "ann", "secret");
        var page = await _browser.OpenAsync(back.Location!);

        Assert.Equal("http://localhost/connect/acme", back.Location);
        Assert.Equal(HttpStatusCode.OK, page.Status);
        Assert.Contains("for ann.", page.Html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Button_PressedWhereNobodyIsSignedIn_LeadsToTheSignIn_AndNotToTheProvider()
    {
        await StartAsync();

        var pressed = await PressAsync(LinkFor("ann"));

        Assert.StartsWith("http://localhost/oauth/consent?request=", pressed.Location, StringComparison.Ordinal);
        Assert.DoesNotContain("mooring-connect", _browser.Cookies.Keys);
    }

    [Fact]
    public async Task Link_SomebodyElseSignsIn_Is403_UntilTheOneItIsForDoes()
    {
        await StartAsync();
        var link = LinkFor("ann");
        var back = await SignInAsync(await _browser.OpenAsync((await _browser.OpenAsync(link)).Location!), "ben", "hidden");

        var refused = await _browser.OpenAsync(back.Location!);
        var pressed = await PressAsync(link);

        Assert.Equal((HttpStatusCode.Forbidden, HttpStatusCode.Forbidden), (refused.Status, pressed.Status));
        Assert.Contains("It is for ann, and you are ben here.", refused.Html, StringComparison.Ordinal);
        Assert.DoesNotContain("<form", refused.Html, StringComparison.Ordinal);

        var anew = WebUtility.HtmlDecode(refused.Html.Split("href=\"")[1].Split('"')[0]);
        var signIn = await _browser.OpenAsync((await _browser.OpenAsync(new Uri(new Uri("http://localhost" + link), anew).PathAndQuery)).Location!);
        Assert.Contains("type=\"password\"", signIn.Html, StringComparison.Ordinal);
        var own = await _browser.OpenAsync((await SignInAsync(signIn, "ann", "secret")).Location!);
        Assert.Equal(HttpStatusCode.OK, own.Status);
    }

    [Theory]
    [InlineData("u-1", HttpStatusCode.OK, "for ann@example.com (u-1).")]
    [InlineData("u-2", HttpStatusCode.Forbidden, "you are ann@example.com (u-1) here.")]
    public async Task Link_OfSomebodyWhoSignsInAtAProvider_LeadsThere_AndIsForThatPersonAlone(string subject, HttpStatusCode status, string says)
    {
        var provider = new TestProvider(_internet, _clock, Corp);
        await StartAsync();
        var link = LinkFor(subject, Corp, "ann@example.com");

        var signIn = await _browser.OpenAsync((await _browser.OpenAsync(link)).Location!);
        var visit = WebUtility.HtmlDecode(signIn.Html.Split("href=\"").Single(part => part.Contains("/oauth/signin/corp?", StringComparison.Ordinal)).Split('"')[0]);
        var consent = await _browser.OpenAsync(provider.Answer((await _browser.OpenAsync(visit)).Location!));
        var page = await _browser.OpenAsync((await _browser.OpenAsync(consent.Location!)).Location!);

        Assert.Equal(status, page.Status);
        Assert.Contains(says, page.Html, StringComparison.Ordinal);
    }

    /// <summary>Whoever makes a link has its own key: a person who is sent it has not.</summary>
    [Fact]
    public async Task Link_OfAPersonOfKeys_AsksForAKeyOfTheirs_AndOnlyThenLeadsToTheProvider()
    {
        await StartAsync();
        var link = LinkFor("mallory", Person.OfApiKeys);
        string[] wrong = ["", "mrk_unknown", "eyJhbGciOiJub25lIn0.e30.", await _gateway.KeyAsync("victim"), await _gateway.KeyAsync("mallory", TimeSpan.FromMinutes(1))];
        _gateway.Advance(TimeSpan.FromMinutes(1));

        var page = await _browser.OpenAsync(link);
        var without = await PressAsync(link);
        var refused = new List<TestPage>();
        foreach (var key in wrong)
        {
            refused.Add(await PressAsync(link, key));
        }

        Assert.Contains("for mallory.", page.Html, StringComparison.Ordinal);
        Assert.Contains("type=\"password\"", page.Html, StringComparison.Ordinal);
        Assert.All([without, .. refused], pressed => Assert.Equal((HttpStatusCode.Forbidden, null), (pressed.Status, pressed.Location)));
        Assert.All(refused, pressed => Assert.Contains("type=\"password\"", pressed.Html, StringComparison.Ordinal));
        Assert.DoesNotContain("mooring-connect", _browser.Cookies.Keys);

        var own = await _gateway.KeyAsync("mallory");
        var foreign = await _browser.PostAsync(link, new Dictionary<string, string>(StringComparer.Ordinal) { ["key"] = own }, ("Origin", "https://evil.test"));
        Assert.Equal((HttpStatusCode.OK, null), (foreign.Status, foreign.Location));
        var sent = await PressAsync(link, own);
        Assert.StartsWith("https://acme.test/authorize?", sent.Location, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await _browser.OpenAsync(_accounts.Allow(new Uri(sent.Location!)).PathAndQuery)).Status);
        Assert.True((await _gateway.Get<Credentials>().FindAsync(new CredentialKey(Person.OfApiKeys, "mallory", "acme"), TestContext.Current.CancellationToken)).IsThere);
        Assert.DoesNotContain(own, _gateway.LogLines.ToString(), StringComparison.Ordinal);
    }

    /// <summary>Who is known in the browser is no stranger to ask for a key: it is that person, or it is not.</summary>
    [Fact]
    public async Task Link_OfAPersonOfKeys_InABrowserThatTheHostKnows_IsRefusedAsBefore()
    {
        await StartAsync();
        var link = LinkFor("mallory", Person.OfApiKeys);

        var refused = await _browser.OpenAsync(link, ("X-Test-User", "victim"));

        Assert.Equal(HttpStatusCode.Forbidden, refused.Status);
        Assert.DoesNotContain("<form", refused.Html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_TriedAgainAndAgain_AreBoundedPerAddress_AndInAll()
    {
        await StartAsync();
        var (link, key) = (LinkFor("mallory", Person.OfApiKeys), await _gateway.KeyAsync("mallory"));
        for (var i = 0; i < KeyFirst.TriesPerAddress; i++)
        {
            Assert.Equal(HttpStatusCode.Forbidden, (await PressAsync(link, "mrk_guess")).Status);
        }

        Assert.Equal(HttpStatusCode.TooManyRequests, (await PressAsync(link, key)).Status);
        Assert.Equal(HttpStatusCode.SeeOther, (await PressAsync(link, key, ("X-Test-Address", "192.0.2.1"))).Status);
        for (var i = KeyFirst.TriesPerAddress + 1; i < KeyFirst.TriesInAll; i++)
        {
            _gateway.Get<Attempts>().TryTake("keys", "", KeyFirst.TriesInAll, TimeSpan.FromMinutes(5));
        }

        Assert.Equal(HttpStatusCode.TooManyRequests, (await PressAsync(link, key, ("X-Test-Address", "192.0.2.2"))).Status);
        _gateway.Advance(TimeSpan.FromMinutes(5));
        Assert.Equal(HttpStatusCode.SeeOther, (await PressAsync(LinkFor("mallory", Person.OfApiKeys), key)).Status);
    }

    [Fact]
    public async Task Link_OfSomebodyWhoDoesNotSignInHere_CanOnlySayWhomItIsFor()
    {
        const string issuer = "https://login.example.com";
        await StartAsync();
        var link = LinkFor("5f7c", issuer, "Ann \u202Eof the office");

        var page = await _browser.OpenAsync(link);

        Assert.Equal(HttpStatusCode.OK, page.Status);
        Assert.Contains("for Ann of the office (5f7c).", page.Html, StringComparison.Ordinal);
        Assert.StartsWith("https://acme.test/authorize?", (await PressAsync(link)).Location, StringComparison.Ordinal);
        Assert.Contains("for 5f7c.", (await _browser.OpenAsync(LinkFor("5f7c", issuer, new string('a', 5000)))).Html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task SignIn_ForALink_GivesNoCode_WorksOnce_AndInTheBrowserItWasBegunInAlone()
    {
        await StartAsync();
        var begun = (await _browser.OpenAsync(LinkFor("ann"))).Location!;
        Assert.Equal(HttpStatusCode.BadRequest, (await new TestBrowser(_gateway.Http).OpenAsync(begun)).Status);
        var signedIn = await _browser.SubmitAsync(await _browser.OpenAsync(begun), ("user", "ann"), ("password", "secret"));
        var form = new Dictionary<string, string>(StringComparer.Ordinal) { ["request"] = signedIn.Query["request"]!, ["decision"] = "allow" };

        var allowed = await _browser.PostAsync("/oauth/consent", form, ("Origin", "http://localhost"));
        var again = await _browser.OpenAsync(signedIn.Location!);

        Assert.StartsWith("http://localhost/connect/acme?ticket=", allowed.Location, StringComparison.Ordinal);
        Assert.Equal((HttpStatusCode.BadRequest, null), (again.Status, again.Location));
        Assert.Empty(await _gateway.Get<IAuthStore>().ListAuthAsync(AuthKind.Code, TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("ben", HttpStatusCode.BadRequest)]
    [InlineData(null, HttpStatusCode.BadRequest)]
    [InlineData("ann", HttpStatusCode.OK)]
    public async Task Callback_LinksWhereWhoeverBeganIsStillSignedInAlone(string? user, HttpStatusCode status)
    {
        await StartAsync();
        var client = await TestOAuthClient.RegisterAsync(_gateway);
        await client.TokensAsync(_browser);
        var back = _accounts.Allow(new Uri((await PressAsync(LinkFor("ann"))).Location!));
        _browser.Cookies.Remove("mooring-signin");
        if (user is not null)
        {
            await client.TokensAsync(_browser, user);
        }

        var done = await _browser.OpenAsync(back.PathAndQuery);

        Assert.Equal(status, done.Status);
        Assert.Equal(status == HttpStatusCode.OK, (await _gateway.Get<Credentials>().FindAsync(new CredentialKey(Person.OfConfiguration, "ann", "acme"), TestContext.Current.CancellationToken)).IsThere);
    }

    [Fact]
    public async Task Links_OpenedByAllTogether_AreBoundedAsOtherRequestsThatWait()
    {
        await StartAsync();
        var link = LinkFor("ann");
        for (var i = 0; i < AuthorizeEndpoint.PerMinuteInAll; i++)
        {
            Assert.Null(_gateway.Get<Attempts>().TryTake(AuthorizeEndpoint.InAll, "", AuthorizeEndpoint.PerMinuteInAll, TimeSpan.FromMinutes(1)));
        }

        Assert.Equal(HttpStatusCode.TooManyRequests, (await _browser.OpenAsync(link)).Status);
        Assert.Empty(await _gateway.Get<IAuthStore>().ListAuthAsync(AuthKind.Request, TestContext.Current.CancellationToken));
        _gateway.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(HttpStatusCode.SeeOther, (await _browser.OpenAsync(link)).Status);
    }

    /// <summary>From the call of a client to the page: what the issuer of its token says of its person comes along.</summary>
    [Fact]
    public async Task Page_OfSomebodyWhomAnotherIssuerKnows_ShowsTheAddressThatItVouchesFor()
    {
        var issuer = new TestIssuer(_internet);
        var server = new FakeUpstream();
        await StartAsync(
            new AuthConfig { Mode = [AuthMode.Jwt], Jwt = [new JwtIssuerConfig { Issuer = issuer.Name, Audience = ["gateway"] }] }, server);
        var client = await _gateway.ClientWithAsync(issuer.Sign(_clock.GetUtcNow(), claims: [("aud", "gateway"), ("sub", "00u1f"), ("email", "ann@example.com"), ("email_verified", true)]));

        var told = (string)(await client.ResultAsync("echo"))["error"]!["message"]!;
        var page = await _browser.OpenAsync(new Uri(told.Split(' ').Single(word => word.Contains("/connect/", StringComparison.Ordinal))).PathAndQuery);

        Assert.Contains("for ann@example.com (00u1f).", page.Html, StringComparison.Ordinal);
    }

    private async Task StartAsync(AuthConfig? auth = null, params FakeUpstream[] servers)
    {
        auth ??= SignInFixture.Local with
        {
            Mode = [AuthMode.OAuth, AuthMode.ApiKey],
            OAuth = SignInFixture.Users with { Providers = new Dictionary<string, SignInProviderConfig>(StringComparer.Ordinal) { ["corp"] = new() { Issuer = Corp, ClientId = "gateway" } } },
        };
        var providers = new Dictionary<string, AccountProviderConfig>(StringComparer.Ordinal)
        {
            ["acme"] = new() { AuthorizeUrl = new Uri("https://acme.test/authorize"), TokenUrl = new Uri("https://acme.test/token"), ClientId = "gateway" },
        };
        _gateway = await AuthFixture.StartAsync(
            auth,
            new FixtureOptions
            {
                Others = _internet,
                Clock = _clock,
                Server = server => server with { Auth = new ServerAuthConfig { Provider = "acme" } },
                Services = services => services.AddSingleton(s => new VaultHttp(s.GetRequiredService<TimeProvider>(), _ => _accounts)),
            },
            config => config with { Providers = providers },
            servers);
        _browser = new TestBrowser(_gateway.Http);
    }

    private string LinkFor(string subject, string issuer = Person.OfConfiguration, string? name = null) =>
        new Uri(_gateway.Get<AccountLinks>().AddressFor(new CredentialKey(issuer, subject, "acme"), name, Challenge.None)).PathAndQuery;

    /// <summary>Says who it is, and goes on to where that leads.</summary>
    private async Task<TestPage> SignInAsync(TestPage page, string user, string password) =>
        await _browser.OpenAsync((await _browser.SubmitAsync(page, ("user", user), ("password", password))).Location!);

    private Task<TestPage> PressAsync(string link, string? key = null, params (string Name, string Value)[] headers)
    {
        var form = new Dictionary<string, string>(StringComparer.Ordinal);
        if (key is not null)
        {
            form["key"] = key;
        }

        return _browser.PostAsync(link, form, [("Origin", "http://localhost"), .. headers]);
    }
}
