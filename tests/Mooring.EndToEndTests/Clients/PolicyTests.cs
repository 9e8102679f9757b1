using System.Text.Json;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Clients;

/// <summary>The official client libraries of two people in front of the real program with rules and an audit log.</summary>
[Collection(NodeClients.Name)]
public sealed class PolicyTests
{
    [Theory]
    [InlineData("sdk")]
    [InlineData("client")]
    public async Task TwoPeople_SeeAndMayWhatTheirRulesSay_AndTheAuditLogSaysWhoDidWhat(string client)
    {
        await using var server = await NodeTool.StartAsync("server.mjs");
        var audit = Path.Combine(Directory.CreateTempSubdirectory("mooring-audit-").FullName, "audit.jsonl");
        await using var gateway = await StartAsync(server, audit);
        var (reader, staff) = (await KeyAsync(gateway, "ann", "readers"), await KeyAsync(gateway, "ben", "staff"));

        var shown = await RunAsync(client, gateway, reader, "--call", "echo", "--call", "count");
        var all = await RunAsync(client, gateway, staff, "--call", "echo", "--call", "count");

        Assert.Contains("echo", Tools(shown));
        Assert.DoesNotContain("count", Tools(shown));
        Assert.Contains("count", Tools(all));
        Assert.True(Tools(all).Count > Tools(shown).Count);
        Assert.Equal("fine", shown.GetProperty("calls").GetProperty("echo").GetString());
        Assert.Equal(-32000, shown.GetProperty("calls").GetProperty("count").GetProperty("code").GetInt32());
        Assert.Contains("policies of this gateway", shown.GetProperty("calls").GetProperty("count").GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal("fine", all.GetProperty("calls").GetProperty("count").GetString());

        Assert.Equal(0, await gateway.StopAsync());
        var text = await File.ReadAllTextAsync(audit, TestContext.Current.CancellationToken);
        var lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!).ToList();
        Assert.Equal(["ann result echo", "ann denied count", "ben result echo", "ben result count"],
            lines.Where(line => (string)line["event"]! == "call").Select(line => $"{line["user"]} {line["outcome"]} {line["name"]}"));
        Assert.Equal(2, lines.Count(line => (string)line["event"]! == "key_created"));
        Assert.DoesNotContain(reader, text, StringComparison.Ordinal);
        Assert.DoesNotContain("hello", text, StringComparison.Ordinal);
        Directory.Delete(Path.GetDirectoryName(audit)!, recursive: true);
    }

    private static Task<GatewayProcess> StartAsync(NodeServer server, string audit)
    {
        var config = GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url)));
        config["auth"] = new JsonObject { ["mode"] = "apiKey" };
        config["audit"] = new JsonObject { ["file"] = audit };
        config["policies"] = new JsonObject
        {
            ["default"] = "deny",
            ["rules"] = new JsonArray(
                new JsonObject { ["groups"] = "readers", ["servers"] = "up", ["effect"] = "readOnly" },
                new JsonObject { ["groups"] = "staff", ["effect"] = "allow" }),
        };
        return GatewayProcess.StartAsync(config);
    }

    private static async Task<JsonElement> RunAsync(string client, GatewayProcess gateway, string key, params string[] more)
    {
        var run = await NodeTool.RunAsync("policies.mjs", ["--client", client, "--url", gateway.ServerUrl("up").AbsoluteUri, "--key", key, .. more]);
        Assert.True(run.ExitCode == 0, $"{run.Errors}\n{gateway.Process.Describe("the gateway said")}");
        return run.Json();
    }

    private static List<string> Tools(JsonElement run) => [.. run.GetProperty("tools").EnumerateArray().Select(name => name.GetString()!)];

    private static async Task<string> KeyAsync(GatewayProcess gateway, string user, string group)
    {
        await using var tool = ToolProcess.Start(
            await GatewayBinary.PathAsync(), ["token", "create", "--user", user, "--groups", group, "--config", gateway.ConfigFile, "--data", gateway.DataFolder]);
        Assert.True(await tool.ExitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken) == 0, tool.Describe("token failed"));
        return tool.Output.Trim();
    }
}
