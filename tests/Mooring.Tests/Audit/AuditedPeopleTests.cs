using System.Net;
using System.Text.Json.Nodes;
using Mooring.Auth;
using Mooring.Configuration;
using Mooring.Tests.Auth;
using Xunit;

namespace Mooring.Tests.Audit;

/// <summary>What the audit log says of programs that want access, of people who decide, and of administrators.</summary>
public sealed class AuditedPeopleTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mooring-audit-").FullName;

    private string Path => System.IO.Path.Combine(_folder, "audit.jsonl");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Client_ThatRegistersOrMayNot_IsNoted_WithWhereItsAnswersGo()
    {
        string id;
        await using (var gateway = await StartAsync(oauth => oauth with { Registrations = 1, RegistrationsPerHour = 3 }))
        {
            var client = await TestOAuthClient.RegisterAsync(gateway, "An editor", "http://127.0.0.1:7777/callback?key=c4nary", "http://localhost/back");
            id = client.Id;
            var another = new TestOAuthClient(gateway);
            await another.TryRegisterAsync(new JsonObject { ["client_name"] = "Evil", ["redirect_uris"] = new JsonArray("http://ann:c4nary@elsewhere.test/") });
            await another.TryRegisterAsync(new JsonObject { ["client_name"] = "Late", ["redirect_uris"] = new JsonArray("http://127.0.0.1/x") });
            // Past the limit of tries nothing is noted: anybody could fill the log.
            Assert.Equal(HttpStatusCode.TooManyRequests, (await another.TryRegisterAsync(new JsonObject())).Status);
        }

        var lines = Lines("client_registered");
        Assert.Equal(["ok", "refused", "refused"], lines.Select(line => (string)line["outcome"]!));
        Assert.Equal([id, null, null], lines.Select(line => (string?)line["client"]));
        Assert.Equal(["An editor", null, "Late"], lines.Select(line => (string?)line["name"]));
        Assert.Equal("http://127.0.0.1:7777/callback http://localhost/back", (string?)lines[0]["reason"]);
        Assert.Equal("invalid_redirect_uri", (string?)lines[1]["reason"]);
        Assert.Equal("too many clients", (string?)lines[2]["reason"]);
        Assert.DoesNotContain("c4nary", await File.ReadAllTextAsync(Path, TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.All(lines, line => Assert.Equal("127.0.0.1", (string?)line["address"]));
    }

    [Fact]
    public async Task Consent_GivenOrNot_IsNoted_WithWhoWhatForAndWhereTo()
    {
        string id;
        await using (var gateway = await StartAsync())
        {
            var client = await TestOAuthClient.RegisterAsync(gateway, "An editor");
            id = client.Id;
            var browser = new TestBrowser(gateway.Http);
            await client.AllowAsync(browser);
            var page = await browser.OpenAsync((await browser.OpenAsync(client.AuthorizeUrl(("scope", "mcp admin")))).Location!);
            var denied = await browser.SubmitAsync(page, ("decision", "deny"));
            Assert.Equal("access_denied", denied.Query["error"]);
        }

        var lines = Lines("consent");
        Assert.Equal(["allowed", "denied"], lines.Select(line => (string)line["outcome"]!));
        Assert.Equal([$"mcp for {TestOAuthClient.Callback}", $"mcp admin for {TestOAuthClient.Callback}"], lines.Select(line => (string?)line["reason"]));
        Assert.All(lines, line => Assert.Equal(("ann", id, "An editor"), ((string?)line["user"], (string?)line["client"], (string?)line["name"])));
    }

    [Fact]
    public async Task Administrators_WhoChangeSomething_AreNoted_AndWhoOnlyLooksIsNot()
    {
        await using (var gateway = await AuthFixture.StartAsync(AuthFixture.Keys, new FixtureOptions { Config = c => c with { Audit = new AuditConfig { File = Path } } }))
        {
            var (plain, admin) = (await gateway.KeyAsync(), await gateway.KeyAsync("root", null, Scopes.Admin));
            await gateway.SendAsync(HttpMethod.Post, "/reindex", plain);
            await gateway.SendAsync(HttpMethod.Get, "/admin/api/drain", admin);
            await gateway.SendAsync(HttpMethod.Post, "/reindex", admin);
        }

        var line = Assert.Single(Lines("admin"));
        Assert.Equal(("ok", "root", "POST", "/reindex"), ((string?)line["outcome"], (string?)line["user"], (string?)line["method"], (string?)line["name"]));
        var refused = Assert.Single(Lines("token_refused"));
        Assert.Equal(("scope", "/reindex"), ((string?)refused["outcome"], (string?)refused["name"]));
    }

    [Fact]
    public async Task AdministratorsEndpoint_FromElsewhereWhereNobodyIsKnown_IsNoted()
    {
        await using (var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Config = c => c with { Audit = new AuditConfig { File = Path } } }))
        {
            await gateway.SendAsync(HttpMethod.Post, "/admin/api/drain", null, ("X-Test-Address", "10.0.0.9"));
        }

        var line = Assert.Single(Lines("admin"));
        Assert.Equal(("refused", "10.0.0.9", "/admin/api/drain"), ((string?)line["outcome"], (string?)line["address"], (string?)line["name"]));
    }

    private Task<GatewayFixture> StartAsync(Func<OAuthConfig, OAuthConfig>? oauth = null) =>
        SignInFixture.StartAsync(oauth, new FixtureOptions { Config = c => c with { Audit = new AuditConfig { File = Path } } });

    private List<JsonObject> Lines(string what) =>
        [.. File.ReadAllLines(Path).Select(line => JsonNode.Parse(line)!.AsObject()).Where(line => (string)line["event"]! == what)];
}
