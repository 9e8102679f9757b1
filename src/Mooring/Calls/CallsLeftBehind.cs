using System.Text;
using Mooring.Audit;
using Mooring.Protocol;
using Mooring.Replicas;
using Mooring.Stores;
using Mooring.Streams;

namespace Mooring.Calls;

/// <summary>A call that this process goes on with.</summary>
/// <param name="Stream">Its record, in which it is this process's.</param>
/// <param name="Place">Up to where its server's answer is in the log.</param>
/// <param name="Last">The last sequence in the log.</param>
/// <param name="Known">What the log knows its events by.</param>
internal sealed record LeftCall(StreamRecord Stream, CallCursor Place, long Last, IReadOnlySet<string> Known);

/// <summary>
/// Calls that ran in a process that is dead: their clients come back for an answer. Where the server's can be heard from where it was left they get that, else an
/// honest one.
/// </summary>
internal sealed partial class CallsLeftBehind(IStore store, Peers peers, TimeProvider time, CallsMetrics metrics, AuditLog audit, ILogger<CallsLeftBehind> logger)
{
    /// <summary>With a store far away that many calls take no longer than one; the others on it are not kept waiting for that.</summary>
    private const int AtOnce = 8;

    /// <summary>Calls that nobody answers for are few; where they are many, the rest is ended with the next looks.</summary>
    private const int MostOrphans = 1000;

    private static readonly TimeSpan TakeAgain = TimeSpan.FromMilliseconds(500);

    /// <summary>What nobody answered for at the last look.</summary>
    private HashSet<(string Session, string Stream)> _orphans = [];

    /// <summary>Ends calls, each with an answer that says that the outcome is unknown, or goes on with them.</summary>
    /// <param name="streams">The calls' streams.</param>
    /// <param name="why">What happened, for the client.</param>
    /// <param name="heir">Who goes on with them.</param>
    /// <param name="cancel">Stops between two calls.</param>
    public Task EndAsync(IReadOnlyList<StreamRecord> streams, string why, ICallHeir heir, CancellationToken cancel) =>
        Parallel.ForEachAsync(streams, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancel }, async (stream, _) =>
        {
            try
            {
                // Not given up for another one's failure: what was made this process's by then would be nobody's.
                await EndAsync(stream, why, heir, cancel);
            }
            catch (InvalidOperationException)
            {
                // It was only slow, and wrote its own next event just now: what it says is worth more than a guess.
                Log.StillWrites(logger, stream.Server ?? "mooring");
            }
        });

    /// <summary>
    /// Ends calls that no replica answers for: those that were recorded under a dead name after its heir had looked through it, or that the heir left to
    /// whoever still wrote. Only at the second look that finds them: at the first their replica may be one that had just come. One look at a time.
    /// </summary>
    /// <param name="answered">Names of the replicas that answer for what they run.</param>
    /// <param name="why">What happened, for the client.</param>
    /// <param name="heir">Who goes on with them.</param>
    /// <param name="cancel">Stops between two calls.</param>
    public async Task EndOrphansAsync(IReadOnlyList<string> answered, string why, ICallHeir heir, CancellationToken cancel)
    {
        var found = await store.FindRunningCallsExceptAsync(answered, MostOrphans, cancel);
        var before = _orphans;
        _orphans = [.. found.Select(call => (call.SessionId, call.StreamId))];
        await EndAsync([.. found.Where(call => before.Contains((call.SessionId, call.StreamId)))], why, heir, cancel);
    }

    private async Task EndAsync(StreamRecord stream, string why, ICallHeir heir, CancellationToken cancel)
    {
        if (EventId.IsRecord(stream.StreamId))
        {
            await TellAsync(stream, why, heir, cancel);
            return;
        }

        var (last, known, place) = await ReadAsync(stream, cancel);
        if (place is null || stream.Replica == peers.Name || stream.RequestIds is not [var only] || known.Contains(only))
        {
            await EndAsync(stream, last, known, why, cancel);
        }
        else if (await TakeAsync(stream, cancel) is { } taken)
        {
            heir.GoOn(new LeftCall(taken, place, last, known));
        }
    }

    /// <summary>Ends a call that cannot be gone on with after all.</summary>
    /// <param name="stream">Its record.</param>
    /// <param name="why">What happened, for the client.</param>
    /// <param name="cancel">Gives up.</param>
    public async Task EndUnknownAsync(StreamRecord stream, string why, CancellationToken cancel)
    {
        var (last, known, _) = await ReadAsync(stream, cancel);
        await EndAsync(stream, last, known, why, cancel);
    }

    /// <summary>Its next heir finds it under this process's name.</summary>
    /// <returns>Null: it has ended meanwhile, or another one took it.</returns>
    private async Task<StreamRecord?> TakeAsync(StreamRecord stream, CancellationToken cancel)
    {
        var name = peers.Name;
        while (true)
        {
            try
            {
                return await store.TakeCallAsync(stream.SessionId, stream.StreamId, stream.Replica, name) ? stream with { Replica = name } : null;
            }
            catch (StoreException)
            {
                // It may be ours already: nobody else would end it then.
                await Task.Delay(TakeAgain, time, cancel);
            }
        }
    }

    /// <summary>How far a call's stream is, what is in it, and up to where its server was heard; null where that is not known.</summary>
    private async Task<(long Last, HashSet<string> Known, CallCursor? Place)> ReadAsync(StreamRecord stream, CancellationToken cancel)
    {
        long last = 0;
        var known = new HashSet<string>(StringComparer.Ordinal);
        // What was dropped by a limit may have been of its server; only an event that came after it tells how far that was heard.
        var place = stream.Cursor is { } kept && kept.After >= stream.TrimmedTo ? kept : null;
        IReadOnlyList<EventRecord> page;
        while ((page = await store.ReadEventsAsync(stream.SessionId, stream.StreamId, last, limit: 1000, cancel)).Count > 0)
        {
            last = page[^1].Sequence;
            known.UnionWith(page.Select(e => e.RequestId).OfType<string>().Select(key => stream.Cursor?.Unasked(key) ?? key));
            if (stream.Cursor is { } cursor && page.LastOrDefault(e => e.Sequence > cursor.After && cursor.EventIdOf(e.RequestId) is not null) is { } said)
            {
                place = cursor with { EventId = cursor.EventIdOf(said.RequestId)! };
            }
        }

        return (Math.Max(last, stream.TrimmedTo), known, place);
    }

    private async Task EndAsync(StreamRecord stream, long last, HashSet<string> answered, string why, CancellationToken cancel)
    {
        foreach (var id in stream.RequestIds.Where(id => !answered.Contains(id)))
        {
            var error = CallFailure.OutcomeUnknown.ToResponse(Encoding.UTF8.GetBytes(id), stream.Server ?? "mooring", why);
            await store.AppendEventAsync(new EventRecord(stream.SessionId, stream.StreamId, ++last, error, time.GetUtcNow(), id));
            await CountAsync(stream, why, cancel);
        }

        await store.SetStreamStateAsync(stream.SessionId, stream.StreamId, StreamState.Finished);
    }

    /// <summary>A record without a log: its client is told on the stream that it has.</summary>
    private async Task TellAsync(StreamRecord record, string why, ICallHeir heir, CancellationToken cancel)
    {
        if (record.Replica == peers.Name || await TakeAsync(record, cancel) is not { } taken)
        {
            // Of a process that stops, and has not got rid of its answer: whoever is left finds it.
            return;
        }

        foreach (var id in record.RequestIds)
        {
            heir.Tell(taken, CallFailure.OutcomeUnknown.ToResponse(Encoding.UTF8.GetBytes(id), record.Server ?? "mooring", why));
        }

        await CountAsync(record, why, cancel);
    }

    /// <summary>The client was told, or is no longer there.</summary>
    public Task CloseAsync(StreamRecord record) => store.SetStreamStateAsync(record.SessionId, record.StreamId, StreamState.Finished);

    private async Task CountAsync(StreamRecord stream, string why, CancellationToken cancel)
    {
        metrics.UnknownOutcome(stream.Server ?? "mooring", "replica_gone");
        Log.LeftBehind(logger, stream.Server ?? "mooring");
        if (audit.IsOn)
        {
            await NoteAsync(stream, why, cancel);
        }
    }

    /// <summary>The process that had the rest of the line is gone: what the store knows of the call is said.</summary>
    private async Task NoteAsync(StreamRecord stream, string why, CancellationToken cancel)
    {
        SessionRecord? session = null;
        try
        {
            session = await store.FindSessionAsync(stream.SessionId, cancel);
        }
        catch (StoreException)
        {
            // Better a line without a name than none.
        }

        audit.Write(new AuditEntry("call", CallFailure.OutcomeUnknown.ToTag())
        {
            At = stream.Changed,
            Issuer = session?.Issuer,
            User = session?.Subject,
            Client = session is null ? null : JsonFields.String(JsonFields.Object(session.InitializeParams.Span, "clientInfo"u8), "name"u8),
            Session = AuditEntry.SessionOf(stream.SessionId),
            Server = stream.Server,
            ClientLeft = true,
            Reason = $"{why}: {stream.Replica}",
        });
    }

    private static partial class Log
    {
        [LoggerMessage(600, LogLevel.Warning, "A call to server {Server} was running when its gateway process ended; its client is told that the outcome is unknown.", EventName = "CallLeftBehind")]
        public static partial void LeftBehind(ILogger logger, string server);

        [LoggerMessage(605, LogLevel.Information, "A call to server {Server} is not ended: the process that was taken for dead still writes.", EventName = "CallStillWritten")]
        public static partial void StillWrites(ILogger logger, string server);
    }
}
