using System.Text.Json.Nodes;
using static Mooring.Chaos.Clients.Talk;

namespace Mooring.Chaos.Clients;

/// <content>Calls that became tasks: asked about until they end, at whichever replica, over any number of broken connections.</content>
internal sealed partial class StatelessClient
{
    private static readonly TimeSpan LongestPoll = TimeSpan.FromSeconds(2);

    private async Task<Outcome> FollowAsync(CallState call, string task, CancellationToken end)
    {
        tally.Tasks[call.Key] = TaskEnd.Lost;
        journal.Write($"{call.Key} is task {task}");
        while (call.HasTime())
        {
            try
            {
                var id = NextId();
                using var response = await http.AskAsync(Post(id, "tasks/get", task, new JsonObject { ["taskId"] = task }), end);
                if (await AnswerOfAsync(response, id, end) is { } answer)
                {
                    if (answer["result"] is { } state)
                    {
                        if (Ended(call, state) is { } ended)
                        {
                            tally.Tasks[call.Key] = ended;
                            return OutcomeOf(call, ended);
                        }

                        if (call.Tool == "ask" && state["inputRequests"] is JsonObject { Count: 1 } asked)
                        {
                            await AnswerAsync(call, task, asked, end);
                        }
                    }
                    else if ((int?)answer["error"]?["code"] == -32602)
                    {
                        return Wrong(call, $"its task: {answer.ToJsonString()}");
                    }
                }
            }
            catch (Exception e) when (IsTransport(e) && !end.IsCancellationRequested)
            {
                // Asking again is allowed: nothing changes by it.
            }

            await Task.Delay(LongestPoll / 2, end);
        }

        return Wrong(call, $"its task {task} did not end");
    }

    /// <summary>A call that waits for its server becomes a task before the server asks. Answered as often as it is still asked: what the first answer was for is answered once.</summary>
    private async Task AnswerAsync(CallState call, string task, JsonObject asked, CancellationToken end)
    {
        journal.Write($"{call.Key} is asked as task {task}");
        var id = NextId();
        using var response = await http.AskAsync(Post(id, "tasks/update", task, new JsonObject { ["taskId"] = task, ["inputResponses"] = Agreed(asked) }), end);
        _ = await AnswerOfAsync(response, id, end);
    }

    /// <summary>How a task has ended; null where it has not.</summary>
    private TaskEnd? Ended(CallState call, JsonNode state)
    {
        switch ((string?)state["status"])
        {
            case "working" or "input_required":
                return null;
            case "completed" when state["result"] is { } result:
                return IsOwn(call, result) ? TaskEnd.Completed : Untrue(call, state);
            case "failed":
                return (string?)state["error"]?["data"]?["mooring"]?["executed"] switch
                {
                    "unknown" => TaskEnd.Unknown,
                    "no" => TaskEnd.NotExecuted,
                    _ => TaskEnd.Failed,
                };
            default:
                // Nobody cancels a task here.
                return Untrue(call, state);
        }
    }

    private TaskEnd Untrue(CallState call, JsonNode state)
    {
        tally.Note($"{Who}: {call.Key}: an untrue end of its task: {state.ToJsonString()}");
        return TaskEnd.Untrue;
    }

    private Outcome OutcomeOf(CallState call, TaskEnd ended) => ended switch
    {
        TaskEnd.Completed => Outcome.ByTask,
        TaskEnd.Unknown => Outcome.Unknown,
        TaskEnd.NotExecuted => Outcome.Refused,
        TaskEnd.Failed => Outcome.Failed,
        _ => Wrong(call, "its task ended as no task of its kind can"),
    };
}
