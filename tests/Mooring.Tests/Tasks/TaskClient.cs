using System.Text.Json.Nodes;
using Xunit;

namespace Mooring.Tests.Tasks;

/// <summary>What the tests of tasks do all the time.</summary>
internal static class TaskClient
{
    public const string Capabilities = """{"elicitation":{"form":{}},"roots":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}""";

    public static readonly TimeSpan Threshold = TimeSpan.FromSeconds(31);

    public static StatelessClient New(GatewayFixture gateway, string path = "/servers/one/mcp", string? user = null, string capabilities = Capabilities) =>
        new(gateway.Http, path, user, capabilities);

    /// <summary>Calls a held tool and lets the threshold pass.</summary>
    public static async Task<(string Id, UpstreamExchange Call)> TaskAsync(this GatewayFixture gateway, StatelessClient client, string tool = "slow")
    {
        var posting = client.CallAsync(tool);
        var call = await gateway.Upstream.CallAsync();
        var created = await gateway.CreatedAsync(posting);
        return ((string)created["taskId"]!, call);
    }

    /// <summary>The result of a call that becomes a task.</summary>
    public static async Task<JsonObject> CreatedAsync(this GatewayFixture gateway, Task<TestReply> posting)
    {
        using var reply = await gateway.PassTimeAsync(posting, Threshold, "the answer");
        var answer = await gateway.PassTimeAsync(reply.MessageAsync(), Threshold, "the task");
        var result = answer["result"]?.AsObject() ?? throw new InvalidOperationException(answer.ToJsonString());
        Assert.Equal("task", (string?)result["resultType"]);
        return result;
    }

    public static async Task<JsonObject> GetTaskAsync(this StatelessClient client, string id) =>
        (await client.ResultAsync("tasks/get", $$"""{"taskId":"{{id}}"}"""))["result"]?.AsObject() ?? throw new InvalidOperationException("no task");

    public static async Task<JsonObject> CancelTaskAsync(this StatelessClient client, string id) => await client.ResultAsync("tasks/cancel", $$"""{"taskId":"{{id}}"}""");

    public static async Task<JsonObject> AnswerTaskAsync(this StatelessClient client, string id, params (string Key, string Answer)[] answers) =>
        await client.ResultAsync("tasks/update", $$"""{"taskId":"{{id}}","inputResponses":{{{string.Join(',', answers.Select(a => $"\"{a.Key}\":{a.Answer}"))}} } }""");

    /// <summary>Asks until the task is so.</summary>
    public static async Task<JsonObject> UntilTaskAsync(this GatewayFixture gateway, StatelessClient client, string id, string status, TimeSpan atMost = default)
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
            atMost);
        return seen!;

        async Task AskAsync() => seen = await client.GetTaskAsync(id);
    }
}
