using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Clients;

/// <summary>mcp-remote, which lends a remote server to clients that only know stdio, in front of the gateway.</summary>
[Collection(NodeClients.Name)]
public sealed class McpRemoteTests
{
    [Theory]
    [InlineData("http", "http-only")]
    [InlineData("sse", "sse-only")]
    public async Task McpRemote_EveryStepOverItsStdio_Passes(string transport, string strategy)
    {
        await using var rig = await Rig.StartAsync(recorded: true, clientTransport: transport);
        var state = Directory.CreateTempSubdirectory("mooring-mcp-remote-");
        try
        {
            var run = await NodeTool.RunAsync(
                "clients/run.mjs",
                [
                    "--client", "sdk",
                    "--transport", "stdio",
                    "--",
                    NodeTool.Program, NodeTool.Package("mcp-remote/dist/proxy.js"), rig.ClientUrl.AbsoluteUri,
                    "--allow-http", "--transport", strategy,
                ],
                new Dictionary<string, string> { ["MCP_REMOTE_CONFIG_DIR"] = state.FullName });

            Assert.True(run.ExitCode == 0, $"{run.Errors}\n{rig.Gateway.Process.Describe("the gateway said")}");
            Assert.Equal(13, run.Json().GetProperty("steps").GetArrayLength());
        }
        finally
        {
            state.Delete(recursive: true);
        }

        await rig.AssertEveryMessageValidAsync();
    }
}
