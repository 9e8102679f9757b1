using System.Net;
using Microsoft.IdentityModel.Tokens;
using Mooring.Auth;
using Mooring.Auth.Server;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Auth;

/// <summary>Tokens that other issuers signed.</summary>
public sealed class SignedTokenTests
{
    private readonly TestInternet _internet = new();
    private readonly FakeClock _clock = new();
    private readonly TestIssuer _issuer;

    public SignedTokenTests() => _issuer = new TestIssuer(_internet);

    [Theory]
    [InlineData("https://mcp.example.com")]
    [InlineData("https://mcp.example.com/")]
    [InlineData("https://mcp.example.com/servers/one/mcp")]
    [InlineData("https://MCP.example.com/servers/one")]
    public async Task Token_ForThisGateway_LetsInItsSubject(string audience)
    {
        await using var gateway = await StartAsync();

        var client = await gateway.ClientWithAsync(Sign(("aud", audience)));

        Assert.Equal((_issuer.Name, "ann"), (gateway.Session(client).Principal.Issuer, gateway.Session(client).Principal.Subject));
    }

    [Theory]
    [InlineData("https://mcp.example.com/mcp")]
    [InlineData("https://mcp.example.com/servers/on")]
    [InlineData("https://mcp.example.com.evil.example/")]
    [InlineData("http://mcp.example.com/servers/one/mcp")]
    [InlineData("https://another.example/servers/one/mcp")]
    [InlineData("some-client")]
    [InlineData(null)]
    public async Task Token_ForSomethingElse_Is401(string? audience)
    {
        await using var gateway = await StartAsync();

        Assert.Equal(HttpStatusCode.Unauthorized, await TryAsync(gateway, Sign(("aud", audience))));
    }

    [Fact]
    public async Task Token_WithAConfiguredAudience_NeedsThatOne()
    {
        await using var gateway = await StartAsync(issuer => issuer with { Audience = ["api://mooring"] });

        Assert.Equal(HttpStatusCode.OK, await TryAsync(gateway, Sign(("aud", new[] { "other", "api://mooring" }))));
        Assert.Equal(HttpStatusCode.Unauthorized, await TryAsync(gateway, Sign(("aud", "https://mcp.example.com"))));
    }

    [Theory]
    [InlineData("none")]
    [InlineData(SecurityAlgorithms.HmacSha256)]
    [InlineData(SecurityAlgorithms.RsaSha512)]
    public async Task Token_SignedByAnAlgorithmThatIsNotTaken_Is401(string algorithm)
    {
        await using var gateway = await StartAsync();

        Assert.Equal(HttpStatusCode.Unauthorized, await TryAsync(gateway, _issuer.Sign(_clock.GetUtcNow(), algorithm)));
    }

    [Theory]
    [InlineData("at+jwt", true)]
    [InlineData("JWT", true)]
    [InlineData("logout+jwt", false)]
    public async Task Token_OfAnotherType_Is401(string type, bool isTaken)
    {
        await using var gateway = await StartAsync();

        Assert.Equal(isTaken ? HttpStatusCode.OK : HttpStatusCode.Unauthorized, await TryAsync(gateway, _issuer.Sign(_clock.GetUtcNow(), type: type)));
    }

    [Fact]
    public async Task Token_Changed_OrOfAnIssuerNobodyNamed_Is401()
    {
        await using var gateway = await StartAsync();
        var good = Sign();
        var parts = good.Split('.');
        var payload = Base64UrlEncoder.Encode(Base64UrlEncoder.Decode(parts[1]).Replace("\"ann\"", "\"ben\"", StringComparison.Ordinal));

        Assert.Equal(HttpStatusCode.Unauthorized, await TryAsync(gateway, $"{parts[0]}.{payload}.{parts[2]}"));
        Assert.Equal(HttpStatusCode.Unauthorized, await TryAsync(gateway, new TestIssuer(_internet, "https://evil.example").Sign(_clock.GetUtcNow())));
        Assert.Equal(HttpStatusCode.Unauthorized, await TryAsync(gateway, Sign(("iss", "https://login.example.com/"))));
        Assert.Equal(HttpStatusCode.Unauthorized, await TryAsync(gateway, Sign(("sub", null))));
        Assert.Equal(HttpStatusCode.OK, await TryAsync(gateway, good));
        Assert.Equal(0, _internet.Times("https://evil.example/jwks"));
    }

    [Fact]
    public async Task Token_ByTheClock_WorksWithinTheSkewOnBothSides()
    {
        await using var gateway = await StartAsync();
        var now = _clock.GetUtcNow();
        string Until(int seconds) => Sign(("exp", now.AddSeconds(seconds).ToUnixTimeSeconds()));
        string From(int seconds) => Sign(("nbf", now.AddSeconds(seconds).ToUnixTimeSeconds()));

        Assert.Equal(HttpStatusCode.OK, await TryAsync(gateway, Until(-29)));
        Assert.Equal(HttpStatusCode.Unauthorized, await TryAsync(gateway, Until(-31)));
        Assert.Equal(HttpStatusCode.OK, await TryAsync(gateway, From(29)));
        Assert.Equal(HttpStatusCode.Unauthorized, await TryAsync(gateway, From(31)));
        Assert.Equal(HttpStatusCode.Unauthorized, await TryAsync(gateway, Sign(("exp", null))));
    }

    [Fact]
    public async Task Issuer_AskedOnce_AndGoesOnWhileItIsAway()
    {
        await using var gateway = await StartAsync();
        Assert.Empty(_internet.Asked);
        Assert.Equal(HttpStatusCode.OK, await TryAsync(gateway, Sign()));
        _internet.IsAway = true;

        gateway.Advance(TimeSpan.FromHours(5));
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(HttpStatusCode.OK, await TryAsync(gateway, Sign(("jti", i.ToString()))));
        }

        Assert.InRange(_internet.Times(_issuer.Jwks), 1, 2);
    }

    [Fact]
    public async Task Issuer_WhoseKeysHaveAnAddress_IsNotDiscovered()
    {
        _internet.Serve("https://keys.example/jwks", _issuer.KeySet());
        await using var gateway = await StartAsync(issuer => issuer with { Jwks = new Uri("https://keys.example/jwks") });

        Assert.Equal(HttpStatusCode.OK, await TryAsync(gateway, Sign()));

        Assert.Equal(["https://keys.example/jwks"], _internet.Asked);
    }

    [Fact]
    public async Task Admin_ByName_IsThatIssuersPersonAlone()
    {
        var other = new TestIssuer(_internet, "https://id.partner.example");
        await using var gateway = await StartWithAsync(other, "ann", $"{_issuer.Name}#root", $"{_issuer.Name}#Boss@Example.com");

        Assert.Equal(HttpStatusCode.OK, await AdminAsync(gateway, _issuer, ("sub", "root")));
        Assert.Equal(HttpStatusCode.OK, await AdminAsync(gateway, _issuer, ("email", "boss@example.com"), ("email_verified", true)));
        Assert.Equal(HttpStatusCode.Forbidden, await AdminAsync(gateway, _issuer, ("email", "boss@example.com"), ("email_verified", false)));
        Assert.Equal(HttpStatusCode.Forbidden, await AdminAsync(gateway, _issuer, ("sub", "ann")));
        Assert.Equal(HttpStatusCode.Forbidden, await AdminAsync(gateway, other, ("sub", "root"), ("email", "boss@example.com"), ("email_verified", true)));
    }

    [Fact]
    public async Task Admin_ByAddressAlone_IsWhoeverAnyIssuerSaysHasIt()
    {
        var other = new TestIssuer(_internet, "https://id.partner.example");
        await using var gateway = await StartWithAsync(other, "Boss@Example.com");

        Assert.Equal(HttpStatusCode.OK, await AdminAsync(gateway, _issuer, ("email", "boss@example.com"), ("email_verified", true)));
        Assert.Equal(HttpStatusCode.OK, await AdminAsync(gateway, other, ("email", "boss@example.com"), ("email_verified", true)));
        Assert.Equal(HttpStatusCode.Forbidden, await AdminAsync(gateway, other, ("email", "boss@example.com"), ("email_verified", false)));
    }

    [Fact]
    public async Task Issuer_AwayAtFirst_GoodTokensAre503_AndItIsAskedAgainLater_ButNotForEachToken()
    {
        _internet.IsAway = true;
        await using var gateway = await StartAsync();
        for (var i = 0; i < 5; i++)
        {
            var (status, _, headers) = await gateway.SendAsync(HttpMethod.Post, "/servers/one/mcp", Sign(("jti", i.ToString())));
            Assert.Equal((HttpStatusCode.ServiceUnavailable, TimeSpan.FromSeconds(10), 0), (status, headers.RetryAfter?.Delta, headers.WwwAuthenticate.Count));
        }

        Assert.Single(_internet.Asked);
        Assert.Equal(0, UnknownShown(gateway));
        Assert.Contains(await gateway.MetricsAsync("mooring_auth_refused"), line => line.Contains("reason=\"keys_away\"", StringComparison.Ordinal));
        _internet.IsAway = false;
        gateway.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(HttpStatusCode.OK, await TryAsync(gateway, Sign()));
    }

    /// <summary>Nobody can tell of any of them: the work that they make is bounded, and whoever has a good one is let in as soon as its key is there.</summary>
    [Fact]
    public async Task Issuer_Away_FloodOfTokens_IsVerifiedNoMoreForAWhile_AndGoodOnesAreLetInOnceTheKeysAreBack()
    {
        _internet.IsAway = true;
        await using var gateway = await StartAsync();
        for (var i = 0; i < Authenticator.UnknownPerMinute; i++)
        {
            gateway.Get<Attempts>().TryTake(Authenticator.Untold, Attempts.Who(IPAddress.Loopback), Authenticator.UnknownPerMinute, TimeSpan.FromMinutes(1));
        }

        // Verified it would be 401: no key would make it good.
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await TryAsync(gateway, Sign(("aud", "https://another.example"))));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await TryAsync(gateway, Sign()));
        Assert.Equal(0, UnknownShown(gateway));

        _internet.IsAway = false;
        gateway.Advance(TimeSpan.FromSeconds(10));
        await Limit.Of(UntilLetInAsync(), "its key was asked for beside");
        Assert.Equal(HttpStatusCode.Unauthorized, await TryAsync(gateway, Sign(("aud", "https://another.example"))));

        async Task UntilLetInAsync()
        {
            while (await TryAsync(gateway, Sign()) != HttpStatusCode.OK)
            {
                await Task.Yield();
            }
        }
    }

    [Fact]
    public async Task Issuer_Away_TokensThatNobodyCanTellOf_AreCounted()
    {
        _internet.IsAway = true;
        await using var gateway = await StartAsync();

        Assert.Equal(HttpStatusCode.ServiceUnavailable, await TryAsync(gateway, Sign()));

        Assert.NotNull(gateway.Get<Attempts>().WaitOf(Authenticator.Untold, Attempts.Who(IPAddress.Loopback), 1));
    }

    [Theory]
    [InlineData("iss", "https://evil.example")]
    [InlineData("aud", "https://another.example")]
    [InlineData("sub", null)]
    [InlineData("exp", null)]
    public async Task Issuer_Away_TokenThatNoKeyWouldMakeGood_Is401(string claim, string? value)
    {
        _internet.IsAway = true;
        await using var gateway = await StartAsync();

        Assert.Equal(HttpStatusCode.Unauthorized, await TryAsync(gateway, Sign((claim, value))));
        Assert.Equal(HttpStatusCode.Unauthorized, await TryAsync(gateway, Sign(("exp", _clock.GetUtcNow().AddMinutes(-1).ToUnixTimeSeconds()))));
        Assert.Equal(HttpStatusCode.Unauthorized, await TryAsync(gateway, _issuer.Sign(_clock.GetUtcNow(), "none")));
        Assert.Equal(HttpStatusCode.Unauthorized, await TryAsync(gateway, _issuer.Sign(_clock.GetUtcNow(), SecurityAlgorithms.HmacSha256)));
        Assert.Equal(4, UnknownShown(gateway));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Key_NewerThanWhatTheIssuerSaid_TokenIs503UntilItCanBeAsked_AndAnOlderTokenWithAnUnknownKey401(bool isAway)
    {
        await using var gateway = await StartAsync();
        Assert.Equal(HttpStatusCode.OK, await TryAsync(gateway, Sign()));
        var before = _clock.GetUtcNow();
        // Away, or asked so shortly before that it is not asked again yet.
        gateway.Advance(TimeSpan.FromSeconds(isAway ? 20 : 5));
        _internet.IsAway = isAway;
        _issuer.Rotate("k2");
        var good = Sign();

        Assert.Equal(HttpStatusCode.ServiceUnavailable, await TryAsync(gateway, good));
        Assert.Equal(isAway ? 0 : 1, UnknownShown(gateway));
        Assert.Equal(HttpStatusCode.Unauthorized, await TryAsync(gateway, Sign(("iat", before.ToUnixTimeSeconds()))));
        Assert.Equal(HttpStatusCode.Unauthorized, await TryAsync(gateway, Sign(("iat", null))));
        Assert.Equal(HttpStatusCode.Unauthorized, await TryAsync(gateway, Sign(("aud", "https://another.example"))));

        _internet.IsAway = false;
        gateway.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(HttpStatusCode.OK, await TryAsync(gateway, good));
    }

    [Fact]
    public async Task Key_New_IsFetched_AndTokensOfTheOldOneWorkNoLongerWhenItIsGone()
    {
        await using var gateway = await StartAsync();
        var old = Sign();
        var client = await gateway.ClientWithAsync(old);
        gateway.Advance(TimeSpan.FromSeconds(10));

        _issuer.Rotate("k2");
        Assert.Equal(HttpStatusCode.OK, await TryAsync(gateway, Sign()));

        Assert.Equal(HttpStatusCode.Unauthorized, await client.TryAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Key_WithdrawnByItsIssuer_KnownTokenThatIsUsedAllTheTime_WorksNoLonger(bool listens)
    {
        await using var gateway = await StartAsync();
        var client = await gateway.ClientWithAsync(Sign(("exp", _clock.GetUtcNow().AddDays(1).ToUnixTimeSeconds())));
        using var stream = listens ? await gateway.ListenAsync(client) : null;
        _issuer.Rotate("k2");

        // Nothing else comes that would have the keys asked for.
        for (var minutes = 0; minutes < 30; minutes += 5)
        {
            Assert.Equal(HttpStatusCode.OK, await client.TryAsync());
            gateway.Advance(TimeSpan.FromMinutes(5));
        }

        await gateway.UntilAsync(() => _internet.Times(_issuer.Jwks) == 2, "the keys are asked for again", TimeSpan.FromMinutes(2));
        if (stream is not null)
        {
            await gateway.PassTimeAsync(stream.Events.RestAsync(), TimeSpan.FromSeconds(5), "the end of the stream");
        }

        async Task<HttpStatusCode> RefusedAsync()
        {
            while (true)
            {
                if (await client.TryAsync() is not HttpStatusCode.OK and var status)
                {
                    return status;
                }

                await Task.Yield();
            }
        }

        Assert.Equal(HttpStatusCode.Unauthorized, await Limit.Of(RefusedAsync(), "the token to work no longer"));
    }

    [Fact]
    public async Task Keys_OfAnIssuerWhoseTokensNobodyUses_AreNotAskedForAgain()
    {
        await using var gateway = await StartAsync();
        Assert.Equal(HttpStatusCode.OK, await TryAsync(gateway, Sign()));

        gateway.Advance(TimeSpan.FromHours(3));

        Assert.Equal(1, _internet.Times(_issuer.Jwks));
    }

    [Fact]
    public async Task Key_ThatNobodyKnows_DoesNotHaveTheIssuerAskedEachTime()
    {
        await using var gateway = await StartAsync();
        Assert.Equal(HttpStatusCode.OK, await TryAsync(gateway, Sign()));
        gateway.Advance(TimeSpan.FromSeconds(10));
        var before = _internet.Times(_issuer.Jwks);
        _issuer.Rotate("made up", publish: false);

        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(HttpStatusCode.Unauthorized, await TryAsync(gateway, Sign(("jti", i.ToString()))));
        }

        Assert.Equal(before + 1, _internet.Times(_issuer.Jwks));
    }

    [Fact]
    public async Task Scopes_OfTheIssuer_AreTakenForOursOnlyWhereTheConfigurationSaysSo()
    {
        await using var gateway = await StartAsync(issuer => issuer with { RequiredScope = "tools", AdminScope = "mooring.admin" });
        async Task<HttpStatusCode> AdminAsync(string token) => (await gateway.SendAsync(HttpMethod.Get, "/admin/api/drain", token)).Status;
        var whole = ("aud", (object?)"https://mcp.example.com");

        // Told in the issuer's words, for that is whom the client asks.
        var (status, _, headers) = await gateway.SendAsync(HttpMethod.Post, "/servers/one/mcp", Sign(("scope", "mcp admin")));
        Assert.Equal(HttpStatusCode.Forbidden, status);
        Assert.Contains(", scope=\"tools\", ", headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
        Assert.Contains("\"scopes_supported\":[\"tools\"]", (await gateway.SendAsync(HttpMethod.Get, "/.well-known/oauth-protected-resource")).Body, StringComparison.Ordinal);
        Assert.Contains(await gateway.MetricsAsync("mooring_auth_refused"), line => line.Contains("reason=\"scope\"", StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.OK, await TryAsync(gateway, Sign(("scope", "read tools"))));
        Assert.Equal(HttpStatusCode.OK, await TryAsync(gateway, Sign(("scp", new[] { "tools" }))));
        Assert.Equal(HttpStatusCode.Forbidden, await AdminAsync(Sign(whole, ("scope", "tools admin"))));
        Assert.Equal(HttpStatusCode.OK, await AdminAsync(Sign(whole, ("scope", "tools mooring.admin"))));
        Assert.Equal(HttpStatusCode.OK, await AdminAsync(Sign(whole, ("scope", "tools"), ("groups", new[] { "ops" }))));
        Assert.Equal(HttpStatusCode.Unauthorized, await AdminAsync(Sign(("aud", "https://another.example"), ("groups", new[] { "ops" }))));
        // An administrator's, but for one server: whoever holds it administers nothing.
        Assert.Equal(HttpStatusCode.Unauthorized, await AdminAsync(Sign(("scope", "tools mooring.admin"), ("groups", new[] { "ops" }))));
    }

    /// <summary>What the audit log calls a token: nobody gets in with that, nor does it say the id that the issuer gave it.</summary>
    [Theory]
    [InlineData("id-of-it", null, null, "signed_token:a170f043228371e5")]
    [InlineData("id-of-it", "cli", "app", "signed_token:a170f043228371e5")]
    [InlineData(null, "cli", "app", "signed_token of cli")]
    [InlineData(null, null, "app", "signed_token of app")]
    [InlineData(null, null, null, "signed_token")]
    public async Task Token_IsNamedByTheHashOfItsId_OrElseByItsClient(string? id, string? client, string? party, string named)
    {
        await using var gateway = await StartAsync();
        var verifier = gateway.Get<IEnumerable<ITokenVerifier>>().OfType<SignedTokens>().Single();

        var (caller, _) = await verifier.VerifyAsync(Sign(("jti", id), ("client_id", client), ("azp", party)), TestContext.Current.CancellationToken);

        Assert.Equal(named, caller!.Credential);
    }

    private string Sign(params (string Name, object? Value)[] claims) => _issuer.Sign(_clock.GetUtcNow(), claims: claims);

    private Task<GatewayFixture> StartAsync(Func<JwtIssuerConfig, JwtIssuerConfig>? issuer = null) => AuthFixture.StartAsync(
        new AuthConfig { Mode = [AuthMode.Jwt], Jwt = [(issuer ?? (same => same))(new JwtIssuerConfig { Issuer = _issuer.Name })], AdminGroups = ["ops"] },
        new FixtureOptions { Others = _internet, Clock = _clock },
        config => config with { PublicUrl = new Uri("https://mcp.example.com") });

    /// <summary>With a second issuer beside the first.</summary>
    private Task<GatewayFixture> StartWithAsync(TestIssuer other, params string[] admins) => AuthFixture.StartAsync(
        new AuthConfig { Mode = [AuthMode.Jwt], Jwt = [new JwtIssuerConfig { Issuer = _issuer.Name }, new JwtIssuerConfig { Issuer = other.Name }], AdminUsers = admins },
        new FixtureOptions { Others = _internet, Clock = _clock },
        config => config with { PublicUrl = new Uri("https://mcp.example.com") });

    private async Task<HttpStatusCode> AdminAsync(GatewayFixture gateway, TestIssuer issuer, params (string, object?)[] claims) =>
        (await gateway.SendAsync(HttpMethod.Get, "/admin/api/drain", issuer.Sign(_clock.GetUtcNow(), claims: [("aud", "https://mcp.example.com"), .. claims]))).Status;

    /// <summary>As how many tokens that nobody knows those count that were shown.</summary>
    private static int UnknownShown(GatewayFixture gateway) =>
        Enumerable.Range(1, 10).TakeWhile(limit => gateway.Get<Attempts>().WaitOf(Authenticator.Unknown, Attempts.Who(IPAddress.Loopback), limit) is not null).Count();

    /// <summary>How hello is answered.</summary>
    private static async Task<HttpStatusCode> TryAsync(GatewayFixture gateway, string token)
    {
        using var reply = await Limit.Of(gateway.NewClient().With(token).PostAsync(
            """{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"""), "an answer");
        return reply.Status;
    }
}
