using System.Text.Json;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Conformance;

/// <summary>
/// The official suite's scenarios for the tasks extension, through the gateway, in front of a server that has sessions and knows the tasks of 2025-11-25 at
/// most: whatever is a task there the gateway makes.
/// </summary>
[Collection(NodeSuites.Name)]
public sealed class TaskScenarioTests
{
    /// <summary>Above what a machine needs for a call and a question that come at once, below what the other tools take.</summary>
    private const string TaskAfter = "400ms";

    [Fact]
    public async Task EveryScenarioForTasks_ThroughGateway_Passes()
    {
        await using var server = await NodeTool.StartAsync("server.mjs", "--jobs");
        var entry = GatewayProcess.Remote(server.Url);
        entry["taskAfter"] = TaskAfter;
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config((Rig.Name, entry)));
        var url = gateway.LocalhostServerUrl(Rig.Name).AbsoluteUri;
        string[] scenarios =
        [
            "tasks-capability-negotiation", "tasks-lifecycle", "tasks-dispatch-and-envelope", "tasks-mrtr-composition", "tasks-mrtr-input", "tasks-request-headers",
            "tasks-request-state-removal", "tasks-required-task-error", "tasks-status-notifications", "tasks-wire-fields",
        ];

        var checks = new List<JsonElement>();
        foreach (var scenario in scenarios)
        {
            var run = await NodeTool.RunAsync("alone.mjs", ["--suite", "0.2.0-alpha.12", "--url", url, "--", "--scenario", scenario]);
            checks.AddRange(run.Json().EnumerateArray());
        }

        var bad = checks.Where(check => check.GetProperty("status").GetString() is not ("SUCCESS" or "INFO" or "SKIPPED")).ToList();
        Assert.True(bad.Count == 0, $"{bad.Count} of {checks.Count} checks fail:\n{string.Join('\n', bad)}\n{gateway.Process.Describe("the gateway said")}");
        Assert.True(checks.Count(check => check.GetProperty("status").ValueEquals("SUCCESS")) >= 34, string.Join('\n', checks));
    }
}
