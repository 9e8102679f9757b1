using System.Net;
using System.Text.Json.Nodes;
using static Mooring.Chaos.Clients.Talk;

namespace Mooring.Chaos.Clients;

/// <content>
/// Calls: each has a key, is sent once, and ends in exactly one way. While its stream lives its answer has to come there. One whose stream ended may have
/// been answered on it: what does not come on the next one soon is cut, as the version has it.
/// </content>
internal sealed partial class LegacySession
{
    /// <summary>
    /// What waited for a stream comes as soon as there is one, what is executed then when it is done, and what a dead gateway had of it once that is taken over: a lease of 8 s, and some beats.
    /// </summary>
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(14);

    private async Task<Outcome> CallAsync(string tool, JsonObject arguments, int seconds, CancellationToken end)
    {
        var key = $"l{index}-{Interlocked.Increment(ref _calls)}-{tool}";
        arguments["key"] = key;
        var call = new CallState(key, tool, arguments, seconds, TimeProvider.System.GetTimestamp());
        tally.Began(key);
        var outcome = Outcome.Lost;
        try
        {
            outcome = await SendCallAsync(call, end);
            // Whatever came after the time is over came too late.
            outcome = outcome == Outcome.GivenUp ? Outcome.Refused : HasTime(call) || outcome == Outcome.CutLegacy ? outcome : Wrong(call, $"{outcome} after {conduct.Since(call.Start).TotalSeconds:0} s");
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            Wrong(call, $"it never ended; begun {conduct.Since(call.Start).TotalSeconds:0} s before everything was over");
            throw;
        }
        finally
        {
            tally.Ended(key, outcome, _pair);
            journal.Write($"{key} ended as {outcome}");
        }

        // What was said of it on a stream that ended, nobody can ask for.
        if (outcome == Outcome.Answered && tool == "slow")
        {
            _events.OweProgress(key, seconds);
        }

        return outcome;
    }

    private bool HasTime(CallState call) => conduct.HasTime(call.Start, call.Seconds);

    private async Task<Outcome> SendCallAsync(CallState call, CancellationToken end)
    {
        while (HasTime(call))
        {
            var connecting = ConnectedAsync(end);
            await Task.WhenAny(connecting, Task.Delay(Pause, end));
            end.ThrowIfCancellationRequested();
            if (!connecting.IsCompletedSuccessfully)
            {
                tally.Waited();
                continue;
            }

            var connection = await connecting;
            if (!IsOpen(connection.Session))
            {
                return Outcome.Refused;
            }

            var id = NextId();
            var answer = Expect(id);
            try
            {
                using var response = await http.AskAsync(Post(connection.Messages, Request(id, "tools/call", new JsonObject
                {
                    ["name"] = call.Tool,
                    ["arguments"] = call.Arguments.DeepClone(),
                    ["_meta"] = new JsonObject { ["progressToken"] = call.Key },
                })), end);
                switch (response.StatusCode)
                {
                    case HttpStatusCode.Accepted:
                        return await AwaitAsync(call, connection, answer, end);
                    case HttpStatusCode.ServiceUnavailable or HttpStatusCode.TooManyRequests:
                        // Refused before anything was done with it, by the gateway or by a balancer that has nobody to send it to.
                        tally.Waited();
                        await Task.Delay(Later(response), end);
                        continue;
                    case HttpStatusCode.NotFound:
                        SessionLost(connection.Session, call.Key);
                        return Outcome.Refused;
                    case HttpStatusCode.BadGateway or HttpStatusCode.GatewayTimeout:
                        // The balancer's way to say that the connection behind it broke.
                        return Outcome.CutLegacy;
                    default:
                        tally.Note($"{Who}: {(int)response.StatusCode} for {call.Key}: {await response.Content.ReadAsStringAsync(end)}");
                        return Outcome.Failed;
                }
            }
            catch (Exception e) when (WasNotSent(e))
            {
                tally.Waited();
                await Task.Delay(Pause, end);
            }
            catch (Exception e) when (IsTransport(e) && !end.IsCancellationRequested)
            {
                return Outcome.CutLegacy;
            }
            finally
            {
                _expected.TryRemove(id, out _);
            }
        }

        return Outcome.GivenUp;
    }

    private async Task<Outcome> AwaitAsync(CallState call, Connection asked, Task<(JsonObject Message, Connection On)> answer, CancellationToken end)
    {
        while (true)
        {
            await Task.WhenAny(answer, Task.Delay(Pause, end));
            end.ThrowIfCancellationRequested();
            if (answer.IsCompletedSuccessfully)
            {
                var (message, on) = await answer;
                var outcome = Judge(call, message);
                return outcome == Outcome.Answered && on != asked ? Outcome.Resumed : outcome;
            }

            if (!asked.Over.IsCompleted)
            {
                if (!HasTime(call))
                {
                    return Wrong(call, "no answer on a stream that lives");
                }
            }
            else if (!HasTime(call) || (IsBackFor(Soon) && conduct.Since(call.Start) > TimeSpan.FromSeconds(call.Seconds) + Soon))
            {
                return Outcome.CutLegacy;
            }
        }
    }

    /// <summary>Whether there is a stream again, for as long as that.</summary>
    private bool IsBackFor(TimeSpan time)
    {
        lock (_gate)
        {
            return _connected.Task is { IsCompletedSuccessfully: true } now && TimeProvider.System.GetElapsedTime(now.Result.Began) > time;
        }
    }

    private Outcome Judge(CallState call, JsonObject answer)
    {
        if (answer["result"] is { } result)
        {
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

    private Outcome Wrong(CallState call, string why)
    {
        tally.Note($"{Who}: {call.Key} lost: {why}");
        return Outcome.Lost;
    }

    private sealed record CallState(string Key, string Tool, JsonObject Arguments, int Seconds, long Start);
}
