using System.Text.Json.Nodes;
using Mooring.Tests.Routing;
using Xunit;

namespace Mooring.Tests.Tasks;

/// <summary>What a client of 2025-11-25 does with tasks.</summary>
internal static class SessionTaskClient
{
    public const string Note = "io.modelcontextprotocol/related-task";

    public const string Done = """{"status":"completed","result":{"content":[{"type":"text","text":"theirs"}]}}""";

    /// <summary>Has a tool called as a task.</summary>
    /// <returns>The task.</returns>
    public static async Task<JsonObject> MakeTaskAsync(this McpTestClient client, string tool = "slow")
    {
        var answer = await client.AskAsync("tools/call", $$"""{"name":"{{tool}}","arguments":{},"task":{"ttl":60000},"_meta":{"progressToken":"mine"} }""");
        return answer["result"]?["task"]?.AsObject() ?? throw new InvalidOperationException(answer.ToJsonString());
    }

    /// <returns>The id of the task.</returns>
    public static async Task<string> MakeAsync(this McpTestClient client, string tool = "slow") => (string)(await client.MakeTaskAsync(tool))["taskId"]!;

    public static Task<JsonObject> AskOfTaskAsync(this McpTestClient client, string method, string id) => client.AskAsync(method, $$"""{"taskId":"{{id}}"}""");

    /// <summary>Asks for the result, which is not there yet: the answer is an event stream.</summary>
    public static async Task<TestReply> ResultStreamAsync(this GatewayFixture gateway, McpTestClient client, string id, string? requestId = null) =>
        await gateway.PassTimeAsync(client.RequestAsync("tasks/result", $$"""{"taskId":"{{id}}"}""", requestId), TimeSpan.FromSeconds(2), "the stream of the result");

    /// <summary>The next message on a stream, which may take some time.</summary>
    public static async Task<JsonObject> NextAsync(this GatewayFixture gateway, TestReply stream) =>
        await gateway.PassTimeAsync(stream.MessageAsync(), TimeSpan.FromSeconds(30), "a message");

    /// <summary>Asks until the task is so.</summary>
    public static async Task<JsonObject> UntilTaskAsync(this GatewayFixture gateway, McpTestClient client, string id, string status, int seconds = 10)
    {
        JsonObject? seen = null;
        var asking = Task.CompletedTask;
        await gateway.UntilAsync(
            () =>
            {
                if (asking.IsCompleted && (string?)seen?["status"] != status)
                {
                    asking = AskAsync();
                }

                return (string?)seen?["status"] == status;
            },
            $"the task is {status}, and not {seen?["status"]}",
            TimeSpan.FromSeconds(seconds));
        return seen!;

        async Task AskAsync() => seen = (await client.AskOfTaskAsync("tasks/get", id))["result"]?.AsObject();
    }

    /// <summary>Answers what was asked.</summary>
    /// <param name="client">Who was asked.</param>
    /// <param name="question">The request.</param>
    /// <param name="answer">The member of the response: <c>"result":…</c> or <c>"error":…</c>.</param>
    public static async Task AnswerAsync(this McpTestClient client, JsonObject question, string answer)
    {
        using var reply = await client.PostAsync($$"""{"jsonrpc":"2.0","id":{{question["id"]!.ToJsonString()}},{{answer}}}""");
        Assert.Equal(System.Net.HttpStatusCode.Accepted, reply.Status);
    }
}
