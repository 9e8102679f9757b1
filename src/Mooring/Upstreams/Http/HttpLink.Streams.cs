using System.Net;
using Mooring.Protocol;
using Mooring.Stores;

namespace Mooring.Upstreams.Http;

/// <content>Event streams of a Streamable HTTP server: the stream of one POST and its resumption.</content>
internal sealed partial class HttpLink
{
    /// <summary>How often one broken answer stream is resumed before its outcome is called unknown.</summary>
    private const int MaxResumptions = 100;

    /// <summary>How often a stream that broke is asked for before it is given up.</summary>
    private const int MaxTries = 5;

    public override async ValueTask<Attempt> GoOnAsync(PendingRequest request, string after)
    {
        try
        {
            return await ReadStreamAsync(request, response: null, _session, request.Abandoned, after);
        }
        catch (Exception e) when (HttpExchange.IsFailure(e))
        {
            return HttpExchange.Failed(e, request.Abandoned);
        }
    }

    /// <param name="pending">Whose answer it has.</param>
    /// <param name="response">The stream; null: it is asked for from the place <paramref name="after"/> first.</param>
    /// <param name="session">The server's session.</param>
    /// <param name="cancel">Gives up.</param>
    /// <param name="after">The last event that was heard of it before.</param>
    private async ValueTask<Attempt> ReadStreamAsync(PendingRequest pending, HttpResponseMessage? response, string? session, CancellationToken cancel, string? after = null)
    {
        var cursor = new Cursor { Id = after };
        cursor.OnPrimed = () =>
        {
            if (OriginAt(cursor, session) is { } origin)
            {
                pending.OnPrimed(this, origin);
            }
        };
        var pause = new StreamPause(_time);
        var resumptions = 0;
        var current = response;
        try
        {
            while (true)
            {
                if (current is not null)
                {
                    pause.Begun();
                    var (answer, end, any) = await ReadUntilAnswerAsync(pending, current, session, cursor, cancel);
                    if (answer is not null)
                    {
                        return Attempt.Answered(answer);
                    }

                    if (end is StreamEnding.Spoiled)
                    {
                        return Attempt.Unknown($"it answered with something that is not a message: {cursor.Fault}");
                    }

                    if (end is StreamEnding.TooLarge)
                    {
                        return Attempt.Unknown($"it sent a message larger than the limit of {_http.MaxBytes} bytes");
                    }

                    // Without an event id there is nothing to go on from. One that brings something each time may go on as long as the call may.
                    resumptions = any ? 0 : resumptions + 1;
                    if (cursor.Id is not { Length: > 0 } || resumptions > MaxResumptions)
                    {
                        return Attempt.Cut("its answer stream ended before the answer");
                    }

                    if (end == StreamEnding.Clean)
                    {
                        pending.OnPaused(cursor.Retry);
                    }

                    pause.Ended(any);
                }

                var next = await ResumeAsync(session, cursor.Id!, pause, cursor, cancel);
                if (next is null)
                {
                    return Attempt.Cut("its answer stream broke and could not be resumed");
                }

                if (!ReferenceEquals(current, response))
                {
                    current?.Dispose();
                }

                current = next;
            }
        }
        finally
        {
            if (!ReferenceEquals(current, response))
            {
                current?.Dispose();
            }
        }
    }

    /// <summary>The place of the event that was read just now; null where it has none of its own.</summary>
    private EventOrigin? OriginAt(Cursor cursor, string? session) =>
        session is not null && cursor is { IsAtEvent: true, More.Count: 0, Id: { Length: > 0 } id } ? new EventOrigin(Upstream.Name, session, id) : null;

    private async ValueTask<(Frame? Answer, StreamEnding End, bool Any)> ReadUntilAnswerAsync(
        PendingRequest pending, HttpResponseMessage response, string? session, Cursor cursor, CancellationToken cancel)
    {
        var any = false;
        try
        {
            using var reader = new SseReader(new FairStream(await response.Content.ReadAsStreamAsync(cancel)), MaxEventBytes);
            while (true)
            {
                var (frame, end) = await ReadFrameAsync(reader, cursor, pending.Id, cancel);
                if (frame is null)
                {
                    return (null, end, any);
                }

                any = true;
                if (frame.Kind is FrameKind.Request or FrameKind.Notification)
                {
                    pending.OnRelated(this, frame, OriginAt(cursor, session));
                    await pending.ReadyAsync().WaitAsync(cancel);
                    continue;
                }

                if (Check(frame, pending).Kind == AttemptKind.Answered)
                {
                    return (frame, StreamEnding.Clean, any);
                }

                Log.WrongAnswer(_logger, Upstream.Name);
            }
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            return (null, StreamEnding.Broken, any);
        }
    }

    /// <summary>The next message on a stream; no frame: the stream is over, or its answer to <paramref name="awaited"/> is none.</summary>
    private async ValueTask<(Frame? Frame, StreamEnding End)> ReadFrameAsync(SseReader reader, Cursor cursor, long? awaited, CancellationToken cancel)
    {
        while (true)
        {
            if (cursor.More.TryDequeue(out var next))
            {
                return (next, StreamEnding.Clean);
            }

            var read = await reader.ReadAsync(cancel);
            switch (read.Kind)
            {
                case SseReadKind.End:
                    return (null, StreamEnding.Clean);
                case SseReadKind.CutMidEvent:
                    return (null, StreamEnding.Broken);
                case SseReadKind.TooLarge:
                    return (null, StreamEnding.TooLarge);
                case SseReadKind.Retry:
                    cursor.Retry = read.Retry;
                    continue;
                case SseReadKind.Comment:
                    continue;
            }

            cursor.Retry = read.Retry ?? cursor.Retry;
            cursor.Id = read.LastEventId ?? cursor.Id;
            cursor.IsAtEvent = read.LastEventId is not null;
            if (read.Data.IsEmpty || read.EventType != SseReader.MessageType)
            {
                cursor.OnPrimed?.Invoke();
                continue;
            }

            var bytes = read.Data.ToArray();
            if (bytes.Length > FairStream.Turn)
            {
                await Task.Yield();
            }

            var came = ChannelRead.Parse(bytes, bytes.Length, pooled: false, _http.FrameLimits);
            if (came.Frame is { } only)
            {
                return (only, StreamEnding.Clean);
            }

            foreach (var message in came.In(Version, Upstream.Limits))
            {
                if (message.Frame is { } frame)
                {
                    cursor.More.Enqueue(frame);
                    continue;
                }

                Log.BadEvent(_logger, Upstream.Name, message.Fault!);
                if (awaited is not null && message.Spoiled == awaited)
                {
                    cursor.Fault = message.Fault;
                    return (null, StreamEnding.Spoiled);
                }
            }
        }
    }

    private int MaxEventBytes => (int)Math.Min(int.MaxValue, _http.MaxBytes + 1024);

    private async Task<HttpResponseMessage?> ResumeAsync(string? session, string lastEventId, StreamPause pause, Cursor cursor, CancellationToken cancel)
    {
        // A few tries over some seconds: a server that restarts is back by then, and the call's own deadline stands above all.
        for (var attempt = 0; attempt < MaxTries;)
        {
            await Task.Delay(pause.Next(cursor.Retry), _time, cancel);
            var (response, status) = await GetAsync(session, lastEventId, cancel);
            if (response is not null)
            {
                return response;
            }

            if (status is >= 400 and < 500 and not (408 or 409 or 429))
            {
                return null;
            }

            // 409: it takes the connection before for alive, which may take as long as its machine does to find out.
            attempt += status == 409 ? 0 : 1;
        }

        return null;
    }

    /// <returns>The stream, or the status with which the server refused it; 0: it said nothing about the stream, and may give it the next time.</returns>
    private async Task<(HttpResponseMessage? Stream, int Status)> GetAsync(string? session, string? lastEventId, CancellationToken cancel)
    {
        try
        {
            using var request = _http.Request(HttpMethod.Get);
            request.Headers.TryAddWithoutValidation("Accept", "text/event-stream");
            HttpExchange.Identify(request, session, _versionHeader);
            if (lastEventId is not null)
            {
                request.Headers.TryAddWithoutValidation("Last-Event-ID", lastEventId);
            }

            var response = await _http.SendAsync(request, cancel);
            if (HttpExchange.IsEventStream(response))
            {
                return (response, 200);
            }

            response.Dispose();
            if (LinkAuthorizer.NeededFor(response) is not null)
            {
                // For want of somebody's token, mostly without asking the server: the store, the provider or the account may be there again soon.
                return (null, 0);
            }

            return (null, (int)response.StatusCode == 200 ? 405 : (int)response.StatusCode);
        }
        catch (HttpRequestException)
        {
            return (null, 0);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return (null, 0);
        }
    }

    private enum StreamEnding
    {
        Clean,
        Broken,
        TooLarge,

        /// <summary>The answer came, and is not a message.</summary>
        Spoiled,
    }

    /// <summary>Where a stream was left, to go on from there.</summary>
    private sealed class Cursor
    {
        public string? Id { get; set; }

        /// <summary>Messages of the event that was read last which were not handed over yet; its place is that of the last.</summary>
        public Queue<Frame> More { get; } = new();

        /// <summary>Whether the event that was read last had an id, which is the place then.</summary>
        public bool IsAtEvent { get; set; }

        public TimeSpan? Retry { get; set; }

        /// <summary>Told when an event came that has no message: with an id, it names a place to go on from before the first one.</summary>
        public Action? OnPrimed { get; set; }

        /// <summary>What was wrong with the answer.</summary>
        public string? Fault { get; set; }
    }
}
