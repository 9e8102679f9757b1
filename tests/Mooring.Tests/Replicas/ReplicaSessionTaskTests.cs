using Mooring.Tests.Routing;
using Mooring.Tests.Tasks;
using Xunit;
using static Mooring.Tests.Tasks.SessionTaskClient;

namespace Mooring.Tests.Replicas;

/// <summary>Tasks of clients with sessions that run at one replica and are asked about, answered and cancelled at another, and that one gone.</summary>
public sealed class ReplicaSessionTaskTests
{
    private const string Who = """{"status":"input_required","inputRequests":{"who":{"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}}}""";

    [Fact]
    public async Task Task_OfA_IsListedHadAndWaitedForAtB()
    {
        var server = new TaskServer();
        await using var pair = await ReplicaPair.StartAsync(server.Fake);
        var (atA, atB, id) = await MakeAtAAsync(pair);
        Assert.Equal("working", (string?)(await atB.AskOfTaskAsync("tasks/get", id))["result"]!["status"]);
        Assert.Equal(id, (string?)Assert.Single((await atB.AskAsync("tasks/list"))["result"]!["tasks"]!.AsArray())!["taskId"]);
        using var stream = await pair.B.ResultStreamAsync(atB, id);

        server.State = Done;

        Assert.Equal("theirs", (string?)(await pair.B.NextAsync(stream))["result"]!["content"]![0]!["text"]);
        Assert.Equal("theirs", (string?)(await atA.AskOfTaskAsync("tasks/result", id))["result"]!["content"]![0]!["text"]);
        Assert.Single(server.Asked("tools/call"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Question_OfATaskAtA_IsAskedAtB_AndAnsweredAtEither(bool answersAtB)
    {
        var server = new TaskServer { State = Who };
        await using var pair = await ReplicaPair.StartAsync(server.Fake);
        var (atA, atB, id) = await MakeAtAAsync(pair);
        using var stream = await pair.B.ResultStreamAsync(atB, id);
        var question = await pair.B.NextAsync(stream);

        await (answersAtB ? atB : atA).AnswerAsync(question, """  "result":{"action":"accept"} """);

        await pair.UntilAsync(() => server.Asked("tasks/update").Count > 0, "the server has the answer");
        server.State = Done;
        Assert.NotNull((await pair.B.NextAsync(stream))["result"]);
        Assert.Equal("""{"who":{"action":"accept"}}""", Assert.Single(server.Asked("tasks/update")).Message!["params"]!["inputResponses"]!.ToJsonString());
    }

    [Fact]
    public async Task Question_OfATaskAtA_IsRefusedAtB_TheTaskEnds()
    {
        var server = new TaskServer { State = """{"status":"input_required","inputRequests":{"dirs":{"method":"roots/list"}}}""" };
        await using var pair = await ReplicaPair.StartAsync(server.Fake);
        var (_, atB, id) = await MakeAtAAsync(pair);
        using var stream = await pair.B.ResultStreamAsync(atB, id);

        await atB.AnswerAsync(await pair.B.NextAsync(stream), """  "error":{"code":-1,"message":"no"} """);

        Assert.NotNull((await pair.B.NextAsync(stream))["error"]);
        Assert.Single(server.Asked("tasks/cancel"));
    }

    [Fact]
    public async Task Cancel_AtB_EndsTheTaskOfA()
    {
        var server = new TaskServer();
        await using var pair = await ReplicaPair.StartAsync(server.Fake);
        var (_, atB, id) = await MakeAtAAsync(pair);
        await pair.UntilAsync(() => server.Asked("tasks/get").Count > 0, "the task is followed");

        using var cancelling = await pair.B.PassTimeAsync(atB.RequestAsync("tasks/cancel", $$"""{"taskId":"{{id}}"}"""), TimeSpan.FromSeconds(10), "the answer");

        Assert.Equal("cancelled", (string?)(await pair.B.NextAsync(cancelling))["result"]!["status"]);
        await pair.UntilAsync(() => server.Asked("tasks/cancel").Count == 1, "the server was told");
    }

    [Fact]
    public async Task Replica_ThatFollowsATask_Dies_TheOtherGoesOn_AndWhoWaitsThereHasTheResult()
    {
        var server = new TaskServer();
        await using var pair = await ReplicaPair.StartAsync(server.Fake);
        var (_, atB, id) = await MakeAtAAsync(pair);
        await pair.UntilAsync(() => server.Asked("tasks/get").Count > 0, "the task is followed");
        using var stream = await pair.B.ResultStreamAsync(atB, id);

        // As one that is cut off from the store: nobody else can tell it from a dead one.
        pair.StoreOfA.IsAway = true;
        await pair.PassAsync(TimeSpan.FromSeconds(20));
        server.State = Done;

        Assert.Equal("theirs", (string?)(await pair.B.NextAsync(stream))["result"]!["content"]![0]!["text"]);
        Assert.Single(server.Asked("tools/call"));
    }

    private static async Task<(McpTestClient AtA, McpTestClient AtB, string Id)> MakeAtAAsync(ReplicaPair pair)
    {
        var client = await pair.A.ClientAsync(capabilities: """{"elicitation":{},"roots":{}}""");
        return (client, ReplicaPair.At(pair.B, client), await client.MakeAsync());
    }
}
