using System.Net;
using System.Security.Cryptography;
using System.Text;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Auth;

/// <summary>What goes with the pages, and with the answers that browsers may show as if they were some.</summary>
public sealed class PageHeaderTests
{
    private const string Pinned = "max-age=31536000";

    [Fact]
    public async Task Pages_AllOfThem_AreNeitherFramedNorKept_NorTakenForSomethingElse()
    {
        await using var gateway = await StartAsync();
        var (client, browser) = (await TestOAuthClient.RegisterAsync(gateway), new TestBrowser(gateway.Http));
        var begun = await browser.OpenAsync(client.AuthorizeUrl());
        var signIn = await browser.OpenAsync(begun.Location!);
        var wrong = await browser.SubmitAsync(signIn, ("user", "ann"), ("password", "wrong"));
        var signedIn = await browser.SubmitAsync(signIn, ("user", "ann"), ("password", "secret"));
        var consent = await browser.OpenAsync(signedIn.Location!);
        var link = await browser.OpenAsync("/connect/acme");
        (string What, TestPage Page)[] all =
        [
            ("begun", begun), ("sign-in", signIn), ("wrong password", wrong), ("signed in", signedIn), ("consent", consent), ("link", link),
            ("allowed", await browser.SubmitAsync(consent, ("decision", "allow"))),
            ("unknown client", await browser.OpenAsync("/oauth/authorize?client_id=mrc-nobody")),
            ("back from nowhere", await browser.OpenAsync("/oauth/callback?code=x&state=y")),
            ("link, pressed", await browser.PostAsync("/connect/acme", new Dictionary<string, string>(StringComparer.Ordinal), ("Origin", "http://localhost"))),
            ("link, of no use", await browser.OpenAsync("/connect/acme?ticket=x")),
            ("link, back", await browser.OpenAsync("/connect/acme/callback?state=x&code=y")),
            ("accounts", await browser.OpenAsync("/connect")),
            ("accounts, pressed", await browser.PostAsync("/connect", new Dictionary<string, string>(StringComparer.Ordinal) { ["account"] = "acme" }, ("Origin", "http://localhost"))),
            ("accounts, elsewhere", await browser.OpenAsync("/connect", ("Host", "evil.example"))),
            ("link, unknown", await browser.OpenAsync("/connect/nobody")),
            ("link, elsewhere", await browser.OpenAsync("/connect/acme", ("Host", "evil.example"))),
        ];

        foreach (var (what, page) in all)
        {
            string? Of(string name) => page.Headers.GetValueOrDefault(name);
            Assert.Equal((what, "DENY", "nosniff", "same-origin", "no-store"), (what, Of("X-Frame-Options"), Of("X-Content-Type-Options"), Of("Referrer-Policy"), Of("Cache-Control")));
            Assert.StartsWith("default-src 'none'; ", page.Policy, StringComparison.Ordinal);
            Assert.Contains("; frame-ancestors 'none'; base-uri 'none'", page.Policy, StringComparison.Ordinal);
            Assert.Contains("; form-action 'self'", page.Policy, StringComparison.Ordinal);
            Assert.DoesNotContain("unsafe", page.Policy, StringComparison.Ordinal);
            Assert.DoesNotContain("Strict-Transport-Security", page.Headers.Keys);
            if (page.Html.Split("<style>") is [_, var rest])
            {
                Assert.Contains($"style-src 'sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(rest.Split("</style>")[0])))}';", page.Policy, StringComparison.Ordinal);
            }
        }

        // Its button is answered by a redirect to a provider, which browsers hold against the policy of the page.
        Assert.Contains("; form-action 'self' https: http:;", link.Policy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET", "/.well-known/oauth-protected-resource", HttpStatusCode.OK)]
    [InlineData("GET", "/.well-known/oauth-authorization-server", HttpStatusCode.OK)]
    [InlineData("POST", "/oauth/token", HttpStatusCode.BadRequest)]
    [InlineData("GET", "/oauth/register", HttpStatusCode.MethodNotAllowed)]
    [InlineData("GET", "/connect/client.json", HttpStatusCode.OK)]
    [InlineData("GET", "/connect/acme", HttpStatusCode.SeeOther)]
    [InlineData("GET", "/oauth/authorize", HttpStatusCode.BadRequest)]
    [InlineData("POST", "/mcp", HttpStatusCode.Unauthorized)]
    [InlineData("GET", "/admin/api/drain", HttpStatusCode.Unauthorized)]
    public async Task Answers_UnderAnHttpsAddress_AreTakenForWhatTheyAre_AndTheAddressIsPinned(string method, string path, HttpStatusCode expected)
    {
        await using var gateway = await StartAsync("https://mcp.example.com");

        var (status, _, headers) = await gateway.SendAsync(new HttpMethod(method), path);

        Assert.Equal(expected, status);
        Assert.Equal(("nosniff", Pinned), (headers.GetValues("X-Content-Type-Options").Single(), headers.GetValues("Strict-Transport-Security").Single()));
    }

    [Theory]
    [InlineData(null, "https://mcp.example.com", true)]
    [InlineData(null, "https://localhost:3000", false)]
    [InlineData(null, "http://mcp.example.com", false)]
    [InlineData("https://localhost:3000", "http://localhost", false)]
    [InlineData("http://mcp.example.com", "http://localhost", false)]
    public async Task Address_IsPinned_WhereItIsHttpsAndNotThePersonsOwnMachine(string? publicUrl, string asked, bool isPinned)
    {
        await using var gateway = await StartAsync(publicUrl);

        var (_, _, headers) = await gateway.SendAsync(HttpMethod.Get, asked + "/.well-known/oauth-authorization-server");

        Assert.Equal(isPinned, headers.Contains("Strict-Transport-Security"));
    }

    [Fact]
    public async Task Cookies_UnderAnHttpsAddress_AreForThisHostAlone_OverHttpsAlone()
    {
        await using var gateway = await StartAsync("https://mcp.example.com");
        var (client, browser) = (await TestOAuthClient.RegisterAsync(gateway), new TestBrowser(gateway.Http));

        var answer = await client.AllowAsync(browser, "ann", ("resource", "https://mcp.example.com/servers/one/mcp"));

        Assert.NotNull(answer.Query["code"]);
        Assert.Equal(["__Host-mooring-browser", "__Host-mooring-signin"], browser.Cookies.Keys.Order(StringComparer.Ordinal));
        Assert.All(browser.Kept, cookie =>
        {
            Assert.Contains("; path=/;", cookie, StringComparison.OrdinalIgnoreCase);
            Assert.Contains("; secure", cookie, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain("domain=", cookie, StringComparison.OrdinalIgnoreCase);
        });
    }

    private static Task<GatewayFixture> StartAsync(string? publicUrl = null) => AuthFixture.StartAsync(
        SignInFixture.Local,
        config: config => config with
        {
            PublicUrl = publicUrl is null ? null : new Uri(publicUrl),
            Hosts = ["mcp.example.com"],
            Providers = new Dictionary<string, AccountProviderConfig>(StringComparer.Ordinal)
            {
                ["acme"] = new() { AuthorizeUrl = new Uri("https://acme.test/authorize"), TokenUrl = new Uri("https://acme.test/token"), ClientId = "gateway" },
            },
        });
}
