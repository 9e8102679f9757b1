using System.Text.Json;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Conformance;

/// <summary>
/// The official suites against the fixture server, directly and through the gateway: each check must come out the same.
/// </summary>
[Collection(NodeSuites.Name)]
public sealed class ConformanceTests
{
    /// <summary>A check that may differ, because the gateway is plainly better there.</summary>
    private sealed record Allowed(string Suite, string Check, string Direct, string Gateway, string Reason);

    private const string JsonForLists =
        "A list is answered from the catalogue at once, as one JSON object; the check itself calls an event stream optional there.";

    private const string PrimerByNegotiatedVersion =
        "The session negotiated 2025-11-25, but this suite's header says 2025-03-26. The fixture goes by the header and leaves out what "
        + "the suite then misses; the gateway goes by the session.";

    private static readonly Allowed[] AllowedDifferences =
    [
        new("0.1.16", "server-sse-multiple-streams/server-sse-streams-functional", "SUCCESS", "INFO", JsonForLists),
        new("0.2.0-alpha.12", "server-sse-multiple-streams/server-sse-streams-functional", "SUCCESS", "INFO", JsonForLists),
        new("0.1.16", "server-sse-polling/server-sse-priming-event", "WARNING", "SUCCESS", PrimerByNegotiatedVersion),
        new("0.1.16", "server-sse-polling/server-sse-retry-field", "WARNING", "SUCCESS", PrimerByNegotiatedVersion),
        new("0.1.16", "server-sse-polling/server-sse-disconnect-resume", "INFO", "SUCCESS", PrimerByNegotiatedVersion),
    ];

    [Theory]
    [InlineData("v1", "0.1.16", "--suite all")]
    [InlineData("v1", "0.1.16", "--suite all --spec-version 2025-06-18")]
    [InlineData("v1", "0.2.0-alpha.12", "--requirements 2025-11-25")]
    [InlineData("v1", "0.2.0-alpha.12", "--suite all --spec-version 2025-03-26")]
    [InlineData("v1", "0.2.0-alpha.12", "--suite all --spec-version 2025-06-18")]
    [InlineData("v1", "0.2.0-alpha.12", "--suite all --spec-version 2025-11-25")]
    [InlineData("v2", "0.1.16", "--suite all")]
    [InlineData("v2", "0.1.16", "--suite all --spec-version 2025-06-18")]
    [InlineData("v2", "0.2.0-alpha.12", "--requirements 2025-11-25")]
    [InlineData("v2", "0.2.0-alpha.12", "--suite all --spec-version 2025-03-26")]
    [InlineData("v2", "0.2.0-alpha.12", "--suite all --spec-version 2025-06-18")]
    public async Task Suite_ThroughGateway_EqualsDirectCheckByCheck(string sdk, string suite, string arguments)
    {
        await using var rig = await Rig.StartAsync(sdk);

        var run = await NodeTool.RunAsync(
            "compare.mjs",
            [
                "--suite", suite,
                "--direct", rig.Server.LocalhostUrl.AbsoluteUri,
                "--gateway", rig.Gateway.LocalhostServerUrl(Rig.Name).AbsoluteUri,
                "--", .. arguments.Split(' '),
            ]);

        var report = run.Json();
        Assert.False(report.GetProperty("direct").TryGetProperty("FAILURE", out _), $"The fixture itself fails:\n{run.Output}");
        Assert.True(report.GetProperty("direct").GetProperty("SUCCESS").GetInt32() > 0, run.Output);
        var unexpected = report.GetProperty("differences").EnumerateArray().Where(difference => !IsAllowed(suite, difference)).ToList();
        Assert.True(unexpected.Count == 0, $"{unexpected.Count} checks differ:\n{string.Join('\n', unexpected)}");
    }

    private static bool IsAllowed(string suite, JsonElement difference) =>
        AllowedDifferences.Any(allowed =>
            allowed.Suite == suite
            && allowed.Check == $"{difference.GetProperty("scenario")}/{difference.GetProperty("id")}"
            && difference.GetProperty("direct").ValueEquals(allowed.Direct)
            && difference.GetProperty("gateway").ValueEquals(allowed.Gateway));
}
