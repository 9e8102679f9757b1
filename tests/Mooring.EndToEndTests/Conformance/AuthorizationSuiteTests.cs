using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Harness;
using Mooring.Tests;
using Xunit;

namespace Mooring.EndToEndTests.Conformance;

/// <summary>The official suite's scenarios for authorization servers; a headless browser goes where it sends a person.</summary>
[Collection(NodeSuites.Name)]
public sealed class AuthorizationSuiteTests
{
    [Fact]
    public async Task AuthorizationServer_EveryScenario_Passes()
    {
        var port = LoopbackPorts.Take();
        await using var gateway = await GatewayProcess.StartAsync(new JsonObject
        {
            ["connectors"] = new JsonObject(),
            ["auth"] = new JsonObject
            {
                ["mode"] = "oauth",
                ["oauth"] = new JsonObject
                {
                    ["users"] = new JsonObject { ["ann"] = new JsonObject { ["password"] = "secret" } },
                    ["clients"] = new JsonObject { ["suite"] = new JsonObject { ["redirectUris"] = $"http://127.0.0.1:{port}/callback" } },
                },
            },
        });

        var run = await NodeTool.RunAsync("authorization-suite.mjs",
        [
            "--url", gateway.BaseUrl.GetLeftPart(UriPartial.Authority), "--resource", new Uri(gateway.BaseUrl, "/mcp").AbsoluteUri, "--client-id", "suite", "--port", $"{port}",
            "--user", "ann", "--password", "secret",
        ]);

        Assert.True(run.ExitCode == 0, $"{run.Errors}\n{gateway.Process.Describe("the gateway said")}");
        var checks = run.Json().EnumerateArray().Select(check => (Id: check.GetProperty("id").GetString(), Status: check.GetProperty("status").GetString())).ToList();
        Assert.Equal(["authorization-code-grant", "authorization-server-metadata", "authorization-server-metadata-cimd"], checks.Select(check => check.Id).Order(StringComparer.Ordinal));
        Assert.All(checks, check => Assert.Equal("SUCCESS", check.Status));
    }
}
