using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Playwright;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Mooring.EndToEndTests.Secrets;
using Xunit;

namespace Mooring.EndToEndTests.Browser;

/// <summary>A link to connect an account in a real browser, which holds the pages to their policies and keeps the cookies as it likes.</summary>
public sealed class AccountLinkTests
{
    private const string Callback = "http://127.0.0.1:7777/callback";

    [Fact]
    public async Task Link_NobodyIsSignedIn_AnotherSignsInAndIsRefused_TheOneItIsForGoesOnToTheProvider()
    {
        await using var server = await FaultyServer.StartAsync();
        var provider = server.Url.GetLeftPart(UriPartial.Authority);
        var config = GatewayProcess.Config(("linked", new JsonObject { ["url"] = server.Url.AbsoluteUri, ["auth"] = new JsonObject { ["provider"] = "acme" } }));
        config["providers"] = new JsonObject { ["acme"] = new JsonObject { ["authorizeUrl"] = provider + "/authorize", ["tokenUrl"] = provider + "/token", ["clientId"] = "gateway", ["clientSecret"] = "s" } };
        config["auth"] = new JsonObject
        {
            ["mode"] = "oauth",
            ["oauth"] = new JsonObject { ["users"] = new JsonObject { ["ann"] = new JsonObject { ["password"] = "secret" }, ["ben"] = new JsonObject { ["password"] = "hidden" } } },
        };
        await using var gateway = await GatewayProcess.StartAsync(config);
        await gateway.ReadyAsync();
        var link = await LinkOfAnnAsync(gateway);
        await using var chromium = await Chromium.StartAsync();
        await using var context = await chromium.NewContextAsync();
        var faults = new ConcurrentQueue<string>();
        await context.AddInitScriptAsync("document.addEventListener('securitypolicyviolation', e => console.error(`${location.href} violates ${e.violatedDirective} with ${e.blockedURI}`))");
        var page = await context.NewPageAsync();
        page.Console += (_, message) =>
        {
            if (message.Text.Contains(" violates ", StringComparison.Ordinal))
            {
                faults.Enqueue(message.Text);
            }
        };

        await page.GotoAsync(link.AbsoluteUri);
        await SignInAsync(page, "ben", "hidden");
        await SeesAsync(page, "This link is somebody else's", faults);
        await page.GetByRole(AriaRole.Link, new() { Name = "Sign in as the one it is for", Exact = true }).ClickAsync();
        await SignInAsync(page, "ann", "secret");
        await SeesAsync(page, "Connect an account of acme?", faults);
        Assert.Equal(link.AbsoluteUri, page.Url);
        var sentOn = await page.RunAndWaitForRequestAsync(
            () => page.GetByRole(AriaRole.Button, new() { Name = "Go on", Exact = true }).ClickAsync(), request => request.Url.StartsWith(provider, StringComparison.Ordinal));

        Assert.StartsWith(provider + "/authorize?response_type=code&", sentOn.Url, StringComparison.Ordinal);
        Assert.Empty(faults);
    }

    /// <summary>As a client gets it for its person.</summary>
    private static async Task<Uri> LinkOfAnnAsync(GatewayProcess gateway)
    {
        using var client = new Visitor(gateway.BaseUrl, new Canaries());
        var id = (string)(await client.PostAsync("registration", "/oauth/register", $$"""{"client_name":"t","redirect_uris":["{{Callback}}"],"token_endpoint_auth_method":"none"}""")).Message["client_id"]!;
        var verifier = RandomNumberGenerator.GetHexString(64);
        var challenge = System.Buffers.Text.Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(verifier)));
        var begun = await client.GetAsync("begun", $"/oauth/authorize?response_type=code&client_id={id}&redirect_uri={Uri.EscapeDataString(Callback)}&code_challenge={challenge}&code_challenge_method=S256");
        var signedIn = await client.FormAsync("signed in", "/oauth/signin", ("request", begun.Query("request")), ("user", "ann"), ("password", "secret"));
        var allowed = await client.FormAsync("allowed", "/oauth/consent", ("request", signedIn.Query("request")), ("decision", "allow"));
        var given = await client.FormAsync(
            "exchanged", "/oauth/token", ("client_id", id), ("grant_type", "authorization_code"), ("code", allowed.Query("code")), ("redirect_uri", Callback), ("code_verifier", verifier));
        var needed = (await client.CallAsync("called", "linked", (string)given.Message["access_token"]!, "echo")).Message["result"]!;
        return new Uri((string)needed["inputRequests"]!.AsObject().Single().Value!["params"]!["url"]!);
    }

    private static async Task SignInAsync(IPage page, string user, string password)
    {
        await page.GetByLabel("User name").FillAsync(user);
        await page.GetByLabel("Password").FillAsync(password);
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign in", Exact = true }).ClickAsync();
    }

    private static async Task SeesAsync(IPage page, string heading, ConcurrentQueue<string> faults)
    {
        try
        {
            await page.GetByRole(AriaRole.Heading, new() { Name = heading, Exact = true }).WaitForAsync();
        }
        catch (TimeoutException e)
        {
            throw new InvalidOperationException($"Stuck at {page.Url}:\n{await page.InnerTextAsync("body")}\n{string.Join('\n', faults)}", e);
        }
    }
}
