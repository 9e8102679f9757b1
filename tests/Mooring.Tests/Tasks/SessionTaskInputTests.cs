using Mooring.Tests.Routing;
using Xunit;
using static Mooring.Tests.Tasks.SessionTaskClient;

namespace Mooring.Tests.Tasks;

/// <summary>What the server of a task asks a client of 2025-11-25: on the stream of <c>tasks/result</c>.</summary>
public sealed class SessionTaskInputTests
{
    private const string Capabilities = """{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{}}""";

    private const string Who = """{"status":"input_required","inputRequests":{"who":{"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}}}""";

    [Theory]
    [InlineData("/servers/one/mcp", "slow")]
    [InlineData("/mcp", "one__slow")]
    public async Task Question_IsAskedOnTheStreamOfTheResult_AndItsAnswerUpdatesTheTask(string path, string tool)
    {
        var server = new TaskServer();
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = await gateway.ClientAsync(path: path, capabilities: Capabilities);
        var id = await client.MakeAsync(tool);
        server.State = Who;
        await gateway.UntilTaskAsync(client, id, "input_required");
        using var stream = await gateway.ResultStreamAsync(client, id);

        var question = await gateway.NextAsync(stream);

        Assert.Equal(("elicitation/create", "Who?", id), ((string)question["method"]!, (string)question["params"]!["message"]!, (string)question["params"]!["_meta"]![Note]!["taskId"]!));
        await client.AnswerAsync(question, $$$$"""  "result":{"action":"accept","content":{"name":"Ann"},"_meta":{"{{{{Note}}}}":{"taskId":"{{{{id}}}}"}}} """);
        await gateway.UntilAsync(() => server.Asked("tasks/update").Count == 1, "the server has the answer", TimeSpan.FromSeconds(5));
        var update = server.Asked("tasks/update")[0].Message!["params"]!;
        Assert.Equal((TaskServer.Id, """{"who":{"action":"accept","content":{"name":"Ann"},"_meta":{}}}"""), ((string)update["taskId"]!, update["inputResponses"]!.ToJsonString()));
        server.State = Done;
        var end = await gateway.NextAsync(stream);
        Assert.Equal("theirs", (string?)end["result"]?["content"]![0]!["text"]);
        Assert.Equal(0, gateway.Session(client).Questions.Count);
    }

    [Fact]
    public async Task Question_OnTwoStreamsOfTheSameResult_OneAnswerCounts_AndTheOtherIsTakenBack()
    {
        var server = new TaskServer { State = Who };
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = await gateway.ClientAsync(capabilities: Capabilities);
        var id = await client.MakeAsync();
        using var first = await gateway.ResultStreamAsync(client, id);
        using var second = await gateway.ResultStreamAsync(client, id);
        var (one, other) = (await gateway.NextAsync(first), await gateway.NextAsync(second));

        await client.AnswerAsync(one, """  "result":{"action":"decline"} """);

        var back = await gateway.NextAsync(second);
        Assert.Equal(("notifications/cancelled", other["id"]!.ToJsonString()), ((string)back["method"]!, back["params"]!["requestId"]!.ToJsonString()));
        await client.AnswerAsync(other, """  "result":{"action":"accept"} """);
        server.State = Done;
        Assert.NotNull((await gateway.NextAsync(first))["result"]);
        Assert.NotNull((await gateway.NextAsync(second))["result"]);
        Assert.Equal("""{"who":{"action":"decline"}}""", Assert.Single(server.Asked("tasks/update")).Message!["params"]!["inputResponses"]!.ToJsonString());
    }

    [Fact]
    public async Task Question_IsNotAnsweredBeforeTheStreamEnds_IsAskedAgainOnTheNext()
    {
        var server = new TaskServer { State = Who };
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = await gateway.ClientAsync(capabilities: Capabilities);
        var id = await client.MakeAsync();
        using (var first = await gateway.ResultStreamAsync(client, id, "\"w\""))
        {
            await gateway.NextAsync(first);
            await client.NotifyAsync("notifications/cancelled", """{"requestId":"w"}""");
            Assert.Equal("notifications/cancelled", (string?)(await first.Events.MessageAsync())["method"]);
        }

        using var second = await gateway.ResultStreamAsync(client, id);
        await client.AnswerAsync(await gateway.NextAsync(second), """  "result":{"action":"accept"} """);

        await gateway.UntilAsync(() => server.Asked("tasks/update").Count == 1, "the server has the answer", TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task Question_ByUrl_HasAnId_AndTheClientHearsWhenItIsDone()
    {
        var server = new TaskServer { State = """{"status":"input_required","inputRequests":{"page":{"method":"elicitation/create","params":{"mode":"url","message":"Look","url":"https://pages.test/"}}}}""" };
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = await gateway.ClientAsync(capabilities: Capabilities);
        var id = await client.MakeAsync();
        using var stream = await gateway.ResultStreamAsync(client, id);
        var question = await gateway.NextAsync(stream);
        await client.AnswerAsync(question, """  "result":{"action":"accept"} """);
        server.State = Done;

        var complete = await gateway.NextAsync(stream);

        var interaction = (string?)question["params"]!["elicitationId"];
        Assert.NotNull(interaction);
        Assert.Equal(("notifications/elicitation/complete", interaction), ((string)complete["method"]!, (string?)complete["params"]!["elicitationId"]));
        Assert.NotNull((await gateway.NextAsync(stream))["result"]);
    }

    [Fact]
    public async Task Question_ThatTheClientRefuses_AForm_IsCancelled()
    {
        var server = new TaskServer { State = Who };
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = await gateway.ClientAsync(capabilities: Capabilities);
        using var stream = await gateway.ResultStreamAsync(client, await client.MakeAsync());

        await client.AnswerAsync(await gateway.NextAsync(stream), """  "error":{"code":-1,"message":"no"} """);

        await gateway.UntilAsync(() => server.Asked("tasks/update").Count == 1, "the server has the answer", TimeSpan.FromSeconds(5));
        Assert.Equal("""{"who":{"action":"cancel"}}""", server.Asked("tasks/update")[0].Message!["params"]!["inputResponses"]!.ToJsonString());
    }

    [Fact]
    public async Task Question_ThatTheClientRefuses_AndThereIsNoWordForThat_EndsTheTask()
    {
        var server = new TaskServer { State = """{"status":"input_required","inputRequests":{"dirs":{"method":"roots/list"}}}""" };
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = await gateway.ClientAsync(capabilities: Capabilities);
        var id = await client.MakeAsync();
        using var stream = await gateway.ResultStreamAsync(client, id);
        var question = await gateway.NextAsync(stream);
        Assert.Equal(id, (string?)question["params"]!["_meta"]![Note]!["taskId"]);

        await client.AnswerAsync(question, """  "error":{"code":-1,"message":"none of your business"} """);

        Assert.Contains("none of your business", (string?)(await gateway.NextAsync(stream))["error"]?["message"], StringComparison.Ordinal);
        Assert.Single(server.Asked("tasks/cancel"));
        await gateway.UntilTaskAsync(client, id, "failed");
    }

    [Fact]
    public async Task Question_ThatTheClientDidNotDeclare_IsNotAsked()
    {
        var server = new TaskServer { State = Who };
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = await gateway.ClientAsync(capabilities: """{"roots":{}}""");
        var id = await client.MakeAsync();

        await gateway.UntilAsync(() => server.Asked("tasks/update").Count == 1, "the server is told no", TimeSpan.FromSeconds(5));

        Assert.Equal("""{"who":{"action":"cancel"}}""", server.Asked("tasks/update")[0].Message!["params"]!["inputResponses"]!.ToJsonString());
        Assert.Equal("working", (string?)(await client.AskOfTaskAsync("tasks/get", id))["result"]!["status"]);
    }

    [Fact]
    public async Task Question_IsAnsweredWhileTheStoreIsAway_TheAnswerArrivesWhenItIsBack()
    {
        FaultyStore store = null!;
        var server = new TaskServer { State = Who };
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Store = clock => store = new FaultyStore(clock) }, server.Fake);
        var client = await gateway.ClientAsync(capabilities: Capabilities);
        using var stream = await gateway.ResultStreamAsync(client, await client.MakeAsync());
        var question = await gateway.NextAsync(stream);
        store.IsAway = true;
        await client.AnswerAsync(question, """  "result":{"action":"accept"} """);
        Assert.Empty(server.Asked("tasks/update"));

        store.IsAway = false;

        await gateway.UntilAsync(() => server.Asked("tasks/update").Count == 1, "the server has the answer", TimeSpan.FromSeconds(5));
    }
}
