using Xunit;
using static Mooring.Tests.Tasks.TaskClient;

namespace Mooring.Tests.Tasks;

/// <summary>What the server of a task asks its client: shown with the task, answered by <c>tasks/update</c>.</summary>
public sealed class TaskInputTests
{
    private const string Elicit = """{"jsonrpc":"2.0","id":"s1","method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}""";

    private const string Accept = """{"action":"accept","content":{"name":"Ann"}}""";

    [Fact]
    public async Task Question_IsShownWithTheTask_AndItsAnswerGoesOnWithTheCall()
    {
        await using var gateway = await StartAsync();
        var client = New(gateway);
        var (id, call) = await gateway.TaskAsync(client);
        await call.SendAsync(Elicit);

        var asks = await gateway.UntilTaskAsync(client, id, "input_required");

        var (key, question) = Assert.Single(asks["inputRequests"]!.AsObject());
        Assert.Equal("""{"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}""", question!.ToJsonString());
        Assert.Equal("complete", (string?)(await client.AnswerTaskAsync(id, (key, Accept)))["result"]!["resultType"]);
        Assert.Equal("working", (string?)(await client.GetTaskAsync(id))["status"]);
        await AnsweredAsync(gateway, "s1", $$"""{"jsonrpc":"2.0","id":"s1","result":{{Accept}}}""");
        await call.SendTextAsync("Hello Ann");
        Assert.Equal("Hello Ann", (string?)(await gateway.UntilTaskAsync(client, id, "completed"))["result"]!["content"]![0]!["text"]);
    }

    [Fact]
    public async Task Questions_AnsweredOneByOne_OnlyThoseLeftAreShown_AndAnswersToOthersMeanNothing()
    {
        await using var gateway = await StartAsync();
        var client = New(gateway);
        var (id, call) = await gateway.TaskAsync(client);
        await call.SendAsync(Elicit);
        await call.SendAsync("""{"jsonrpc":"2.0","id":2,"method":"roots/list"}""");
        await gateway.UntilAsync(() => client.GetTaskAsync(id).Result["inputRequests"]?.AsObject().Count == 2, "both are shown");
        var keys = (await client.GetTaskAsync(id))["inputRequests"]!.AsObject().ToDictionary(q => (string)q.Value!["method"]!, q => q.Key);

        await client.AnswerTaskAsync(id, ("nobody's", "{}"), (keys["elicitation/create"], Accept));

        var left = await client.GetTaskAsync(id);
        Assert.Equal(("input_required", keys["roots/list"]), ((string)left["status"]!, Assert.Single(left["inputRequests"]!.AsObject()).Key));
        await client.AnswerTaskAsync(id, (keys["elicitation/create"], """{"action":"decline"}"""));
        Assert.Equal("input_required", (string?)(await client.GetTaskAsync(id))["status"]);
        await client.AnswerTaskAsync(id, (keys["roots/list"], """{"roots":[]}"""));
        Assert.Equal("working", (string?)(await client.GetTaskAsync(id))["status"]);
        await AnsweredAsync(gateway, "s1", Accept);
        Assert.DoesNotContain(gateway.Upstream.Requests, r => r.Body.Contains("decline", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Question_WhileTheTaskIsCommitted_IsAskedInTheAnswer_AndThereIsNoTask()
    {
        FaultyStore store = null!;
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Store = clock => store = new FaultyStore(clock) }, new FakeUpstream().Hold("slow"));
        var posting = New(gateway).CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        using var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(1), "the head of the answer");
        store.Hold();
        await gateway.UntilAsync(() => store.Waiting == 1, "the task waits for its commit", Threshold);

        await call.SendAsync(Elicit);

        var answer = await gateway.PassTimeAsync(reply.MessageAsync(), TimeSpan.FromSeconds(1), "the question");
        Assert.Equal("input_required", (string?)answer["result"]!["resultType"]);
        store.Release();
        await gateway.UntilAsync(() => store.Waiting == 0 && store.FindUnfinishedTasksExceptAsync([], 10, TestContext.Current.CancellationToken).Result.Count == 0, "the task is dropped");
    }

    [Fact]
    public async Task Retry_WithTheAnswers_ThatTakesLong_BecomesATask()
    {
        await using var gateway = await StartAsync();
        var client = New(gateway);
        var posting = client.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        await call.SendAsync(Elicit);
        using var first = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(1), "the question");
        var asked = (await gateway.PassTimeAsync(first.MessageAsync(), TimeSpan.FromSeconds(1), "the question"))["result"]!;
        Assert.Equal("input_required", (string?)asked["resultType"]);
        gateway.Advance(TimeSpan.FromMinutes(1));

        var key = asked["inputRequests"]!.AsObject().First().Key;
        var created = await gateway.CreatedAsync(client.CallAsync("slow", rest: $$""","requestState":"{{(string)asked["requestState"]!}}","inputResponses":{"{{key}}":{{Accept}}}"""));

        Assert.False(created.ContainsKey("requestState"));
        await AnsweredAsync(gateway, "s1", Accept);
        await call.SendTextAsync("Ann");
        Assert.Equal("Ann", (string?)(await gateway.UntilTaskAsync(client, (string)created["taskId"]!, "completed"))["result"]!["content"]![0]!["text"]);
        Assert.Equal(1, gateway.Upstream.Executions("slow"));
    }

    [Fact]
    public async Task Question_TakenBackByItsServer_IsNoLongerShown()
    {
        await using var gateway = await StartAsync();
        var client = New(gateway);
        var (id, call) = await gateway.TaskAsync(client);
        await call.SendAsync(Elicit);
        await gateway.UntilTaskAsync(client, id, "input_required");

        await call.SendAsync("""{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"s1"}}""");

        Assert.False((await gateway.UntilTaskAsync(client, id, "working")).ContainsKey("inputRequests"));
    }

    [Fact]
    public async Task Question_IsLeftOpen_TheTaskWaitsForIt_AndOnCancelItsServerIsToldNo()
    {
        await using var gateway = await StartAsync();
        var client = New(gateway);
        var (id, call) = await gateway.TaskAsync(client);
        await call.SendAsync(Elicit);
        await gateway.UntilTaskAsync(client, id, "input_required");
        gateway.Advance(TimeSpan.FromMinutes(20));
        Assert.Equal("input_required", (string?)(await client.GetTaskAsync(id))["status"]);

        await client.CancelTaskAsync(id);

        await gateway.UntilTaskAsync(client, id, "cancelled", TimeSpan.FromSeconds(3));
        await AnsweredAsync(gateway, "s1", """{"action":"cancel"}""");
        await gateway.UntilAsync(() => gateway.Upstream.Messages("notifications/cancelled").Count == 1, "the server was told that nobody waits");
        Assert.Equal(0, gateway.Sessions.All.Sum(s => s.Questions.Count));
    }

    [Fact]
    public async Task Question_ThatTheClientDidNotDeclare_IsRefusedToItsServer()
    {
        await using var gateway = await StartAsync();
        var client = New(gateway);
        var (id, call) = await gateway.TaskAsync(client);

        await call.SendAsync("""{"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}""");

        await AnsweredAsync(gateway, "s1", "-32601");
        Assert.Equal("working", (string?)(await client.GetTaskAsync(id))["status"]);
    }

    private static Task<GatewayFixture> StartAsync() => GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));

    private static async Task AnsweredAsync(GatewayFixture gateway, string id, string says)
    {
        string? Answer() => gateway.Upstream.Requests.Select(r => r.Body).FirstOrDefault(b => b.Contains($"\"id\":\"{id}\"", StringComparison.Ordinal) && !b.Contains("\"method\"", StringComparison.Ordinal));
        await gateway.UntilAsync(() => Answer() is not null, $"the answer to {id}");
        Assert.Contains(says, Answer()!, StringComparison.Ordinal);
    }
}
