using System.Runtime.CompilerServices;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Telemetry;

namespace Mooring.Streams;

/// <summary>
/// The event logs of one session, kept in the store. Made with its session; its streams append through it. Counts what it wrote,
/// so that the limits of the session are held without asking the store each time.
/// </summary>
/// <param name="sessionId">The session.</param>
/// <param name="store">Where they are kept.</param>
/// <param name="config">The limits.</param>
/// <param name="time">The clock.</param>
/// <param name="outage">Tells whether a failure of the store is news.</param>
/// <param name="unheard">
/// Told what a server said and no log took, since it is not the next one or there was no room for it while the store was away: whoever listens to
/// that server has to hear it again.
/// </param>
/// <param name="logger">Where failures are told.</param>
internal sealed partial class EventLog(string sessionId, IStore store, ConfigStore config, TimeProvider time, StoreOutage outage, Action<EventOrigin> unheard, ILogger logger)
{
    private long _bytes;
    private int _events;
    private int _trimming;

    /// <summary>For what its streams do by themselves.</summary>
    public ILogger Logger => logger;

    /// <summary>So many answers may wait for a listener beyond other messages, as many as may be asked for at once.</summary>
    public int MostAnswers => config.Current.Limits.CallsPerSession;

    /// <summary>And so many bytes of them, beside the last: as the largest message may have.</summary>
    public long MostAnswerBytes => config.Current.Limits.BodySize;

    /// <summary>Told the stream of each event that was committed; null where nobody follows any stream of this session.</summary>
    public Action<string>? Committed { get; set; }

    /// <summary>How long after a failure the store is asked again for what it did not take.</summary>
    private static readonly TimeSpan AskAgain = TimeSpan.FromSeconds(1);

    /// <summary>How many events are read at a time.</summary>
    private const int Page = 100;

    public Task PauseAsync() => Task.Delay(AskAgain, time);

    /// <param name="stream">Its row.</param>
    /// <param name="primer">Its first event, if it has one at once.</param>
    /// <param name="again">Whether the store was asked before; the log has told of it then.</param>
    public async Task<bool> OpenAsync(StreamRecord stream, EventRecord? primer, bool again = false)
    {
        try
        {
            await store.OpenStreamAsync(stream, primer);
            return true;
        }
        catch (StoreException e)
        {
            if (!again && outage.IsNews("open"))
            {
                Log.NotResumable(logger, stream.StreamId, e.Message);
            }

            return false;
        }
    }

    public EventRecord Record(string stream, long sequence, ReadOnlyMemory<byte> body, string? requestId, EventOrigin? origin = null) =>
        new(sessionId, stream, sequence, body, time.GetUtcNow(), requestId, origin);

    /// <summary>Appends and waits for the commit.</summary>
    public async Task<Appended> AppendAsync(EventRecord record, StreamState? state, bool again = false)
    {
        try
        {
            if (!await store.AppendEventAsync(record, state))
            {
                Unheard(record.Origin!);
                return Appended.Refused;
            }
        }
        catch (StoreException e)
        {
            if (!again && outage.IsNews("append"))
            {
                Log.EventNotKept(logger, record.StreamId, record.Sequence, e.Message);
            }

            return Appended.Failed;
        }

        Count(record.Body.Length);
        Committed?.Invoke(record.StreamId);
        return Appended.Done;
    }

    /// <summary>No log will have it of this listening.</summary>
    public void Unheard(EventOrigin origin)
    {
        Log.Unheard(logger, origin.Server, origin.EventId);
        unheard(origin);
    }

    /// <returns>False when the store did not take it.</returns>
    public async Task<bool> CloseAsync(string stream, StreamState state)
    {
        try
        {
            await store.SetStreamStateAsync(sessionId, stream, state);
            Committed?.Invoke(stream);
            return true;
        }
        catch (StoreException e)
        {
            Log.EndNotKept(logger, stream, e.Message);
            return false;
        }
    }

    /// <returns>False when the store did not take it.</returns>
    public async Task<bool> KeepAsync(string stream, CallCursor place)
    {
        try
        {
            await store.SetCallCursorAsync(sessionId, stream, place);
            return true;
        }
        catch (StoreException e)
        {
            // Without it the outcome would be unknown after the end of this process: what it was before.
            Log.PlaceNotKept(logger, stream, e.Message);
            return false;
        }
    }

    /// <summary>All events of a stream behind <paramref name="after"/>, in their order, however many there are; a <see cref="StoreException"/> where the store cannot be asked.</summary>
    public async IAsyncEnumerable<EventRecord> ReadToEndAsync(string stream, long after, [EnumeratorCancellation] CancellationToken cancel = default)
    {
        IReadOnlyList<EventRecord> page;
        do
        {
            page = await ReadAsync(stream, after, Page, cancel);
            foreach (var record in page)
            {
                after = record.Sequence;
                yield return record;
            }
        }
        while (page.Count == Page);
    }

    public Task<IReadOnlyList<EventRecord>> ReadAsync(string stream, long after, int limit, CancellationToken cancel) =>
        store.ReadEventsAsync(sessionId, stream, after, limit, cancel);

    public ValueTask<StreamRecord?> FindAsync(string stream, CancellationToken cancel) =>
        store.FindStreamAsync(sessionId, stream, cancel);

    public void StepFailed(Exception exception, string stream) => Log.StepFailed(logger, exception, stream);

    public void CameTooLate(string stream) => Log.CameTooLate(logger, stream);

    private void Count(int bytes)
    {
        var limits = config.Current.EventLog;
        if ((Interlocked.Increment(ref _events) <= limits.Events && Interlocked.Add(ref _bytes, bytes) <= limits.Bytes)
            || Interlocked.Exchange(ref _trimming, 1) == 1)
        {
            return;
        }

        TrimAsync(limits).Unawaited(logger);
    }

    private async Task TrimAsync(EventLogConfig limits)
    {
        // A tenth below the limit, so that a busy session does not trim at every event.
        var (events, bytes) = (Math.Max(1, limits.Events * 9 / 10), limits.Bytes * 9 / 10);
        try
        {
            await store.TrimEventsAsync(sessionId, events, bytes);
            Interlocked.Exchange(ref _events, events);
            Interlocked.Exchange(ref _bytes, bytes);
        }
        catch (StoreException e)
        {
            if (outage.IsNews("trim"))
            {
                Log.NotTrimmed(logger, e.Message);
            }
        }
        finally
        {
            Volatile.Write(ref _trimming, 0);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(123, LogLevel.Debug, "How stream {Stream} ended was not kept: it is said again. {Reason}", EventName = "StreamEndNotKept")]
        public static partial void EndNotKept(ILogger logger, string stream, string reason);

        [LoggerMessage(127, LogLevel.Debug, "How far the server of stream {Stream} was heard was not kept. {Reason}", EventName = "StreamPlaceNotKept")]
        public static partial void PlaceNotKept(ILogger logger, string stream, string reason);

        [LoggerMessage(120, LogLevel.Warning, "Stream {Stream} cannot be resumed for now, since the store did not take it; others may not be, too. {Reason}", EventName = "StreamNotResumable")]
        public static partial void NotResumable(ILogger logger, string stream, string reason);

        [LoggerMessage(125, LogLevel.Debug, "Event {Id} of server {Server} is not the next one for the log; it is heard again where it has to be.", EventName = "EventNotNext")]
        public static partial void Unheard(ILogger logger, string server, string id);

        [LoggerMessage(124, LogLevel.Warning, "The store did not drop old events of a session; it is asked again with the next ones. {Reason}", EventName = "EventsNotTrimmed")]
        public static partial void NotTrimmed(ILogger logger, string reason);

        [LoggerMessage(122, LogLevel.Error, "Stream {Stream} failed.", EventName = "StreamStepFailed")]
        public static partial void StepFailed(ILogger logger, Exception exception, string stream);

        [LoggerMessage(126, LogLevel.Warning, "An answer came too late for stream {Stream}: another replica took this one for dead and has answered it, or said that the outcome is unknown.", EventName = "AnswerCameTooLate")]
        public static partial void CameTooLate(ILogger logger, string stream);

        [LoggerMessage(121, LogLevel.Warning, "Event {Sequence} of stream {Stream} was not kept, since the store did not take it; others may not be, too. {Reason}", EventName = "EventNotKept")]
        public static partial void EventNotKept(ILogger logger, string stream, long sequence, string reason);
    }
}

/// <summary>What became of an event on its way into the log.</summary>
internal enum Appended
{
    Done,

    /// <summary>The store failed: it may be sent, but without an id, or wait until the store is back.</summary>
    Failed,

    /// <summary>It is not the next one of its server's stream, and nobody's any more.</summary>
    Refused,
}
