using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Faults;

/// <summary>kill -9 during a call: the audit log has what it was, and that nobody knows how it ended.</summary>
public sealed class KilledAuditTests
{
    [Fact]
    public async Task GatewayKilledDuringACall_AuditLog_HasItsBeginning_AndAfterTheRestartThatItsOutcomeIsUnknown()
    {
        using var folder = new TempFolder();
        var file = folder.File("audit.jsonl");
        await using var server = await FaultyServer.StartAsync();
        var config = GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url)));
        config["audit"] = new JsonObject { ["file"] = file, ["begun"] = true };
        await using var gateway = await GatewayProcess.StartAsync(config);
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        await client.CallAsync("echo", "before");
        using var stream = await client.PostForStreamAsync(client.ToolCall("hold", "kept"));
        await stream.FirstIdAsync();
        await Wait.UntilAsync(() => Lines().Count >= 3, () => "the beginning is not noted");

        await gateway.KillAsync();
        await gateway.RestartAsync();
        await Wait.UntilAsync(() => Lines().Count >= 4, () => gateway.Process.Describe("nobody noted the end"));

        var lines = Lines();
        Assert.Equal(["begun", "result", "begun", "outcome_unknown"], lines.Select(line => (string)line["outcome"]!));
        Assert.Equal(["echo", "echo", "hold", null], lines.Select(line => (string?)line["name"]));
        Assert.Equal((string)lines[0]["call"]!, (string)lines[1]["call"]!);
        Assert.NotEqual((string)lines[0]["call"]!, (string)lines[2]["call"]!);
        Assert.Equal((string)lines[2]["session"]!, (string)lines[3]["session"]!);

        List<JsonObject> Lines() => !File.Exists(file) ? [] :
        [
            .. File.ReadAllText(file).Split('\n').SkipLast(1).Select(line => JsonNode.Parse(line)!.AsObject()).Where(line => (string)line["event"]! == "call"),
        ];
    }
}
