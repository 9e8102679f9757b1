using System.Net;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Clients;

/// <summary>The official client libraries, from nothing but an address to a called tool, with the real program and a provider of its own.</summary>
[Collection(NodeClients.Name)]
public sealed class SignInTests
{
    [Theory]
    [InlineData("sdk")]
    [InlineData("client")]
    public async Task Client_FromZero_SignsInAtAProvider_CallsAndRefreshes(string client)
    {
        await using var provider = await NodeTool.StartAsync("openid-provider.mjs");
        await using var server = await NodeTool.StartAsync("server.mjs");
        await using var gateway = await StartAsync(server, new JsonObject
        {
            ["providers"] = new JsonObject
            {
                ["corp"] = new JsonObject
                {
                    ["issuer"] = provider.Url.GetLeftPart(UriPartial.Authority),
                    ["clientId"] = "gateway",
                    ["clientSecret"] = "s3cret",
                    ["domains"] = "example.com",
                },
            },
        });

        await RunAsync(client, gateway, "--provider", "corp");
        Assert.DoesNotContain("s3cret", gateway.Process.Describe("all"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Client_FromZero_SignsInByNameAndPassword()
    {
        await using var server = await NodeTool.StartAsync("server.mjs");
        await using var gateway = await StartAsync(server, new JsonObject { ["users"] = new JsonObject { ["ann"] = new JsonObject { ["password"] = "secret" } } });

        await RunAsync("sdk", gateway, "--user", "ann", "--password", "secret");
    }

    [Fact]
    public async Task Key_MadeByTheCommandBesideTheGateway_LetsInAndIsRevokedWithinSeconds()
    {
        await using var server = await NodeTool.StartAsync("server.mjs");
        await using var gateway = await StartAsync(server, oauth: null);
        var key = (await TokenAsync(gateway, "create", "--user", "ann", "--scopes", "mcp,admin")).Trim();

        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(gateway, "mrk_" + new string('x', 43)));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway, key));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(gateway, key, "/admin/api/drain"));
        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(gateway, token: null, "/admin/api/drain"));

        var id = (string)JsonNode.Parse(await TokenAsync(gateway, "list", "--json"))![0]!["id"]!;
        await TokenAsync(gateway, "revoke", id);
        var revoked = TimeProvider.System.GetTimestamp();
        while (await AskAsync(gateway, key) == HttpStatusCode.OK)
        {
            Assert.True(TimeProvider.System.GetElapsedTime(revoked) < TimeSpan.FromSeconds(30), "The key still works.");
            await Task.Delay(100, TestContext.Current.CancellationToken);
        }
    }

    private static Task<GatewayProcess> StartAsync(NodeServer server, JsonObject? oauth)
    {
        var config = GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url)));
        config["auth"] = oauth is null ? new JsonObject { ["mode"] = "apiKey" } : new JsonObject { ["mode"] = new JsonArray("oauth", "apiKey"), ["oauth"] = oauth };
        return GatewayProcess.StartAsync(config);
    }

    private static async Task RunAsync(string client, GatewayProcess gateway, params string[] how)
    {
        var run = await NodeTool.RunAsync("sign-in.mjs", ["--client", client, "--url", gateway.ServerUrl("up").AbsoluteUri, "--tool", "echo", .. how]);

        Assert.True(run.ExitCode == 0, $"{run.Errors}\n{gateway.Process.Describe("the gateway said")}");
        var steps = run.Json().GetProperty("steps").EnumerateArray().Select(step => step.GetString()!).ToList();
        Assert.Equal(["connect", "register", "authorize", how[0] == "--provider" ? "provider" : "password", "consent", "exchange", "call", "refresh"], steps);
        Assert.Equal("mcp", run.Json().GetProperty("scope").GetString());
    }

    private static async Task<string> TokenAsync(GatewayProcess gateway, params string[] arguments)
    {
        await using var tool = ToolProcess.Start(await GatewayBinary.PathAsync(), ["token", .. arguments, "--config", gateway.ConfigFile, "--data", gateway.DataFolder]);
        Assert.True(await tool.ExitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken) == 0, tool.Describe("token failed"));
        return tool.Output;
    }

    private static async Task<HttpStatusCode> AskAsync(GatewayProcess gateway, string? token, string path = "/mcp/status")
    {
        using var http = new HttpClient();
        http.DefaultRequestHeaders.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        using var response = await http.GetAsync(new Uri(gateway.BaseUrl, path), TestContext.Current.CancellationToken);
        return response.StatusCode;
    }
}
