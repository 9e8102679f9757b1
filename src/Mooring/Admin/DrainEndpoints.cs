using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Hosting;
using Mooring.Auth;
using Mooring.Drain;
using Mooring.Streams;
using Mooring.Telemetry;

namespace Mooring.Admin;

/// <summary>
/// Begins a drain and tells how far it is: as JSON, or as events for whoever asks for them. The gateway stays up when it is over, refusing
/// work, until it gets its signal.
/// </summary>
internal sealed partial class DrainEndpoints(
    Doorkeeper doorkeeper, GatewayDrain drain, StreamTable streams, TimeProvider time, IHostApplicationLifetime lifetime, ILogger<DrainEndpoints> logger)
{
    private const string Path = "/admin/api/drain";

    /// <summary>Who follows a drain: the verb and a page or two. More is a mistake, and each looks ten times a second.</summary>
    private const int MaxWatchers = 8;

    private static readonly string[] Methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100);

    /// <summary>With the time between two looks: an event per second, also while nothing changes.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(900);

    /// <summary>Of the streams in the table those that only follow the drain: nobody waits for them.</summary>
    private int _watching;

    public void Map(IEndpointRouteBuilder routes) => routes.MapMethods(Path, Methods, AnswerAsync);

    private async Task AnswerAsync(HttpContext context)
    {
        if (!await AdminAnswers.PassesAsync(context, doorkeeper, "GET", "POST"))
        {
            return;
        }

        var begins = HttpMethods.IsPost(context.Request.Method);
        if (begins)
        {
            if (drain.Stage is null)
            {
                Log.Asked(logger);
            }

            drain.Begin(evenIfIdle: true).Unawaited(logger);
        }

        if (context.Request.Headers.Accept.ToString().Contains("text/event-stream", StringComparison.OrdinalIgnoreCase))
        {
            await WatchAsync(context);
            return;
        }

        context.Response.StatusCode = begins && !drain.Progress.IsDone ? StatusCodes.Status202Accepted : StatusCodes.Status200OK;
        await AdminAnswers.WriteAsync(context, Write(drain.Progress));
    }

    /// <summary>An event for each change, and at least one per second while it drains; the stream ends with the drain.</summary>
    private async Task WatchAsync(HttpContext context)
    {
        // Written before this stream is one of those that are counted.
        var told = drain.Progress;
        var line = Write(told);
        if (Interlocked.Increment(ref _watching) > MaxWatchers)
        {
            Interlocked.Decrement(ref _watching);
            context.Response.Headers.RetryAfter = "5";
            await AdminAnswers.RefuseAsync(context, StatusCodes.Status429TooManyRequests, $"{MaxWatchers} others follow the drain already.");
            return;
        }

        var connection = new SseConnection(context, streams, "admin") { OnEnded = _ => Interlocked.Decrement(ref _watching) };
        var running = connection.RunAsync(writer => SseFormat.WriteMessage(writer, id: null, line));
        await TellAsync(connection, told);
        connection.Complete(StreamReason.Answered, ClosedBy.Gateway);
        await running;
    }

    private async Task TellAsync(SseConnection connection, DrainProgress told)
    {
        var toldStreams = streams.Count;
        var toldAt = time.GetTimestamp();
        while (connection.IsOpen && !told.IsDone)
        {
            var last = lifetime.ApplicationStopping.IsCancellationRequested;
            if (!last)
            {
                await Task.Delay(Look, time);
            }

            var now = drain.Progress;
            var changed = now with { Elapsed = told.Elapsed } != told || streams.Count != toldStreams;
            var due = now.Stage is not null && time.GetElapsedTime(toldAt) >= Longest;
            if (changed || due)
            {
                connection.WriteMessage(id: null, Write(now));
                (told, toldStreams, toldAt) = (now, streams.Count, time.GetTimestamp());
            }

            if (last)
            {
                // A host that stops after the drain still tells that it is over.
                return;
            }
        }
    }

    private byte[] Write(DrainProgress progress)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using var json = new Utf8JsonWriter(buffer);
        json.WriteStartObject();
        json.WriteString("stage", progress.Word);
        json.WriteNumber("sessions", progress.Sessions);
        json.WriteNumber("streams", Math.Max(0, streams.Count - Volatile.Read(ref _watching)));
        json.WriteNumber("calls", progress.Calls);
        json.WriteNumber("seconds", Math.Round(progress.Elapsed.TotalSeconds, 1));
        json.WriteNumber("secondsAtMost", Math.Round(progress.AtMost.TotalSeconds, 1));
        json.WriteNumber("cutOff", progress.CutOff);
        json.WriteBoolean("done", progress.IsDone);
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    private static partial class Log
    {
        [LoggerMessage(710, LogLevel.Information, "A drain was asked for over the admin endpoint; the process goes on until it gets its signal.", EventName = "DrainAsked")]
        public static partial void Asked(ILogger logger);
    }
}
