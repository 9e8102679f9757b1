using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Mooring.Configuration;
using Mooring.Protocol;

namespace Mooring.Host.Cli;

/// <summary>Begins one drain and follows its events to the end, a line per stage and one per second; made for one run.</summary>
internal sealed class DrainWatch(HttpClient http, Uri gateway, TimeProvider time, TextWriter output, TextWriter error)
{
    /// <summary>The gateway says something each second; one that is silent for this long hangs.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(10);

    /// <summary>Beyond what the gateway itself says it takes at most.</summary>
    private static readonly TimeSpan Slack = TimeSpan.FromSeconds(15);

    /// <summary>A stream that is lost while the gateway runs on is opened again, but not for ever.</summary>
    private const int MaxLost = 3;

    /// <summary>Far above any event of the gateway, or reason it gives.</summary>
    private const int MaxBytes = 16 * 1024;

    private Step? _last;
    private long _began;

    public async Task<int> RunAsync(CancellationToken cancel)
    {
        _began = time.GetTimestamp();
        for (var lost = 0; lost < MaxLost; lost++)
        {
            try
            {
                if (await FollowAsync(cancel) is { } code)
                {
                    return code;
                }
            }
            catch (Exception e) when (_last is null && e is (HttpRequestException or IOException or JsonException or TimeoutException))
            {
                return Say(ExitCodes.Unreachable, $"cannot reach a gateway at {Shown}: {Reason(e)}");
            }
            catch (HttpRequestException e) when (e.HttpRequestError == HttpRequestError.ConnectionError)
            {
                return Say(ExitCodes.NotFine, $"the gateway ended in the stage \"{_last!.Stage}\", before the drain was over.");
            }
            catch (Exception e) when (e is HttpRequestException or IOException or JsonException)
            {
                // Only this one stream was lost, or the gateway with it; asking again tells.
            }
            catch (TimeoutException e)
            {
                return Say(ExitCodes.NotFine, $"{e.Message} Giving up.");
            }
        }

        return Say(ExitCodes.NotFine, "the gateway closed the connection again and again before the drain was over.");
    }

    private string Shown => gateway.GetLeftPart(UriPartial.Path).TrimEnd('/');

    /// <returns>The exit code; null when the stream ended before the drain.</returns>
    private async Task<int?> FollowAsync(CancellationToken cancel)
    {
        // The second time only looks: a gateway that was started anew meanwhile is not to drain too.
        using var request = new HttpRequestMessage(_last is null ? HttpMethod.Post : HttpMethod.Get, new Uri(gateway, "admin/api/drain"));
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
        using var response = await WithinAsync(token => http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, token), cancel);
        await using var body = await response.Content.ReadAsStreamAsync(cancel);
        if (response.StatusCode != HttpStatusCode.OK || response.Content.Headers.ContentType?.MediaType != "text/event-stream")
        {
            return await RefusedAsync(response, body, cancel);
        }

        using var reader = new SseReader(body, MaxBytes);
        while (true)
        {
            var read = await WithinAsync(token => reader.ReadAsync(token).AsTask(), cancel);
            switch (read.Kind)
            {
                case SseReadKind.Event:
                    if (Take(Step.Of(read.Data)) is { } code)
                    {
                        return code;
                    }

                    break;
                case SseReadKind.End or SseReadKind.CutMidEvent or SseReadKind.TooLarge:
                    return null;
            }

            // Also where only comments come: they are the heartbeat's, and go on when the drain hangs.
            var limit = _last is { } last ? TimeSpan.FromSeconds(last.AtMost) + Slack : Silence;
            if (time.GetElapsedTime(_began) > limit)
            {
                throw new TimeoutException($"the drain is not over after {DurationText.Format(limit)}.");
            }
        }
    }

    private int? Take(Step step)
    {
        if (step.Stage is null)
        {
            return Say(ExitCodes.NotFine, "the gateway ended before the drain was over, and another one runs there now.");
        }

        if (_last is null)
        {
            output.WriteLine($"Draining {Shown}, for {step.AtMost:0.#} s at most.");
        }

        if (step.Stage != _last?.Stage && !step.Done)
        {
            output.WriteLine(Meaning(step.Stage));
        }

        if (Math.Floor(step.Seconds) > Math.Floor(_last?.Seconds ?? -1) && !step.Done)
        {
            output.WriteLine($"{Math.Floor(step.Seconds),6:0} s  {Count(step.Sessions, "session")}, {Count(step.Streams, "stream")}, {Count(step.Calls, "call")} under way");
        }

        output.Flush();
        _last = step;
        return step.Done ? Over(step) : null;
    }

    private int Over(Step step)
    {
        if (step.Stage == "failed")
        {
            return Say(ExitCodes.NotFine, $"the drain ended after {step.Seconds:0.0} s without going through all its stages; the gateway's log says why.");
        }

        if (step.CutOff > 0)
        {
            return Say(ExitCodes.NotFine, $"drained in {step.Seconds:0.0} s; {Count(step.CutOff, "call")} did not finish and {(step.CutOff == 1 ? "was" : "were")} cut off.");
        }

        output.WriteLine($"Drained in {step.Seconds:0.0} s; nothing was cut off. The gateway waits for its signal.");
        output.Flush();
        return ExitCodes.Fine;
    }

    private async Task<int> RefusedAsync(HttpResponseMessage response, Stream body, CancellationToken cancel)
    {
        if (response.StatusCode == HttpStatusCode.Unauthorized)
        {
            return Say(ExitCodes.NotFine, $"the gateway wants to know who asks: put a token with the scope admin into {Configuration.EnvironmentOverrides.Token} (mooring token create --scopes admin).");
        }

        if (response.StatusCode != HttpStatusCode.Forbidden)
        {
            return Say(ExitCodes.Unreachable, $"{Shown} is no gateway that can be drained: it answered {(int)response.StatusCode}.");
        }

        var bytes = new byte[MaxBytes];
        var length = await WithinAsync(token => body.ReadAtLeastAsync(bytes, MaxBytes, throwOnEndOfStream: false, token).AsTask(), cancel);
        using var json = JsonDocument.Parse(bytes.AsMemory(0, length));
        return Say(ExitCodes.NotFine, $"the gateway refuses: {(json.RootElement.TryGetProperty("error", out var why) ? (why.ValueKind == JsonValueKind.Object && why.TryGetProperty("message", out var message) ? message : why).ToString() : "403")}");
    }

    private async Task<T> WithinAsync<T>(Func<CancellationToken, Task<T>> step, CancellationToken cancel)
    {
        using var silence = new CancellationTokenSource(Silence, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, cancel);
        try
        {
            return await step(either.Token);
        }
        catch (OperationCanceledException e) when (silence.IsCancellationRequested && !cancel.IsCancellationRequested)
        {
            throw new TimeoutException($"the gateway said nothing for {DurationText.Format(Silence)}.", e);
        }
    }

    private int Say(int code, string text)
    {
        error.WriteLine($"mooring: {text}");
        return code;
    }

    private static string Reason(Exception e) => e is JsonException ? "what answers there is no gateway." : e.Message.TrimEnd('.') + ".";

    private static string Count(int count, string word) => $"{count} {word}{(count == 1 ? "" : "s")}";

    private static string Meaning(string stage) => stage switch
    {
        "unready" => "unready: not ready any more, but serving everything, until the balancer has noticed",
        "closing_streams" => "closing_streams: streams that can come back are sent away",
        "finishing_calls" => "finishing_calls: waiting for calls under way",
        "aborting_rest" => "aborting_rest: what is left is ended",
        _ => stage,
    };

    /// <summary>One event of the gateway.</summary>
    /// <param name="Stage">Null: no drain was begun there.</param>
    private sealed record Step(string? Stage, int Sessions, int Streams, int Calls, double Seconds, double AtMost, int CutOff, bool Done)
    {
        /// <exception cref="JsonException">It is none.</exception>
        public static Step Of(ReadOnlyMemory<byte> data)
        {
            using var json = JsonDocument.Parse(data);
            var root = json.RootElement;
            try
            {
                return new Step(
                    root.GetProperty("stage").GetString(), root.GetProperty("sessions").GetInt32(), root.GetProperty("streams").GetInt32(),
                    root.GetProperty("calls").GetInt32(), root.GetProperty("seconds").GetDouble(), root.GetProperty("secondsAtMost").GetDouble(),
                    root.GetProperty("cutOff").GetInt32(), root.GetProperty("done").GetBoolean());
            }
            catch (Exception e) when (e is KeyNotFoundException or InvalidOperationException or FormatException)
            {
                throw new JsonException("Not an event of a drain.", e);
            }
        }
    }
}
