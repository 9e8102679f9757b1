using System.Globalization;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Harness;
using Mooring.Tests;
using Xunit;

namespace Mooring.EndToEndTests.Clients;

/// <summary>@modelcontextprotocol/server-everything behind the gateway over each of its transports, compared with itself alone.</summary>
[Collection(NodeClients.Name)]
public sealed class EverythingServerTests
{
    private const string Name = "everything";
    private const string Package = "@modelcontextprotocol/server-everything/dist/index.js";
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);
    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(10) };

    [Fact]
    public async Task OverStdio_EveryAnswer_EqualsDirect()
    {
        await using var relay = Relay.ForCommand("server", NodeTool.Program, NodeTool.Package(Package), "stdio");

        await CompareAsync(relay, relay.Server, "stdio");
    }

    [Theory]
    [InlineData("streamableHttp", "http", "/mcp")]
    [InlineData("sse", "sse", "/sse")]
    public async Task OverHttp_EveryAnswer_EqualsDirect(string mode, string transport, string path)
    {
        var port = LoopbackPorts.Take().ToString(CultureInfo.InvariantCulture);
        await using var server = ToolProcess.Start(
            NodeTool.Program, [NodeTool.Package(Package), mode], new Dictionary<string, string> { ["PORT"] = port });
        var url = new Uri($"http://127.0.0.1:{port}{path}");
        await ListensAsync(server, url);
        await using var relay = await Relay.ToAsync("server", url);

        await CompareAsync(relay, GatewayProcess.Remote(relay.Url), transport, "--direct", url.AbsoluteUri);
    }

    private static async Task CompareAsync(Relay serverLeg, JsonObject server, string transport, params string[] more)
    {
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config((Name, server)));
        await using var clientLeg = await Relay.ToAsync("client", gateway.ServerUrl(Name));

        var run = await NodeTool.RunAsync("everything.mjs", ["--transport", transport, "--gateway", clientLeg.Url.AbsoluteUri, .. more]);

        var report = run.Json();
        Assert.True(report.GetProperty("compared").GetInt32() > 40, run.Output);
        var differences = report.GetProperty("differences").EnumerateArray().ToList();
        Assert.True(differences.Count == 0, $"{differences.Count} differences:\n{string.Join('\n', differences.Take(20))}");
        await clientLeg.AssertEveryMessageValidAsync();
        await serverLeg.AssertEveryMessageValidAsync();
    }

    private static async Task ListensAsync(ToolProcess server, Uri url)
    {
        var cancellation = TestContext.Current.CancellationToken;
        var start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                // Any answer will do; a path it does not know is answered at once.
                using var response = await Http.GetAsync(new Uri(url, "/none"), cancellation);
                return;
            }
            catch (HttpRequestException)
            {
                Assert.False(server.HasExited, server.Describe("ended while it was starting"));
                Assert.True(TimeProvider.System.GetElapsedTime(start) < StartLimit, server.Describe("does not listen"));
                await Task.Delay(50, cancellation);
            }
        }
    }
}
