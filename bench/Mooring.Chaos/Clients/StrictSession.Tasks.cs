using System.Net;
using System.Text.Json.Nodes;
using Mooring.Chaos.Servers;
using static Mooring.Chaos.Clients.Talk;

namespace Mooring.Chaos.Clients;

/// <content>Tasks of 2025-11-25 that the server with sessions makes of errands, because the client asks it to: asked about until they end, whichever gateway is there.</content>
internal sealed partial class StrictSession
{
    /// <summary>The server on standard streams has no tasks, and the one without sessions has others; clients of 2025-06-18 know none.</summary>
    private bool MakesTaskOf(string tool) => tool == Errands.Tool && IsPrimed && endpoint.AbsolutePath == Crowd.Web;

    private async Task<Outcome> FollowTaskAsync(CallState call, string task, CancellationToken end)
    {
        tally.Tasks[call.Key] = TaskEnd.Lost;
        _journal.Write($"{call.Key} is task {task}");
        while (call.HasTime())
        {
            if (Current() is not { } session)
            {
                return Outcome.Lost;
            }

            await Task.Delay(TaskPoll, end);
            var state = await AskOfTaskAsync("tasks/get", task, session, end);
            if ((string?)state?["result"]?["status"] is not "working")
            {
                // What cannot be told just now is asked again, and so is what ended.
                var said = (string?)state?["result"]?["status"] == "completed" ? await AskOfTaskAsync("tasks/result", task, session, end) : state;
                if (EndOf(call, said) is { } ended)
                {
                    tally.Tasks[call.Key] = ended;
                    return ended == TaskEnd.Completed ? Outcome.ByTask : ended == TaskEnd.Forgotten ? Outcome.Failed : Wrong(call, "its task ended as no task of its kind can");
                }
            }
        }

        return Wrong(call, $"its task {task} did not end");
    }

    /// <summary>How it ended; null where that was not to be had.</summary>
    private TaskEnd? EndOf(CallState call, JsonObject? said)
    {
        if (said?["result"] is { } result)
        {
            if ((string?)result["content"]?[0]?["text"] == call.Key)
            {
                return TaskEnd.Completed;
            }

            tally.Note($"{Who}: {call.Key}: an untrue end of its task: {result.ToJsonString()}");
            return TaskEnd.Untrue;
        }

        if ((int?)said?["error"]?["code"] != -32602)
        {
            return null;
        }

        if ((string?)said["error"]!["message"] == Errands.Forgotten)
        {
            return TaskEnd.Forgotten;
        }

        tally.Note($"{Who}: {call.Key}: its task is unknown: {said.ToJsonString()}");
        return TaskEnd.Untrue;
    }

    /// <summary>Asking again is allowed: nothing changes by it.</summary>
    private async Task<JsonObject?> AskOfTaskAsync(string method, string task, string session, CancellationToken end)
    {
        try
        {
            var id = NextId();
            using var response = await http.AskAsync(Post(Request(id, method, new JsonObject { ["taskId"] = task }), session), end);
            if (response.StatusCode == HttpStatusCode.NotFound)
            {
                SessionLost(session, method);
                return null;
            }

            return await AnswerOfAsync(response, id, end);
        }
        catch (Exception e) when (IsTransport(e) && !end.IsCancellationRequested)
        {
            return null;
        }
    }

    private static TimeSpan TaskPoll => TimeSpan.FromSeconds(0.5);
}
