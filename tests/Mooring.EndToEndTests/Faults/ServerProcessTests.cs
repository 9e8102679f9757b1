using System.Globalization;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Mooring.EndToEndTests.Upstreams.Stdio;
using Xunit;

namespace Mooring.EndToEndTests.Faults;

/// <summary>Servers on standard streams: none outlives the gateway, and one that ends costs no more than its own calls.</summary>
public sealed class ServerProcessTests
{
    private const int Kill = 9;
    private const int Terminate = 15;
    private const int Interrupt = 2;

    private static readonly string Script = Path.Combine(Repository.Root, "tests", "Mooring.EndToEndTests", "Faults", "Parts", "stdio-server.mjs");

    [Theory]
    [InlineData(Kill)]
    [InlineData(Terminate)]
    [InlineData(Interrupt)]
    public async Task GatewayEnds_ItsServers_EndToo(int signal)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        await using var gateway = await GatewayProcess.StartAsync(Config());
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("local"));
        var server = int.Parse(await client.CallAsync("pid"), CultureInfo.InvariantCulture);
        Assert.True(ProcessTable.IsAlive(server));

        gateway.Signal(signal);

        await ProcessTable.UntilAsync(() => !ProcessTable.IsAlive(server), () => $"server {server} outlives the gateway");
        await Wait.UntilAsync(() => gateway.Process.HasExited, () => gateway.Process.Describe("the gateway still runs"));
    }

    [Fact]
    public async Task ServerCrashes_ItsCallEndsAsOutcomeUnknown_AndTheNextOneWorks()
    {
        await using var gateway = await GatewayProcess.StartAsync(Config());
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("local"));
        var before = await client.CallAsync("pid");

        var answer = await client.TryCallAsync("crash");

        Assert.Equal("outcome_unknown", (string?)answer["error"]?["data"]?["mooring"]?["reason"]);
        Assert.NotEqual(before, await client.CallAsync("pid"));
    }

    [Fact]
    public async Task ServerCrashes_OtherCallsOfOtherSessions_GoOn()
    {
        await using var gateway = await GatewayProcess.StartAsync(Config());
        using var one = await McpClient.ConnectAsync(gateway.ServerUrl("local"));
        using var other = await McpClient.ConnectAsync(gateway.ServerUrl("local"));
        var before = await other.CallAsync("pid");

        await one.TryCallAsync("crash");

        Assert.Equal(before, await other.CallAsync("pid"));
    }

    [Fact]
    public async Task ServerCrashesAtEveryStart_StartsAgain_WithGrowingPauses()
    {
        using var folder = new TempFolder();
        var starts = folder.File("starts");
        var server = GatewayProcess.Command(NodeTool.Program, Script, starts, "crash");
        // One link for all, so that each line of the file is one turn.
        server["scope"] = "shared";
        var config = GatewayProcess.Config(("local", server));
        await using var gateway = await GatewayProcess.StartAsync(config);
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("local"));

        var answer = await client.TryCallAsync("echo", "never");

        Assert.Equal("upstream_unreachable", (string?)answer["error"]?["data"]?["mooring"]?["reason"]);
        await Wait.UntilAsync(() => Times(starts).Length >= 4, () => $"only {Times(starts).Length} starts");
        var times = Times(starts);
        // 0.5 s, 1 s, 2 s; load makes them longer, never shorter. The tries of a call alone are 0.1 s, 0.2 s, 0.4 s apart.
        Assert.True(times[2] - times[1] >= 950 && times[3] - times[2] >= 1900, "Pauses do not grow: " + string.Join(", ", times));
    }

    private static JsonObject Config() => GatewayProcess.Config(("local", GatewayProcess.Command(NodeTool.Program, Script)));

    private static long[] Times(string file) =>
        File.Exists(file) ? [.. File.ReadAllLines(file).Select(line => long.Parse(line, CultureInfo.InvariantCulture))] : [];
}
