using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Merging;

/// <summary>
/// Every feature through every pair of transports, on both routes: the official client library must see through the gateway what it
/// sees without. A second server with the very same names stands behind each gateway, so on the merged route everything clashes.
/// A relay on each leg judges every message.
/// </summary>
public sealed class FeatureMatrixTests
{
    private static readonly string Script = Path.Combine(Repository.Root, "tests", "fixtures", "features", "features.mjs");

    public static TheoryData<string, string, string> Matrix => new(
        from upstream in new[] { "stdio", "http", "sse" }
        from client in new[] { "http", "sse" }
        from route in new[] { "single", "merged" }
        select (upstream, client, route));

    /// <summary>What is asserted of the direct run first, so that two empty runs are not taken for two equal ones.</summary>
    private static readonly string[] Features =
    [
        "capabilities", "instructions", "ping", "tools", "call", "absentArguments", "structured", "toolError", "error", "prompts", "prompt", "resources", "read",
        "templates", "readTemplate", "notFound", "link", "completePrompt", "completeResource", "subscribe", "logging", "progress", "cancellation", "pingClient",
        "toolsChanged", "promptsChanged", "resourcesChanged", "sampling", "elicitForm", "elicitUrl", "urlNeeded", "roots", "tasks",
    ];

    [Theory]
    [MemberData(nameof(Matrix))]
    public async Task Features_ThroughTheGateway_AreAsWithoutIt(string upstream, string client, string route)
    {
        await using var server = await NodeTool.StartAsync("server.mjs", upstream == "sse" ? ["--sse"] : []);
        await using var clashing = await NodeTool.StartAsync("server.mjs");
        await using var serverLeg = upstream == "stdio"
            ? Relay.ForCommand("server", NodeTool.Program, Path.Combine(Repository.NodeFixtures, "server.mjs"), "--stdio")
            : await Relay.ToAsync("server", server.Url);
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(
            ("one", upstream switch
            {
                "stdio" => serverLeg.Server,
                "sse" => GatewayProcess.Remote(serverLeg.Url, "sse"),
                _ => GatewayProcess.Remote(serverLeg.Url),
            }),
            ("two", GatewayProcess.Remote(clashing.Url))));
        var direct = await RunAsync(upstream == "sse" ? "sse" : "http", server.Url);

        var path = $"{(route == "single" ? "/servers/one" : "")}/{(client == "sse" ? "sse" : "mcp")}";
        await using var clientLeg = await Relay.ToAsync("client", new Uri(gateway.BaseUrl, path));
        var through = await RunAsync(client, clientLeg.Url, route == "merged" ? ["--prefix", "one__"] : []);

        Assert.Equal(Features, direct.Select(feature => feature.Key));
        Assert.DoesNotContain("\"failed\"", direct.ToJsonString(), StringComparison.Ordinal);
        Assert.Equal(Lines(direct), Lines(through));
        await clientLeg.AssertEveryMessageValidAsync();
        await serverLeg.AssertEveryMessageValidAsync();
    }

    private static async Task<JsonObject> RunAsync(string transport, Uri url, params string[] more)
    {
        var run = await NodeTool.RunAsync(Script, ["--transport", transport, "--url", url.AbsoluteUri, .. more]);
        return JsonNode.Parse(run.Json().GetRawText())!.AsObject();
    }

    /// <summary>One line per feature, so that a failure names it.</summary>
    private static string Lines(JsonObject seen) => string.Join('\n', seen.Select(feature => $"{feature.Key}: {feature.Value?.ToJsonString()}"));
}
