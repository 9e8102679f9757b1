using System.Text.Json;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Conformance;

/// <summary>
/// The official suite's scenarios for the tasks extension, through the gateway: in front of a server that has sessions and knows the tasks of 2025-11-25 at
/// most, where whatever is a task the gateway makes, and in front of one that has the extension itself, compared with that one alone.
/// </summary>
[Collection(NodeSuites.Name)]
public sealed class TaskScenarioTests
{
    /// <summary>Above what a machine needs for a call and a question that come at once, below what the other tools take.</summary>
    private const string TaskAfter = "400ms";

    private const string Suite = "0.2.0-alpha.12";

    private static readonly string[] Scenarios =
    [
        "tasks-capability-negotiation", "tasks-lifecycle", "tasks-dispatch-and-envelope", "tasks-mrtr-composition", "tasks-mrtr-input", "tasks-request-headers",
        "tasks-request-state-removal", "tasks-required-task-error", "tasks-status-notifications", "tasks-wire-fields",
    ];

    [Fact]
    public async Task EveryScenarioForTasks_ThroughGateway_Passes()
    {
        await using var server = await NodeTool.StartAsync("server.mjs", "--jobs");
        var entry = GatewayProcess.Remote(server.Url);
        entry["taskAfter"] = TaskAfter;
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config((Rig.Name, entry)));
        var url = gateway.LocalhostServerUrl(Rig.Name).AbsoluteUri;

        var checks = new List<JsonElement>();
        foreach (var scenario in Scenarios)
        {
            var run = await NodeTool.RunAsync("alone.mjs", ["--suite", Suite, "--url", url, "--", "--scenario", scenario]);
            checks.AddRange(run.Json().EnumerateArray());
        }

        var bad = checks.Where(check => check.GetProperty("status").GetString() is not ("SUCCESS" or "INFO" or "SKIPPED")).ToList();
        Assert.True(bad.Count == 0, $"{bad.Count} of {checks.Count} checks fail:\n{string.Join('\n', bad)}\n{gateway.Process.Describe("the gateway said")}");
        Assert.True(checks.Count(check => check.GetProperty("status").ValueEquals("SUCCESS")) >= 34, string.Join('\n', checks));
    }

    [Fact]
    public async Task EveryScenarioForTasks_ServerHasTheExtension_EqualsDirectCheckByCheck()
    {
        var script = Path.Combine(Repository.Root, "tests", "fixtures", "bridge", "server.mjs");
        await using var server = await NodeTool.StartAsync(script, "--version", "2026-07-28", "--jobs");
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config((Rig.Name, GatewayProcess.Remote(server.Url))));

        var (passed, differences) = (0, new List<string>());
        foreach (var scenario in Scenarios)
        {
            var run = await NodeTool.RunAsync(
                "compare.mjs",
                ["--suite", Suite, "--direct", server.LocalhostUrl.AbsoluteUri, "--gateway", gateway.LocalhostServerUrl(Rig.Name).AbsoluteUri, "--", "--scenario", scenario]);
            var report = run.Json();
            Assert.False(report.GetProperty("direct").TryGetProperty("FAILURE", out _), $"The fixture itself fails:\n{run.Output}");
            passed += report.GetProperty("direct").TryGetProperty("SUCCESS", out var successes) ? successes.GetInt32() : 0;
            differences.AddRange(report.GetProperty("differences").EnumerateArray().Select(difference => difference.ToString()));
        }

        Assert.True(differences.Count == 0, $"{differences.Count} checks differ:\n{string.Join('\n', differences)}\n{gateway.Process.Describe("the gateway said")}");
        Assert.True(passed >= 34, $"only {passed} checks passed");
    }
}
