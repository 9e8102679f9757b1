using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Conformance;

/// <summary>The suite's client scenarios about authorization: it plays the server and its authorization server, and judges the gateway as their client.</summary>
[Collection(NodeSuites.Name)]
public sealed class AuthorizationScenarioTests
{
    [Theory]
    [InlineData("0.1.16", "metadata-default")]
    [InlineData("0.1.16", "scope-step-up")]
    [InlineData("0.1.16", "token-endpoint-auth-post")]
    [InlineData("0.1.16", "2025-03-26-oauth-endpoint-fallback")]
    [InlineData("0.2.0-alpha.12", "metadata-default")]
    [InlineData("0.2.0-alpha.12", "metadata-var1")]
    [InlineData("0.2.0-alpha.12", "metadata-var2")]
    [InlineData("0.2.0-alpha.12", "metadata-var3")]
    [InlineData("0.2.0-alpha.12", "basic-cimd")]
    [InlineData("0.2.0-alpha.12", "pre-registration")]
    [InlineData("0.2.0-alpha.12", "scope-from-www-authenticate")]
    [InlineData("0.2.0-alpha.12", "scope-from-scopes-supported")]
    [InlineData("0.2.0-alpha.12", "scope-omitted-when-undefined")]
    [InlineData("0.2.0-alpha.12", "scope-step-up")]
    [InlineData("0.2.0-alpha.12", "scope-retry-limit")]
    [InlineData("0.2.0-alpha.12", "token-endpoint-auth-basic")]
    [InlineData("0.2.0-alpha.12", "token-endpoint-auth-post")]
    [InlineData("0.2.0-alpha.12", "token-endpoint-auth-none")]
    [InlineData("0.2.0-alpha.12", "2025-03-26-oauth-metadata-backcompat")]
    [InlineData("0.2.0-alpha.12", "2025-03-26-oauth-endpoint-fallback")]
    [InlineData("0.2.0-alpha.12", "resource-mismatch")]
    [InlineData("0.2.0-alpha.12", "offline-access-scope")]
    [InlineData("0.2.0-alpha.12", "offline-access-not-supported")]
    [InlineData("0.2.0-alpha.12", "authorization-server-migration")]
    [InlineData("0.2.0-alpha.12", "iss-normalized")]
    [InlineData("0.2.0-alpha.12", "iss-not-advertised")]
    [InlineData("0.2.0-alpha.12", "iss-supported")]
    [InlineData("0.2.0-alpha.12", "iss-supported-missing")]
    [InlineData("0.2.0-alpha.12", "iss-unexpected")]
    [InlineData("0.2.0-alpha.12", "iss-wrong-issuer")]
    [InlineData("0.2.0-alpha.12", "metadata-issuer-mismatch")]
    [InlineData("0.2.0-alpha.12", "basic-cimd", "2026-07-28")]
    [InlineData("0.2.0-alpha.12", "pre-registration", "2026-07-28")]
    [InlineData("0.2.0-alpha.12", "scope-from-www-authenticate", "2026-07-28")]
    [InlineData("0.2.0-alpha.12", "scope-from-scopes-supported", "2026-07-28")]
    [InlineData("0.2.0-alpha.12", "scope-omitted-when-undefined", "2026-07-28")]
    [InlineData("0.2.0-alpha.12", "scope-step-up", "2026-07-28", "sep-2350-scope-union-on-reauth")]
    [InlineData("0.2.0-alpha.12", "scope-retry-limit", "2026-07-28")]
    [InlineData("0.2.0-alpha.12", "resource-mismatch", "2026-07-28")]
    [InlineData("0.2.0-alpha.12", "offline-access-scope", "2026-07-28")]
    [InlineData("0.2.0-alpha.12", "offline-access-not-supported", "2026-07-28")]
    [InlineData("0.2.0-alpha.12", "authorization-server-migration", "2026-07-28")]
    [InlineData("0.2.0-alpha.12", "iss-supported", "2026-07-28")]
    [InlineData("0.2.0-alpha.12", "metadata-issuer-mismatch", "2026-07-28")]
    public async Task Scenario_OfAServerThatWantsAnAccount_Passes(string suite, string scenario, string? version = null, string? check = null)
    {
        var environment = new Dictionary<string, string> { ["MOORING_BIN"] = await GatewayBinary.PathAsync() };

        var run = await NodeTool.RunAsync(
            "client-scenarios.mjs",
            ["--suite", suite, "--scenario", $"auth/{scenario}", .. version is null ? [] : new[] { "--", "--spec-version", version }],
            environment);

        var checks = run.Json().GetProperty("checks").EnumerateArray().ToList();
        Assert.Contains(checks, entry => entry.GetProperty("status").GetString() == "SUCCESS" && (check is null || entry.GetProperty("id").GetString() == check));
        Assert.DoesNotContain(checks, entry => !IsPassed(entry.GetProperty("id").GetString(), entry.GetProperty("status").GetString()));

        // An address stands for a registration only where it is https, which the gateway's is not here: it registers.
        static bool IsPassed(string? id, string? status) => status is "SUCCESS" || (status == "WARNING" && id == "cimd-client-id-used");
    }
}
