using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Clients;

/// <summary>
/// The official client libraries in front of the gateway, with a working day's steps (clients/steps.mjs), and every message on
/// both legs judged by the validators that the official packages carry.
/// </summary>
[Collection(NodeClients.Name)]
public sealed class OfficialClientTests
{
    private const int CommonSteps = 13;

    [Theory]
    [InlineData("sdk")]
    [InlineData("client")]
    public async Task StreamableHttp_EveryStepAndAfterCuts_Passes(string client)
    {
        await using var rig = await Rig.StartAsync(recorded: true);

        // Three more: a stream closed by the server, and two after a cut.
        await RunStepsAsync(rig, client, "http", CommonSteps + 3);

        await rig.AssertEveryMessageValidAsync();
    }

    [Theory]
    [InlineData("sdk")]
    [InlineData("client")]
    public async Task HttpSse_EveryStepAndAfterACut_Passes(string client)
    {
        await using var rig = await Rig.StartAsync(recorded: true, clientTransport: "sse");

        await RunStepsAsync(rig, client, "sse", CommonSteps + 1);

        await rig.AssertEveryMessageValidAsync();
    }

    [Theory]
    [InlineData("v1", "sse")]
    [InlineData("v1", "stdio")]
    [InlineData("v2", "stdio")]
    [InlineData("v2", "http")]
    public async Task ServerOfEachTransport_EveryStep_Passes(string sdk, string serverTransport)
    {
        await using var rig = await Rig.StartAsync(sdk, recorded: true, serverTransport: serverTransport);

        await RunStepsAsync(rig, "sdk", "http", CommonSteps + 3);

        await rig.AssertEveryMessageValidAsync();
    }

    private static async Task RunStepsAsync(Rig rig, string client, string transport, int expected)
    {
        var run = await NodeTool.RunAsync(
            "clients/run.mjs",
            [
                "--client", client,
                "--transport", transport,
                "--url", rig.ClientUrl.AbsoluteUri,
                "--cut", rig.ClientUrl.AbsoluteUri,
                .. transport == "http" ? ["--expect-version", "2025-11-25"] : Array.Empty<string>(),
            ]);

        Assert.True(run.ExitCode == 0, $"{run.Errors}\n{rig.Gateway.Process.Describe("the gateway said")}");
        Assert.Equal(expected, run.Json().GetProperty("steps").GetArrayLength());
    }
}
