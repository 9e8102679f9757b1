using System.Text;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Operation;

/// <summary>The real program and its key: made once, missed, wrong, and what its files show without it.</summary>
public sealed class VaultStartTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Key_MadeAtTheFirstStart_IsNeededFromThenOn_AndNoOtherTakesItsPlace()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url))));
        var key = Path.Combine(gateway.DataFolder, "vault.key");
        Assert.True(File.Exists(key));
        Assert.Contains(key, gateway.Process.Errors, StringComparison.Ordinal);
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        gateway.Signal(9);
        await gateway.Process.ExitAsync(Limit, TestContext.Current.CancellationToken);

        File.Move(key, key + ".away");
        var (missing, why) = await RunAsync(gateway);
        Assert.Equal(2, missing);
        Assert.Contains($"{key} does not exist", why, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", why, StringComparison.Ordinal);
        Assert.False(File.Exists(key));

        await File.WriteAllTextAsync(key, Convert.ToBase64String(new byte[32]), TestContext.Current.CancellationToken);
        var (wrong, whyWrong) = await RunAsync(gateway);
        Assert.Equal(2, wrong);
        Assert.Contains("none of the keys here", whyWrong, StringComparison.Ordinal);

        File.Move(key + ".away", key, overwrite: true);
        await gateway.RestartAsync();
        Assert.Equal("goes on", await client.CallAsync("echo", "goes on"));
    }

    [Fact]
    public async Task Files_AfterAKill_ShowNothingOfWhatWasAskedAndAnswered()
    {
        const string canary = "canary-of-a-mail";
        await using var server = await FaultyServer.StartAsync();
        var up = GatewayProcess.Remote(server.Url);
        // Each answer goes through the store.
        up["commit"] = "durable";
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("up", up)));
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(canary, await client.CallAsync("echo", canary));
        }

        gateway.Signal(9);
        await gateway.Process.ExitAsync(Limit, TestContext.Current.CancellationToken);

        var files = Directory.EnumerateFiles(gateway.DataFolder, "*", SearchOption.AllDirectories).ToList();
        Assert.Contains(files, file => file.EndsWith("mooring.db", StringComparison.Ordinal));
        Assert.DoesNotContain(files, file => File.ReadAllBytes(file).AsSpan().IndexOf(Encoding.UTF8.GetBytes(canary)) >= 0);
    }

    private static async Task<(int ExitCode, string Errors)> RunAsync(GatewayProcess gateway)
    {
        await using var tool = ToolProcess.Start(await GatewayBinary.PathAsync(), ["run", "--config", gateway.ConfigFile, "--urls", "http://127.0.0.1:0", "--data", gateway.DataFolder]);
        var exitCode = await tool.ExitAsync(Limit, TestContext.Current.CancellationToken);
        return (exitCode, tool.Errors);
    }
}
