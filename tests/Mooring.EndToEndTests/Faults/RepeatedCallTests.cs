using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Faults;

/// <summary>A server dies of a call: what may be executed twice is sent again with the same key, all else once and never again (invariant 9).</summary>
public sealed class RepeatedCallTests
{
    [Fact]
    public async Task ProcessDies_ToolThatIsSafeToRepeat_IsCalledAgainWithTheSameKey()
    {
        using var folder = new TempFolder();
        var ledger = new Ledger(folder.File("ledger"));
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("local", ledger.Server)));
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("local"));
        await client.ToolsAsync();

        Assert.Equal("kept", await client.CallAsync("again", "kept"));
        Assert.Equal("next", await client.CallAsync("again", "next"));

        var keys = ledger.KeysOf("again");
        Assert.Equal(3, keys.Count);
        Assert.NotNull(keys[0]);
        Assert.Equal(keys[0], keys[1]);
        Assert.NotNull(keys[2]);
        Assert.NotEqual(keys[0], keys[2]);
    }

    [Fact]
    public async Task ProcessDies_AnyOtherTool_IsOutcomeUnknownAndExecutedOnce()
    {
        using var folder = new TempFolder();
        var ledger = new Ledger(folder.File("ledger"));
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("local", ledger.Server)));
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("local"));
        await client.ToolsAsync();

        var answer = await client.TryCallAsync("once", "lost");

        Assert.Equal("outcome_unknown", (string?)answer["error"]?["data"]?["mooring"]?["reason"]);
        Assert.Equal("works", await client.CallAsync("count", "works"));
        Assert.Equal([null], ledger.KeysOf("once"));
        Assert.Equal([null], ledger.KeysOf("count"));
    }

    [Theory]
    [InlineData("hold", false)]
    [InlineData("steady", true)]
    public async Task ServerKilledDuringACall_IsSentAgainOnlyWhereThatIsSafe(string tool, bool isSafe)
    {
        await using var server = await FaultyServer.StartAsync();
        server.Tools = [.. server.Tools, "steady"];
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url))));
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        await client.ToolsAsync();
        var calling = client.TryCallAsync(tool, "text");
        await Wait.UntilAsync(() => server.Calls(tool) == 1, () => "the call never reached the server");

        await server.KillAsync();
        server.Release();
        await server.StartAgainAsync();

        var answer = await calling;
        Assert.Equal(isSafe ? "text" : null, (string?)answer["result"]?["content"]?[0]?["text"]);
        Assert.Equal(isSafe ? null : "outcome_unknown", (string?)answer["error"]?["data"]?["mooring"]?["reason"]);
        Assert.Equal("after", await client.CallAsync("echo", "after"));
        var keys = server.Received("tools/call").Where(call => (string?)call["params"]!["name"] == tool)
            .Select(call => (string?)call["params"]!["_meta"]?["io.mooring/idempotencyKey"]).ToList();
        Assert.Equal(isSafe, keys[0] is not null);
        Assert.Single(keys.Distinct(StringComparer.Ordinal));

        // Between its two starts the server knows no session, so a call that is sent again comes once more after it was given a new one.
        Assert.InRange(keys.Count, isSafe ? 2 : 1, isSafe ? 3 : 1);
    }
}
