using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Mooring.Configuration;
using Mooring.Vault;
using Xunit;

namespace Mooring.Tests.Auth;

/// <summary>Servers that are used with a token had in exchange for the one that the client shows (RFC 8693).</summary>
public sealed class TokenExchangeTests : IAsyncDisposable
{
    private const string Endpoint = "https://login.example.com/token";

    private readonly TestInternet _internet = new();
    private readonly FakeClock _clock = new();
    private readonly TestIssuer _issuer;
    private readonly FakeUpstream _server = new();
    private readonly ConcurrentQueue<IReadOnlyDictionary<string, string>> _forms = new();
    private readonly ConcurrentQueue<string?> _sent = new();
    private string? _refused;
    private string? _refusedSubject;
    private string _refusal = "invalid_grant";
    private bool _givesEach;
    private bool _refusesAll;
    private Func<HttpResponseMessage>? _says;
    private TaskCompletionSource _answers = new();
    private GatewayFixture _gateway = null!;

    public TokenExchangeTests()
    {
        _issuer = new TestIssuer(_internet);
        _answers.SetResult();
        _server.Intercept = exchange =>
        {
            var token = exchange.Header("Authorization");
            if (exchange.HttpMethod == "DELETE")
            {
                // The end of what was open with it.
                return false;
            }

            _sent.Enqueue(token);
            if (token is not null && token != _refused && !_refusesAll)
            {
                return false;
            }

            exchange.Refuse(HttpStatusCode.Unauthorized, "Bearer");
            return true;
        };
    }

    public async ValueTask DisposeAsync()
    {
        await _gateway.DisposeAsync();
        _internet.Dispose();
    }

    [Fact]
    public async Task Call_GoesWithTheTokenGivenInExchange_AndNeverWithTheClients()
    {
        await StartAsync();
        var token = Sign("ann");
        var client = await _gateway.ClientWithAsync(token);

        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());

        Assert.Contains("Bearer for ann", _sent);
        Assert.DoesNotContain(_sent, sent => sent?.Contains(token, StringComparison.Ordinal) == true);
        var form = Assert.Single(_forms);
        Assert.Equal("urn:ietf:params:oauth:grant-type:token-exchange", form["grant_type"]);
        Assert.Equal(token, form["subject_token"]);
        Assert.Equal("urn:ietf:params:oauth:token-type:access_token", form["subject_token_type"]);
        Assert.Equal(("one-api", "https://one.test/", "read write"), (form["audience"], form["resource"], form["scope"]));
        Assert.Equal(("gateway", "s"), (form["client_id"], form["client_secret"]));
    }

    [Fact]
    public async Task EachPerson_HasATokenOfTheirOwn()
    {
        await StartAsync();
        var (ann, bob) = (await _gateway.ClientWithAsync(Sign("ann")), await _gateway.ClientWithAsync(Sign("bob")));
        await ann.ResultAsync("echo");
        _sent.Clear();

        await bob.ResultAsync("echo");

        Assert.All(_sent, sent => Assert.Equal("Bearer for bob", sent));
        Assert.Equal(2, _forms.Count);
    }

    [Fact]
    public async Task EachToken_OfOnePerson_IsExchangedForItself_WhicheverLastsLonger()
    {
        await StartAsync();
        _givesEach = true;
        var (wide, narrow) = (Sign("ann", ("exp", _clock.GetUtcNow().AddHours(8).ToUnixTimeSeconds())), Sign("ann"));
        var client = await _gateway.ClientWithAsync(wide);
        await client.ResultAsync("echo");
        Assert.Equal(wide, Assert.Single(_forms)["subject_token"]);
        _sent.Clear();

        // In the very session whose link was opened with the other one.
        client.Token = narrow;
        await client.ResultAsync("echo");
        await client.ResultAsync("echo");

        Assert.Equal([wide, narrow], _forms.Select(form => form["subject_token"]));
        Assert.All(_sent, sent => Assert.Equal($"Bearer for {Id(narrow)}", sent));
    }

    [Fact]
    public async Task TwoTokens_OfOnePerson_InOneSessionAtOnce_EachCallGoesWithItsOwn()
    {
        await StartAsync();
        _givesEach = true;
        var (first, second) = (Sign("ann"), Sign("ann"));
        var client = await _gateway.ClientWithAsync(first);
        await client.ResultAsync("echo");
        _answers = new TaskCompletionSource();

        // The second has to wait for its exchange, and meanwhile the session is used with the first.
        client.Token = second;
        var slow = client.ResultAsync("echo");
        await _gateway.UntilAsync(() => _forms.Count == 2, "the second is asked for");
        client.Token = first;
        await client.ResultAsync("echo");
        _sent.Clear();
        _answers.SetResult();
        Assert.Equal("nothing", (await slow).Text());

        Assert.Equal($"Bearer for {Id(second)}", Assert.Single(_sent));
    }

    [Fact]
    public async Task Token_NotTakenAnyMore_DoesNotStandInTheWayOfAnotherOne()
    {
        await StartAsync();
        var (old, next) = (Sign("ann", ("exp", _clock.GetUtcNow().AddHours(8).ToUnixTimeSeconds())), Sign("ann"));
        _refusedSubject = old;
        var client = await _gateway.ClientWithAsync(old);
        Assert.NotNull((await client.ResultAsync("echo"))["error"]);

        client.Token = next;

        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task ServerToExchangeFor_ComesWithAReload_TokensKnownBeforeAreExchanged()
    {
        await StartAsync();
        var config = _gateway.Config.Current;
        _gateway.Config.Replace(config with { Servers = [config.Servers[0] with { Auth = null }] });
        var token = Sign("ann");
        var client = await _gateway.ClientWithAsync(token);
        await client.TryAsync();

        _gateway.Config.Replace(config);
        await _gateway.UntilAsync(() => _gateway.Get<Mooring.Upstreams.UpstreamTable>().Find("one")?.NeedsAccount == true, "the server is there again");

        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
        Assert.Equal(token, Assert.Single(_forms)["subject_token"]);
    }

    [Fact]
    public async Task ManyCallsAtOnce_ExchangeOnce()
    {
        await StartAsync();
        _answers = new TaskCompletionSource();
        var client = await _gateway.ClientWithAsync(Sign("ann"));
        var calls = Enumerable.Range(0, 10).Select(_ => client.ResultAsync("echo")).ToList();
        await _gateway.UntilAsync(() => !_forms.IsEmpty, "it is asked");

        _answers.SetResult();

        Assert.All(await Task.WhenAll(calls), result => Assert.Equal("nothing", result.Text()));
        Assert.Single(_forms);
    }

    [Fact]
    public async Task Token_NearItsEnd_IsExchangedAnewForTheClientsNewestOne()
    {
        await StartAsync();
        await (await _gateway.ClientWithAsync(Sign("ann"))).ResultAsync("echo");
        await _gateway.PassTimeAsync(Task.Delay(TimeSpan.FromSeconds(595), _clock), TimeSpan.FromSeconds(600), "ten minutes");
        var newest = Sign("ann");

        await (await _gateway.ClientWithAsync(newest)).ResultAsync("echo");

        Assert.Equal(2, _forms.Count);
        Assert.Equal(newest, _forms.Last()["subject_token"]);
    }

    [Fact]
    public async Task Server_RefusesTheToken_GetsAnotherOneOnce()
    {
        await StartAsync();
        var client = await _gateway.ClientWithAsync(Sign("ann"));
        await client.ResultAsync("echo");
        _refused = "Bearer for ann";
        _says = () => Given("for ann again");

        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());

        Assert.Equal(2, _forms.Count);
        Assert.Contains("Bearer for ann again", _sent);
    }

    [Fact]
    public async Task Server_RefusesEveryToken_IsExchangedForOnceAMinute()
    {
        await StartAsync();
        var client = await _gateway.ClientWithAsync(Sign("ann"));
        await client.ResultAsync("echo");
        _refusesAll = true;

        for (var call = 0; call < 5; call++)
        {
            Assert.Contains("it does not take the token that the gateway was given for you", (string?)(await client.ResultAsync("echo"))["error"]!["message"], StringComparison.Ordinal);
        }

        Assert.Equal(2, _forms.Count);
        _gateway.Advance(TimeSpan.FromMinutes(1));
        await client.ResultAsync("echo");
        Assert.Equal(3, _forms.Count);
    }

    [Fact]
    public async Task TwoTokens_OneWaitsForAPlaceAtTheServer_GoesWithItsOwnAllTheSame()
    {
        await StartAsync(server: server => server with { Concurrency = 1, Queue = 2 });
        _givesEach = true;
        _server.Hold("slow");
        var (first, second) = (Sign("ann"), Sign("ann"));
        var client = await _gateway.ClientWithAsync(first);
        var running = client.CallAsync("slow");
        var held = await _server.CallAsync();

        // It came with the second one; until it is its turn the session is used with the first again.
        client.Token = second;
        var waiting = client.ResultAsync("echo");
        await _gateway.UntilAsync(() => _gateway.Runner.Running == 2, "the second call waits");
        client.Token = first;
        var last = client.ResultAsync("echo");
        await _gateway.UntilAsync(() => _gateway.Runner.Running == 3, "the third call waits");
        _sent.Clear();
        held.Text("done");
        (await Limit.Of(running, "the first answer")).Dispose();
        Assert.Equal("nothing", (await waiting).Text());
        Assert.Equal("nothing", (await last).Text());

        Assert.Equal([$"Bearer for {Id(second)}", $"Bearer for {Id(first)}"], _sent);
    }

    [Theory]
    [InlineData("""{"error":"invalid_grant","error_description":"SECRET"}""", "your token is not taken in exchange for one of it")]
    [InlineData("""{"error":"invalid_target"}""", "invalid_target")]
    [InlineData("nonsense", "not JSON")]
    public async Task Exchange_Refused_IsSaidAndNotAskedAgainAtOnce(string body, string why)
    {
        await StartAsync();
        _says = () => new HttpResponseMessage(HttpStatusCode.BadRequest) { Content = new StringContent(body) };
        var client = await _gateway.ClientWithAsync(Sign("ann"));

        var error = (await client.ResultAsync("echo"))["error"]!;
        var asked = _forms.Count;
        await client.ResultAsync("echo");

        Assert.Contains(why, (string?)error["message"], StringComparison.Ordinal);
        Assert.DoesNotContain("SECRET", error.ToJsonString() + _gateway.LogLines, StringComparison.Ordinal);
        Assert.Equal(asked, _forms.Count);
        Assert.Equal(0, _server.Executions("echo"));

        _says = null;
        _gateway.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task Token_OfALinkedAccount_IsWhatIsExchanged()
    {
        await StartAsync(provider: "acme");
        var client = await _gateway.ClientWithAsync(Sign("ann"));
        Assert.Contains("/connect/acme?ticket=", (string?)(await client.ResultAsync("echo"))["error"]!["message"], StringComparison.Ordinal);
        var account = new Credential { AccessToken = "of acme", Received = _clock.GetUtcNow(), Expires = _clock.GetUtcNow().AddHours(1) };
        await _gateway.Get<Credentials>().ReplaceAsync(new Mooring.Stores.CredentialKey(_issuer.Name, "ann", "acme"), account, TestContext.Current.CancellationToken);

        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());

        Assert.Equal("of acme", Assert.Single(_forms)["subject_token"]);
        Assert.Contains("Bearer for of acme", _sent);
    }

    [Fact]
    public async Task Account_LinkedAnew_IsExchangedAtOnce_AndTheOneBeforeIsUsedNoMore()
    {
        await StartAsync(provider: "acme");
        await LinkAsync("first");
        var client = await _gateway.ClientWithAsync(Sign("ann"));
        await client.ResultAsync("echo");
        await client.ResultAsync("echo");
        Assert.Equal("first", Assert.Single(_forms)["subject_token"]);
        _sent.Clear();

        await LinkAsync("second");
        await client.ResultAsync("echo");

        Assert.Equal(["first", "second"], _forms.Select(form => form["subject_token"]));
        Assert.All(_sent, sent => Assert.Equal("Bearer for second", sent));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Account_BrokenOrTakenAway_WhatWasGivenForItIsUsedNoMore(bool isTakenAway)
    {
        await StartAsync(provider: "acme");
        await LinkAsync("first");
        var client = await _gateway.ClientWithAsync(Sign("ann"));
        await client.ResultAsync("echo");
        _sent.Clear();

        if (isTakenAway)
        {
            await _gateway.Get<Credentials>().DeleteAsync(Acme, known: null);
        }
        else
        {
            var (credential, version, _) = await _gateway.Get<Credentials>().FindAsync(Acme, TestContext.Current.CancellationToken);
            Assert.True(await _gateway.Get<Credentials>().SaveAsync(Acme, credential! with { Broken = "invalid_grant" }, version));
        }

        Assert.Contains("/connect/acme?ticket=", (string?)(await client.ResultAsync("echo"))["error"]!["message"], StringComparison.Ordinal);
        Assert.Empty(_sent);
    }

    [Theory]
    [InlineData("invalid_request")]
    [InlineData("invalid_grant")]
    [InlineData("invalid_token")]
    public async Task Account_ItsTokenIsNotTakenInExchange_IsRenewedOnce_AndThenExchanged(string error)
    {
        await StartAsync(provider: "acme");
        await LinkAsync("first", refresh: "again");
        (_refusedSubject, _refusal) = ("first", error);
        _internet.Serve("https://acme.test/token", (_, _) => Given("second"));
        var client = await _gateway.ClientWithAsync(Sign("ann"));

        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());

        Assert.Equal(["first", "second"], _forms.Select(form => form["subject_token"]));
        Assert.All(_sent, sent => Assert.Equal("Bearer for second", sent));
    }

    [Theory]
    [InlineData(true, "the provider does not renew its token: invalid_grant")]
    [InlineData(false, "its token is not taken in exchange for one of the server, nor is a renewed one: invalid_request")]
    public async Task Account_TakenBackByItsProvider_IsToBeConnectedAgain(bool isRefreshRefused, string why)
    {
        await StartAsync(provider: "acme");
        await LinkAsync("first", refresh: "again");
        var (renewals, isTakenBack) = (0, true);
        _says = () => isTakenBack ? new HttpResponseMessage(HttpStatusCode.BadRequest) { Content = new StringContent("""{"error":"invalid_request","error_description":"SECRET"}""") } : Given("for third");
        _internet.Serve("https://acme.test/token", (_, _) =>
        {
            renewals++;
            return isRefreshRefused ? new HttpResponseMessage(HttpStatusCode.BadRequest) { Content = new StringContent("""{"error":"invalid_grant"}""") } : Given("second");
        });
        var client = await _gateway.ClientWithAsync(Sign("ann"));

        for (var call = 0; call < 3; call++)
        {
            var error = (await client.ResultAsync("echo"))["error"]!;
            Assert.Contains(why, (string?)error["message"], StringComparison.Ordinal);
            Assert.Contains("/connect/acme?ticket=", (string?)error["message"], StringComparison.Ordinal);
            Assert.Equal("account_needed", (string?)error["data"]!["mooring"]!["reason"]);
        }

        Assert.Equal(1, renewals);
        Assert.DoesNotContain("SECRET", _gateway.LogLines.ToString(), StringComparison.Ordinal);

        isTakenBack = false;
        await LinkAsync("third");
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
    }

    private Mooring.Stores.CredentialKey Acme => new(_issuer.Name, "ann", "acme");

    private Task LinkAsync(string token, string? refresh = null) => _gateway.Get<Credentials>().ReplaceAsync(
        Acme, new Credential { AccessToken = token, RefreshToken = refresh, Received = _clock.GetUtcNow(), Expires = _clock.GetUtcNow().AddHours(1) }, TestContext.Current.CancellationToken);

    private async Task StartAsync(string? provider = null, Func<ServerConfig, ServerConfig>? server = null)
    {
        _internet.Serve(Endpoint, (_, body) =>
        {
            var form = body.Split('&').Select(field => field.Split('=')).ToDictionary(field => Uri.UnescapeDataString(field[0]), field => Uri.UnescapeDataString(field[1].Replace('+', ' ')));
            _forms.Enqueue(form);
            _answers.Task.Wait(TimeSpan.FromSeconds(30));
            var subject = form["subject_token"];
            return subject == _refusedSubject ? new HttpResponseMessage(HttpStatusCode.BadRequest) { Content = new StringContent($$"""{"error":"{{_refusal}}"}""") }
                : _says?.Invoke() ?? Given($"for {(_givesEach ? Id(subject) : WhoseIs(subject))}");
        });
        var providers = new Dictionary<string, AccountProviderConfig>(StringComparer.Ordinal)
        {
            ["acme"] = new() { AuthorizeUrl = new Uri("https://acme.test/authorize"), TokenUrl = new Uri("https://acme.test/token"), ClientId = "gateway" },
        };
        _gateway = await AuthFixture.StartAsync(
            new AuthConfig { Mode = [AuthMode.Jwt], Jwt = [new JwtIssuerConfig { Issuer = _issuer.Name }] },
            new FixtureOptions
            {
                Others = _internet,
                Clock = _clock,
                Server = known => (server?.Invoke(known) ?? known) with
                {
                    Auth = new ServerAuthConfig
                    {
                        Kind = ServerAuthKind.Exchange,
                        Provider = provider,
                        TokenUrl = new Uri(Endpoint),
                        ClientId = "gateway",
                        ClientSecret = "s",
                        Audience = "one-api",
                        Resource = "https://one.test/",
                        Scopes = ["read", "write"],
                    },
                },
                Services = services => services.AddSingleton(s => new VaultHttp(s.GetRequiredService<TimeProvider>(), _ => _internet)),
            },
            config => config with { PublicUrl = new Uri("https://mcp.example.com"), Providers = providers },
            _server);
    }

    private string Sign(string subject, params (string, object?)[] claims) =>
        _issuer.Sign(_clock.GetUtcNow(), claims: [("sub", subject), ("jti", System.Security.Cryptography.RandomNumberGenerator.GetHexString(16)), .. claims]);

    private static string Id(string token) => (string)JsonNode.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(token.Split('.')[1]))!["jti"]!;

    private static string WhoseIs(string token) =>
        token.Split('.') is [_, var payload, _] ? (string)JsonNode.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(payload))!["sub"]! : token;

    private static HttpResponseMessage Given(string token) => TestInternet.Json(new JsonObject
    {
        ["access_token"] = token,
        ["issued_token_type"] = "urn:ietf:params:oauth:token-type:access_token",
        ["token_type"] = "Bearer",
        ["expires_in"] = 600,
    });
}
