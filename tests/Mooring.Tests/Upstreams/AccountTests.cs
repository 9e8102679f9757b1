using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;
using System.Web;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.DependencyInjection;
using Mooring.Configuration;
using Mooring.Network;
using Mooring.Stores;
using Mooring.Vault;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <summary>Servers that are used with the account of each user: asked for, linked in a browser, and used for that user alone.</summary>
public sealed partial class AccountTests : IAsyncDisposable
{
    private const string Named = "Bearer resource_metadata=\"http://one.test/.well-known/oauth-protected-resource/mcp\", scope=\"from-challenge\"";

    private const string Url = """{"elicitation":{"url":{}}}""";

    private readonly FakeAuthorizationServer _authorization = new();
    private readonly FakeUpstream _server = new();
    private readonly ConcurrentQueue<string?> _tokens = new();
    private readonly ConcurrentQueue<string?> _callTokens = new();
    private readonly HashSet<string> _good = [];
    private string _challenge = Named;
    private readonly ConcurrentQueue<(Reach Reach, string Address)> _asked = new();
    private GatewayFixture _gateway = null!;

    public async ValueTask DisposeAsync()
    {
        await _gateway.DisposeAsync();
        _authorization.Dispose();
    }

    [Fact]
    public async Task Call_NotLinked_ClientOpensAddresses_IsAskedToOpenOne_AndTheServerHearsNothing()
    {
        await StartAsync();
        var client = await _gateway.ClientAsync(user: "ann", capabilities: Url);

        var error = (await client.ResultAsync("echo"))["error"]!;

        Assert.Equal(-32042, (int)error["code"]!);
        var asked = Assert.Single(error["data"]!["elicitations"]!.AsArray())!;
        Assert.Equal("url", (string?)asked["mode"]);
        Assert.StartsWith("https://gateway.test/connect/acme?ticket=", (string?)asked["url"], StringComparison.Ordinal);
        Assert.False(string.IsNullOrEmpty((string?)asked["elicitationId"]));
        Assert.Equal("account_needed", (string?)error["data"]!["mooring"]!["reason"]);
        Assert.Equal(0, _server.Executions("echo"));
        Assert.DoesNotContain("?ticket=", _gateway.LogLines.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("2025-11-25")]
    [InlineData("2025-06-18")]
    public async Task Call_NotLinked_ClientOpensNone_IsToldTheAddress(string version)
    {
        await StartAsync();
        var client = await _gateway.ClientAsync(version, user: "ann");

        var error = (await client.ResultAsync("echo"))["error"]!;

        Assert.Equal(-32603, (int)error["code"]!);
        Assert.Contains("Open https://gateway.test/connect/acme?ticket=", (string?)error["message"], StringComparison.Ordinal);
        Assert.Equal("no", (string?)error["data"]!["mooring"]!["executed"]);
    }

    [Fact]
    public async Task List_NotLinked_SaysWhereToLink()
    {
        await StartAsync();
        var client = await _gateway.ClientAsync(user: "ann", capabilities: Url);

        using var reply = await client.RequestAsync("tools/list");

        Assert.Equal(-32042, (int)(await reply.MessageAsync())["error"]!["code"]!);
    }

    [Fact]
    public async Task Account_Linked_CallsGoWithItsTokenForThatUserAlone()
    {
        await StartAsync();
        var (ann, bob) = (await _gateway.ClientAsync(user: "ann", capabilities: Url), await _gateway.ClientAsync(user: "bob", capabilities: Url));

        await LinkAsync(await AddressAsync(ann));

        Assert.Equal("nothing", (await ann.ResultAsync("echo")).Text());
        Assert.Equal(["Bearer token-1"], _callTokens);
        Assert.All(_tokens, token => Assert.True(token is "Bearer token-1", token));
        Assert.Equal(-32042, (int)(await bob.ResultAsync("echo"))["error"]!["code"]!);
        using var list = await ann.RequestAsync("tools/list");
        Assert.Equal("echo", (string?)(await list.MessageAsync())["result"]!["tools"]![0]!["name"]);
        using var others = await bob.RequestAsync("tools/list");
        Assert.NotNull((await others.MessageAsync())["error"]);
    }

    [Fact]
    public async Task Token_OfTheClient_IsNeverPassedOn()
    {
        await StartAsync();
        var client = await _gateway.ClientAsync(user: "ann", capabilities: Url);
        await LinkAsync(await AddressAsync(client));

        using var reply = await client.PostAsync("""{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"echo","arguments":{}}}""", headers: ("Authorization", "Bearer of-the-client"));
        await reply.MessageAsync();

        Assert.DoesNotContain(_tokens, token => token?.Contains("of-the-client", StringComparison.Ordinal) == true);
    }

    [Fact]
    public async Task Authorization_Request_HasPkceStateAndWhatTheProviderWants()
    {
        await StartAsync();
        var to = await BeginAsync(await AddressAsync(await _gateway.ClientAsync(user: "ann", capabilities: Url)));
        var query = QueryHelpers.ParseQuery(to.Query);

        Assert.Equal("https://acme.test/authorize", to.GetLeftPart(UriPartial.Path));
        Assert.Equal(("code", "gateway", "S256", "offline", "read write"), (
            query["response_type"].ToString(), query["client_id"].ToString(), query["code_challenge_method"].ToString(), query["access_type"].ToString(), query["scope"].ToString()));
        Assert.Equal("https://gateway.test/connect/acme/callback", query["redirect_uri"].ToString());
        Assert.DoesNotContain("ann", query["state"].ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Link_OpenedByAnotherUser_Is403()
    {
        await StartAsync();
        var address = await AddressAsync(await _gateway.ClientAsync(user: "ann", capabilities: Url));

        using var stolen = await SendAsync(HttpMethod.Get, address, user: "bob");
        using var own = await SendAsync(HttpMethod.Get, address, user: "ann");

        Assert.Equal((HttpStatusCode.Forbidden, HttpStatusCode.OK), (stolen.StatusCode, own.StatusCode));
    }

    /// <summary>Nobody is known there, no button counts, and a cookie of it does not come back: the gateway's address is the configuration's.</summary>
    [Theory]
    [InlineData("http://localhost", "/connect/acme?ticket=x%2Fy", "https://gateway.test/connect/acme?ticket=x%2Fy&led=1")]
    [InlineData("http://localhost:3000", "/connect", "https://gateway.test/connect?led=1")]
    [InlineData("https://gateway.test:8443", "/connect", "https://gateway.test/connect?led=1")]
    [InlineData("http://localhost", "/connect//evil.test", null)]
    [InlineData("https://gateway.test", "/connect", null)]
    [InlineData("http://localhost", "/connect?led=1", null)]
    public async Task Page_UnderAnotherNameOfTheGateways_LeadsToItsAddress_OnceAndNowhereElse(string root, string path, string? to)
    {
        await StartAsync();

        using var page = await SendAsync(HttpMethod.Get, new Uri(root + path));
        using var pressed = await SendAsync(HttpMethod.Post, new Uri(root + path), origin: root);

        Assert.Equal(to, page.Headers.Location?.AbsoluteUri);
        Assert.Equal(to is null, page.StatusCode != HttpStatusCode.SeeOther);
        Assert.NotEqual(to ?? "none", pressed.Headers.Location?.AbsoluteUri);
    }

    [Fact]
    public async Task Page_UnderANameOfAnotherSite_Is403()
    {
        await StartAsync();
        var address = await AddressAsync(await _gateway.ClientAsync(user: "ann", capabilities: Url));
        var rebound = new UriBuilder(address) { Host = "evil.test" }.Uri;

        using var page = await SendAsync(HttpMethod.Get, rebound);
        using var pressed = await SendAsync(HttpMethod.Post, rebound, origin: "https://evil.test");

        Assert.Equal((HttpStatusCode.Forbidden, HttpStatusCode.Forbidden), (page.StatusCode, pressed.StatusCode));
    }

    [Fact]
    public async Task Button_OnAPageUnderAnotherNameThanTheConfigured_LeadsNowhere()
    {
        await StartAsync();
        var address = new UriBuilder(await AddressAsync(await _gateway.ClientAsync(user: "ann", capabilities: Url))) { Host = "localhost" }.Uri;

        // Served there, but browsers know the gateway by one address.
        using var pressed = await SendAsync(HttpMethod.Post, address, origin: "https://localhost");
        using var other = await SendAsync(HttpMethod.Post, address, origin: "http://gateway.test");
        using var own = await SendAsync(HttpMethod.Post, address, origin: "https://gateway.test");

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.SeeOther), (pressed.StatusCode, other.StatusCode, own.StatusCode));
    }

    [Theory]
    [InlineData("/connect/acme")]
    [InlineData("/connect/acme/callback?code=x&state=y")]
    [InlineData("/connect/client.json")]
    [InlineData("/auth/hubspot/callback?code=x&state=y")]
    public async Task Path_UnderANameThatIsNotTheGateways_Is403(string path)
    {
        await StartAsync();

        using var own = await SendAsync(HttpMethod.Get, new Uri("https://gateway.test" + path));
        using var foreign = await SendAsync(HttpMethod.Get, new Uri("https://evil.test" + path));

        Assert.NotEqual(HttpStatusCode.Forbidden, own.StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, foreign.StatusCode);
    }

    [Fact]
    public async Task Callback_UnderANameOfAnotherSite_LinksNothing_AndIsNotUsedUp()
    {
        await StartAsync();
        var client = await _gateway.ClientAsync(user: "ann", capabilities: Url);
        var (back, cookie) = await GoAsync(await AddressAsync(client));

        using var foreign = await SendAsync(HttpMethod.Get, new UriBuilder(back) { Host = "evil.test" }.Uri, cookie: cookie);
        Assert.Equal(HttpStatusCode.Forbidden, foreign.StatusCode);
        Assert.Equal(-32042, (int)(await client.ResultAsync("echo"))["error"]!["code"]!);

        using var own = await SendAsync(HttpMethod.Get, back, cookie: cookie);
        Assert.Equal(HttpStatusCode.OK, own.StatusCode);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("null")]
    [InlineData("https://evil.test")]
    public async Task Button_PressedByAnotherPage_LeadsNowhere(string? origin)
    {
        await StartAsync();
        var address = await AddressAsync(await _gateway.ClientAsync(user: "ann", capabilities: Url));

        using var pressed = await SendAsync(HttpMethod.Post, address, origin: origin);

        Assert.Equal(HttpStatusCode.OK, pressed.StatusCode);
        Assert.Contains("Go on only if you asked for this yourself", await pressed.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Link_TooOldChangedOrOfAnotherProvider_IsOfNoUse()
    {
        await StartAsync();
        var address = await AddressAsync(await _gateway.ClientAsync(user: "ann", capabilities: Url));
        var ticket = HttpUtility.ParseQueryString(address.Query)["ticket"]!;

        foreach (var (path, expected) in new[]
        {
            ("/connect/acme?ticket=", HttpStatusCode.BadRequest), ($"/connect/acme?ticket={ticket[..^4]}AAAA", HttpStatusCode.BadRequest), ($"/connect/acme?ticket={ticket}%00", HttpStatusCode.BadRequest),
            ($"/connect/nobody?ticket={ticket}", HttpStatusCode.NotFound), ($"/connect/other?ticket={ticket}", HttpStatusCode.BadRequest), ("/connect/acme", HttpStatusCode.BadRequest),
        })
        {
            using var refused = await SendAsync(HttpMethod.Get, new Uri("https://gateway.test" + path));
            Assert.Equal((path, expected), (path, refused.StatusCode));
        }

        _gateway.Advance(AccountLinks.Patience);
        using var late = await SendAsync(HttpMethod.Get, address);
        Assert.Equal(HttpStatusCode.BadRequest, late.StatusCode);
    }

    [Fact]
    public async Task Callback_InAnotherBrowserOrTwiceOrRefused_LinksNothing()
    {
        await StartAsync();
        var client = await _gateway.ClientAsync(user: "ann", capabilities: Url);
        var (back, cookie) = await GoAsync(await AddressAsync(client));

        foreach (var (address, with) in new[] { (back, null), (back, "mooring-connect=another"), (new Uri(back.AbsoluteUri.Replace("code=", "error=access_denied&x=", StringComparison.Ordinal)), cookie), (new Uri(back.AbsoluteUri.Replace("state=", "x=", StringComparison.Ordinal)), cookie) })
        {
            using var refused = await SendAsync(HttpMethod.Get, address, cookie: with);
            Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
            Assert.Equal(-32042, (int)(await client.ResultAsync("echo"))["error"]!["code"]!);
        }

        using var linked = await SendAsync(HttpMethod.Get, back, cookie: cookie);
        using var again = await SendAsync(HttpMethod.Get, back, cookie: cookie);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.BadRequest), (linked.StatusCode, again.StatusCode));
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task Pages_ShowWhatComesFromOutsideAsText()
    {
        await StartAsync();
        var (back, cookie) = await GoAsync(await AddressAsync(await _gateway.ClientAsync(user: "ann", capabilities: Url)));

        using var page = await SendAsync(HttpMethod.Get, new Uri(back.AbsoluteUri.Replace("code=", "error=%3Cscript%3Ealert(1)%3C/script%3E&x=", StringComparison.Ordinal)), cookie: cookie);
        var body = await page.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);

        Assert.Contains("an error that no specification has", body, StringComparison.Ordinal);
        Assert.DoesNotContain("script", body, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("default-src 'none'", page.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Page_NamesWhoseAccountItWillBeAsText()
    {
        await StartAsync();

        using var page = await SendAsync(HttpMethod.Get, await AddressAsync(await _gateway.ClientAsync(user: "ann <b>", capabilities: Url)));

        Assert.Contains("for ann &lt;b&gt;.", await page.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Call_TokenIsRefused_IsSentOnceMoreWithAnother()
    {
        await StartAsync();
        var client = await _gateway.ClientAsync(user: "ann", capabilities: Url);
        await LinkAsync(await AddressAsync(client));
        await client.ResultAsync("echo");
        _good.Add("Bearer token-2");
        var before = _server.Intercept!;
        _server.Intercept = exchange =>
        {
            // Calls alone: what else is under way would have the token renewed first.
            if ((string?)exchange.Message?["method"] != "tools/call" || exchange.Header("Authorization") != "Bearer token-1")
            {
                return before(exchange);
            }

            _callTokens.Enqueue("Bearer token-1");
            exchange.Refuse(HttpStatusCode.Unauthorized, "Bearer");
            return true;
        };

        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());

        Assert.Equal(("refresh_token", "again"), (_authorization.Form["grant_type"], _authorization.Form["refresh_token"]));
        // What the gateway asks of its own accord may meet the refusal first.
        Assert.Equal(["Bearer token-1", "Bearer token-2"], _callTokens.Distinct());
        Assert.Equal(2, _server.Executions("echo"));
    }

    [Fact]
    public async Task Call_ProviderIsAwayAndTheTokenEnded_IsRefusedAndTheServerStaysWell()
    {
        await StartAsync();
        var client = await _gateway.ClientAsync(user: "ann", capabilities: Url);
        await LinkAsync(await AddressAsync(client));
        await client.ResultAsync("echo");
        _authorization.IsAway = true;
        _gateway.Advance(TimeSpan.FromHours(2));

        for (var i = 0; i < 8; i++)
        {
            var error = (await _gateway.PassTimeAsync(client.ResultAsync("echo"), TimeSpan.FromSeconds(5), "the answer"))["error"]!;
            Assert.Equal(("upstream_refused", "refused"), ((string?)error["data"]!["mooring"]!["reason"], (string?)error["data"]!["mooring"]!["executed"]));
        }

        Assert.DoesNotContain(_gateway.LogLines.Lines, line => line.Contains("UpstreamAway", StringComparison.Ordinal));
        _authorization.IsAway = false;
        _gateway.Advance(TimeSpan.FromMinutes(1));
        _good.Add("Bearer token-2");
        Assert.Equal("nothing", (await _gateway.PassTimeAsync(client.ResultAsync("echo"), TimeSpan.FromSeconds(5), "the answer")).Text());
    }

    [Fact]
    public async Task OAuthServer_NotLinked_LeadsOverItsOwnMetadataToATokenForIt()
    {
        await StartAsync(new ServerAuthConfig { Kind = ServerAuthKind.OAuth });
        var client = await _gateway.ClientAsync(user: "ann", capabilities: Url);

        var to = await BeginAsync(await AddressAsync(client));
        var query = QueryHelpers.ParseQuery(to.Query);

        Assert.Equal("https://as.test/authorize", to.GetLeftPart(UriPartial.Path));
        Assert.Equal(("registered", "http://one.test/mcp", "from-challenge"), (query["client_id"].ToString(), query["resource"].ToString(), query["scope"].ToString()));
        Assert.Equal("https://gateway.test/connect/one/callback", (string?)_authorization.Registered!["redirect_uris"]![0]);
        await LinkAsync(await AddressAsync(client));
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
        Assert.Equal("http://one.test/mcp", _authorization.Form["resource"]);
        Assert.Equal("Basic cmVnaXN0ZXJlZDpodXNo", _authorization.Authorization);
        // All users and links share one registration.
        Assert.Single(_authorization.Requests, "POST https://as.test/register");
    }

    [Fact]
    public async Task OAuthServer_TakesClientDocuments_IsNamedOneAndNotRegisteredAt()
    {
        _authorization.Metadata["client_id_metadata_document_supported"] = true;
        await StartAsync(new ServerAuthConfig { Kind = ServerAuthKind.OAuth });

        var to = await BeginAsync(await AddressAsync(await _gateway.ClientAsync(user: "ann", capabilities: Url)));

        Assert.Equal("https://gateway.test/connect/client.json", QueryHelpers.ParseQuery(to.Query)["client_id"].ToString());
        Assert.Null(_authorization.Registered);
        using var document = await SendAsync(HttpMethod.Get, new Uri("https://gateway.test/connect/client.json"));
        var described = JsonNode.Parse(await document.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!;
        Assert.Equal("https://gateway.test/connect/client.json", (string?)described["client_id"]);
        Assert.Contains("https://gateway.test/connect/one/callback", described["redirect_uris"]!.AsArray().Select(uri => (string?)uri));
    }

    /// <summary>Its secret is not for whatever authorization server the server comes to name.</summary>
    [Fact]
    public async Task OAuthServer_NamesAnotherAuthorizationServerThanTheConfiguration_LeadsNowhere()
    {
        await StartAsync(new ServerAuthConfig { Kind = ServerAuthKind.OAuth, ClientId = "known", ClientSecret = "s", Issuer = "https://login.test" });

        using var page = await SendAsync(HttpMethod.Post, await AddressAsync(await _gateway.ClientAsync(user: "ann", capabilities: Url)), origin: "https://gateway.test");

        Assert.Contains("another authorization server than auth.issuer", await page.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task OAuthServer_ClientIsInTheConfiguration_IsUsed()
    {
        await StartAsync(new ServerAuthConfig { Kind = ServerAuthKind.OAuth, ClientId = "known", ClientSecret = "s", Issuer = "https://as.test", Scopes = ["mine"] });

        var query = QueryHelpers.ParseQuery((await BeginAsync(await AddressAsync(await _gateway.ClientAsync(user: "ann", capabilities: Url)))).Query);

        Assert.Equal(("known", "mine"), (query["client_id"].ToString(), query["scope"].ToString()));
        Assert.Null(_authorization.Registered);
    }

    public static TheoryData<string> Lies => [.. s_lies.Keys];

    private static readonly Dictionary<string, Action<FakeAuthorizationServer>> s_lies = new(StringComparer.Ordinal)
    {
        ["another resource"] = a => a.Resource!["resource"] = "http://other.test/mcp",
        ["a resource below"] = a => a.Resource!["resource"] = "http://one.test/mcp/deeper",
        ["another issuer"] = a => a.Metadata["issuer"] = "https://evil.test",
        ["no PKCE"] = a => a.Metadata.Remove("code_challenge_methods_supported"),
        ["plain PKCE"] = a => a.Metadata["code_challenge_methods_supported"] = new JsonArray("plain"),
        ["tokens over http"] = a => a.Metadata["token_endpoint"] = "http://as.test/token",
        ["no way to register"] = a => a.Metadata.Remove("registration_endpoint"),
        ["server over http"] = a => a.Resource!["authorization_servers"] = new JsonArray("http://as.test"),
    };

    [Theory]
    [MemberData(nameof(Lies))]
    public async Task OAuthServer_MetadataDoNotFit_LeadsNowhere(string lie)
    {
        s_lies[lie](_authorization);
        await StartAsync(new ServerAuthConfig { Kind = ServerAuthKind.OAuth });

        using var refused = await SendAsync(HttpMethod.Post, await AddressAsync(await _gateway.ClientAsync(user: "ann", capabilities: Url)), origin: "https://gateway.test");

        Assert.Equal(HttpStatusCode.BadGateway, refused.StatusCode);
    }

    [Theory]
    [InlineData(true, "https://as.test", true)]
    [InlineData(true, null, false)]
    [InlineData(true, "https://evil.test", false)]
    [InlineData(false, "https://evil.test", false)]
    [InlineData(false, null, true)]
    public async Task OAuthServer_AnswerNamesItsServer_IsTakenOnlyFromTheRightOne(bool namesItself, string? from, bool isTaken)
    {
        _authorization.Metadata["authorization_response_iss_parameter_supported"] = namesItself;
        await StartAsync(new ServerAuthConfig { Kind = ServerAuthKind.OAuth });
        var client = await _gateway.ClientAsync(user: "ann", capabilities: Url);

        var (back, cookie) = await GoAsync(await AddressAsync(client), from);
        using var done = await SendAsync(HttpMethod.Get, back, cookie: cookie);

        Assert.Equal(isTaken ? HttpStatusCode.OK : HttpStatusCode.BadRequest, done.StatusCode);
    }

    /// <summary>A server could name any address: what it names is asked no further away than it is itself.</summary>
    [Fact]
    public async Task OAuthServer_WhatItNames_IsAskedThroughTheGuard()
    {
        await StartAsync(new ServerAuthConfig { Kind = ServerAuthKind.OAuth });
        var client = await _gateway.ClientAsync(user: "ann", capabilities: Url);

        await LinkAsync(await AddressAsync(client));
        // Its server takes the first token no longer, so another is asked for.
        (_, _) = (_good.Remove("Bearer token-1"), _good.Add("Bearer token-2"));
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());

        Assert.Equal(
            [
                (Reach.Anywhere, "http://one.test/.well-known/oauth-protected-resource/mcp"), (Reach.Internet, "https://as.test/.well-known/oauth-authorization-server"),
                (Reach.Internet, "https://as.test/register"), (Reach.Internet, "https://as.test/token"), (Reach.Internet, "https://as.test/token"),
            ],
            _asked);
    }

    private async Task StartAsync(ServerAuthConfig? auth = null, Func<TimeProvider, IStore>? store = null, IVaultStore? vault = null)
    {
        _good.UnionWith(["Bearer token-1"]);
        _server.Intercept = exchange =>
        {
            var token = exchange.Header("Authorization");
            _tokens.Enqueue(token);
            if ((string?)exchange.Message?["method"] == "tools/call")
            {
                _callTokens.Enqueue(token);
            }

            if (token is not null && _good.Contains(token))
            {
                return false;
            }

            exchange.Refuse(HttpStatusCode.Unauthorized, _challenge);
            return true;
        };
        var providers = new Dictionary<string, AccountProviderConfig>(StringComparer.Ordinal)
        {
            ["acme"] = new()
            {
                AuthorizeUrl = new Uri("https://acme.test/authorize"),
                TokenUrl = new Uri("https://acme.test/token"),
                ClientId = "gateway",
                ClientSecret = "s",
                Scopes = ["read", "write"],
                Parameters = new Dictionary<string, string>(StringComparer.Ordinal) { ["access_type"] = "offline" },
            },
            ["other"] = new() { AuthorizeUrl = new Uri("https://other.test/authorize"), TokenUrl = new Uri("https://other.test/token"), ClientId = "gateway" },
        };
        _gateway = await GatewayFixture.StartAsync(
            new FixtureOptions
            {
                Store = store,
                Config = config => config with { PublicUrl = new Uri("https://gateway.test"), Hosts = ["gateway.test"], Providers = providers, Auth = new AuthConfig { Mode = [AuthMode.ApiKey] }, Audit = new AuditConfig { File = _auditFile } },
                Server = server => server with { Auth = auth ?? new ServerAuthConfig { Provider = "acme" } },
                Services = services =>
                {
                    services.AddSingleton(s => new VaultHttp(s.GetRequiredService<TimeProvider>(), reach => new Seen(reach, _asked, _authorization)));
                    if (vault is not null)
                    {
                        services.AddSingleton(vault);
                    }
                },
            },
            _server);
    }

    private static async Task<Uri> AddressAsync(McpTestClient client) =>
        new((string)(await client.ResultAsync("echo"))["error"]!["data"]!["elicitations"]![0]!["url"]!);

    /// <summary>Opens the page, and presses the button.</summary>
    private async Task<Uri> BeginAsync(Uri address)
    {
        using var page = await SendAsync(HttpMethod.Get, address);
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        Assert.Contains("for ann.", await page.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        using var pressed = await SendAsync(HttpMethod.Post, address, origin: "https://gateway.test");
        Assert.Equal(HttpStatusCode.SeeOther, pressed.StatusCode);
        return pressed.Headers.Location!;
    }

    /// <summary>To the provider and, allowed, back.</summary>
    private async Task<(Uri Back, string Cookie)> GoAsync(Uri address, string? issuer = null)
    {
        using var pressed = await SendAsync(HttpMethod.Post, address, origin: "https://gateway.test");
        var cookie = pressed.Headers.GetValues("Set-Cookie").Single();
        Assert.Contains("httponly", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("secure", cookie, StringComparison.OrdinalIgnoreCase);
        return (_authorization.Allow(pressed.Headers.Location!, issuer), cookie.Split(';')[0]);
    }

    private async Task LinkAsync(Uri address)
    {
        var (back, cookie) = await GoAsync(address);
        using var done = await SendAsync(HttpMethod.Get, back, cookie: cookie);
        Assert.Equal(HttpStatusCode.OK, done.StatusCode);
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, Uri address, string? user = null, string? origin = null, string? cookie = null)
    {
        using var request = new HttpRequestMessage(method, address);
        foreach (var (name, value) in new[] { ("X-Test-User", user), ("Origin", origin), ("Cookie", cookie) })
        {
            if (value is not null)
            {
                request.Headers.TryAddWithoutValidation(name, value);
            }
        }

        return await Limit.Of(_gateway.Http.SendAsync(request, TestContext.Current.CancellationToken), $"{method} {address.AbsolutePath}");
    }

    /// <summary>Notes which way a request went.</summary>
    private sealed class Seen(Reach reach, ConcurrentQueue<(Reach, string)> asked, HttpMessageHandler inner) : DelegatingHandler(inner)
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            asked.Enqueue((reach, request.RequestUri!.GetLeftPart(UriPartial.Path)));
            return base.SendAsync(request, cancellationToken);
        }
    }
}
