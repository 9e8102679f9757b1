using System.Net;
using System.Text.Json.Nodes;
using Mooring.Chaos.Servers;
using static Mooring.Chaos.Clients.Talk;

namespace Mooring.Chaos.Clients;

/// <content>
/// Calls: each has a key and ends in exactly one way. One whose server asks first is sent again with the answer, as it was told to. One whose
/// connection breaks is over: the version has no way back to it.
/// </content>
internal sealed partial class StatelessClient
{
    private long _changedTo;

    private async Task<Outcome> CallAsync(string tool, JsonObject arguments, int seconds, CancellationToken end)
    {
        var key = $"s{index}-{Interlocked.Increment(ref _calls)}-{tool}";
        arguments["key"] = key;
        var start = TimeProvider.System.GetTimestamp();
        var call = new CallState(key, tool, arguments, () => conduct.HasTime(start, seconds));
        tally.Began(key);
        var outcome = Outcome.Lost;
        try
        {
            outcome = await SendCallAsync(call, end);
            // Whatever came after the time is over came too late.
            outcome = outcome == Outcome.GivenUp ? Outcome.Refused : call.HasTime() ? outcome : Wrong(call, $"{outcome} after {TimeProvider.System.GetElapsedTime(start).TotalSeconds:0} s");
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            Wrong(call, $"it never ended; begun {TimeProvider.System.GetElapsedTime(start).TotalSeconds:0} s before everything was over");
            throw;
        }
        finally
        {
            tally.Ended(key, outcome, _pair);
            journal.Write($"{key} ended as {outcome}");
        }

        if (outcome == Outcome.Answered && tool == "slow")
        {
            _events.OweProgress(key, seconds);
        }

        return outcome;
    }

    private async Task<Outcome> SendCallAsync(CallState call, CancellationToken end)
    {
        while (call.HasTime())
        {
            var id = NextId();
            var parameters = new JsonObject { ["name"] = call.Tool, ["arguments"] = call.Arguments.DeepClone() };
            if (call.Answers is { } answers)
            {
                parameters["inputResponses"] = answers.DeepClone();
                parameters["requestState"] = call.State;
            }

            try
            {
                using var response = await http.AskAsync(Post(id, "tools/call", call.Tool, parameters), end);
                if (IsLater(response))
                {
                    tally.Waited();
                    await Task.Delay(Later(response), end);
                    continue;
                }

                if (response.StatusCode is HttpStatusCode.BadGateway or HttpStatusCode.GatewayTimeout)
                {
                    // The balancer's way to say that the connection behind it broke.
                    return Outcome.CutStateless;
                }

                if (await ReadAsync(call, response, id, end) is not { } answer)
                {
                    return Outcome.CutStateless;
                }

                if (await JudgeAsync(call, answer, end) is { } outcome)
                {
                    return outcome;
                }
            }
            catch (Exception e) when (WasNotSent(e))
            {
                tally.Waited();
                await Task.Delay(Pause, end);
            }
            catch (Exception e) when (IsTransport(e) && !end.IsCancellationRequested)
            {
                return Outcome.CutStateless;
            }
        }

        return Outcome.GivenUp;
    }

    /// <summary>The answer, whatever its status; null where the connection broke before it.</summary>
    private async Task<JsonObject?> ReadAsync(CallState call, HttpResponseMessage response, int id, CancellationToken end)
    {
        if (response.Content.Headers.ContentType?.MediaType != "text/event-stream")
        {
            return await JsonOfAsync(response, end);
        }

        using var reader = await EventReader.OfAsync(response);
        while (await reader.NextAsync(end) is { } block)
        {
            if (block.Message is { } message)
            {
                if (IsAnswer(message, id))
                {
                    return message;
                }

                _events.Saw(message, $"on the stream of {call.Key}");
            }
        }

        end.ThrowIfCancellationRequested();
        return null;
    }

    /// <returns>How the call ended; null where it is to be sent again with answers.</returns>
    private async Task<Outcome?> JudgeAsync(CallState call, JsonObject answer, CancellationToken end)
    {
        if (answer["result"] is not { } result)
        {
            return OutcomeOf(call, answer["error"]);
        }

        switch ((string?)result["resultType"])
        {
            case "input_required" when call.Tool == "ask" && result["inputRequests"] is JsonObject asked && asked.Count == 1:
                call.State = (string?)result["requestState"];
                call.Answers = Agreed(asked);
                journal.Write($"{call.Key} is asked");
                return null;
            case "task" when hasTasks && (string?)result["taskId"] is { } task:
                return await FollowAsync(call, task, end);
            case "complete":
                _changedTo = call.Tool == "change" ? Tools.GenerationOf(result) : _changedTo;
                return IsOwn(call, result) ? Outcome.Answered : Wrong(call, $"another call's answer: {result.ToJsonString()}");
            default:
                return Wrong(call, $"nothing that it could be answered with: {result.ToJsonString()}");
        }
    }

    /// <summary>The answer of somebody who agrees to the one thing that is asked.</summary>
    private static JsonObject Agreed(JsonObject asked) =>
        new() { [asked.First().Key] = new JsonObject { ["action"] = "accept", ["content"] = new JsonObject { ["sure"] = true } } };

    private static bool IsOwn(CallState call, JsonNode result) => (string?)result["content"]?[0]?["text"] == call.Key;

    private Outcome OutcomeOf(CallState call, JsonNode? error)
    {
        switch ((string?)error?["data"]?["mooring"]?["executed"])
        {
            case "unknown":
                return Outcome.Unknown;
            case "no":
                return Outcome.Refused;
            default:
                tally.Note($"{Who}: {call.Key} failed: {error?.ToJsonString()}");
                return Outcome.Failed;
        }
    }

    private Outcome Wrong(CallState call, string why)
    {
        tally.Note($"{Who}: {call.Key} lost: {why}");
        return Outcome.Lost;
    }

    private sealed record CallState(string Key, string Tool, JsonObject Arguments, Func<bool> HasTime)
    {
        /// <summary>What the server asked, answered.</summary>
        public JsonObject? Answers { get; set; }

        public string? State { get; set; }
    }
}
