using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Xunit;

namespace Mooring.EndToEndTests.Replicas;

/// <summary>Tasks of two real gateways on one PostgreSQL: had and cancelled at either; and whatever is killed, each ends in a state that is true.</summary>
public sealed class TaskReplicaTests(ReplicaDatabase database) : IClassFixture<ReplicaDatabase>
{
    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task AKilledWithTasksUnderWayAndDone_AtB_TheFirstIsOutcomeUnknownAndTheOtherHasItsResult()
    {
        await using var pair = await ReplicaPair.StartAsync(database, TasksSoon);
        using var client = new TaskTaker();
        var done = await client.TaskAsync(pair.AtA, "hold", "kept");
        pair.Server.Release();
        await client.UntilAsync(pair.AtB, done, "completed");
        pair.Server.Hold();
        var running = await client.TaskAsync(pair.AtA, "hold", "lost");
        var atB = await client.TaskAsync(pair.AtB, "hold", "goes on");
        Assert.Equal("working", (string?)(await client.GetAsync(pair.AtB, running))["status"]);

        await ReplicaPair.KillAsync(pair.A);

        var failed = await client.UntilAsync(pair.AtB, running, "failed");
        Assert.Equal("outcome_unknown", (string?)failed["error"]!["data"]!["mooring"]!["reason"]);
        Assert.Equal("up", (string?)failed["error"]!["data"]!["mooring"]!["server"]);
        Assert.Equal("kept", (string?)(await client.GetAsync(pair.AtB, done))["result"]!["content"]![0]!["text"]);
        pair.Server.Release();
        Assert.Equal("goes on", (string?)(await client.UntilAsync(pair.AtB, atB, "completed"))["result"]!["content"]![0]!["text"]);

        await pair.A.RestartAsync();
        await pair.A.ReadyAsync();
        Assert.Equal(failed.ToJsonString(), (await client.GetAsync(pair.AtA, running)).ToJsonString());
        Assert.Equal("goes on", (string?)(await client.GetAsync(pair.AtA, atB))["result"]!["content"]![0]!["text"]);
        Assert.Equal(3, pair.Server.Calls("hold"));
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task TaskAtA_CancelledAtB_EndsThere_AndItsServerIsTold()
    {
        await using var pair = await ReplicaPair.StartAsync(database, TasksSoon);
        using var client = new TaskTaker();
        var cancelled = await client.TaskAsync(pair.AtA, "hold", "never");

        await client.CancelAsync(pair.AtB, cancelled);

        await client.UntilAsync(pair.AtB, cancelled, "cancelled");
        await Wait.UntilAsync(() => pair.Server.Received("notifications/cancelled").Count == 1, () => "the server was not told");
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task BothKilled_OnRestart_EachTaskHasEnded()
    {
        await using var pair = await ReplicaPair.StartAsync(database, TasksSoon);
        using var client = new TaskTaker();
        var ofA = await client.TaskAsync(pair.AtA, "hold", "a");
        var ofB = await client.TaskAsync(pair.AtB, "hold", "b");

        await ReplicaPair.KillAsync(pair.A);
        await ReplicaPair.KillAsync(pair.B);
        await pair.B.RestartAsync();
        await pair.B.ReadyAsync();

        foreach (var task in new[] { ofA, ofB })
        {
            Assert.Equal("outcome_unknown", (string?)(await client.UntilAsync(pair.AtB, task, "failed"))["error"]!["data"]!["mooring"]!["reason"]);
        }

        Assert.Equal(2, pair.Server.Calls("hold"));
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task ADrainedInOrder_ItsTaskThatDoesNotFinish_IsTold()
    {
        await using var pair = await ReplicaPair.StartAsync(database, config =>
        {
            TasksSoon(config);
            config["drain"] = new JsonObject { ["delay"] = "0s", ["grace"] = "1s" };
        });
        using var client = new TaskTaker();
        var task = await client.TaskAsync(pair.AtA, "hold", "too long");

        Assert.Equal(0, await pair.A.StopAsync());

        var failed = await client.GetAsync(pair.AtB, task);
        Assert.Equal(("failed", "draining"), ((string?)failed["status"], (string?)failed["error"]!["data"]!["mooring"]!["reason"]));
    }

    private static void TasksSoon(JsonObject config) => config["calls"] = new JsonObject { ["taskAfter"] = "500ms", ["firstListWait"] = "30s" };
}
