using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Upstreams;

/// <summary>
/// The official library's server of the version without sessions (2026-07-28) and no other, behind a gateway, used by the official clients of versions
/// with sessions: lists, calls, prompts, resources, elicitation, sampling, roots, progress, logging, cancellation and changes.
/// </summary>
[Collection(NodeClients.Name)]
public sealed class StatelessServerTests
{
    private const int Steps = 11;

    /// <summary>A server with sessions that knows nothing before <c>initialize</c>: it leaves, or it says nothing.</summary>
    private const string OnlyInitialize = """
        const leaves = process.argv[1] === 'leaves';
        let met = false;
        require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
          const { id, method } = JSON.parse(line);
          if (!met && method !== 'initialize') { if (leaves) process.exit(1); return; }
          met = true;
          const result = { initialize: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'old', version: '1' } },
            'tools/list': { tools: [{ name: 'echo', inputSchema: { type: 'object' } }] }, 'tools/call': { content: [{ type: 'text', text: 'here' }] } }[method];
          if (id !== undefined) console.log(JSON.stringify({ jsonrpc: '2.0', id, ...(result ? { result } : { error: { code: -32601, message: 'no' } }) }));
        });
        """;

    [Theory]
    [InlineData("sdk", "http")]
    [InlineData("client", "http")]
    [InlineData("sdk", "stdio")]
    [InlineData("client", "stdio")]
    public async Task OfficialServer_UsedByClientsWithSessions_EveryStepPasses(string client, string transport)
    {
        await using var server = await NodeTool.StartAsync("stateless.mjs");
        await using var serverLeg = transport == "http"
            ? await Relay.ToAsync("server", server.Url)
            : Relay.ForCommand("server", NodeTool.Program, Path.Combine(Repository.NodeFixtures, "stateless.mjs"), "--stdio");
        var entry = transport == "http" ? GatewayProcess.Remote(serverLeg.Url) : serverLeg.Server;
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("one", entry)));
        await using var clientLeg = await Relay.ToAsync("client", gateway.ServerUrl("one"));

        string[] control = transport == "http" ? ["--control", server.Url.AbsoluteUri] : [];
        var run = await NodeTool.RunAsync("clients/stateless-steps.mjs", ["--client", client, "--url", clientLeg.Url.AbsoluteUri, .. control]);

        Assert.True(run.ExitCode == 0, $"{run.Errors}\n{gateway.Process.Describe("the gateway said")}");
        Assert.Equal("2025-11-25", run.Json().GetProperty("version").GetString());
        Assert.Equal(Steps, run.Json().GetProperty("steps").GetArrayLength());
        await clientLeg.AssertEveryMessageValidAsync();
        await serverLeg.AssertEveryMessageValidAsync();
    }

    [Theory]
    [InlineData("leaves")]
    [InlineData("silent")]
    public async Task StdioServerWithSessions_KnowsNothingBeforeInitialize_IsServedAllTheSame(string kind)
    {
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("old", GatewayProcess.Command(NodeTool.Program, "-e", OnlyInitialize, kind))));
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("old"));

        Assert.Equal("here", await client.CallAsync("echo"));
    }
}
