using System.Net;
using System.Runtime.CompilerServices;
using Mooring.Protocol;
using Mooring.Upstreams.Http;

namespace Mooring.Upstreams.Stateless;

/// <summary>
/// Streamable HTTP without sessions (2026-07-28, basic/transports/streamable-http): every request is a POST of its own, what is cancelled is hung up,
/// and a stream that breaks cannot be gone on with.
/// </summary>
internal sealed partial class StatelessHttp(HttpExchange http, Upstream upstream, ILogger logger) : IStatelessLeg
{
    private bool _closed;
    private StatelessLink _link = null!;

    public bool IsUsable => !_closed;

    public bool TellsRequests => true;

    public bool HoldsState => false;

    public string EndReason => "the gateway closed the link";

    public void Attach(StatelessLink link) => _link = link;

    public void Refuse(ReadOnlySpan<byte> id)
    {
        // There is no stream in that direction.
    }

    public ValueTask DisposeAsync()
    {
        _closed = true;
        return ValueTask.CompletedTask;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<Attempt> CallAsync(StatelessRequest request)
    {
        var cancel = request.Abandoned;
        HttpResponseMessage? response = null;
        Attempt attempt;
        try
        {
            // With the body's own headers, whose values they repeat: among those of the request they would be too many for the room that it begins with.
            var content = new MessageContent(request.ToMessage());
            request.Repeat(content.Headers);
            using var post = http.Post(content, session: null, ProtocolVersions.Stateless);
            response = await http.SendAsync(post, cancel, request);
            attempt = await ReadAsync(request, response, cancel);
        }
        catch (Exception e) when (HttpExchange.IsFailure(e))
        {
            attempt = HttpExchange.Failed(e, cancel);
        }
        finally
        {
            // Closing its stream is how a request is cancelled.
            response?.Dispose();
        }

        return await request.EndAsync(attempt);
    }

    /// <summary>Reads what came: one JSON answer, or a stream that has the answer in it.</summary>
    private ValueTask<Attempt> ReadAsync(StatelessRequest request, HttpResponseMessage response, CancellationToken cancel)
    {
        if (response.StatusCode != HttpStatusCode.OK)
        {
            return RefusedAsync(request, response, cancel);
        }

        if (HttpExchange.Encoding(response) is { } encoding)
        {
            return new(Attempt.Unknown($"it answered with content encoding \"{encoding}\", which the gateway did not ask for"));
        }

        switch (HttpExchange.MediaType(response))
        {
            case "application/json" when request is Subscription:
                // Some servers answer with one message a line, for as long as it lasts, and call that JSON.
                return ReadLinesAsync(request, response, cancel);
            case "application/json":
                return ReadJsonAsync(request, response, cancel);
            case "text/event-stream":
                var reading = ReadStreamAsync(request, response, cancel);
                request.OnStreamed(isWhole: reading.IsCompleted);
                return reading;
            case var other:
                return new(Attempt.Unknown($"it answered 200 with content type \"{other}\" instead of JSON or an event stream"));
        }
    }

    private async ValueTask<Attempt> ReadJsonAsync(StatelessRequest request, HttpResponseMessage response, CancellationToken cancel)
    {
        var (frame, fault, _) = await http.ReadFrameAsync(response.Content, cancel);
        return frame is null ? Attempt.Unknown($"it answered with something that is not a message: {fault}") : Check(frame, request);
    }

    private async ValueTask<Attempt> ReadStreamAsync(PendingRequest request, HttpResponseMessage response, CancellationToken cancel)
    {
        using var reader = new SseReader(new FairStream(await response.Content.ReadAsStreamAsync(cancel)), (int)Math.Min(int.MaxValue, http.MaxBytes + 1024));
        while (true)
        {
            var read = await reader.ReadAsync(cancel);
            switch (read.Kind)
            {
                case SseReadKind.End or SseReadKind.CutMidEvent:
                    return Attempt.Cut("its answer stream ended before the answer");
                case SseReadKind.TooLarge:
                    return Attempt.Unknown($"it sent a message larger than the limit of {http.MaxBytes} bytes");
                case SseReadKind.Event when !read.Data.IsEmpty && read.EventType == SseReader.MessageType:
                    var bytes = read.Data.ToArray();
                    if (bytes.Length > FairStream.Turn)
                    {
                        await Task.Yield();
                    }

                    if (await TakeAsync(request, ChannelRead.Parse(bytes, bytes.Length, pooled: false, http.FrameLimits), cancel) is { } attempt)
                    {
                        return attempt;
                    }

                    break;
            }
        }
    }

    private async ValueTask<Attempt> ReadLinesAsync(PendingRequest request, HttpResponseMessage response, CancellationToken cancel)
    {
        var body = await response.Content.ReadAsStreamAsync(cancel);
        var lines = new LineChannel(body, Stream.Null, http.MaxBytes, http.FrameLimits, () => "", () => ValueTask.CompletedTask, takesLast: true);
        try
        {
            while (true)
            {
                var read = await lines.ReadAsync(cancel);
                if (read.IsEnd)
                {
                    return Attempt.Cut("its answer ended before the last message");
                }

                if (await TakeAsync(request, read, cancel) is { } attempt)
                {
                    return attempt;
                }
            }
        }
        finally
        {
            await lines.DisposeAsync();
        }
    }

    /// <returns>How the request ended, or null where it has not.</returns>
    private async ValueTask<Attempt?> TakeAsync(PendingRequest request, ChannelRead read, CancellationToken cancel)
    {
        if (read.Frame is not { } frame)
        {
            Log.BadEvent(logger, upstream.Name, read.Fault!);
            return read.Spoiled == request.Id ? Attempt.Unknown($"it answered with something that is not a message: {read.Fault}") : null;
        }

        if (frame.Kind is FrameKind.Request or FrameKind.Notification)
        {
            request.OnRelated(_link, frame);
            await request.ReadyAsync().WaitAsync(cancel);
            return null;
        }

        var attempt = Check(frame, request);
        if (attempt.Kind == AttemptKind.Answered)
        {
            return attempt;
        }

        Log.WrongAnswer(logger, upstream.Name);
        return null;
    }

    private static Attempt Check(Frame frame, PendingRequest request)
    {
        if (frame.Kind is not (FrameKind.Result or FrameKind.Error))
        {
            frame.Dispose();
            return Attempt.Unknown("it answered with a request or notification instead of a response");
        }

        // An error without an id is the server's word that it could not read the request; some make a string of the id of what they listen by.
        if ((frame.Kind == FrameKind.Error && frame.Id.IsEmpty) || (JsonRpc.TryReadId(frame.Id.Trim((byte)'"'), out var id) && id == request.Id))
        {
            return Attempt.Answered(frame);
        }

        frame.Dispose();
        return Attempt.Unknown("it answered with the id of another request");
    }

    private async ValueTask<Attempt> RefusedAsync(PendingRequest request, HttpResponseMessage response, CancellationToken cancel) =>
        await RefusalAsync(request, response, cancel) with { Status = (int)response.StatusCode };

    private async ValueTask<Attempt> RefusalAsync(PendingRequest request, HttpResponseMessage response, CancellationToken cancel)
    {
        if (LinkAuthorizer.NeededFor(response) is { } needed)
        {
            return needed.ToAttempt();
        }

        var status = (int)response.StatusCode;
        var detail = $"it answered HTTP {status}";
        if (HttpExchange.MediaType(response) == "application/json")
        {
            // The error statuses of this version carry an error of the server's own, with the id where it could be read.
            var (frame, _, _) = await http.ReadFrameAsync(response.Content, cancel);
            if (frame is { Kind: FrameKind.Error } && Check(frame, request) is { Kind: AttemptKind.Answered } answered)
            {
                return answered;
            }
        }

        return status switch
        {
            202 => Attempt.Unknown("it answered 202 to a request, as if it were a notification"),
            < 300 => Attempt.Unknown($"{detail}, a success without an answer"),
            < 400 => Attempt.Refused($"{detail}, a redirect, which is not followed: set that address as its url if it is the same server"),
            503 when upstream.Config.RetryOn503 => Attempt.NotExecuted(detail),
            502 => Attempt.Cut($"{detail}: something between the gateway and the server got no answer from it"),
            504 => Attempt.Unknown($"{detail}: something between the gateway and the server gave up waiting"),
            >= 500 => Attempt.Unknown(detail),
            _ => Attempt.Refused(detail),
        };
    }

    private static partial class Log
    {
        [LoggerMessage(346, LogLevel.Warning, "Server {Server} sent something on an event stream that is not a message: {Fault}", EventName = "StatelessBadEvent")]
        public static partial void BadEvent(ILogger logger, string server, string fault);

        [LoggerMessage(347, LogLevel.Warning, "Server {Server} sent an answer on a stream that belongs to another request.", EventName = "StatelessWrongAnswer")]
        public static partial void WrongAnswer(ILogger logger, string server);
    }
}
