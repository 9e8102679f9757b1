using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.DependencyInjection;
using Mooring.Auth;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Tests.Auth;
using Mooring.Vault;
using Xunit;

namespace Mooring.Tests.FrontDoor;

/// <summary>The page on which people see which accounts the gateway uses for them, and take one away.</summary>
public sealed class AccountsPageTests : IAsyncDisposable
{
    private readonly FakeClock _clock = new();
    private readonly Provider _provider = new();
    private FaultyStore _store = null!;
    private GatewayFixture _gateway = null!;
    private TestBrowser _browser = null!;

    public async ValueTask DisposeAsync()
    {
        await _gateway.DisposeAsync();
        _provider.Dispose();
    }

    [Fact]
    public async Task Page_OfWhoeverIsSignedIn_ShowsWhatIsTheirs_AndTakesItAway_AndTheProviderIsTold()
    {
        await StartAsync();
        await SignInAsync("ann");
        await LinkAsync("ann");

        var page = await _browser.OpenAsync("/connect");
        Assert.Contains("uses these accounts for ann.", page.Html, StringComparison.Ordinal);
        Assert.Contains("value=\"acme\"", page.Html, StringComparison.Ordinal);
        Assert.DoesNotContain("value=\"other\"", page.Html, StringComparison.Ordinal);
        var done = await PressAsync("acme");

        Assert.Contains("has told its provider", done.Html, StringComparison.Ordinal);
        Assert.Null(await FindAsync("ann"));
        var (address, form) = Assert.Single(_provider.Asked);
        Assert.Equal("https://acme.test/revoke", address);
        Assert.Equal(("again", "refresh_token", "gateway", "s"), (form["token"], form["token_type_hint"], form["client_id"], form["client_secret"]));
        Assert.Contains("uses no account for ann.", (await _browser.OpenAsync("/connect")).Html, StringComparison.Ordinal);
        Assert.Contains("There is no such account", (await PressAsync("acme")).Html, StringComparison.Ordinal);
        Assert.DoesNotContain("again", _gateway.LogLines.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Page_OfAnotherPerson_ShowsNothingOfIt_AndTakesNothingAway()
    {
        await StartAsync();
        await LinkAsync("ann");
        await SignInAsync("ben");

        var page = await _browser.OpenAsync("/connect");
        var pressed = await PressAsync("acme");

        Assert.DoesNotContain("acme", page.Html, StringComparison.Ordinal);
        Assert.Contains("There is no such account", pressed.Html, StringComparison.Ordinal);
        Assert.NotNull(await FindAsync("ann"));
        Assert.Empty(_provider.Asked);
    }

    [Theory]
    [InlineData("https://evil.test")]
    [InlineData("null")]
    [InlineData(null)]
    public async Task Button_PressedByAnotherPage_TakesNothingAway(string? origin)
    {
        await StartAsync();
        await SignInAsync("ann");
        await LinkAsync("ann");

        var pressed = await _browser.PostAsync("/connect", Form("acme"), origin is null ? [] : [("Origin", origin)]);

        Assert.Contains("uses these accounts for ann.", pressed.Html, StringComparison.Ordinal);
        Assert.NotNull(await FindAsync("ann"));
    }

    [Fact]
    public async Task Page_NobodyIsSignedIn_LeadsThroughTheSignIn_AndBackToItself_AlsoWhereTheButtonWasPressed()
    {
        await StartAsync(SignInFixture.Local);
        await LinkAsync("ann");

        var pressed = await PressAsync("acme");
        var signIn = await _browser.OpenAsync((await _browser.OpenAsync("/connect")).Location!);
        var back = await _browser.OpenAsync((await _browser.SubmitAsync(signIn, ("user", "ann"), ("password", "secret"))).Location!);

        Assert.Equal("/oauth/consent", new Uri(pressed.Location!).AbsolutePath);
        Assert.Contains("shown to their owner alone", signIn.Html, StringComparison.Ordinal);
        Assert.Equal("http://localhost/connect", back.Location);
        Assert.Contains("value=\"acme\"", (await _browser.OpenAsync(back.Location!)).Html, StringComparison.Ordinal);
        Assert.NotNull(await FindAsync("ann"));
    }

    [Fact]
    public async Task Page_WhereThereAreKeysToo_AsksForOne_AndTakesAwayWhatIsOfItsPersonAlone_OrLeadsToTheSignIn()
    {
        await StartAsync();
        await LinkAsync("ann", Person.OfApiKeys);
        await LinkAsync("ann");
        var (own, anothers) = (await _gateway.KeyAsync("ann"), await _gateway.KeyAsync("ben"));

        var page = await _browser.OpenAsync("/connect");
        Assert.Contains("type=\"password\"", page.Html, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Forbidden, (await PressAsync("acme")).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await PressAsync("acme", "mrk_unknown")).Status);
        Assert.Contains("There is no such account", (await PressAsync("acme", anothers)).Html, StringComparison.Ordinal);
        Assert.NotNull(await FindAsync("ann", Person.OfApiKeys));

        Assert.Contains("The account was taken away", (await PressAsync("acme", own)).Html, StringComparison.Ordinal);

        Assert.Null(await FindAsync("ann", Person.OfApiKeys));
        Assert.NotNull(await FindAsync("ann"));
        Assert.Equal("/oauth/consent", new Uri((await _browser.OpenAsync("/connect" + page.Links.Single())).Location!).AbsolutePath);
        Assert.DoesNotContain(own, _gateway.LogLines.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Page_WhereNobodyCanBeAsked_Is403()
    {
        await StartAsync(new AuthConfig { Mode = [AuthMode.Jwt], Jwt = [new JwtIssuerConfig { Issuer = "https://login.example.com", Audience = ["gateway"] }] });

        Assert.Equal((HttpStatusCode.Forbidden, HttpStatusCode.Forbidden), ((await _browser.OpenAsync("/connect")).Status, (await PressAsync("acme")).Status));
    }

    [Theory]
    [InlineData("away", "it could not be asked")]
    [InlineData("refuses", "it answered HTTP 400")]
    [InlineData("has no such endpoint", "nothing says where it takes tokens back")]
    public async Task Provider_CannotBeTold_TheAccountIsGoneAllTheSame_AndThePersonHearsWhy(string how, string why)
    {
        await StartAsync(revokeUrl: how == "has no such endpoint" ? null : "https://acme.test/revoke");
        await SignInAsync("ann");
        await LinkAsync("ann");
        _provider.Answer = how == "away" ? () => throw new HttpRequestException(HttpRequestError.ConnectionError) : () => new HttpResponseMessage(HttpStatusCode.BadRequest);

        var done = await PressAsync("acme");

        Assert.Equal(HttpStatusCode.OK, done.Status);
        Assert.Contains($"was not told ({why}", done.Html, StringComparison.Ordinal);
        Assert.Null(await FindAsync("ann"));
    }

    [Fact]
    public async Task Provider_DoesNotAnswer_IsWaitedForTenSeconds_AndTheAccountIsGoneMeanwhile()
    {
        await StartAsync();
        await SignInAsync("ann");
        await LinkAsync("ann");
        _provider.Hangs = true;

        var pressing = PressAsync("acme");
        await _gateway.UntilAsync(() => _provider.Asked.Count == 1, "the provider is asked");
        Assert.Null(await FindAsync("ann"));
        _gateway.Advance(TimeSpan.FromSeconds(10));

        Assert.Contains("it did not answer within 10 s", (await pressing).Html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Token_IsBeingRefreshed_IsLeftAsItIs_AndThePersonTriesAgain()
    {
        await StartAsync();
        await SignInAsync("ann");
        await LinkAsync("ann");
        Assert.True(await _gateway.Get<IVaultStore>().TryLeaseCredentialAsync(new CredentialKey(Person.OfConfiguration, "ann", "acme"), 1, "another replica", TimeSpan.FromMinutes(1)));

        var busy = await _gateway.PassTimeAsync(PressAsync("acme"), TimeSpan.FromSeconds(20), "an answer");
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "5"), (busy.Status, busy.Headers["Retry-After"]));
        Assert.NotNull(await FindAsync("ann"));

        _gateway.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(HttpStatusCode.OK, (await PressAsync("acme")).Status);
        Assert.Null(await FindAsync("ann"));
    }

    [Fact]
    public async Task Account_ThatIsNotInTheConfiguration_Is404_AndTheStoreAway_503()
    {
        await StartAsync();
        await SignInAsync("ann");

        Assert.Equal(HttpStatusCode.NotFound, (await PressAsync("nobody")).Status);
        _store.IsAway = true;
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await _browser.OpenAsync("/connect")).Status);
        _store.IsAway = false;
    }

    [Fact]
    public async Task Page_OpenedAgainAndAgainFromOneAddress_Is429ForAWhile()
    {
        await StartAsync();
        for (var i = 0; i < 60; i++)
        {
            Assert.Equal(HttpStatusCode.OK, (await _browser.OpenAsync("/connect")).Status);
        }

        Assert.Equal(HttpStatusCode.TooManyRequests, (await _browser.OpenAsync("/connect")).Status);
    }

    private async Task StartAsync(AuthConfig? auth = null, string? revokeUrl = "https://acme.test/revoke")
    {
        AccountProviderConfig Of(string name) => new() { AuthorizeUrl = new Uri($"https://{name}.test/authorize"), TokenUrl = new Uri($"https://{name}.test/token"), ClientId = "gateway", ClientSecret = "s" };
        var providers = new Dictionary<string, AccountProviderConfig>(StringComparer.Ordinal)
        {
            ["acme"] = Of("acme") with { RevokeUrl = revokeUrl is null ? null : new Uri(revokeUrl) },
            ["other"] = Of("other"),
        };
        _gateway = await AuthFixture.StartAsync(
            auth ?? SignInFixture.Local with { Mode = [AuthMode.OAuth, AuthMode.ApiKey] },
            new FixtureOptions
            {
                Clock = _clock,
                Store = clock => _store = new FaultyStore(clock),
                Services = services => services.AddSingleton(s => new VaultHttp(s.GetRequiredService<TimeProvider>(), _ => _provider)),
            },
            config => config with { Providers = providers });
        _browser = new TestBrowser(_gateway.Http);
    }

    private async Task SignInAsync(string user) => await (await TestOAuthClient.RegisterAsync(_gateway)).TokensAsync(_browser, user);

    private Task LinkAsync(string user, string issuer = Person.OfConfiguration) => _gateway.Get<Credentials>().ReplaceAsync(
        new CredentialKey(issuer, user, "acme"), new Credential { AccessToken = "token", RefreshToken = "again", Received = _clock.GetUtcNow() }, TestContext.Current.CancellationToken);

    private async Task<Credential?> FindAsync(string user, string issuer = Person.OfConfiguration) =>
        (await _gateway.Get<Credentials>().FindAsync(new CredentialKey(issuer, user, "acme"), TestContext.Current.CancellationToken)).Credential;

    private Task<TestPage> PressAsync(string account, string? key = null) => _browser.PostAsync("/connect", Form(account, key), ("Origin", "http://localhost"));

    private static Dictionary<string, string> Form(string account, string? key = null)
    {
        var form = new Dictionary<string, string>(StringComparer.Ordinal) { ["account"] = account };
        if (key is not null)
        {
            form["key"] = key;
        }

        return form;
    }

    /// <summary>Where tokens are taken back.</summary>
    private sealed class Provider : HttpMessageHandler
    {
        public ConcurrentQueue<(string Address, Dictionary<string, string> Form)> Asked { get; } = new();

        public Func<HttpResponseMessage> Answer { get; set; } = () => new HttpResponseMessage(HttpStatusCode.OK);

        public bool Hangs { get; set; }

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var form = QueryHelpers.ParseQuery(await request.Content!.ReadAsStringAsync(cancellationToken)).ToDictionary(pair => pair.Key, pair => pair.Value.ToString());
            Asked.Enqueue((request.RequestUri!.AbsoluteUri, form));
            if (Hangs)
            {
                await new TaskCompletionSource().Task.WaitAsync(cancellationToken);
            }

            return Answer();
        }
    }
}
