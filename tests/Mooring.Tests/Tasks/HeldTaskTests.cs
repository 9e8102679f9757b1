using System.Net;
using Mooring.Configuration;
using Mooring.Stores;
using Xunit;
using static Mooring.Tests.Tasks.TaskClient;

namespace Mooring.Tests.Tasks;

/// <summary>Calls of clients that take tasks, at servers that know nothing of them.</summary>
public sealed class HeldTaskTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Call_LongerThanTheThreshold_IsATask_AndItsResultIsHadByAsking()
    {
        await using var gateway = await StartAsync();
        var client = New(gateway);
        var posting = client.CallAsync("slow", id: "\"a\"");
        var call = await gateway.Upstream.CallAsync();

        var created = await gateway.CreatedAsync(posting);

        var id = (string)created["taskId"]!;
        Assert.Matches("^[0-9a-f]{32}$", id);
        Assert.Equal("_meta createdAt lastUpdatedAt pollIntervalMs resultType status taskId ttlMs", string.Join(' ', created.Select(p => p.Key).Order(StringComparer.Ordinal)));
        Assert.Equal(("working", 25 * 3600 * 1000L, 2000L), ((string)created["status"]!, (long)created["ttlMs"]!, (long)created["pollIntervalMs"]!));
        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", (string)created["createdAt"]!);
        var working = await client.GetTaskAsync(id);
        Assert.Equal(("complete", id, "working"), ((string)working["resultType"]!, (string)working["taskId"]!, (string)working["status"]!));
        Assert.False(working.ContainsKey("result"));

        await call.SendTextAsync("at last");

        var done = await gateway.UntilTaskAsync(client, id, "completed");
        Assert.Equal("at last", (string?)done["result"]!["content"]![0]!["text"]);
        Assert.False(done.ContainsKey("error"));
        Assert.Equal(1, gateway.Upstream.Executions("slow"));
    }

    [Theory]
    [InlineData("""{"elicitation":{}}""", "30s", null, null, false)]
    [InlineData(Capabilities, "0", null, null, false)]
    [InlineData(Capabilities, "30s", "0", null, false)]
    [InlineData(Capabilities, "30s", "0", "10s", true)]
    [InlineData(Capabilities, "0", "10s", null, true)]
    [InlineData(Capabilities, "1s", "1s", "0", false)]
    public async Task Call_ClientDoesNotTakeTasks_OrItIsOff_StaysACall(string capabilities, string ofAll, string? ofServer, string? ofTool, bool becomes)
    {
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions
            {
                Config = c => c with { Calls = c.Calls with { TaskAfter = Read(ofAll)!.Value } },
                Server = s => s with
                {
                    TaskAfter = Read(ofServer),
                    Tools = ofTool is null ? s.Tools : new Dictionary<string, ToolConfig> { ["slow"] = new() { TaskAfter = Read(ofTool) } },
                },
            },
            new FakeUpstream().Hold("slow"));
        var client = New(gateway, capabilities: capabilities);
        var posting = client.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        using var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(1), "the head of the answer");
        gateway.Advance(TimeSpan.FromSeconds(40));
        if (becomes)
        {
            Assert.Equal("task", (string?)(await reply.MessageAsync())["result"]!["resultType"]);
            return;
        }

        await call.SendTextAsync("as ever");

        Assert.Equal("as ever", (await reply.MessageAsync()).Text());
        Assert.Empty(await gateway.Get<IStore>().FindUnfinishedTasksExceptAsync([], 10, Cancel));

        static TimeSpan? Read(string? text) => text is null ? null : text == "0" ? TimeSpan.Zero : TimeSpan.FromSeconds(int.Parse(text[..^1], System.Globalization.CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task Call_AnsweredBeforeTheThreshold_StaysACall()
    {
        await using var gateway = await StartAsync();
        var posting = New(gateway).CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        gateway.Advance(TimeSpan.FromSeconds(29));
        await call.SendTextAsync("in time");

        using var reply = await Limit.Of(posting, "the answer");

        Assert.Equal("in time", (await reply.MessageAsync()).Text());
    }

    [Fact]
    public async Task Task_StoreHoldsTheCommit_ItsIdDoesNotLeaveBeforeIt()
    {
        FaultyStore store = null!;
        await using var gateway = await StartAsync(options => options with { Store = clock => store = new FaultyStore(clock) });
        var posting = New(gateway).CallAsync("slow");
        await gateway.Upstream.CallAsync();
        using var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(1), "the head of the answer");
        var reading = reply.MessageAsync();
        store.Hold();

        await gateway.UntilAsync(() => store.Waiting == 1, "the task waits for its commit", Threshold);
        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromSeconds(2), gateway.Clock), TimeSpan.FromSeconds(3), "time passed");
        Assert.False(reading.IsCompleted);
        store.Release();

        Assert.Equal("task", (string?)(await Limit.Of(reading, "the task"))["result"]!["resultType"]);
    }

    [Fact]
    public async Task Answer_WhileTheTaskIsCommitted_IsTheAnswerOfTheCall_AndThereIsNoTask()
    {
        FaultyStore store = null!;
        await using var gateway = await StartAsync(options => options with { Store = clock => store = new FaultyStore(clock) });
        var posting = New(gateway).CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        using var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(1), "the head of the answer");
        store.Hold();
        await gateway.UntilAsync(() => store.Waiting == 1, "the task waits for its commit", Threshold);

        await call.SendTextAsync("just in time");

        Assert.Equal("just in time", (await Limit.Of(reply.MessageAsync(), "the answer")).Text());
        store.Release();
        await gateway.UntilAsync(() => store.FindUnfinishedTasksExceptAsync([], 10, Cancel).Result.Count == 0 && store.Waiting == 0, "the task is dropped");
    }

    [Fact]
    public async Task Call_StoreIsAwayAtTheThreshold_StaysACallUntilItIsBack()
    {
        FaultyStore store = null!;
        await using var gateway = await StartAsync(options => options with { Store = clock => store = new FaultyStore(clock) });
        var posting = New(gateway).CallAsync("slow");
        await gateway.Upstream.CallAsync();
        using var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(1), "the head of the answer");
        var reading = reply.MessageAsync();
        store.IsAway = true;
        await gateway.PassTimeAsync(Task.Delay(Threshold, gateway.Clock), Threshold + TimeSpan.FromSeconds(1), "time passed");
        Assert.False(reading.IsCompleted);

        store.IsAway = false;

        Assert.Equal("task", (string?)(await gateway.PassTimeAsync(reading, TimeSpan.FromSeconds(6), "the task"))["result"]!["resultType"]);
    }

    [Fact]
    public async Task Calls_MoreThanMayBeTasks_StayCalls()
    {
        await using var gateway = await StartAsync(options => options with { Config = c => c with { Limits = c.Limits with { TasksPerUser = 1 } } });
        var ann = New(gateway, user: "ann");
        await gateway.TaskAsync(ann);
        var posting = ann.CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();
        using var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(1), "the head of the answer");
        gateway.Advance(TimeSpan.FromMinutes(1));
        await call.SendTextAsync("a call");

        Assert.Equal("a call", (await reply.MessageAsync()).Text());
        await gateway.TaskAsync(New(gateway, user: "bob"));
    }

    [Fact]
    public async Task Client_LeavesOnceItHasTheTask_TheCallGoesOn()
    {
        await using var gateway = await StartAsync();
        var (id, call) = await gateway.TaskAsync(New(gateway));
        gateway.Advance(TimeSpan.FromMinutes(30));
        Assert.Empty(gateway.Upstream.Messages("notifications/cancelled"));

        await call.SendTextAsync("half an hour later");

        var done = await gateway.UntilTaskAsync(New(gateway), id, "completed");
        Assert.Equal("half an hour later", (string?)done["result"]!["content"]![0]!["text"]);
    }

    [Fact]
    public async Task Task_LongerThanAnyCallMayTake_FailsAndSaysThatNobodyKnows()
    {
        await using var gateway = await StartAsync(options => options with { Config = c => c with { Calls = c.Calls with { HardCap = TimeSpan.FromMinutes(6) } } });
        var client = New(gateway);
        var (id, _) = await gateway.TaskAsync(client);
        gateway.Advance(TimeSpan.FromMinutes(5.4));
        Assert.Equal("working", (string?)(await client.GetTaskAsync(id))["status"]);

        var failed = await gateway.UntilTaskAsync(client, id, "failed", TimeSpan.FromSeconds(10));

        Assert.Equal(("timed_out", "unknown"), ((string?)failed["error"]!["data"]!["mooring"]!["reason"], (string?)failed["error"]!["data"]!["mooring"]!["executed"]));
        await gateway.UntilAsync(() => gateway.Upstream.Messages("notifications/cancelled").Count == 1, "the server was told");
    }

    [Fact]
    public async Task Task_ServerAnswersWithAnError_FailsWithIt_AndWithAToolsErrorIsCompleted()
    {
        await using var gateway = await StartAsync();
        var client = New(gateway);
        var (failing, first) = await gateway.TaskAsync(client);
        first.Error(-32603, "broken");
        var failed = await gateway.UntilTaskAsync(client, failing, "failed");
        Assert.Equal(("""{"code":-32603,"message":"broken"}""", "broken"), (failed["error"]!.ToJsonString(), (string?)failed["statusMessage"]));
        Assert.False(failed.ContainsKey("result"));

        var (erring, second) = await gateway.TaskAsync(client);
        second.Result("""{"content":[],"isError":true}""");
        var done = await gateway.UntilTaskAsync(client, erring, "completed");
        Assert.True((bool)done["result"]!["isError"]!);
    }

    [Fact]
    public async Task Cancel_ItsServerIsTold_AndTheTaskIsCancelled_AndStaysSo()
    {
        await using var gateway = await StartAsync();
        var client = New(gateway);
        var (id, call) = await gateway.TaskAsync(client);

        var acknowledged = await client.CancelTaskAsync(id);

        Assert.Equal(["_meta", "resultType"], acknowledged["result"]!.AsObject().Select(p => p.Key).Order());
        await gateway.UntilTaskAsync(client, id, "cancelled");
        await gateway.UntilAsync(() => gateway.Upstream.Messages("notifications/cancelled").Count == 1, "the server was told");
        Assert.Equal(call.Id, gateway.Upstream.Messages("notifications/cancelled")[0]["params"]!["requestId"]!.ToJsonString());

        Assert.Equal("complete", (string?)(await client.CancelTaskAsync(id))["result"]!["resultType"]);
        Assert.Equal("cancelled", (string?)(await client.GetTaskAsync(id))["status"]);
    }

    [Fact]
    public async Task Task_OfAnotherUserOrRoute_IsAsUnknownAsAny()
    {
        await using var gateway = await StartAsync();
        var (id, call) = await gateway.TaskAsync(New(gateway, user: "ann"));
        var none = "00000000000000000000000000000000";
        foreach (var (client, asked) in new[]
        {
            (New(gateway, user: "bob"), id), (New(gateway), id), (New(gateway, "/mcp", "ann"), id), (New(gateway, user: "ann"), none),
        })
        {
            foreach (var method in new[] { "tasks/get", "tasks/update", "tasks/cancel" })
            {
                var answer = await client.ResultAsync(method, $$$"""{"taskId":"{{{asked}}}","inputResponses":{}}""");
                Assert.Equal((-32602, $"Task not found: {asked}"), (answer.ErrorCode()!.Value, (string?)answer["error"]!["message"]));
            }
        }

        Assert.Empty(gateway.Upstream.Messages("notifications/cancelled"));
        await call.SendTextAsync("hers");
        await gateway.UntilTaskAsync(New(gateway, user: "ann"), id, "completed");
    }

    [Theory]
    [InlineData("tasks/get", """{"taskId":"x"}""")]
    [InlineData("tasks/update", """{"taskId":"x","inputResponses":{}}""")]
    [InlineData("tasks/cancel", """{"taskId":"x"}""")]
    [InlineData("subscriptions/listen", """{"notifications":{"taskIds":[]}}""")]
    public async Task Request_ThatNeedsTheExtension_OfAClientWithoutIt_Is400WithWhatIsMissing(string method, string parameters)
    {
        await using var gateway = await StartAsync();

        using var reply = await New(gateway, capabilities: """{"extensions":{"other":{}}}""").RequestAsync(method, parameters);

        var answer = await reply.MessageAsync();
        Assert.Equal((HttpStatusCode.BadRequest, -32021), (reply.Status, answer.ErrorCode()!.Value));
        Assert.Equal("""{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}""", answer["error"]!["data"]!.ToJsonString());
    }

    [Theory]
    [InlineData("tasks/get", "{}")]
    [InlineData("tasks/update", """{"taskId":"x"}""")]
    [InlineData("tasks/update", """{"taskId":"x","inputResponses":[]}""")]
    [InlineData("tasks/update", """{"taskId":"x","inputResponses":{"q":7}}""")]
    public async Task Request_OfTheExtension_ThatIsMalformed_IsRefused(string method, string parameters)
    {
        await using var gateway = await StartAsync();

        Assert.Equal(-32602, (await New(gateway).ResultAsync(method, parameters)).ErrorCode());
    }

    [Theory]
    [InlineData("tasks/list")]
    [InlineData("tasks/result")]
    public async Task Method_OfTheOlderTasks_IsNotFound(string method)
    {
        await using var gateway = await StartAsync();

        using var reply = await New(gateway).RequestAsync(method, """{"taskId":"x"}""");

        Assert.Equal((HttpStatusCode.NotFound, -32601), (reply.Status, (await reply.MessageAsync()).ErrorCode()!.Value));
    }

    [Fact]
    public async Task Header_NamesAnotherTask_IsAMismatch()
    {
        await using var gateway = await StartAsync();

        using var reply = await New(gateway).RequestAsync("tasks/get", """{"taskId":"x"}""", headers: ("Mcp-Name", "y"));

        Assert.Equal((HttpStatusCode.BadRequest, -32020), (reply.Status, (await reply.MessageAsync()).ErrorCode()!.Value));
    }

    [Theory]
    [InlineData("/mcp")]
    [InlineData("/servers/one/mcp")]
    public async Task Discover_SaysThatThereAreTasks(string path)
    {
        await using var gateway = await StartAsync();

        var capabilities = (await New(gateway, path).ResultAsync("server/discover"))["result"]!["capabilities"]!;

        Assert.Equal("{}", capabilities["extensions"]!["io.modelcontextprotocol/tasks"]!.ToJsonString());
        Assert.Null(capabilities["tasks"]);
    }

    [Fact]
    public async Task Task_OnTheMergedRoute_IsHadThere()
    {
        await using var gateway = await StartAsync();
        var client = New(gateway, "/mcp");
        var (id, call) = await gateway.TaskAsync(client, "one__slow");

        await call.SendTextAsync("merged");

        Assert.Equal("merged", (string?)(await gateway.UntilTaskAsync(client, id, "completed"))["result"]!["content"]![0]!["text"]);
    }

    [Fact]
    public async Task Call_WithTheOlderWishToBeATask_ReachesItsServerWithoutIt()
    {
        await using var gateway = await StartAsync();
        var posting = New(gateway).CallAsync("slow", """{"task":1}""", rest: ""","task":{"ttl":60000}""");
        var call = await gateway.Upstream.CallAsync();

        Assert.Equal("""{"task":1}""", call.Message!["params"]!["arguments"]!.ToJsonString());
        Assert.Null(call.Message["params"]!["task"]);
        await call.SendTextAsync("plain");
        using var reply = await Limit.Of(posting, "the answer");
        Assert.Equal("plain", (await reply.MessageAsync()).Text());
    }

    [Fact]
    public async Task Task_KeptLongEnough_IsGone()
    {
        await using var gateway = await StartAsync(options => options with { Config = c => c with { Calls = c.Calls with { TaskKeep = TimeSpan.FromMinutes(1), HardCap = TimeSpan.FromMinutes(10) } } });
        var client = New(gateway);
        var (id, call) = await gateway.TaskAsync(client);
        await call.SendTextAsync("done");
        var done = await gateway.UntilTaskAsync(client, id, "completed");
        Assert.Equal(11 * 60 * 1000L, (long)done["ttlMs"]!);

        gateway.Advance(TimeSpan.FromMinutes(12));

        Assert.Equal(-32602, (await client.ResultAsync("tasks/get", $$"""{"taskId":"{{id}}"}""")).ErrorCode());
        await gateway.UntilAsync(() => gateway.Get<IStore>().FindHeldTaskAsync(id, Cancel).AsTask().Result is null, "its record is gone", TimeSpan.FromMinutes(3));
    }

    private static Task<GatewayFixture> StartAsync(Func<FixtureOptions, FixtureOptions>? options = null) =>
        GatewayFixture.StartAsync((options ?? (o => o))(new FixtureOptions()), new FakeUpstream().Hold("slow"));
}
