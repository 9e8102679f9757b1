using System.Buffers;
using System.Globalization;
using Microsoft.AspNetCore.Http;
using Mooring.Protocol;
using Mooring.Replicas;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Telemetry;

namespace Mooring.FrontDoor;

/// <content>GET: a standalone stream, or the rest of one that was lost.</content>
internal sealed partial class StreamableHttp
{
    /// <summary>How often the log of a stream that another replica writes is looked at when nobody signals.</summary>
    private static readonly TimeSpan FollowLook = TimeSpan.FromSeconds(1);

    public async Task GetAsync(HttpContext context, string? server)
    {
        if (context.Request.Headers[VersionHeader] == ProtocolVersions.Stateless)
        {
            await MethodNotAllowedAsync(context, "That protocol version has no GET stream.");
            return;
        }

        if (!Media.AcceptsOf(context.Request).HasFlag(Accepts.EventStream))
        {
            await Answers.RefuseAsync(context, StatusCodes.Status406NotAcceptable, "Accept must name text/event-stream.");
            return;
        }

        if (await SessionOfAsync(context, server, frame: null) is not { } session)
        {
            return;
        }

        if (await services.TryOpenStreamAsync(session) is { } refusal)
        {
            context.Response.Headers.RetryAfter = refusal.Seconds.ToString(CultureInfo.InvariantCulture);
            await Answers.RefuseAsync(context, StatusCodes.Status429TooManyRequests, refusal.Why);
            return;
        }

        var lastEventId = context.Request.Headers["Last-Event-ID"];
        try
        {
            await (lastEventId.Count == 1 && session.Version.HasResumption() && EventId.TryParse(lastEventId, out var from)
                ? ResumeAsync(context, session, from)
                : OpenAsync(context, session));
        }
        finally
        {
            services.CloseStream(session);
        }
    }

    /// <summary>A new standalone stream; it is the newest, so what the session has to say goes there.</summary>
    private async Task OpenAsync(HttpContext context, Session session)
    {
        var stream = services.NewStream(session, StreamKind.Get);
        var connection = new SseConnection(context, services.Streams, "get");
        connection.OnEnded = stream.Detach;
        stream.Open(GetRecord(session, stream), session.HasPrimer, primer => connection.Start(writer => Greet(writer, primer)));
        stream.Attach(connection, after: null);
        await stream.SettleAsync();
        await session.Outbox.ListenHereAsync(stream.Id);
        await session.Outbox.AddAsync(stream);
        session.Links.Resume(listens: true);
        await connection.RunAsync();
    }

    /// <summary>The rest of a stream, from after the event the client names (invariant 8).</summary>
    private async Task ResumeAsync(HttpContext context, Session session, EventId from)
    {
        if (from.Sequence > EventId.LastSequence)
        {
            // Of our form, but never ours: as little is known of it as of a stream of long ago.
            await (from.IsGet ? OpenWithGapAsync(context, session) : MethodNotAllowedAsync(context, "That stream has nothing more to say."));
            return;
        }

        var live = session.Outbox.Find(from.Stream);
        if (live is { IsTheirs: true })
        {
            // Looked at from here before; the log knows more.
            live = null;
        }
        else if (live is { IsFinished: true })
        {
            // Its last event may be on its way to the store just now; from there on the store knows it all.
            await live.SettleAsync();
            live = null;
        }

        StreamRecord? record;
        Rest rest;
        try
        {
            record = await session.Log.FindAsync(from.Stream, context.RequestAborted);
            // A live stream reads what its client missed itself.
            rest = live is null ? await RestAsync(session, from, context.RequestAborted) : Rest.Unread;
        }
        catch (StoreException)
        {
            await Answers.MissAsync(context, SessionMiss.StoreAway);
            return;
        }

        var gap = record is null || record.TrimmedTo > from.Sequence;
        if (live is not null)
        {
            if (live.Kind == StreamKind.Get)
            {
                await session.Outbox.ListenHereAsync(live.Id);
                if (!ReferenceEquals(session.Outbox.Find(live.Id), live))
                {
                    // While the store was asked it went to another replica, and what was here of it is let go of: the store knows it all.
                    await ResumeAsync(context, session, from);
                    return;
                }

                session.Links.Resume(listens: true);
                LookAgain(live);
            }

            await ShowAsync(context, live, from.Sequence, session, hasGap: gap && from.IsGet);
            return;
        }

        if (from.IsGet)
        {
            await ResumeGetAsync(context, session, from, record, rest, gap);
            return;
        }

        if (record is null || (record.State == StreamState.Cancelled) || (!gap && rest.IsEmpty && record.State == StreamState.Finished))
        {
            // Delivered, cancelled, or too long ago: 405 makes official clients stop asking.
            await MethodNotAllowedAsync(context, "That stream has nothing more to say.");
            return;
        }

        if (record.State == StreamState.Running && services.Peers.IsShared)
        {
            await FollowAsync(context, session, record, from, rest.Last);
            return;
        }

        var past = services.KnownStream(session, record, from.Sequence, rest.Last);
        await ShowAsync(context, past, from.Sequence, session, hasGap: false, () =>
        {
            if (record.State == StreamState.Finished)
            {
                TellLost(past, gap ? [.. record.RequestIds.Where(id => !rest.Answers.Contains(id))] : []);
            }
        });
    }

    /// <summary>
    /// A call that runs at another replica: that one writes the log, this one shows it. It signals each event; where a signal is lost, or the
    /// other replica with it, the log is looked at all the same.
    /// </summary>
    private async Task FollowAsync(HttpContext context, Session session, StreamRecord record, EventId from, long last)
    {
        var stream = services.KnownStream(session, record, from.Sequence, last, isTheirs: true);
        session.Outbox.AddCall(stream);
        if (record.Replica is { } writer && writer != services.Peers.Name)
        {
            services.Peers.PostAsync(writer, Outbox.FollowLetter, new Letter(session.Id, record.StreamId, System.Text.Encoding.ASCII.GetBytes(services.Peers.Name))).Unawaited(services.Logger);
        }

        var showing = ShowAsync(context, stream, from.Sequence, session, hasGap: false);
        while (!showing.IsCompleted)
        {
            stream.CatchUp();
            await Task.WhenAny(showing, Task.Delay(FollowLook, services.Time));
        }

        await showing;
    }

    private async Task ResumeGetAsync(HttpContext context, Session session, EventId from, StreamRecord? record, Rest rest, bool gap)
    {
        if (record is null)
        {
            // Too long ago to know what was missed: a new stream, told honestly.
            await OpenWithGapAsync(context, session);
            return;
        }

        await session.Outbox.ListenHereAsync(record.StreamId);
        var stream = session.Outbox.Adopt(services.KnownStream(session, record, from.Sequence, rest.Last));
        session.Links.Resume(listens: true);
        LookAgain(stream);
        await ShowAsync(context, stream, from.Sequence, session, hasGap: gap);
    }

    /// <summary>
    /// Another replica may have written to the stream since it was here, and may still do until it has heard that the stream moved: what it wrote
    /// counts before anything is written or shown here, and is looked for once more soon, in case its signal is lost.
    /// </summary>
    private void LookAgain(EventStream stream)
    {
        if (!services.Peers.IsShared)
        {
            return;
        }

        stream.CatchUp();
        LaterAsync().Unawaited(services.Logger);

        async Task LaterAsync()
        {
            await Task.Delay(FollowLook * 3, services.Time);
            stream.CatchUp();
        }
    }

    private async Task OpenWithGapAsync(HttpContext context, Session session)
    {
        var opening = OpenAsync(context, session);
        TellGap(session);
        await opening;
    }

    private async Task ShowAsync(HttpContext context, EventStream stream, long after, Session session, bool hasGap, Action? attached = null)
    {
        var connection = new SseConnection(context, services.Streams, stream.Kind == StreamKind.Get ? "get" : "post");
        connection.OnEnded = stream.Detach;

        // The head of the response goes out at once, whether or not there is anything to replay. It says again where the client is: the official
        // libraries forget their place on a stream that brought no id before it broke once more, and come back for a new one.
        var place = session.HasPrimer ? new EventId(stream.Id, after).ToString() : null;
        connection.Start(writer => Greet(writer, place));
        var older = stream.Connection;
        stream.Attach(connection, after);
        older?.Complete(StreamReason.Replaced, ClosedBy.Gateway);
        attached?.Invoke();
        if (hasGap)
        {
            // Not before it is attached: the newest stream that shows something is told.
            await stream.SettleAsync();
            TellGap(session);
        }

        await connection.RunAsync();
    }

    /// <summary>Events of this stream were dropped by a limit: the client is told to look again at everything.</summary>
    private static void TellGap(Session session)
    {
        session.Outbox.Send(JsonRpc.Notification("notifications/tools/list_changed"));
        session.Outbox.Send(JsonRpc.Notification("notifications/prompts/list_changed"));
        session.Outbox.Send(JsonRpc.Notification("notifications/resources/list_changed"));
        foreach (var uri in session.Record.Subscriptions)
        {
            session.Outbox.Send(JsonRpc.Notification("notifications/resources/updated", [.. "{\"uri\":"u8, .. JsonText.Quote(uri), (byte)'}']));
        }
    }

    /// <summary>Ends a stream all of whose events are shown; where an answer was dropped by a limit, with an error for the request it answered.</summary>
    private static void TellLost(EventStream stream, IReadOnlyList<string> lost)
    {
        foreach (var id in lost)
        {
            stream.ShowOnly(JsonRpc.Error(System.Text.Encoding.UTF8.GetBytes(id), JsonRpc.InternalError,
                "The answer was produced but is no longer kept (eventLog limits); the request was executed."));
        }

        stream.Finish(StreamState.Finished);
    }

    private static async Task<Rest> RestAsync(Session session, EventId from, CancellationToken cancel)
    {
        var last = from.Sequence;
        var answers = new HashSet<string>(StringComparer.Ordinal);
        await foreach (var record in session.Log.ReadToEndAsync(from.Stream, last, cancel))
        {
            last = record.Sequence;
            if (record.RequestId is { } request)
            {
                answers.Add(request);
            }
        }

        return new Rest(last, answers, last == from.Sequence);
    }

    /// <param name="Last">The highest sequence of the stream.</param>
    /// <param name="Answers">Requests whose response is still there.</param>
    /// <param name="IsEmpty">Whether nothing came after what the client has.</param>
    private sealed record Rest(long Last, IReadOnlySet<string> Answers, bool IsEmpty)
    {
        public static readonly Rest Unread = new(0, new HashSet<string>(), IsEmpty: true);
    }

    private void Greet(IBufferWriter<byte> writer, string? primer)
    {
        SseFormat.WriteRetry(writer, services.Config.Current.Streams.Retry);
        if (primer is null)
        {
            writer.Write(SseFormat.Comment);
        }
        else
        {
            SseFormat.WritePrimer(writer, primer);
        }
    }

    private StreamRecord GetRecord(Session session, EventStream stream) => new()
    {
        SessionId = session.Id,
        StreamId = stream.Id,
        Kind = StreamKind.Get,
        State = StreamState.Running,
        Replica = services.Replica,
        Changed = services.Time.GetUtcNow(),
    };
}
