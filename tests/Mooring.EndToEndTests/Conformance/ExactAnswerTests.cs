using System.Text.Json;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Conformance;

/// <summary>
/// Every list, tool, prompt and resource of the fixture, asked with the same text directly and through the gateway: the same
/// text comes back. The suites do not see this; they take an error text for an answer.
/// </summary>
[Collection(NodeClients.Name)]
public sealed class ExactAnswerTests
{
    /// <summary>What may differ, by step, because it belongs to the gateway; each with its reason.</summary>
    private static readonly Dictionary<string, string> AllowedDifferences = new(StringComparer.Ordinal);

    /// <summary>What clients of a version get instead, exactly: they know no links to resources (docs/protocol-bridge.md, "Content for older clients").</summary>
    private static readonly Dictionary<string, string> LinksAsText = new[] { "tools without arguments: link result", "tools with filled arguments: link result" }.ToDictionary(
        what => what,
        _ => """
            200 {"content":[{"type":"text","text":"[Resource Static text: test://static-text (text/plain)]"},{"type":"text","text":"[Resource data of 77: test://template/77/data]"},{"type":"resource","resource":
            """,
        StringComparer.Ordinal);

    /// <summary>And they know no error that has pages visited first.</summary>
    private static readonly Dictionary<string, string> PagesAsText = new[] { "tools without arguments: needs_url result", "tools with filled arguments: needs_url result" }.ToDictionary(
        what => what,
        _ => """200 error {"code":-32603,"message":"This request requires more information. Open https://example.com/connect in a browser, then try again." """.TrimEnd(),
        StringComparer.Ordinal);

    [Theory]
    [InlineData("v1", "2025-03-26", "http")]
    [InlineData("v1", "2025-06-18", "http")]
    [InlineData("v1", "2025-11-25", "http")]
    [InlineData("v2", "2025-11-25", "http")]
    [InlineData("v1", "2025-11-25", "stdio")]
    [InlineData("v1", "2025-06-18", "sse")]
    public async Task EveryAnswer_ThroughGateway_IsTheSameText(string sdk, string version, string serverTransport)
    {
        await using var rig = await Rig.StartAsync(sdk, recorded: true, serverTransport: serverTransport);
        // Over HTTP+SSE and stdio there is no such client; what the server answers does not depend on its transport.
        await using var direct = serverTransport == "http" ? null : await NodeTool.StartAsync("server.mjs", "--sdk", sdk);

        var run = await NodeTool.RunAsync(
            "exact.mjs",
            [
                "--version", version,
                "--direct", (direct ?? rig.Server).Url.AbsoluteUri,
                "--gateway", rig.ClientUrl.AbsoluteUri,
                .. serverTransport == "http" ? Array.Empty<string>() : ["--one-channel"],
            ]);

        var report = run.Json();
        Assert.True(report.GetProperty("compared").GetInt32() > 300, run.Output);
        AssertNone(report, [.. string.CompareOrdinal(version, "2025-06-18") < 0 ? LinksAsText : [], .. string.CompareOrdinal(version, "2025-11-25") < 0 ? PagesAsText : []]);
        await rig.AssertWhatTheGatewayWroteIsValidAsync(AsksForSeveralBeforeItsTime);
    }

    [Theory]
    [InlineData("json")]
    [InlineData("sse")]
    public async Task OddButLegalJson_ThroughGateway_KeepsItsBytesBothWays(string answer)
    {
        await using var upstream = await NodeTool.StartAsync("bytes-upstream.mjs", "--answer", answer);
        await using var gateway = await GatewayProcess.StartAsync(
            GatewayProcess.Config((Rig.Name, GatewayProcess.Remote(upstream.Url))));

        var run = await NodeTool.RunAsync(
            "bytes.mjs", ["--gateway", gateway.ServerUrl(Rig.Name).AbsoluteUri, "--upstream", upstream.Url.AbsoluteUri]);

        var report = run.Json();
        Assert.True(report.GetProperty("compared").GetInt32() > 30, run.Output);
        AssertNone(report, []);
    }

    /// <summary>The fixture has the same forms in every version; several choices of a list came with 2025-11-25. Question and answer pass as they are.</summary>
    private static bool AsksForSeveralBeforeItsTime(JsonNode line) =>
        string.CompareOrdinal((string?)line["version"], "2025-11-25") < 0 && line["errors"]!.AsArray().All(error => ((string)error!).Contains("titledMulti", StringComparison.Ordinal));

    /// <param name="report">What differed.</param>
    /// <param name="instead">Steps that must differ, and what the gateway's text begins with there.</param>
    private static void AssertNone(JsonElement report, IReadOnlyList<KeyValuePair<string, string>> instead)
    {
        var all = report.GetProperty("differences").EnumerateArray().ToDictionary(difference => difference.GetProperty("what").GetString()!, StringComparer.Ordinal);
        foreach (var (what, text) in instead)
        {
            Assert.True(all.Remove(what, out var difference) && difference.GetProperty("gateway").GetString()!.StartsWith(text, StringComparison.Ordinal), $"{what}: {difference}");
        }

        var differences = all.Where(difference => !AllowedDifferences.ContainsKey(difference.Key)).Select(difference => difference.Value).ToList();
        Assert.True(differences.Count == 0, $"{differences.Count} differences:\n{string.Join('\n', differences.Take(20))}");
    }
}
