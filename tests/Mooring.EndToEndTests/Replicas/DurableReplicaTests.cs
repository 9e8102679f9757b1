using System.Net;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Xunit;

namespace Mooring.EndToEndTests.Replicas;

/// <summary>Where replicas share a store, tools that are not safe to repeat are durable without being configured: one dies, and its clients hear of their calls from the other.</summary>
public sealed class DurableReplicaTests(ReplicaDatabase database) : IClassFixture<ReplicaDatabase>
{
    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task AKilledRightAfterTheServerGotTheCall_ResumedOnB_EndsAsOutcomeUnknown()
    {
        await using var pair = await ReplicaPair.StartAsync(database, LongGrace);
        using var client = await McpClient.ConnectAsync(pair.AtA);
        var call = client.ToolCall("hold", "kept");
        using var stream = await client.PostForStreamAsync(call);
        await Wait.UntilAsync(() => pair.Server.Calls("hold") == 1, () => "the call never reached the server");

        await ReplicaPair.KillAsync(pair.A);

        // Read only now: what was on its way when the gateway died had been sent before its server was asked.
        var seen = await stream.FirstIdAsync();
        using var other = client.At(pair.AtB);
        using var rest = await other.OpenAsync(seen);
        var answer = await rest.AnswerAsync((int)call["id"]!);
        Assert.Equal("outcome_unknown", (string?)answer["error"]?["data"]?["mooring"]?["reason"]);
        Assert.Equal("up", (string?)answer["error"]?["data"]?["mooring"]?["server"]);
        Assert.Empty(await rest.RestAsync());
        Assert.Equal(1, pair.Server.Calls("hold"));
        Assert.Equal("goes on", await other.CallAsync("echo", "goes on"));
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task BKilledWhileTheProcessAtARunsItsCall_ResumedOnA_EndsAsOutcomeUnknown()
    {
        await using var pair = await ReplicaPair.StartAsync(database, LongGrace, withLocal: true);
        using var client = await McpClient.ConnectAsync(pair.LocalAtA);
        var process = await client.CallAsync("pid");
        using var other = client.At(pair.LocalAtB);
        Assert.Equal(process, await other.CallAsync("pid"));
        var call = other.ToolCall("hold");
        using var stream = await other.PostForStreamAsync(call);
        var seen = await stream.FirstIdAsync();

        await ReplicaPair.KillAsync(pair.B);

        using var rest = await client.OpenAsync(seen);
        var answer = await rest.AnswerAsync((int)call["id"]!);
        Assert.Equal("outcome_unknown", (string?)answer["error"]?["data"]?["mooring"]?["reason"]);
        Assert.Equal(process, await client.CallAsync("pid"));
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task StoreIsAway_DurableToolIs503AndNotCalled_FastToolIsAnswered()
    {
        await using var pair = await ReplicaPair.StartAsync(database, config =>
            config["mcpServers"]!["up"]!["tools"] = new JsonObject { ["hold"] = new JsonObject { ["commit"] = "fast" } });
        using var client = await McpClient.ConnectAsync(pair.AtA);
        Assert.Equal("before", await client.CallAsync("echo", "before"));
        pair.Server.Release();

        await database.Cluster.StopServerAsync();
        try
        {
            using var refused = await client.PostAsync(client.ToolCall("echo", "never"));
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
            Assert.NotNull(refused.Headers.RetryAfter);
            var error = JsonNode.Parse(await refused.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!;
            Assert.Equal("not_recorded", (string?)error["error"]?["data"]?["mooring"]?["reason"]);
            Assert.Equal("fast", await client.CallAsync("hold", "fast"));
        }
        finally
        {
            await database.Cluster.StartServerAsync();
        }

        Assert.Equal(1, pair.Server.Calls("echo"));
        await Wait.UntilAsync(
            async () =>
            {
                using var response = await client.PostAsync(client.ToolCall("echo", "after"));
                return response.IsSuccessStatusCode;
            },
            () => pair.A.Process.Describe("calls do not go on after the store came back"));
    }

    /// <summary>Far more than any of it takes: it is not the end of the grace that makes the stream.</summary>
    private static void LongGrace(JsonObject config) => config["calls"] = new JsonObject { ["grace"] = "10s" };
}
