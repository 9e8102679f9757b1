using System.Text.Json.Nodes;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Tests.Routing;
using Xunit;
using static Mooring.Tests.Tasks.SessionTaskClient;

namespace Mooring.Tests.Tasks;

/// <summary>Clients of 2025-11-25 that want tasks, in front of servers of the tasks extension.</summary>
public sealed class SessionTaskTests : IDisposable
{
    private const string Single = "/servers/one/mcp";

    private readonly string _directory = Directory.CreateTempSubdirectory("mooring-tasks-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData(Single, "2025-11-25", """{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}""")]
    [InlineData("/mcp", "2025-11-25", """{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}""")]
    [InlineData(Single, "2025-06-18", null)]
    [InlineData("/mcp", "2025-06-18", null)]
    public async Task Initialize_SaysThatThereAreTasks_InTheVersionThatHasThem(string path, string version, string? tasks)
    {
        await using var gateway = await StartAsync(new TaskServer());
        await gateway.ClientAsync();

        var capabilities = (await gateway.NewClient(version, path).InitializeAsync())["result"]!["capabilities"]!;

        Assert.Equal(tasks, capabilities["tasks"]?.ToJsonString());
        Assert.Null(capabilities["extensions"]?["io.modelcontextprotocol/tasks"]);
    }

    [Theory]
    [InlineData("""{"tools":{}}""")]
    [InlineData("""{"tools":{},"tasks":{"list":{}}}""")]
    public async Task Server_WithoutTheExtension_HasNoTasks_AndACallThatWantsOneIsACall(string capabilities)
    {
        var server = new TaskServer { Capabilities = capabilities, Answer = """{"content":[]}""" };
        await using var gateway = await StartAsync(server);
        var client = gateway.NewClient();

        Assert.Null((await client.InitializeAsync())["result"]!["capabilities"]!["tasks"]);
        Assert.NotNull((await client.AskAsync("tools/call", """{"name":"slow","task":{}}"""))["result"]!["content"]);
        Assert.All((await client.AskAsync("tools/list"))["result"]!["tools"]!.AsArray(), tool => Assert.Null(tool!["execution"]));
    }

    [Theory]
    [InlineData(Single, "2025-11-25", """{"taskSupport":"optional"}""", """{"taskSupport":"forbidden","x":1}""")]
    [InlineData("/mcp", "2025-11-25", """{"taskSupport":"optional"}""", """{"taskSupport":"forbidden","x":1}""")]
    [InlineData(Single, "2025-06-18", null, """{"taskSupport":"forbidden","x":1}""")]
    [InlineData("/mcp", "2025-06-18", null, """{"taskSupport":"forbidden","x":1}""")]
    public async Task Tools_AreShownAsOnesThatMayBeTasks_AndWhatOneSaysOfItselfStays(string path, string version, string? silent, string talking)
    {
        var server = new TaskServer { Tools = """[{"name":"slow","inputSchema":{"type":"object"}},{"name":"never","inputSchema":{"type":"object"},"execution":{"taskSupport":"forbidden","x":1}},{"name":"more","inputSchema":{"type":"object"},"execution":{"x":1}}]""" };
        var other = new FakeUpstream("two");
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake, other);
        await gateway.ClientAsync();
        var client = await gateway.ClientAsync(version, path);

        var tools = (await client.AskAsync("tools/list"))["result"]!["tools"]!.AsArray().ToDictionary(tool => ((string)tool!["name"]!).Replace("one__", "", StringComparison.Ordinal), tool => tool!["execution"]);

        Assert.Equal((silent, talking), (tools["slow"]?.ToJsonString(), tools["never"]?.ToJsonString()));
        Assert.Equal(silent is null ? """{"x":1}""" : """{"taskSupport":"optional","x":1}""", tools["more"]?.ToJsonString());
        Assert.All(tools.Where(tool => tool.Key.StartsWith("two__", StringComparison.Ordinal)), tool => Assert.Null(tool.Value));
    }

    [Fact]
    public async Task Tools_ForClientsWithoutSessions_AreShownAsTheServerSaysThem()
    {
        await using var gateway = await StartAsync(new TaskServer());
        await (await gateway.ClientAsync()).AskAsync("tools/list");

        Assert.All((await TaskClient.New(gateway).ResultAsync("tools/list"))["result"]!["tools"]!.AsArray(), tool => Assert.Null(tool!["execution"]));
    }

    [Theory]
    [InlineData(Single, "slow", "")]
    [InlineData("/mcp", "one__slow", "one.")]
    public async Task Task_IsTheClientsAtOnce_UnderAnotherId_AndItsStateAndResultAreHad(string path, string tool, string prefix)
    {
        var server = new TaskServer();
        await using var gateway = await StartAsync(server);
        var client = await gateway.ClientAsync(path: path);

        var created = await client.MakeTaskAsync(tool);

        var id = (string)created["taskId"]!;
        Assert.Matches("^" + prefix + "[0-9a-f]{32}$", id);
        Assert.Equal("createdAt lastUpdatedAt pollInterval status taskId ttl", string.Join(' ', created.Select(p => p.Key).Order(StringComparer.Ordinal)));
        Assert.Equal(("working", 25 * 3600 * 1000L, 2000L), ((string)created["status"]!, (long)created["ttl"]!, (long)created["pollInterval"]!));
        var working = (await client.AskOfTaskAsync("tasks/get", id))["result"]!.AsObject();
        Assert.Equal((id, "working", (string?)created["createdAt"]), ((string)working["taskId"]!, (string)working["status"]!, (string?)working["createdAt"]));
        using var waiting = await gateway.ResultStreamAsync(client, id);

        server.State = Done;

        var result = (await gateway.NextAsync(waiting))["result"]!;
        Assert.Equal(("theirs", id), ((string)result["content"]![0]!["text"]!, (string)result["_meta"]![Note]!["taskId"]!));
        Assert.Equal("completed", (string?)(await client.AskOfTaskAsync("tasks/get", id))["result"]!["status"]);
        Assert.Equal("theirs", (string?)(await client.AskOfTaskAsync("tasks/result", id))["result"]!["content"]![0]!["text"]);
        var call = Assert.Single(server.Asked("tools/call")).Message!["params"]!;
        Assert.Equal(("slow", null, null), ((string)call["name"]!, call["task"], call["_meta"]!["progressToken"]));
        Assert.Equal("test", (string?)call["_meta"]!["io.modelcontextprotocol/clientInfo"]!["name"]);
        Assert.Empty(server.Asked("tasks/result"));
        Assert.Empty(server.Faults);
    }

    [Fact]
    public async Task Task_ServerAnswersAtOnceInstead_IsATaskAllTheSame_AndCompleted()
    {
        var server = new TaskServer { Answer = """{"content":[{"type":"text","text":"at once"}],"structuredContent":7}""" };
        await using var gateway = await StartAsync(server);
        var client = await gateway.ClientAsync();

        var id = await client.MakeAsync();

        await gateway.UntilTaskAsync(client, id, "completed");
        var result = (await client.AskOfTaskAsync("tasks/result", id))["result"]!;
        Assert.Equal(("at once", id), ((string)result["content"]![0]!["text"]!, (string)result["_meta"]![Note]!["taskId"]!));
        Assert.Null(result["structuredContent"]);
        Assert.Single(server.Asked("tools/call"));
        Assert.Empty(server.Asked("tasks/get"));
    }

    [Fact]
    public async Task Task_EndsWithAnError_OrAToolsError_HasFailed_AndTheResultIsThatOfTheCall()
    {
        var server = new TaskServer { State = """{"status":"failed","error":{"code":-32001,"message":"broken","data":{"x":1}}}""" };
        await using var gateway = await StartAsync(server);
        var client = await gateway.ClientAsync();
        var failing = await client.MakeAsync();
        Assert.Equal("broken", (string?)(await gateway.UntilTaskAsync(client, failing, "failed"))["statusMessage"]);
        Assert.Equal("""{"code":-32001,"message":"broken","data":{"x":1}}""", (await client.AskOfTaskAsync("tasks/result", failing))["error"]!.ToJsonString());

        server.State = """{"status":"completed","result":{"content":[],"isError":true}}""";
        var erring = await client.MakeAsync();

        await gateway.UntilTaskAsync(client, erring, "failed");
        Assert.True((bool)(await client.AskOfTaskAsync("tasks/result", erring))["result"]!["isError"]!);
    }

    [Fact]
    public async Task Cancel_ItsServerIsTold_AndOnceItHasEndedItIsRefused()
    {
        var server = new TaskServer();
        await using var gateway = await StartAsync(server);
        var client = await gateway.ClientAsync();
        var id = await client.MakeAsync();
        await gateway.UntilAsync(() => server.Asked("tasks/get").Count > 0, "the task is followed", TimeSpan.FromSeconds(5));
        using var waiting = await gateway.ResultStreamAsync(client, id);

        using var cancelling = await gateway.PassTimeAsync(client.RequestAsync("tasks/cancel", $$"""{"taskId":"{{id}}"}"""), TimeSpan.FromSeconds(5), "the answer");

        var cancelled = (await gateway.NextAsync(cancelling))["result"]!;
        Assert.Equal((id, "cancelled"), ((string)cancelled["taskId"]!, (string)cancelled["status"]!));
        Assert.Equal(-32603, (await gateway.NextAsync(waiting)).ErrorCode());
        Assert.Equal(-32602, (await client.AskOfTaskAsync("tasks/cancel", id)).ErrorCode());
        Assert.Equal("cancelled", (string?)(await client.AskOfTaskAsync("tasks/get", id))["result"]!["status"]);
        await gateway.UntilAsync(() => server.Asked("tasks/cancel").Count == 1, "the server was told");
        Assert.Equal(TaskServer.Id, (string?)server.Asked("tasks/cancel")[0].Message!["params"]!["taskId"]);
    }

    [Fact]
    public async Task List_HasTheTasksOfTheOneWhoAsks_OnTheRouteWhereTheyWereMade()
    {
        var two = new TaskServer("two");
        await using var gateway = await GatewayFixture.StartAsync(null, new TaskServer().Fake, two.Fake);
        var (ann, bob) = (await gateway.ClientAsync(path: "/mcp", user: "ann"), await gateway.ClientAsync(path: "/mcp", user: "bob"));
        var first = await ann.MakeAsync("one__slow");
        gateway.Advance(TimeSpan.FromSeconds(1));
        var second = await ann.MakeAsync("one__slow");
        var third = await ann.MakeAsync("two__slow");
        var bobs = await bob.MakeAsync("one__slow");
        var single = await gateway.ClientAsync(user: "ann");
        var alone = await single.MakeAsync();

        Assert.Equal([first, second, third], await ListAsync(ann));
        Assert.Equal([first, second, third], await ListAsync(await gateway.ClientAsync(path: "/mcp", user: "ann")));
        Assert.Equal([bobs], await ListAsync(bob));
        Assert.Equal([alone], await ListAsync(single));
        Assert.Empty(await ListAsync(await gateway.ClientAsync(path: "/mcp")));
        Assert.Empty(two.Asked("tasks/list"));
    }

    [Fact]
    public async Task Task_OfAnotherUserOrRoute_IsAsUnknownAsAny()
    {
        var server = new TaskServer();
        await using var gateway = await StartAsync(server);
        var ann = await gateway.ClientAsync(user: "ann");
        var id = await ann.MakeAsync();
        var none = new string('0', 32);
        foreach (var (client, asked) in new[]
        {
            (await gateway.ClientAsync(user: "bob"), id), (await gateway.ClientAsync(), id), (ann, none), (await gateway.ClientAsync(path: "/mcp", user: "ann"), "one." + id),
        })
        {
            foreach (var method in new[] { "tasks/get", "tasks/result", "tasks/cancel" })
            {
                var answer = await client.AskOfTaskAsync(method, asked);
                Assert.Equal((-32602, $"Unknown task: {asked}"), (answer.ErrorCode()!.Value, (string?)answer["error"]!["message"]));
            }
        }

        Assert.Empty(server.Asked("tasks/cancel"));
        Assert.Equal("working", (string?)(await ann.AskOfTaskAsync("tasks/get", id))["result"]!["status"]);
    }

    [Fact]
    public async Task Task_StoreHoldsTheCommit_NeitherItsIdLeavesNorTheCallBeforeIt()
    {
        FaultyStore store = null!;
        var server = new TaskServer();
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Store = clock => store = new FaultyStore(clock) }, server.Fake);
        var client = await gateway.ClientAsync();
        await client.AskAsync("tools/list");
        store.Hold();
        var making = client.MakeTaskAsync();
        await gateway.UntilAsync(() => store.Waiting >= 1, "the task waits for its commit");
        Assert.False(making.IsCompleted);
        Assert.Empty(server.Asked("tools/call"));

        store.Release();

        Assert.Equal("working", (string?)(await Limit.Of(making, "the task"))["status"]);
    }

    [Fact]
    public async Task Task_StoreIsAway_OrThereAreTooMany_IsRefused_AndTheCallIsNotMade()
    {
        FaultyStore store = null!;
        var server = new TaskServer();
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Store = clock => store = new FaultyStore(clock), Config = c => c with { Limits = c.Limits with { TasksPerUser = 1 } } }, server.Fake);
        var client = await gateway.ClientAsync(user: "ann");
        await client.AskAsync("tools/list");
        store.IsAway = true;

        Assert.Equal("no", await RefusedAsync());
        store.IsAway = false;
        await client.MakeAsync();
        await gateway.UntilAsync(() => server.Asked("tools/call").Count == 1, "the one call is made");
        Assert.Equal("no", await RefusedAsync());
        Assert.Single(server.Asked("tools/call"));

        async Task<string?> RefusedAsync() =>
            (string?)(await client.AskAsync("tools/call", """{"name":"slow","task":{}}"""))["error"]!["data"]!["mooring"]!["executed"];
    }

    [Fact]
    public async Task Status_IsToldToTheSessionThatHadTheTaskMade()
    {
        var server = new TaskServer();
        await using var gateway = await StartAsync(server);
        var client = await gateway.ClientAsync(path: "/mcp", user: "ann");
        var other = await gateway.ClientAsync(path: "/mcp", user: "ann");
        using var stream = await gateway.ListenAsync(client);
        using var others = await gateway.ListenAsync(other);
        var id = await client.MakeAsync("one__slow");

        server.State = Done;

        var told = await gateway.NextAsync(stream);
        Assert.Equal(("notifications/tasks/status", id, "completed"), ((string)told["method"]!, (string)told["params"]!["taskId"]!, (string)told["params"]!["status"]!));
        gateway.Tell(other, "marker");
        Assert.Equal("marker", (string?)(await others.Events.MessageAsync())["params"]!["data"]);
    }

    [Fact]
    public async Task Result_IsCancelledByItsClient_IsNotAnswered_AndTheTaskGoesOn()
    {
        var server = new TaskServer();
        await using var gateway = await StartAsync(server);
        var client = await gateway.ClientAsync();
        var id = await client.MakeAsync();
        using var waiting = await gateway.ResultStreamAsync(client, id, "\"w\"");
        Assert.Equal(1, gateway.Session(client).RunningCalls);

        await client.NotifyAsync("notifications/cancelled", """{"requestId":"w"}""");

        Assert.DoesNotContain(await waiting.Events.RestAsync(), e => e.IsMessage);
        Assert.Equal(0, gateway.Session(client).RunningCalls);
        Assert.Empty(server.Asked("tasks/cancel"));
        server.State = Done;
        await gateway.UntilTaskAsync(client, id, "completed");
    }

    [Fact]
    public async Task Session_IsOver_TheTaskGoesOn_AndIsHadInAnother()
    {
        var server = new TaskServer();
        await using var gateway = await StartAsync(server);
        var client = await gateway.ClientAsync(user: "ann");
        var id = await client.MakeAsync();
        using (await client.DeleteAsync())
        {
            server.State = Done;
        }

        var next = await gateway.ClientAsync(user: "ann");

        await gateway.UntilTaskAsync(next, id, "completed");
        Assert.Empty(server.Asked("tasks/cancel"));
    }

    [Fact]
    public async Task Restart_TheServersTaskIsGoneOnWith_AndOneThatWasUnderWayWithoutItHasFailed()
    {
        var server = new TaskServer();
        McpTestClient client;
        string id, lost;
        await using (var gateway = await StartAsync(server, _directory))
        {
            client = await gateway.ClientAsync(user: "ann");
            id = await client.MakeAsync();
            await gateway.UntilAsync(() => server.Asked("tasks/get").Count > 0, "the task is followed", TimeSpan.FromSeconds(5));
            server.Hangs = "tools/call";
            lost = await client.MakeAsync();
            await gateway.UntilAsync(() => server.Hanging.Count == 1, "the server has the call");
        }

        await using var next = await StartAsync(server, _directory);
        var again = new McpTestClient(next.Http, client.Path, client.Version, "ann") { SessionId = client.SessionId };
        var waiting = again.RequestAsync("tasks/result", $$"""{"taskId":"{{id}}"}""");
        server.State = Done;

        using var reply = await next.PassTimeAsync(waiting, TimeSpan.FromSeconds(5), "the result");
        Assert.Equal("theirs", (string?)(await next.NextAsync(reply))["result"]!["content"]![0]!["text"]);
        Assert.Equal("failed", (string?)(await again.AskOfTaskAsync("tasks/get", lost))["result"]!["status"]);
        Assert.Equal("unknown", (string?)(await again.AskOfTaskAsync("tasks/result", lost))["error"]!["data"]!["mooring"]!["executed"]);
        Assert.Equal([id, lost], (await ListAsync(again)).OrderBy(one => one == lost));
        Assert.Equal(2, server.Asked("tools/call").Count);
    }

    [Fact]
    public async Task Audit_HasALineForTheTask_AndOneForItsEnd()
    {
        var server = new TaskServer { State = Done };
        var file = Path.Combine(_directory, "audit.jsonl");
        await using (var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Config = c => c with { Audit = new AuditConfig { File = file } } }, server.Fake))
        {
            var client = await gateway.ClientAsync(path: "/mcp");
            await gateway.UntilTaskAsync(client, await client.MakeAsync("one__slow"), "completed");
        }

        var lines = File.ReadAllLines(file).Select(line => JsonNode.Parse(line)!.AsObject()).Where(line => (string?)line["method"] == "tools/call").ToList();
        Assert.Equal(
            [("task", "slow", "one"), ("result", "slow", "one")],
            lines.Select(line => ((string)line["outcome"]!, (string)line["name"]!, (string)line["server"]!)));
    }

    private static async Task<List<string>> ListAsync(McpTestClient client) =>
        [.. (await client.AskAsync("tasks/list"))["result"]!["tasks"]!.AsArray().Select(task => (string)task!["taskId"]!)];

    private static Task<GatewayFixture> StartAsync(TaskServer server, string? directory = null) =>
        GatewayFixture.StartAsync(new FixtureOptions { Directory = directory }, server.Fake);
}
