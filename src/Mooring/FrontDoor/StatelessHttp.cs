using Microsoft.AspNetCore.Http;
using Mooring.Audit;
using Mooring.Auth;
using Mooring.Calls;
using Mooring.Network;
using Mooring.Policies;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Sessions;
using Mooring.Vault;

namespace Mooring.FrontDoor;

/// <summary>
/// Streamable HTTP of 2026-07-28 (basic/transports/streamable-http): each POST says for itself who asks, in which version and what its client can
/// do, and is answered by itself. Behind it stands a session that this process keeps for all such requests of one person that agree in what the
/// client can do (<see cref="StatelessSessions"/>).
/// </summary>
internal sealed class StatelessHttp(
    FrontDoorServices services, StatelessSessions sessions, Discovery discovery, ParamHeaders parameters, Router router, Destinations destinations, Wishes wishes, Listening listening,
    ParkedCalls parked, PassedRetries passed, TaskThresholds thresholds, TaskMethods tasks, Permits permits)
{
    /// <summary>Whether a message is one of that version. <c>initialize</c> is not, unless it says so itself (basic/versioning, "Backward Compatibility").</summary>
    public static bool IsFor(Frame message, string? header) =>
        message.Envelope.IsStateless || (header == ProtocolVersions.Stateless && message.Method != McpMethod.Initialize);

    public static Task RefuseBatchAsync(HttpContext context) =>
        Answers.RefuseAsync(context, StatusCodes.Status400BadRequest, FrameReader.InvalidRequest, $"Protocol version {ProtocolVersions.Stateless} has no batches.");

    /// <param name="context">The POST; its Host and Origin are checked.</param>
    /// <param name="server">The server of a single-server route; null on the merged one.</param>
    /// <param name="message">What it brought.</param>
    /// <param name="accept">What the client can read.</param>
    public async Task PostAsync(HttpContext context, string? server, Frame message, Accepts accept)
    {
        // A call is begun in place, so that this is all of its way that waits.
        if (await BeginAsync(context, server, message, accept) is not { } exchange)
        {
            return;
        }

        try
        {
            await using var left = exchange.WatchClient();
            await exchange.WaitAsync();
            if (exchange.Stream is { } stream)
            {
                await stream.RunAsync();
            }
            else
            {
                exchange.WriteWhole();
            }
        }
        finally
        {
            exchange.Session.Disconnected();
        }
    }

    /// <summary>Checks what came, and begins what it asks for. Null: it was answered already.</summary>
    private async ValueTask<PostedExchange?> BeginAsync(HttpContext context, string? server, Frame message, Accepts accept)
    {
        if (message.Method != McpMethod.ToolsCall || message.Bytes.Length > WaitingThreads.Turn)
        {
            // As with sessions: short calls are handed on at once; anything else may take its time.
            await WaitingThreads.Leave();
        }

        // :: 1 what may come at all
        if (accept != (Accepts.Json | Accepts.EventStream))
        {
            await Answers.RefuseAsync(context, StatusCodes.Status406NotAcceptable, FrameReader.InvalidRequest, "Accept must name application/json and text/event-stream.", message.Id);
            return null;
        }

        switch (message.Kind)
        {
            case FrameKind.Notification:
                // Over HTTP the version has none that a client would send; a request is cancelled by closing it.
                context.Response.StatusCode = StatusCodes.Status202Accepted;
                return null;
            case FrameKind.Result or FrameKind.Error:
                await Answers.RefuseAsync(context, StatusCodes.Status400BadRequest, FrameReader.InvalidRequest, "Clients of this version send no responses; what a server asked is answered with inputResponses.");
                return null;
        }

        // :: 2 whether it says what it has to, and its headers the same
        if (StatelessChecks.Of(context.Request, message, isMerged: server is null) is { } refusal)
        {
            await RefuseAsync(context, message, refusal);
            return null;
        }

        // :: 3 who stands for its client
        var person = Person.Of(context);
        var capabilities = message.Raw(message.ClientMeta.ClientCapabilities);
        if ((sessions.Find(person, server, capabilities.Span, InfoOf(message)) ?? sessions.Of(person, server, capabilities.Span, InfoOf(message))) is not { } session)
        {
            await Answers.MissAsync(context, SessionMiss.TooMany, message.Id);
            return null;
        }

        if (!await services.Intake.TakesAsync(context, session, 1, message))
        {
            return null;
        }

        session.Connected();
        PostedExchange? exchange = null;
        try
        {
            return exchange = await BeginAsync(context, session, message);
        }
        finally
        {
            if (exchange is null)
            {
                session.Disconnected();
            }
        }
    }

    private async ValueTask<PostedExchange?> BeginAsync(HttpContext context, Session session, Frame request)
    {
        // Of the request at hand, also where it goes on with a call that was begun before; and before anything of a tool is told.
        var access = services.AccessOf(context, session);
        if (permits.Of(access, session, request) == Permit.Refused)
        {
            services.NoteRefused(context, session, request, server: ServerOf(session, request), "denied");
            await RefuseAsync(context, request, new Refusal(StatusCodes.Status200OK, JsonRpc.ServerError, Permits.Why(request), Permits.Data));
            return null;
        }

        if (parameters.Differs(session, request, context.Request.Headers) is { } why)
        {
            await RefuseAsync(context, request, Refusal.Mismatch(why));
            return null;
        }

        if (request.Method == McpMethod.Listen)
        {
            await listening.ListenAsync(context, session, request);
            return null;
        }

        var isOfTasks = TaskMethods.Has(request.Method);
        if ((isOfTasks || NeedsTasks(session, request)) && TaskMethods.Lacks(session) is { } lack)
        {
            await RefuseAsync(context, request, lack);
            return null;
        }

        string? wrong = null;
        // tasks/update brings answers too, and is no retry.
        var retry = isOfTasks ? null : Retry.Of(request, out wrong);
        if (retry is { IsOurs: false } && await IsOutOfReachAsync(context, session, request))
        {
            return null;
        }

        StatelessReply? waiting = null;
        string? holder = null;
        if (wrong is not null || (retry is not null && !TryFind(session, request, retry, out waiting, out holder, out wrong)))
        {
            await RefuseAsync(context, request, Refusal.Invalid(wrong!));
            return null;
        }

        if (request.ClientMeta.LogLevel is { IsPresent: true } level)
        {
            await wishes.NeedLevelAsync(session, request.Text(level));
        }

        var exchange = new PostedExchange(context, request, discovery, session, services);
        try
        {
            var reply = waiting;
            if (waiting is not null)
            {
                await WaitingThreads.Leave();
                waiting.Resume(exchange, retry!.Answers);
            }
            else if (holder is not null)
            {
                await WaitingThreads.Leave();
                Pass(session, request, retry!, holder, exchange, access, Caller.ShownBy(context), Caller.OriginOf(context));
            }
            else if (request.Method == McpMethod.Discover)
            {
                reply = new StatelessReply(session, exchange, parked, thresholds, services.Time) { Access = access, ShownToken = Caller.ShownBy(context), From = Caller.OriginOf(context) };
                reply.Answer(request, await discovery.ResultAsync(session, access));
            }
            else if (isOfTasks)
            {
                reply = new StatelessReply(session, exchange, parked, thresholds, services.Time) { Access = access, ShownToken = Caller.ShownBy(context), From = Caller.OriginOf(context) };
                _ = tasks.AnswerAsync(session, request, reply);
            }
            else
            {
                reply = Run(session, request, retry, exchange, access, Caller.ShownBy(context), Caller.OriginOf(context));
            }

            exchange.Reply = reply;
            return exchange;
        }
        catch
        {
            // The host answers. What was written later would stand in the answer to the next request of the connection.
            exchange.Withdraw();
            throw;
        }
    }

    /// <summary>Whether the call is of a tool that its server, one of 2025-11-25, executes as a task alone.</summary>
    private bool NeedsTasks(Session session, Frame request) =>
        request.Method == McpMethod.ToolsCall && destinations.ToolOf(session, request).HasFlag(ToolHints.TaskRequired);

    // Of its own: what a lambda takes with it is made for every request of the method that it stands in.
    private void Pass(Session session, Frame request, Retry retry, string holder, PostedExchange exchange, Access access, SubjectToken? shown, AuditOrigin from) =>
        passed.Pass(session, retry.State!, holder, exchange, ServerOf(session, request) ?? "?", runAnew: () => Run(session, request, retry, exchange, access, shown, from));

    private StatelessReply Run(Session session, Frame request, Retry? retry, PostedExchange exchange, Access access, SubjectToken? shown, AuditOrigin from)
    {
        var isOurs = retry is { IsOurs: true };
        var reply = new StatelessReply(session, exchange, parked, thresholds, services.Time) { Access = access, ShownToken = shown, From = from, WasDeclined = isOurs && retry!.IsDeclined };
        router.Handle(session, isOurs ? Retry.Stripped(request) : WithoutTask(session, retry?.ForServer(request) ?? request), reply);
        return reply;
    }

    /// <summary>
    /// Finds the call that waits for a retry, or who has it. A server that speaks the version itself has its own references, which pass; to any other, a
    /// retry without the call that it belongs to would be that call once more (invariant 9).
    /// </summary>
    private bool TryFind(Session session, Frame request, Retry retry, out StatelessReply? waiting, out string? holder, out string? wrong)
    {
        (waiting, holder, wrong) = (null, null, null);
        if (retry is { IsOurs: true, State: { } state })
        {
            if (!parked.TryTake(state, RetryKey.Of(session, request), out waiting)
                && ((holder = ParkedCalls.HolderOf(state)) is null || holder == services.Peers.Name))
            {
                wrong = PassedRetries.UnknownReference;
            }
        }
        else if (!GoesToStateless(session, request))
        {
            wrong = retry.State is null
                ? "inputResponses came without the requestState that belongs to it, so it cannot be told what call it answers."
                : "requestState is not one that was given out here.";
        }

        return wrong is null;
    }

    /// <summary>
    /// After a start, or while a server is replaced, nobody knows whether it has sessions, and so whether the reference may be its own. That shows when a link to it is
    /// opened; where none can be, the request is answered here.
    /// </summary>
    private async ValueTask<bool> IsOutOfReachAsync(HttpContext context, Session session, Frame request)
    {
        if (ServerOf(session, request) is not { } server || await discovery.MeetAsync(session, server, context.RequestAborted) is not { } why)
        {
            return false;
        }

        await Answers.WriteAsync(context, StatusCodes.Status200OK, CallFailure.UpstreamUnreachable.ToResponse(request.Id, server, why));
        return true;
    }

    private string? ServerOf(Session session, Frame request) => session.Server ?? destinations.Of(session, request, out _)?.Upstream.Name;

    private bool GoesToStateless(Session session, Frame request) =>
        ServerOf(session, request) is { } server && discovery.SpeaksStateless(server);

    /// <summary>A leftover of 2025-11-25 in a request of this version, where it means nothing: a server of that one would make a task that the client cannot read.</summary>
    private Frame WithoutTask(Session session, Frame request)
    {
        var given = request.Method == McpMethod.ToolsCall && request.Bytes.IndexOf("\"task\""u8) >= 0 ? request.Span(request.Envelope.Params) : default;
        return JsonFields.Has(given, "task"u8) && !GoesToStateless(session, request)
            ? Frame.Parse(JsonFields.Splice(request.Bytes, request.Envelope.Params, JsonFields.Without(given, "task"u8)))
            : request;
    }

    private static Task RefuseAsync(HttpContext context, Frame request, Refusal refusal) =>
        Answers.WriteAsync(context, refusal.Status, JsonRpc.Error(request.Id, refusal.Code, refusal.Message, refusal.Data));

    /// <summary>Older versions want a name and a version of every client; without both, servers of theirs are told the gateway's.</summary>
    public static ReadOnlySpan<byte> InfoOf(Frame request)
    {
        var info = request.Span(request.ClientMeta.ClientInfo);
        return JsonFields.String(info, "name"u8) is not null && JsonFields.String(info, "version"u8) is not null ? info : default;
    }
}
