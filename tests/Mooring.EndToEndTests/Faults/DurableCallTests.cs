using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Faults;

/// <summary>kill -9 of the gateway right after a durable call reached its server: the client has an event id, and gets an honest answer with it.</summary>
public sealed class DurableCallTests
{
    private const string Grace = "10s";

    [Fact]
    public async Task GatewayKilledDuringACall_OverHttp_EndsAsOutcomeUnknownForWhoeverComesBack()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await GatewayProcess.StartAsync(Config("up", GatewayProcess.Remote(server.Url)));

        await KillDuringAsync(gateway, "up", () => server.Calls("hold"));

        server.Release();
        using var other = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        Assert.Equal("goes on", await other.CallAsync("echo", "goes on"));
        Assert.Equal(1, server.Calls("hold"));
    }

    [Fact]
    public async Task GatewayKilledDuringACall_OverStandardStreams_EndsAsOutcomeUnknownForWhoeverComesBack()
    {
        using var folder = new TempFolder();
        var ledger = new Ledger(folder.File("ledger"));
        await using var gateway = await GatewayProcess.StartAsync(Config("local", ledger.Server));

        await KillDuringAsync(gateway, "local", () => ledger.Executions("hold"));

        using var other = await McpClient.ConnectAsync(gateway.ServerUrl("local"));
        Assert.Equal("goes on", await other.CallAsync("count", "goes on"));
        Assert.Equal(1, ledger.Executions("hold"));
    }

    [Fact]
    public async Task GatewayKilledManyTimes_EveryCallWithAnEventId_EndsInAnAnswerOrAnExplicitUnknown()
    {
        using var folder = new TempFolder();
        var ledger = new Ledger(folder.File("ledger"));
        await using var gateway = await GatewayProcess.StartAsync(Config("local", ledger.Server));
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("local"));
        var begun = 0;
        for (var round = 0; round < 3; round++)
        {
            var calls = Enumerable.Range(0, 8).Select(i => (Call: client.ToolCall("count", $"{round}-{i}"), Stream: new TaskCompletionSource<SseStream>())).ToList();
            await Task.WhenAll(calls.Select(async call => call.Stream.SetResult(await client.PostForStreamAsync(call.Call))));
            var killing = gateway.KillAsync();
            var seen = await Task.WhenAll(calls.Select(async call => await SeenAsync(await call.Stream.Task, (int)call.Call["id"]!)));
            await killing;
            await gateway.RestartAsync();

            foreach (var (call, (id, answer)) in calls.Zip(seen))
            {
                // Without an id nothing was begun, or nothing that this client could be told of.
                begun += id is null ? 0 : 1;
                if (id is null || answer is not null)
                {
                    continue;
                }

                using var rest = await client.OpenAsync(id);
                var late = await rest.AnswerAsync((int)call.Call["id"]!);
                Assert.True(late["result"] is not null || (string?)late["error"]?["data"]?["mooring"]?["reason"] == "outcome_unknown", late.ToJsonString());
            }
        }

        Assert.True(begun > 0, "No call got as far as its event id.");
        Assert.True(ledger.Executions("count") <= 24, $"{ledger.Executions("count")} executions of 24 calls.");
    }

    private static async Task KillDuringAsync(GatewayProcess gateway, string server, Func<int> executions)
    {
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl(server));
        var call = client.ToolCall("hold", "kept");
        using var stream = await client.PostForStreamAsync(call);
        await Wait.UntilAsync(() => executions() == 1, () => "the call never reached the server");
        await gateway.KillAsync();

        // Read only now: what was on its way when the gateway died had been sent before its server was asked.
        var seen = await stream.FirstIdAsync();
        await gateway.RestartAsync();

        using var rest = await client.OpenAsync(seen);
        var answer = await rest.AnswerAsync((int)call["id"]!);
        Assert.Equal("outcome_unknown", (string?)answer["error"]?["data"]?["mooring"]?["reason"]);
        Assert.Equal(server, (string?)answer["error"]?["data"]?["mooring"]?["server"]);
        Assert.Empty(await rest.RestAsync());
    }

    /// <summary>Reads until the answer or the end, whichever is first.</summary>
    private static async Task<(string? Id, JsonObject? Answer)> SeenAsync(SseStream stream, int id)
    {
        using (stream)
        {
            var messages = await stream.RestAsync();
            return (stream.LastEventId, messages.Find(message => (int?)message["id"] == id));
        }
    }

    private static JsonObject Config(string name, JsonObject server)
    {
        server["commit"] = "durable";
        var config = GatewayProcess.Config((name, server));

        // Far more than any of it takes: it is not the end of the grace that makes the stream.
        config["calls"] = new JsonObject { ["grace"] = Grace };
        return config;
    }
}
