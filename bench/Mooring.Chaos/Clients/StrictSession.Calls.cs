using System.Net;
using System.Text.Json.Nodes;
using static Mooring.Chaos.Clients.Talk;

namespace Mooring.Chaos.Clients;

/// <content>Calls: each has a key, is sent once, and ends in exactly one way.</content>
internal sealed partial class StrictSession
{
    private async Task<Outcome> CallAsync(string tool, JsonObject arguments, int seconds, CancellationToken end)
    {
        var key = $"{index}-{Interlocked.Increment(ref _calls)}-{tool}";
        arguments["key"] = key;
        var start = TimeProvider.System.GetTimestamp();
        tally.Began(key);
        var outcome = Outcome.Lost;
        try
        {
            var call = new CallState(key, tool, arguments, () => conduct.HasTime(start, seconds));
            outcome = await SendCallAsync(call, end);
            outcome = call.Task is { } task ? await FollowTaskAsync(call, task, end) : outcome;
            outcome = outcome == Outcome.Cut && !IsPrimed ? (version == March ? Outcome.CutOldest : Outcome.CutOlder) : outcome;
            // Whatever came after the time is over came too late.
            outcome = outcome == Outcome.GivenUp ? Outcome.Refused : call.HasTime() ? outcome : Wrong(call, $"{outcome} after {TimeProvider.System.GetElapsedTime(start).TotalSeconds:0} s");
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            Wrong(new CallState(key, tool, arguments, () => false), $"it never ended; begun {TimeProvider.System.GetElapsedTime(start).TotalSeconds:0} s before everything was over");
            throw;
        }
        finally
        {
            tally.Ended(key, outcome, _pair);
        }

        if (IsResult(outcome) && tool == "slow")
        {
            _events.OweProgress(key, seconds);
        }

        return outcome;
    }

    private async Task<Outcome> SendCallAsync(CallState call, CancellationToken end)
    {
        while (call.HasTime())
        {
            if (Current() is not { } session)
            {
                return Outcome.Refused;
            }

            var id = NextId();
            var parameters = new JsonObject
            {
                ["name"] = call.Tool,
                ["arguments"] = call.Arguments.DeepClone(),
                ["_meta"] = new JsonObject { ["progressToken"] = call.Key },
            };
            if (MakesTaskOf(call.Tool))
            {
                parameters["task"] = new JsonObject { ["ttl"] = 600_000 };
            }

            var message = Request(id, "tools/call", parameters);
            try
            {
                using var response = await http.AskAsync(Post(message, session), end);
                if (response.StatusCode is HttpStatusCode.ServiceUnavailable or HttpStatusCode.TooManyRequests)
                {
                    // Refused before anything was done with it, by the gateway or by a balancer that has nobody to send it to.
                    tally.Waited();
                    await Task.Delay(Later(response), end);
                    continue;
                }

                return await TakeAsync(call, session, id, response, end);
            }
            catch (Exception e) when (WasNotSent(e))
            {
                tally.Waited();
                await Task.Delay(Pause, end);
            }
            catch (Exception e) when (IsTransport(e) && !end.IsCancellationRequested)
            {
                return Outcome.Cut;
            }
        }

        return Outcome.GivenUp;
    }

    /// <summary>Reads the response to a call, whatever it is.</summary>
    private async Task<Outcome> TakeAsync(CallState call, string session, int id, HttpResponseMessage response, CancellationToken end)
    {
        switch (response.StatusCode)
        {
            case HttpStatusCode.OK when response.Content.Headers.ContentType?.MediaType == "text/event-stream":
                return await FollowAsync(call, session, id, response, end);
            case HttpStatusCode.OK:
                return JsonNode.Parse(await response.Content.ReadAsStringAsync(end).WaitAsync(HeadLimit, end)) is JsonObject answer && IsAnswer(answer, id)
                    ? Judge(call, answer)
                    : Wrong(call, "not the answer to it");
            case HttpStatusCode.NotFound:
                SessionLost(session, call.Key);
                return Outcome.Refused;
            case HttpStatusCode.BadGateway or HttpStatusCode.GatewayTimeout:
                // The balancer's way to say that the connection behind it broke.
                return Outcome.Cut;
            default:
                tally.Note($"{Who}: {(int)response.StatusCode} for {call.Key}: {await response.Content.ReadAsStringAsync(end)}");
                return Outcome.Failed;
        }
    }

    /// <summary>Reads the stream of a call to its answer, and comes back for the rest where it breaks.</summary>
    private async Task<Outcome> FollowAsync(CallState call, string session, int id, HttpResponseMessage response, CancellationToken end)
    {
        string? lastEventId = null;
        var resumed = false;
        var retry = Pause;
        var reader = await EventReader.OfAsync(response);
        try
        {
            while (true)
            {
                while (await reader.NextAsync(end) is { } block)
                {
                    lastEventId = block.Id ?? lastEventId;
                    retry = block.Retry is { } milliseconds ? TimeSpan.FromMilliseconds(milliseconds) : retry;
                    if (block.Message is { } message)
                    {
                        if (IsAnswer(message, id))
                        {
                            var outcome = Judge(call, message);
                            return outcome == Outcome.Answered && resumed ? Outcome.Resumed : outcome;
                        }

                        _events.Saw(message, $"on the stream of {call.Key}, id {block.Id}");
                    }
                }

                end.ThrowIfCancellationRequested();
                if (lastEventId is null)
                {
                    return Outcome.Cut;
                }

                reader.Dispose();
                tally.Reconnected();
                if (await ResumeAsync(call, session, lastEventId, retry, end) is not { } next)
                {
                    return Current() == session ? Wrong(call, "its stream could not be resumed") : Outcome.Lost;
                }

                reader = next;
                resumed = true;
            }
        }
        finally
        {
            reader.Dispose();
        }
    }

    private async Task<EventReader?> ResumeAsync(CallState call, string session, string lastEventId, TimeSpan retry, CancellationToken end)
    {
        var broke = TimeProvider.System.GetTimestamp();
        await Task.Delay(retry, end);
        while (call.HasTime())
        {
            try
            {
                var response = await http.AskAsync(Get(session, lastEventId), end);
                switch (response.StatusCode)
                {
                    case HttpStatusCode.OK:
                        tally.Resumptions.Add((TimeProvider.System.GetElapsedTime(broke) - retry).TotalMilliseconds);
                        return await EventReader.OfAsync(response);
                    case HttpStatusCode.NotFound:
                        SessionLost(session, $"the stream of {call.Key}");
                        return null;
                    case HttpStatusCode.MethodNotAllowed:
                        tally.Note($"{Who}: the stream of {call.Key} is said to be over");
                        return null;
                    default:
                        tally.Waited();
                        await Task.Delay(Later(response), end);
                        response.Dispose();
                        break;
                }
            }
            catch (Exception e) when (IsTransport(e) && !end.IsCancellationRequested)
            {
                await Task.Delay(Pause, end);
            }
        }

        return null;
    }

    private Outcome Judge(CallState call, JsonObject answer)
    {
        if (answer["result"] is { } result)
        {
            if (MakesTaskOf(call.Tool) && (string?)result["task"]?["taskId"] is { } task)
            {
                // How it ends is said by what became of that.
                call.Task = task;
                return Outcome.Lost;
            }

            return (string?)result["content"]?[0]?["text"] == call.Key ? Outcome.Answered : Wrong(call, $"another call's answer: {result.ToJsonString()}");
        }

        switch ((string?)answer["error"]?["data"]?["mooring"]?["executed"])
        {
            case "unknown":
                return Outcome.Unknown;
            case "no":
                return Outcome.Refused;
            default:
                tally.Note($"{Who}: {call.Key} failed: {answer.ToJsonString()}");
                return Outcome.Failed;
        }
    }

    private static bool IsResult(Outcome outcome) => outcome is Outcome.Answered or Outcome.Resumed or Outcome.ByTask;

    private Outcome Wrong(CallState call, string why)
    {
        tally.Note($"{Who}: {call.Key} lost: {why}");
        return Outcome.Lost;
    }

    private sealed record CallState(string Key, string Tool, JsonObject Arguments, Func<bool> HasTime)
    {
        /// <summary>The server's task that it became.</summary>
        public string? Task { get; set; }
    }
}
