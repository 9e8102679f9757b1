using System.Text.Json;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Clients;

/// <summary>The Inspector's command line: one process for each thing that is asked.</summary>
internal static class Inspector
{
    /// <summary>What it printed; a failure says what the gateway said.</summary>
    public static async Task<JsonElement> RunAsync(Uri url, string transport, GatewayProcess gateway, params string[] arguments)
    {
        // It keeps a catalogue of servers in the home folder; this one goes away with the test.
        var home = Directory.CreateTempSubdirectory("mooring-inspector-");
        try
        {
            var run = await NodeTool.RunAsync(
                NodeTool.Package("@modelcontextprotocol/inspector/clients/launcher/build/index.js"),
                ["--cli", url.AbsoluteUri, "--transport", transport, .. arguments],
                new Dictionary<string, string> { ["HOME"] = home.FullName, ["USERPROFILE"] = home.FullName });
            Assert.True(run.ExitCode == 0, $"{run.Output}\n{run.Errors}\n{gateway.Process.Describe("the gateway said")}");
            return run.Json();
        }
        finally
        {
            home.Delete(recursive: true);
        }
    }
}
