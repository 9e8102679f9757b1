using System.Net;
using System.Text.Json.Nodes;
using Mooring.Calls;
using Mooring.Configuration;
using Xunit;
using static Mooring.Tests.Tasks.TaskClient;

namespace Mooring.Tests.Tasks;

/// <summary>Servers that make tasks of calls themselves: those of the extension, and those of 2025-11-25.</summary>
public sealed class ServerTaskTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("mooring-tasks-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task ServersTask_IsTheClientsAtOnce_UnderAnotherId_AndItsResultIsHad()
    {
        var server = new TaskServer();
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = New(gateway);

        var created = await gateway.CreatedAsync(client.CallAsync("slow"));

        var id = (string)created["taskId"]!;
        Assert.NotEqual(TaskServer.Id, id);
        server.State = """{"status":"completed","result":{"content":[{"type":"text","text":"theirs"}]}}""";
        Assert.Equal("theirs", (string?)(await gateway.UntilTaskAsync(client, id, "completed", TimeSpan.FromSeconds(5)))["result"]!["content"]![0]!["text"]);
        Assert.Empty(server.Faults);
        Assert.All(server.Asked("tasks/get"), asked => Assert.Equal((TaskServer.Id, TaskServer.Id), ((string)asked.Message!["params"]!["taskId"]!, asked.Header("Mcp-Name")!)));
    }

    [Fact]
    public async Task ServersTask_AsksAndIsAnswered_EachKeyOnce()
    {
        var server = new TaskServer();
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = New(gateway);
        var id = (string)(await gateway.CreatedAsync(client.CallAsync("slow")))["taskId"]!;
        server.State = """{"status":"input_required","inputRequests":{"name":{"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}}}""";

        var asks = await gateway.UntilTaskAsync(client, id, "input_required", TimeSpan.FromSeconds(5));
        await gateway.UntilAsync(() => server.Asked("tasks/get").Count > 5, "it is shown several times", TimeSpan.FromSeconds(20));
        Assert.Single((await client.GetTaskAsync(id))["inputRequests"]!.AsObject());
        await client.AnswerTaskAsync(id, (asks["inputRequests"]!.AsObject().First().Key, """{"action":"accept","content":{}}"""));

        await gateway.UntilAsync(() => server.Asked("tasks/update").Count == 1, "the server has the answer", TimeSpan.FromSeconds(5));
        var update = server.Asked("tasks/update")[0].Message!["params"]!;
        Assert.Equal(
            """{"name":{"action":"accept","content":{}}}""", update["inputResponses"]!.ToJsonString());
        server.State = """{"status":"failed","error":{"code":-32603,"message":"broken"}}""";
        Assert.Equal("broken", (string?)(await gateway.UntilTaskAsync(client, id, "failed", TimeSpan.FromSeconds(5)))["error"]!["message"]);
    }

    [Fact]
    public async Task ServersTask_IsCancelledThere()
    {
        var server = new TaskServer();
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = New(gateway);
        var id = (string)(await gateway.CreatedAsync(client.CallAsync("slow")))["taskId"]!;

        await client.CancelTaskAsync(id);

        await gateway.UntilTaskAsync(client, id, "cancelled", TimeSpan.FromSeconds(3));
        await gateway.UntilAsync(() => server.Asked("tasks/cancel").Count == 1, "the server was told");
    }

    [Fact]
    public async Task ServersTask_ServerNoLongerKnowsIt_IsOutcomeUnknown()
    {
        var server = new TaskServer();
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = New(gateway);
        var id = (string)(await gateway.CreatedAsync(client.CallAsync("slow")))["taskId"]!;

        server.State = null;

        var failed = await gateway.UntilTaskAsync(client, id, "failed", TimeSpan.FromSeconds(5));
        Assert.Equal("unknown", (string?)failed["error"]!["data"]!["mooring"]!["executed"]);
    }

    [Fact]
    public async Task ServersTask_ServerIsAwayForAWhile_IsWaitedForAndNotSentAgain()
    {
        var server = new TaskServer();
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = New(gateway);
        var id = (string)(await gateway.CreatedAsync(client.CallAsync("slow")))["taskId"]!;
        server.IsAway = true;
        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromMinutes(7), gateway.Clock), TimeSpan.FromMinutes(8), "time passed");
        Assert.Equal("working", (string?)(await client.GetTaskAsync(id))["status"]);

        server.State = """{"status":"completed","result":{"content":[]}}""";
        server.IsAway = false;

        await gateway.UntilTaskAsync(client, id, "completed", TimeSpan.FromMinutes(2));
        Assert.Single(server.Asked("tools/call"));
    }

    [Theory]
    [InlineData(null, 65)]
    [InlineData(10, 15)]
    public async Task ServersTask_OneQuestionAboutItIsNeverAnswered_TheNextFollowsAfterAMinuteOrTheDeadline(int? deadline, int within)
    {
        var server = new TaskServer();
        await using var gateway = await StartAsync(server.Fake, deadline);
        var client = New(gateway);
        var id = (string)(await gateway.CreatedAsync(client.CallAsync("slow")))["taskId"]!;
        server.Hangs = "tasks/get";
        await gateway.UntilAsync(() => server.Hanging.Count == 1, "a question that is not answered", TimeSpan.FromSeconds(5));
        server.Hangs = null;
        server.State = """{"status":"completed","result":{"content":[]}}""";

        await gateway.UntilTaskAsync(client, id, "completed", TimeSpan.FromSeconds(within));

        Assert.True(server.Hanging[0].Aborted.IsCancellationRequested);
        Assert.Empty(server.Asked("tasks/cancel"));
        Assert.Single(server.Asked("tools/call"));
    }

    [Fact]
    public async Task ServersTask_AnswerIsNeverAcknowledged_OrItsServerIsAway_IsSentUntilItIs()
    {
        var server = new TaskServer();
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = New(gateway);
        var id = (string)(await gateway.CreatedAsync(client.CallAsync("slow")))["taskId"]!;
        server.State = """{"status":"input_required","inputRequests":{"name":{"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}}}""";
        var asks = await gateway.UntilTaskAsync(client, id, "input_required", TimeSpan.FromSeconds(5));
        server.Hangs = "tasks/update";
        await client.AnswerTaskAsync(id, (asks["inputRequests"]!.AsObject().First().Key, """{"action":"accept","content":{}}"""));
        await gateway.UntilAsync(() => server.Hanging.Count == 1, "the answer is not acknowledged", TimeSpan.FromSeconds(5));

        server.Hangs = null;
        server.IsAway = true;
        await gateway.UntilAsync(() => server.Asked("tasks/update").Count > 6, "it is sent again and again", TimeSpan.FromMinutes(5));
        server.IsAway = false;
        var before = server.Asked("tasks/update").Count;

        await gateway.UntilAsync(() => server.Asked("tasks/update").Count > before, "it is sent once more", TimeSpan.FromMinutes(1));
        server.State = """{"status":"completed","result":{"content":[]}}""";
        await gateway.UntilTaskAsync(client, id, "completed", TimeSpan.FromMinutes(1));
        Assert.Equal(before + 1, server.Asked("tasks/update").Count);
    }

    [Fact]
    public async Task ServersTask_EndsBeforeAnAnswerIsAcknowledged_TheAnswerIsSentNoMore()
    {
        var server = new TaskServer();
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = New(gateway);
        var id = (string)(await gateway.CreatedAsync(client.CallAsync("slow")))["taskId"]!;
        server.State = """{"status":"input_required","inputRequests":{"name":{"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}}}""";
        var asks = await gateway.UntilTaskAsync(client, id, "input_required", TimeSpan.FromSeconds(5));
        server.Hangs = "tasks/update";
        await client.AnswerTaskAsync(id, (asks["inputRequests"]!.AsObject().First().Key, """{"action":"accept","content":{}}"""));
        await gateway.UntilAsync(() => server.Hanging.Count == 1, "the answer is not acknowledged", TimeSpan.FromSeconds(5));
        server.State = """{"status":"completed","result":{"content":[]}}""";

        await gateway.UntilTaskAsync(client, id, "completed", TimeSpan.FromSeconds(5));

        await gateway.UntilAsync(() => server.Hanging[0].Aborted.IsCancellationRequested, "it is given up");
    }

    [Fact]
    public async Task ServersTask_OfAClientThatTakesNone_IsWaitedFor()
    {
        var server = new TaskServer();
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = await gateway.ClientAsync();
        var posting = client.CallAsync("slow");
        await gateway.UntilAsync(() => server.Asked("tasks/get").Count > 0, "the server is asked", TimeSpan.FromSeconds(5));
        server.State = """{"status":"completed","result":{"content":[{"type":"text","text":"waited for"}]}}""";

        using var reply = await gateway.PassTimeAsync(posting, TimeSpan.FromSeconds(5), "the answer");

        Assert.Equal("waited for", (await gateway.PassTimeAsync(reply.MessageAsync(), TimeSpan.FromSeconds(5), "the answer")).Text());
    }

    [Fact]
    public async Task Restart_ServersTask_IsGoneOnWith()
    {
        var server = new TaskServer();
        string id;
        await using (var gateway = await StartAsync(server.Fake))
        {
            id = (string)(await gateway.CreatedAsync(New(gateway).CallAsync("slow")))["taskId"]!;
        }

        await using var next = await StartAsync(server.Fake);
        var client = New(next);
        Assert.Equal("working", (string?)(await client.GetTaskAsync(id))["status"]);
        server.State = """{"status":"completed","result":{"content":[{"type":"text","text":"after the restart"}]}}""";

        Assert.Equal("after the restart", (string?)(await next.UntilTaskAsync(client, id, "completed", TimeSpan.FromSeconds(10)))["result"]!["content"]![0]!["text"]);
        Assert.Single(server.Asked("tools/call"));
        Assert.Empty(server.Faults);
    }

    [Fact]
    public async Task Restart_ServersTask_ItsEndIsALineOfTheAuditLog()
    {
        var server = new TaskServer();
        var audit = new FixtureOptions { Directory = _directory, Config = c => c with { Audit = new AuditConfig { File = Path.Combine(_directory, "audit.jsonl") } } };
        string id;
        await using (var gateway = await GatewayFixture.StartAsync(audit, server.Fake))
        {
            id = (string)(await gateway.CreatedAsync(New(gateway).CallAsync("slow")))["taskId"]!;
        }

        await using (var next = await GatewayFixture.StartAsync(audit, server.Fake))
        {
            server.State = """{"status":"completed","result":{"content":[]}}""";
            await next.UntilTaskAsync(New(next), id, "completed", TimeSpan.FromSeconds(10));
        }

        var lines = File.ReadAllLines(Path.Combine(_directory, "audit.jsonl")).Select(line => JsonNode.Parse(line)!.AsObject()).ToList();
        Assert.Equal("task", (string?)lines[0]["outcome"]);
        Assert.Equal(("result", "slow", true), ((string?)lines[^1]["outcome"], (string?)lines[^1]["name"], (bool?)lines[^1]["task"]));
    }

    [Fact]
    public async Task Drain_ServersTask_IsLeftToTheNextProcess()
    {
        var server = new TaskServer();
        string id;
        await using (var gateway = await StartAsync(server.Fake))
        {
            id = (string)(await gateway.CreatedAsync(New(gateway).CallAsync("slow")))["taskId"]!;
            await gateway.PassTimeAsync(gateway.Drain.Begin(evenIfIdle: false), TimeSpan.FromMinutes(1), "the drain is over");
        }

        server.State = """{"status":"completed","result":{"content":[]}}""";
        await using var next = await StartAsync(server.Fake);

        await next.UntilTaskAsync(New(next), id, "completed", TimeSpan.FromSeconds(10));
        Assert.Empty(server.Asked("tasks/cancel"));
    }

    [Fact]
    public async Task ServerWithoutTasks_AsksBackInItsResult_OnceTheCallIsATask_IsAskedAgainByTheGateway()
    {
        var fake = new FakeUpstream();
        var server = StatelessUpstream.At(fake);
        await using var gateway = await GatewayFixture.StartAsync(null, fake);
        var client = New(gateway);
        var posting = client.CallAsync("slow");
        var call = await server.CallAsync();
        var id = (string)(await gateway.CreatedAsync(posting))["taskId"]!;

        call.Result("""{"resultType":"input_required","inputRequests":{"where":{"method":"roots/list"}},"requestState":"theirs"}""");

        var asks = await gateway.UntilTaskAsync(client, id, "input_required");
        Assert.False(asks.ContainsKey("requestState"));
        await client.AnswerTaskAsync(id, (asks["inputRequests"]!.AsObject().First().Key, """{"roots":[]}"""));
        var again = await server.CallAsync();
        Assert.Equal(("""{"where":{"roots":[]}}""", "theirs"), (again.Message!["params"]!["inputResponses"]!.ToJsonString(), (string)again.Message["params"]!["requestState"]!));
        again.Text("there");
        Assert.Equal("there", (string?)(await gateway.UntilTaskAsync(client, id, "completed"))["result"]!["content"]![0]!["text"]);
    }

    [Fact]
    public async Task ServerAsksBackOnceTheCallIsATask_AndThenMakesOneItself_IsFollowed()
    {
        var fake = new FakeUpstream();
        var server = StatelessUpstream.At(fake);
        server.Intercept = e =>
        {
            if ((string?)e.Message?["method"] != "tasks/get")
            {
                return false;
            }

            e.Result("""{"resultType":"complete","taskId":"theirs","status":"completed","result":{"content":[{"type":"text","text":"in the end"}]}}""");
            return true;
        };
        await using var gateway = await GatewayFixture.StartAsync(null, fake);
        var client = New(gateway);
        var posting = client.CallAsync("slow");
        var call = await server.CallAsync();
        var id = (string)(await gateway.CreatedAsync(posting))["taskId"]!;
        call.AsksFor("""{"where":{"method":"roots/list"}}""");
        var asks = await gateway.UntilTaskAsync(client, id, "input_required");
        await client.AnswerTaskAsync(id, (asks["inputRequests"]!.AsObject().First().Key, """{"roots":[]}"""));

        (await server.CallAsync()).Result("""{"resultType":"task","taskId":"theirs","status":"working","pollIntervalMs":200}""");

        Assert.Equal("in the end", (string?)(await gateway.UntilTaskAsync(client, id, "completed", TimeSpan.FromSeconds(5)))["result"]!["content"]![0]!["text"]);
        Assert.Equal(2, fake.Messages("tools/call").Count);
    }

    [Fact]
    public async Task OlderServersTask_OfACallWithAKey_UnderAnotherNameAndToken_IsAskedForWithAllOfThem()
    {
        var server = new OlderTaskServer("required") { Status = "completed" };
        await using var gateway = await GatewayFixture.StartAsync(
            new FixtureOptions { Server = s => s with { Scope = LinkScope.Shared, IdempotencyKey = KeyRule.Always } }, server.Fake);
        var client = New(gateway, path: "/mcp");
        await client.ResultAsync("tools/list");

        using var reply = await Limit.Of(client.CallAsync("one__job", meta: """{"progressToken":"mine"}"""), "the answer");

        Assert.Equal("the job", (string?)(await reply.MessageAsync())["result"]!["content"]![0]!["text"]);
        var call = server.Asked("tools/call")[0];
        var sent = call.Message!["params"]!;
        Assert.Equal(("job", call.Id), ((string)sent["name"]!, sent["_meta"]!["progressToken"]!.ToJsonString()));
        Assert.NotNull(sent["task"]);
        Assert.NotNull(sent["_meta"]![IdempotencyKey.Name]);
    }

    [Theory]
    [InlineData("optional")]
    [InlineData("required")]
    public async Task OlderServersTask_IsAskedForAndFollowed_AndTheClientHasItInItsVersionsWay(string support)
    {
        var server = new OlderTaskServer(support);
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = New(gateway);
        await client.ResultAsync("tools/list");

        var created = await gateway.CreatedAsync(client.CallAsync("job"));

        Assert.Equal(25 * 3600 * 1000L, (long)server.Asked("tools/call")[0].Message!["params"]!["task"]!["ttl"]!);
        server.Status = "completed";
        var done = await gateway.UntilTaskAsync(client, (string)created["taskId"]!, "completed", TimeSpan.FromSeconds(5));
        Assert.Equal("the job", (string?)done["result"]!["content"]![0]!["text"]);
        Assert.Null(done["result"]!["_meta"]!["io.modelcontextprotocol/related-task"]);
        Assert.Single(server.Asked("tools/call"));
    }

    [Fact]
    public async Task OlderServersTask_AsksItsClient_ByWayOfTheHeldTask()
    {
        var server = new OlderTaskServer("required");
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = New(gateway);
        await client.ResultAsync("tools/list");
        var id = (string)(await gateway.CreatedAsync(client.CallAsync("job")))["taskId"]!;
        server.Status = "input_required";
        server.HoldsResult = true;
        await gateway.UntilAsync(() => server.Result is not null, "its result is asked for", TimeSpan.FromSeconds(5));
        await server.Result!.SendAsync("""{"jsonrpc":"2.0","id":"s1","method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}},"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"theirs"}}}}""");

        var asks = await gateway.UntilTaskAsync(client, id, "input_required", TimeSpan.FromSeconds(5));
        await client.AnswerTaskAsync(id, (asks["inputRequests"]!.AsObject().First().Key, """{"action":"accept","content":{}}"""));

        await gateway.UntilAsync(() => server.Fake.Requests.Any(r => r.Body.Contains("\"id\":\"s1\"", StringComparison.Ordinal)), "the server has the answer");
        await server.Result.SendTextAsync("answered");
        Assert.Equal("answered", (string?)(await gateway.UntilTaskAsync(client, id, "completed", TimeSpan.FromSeconds(5)))["result"]!["content"]![0]!["text"]);
    }

    [Fact]
    public async Task OlderServersTask_SessionIsLostAgainAndAgain_IsAskedForWithAPauseEachTime()
    {
        var server = new OlderTaskServer("required");
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = New(gateway);
        await client.ResultAsync("tools/list");
        var id = (string)(await gateway.CreatedAsync(client.CallAsync("job")))["taskId"]!;
        server.LosesSessions = true;
        await gateway.UntilAsync(() => server.Lost == 1, "a session is lost", TimeSpan.FromSeconds(5));

        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromSeconds(20), gateway.Clock), TimeSpan.FromSeconds(21), "time passed");

        Assert.InRange(server.Lost, 2, 22);
        server.LosesSessions = false;
        server.Status = "completed";
        await gateway.UntilTaskAsync(client, id, "completed", TimeSpan.FromSeconds(10));
        Assert.Single(server.Asked("tools/call"));
    }

    [Theory]
    [InlineData("tasks/get", "working")]
    [InlineData("tasks/result", "completed")]
    public async Task OlderServersTask_OneQuestionAboutItIsNeverAnswered_IsAskedAgain(string method, string status)
    {
        var server = new OlderTaskServer("required");
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = New(gateway);
        await client.ResultAsync("tools/list");
        var id = (string)(await gateway.CreatedAsync(client.CallAsync("job")))["taskId"]!;
        server.Hangs = method;
        server.Status = status;
        await gateway.UntilAsync(() => server.Hanging.Count == 1, "a question that is not answered", TimeSpan.FromSeconds(5));
        server.Hangs = null;
        server.Status = "completed";

        var done = await gateway.UntilTaskAsync(client, id, "completed", TimeSpan.FromSeconds(70));

        Assert.Equal("the job", (string?)done["result"]!["content"]![0]!["text"]);
        await gateway.UntilAsync(() => server.Hanging[0].Aborted.IsCancellationRequested, "it is given up");
        Assert.Empty(server.Asked("tasks/cancel"));
    }

    [Fact]
    public async Task OlderServersTask_WaitsForInputForLong_ItsResultIsAskedForOnce()
    {
        var server = new OlderTaskServer("required");
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = New(gateway);
        await client.ResultAsync("tools/list");
        var id = (string)(await gateway.CreatedAsync(client.CallAsync("job")))["taskId"]!;
        server.Status = "input_required";
        server.HoldsResult = true;
        await gateway.UntilAsync(() => server.Result is not null, "its result is asked for", TimeSpan.FromSeconds(5));
        server.Hangs = "tasks/get";
        await gateway.UntilAsync(() => server.Hanging.Count == 3, "questions besides that are not answered", TimeSpan.FromMinutes(4));
        server.Hangs = null;

        await server.Result!.SendTextAsync("at last");

        Assert.Equal("at last", (string?)(await gateway.UntilTaskAsync(client, id, "completed", TimeSpan.FromSeconds(70)))["result"]!["content"]![0]!["text"]);
        Assert.Single(server.Asked("tasks/result"));
    }

    [Fact]
    public async Task OlderServersTask_DoesNotTakeTheAnswerToWhatItAsked_FailsAndIsCancelledThere()
    {
        var server = new OlderTaskServer("required");
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = New(gateway);
        await client.ResultAsync("tools/list");
        var id = (string)(await gateway.CreatedAsync(client.CallAsync("job")))["taskId"]!;
        server.Status = "input_required";
        server.HoldsResult = true;
        await gateway.UntilAsync(() => server.Result is not null, "its result is asked for", TimeSpan.FromSeconds(5));
        await server.Result!.SendAsync("""{"jsonrpc":"2.0","id":"s1","method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}""");
        var asks = await gateway.UntilTaskAsync(client, id, "input_required", TimeSpan.FromSeconds(5));
        server.TakesNoAnswers = true;
        await client.AnswerTaskAsync(id, (asks["inputRequests"]!.AsObject().First().Key, """{"action":"accept","content":{}}"""));

        var failed = await gateway.UntilTaskAsync(client, id, "failed", TimeSpan.FromSeconds(10));

        Assert.Equal("outcome_unknown", (string?)failed["error"]!["data"]!["mooring"]!["reason"]);
        await gateway.UntilAsync(() => server.Asked("tasks/cancel").Count == 1, "the server was told");
    }

    [Fact]
    public async Task OlderServersTool_ThatIsATaskAlone_IsRefusedToAClientThatTakesNone()
    {
        var server = new OlderTaskServer("required");
        await using var gateway = await GatewayFixture.StartAsync(null, server.Fake);
        var client = New(gateway, capabilities: "{}");
        await client.ResultAsync("tools/list");

        Assert.Equal(-32021, (await client.ResultAsync("tools/call", """{"name":"job","arguments":{}}""")).ErrorCode());
        Assert.Empty(server.Asked("tools/call"));
    }

    [Fact]
    public async Task Restart_OlderServersTask_IsGoneOnWith()
    {
        var server = new OlderTaskServer("optional");
        string id;
        await using (var gateway = await StartAsync(server.Fake))
        {
            await New(gateway).ResultAsync("tools/list");
            id = (string)(await gateway.CreatedAsync(New(gateway).CallAsync("job")))["taskId"]!;
        }

        server.Status = "completed";
        await using var next = await StartAsync(server.Fake);

        Assert.Equal("the job", (string?)(await next.UntilTaskAsync(New(next), id, "completed", TimeSpan.FromSeconds(10)))["result"]!["content"]![0]!["text"]);
        Assert.Single(server.Asked("tools/call"));
    }

    private Task<GatewayFixture> StartAsync(FakeUpstream upstream, int? deadline = null) => GatewayFixture.StartAsync(
        new FixtureOptions { Directory = _directory, Server = s => s with { Deadline = deadline is { } seconds ? TimeSpan.FromSeconds(seconds) : null } }, upstream);

    /// <summary>A server of 2025-11-25 with a tool "job" that it executes as a task.</summary>
    private sealed class OlderTaskServer
    {
        private readonly string _support;

        public OlderTaskServer(string support)
        {
            _support = support;
            Fake = new FakeUpstream
            {
                Capabilities = """{"tools":{"listChanged":true},"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}}""",
                Intercept = Handle,
            };
        }

        public FakeUpstream Fake { get; }

        public string Status { get; set; } = "working";

        /// <summary>Whether the result is for the test to give.</summary>
        public bool HoldsResult { get; set; }

        public UpstreamExchange? Result { get; private set; }

        public bool TakesNoAnswers { get; set; }

        /// <summary>Whether it knows no session by which it is asked for its task, however new.</summary>
        public bool LosesSessions { get; set; }

        /// <summary>How many it has lost so.</summary>
        public int Lost { get; private set; }

        /// <summary>The method whose requests it takes and never answers; null: none.</summary>
        public string? Hangs { get; set; }

        public List<UpstreamExchange> Hanging { get; } = [];

        public IReadOnlyList<UpstreamExchange> Asked(string method) => [.. Fake.Requests.Where(r => (string?)r.Message?["method"] == method)];

        private bool Handle(UpstreamExchange exchange)
        {
            var task = $$"""{"taskId":"theirs","status":"{{Status}}","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttl":null,"pollInterval":200}""";
            switch ((string?)exchange.Message?["method"])
            {
                case "tools/list":
                    exchange.Result($$$"""{"tools":[{"name":"job","inputSchema":{"type":"object"},"execution":{"taskSupport":"{{{_support}}}"}}]}""");
                    return true;
                case "tools/call" when exchange.Message["params"]!["task"] is null:
                    exchange.Error(-32601, "only as a task");
                    return true;
                case "tools/call":
                    exchange.Result($$"""{"task":{{task}}}""");
                    return true;
                case null when TakesNoAnswers && exchange.HttpMethod == "POST":
                    exchange.Status(HttpStatusCode.ServiceUnavailable);
                    return true;
                case { } hangs when hangs == Hangs:
                    Hanging.Add(exchange);
                    return true;
                case "tasks/get" when LosesSessions:
                    exchange.Status(HttpStatusCode.NotFound);
                    Lost++;
                    return true;
                case "tasks/get":
                    exchange.Result(task);
                    return true;
                case "tasks/result" when HoldsResult:
                    Result = exchange;
                    return true;
                case "tasks/result":
                    exchange.Result("""{"content":[{"type":"text","text":"the job"}],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"theirs"}}}""");
                    return true;
                default:
                    return false;
            }
        }
    }
}
