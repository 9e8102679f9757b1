using System.Text.Json.Nodes;
using Xunit;
using static Mooring.Tests.Tasks.TaskClient;

namespace Mooring.Tests.Tasks;

/// <summary>Clients that listen to their tasks.</summary>
public sealed class TaskListenTests
{
    [Fact]
    public async Task Listener_HearsOfEachStateOfItsOwnTasks_TaggedWithItsRequest()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var ann = New(gateway, user: "ann");
        var (bobs, _) = await gateway.TaskAsync(New(gateway, user: "bob"));
        var (id, call) = await gateway.TaskAsync(ann);

        var (listening, acknowledged) = await ann.ListenAsync($$"""{"taskIds":["{{bobs}}","{{id}}","nobody's"]}""", id: "\"l\"");

        using var stream = listening;
        Assert.Equal($$"""{"taskIds":["{{id}}"]}""", acknowledged["params"]!["notifications"]!.ToJsonString());
        var now = await listening.Events.MessageAsync();
        Assert.Equal(("notifications/tasks", "working"), ((string?)now["method"], (string?)now["params"]!["status"]));
        await call.SendAsync("""{"jsonrpc":"2.0","id":"s1","method":"roots/list"}""");
        var asks = await listening.Events.MessageAsync();
        Assert.Equal("input_required", (string?)asks["params"]!["status"]);
        Assert.Single(asks["params"]!["inputRequests"]!.AsObject());
        await call.SendTextAsync("done");

        JsonObject done;
        do
        {
            // What it asked is over with the call, which may be seen for itself.
            done = (await listening.Events.MessageAsync())["params"]!.AsObject();
        }
        while ((string?)done["status"] == "working");

        Assert.Equal((id, "completed", "l"), ((string)done["taskId"]!, (string)done["status"]!, (string)done["_meta"]!["io.modelcontextprotocol/subscriptionId"]!));
        var got = await ann.GetTaskAsync(id);
        Assert.Equal(got["result"]!.ToJsonString(), done["result"]!.ToJsonString());
        Assert.Equal((string?)got["lastUpdatedAt"], (string?)done["lastUpdatedAt"]);
    }

    [Fact]
    public async Task Listener_ComesAfterTheEnd_IsToldOfIt()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var client = New(gateway);
        var (id, call) = await gateway.TaskAsync(client);
        await call.SendTextAsync("done");
        await gateway.UntilTaskAsync(client, id, "completed");

        var (listening, _) = await client.ListenAsync($$"""{"taskIds":["{{id}}"]}""");

        using var stream = listening;
        Assert.Equal("completed", (string?)(await listening.Events.MessageAsync())["params"]!["status"]);
    }

    [Fact]
    public async Task Filter_WithIdsThatAreNoStrings_IsRefused()
    {
        await using var gateway = await GatewayFixture.StartAsync();

        Assert.Equal(-32602, (await New(gateway).ResultAsync("subscriptions/listen", """{"notifications":{"taskIds":[1]}}""")).ErrorCode());
        Assert.Equal(-32602, (await New(gateway).ResultAsync("subscriptions/listen", """{"notifications":{"taskIds":"x"}}""")).ErrorCode());
    }
}
