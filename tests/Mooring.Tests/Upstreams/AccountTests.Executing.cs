using System.Net;
using System.Text.Json.Nodes;
using Xunit;

namespace Mooring.Tests.Upstreams;

/// <content>What a server has begun to execute is not begun again because the account was lost meanwhile.</content>
public sealed partial class AccountTests
{
    [Fact]
    public async Task ServersTask_TheTokenIsGoodNoLonger_IsWaitedForAndNotSaidNotToBeExecuted()
    {
        var server = await StartStatelessAsync();
        server.Capabilities = """{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}""";
        var asked = 0;
        server.Intercept = exchange =>
        {
            var method = (string?)exchange.Message?["method"];
            if (method is not ("tools/call" or "tasks/get"))
            {
                return false;
            }

            asked += method == "tasks/get" ? 1 : 0;
            exchange.Result($$"""{"resultType":"{{(method == "tools/call" ? "task" : "complete")}}","taskId":"theirs","status":"working","createdAt":"2026-01-01T00:00:00Z","lastUpdatedAt":"2026-01-01T00:00:00Z","ttlMs":null,"pollIntervalMs":200}""");
            return true;
        };
        var client = new StatelessClient(_gateway.Http, user: "ann", capabilities: """{"elicitation":{"url":{}},"extensions":{"io.modelcontextprotocol/tasks":{} } }""");
        await LinkAsync(Page(await CallAsync(client, "slow")));
        using var made = await _gateway.PassTimeAsync(client.CallAsync("slow"), TimeSpan.FromMinutes(1), "the task");
        var task = (string)(await made.MessageAsync())["result"]!["taskId"]!;
        await _gateway.UntilAsync(() => asked > 1, "it is asked for", TimeSpan.FromSeconds(5));

        _good.Clear();
        await PassAsync(TimeSpan.FromSeconds(20));

        var state = (await client.ResultAsync("tasks/get", $$"""{"taskId":"{{task}}"}"""))["result"]!;
        Assert.Equal("working", (string?)state["status"]);
        Assert.Equal(["Bearer token-1"], _callTokens.Where(token => token is not null));
    }

    [Fact]
    public async Task Answers_CannotBeGivenForWantOfAnAccount_TheCallIsNotBegunAnew()
    {
        var server = await StartStatelessAsync();
        var client = await _gateway.ClientAsync(user: "ann", capabilities: """{"elicitation":{"form":{},"url":{} } }""");
        await LinkAsync(await AddressAsync(client));
        var posting = client.CallAsync("slow");
        (await server.CallAsync()).AsksFor("""{"who":{"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}}""");
        using var reply = await Limit.Of(posting, "the head");
        var question = await reply.MessageAsync();
        var calls = _callTokens.Count;

        _good.Clear();
        using var answered = await client.PostAsync($$"""{"jsonrpc":"2.0","id":{{question.RawId()}},"result":{"action":"accept","content":{} } }""");

        var answer = await _gateway.PassTimeAsync(reply.MessageAsync(), TimeSpan.FromMinutes(1), "the answer");
        Assert.Equal(("outcome_unknown", "unknown"), (answer.Reason(), answer.Executed()));
        Assert.Equal(calls, _server.Requests.Count(exchange => (string?)exchange.Message?["method"] == "tools/call" && exchange.Message["params"]!["inputResponses"] is null && exchange.Header("Authorization") is not null));
    }

    /// <summary>Of 2026-07-28, and as particular about tokens as the one with sessions.</summary>
    private async Task<StatelessUpstream> StartStatelessAsync()
    {
        var server = StatelessUpstream.At(_server);
        var serves = _server.Intercept!;
        await StartAsync();
        var refuses = _server.Intercept!;
        _server.Intercept = exchange => refuses(exchange) || serves(exchange);
        return server;
    }

    private Task PassAsync(TimeSpan time) => _gateway.PassTimeAsync(Task.Delay(time, _gateway.Clock), time + TimeSpan.FromSeconds(1), "time passed");
}
