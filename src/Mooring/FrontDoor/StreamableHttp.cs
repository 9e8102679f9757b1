using Microsoft.AspNetCore.Http;
using Mooring.Auth;
using Mooring.Calls;
using Mooring.Configuration;
using Mooring.Network;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Streams;

namespace Mooring.FrontDoor;

/// <summary>Streamable HTTP of 2025-03-26 to 2025-11-25 (basic/transports, "Streamable HTTP"): POST and DELETE. GET is in the other part.</summary>
internal sealed partial class StreamableHttp(
    FrontDoorServices services, SessionTable sessions, Initializer initializer, Router router, ClientMessages messages, StatelessHttp stateless, StatelessSessions nameless)
{
    private const string SessionHeader = "Mcp-Session-Id";
    private const string VersionHeader = "MCP-Protocol-Version";

    /// <summary>One POST: a request, a notification, a response, or (2025-03-26) a batch of them.</summary>
    /// <param name="context">The request; its Host and Origin are checked.</param>
    /// <param name="server">The server of a single-server route; null on the merged one.</param>
    public Task PostAsync(HttpContext context, string? server)
    {
        // Nearly each body is there with its head: what follows is then the only thing that waits.
        var receiving = ReceiveAsync(context, server);
        return receiving.IsCompletedSuccessfully ? HandleAsync(context, server, receiving.Result) : HandleAsync(context, server, receiving);
    }

    private async Task HandleAsync(HttpContext context, string? server, ValueTask<Received> receiving) =>
        await HandleAsync(context, server, await receiving);

    private Task HandleAsync(HttpContext context, string? server, in Received received) => received switch
    {
        { Frame: { } frame, Session: { } session } => HandleAsync(context, session, frame, received.Accept),
        { Frame: { } frame } => stateless.PostAsync(context, server, frame, received.Accept),
        _ => Task.CompletedTask,
    };

    private async Task HandleAsync(HttpContext context, Session session, Frame frame, Accepts accept)
    {
        if (frame.Method != McpMethod.ToolsCall || frame.Bytes.Length > WaitingThreads.Turn)
        {
            // Short calls are handed on at once; anything else may take its time. Here, since the receiving may have left and be back already.
            await WaitingThreads.Leave();
        }

        if (frame.Kind != FrameKind.Request)
        {
            if (!await messages.TakeAsync(session, frame, context.RequestAborted))
            {
                await Answers.MissAsync(context, SessionMiss.StoreAway);
                return;
            }

            context.Response.StatusCode = StatusCodes.Status202Accepted;
            return;
        }

        session.Connected();
        try
        {
            var reply = new PostReply(context, session, requests: null, frame.Raw(frame.Envelope.Id), isBatch: false, accept, services) { Access = services.AccessOf(context, session), ShownToken = Caller.ShownBy(context), From = Caller.OriginOf(context), Trace = TraceHeaders.Of(context.Request.Headers) };
            router.Handle(session, frame, reply);
            await reply.WaitAsync();
            if (reply.IsStream)
            {
                await reply.StreamAsync();
            }
            else
            {
                reply.WriteWhole(context.Response);
                frame.Dispose();
            }
        }
        finally
        {
            session.Disconnected();
        }
    }

    /// <summary>Reads and checks a POST. A frame alone is one of the version without sessions; nothing at all: it was answered already.</summary>
    private async ValueTask<Received> ReceiveAsync(HttpContext context, string? server)
    {
        // :: 1 what the headers say
        var request = context.Request;
        if (Media.Refusal(request) is { } unreadable)
        {
            await Answers.RefuseAsync(context, StatusCodes.Status415UnsupportedMediaType, unreadable);
            return default;
        }

        var accept = Media.AcceptsOf(request);
        if (accept == Accepts.None)
        {
            await Answers.RefuseAsync(context, StatusCodes.Status406NotAcceptable, "Accept must name application/json and text/event-stream.");
            return default;
        }

        // :: 2 the body
        var limits = services.Config.Current.Limits;
        var (buffer, length) = await BodyReader.ReadAsync(request, limits.BodySize);
        if (length < 0)
        {
            await Answers.RefuseAsync(context, StatusCodes.Status413PayloadTooLarge, $"The body is larger than {limits.BodySize} bytes (limits.bodySize).");
            return default;
        }

        if (length > WaitingThreads.Turn)
        {
            await WaitingThreads.Leave();
        }

        if (FrameReader.IsBatch(buffer.AsSpan(0, length)))
        {
            await WaitingThreads.Leave();
            if (request.Headers[VersionHeader] == ProtocolVersions.Stateless)
            {
                await StatelessHttp.RefuseBatchAsync(context);
                return default;
            }

            await PostBatchAsync(context, server, buffer, length, accept);
            return default;
        }

        if (FrameReader.Read(buffer.AsSpan(0, length), new FrameLimits(limits.JsonDepth), out var envelope) is { } fault)
        {
            await Answers.RefuseAsync(context, StatusCodes.Status400BadRequest, fault.Code, fault.Message, buffer.AsSpan(fault.Id.Start, fault.Id.Length));
            return default;
        }

        var frame = Frame.Own(buffer, 0, length, pooled: true, envelope);
        // :: 3 the version
        if (StatelessHttp.IsFor(frame, request.Headers[VersionHeader]))
        {
            return new(frame, Session: null, accept);
        }

        if (frame.Kind == FrameKind.Request && frame.Method == McpMethod.Initialize)
        {
            await WaitingThreads.Leave();
            await initializer.InitializeAsync(context, server, frame);
            return default;
        }

        // :: 4 the session, and whether its user may do more just now
        var session = await SessionOfAsync(context, server, frame);
        return session is null || (frame.Kind == FrameKind.Request && !await services.Intake.TakesAsync(context, session, 1, frame))
            ? default
            : new(frame, session, accept);
    }

    /// <param name="Frame">What came; null: nothing that is to be handled.</param>
    /// <param name="Session">Whose it is; null: it is of the version without.</param>
    /// <param name="Accept">What the client can read.</param>
    private readonly record struct Received(Frame? Frame, Session? Session, Accepts Accept);

    public async Task DeleteAsync(HttpContext context, string? server)
    {
        if (context.Request.Headers[VersionHeader] == ProtocolVersions.Stateless)
        {
            await MethodNotAllowedAsync(context, "That protocol version has no sessions.");
            return;
        }

        if (await SessionOfAsync(context, server, frame: null) is not { } session)
        {
            return;
        }

        if (!await sessions.EndAsync(session, StreamReason.SessionEnded))
        {
            await Answers.MissAsync(context, SessionMiss.StoreAway);
            return;
        }

        context.Response.StatusCode = StatusCodes.Status200OK;
    }

    internal static Task MethodNotAllowedAsync(HttpContext context, string why)
    {
        context.Response.Headers.Allow = "GET, POST, DELETE";
        return Answers.RefuseAsync(context, StatusCodes.Status405MethodNotAllowed, why);
    }

    /// <summary>A batch (2025-03-26 only): taken apart, each message on its own way, all responses in one answer.</summary>
    private async Task PostBatchAsync(HttpContext context, string? server, byte[] buffer, int length, Accepts accept)
    {
        if (await SessionOfAsync(context, server, frame: null) is not { } session
            || await services.Intake.ReadBatchAsync(context, session, buffer.AsMemory(0, length)) is not { } frames)
        {
            return;
        }

        foreach (var frame in frames.Where(f => f.Kind != FrameKind.Request))
        {
            if (!await messages.TakeAsync(session, frame, context.RequestAborted))
            {
                // Before any of its requests is begun: the client may send all of it again.
                await Answers.MissAsync(context, SessionMiss.StoreAway);
                return;
            }
        }

        var requests = frames.Where(f => f.Kind == FrameKind.Request).ToList();
        if (requests.Count == 0)
        {
            context.Response.StatusCode = StatusCodes.Status202Accepted;
            return;
        }

        var reply = new PostReply(context, session, [.. requests.Select(r => r.Raw(r.Envelope.Id))], default, isBatch: true, accept, services) { Access = services.AccessOf(context, session), ShownToken = Caller.ShownBy(context), From = Caller.OriginOf(context), Trace = TraceHeaders.Of(context.Request.Headers) };
        foreach (var one in requests)
        {
            router.Handle(session, one, reply);
        }

        session.Connected();
        try
        {
            await reply.WaitAsync();
            if (reply.IsStream)
            {
                await reply.StreamAsync();
            }
            else
            {
                reply.WriteWhole(context.Response);
            }
        }
        finally
        {
            session.Disconnected();
        }
    }

    /// <summary>For a client that loses its session id; see docs/client-profiles.md.</summary>
    private async ValueTask<Session?> NamelessAsync(HttpContext context, string? server, Frame frame, MissingSessionRule rule)
    {
        var session = rule == MissingSessionRule.Serve ? nameless.Of(Person.Of(context), server, "{}"u8, default) : null;
        if (session is null)
        {
            await Answers.MissAsync(context, rule == MissingSessionRule.Serve ? SessionMiss.TooMany : SessionMiss.NotFound, frame.Id);
        }

        return session;
    }

    /// <summary>The session that the request names and may use, in a version that is served; null after answering why not.</summary>
    private async ValueTask<Session?> SessionOfAsync(HttpContext context, string? server, Frame? frame)
    {
        var version = context.Request.Headers[VersionHeader];
        if (version.Count > 0 && !ProtocolVersions.TryParseWithSessions(version, out _))
        {
            await Answers.RefuseAsync(context, StatusCodes.Status400BadRequest, JsonRpc.ServerError,
                $"{VersionHeader} \"{version}\" is not supported; supported are {string.Join(", ", ProtocolVersions.WithSessions.Select(v => v.ToWire()))}.", frame is null ? default : frame.Id);
            return null;
        }

        var header = context.Request.Headers[SessionHeader];
        if (header.Count == 0 && frame is not null && services.TraitsOf(context).MissingSession is not MissingSessionRule.Refuse and var rule)
        {
            return await NamelessAsync(context, server, frame, rule);
        }

        if (header.Count != 1 || header[0] is not { Length: > 0 } sessionId)
        {
            await Answers.RefuseAsync(context, StatusCodes.Status400BadRequest, JsonRpc.ServerError,
                header.Count > 1 ? $"{SessionHeader} stands {header.Count} times; a request belongs to one session." : $"{SessionHeader} is missing; initialize first.", frame is null ? default : frame.Id);
            return null;
        }

        var (session, miss) = await sessions.FindAsync(sessionId, Principal.Of(context), server);
        if (session is null || session.IsLegacySse)
        {
            await Answers.MissAsync(context, miss, frame is null ? default : frame.Id);
            return null;
        }

        session.Seen();
        // Also of one that only listens here, while its calls go elsewhere.
        session.Person = Person.Of(context);
        return session;
    }
}
