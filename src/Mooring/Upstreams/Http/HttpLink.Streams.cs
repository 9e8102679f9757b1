using System.Net;
using Mooring.Protocol;
using Mooring.Stores;

namespace Mooring.Upstreams.Http;

/// <content>Event streams of a Streamable HTTP server: the stream of one POST, its resumption, and the standalone GET stream.</content>
internal sealed partial class HttpLink
{
    /// <summary>How often one broken answer stream is resumed before its outcome is called unknown.</summary>
    private const int MaxResumptions = 100;

    private static readonly TimeSpan DefaultRetry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(30);

    public override bool HasToListen => true;

    public override bool Listens => _listening is not null;

    /// <summary>Opens the standalone GET stream, for what the server says outside of any request.</summary>
    /// <inheritdoc/>
    public override void Listen(string? after)
    {
        lock (_gate)
        {
            if (_listening is not null || _closed)
            {
                return;
            }

            _listening = CancellationTokenSource.CreateLinkedTokenSource(_closing.Token);
            _relaying = ListenAsync(new Cursor { Id = after }, _listening.Token);
        }
    }

    public override async Task StopListeningAsync()
    {
        CancellationTokenSource? listening;
        Task relaying;
        lock (_gate)
        {
            (listening, _listening) = (_listening, null);
            relaying = _relaying;
        }

        if (listening is not null)
        {
            await listening.CancelAsync();
            await relaying;
            listening.Dispose();
        }
    }

    private async ValueTask<Attempt> ReadStreamAsync(PendingRequest pending, HttpResponseMessage response, string? session, CancellationToken cancel)
    {
        var cursor = new Cursor();
        var resumptions = 0;
        var current = response;
        try
        {
            while (true)
            {
                var (answer, end) = await ReadUntilAnswerAsync(pending, current, cursor, cancel);
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

                // Without an event id there is nothing to go on from.
                if (cursor.Id is not { Length: > 0 } id || resumptions++ == MaxResumptions)
                {
                    return Attempt.Unknown("its answer stream ended before the answer");
                }

                if (end == StreamEnding.Clean)
                {
                    pending.OnPaused(cursor.Retry);
                }

                var next = await ResumeAsync(session, id, cursor.Retry ?? DefaultRetry, cancel);
                if (next is null)
                {
                    return Attempt.Unknown("its answer stream broke and could not be resumed");
                }

                if (!ReferenceEquals(current, response))
                {
                    current.Dispose();
                }

                current = next;
            }
        }
        finally
        {
            if (!ReferenceEquals(current, response))
            {
                current.Dispose();
            }
        }
    }

    private async ValueTask<(Frame? Answer, StreamEnding End)> ReadUntilAnswerAsync(
        PendingRequest pending, HttpResponseMessage response, Cursor cursor, CancellationToken cancel)
    {
        try
        {
            using var reader = new SseReader(new FairStream(await response.Content.ReadAsStreamAsync(cancel)), MaxEventBytes);
            while (true)
            {
                var (frame, end) = await ReadFrameAsync(reader, cursor, pending.Id, cancel);
                if (frame is null)
                {
                    return (null, end);
                }

                if (frame.Kind is FrameKind.Request or FrameKind.Notification)
                {
                    pending.OnRelated(this, frame);
                    await pending.ReadyAsync().WaitAsync(cancel);
                    continue;
                }

                if (Check(frame, pending).Kind == AttemptKind.Answered)
                {
                    return (frame, StreamEnding.Clean);
                }

                Log.WrongAnswer(_logger, Upstream.Name);
            }
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            return (null, StreamEnding.Broken);
        }
    }

    /// <summary>The next message on a stream; no frame: the stream is over, or its answer to <paramref name="awaited"/> is none.</summary>
    private async ValueTask<(Frame? Frame, StreamEnding End)> ReadFrameAsync(SseReader reader, Cursor cursor, long? awaited, CancellationToken cancel)
    {
        while (true)
        {
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
            if (read.Data.IsEmpty || read.EventType != SseReader.MessageType)
            {
                continue;
            }

            var bytes = read.Data.ToArray();
            if (bytes.Length > FairStream.Turn)
            {
                await Task.Yield();
            }

            var message = ChannelRead.Parse(bytes, bytes.Length, pooled: false);
            if (message.Frame is { } frame)
            {
                return (frame, StreamEnding.Clean);
            }

            Log.BadEvent(_logger, Upstream.Name, message.Fault!);
            if (awaited is not null && message.Spoiled == awaited)
            {
                cursor.Fault = message.Fault;
                return (null, StreamEnding.Spoiled);
            }
        }
    }

    private int MaxEventBytes => (int)Math.Min(int.MaxValue, _http.MaxBytes + 1024);

    private async Task<HttpResponseMessage?> ResumeAsync(string? session, string lastEventId, TimeSpan retry, CancellationToken cancel)
    {
        // A few tries over some seconds: a server that restarts is back by then, and the call's own deadline stands above all.
        for (var attempt = 0; attempt < 5; attempt++)
        {
            await Task.Delay(retry, _time, cancel);
            var (response, status) = await GetAsync(session, lastEventId, cancel);
            if (response is not null)
            {
                return response;
            }

            if (status is >= 400 and < 500)
            {
                return null;
            }

            retry = Longer(retry);
        }

        return null;
    }

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

    private async Task ListenAsync(Cursor cursor, CancellationToken cancel)
    {
        // Leave the lock of the caller before anything else happens.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        var listened = _session;
        var pause = DefaultRetry;
        var before = 0;
        try
        {
            while (true)
            {
                var (session, renewed) = Current();
                if (session != listened)
                {
                    // A call has renewed it meanwhile: event ids of the session before mean nothing, or something else, in the new one.
                    (listened, cursor) = (session, new Cursor());
                }

                var (response, status) = await GetAsync(session, cursor.Id, cancel);
                if (response is null)
                {
                    if (status == 404 && session is not null)
                    {
                        await ReinitializeAsync(session, cancel);
                        renewed = Current().Renewed;
                        // How long the old session was refused says nothing about the new one; one refused time and again does.
                        pause = before == 404 ? pause : DefaultRetry;
                    }
                    // 409: somebody else listens on this session, maybe another gateway process that is about to end.
                    else if (status is >= 400 and < 500 and not (404 or 408 or 409 or 429))
                    {
                        if (cursor.Id is not null)
                        {
                            // It keeps its events for a while only; what comes from now on is better than nothing.
                            Log.CursorRefused(_logger, Upstream.Name, status);
                            cursor = new Cursor();
                            continue;
                        }

                        Log.NoGetStream(_logger, Upstream.Name, status);
                        return;
                    }
                }
                else
                {
                    pause = await RelayAsync(response, session, cursor, cancel) ? cursor.Retry ?? DefaultRetry : pause;
                }

                before = status;
                await PauseAsync(pause * (0.8 + (Random.Shared.NextDouble() * 0.4)), renewed, cancel);
                pause = renewed.IsCompleted ? DefaultRetry : Longer(pause);
            }
        }
        catch (OperationCanceledException)
        {
            // The link is closed.
        }
    }

    /// <summary>The session, and what completes when a call has renewed it.</summary>
    private (string? Session, Task Renewed) Current()
    {
        lock (_gate)
        {
            return (_session, _renewed.Task);
        }
    }

    /// <summary>Waits, at most until a call has renewed the session: what is said on the new one must not wait because the old one was refused for long.</summary>
    private async Task PauseAsync(TimeSpan pause, Task renewed, CancellationToken cancel)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        await Task.WhenAny(renewed, Task.Delay(pause, _time, over.Token));
        await over.CancelAsync();
        cancel.ThrowIfCancellationRequested();
    }

    /// <returns>Whether anything came, so that the next try may be soon.</returns>
    private async Task<bool> RelayAsync(HttpResponseMessage response, string? session, Cursor cursor, CancellationToken cancel)
    {
        var any = false;
        using (response)
        {
            try
            {
                using var reader = new SseReader(new FairStream(await response.Content.ReadAsStreamAsync(cancel)), MaxEventBytes);
                while (true)
                {
                    var (frame, end) = await ReadFrameAsync(reader, cursor, awaited: null, cancel);
                    if (frame is null)
                    {
                        Log.GetStreamEnded(_logger, Upstream.Name, end.ToString());
                        return any;
                    }

                    any = true;
                    if (frame.Kind is FrameKind.Request or FrameKind.Notification)
                    {
                        var origin = session is not null && cursor.Id is { Length: > 0 } id ? new EventOrigin(Upstream.Name, session, id) : null;
                        Owner.OnMessage(this, frame, related: null, origin);
                        await Owner.ReadyAsync().WaitAsync(cancel);
                    }
                    else
                    {
                        Log.WrongAnswer(_logger, Upstream.Name);
                    }
                }
            }
            catch (Exception e) when (e is IOException or HttpRequestException)
            {
                Log.GetStreamEnded(_logger, Upstream.Name, e.Message);
                return any;
            }
        }
    }

    private static TimeSpan Longer(TimeSpan pause) => TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, LongestRetry.Ticks));

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

        public TimeSpan? Retry { get; set; }

        /// <summary>What was wrong with the answer.</summary>
        public string? Fault { get; set; }
    }
}
