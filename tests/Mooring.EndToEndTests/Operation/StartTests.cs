using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Operation;

/// <summary>Starts that must not succeed, and what the command line says.</summary>
public sealed class StartTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task SecondGatewayOnTheSameData_Refuses_AndTheFirstGoesOn()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url))));
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));

        var (exitCode, errors) = await RunAsync("run", "--config", gateway.ConfigFile, "--urls", "http://127.0.0.1:0", "--data", gateway.DataFolder);

        Assert.Equal(3, exitCode);
        Assert.Contains(gateway.DataFolder, errors, StringComparison.Ordinal);
        Assert.Equal("goes on", await client.CallAsync("echo", "goes on"));
    }

    [Fact]
    public async Task SecondGatewayOnTheSameData_AfterTheFirstWasKilled_Starts()
    {
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config());
        gateway.Signal(9);
        await gateway.Process.ExitAsync(Limit, TestContext.Current.CancellationToken);

        await gateway.RestartAsync();

        Assert.False(gateway.Process.HasExited);
    }

    [Fact]
    public async Task PortInUse_IsSaid()
    {
        using var folder = new TempFolder();
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture);

        var (exitCode, errors) = await RunAsync("run", "--config", await ConfigAsync(folder, []), "--urls", $"http://127.0.0.1:{port}", "--data", folder.Path);

        Assert.Equal(3, exitCode);
        Assert.Contains(port, errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TimeoutsOutOfTheirChain_AreShownWithTheirSource_AndWarnedOf()
    {
        var config = GatewayProcess.Config();
        config["keepAlive"] = new JsonObject { ["interval"] = "55s" };
        await using var gateway = await GatewayProcess.StartAsync(config, environment: new Dictionary<string, string> { ["MOORING_Http__KeepAlive"] = "590s" });

        await Wait.UntilAsync(() => gateway.Process.Output.Contains("warning: http.keepAlive", StringComparison.Ordinal), () => gateway.Process.Describe("no warning"));
        var lines = gateway.Process.Output.Split('\n');
        Assert.Contains(lines, l => l.Contains("keepAlive.interval ", StringComparison.Ordinal) && l.Contains(" 55s ", StringComparison.Ordinal) && l.Contains("mooring.json", StringComparison.Ordinal));
        Assert.Contains(lines, l => l.Contains("http.keepAlive ", StringComparison.Ordinal) && l.Contains(" 9m50s ", StringComparison.Ordinal) && l.Contains("MOORING_Http__KeepAlive", StringComparison.Ordinal));
        Assert.Contains(lines, l => l.Contains("calls.deadline ", StringComparison.Ordinal) && l.Contains(" 5m ", StringComparison.Ordinal) && l.Contains("default", StringComparison.Ordinal));
        Assert.Contains(lines, l => l.Contains("warning: keepAlive.interval: up to 1m6s of silence", StringComparison.Ordinal));
    }

    [Fact]
    public async Task OpenAddressWithoutAuthentication_IsRefused_NamingTheSetting()
    {
        using var folder = new TempFolder();

        var (exitCode, errors) = await RunAsync("run", "--config", await ConfigAsync(folder, []), "--urls", "http://0.0.0.0:0", "--data", folder.Path);

        Assert.Equal(2, exitCode);
        Assert.Contains("allowAnonymous", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Check_SaysEveryError_WithItsPath()
    {
        using var folder = new TempFolder();
        var file = await ConfigAsync(folder, new JsonObject
        {
            ["keepAlive"] = new JsonObject { ["interval"] = "soon" },
            ["mcpServers"] = new JsonObject { ["both"] = new JsonObject { ["command"] = "cat", ["url"] = "http://127.0.0.1:1/mcp" } },
            ["drian"] = new JsonObject(),
        });

        var (exitCode, errors) = await RunAsync("check", "--config", file);

        Assert.Equal(2, exitCode);
        Assert.Contains("keepAlive.interval", errors, StringComparison.Ordinal);
        Assert.Contains("mcpServers.both", errors, StringComparison.Ordinal);
        Assert.Contains("drian", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Check_FineConfiguration_IsFine()
    {
        using var folder = new TempFolder();
        var (exitCode, _) = await RunAsync("check", "--config", await ConfigAsync(folder, []));
        Assert.Equal(0, exitCode);
    }

    [Fact]
    public async Task Version_SaysVersionCommitAndRuntime()
    {
        await using var tool = ToolProcess.Start(await GatewayBinary.PathAsync(), ["version"]);
        Assert.Equal(0, await tool.ExitAsync(Limit, TestContext.Current.CancellationToken));
        Assert.Matches(@"^mooring \d+\.\d+\.\d+", tool.Output);
        Assert.Contains("commit", tool.Output, StringComparison.Ordinal);
        Assert.Contains("runtime .NET 10", tool.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task UnknownVerb_IsWrongUsage()
    {
        var (exitCode, errors) = await RunAsync("sail");
        Assert.Equal(2, exitCode);
        Assert.Contains("sail", errors, StringComparison.Ordinal);
    }

    private static async Task<(int ExitCode, string Errors)> RunAsync(params string[] arguments)
    {
        await using var tool = ToolProcess.Start(await GatewayBinary.PathAsync(), arguments);
        var exitCode = await tool.ExitAsync(Limit, TestContext.Current.CancellationToken);
        return (exitCode, tool.Errors);
    }

    private static async Task<string> ConfigAsync(TempFolder folder, JsonObject config)
    {
        var file = folder.File("mooring.json");
        await File.WriteAllTextAsync(file, config.ToJsonString(), TestContext.Current.CancellationToken);
        return file;
    }
}
