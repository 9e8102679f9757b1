using System.Buffers;
using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;
using Mooring.Audit;
using Mooring.Auth;
using Mooring.Calls;
using Mooring.Network;
using Mooring.Policies;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Vault;

namespace Mooring.FrontDoor;

/// <summary>
/// HTTP+SSE of 2024-11-05: everything to the client on one GET stream, everything from it POSTed to the address in the stream's first
/// event. That version ends the session with the stream; here it goes on when the client comes back.
/// </summary>
internal sealed partial class LegacySse(FrontDoorServices services, SessionTable sessions, Initializer initializer, Router router, ClientMessages messages)
{
    private static readonly TimeSpan RecordPatience = TimeSpan.FromSeconds(1);

    /// <summary>GET: a new session, or the one whose stream was lost.</summary>
    /// <param name="context">The request; its Host and Origin are checked.</param>
    /// <param name="server">The server of a single-server route; null on the merged one.</param>
    /// <param name="endpoint">Where messages go, relative to the request's own address without a slash at its end, so that it holds behind any path prefix.</param>
    public async Task GetAsync(HttpContext context, string? server, string endpoint)
    {
        var (session, miss, isNew) = await FindOrCreateAsync(context, server);
        if (session is null)
        {
            await Answers.MissAsync(context, miss);
            return;
        }

        if (context.Request.Path.Value!.EndsWith('/'))
        {
            // Such an address is a folder to whoever resolves a reference (RFC 3986, 5.2.3).
            endpoint = "../" + endpoint;
        }

        session.Person = Person.Of(context);
        if (await services.TryOpenStreamAsync(session) is { } refusal)
        {
            if (isNew)
            {
                // Nobody ever learns its id.
                await sessions.EndAsync(session, StreamReason.Limit);
            }

            context.Response.Headers.RetryAfter = refusal.Seconds.ToString(CultureInfo.InvariantCulture);
            await Answers.RefuseAsync(context, StatusCodes.Status429TooManyRequests, refusal.Why);
            return;
        }

        var turn = session.Outbox.NextLegacy();
        var connection = new SseConnection(context, services.Streams, "sse");
        var stream = session.Outbox.Legacy ?? services.NewStream(session, StreamKind.Get);
        connection.OnEnded = ended => stream.Detach(ended);

        // The event's id is no part of that version, but an EventSource that reconnects sends it back, and so finds its session again.
        connection.Start(writer =>
        {
            SseFormat.WriteRetry(writer, services.Config.Current.Streams.Retry);
            writer.Write(Encoding.ASCII.GetBytes($"id: s{session.Id}-0\nevent: endpoint\ndata: {endpoint}?sessionId={session.Id}\n\n"));
        });
        try
        {
            await session.Outbox.ListenHereAsync(stream.Id);
            if (session.Outbox.LegacyOr(stream, turn) is { } one)
            {
                var older = (stream = one).Connection;
                if (!services.HasLeft(context))
                {
                    // However long the store took: what waits must not go where nobody reads any more.
                    stream.Attach(connection, after: null);
                }

                older?.Complete(StreamReason.Replaced, ClosedBy.Gateway);
            }
            else
            {
                // However long the store took over this one: the client has come once more since.
                connection.Complete(StreamReason.Replaced, ClosedBy.Gateway);
            }

            session.Links.Resume(listens: true);

            await connection.RunAsync();
        }
        finally
        {
            services.CloseStream(session);
        }
    }

    /// <summary>POST to the address of the endpoint event: taken with 202, answered on the stream.</summary>
    public async Task PostAsync(HttpContext context, string? server)
    {
        if (Media.Refusal(context.Request) is { } unreadable)
        {
            await Answers.RefuseAsync(context, StatusCodes.Status415UnsupportedMediaType, unreadable);
            return;
        }

        if (context.Request.Query["sessionId"] is not [{ Length: > 0 } id])
        {
            await Answers.RefuseAsync(context, StatusCodes.Status400BadRequest, "sessionId is missing; it is in the endpoint event of the event stream.");
            return;
        }

        var (session, miss) = await sessions.FindAsync(id, Principal.Of(context), server);
        if (session is not { IsLegacySse: true })
        {
            await Answers.MissAsync(context, miss);
            return;
        }

        var limits = services.Config.Current.Limits;
        var (buffer, length) = await BodyReader.ReadAsync(context.Request, limits.BodySize);
        if (length < 0)
        {
            await Answers.RefuseAsync(context, StatusCodes.Status413PayloadTooLarge, $"The body is larger than {limits.BodySize} bytes (limits.bodySize).");
            return;
        }

        // The body may have come on a thread that waits for sockets.
        await WaitingThreads.Leave();
        if (await ReadAsync(context, session, buffer, length) is not { } frames)
        {
            return;
        }

        if (!session.Outbox.ReachesStream && frames.Any(frame => frame.Kind == FrameKind.Request))
        {
            // Taken with 202 it would be answered when the store is back; the replica that has the stream can do so now.
            await Answers.MissAsync(context, SessionMiss.StoreAway);
            return;
        }

        session.Seen();
        foreach (var frame in frames.Where(frame => frame.Kind != FrameKind.Request))
        {
            if (!await messages.TakeAsync(session, frame, context.RequestAborted))
            {
                // Before any request of a batch is begun: the client may send all of it again.
                await Answers.MissAsync(context, SessionMiss.StoreAway);
                return;
            }
        }

        var access = services.AccessOf(context, session);
        List<Task> recorded = [];
        foreach (var frame in frames.Where(frame => frame.Kind == FrameKind.Request))
        {
            recorded.Add(Handle(session, frame, access, Caller.ShownBy(context), Caller.OriginOf(context), TraceHeaders.Of(context.Request.Headers)));
        }

        await RecordedAsync(Task.WhenAll(recorded));
        context.Response.StatusCode = StatusCodes.Status202Accepted;
        await context.Response.WriteAsync("Accepted");
    }

    /// <summary>The message, or those of a batch (where the session negotiated 2025-03-26); null after answering why not.</summary>
    private async ValueTask<List<Frame>?> ReadAsync(HttpContext context, Session session, byte[] buffer, int length)
    {
        if (FrameReader.IsBatch(buffer.AsSpan(0, length)))
        {
            return await services.Intake.ReadBatchAsync(context, session, buffer.AsMemory(0, length));
        }

        var limits = new FrameLimits(services.Config.Current.Limits.JsonDepth);
        if (FrameReader.Take(buffer, length, pooled: false, limits, out var fault) is not { } frame)
        {
            await Answers.RefuseAsync(context, StatusCodes.Status400BadRequest, fault!.Value.Code, fault.Value.Message, buffer.AsSpan(fault.Value.Id.Start, fault.Value.Id.Length));
            return null;
        }

        return frame.Kind == FrameKind.Request && frame.Method != McpMethod.Initialize && !await services.Intake.TakesAsync(context, session, 1, frame)
            ? null
            : [frame];
    }

    /// <returns>Completes when the call is on record, where it has to be.</returns>
    private Task Handle(Session session, Frame frame, Access access, SubjectToken? shown, AuditOrigin from, (string?, string?) trace)
    {
        if (frame.Method == McpMethod.Initialize)
        {
            _ = AnswerInitializeAsync(session, frame, access);
            return Task.CompletedTask;
        }

        var reply = new LegacyReply(session, frame.Raw(frame.Envelope.Id), services) { Access = access, ShownToken = shown, From = from, Trace = trace };
        router.Handle(session, frame, reply);
        return reply.Recorded;
    }

    /// <summary>What was taken (202) has an end that its client hears of; a store that is slow or away does not keep it waiting for long.</summary>
    private async Task RecordedAsync(Task recorded)
    {
        try
        {
            await recorded.WaitAsync(RecordPatience, services.Time);
        }
        catch (TimeoutException)
        {
            // It runs already, and the record may still come.
        }
    }

    private async Task AnswerInitializeAsync(Session session, Frame frame, Access access)
    {
        try
        {
            await session.Outbox.SendKept(await initializer.InitializeAsync(session, frame, access));
        }
        catch (Exception e)
        {
            // A bug of ours must not leave a client waiting for ever.
            Log.NotInitialized(services.Logger, e);
            session.Outbox.Send(JsonRpc.Error(frame.Id, JsonRpc.InternalError, "The gateway failed to initialize the session."));
        }
    }

    private async ValueTask<(Session? Session, SessionMiss Miss, bool IsNew)> FindOrCreateAsync(HttpContext context, string? server)
    {
        if (EventId.TryParse(context.Request.Headers["Last-Event-ID"], out var last) && last.Stream[0] == 's')
        {
            var (known, miss) = await sessions.FindAsync(last.Stream[1..], Principal.Of(context), server);
            if (known is { IsLegacySse: true } || miss == SessionMiss.StoreAway)
            {
                return (known, miss, false);
            }
        }

        var (created, why) = await sessions.CreateAsync(initializer.NewRecord(context, server, "sse", ProtocolVersion.V2024_11_05));
        return (created, why, true);
    }

    private static partial class Log
    {
        [LoggerMessage(146, LogLevel.Error, "A session over HTTP+SSE was not initialized.", EventName = "LegacySessionNotInitialized")]
        public static partial void NotInitialized(ILogger logger, Exception exception);
    }
}
