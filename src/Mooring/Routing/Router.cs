using Mooring.Audit;
using Mooring.Calls;
using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Telemetry;
using Mooring.Upstreams;

namespace Mooring.Routing;

/// <summary>
/// Decides what happens with a request of a session: answered here (ping, lists, level), or a call to the server that owns the name it
/// uses. On a single-server route everything that is not answered here goes to that server as it came.
/// </summary>
internal sealed partial class Router(
    ConfigStore config, TimeProvider time, UpstreamTable upstreams, Destinations destinations, CallRunner runner, Lists lists, Wishes wishes,
    TaskOwners owners, MergedTasks tasks, BridgedTasks bridged, HomeCalls homes, CommitPolicy commits, Permits permits, AuditLog audit, ILogger<Router> logger)
{
    /// <summary>From now on also handles what other replicas pass on.</summary>
    public void ListenToPeers() => homes.Run = Handle;

    /// <summary>Has a request answered on <paramref name="reply"/>, now or later. Never throws.</summary>
    public void Handle(Session session, Frame request, Reply reply)
    {
        // What another replica passed on is noted there.
        if (audit.IsOn && AuditedCall.IsNoted(request.Method) && !HomeCalls.IsPassed(reply))
        {
            reply.Audit(new AuditedCall(audit, request, session.Audited(request, reply.From)) { Server = session.Server }.Begin());
        }

        switch (request.Method)
        {
            case McpMethod.Ping:
                reply.Answer(request, "{}"u8);
                break;
            case McpMethod.ToolsList or McpMethod.PromptsList or McpMethod.ResourcesList or McpMethod.ResourcesTemplatesList:
                _ = lists.AnswerAsync(session, request, reply, ListKinds.Of(request.Method)!.Value);
                break;
            case McpMethod.SetLevel:
                SetLevel(session, request, reply);
                break;
            case McpMethod.ResourcesSubscribe or McpMethod.ResourcesUnsubscribe:
                Subscribe(session, request, reply);
                break;
            case McpMethod.TasksList when session.Server is not { } name || (upstreams.Find(name) is { } only && (!only.IsPerSession || bridged.Has(session, only))):
                _ = AnswerAsync(tasks.ListAsync(session, request, reply), request, reply);
                break;
            case McpMethod.TasksGet or McpMethod.TasksResult or McpMethod.TasksCancel:
                _ = ForwardOwnTaskAsync(session, request, reply);
                break;
            default:
                Forward(session, request, reply, onResult: null);
                break;
        }
    }

    // Of their own: where a method has a lambda in one branch, each call of it pays for what that one captures.
    private void SetLevel(Session session, Frame request, Reply reply) =>
        _ = AnswerAsync(wishes.SetLevelAsync(session, request, reply, onResult => Forward(session, request, reply, onResult)), request, reply);

    private void Subscribe(Session session, Frame request, Reply reply) =>
        _ = AnswerAsync(wishes.SubscribeAsync(session, request, reply, onResult => Forward(session, request, reply, onResult)), request, reply);

    private void Forward(Session session, Frame request, Reply reply, Func<Frame, Task<string?>>? onResult, bool looked = false)
    {
        if (!HasRoom(session, request, reply))
        {
            return;
        }

        if (session.Server is { } name)
        {
            if (upstreams.Find(name) is { } only)
            {
                Forward(session, only, request, renamed: null, reply, onResult, looked);
            }
            else
            {
                reply.Refuse(request, JsonRpc.ServerError, $"Server \"{name}\" is no longer configured.");
            }

            return;
        }

        if (destinations.Of(session, request, out var error) is { } to)
        {
            Forward(session, to.Upstream, request, to.Renamed, reply, onResult, looked);
            return;
        }

        if (!looked && Destinations.ListsThatTell(request.Method) is { Length: > 0 } kinds)
        {
            _ = ForwardAfterLooksAsync(session, request, reply, onResult, kinds);
            return;
        }

        reply.Refuse(request, error.Code, error.Message, error.Data);
    }

    private void Forward(Session session, Upstream upstream, Frame request, (Slice, ReadOnlyMemory<byte>)? renamed, Reply reply, Func<Frame, Task<string?>>? onResult, bool looked)
    {
        if (!MayGo(session, upstream, request, renamed, reply, onResult, looked))
        {
            return;
        }

        if (bridged.Wants(session, upstream, request))
        {
            var tool = renamed is { Item2: var own } ? JsonText.Read(own.Span) : request.Text(request.Envelope.Name);
            reply.GoesTo(upstream.Name);
            Audit(reply, request, upstream, tool);
            bridged.Holder.MakeAsync(new WantedTask(session, upstream, tool, request, reply)).Unawaited(logger);
            return;
        }

        Run(new Call(session, upstream, request, reply, time) { Renamed = renamed, OnResult = onResult ?? KeepsOwner(session, upstream, request) });
    }

    private bool HasRoom(Session session, Frame request, Reply reply)
    {
        if (session.RunningCalls < config.Current.Limits.CallsPerSession)
        {
            return true;
        }

        reply.RefuseForNow(request, $"This session has {config.Current.Limits.CallsPerSession} requests under way (limits.callsPerSession); wait for some to end.");
        return false;
    }

    /// <summary>Whether the policies let a request go to its server; if not, it was answered, or comes back when more is known.</summary>
    private bool MayGo(Session session, Upstream upstream, Frame request, (Slice, ReadOnlyMemory<byte>)? renamed, Reply reply, Func<Frame, Task<string?>>? onResult, bool looked)
    {
        if (HomeCalls.IsMeantForAnother(reply, upstream))
        {
            reply.Refuse(request, JsonRpc.ServerError, "The gateway's processes do not agree yet to which server this belongs. It was not executed; try again.");
            return false;
        }

        if (reply.Access.IsEverything)
        {
            return true;
        }

        switch (permits.Of(reply.Access, session, upstream, request, renamed))
        {
            case Permit.Given:
                return true;
            case Permit.Unknown when !looked:
                _ = ForwardAfterLooksAsync(session, request, reply, onResult, [ListKind.Tools]);
                return false;
            default:
                Audit(reply, request, upstream, tool: null);
                reply.Refuse(request, JsonRpc.ServerError, Permits.Why(request), Permits.Data);
                return false;
        }
    }

    private static void Audit(Reply reply, Frame request, Upstream upstream, string? tool)
    {
        if (reply.AuditOf(request.Id) is { } audited)
        {
            (audited.Server, audited.ToolName) = (upstream.Name, tool);
        }
    }

    private void Run(Call call)
    {
        call.Reply.GoesTo(call.Upstream.Name);
        if (audit.IsOn)
        {
            Audit(call.Reply, call.Request, call.Upstream, call.Request.Method == McpMethod.ToolsCall ? call.ToolName : null);
        }

        if (commits.IsDurable(call))
        {
            runner.RunOnRecordAsync(call, StartAsync).Unawaited(logger);
        }
        else
        {
            StartAsync(call).Unawaited(logger);
        }
    }

    /// <summary>Has a call run, here or at the session's home. Completes when the one that runs it has it.</summary>
    private Task StartAsync(Call call)
    {
        if (homes.MayPass(call.Upstream, call.Reply))
        {
            return PassOnAsync(call);
        }

        runner.RunAsync(call).Unawaited(logger);
        return Task.CompletedTask;
    }

    private Task PassOnAsync(Call call)
    {
        // From here on a cancellation finds it where it runs, and so does whoever looks for its trace.
        call.Session.Remove(call);
        CallTraces.End(call.Trace, CallTraces.PassedOn);
        call.Trace = null;
        return homes.RunAsync(call.Session, call.Upstream, call.Request, call.Reply, here: () => runner.RunAsync(call).Unawaited(logger));
    }

    private Func<Frame, Task<string?>>? KeepsOwner(Session session, Upstream upstream, Frame request) =>
        TaskOwners.MayMake(upstream, request) ? KeepOwner(session, upstream) : null;

    private Func<Frame, Task<string?>> KeepOwner(Session session, Upstream upstream) =>
        answer => owners.KeepAsync(session.Principal, upstream, answer);

    /// <summary>A task on a link that several people share is there only for the one who had it made; for the others it is as unknown as any.</summary>
    private async Task ForwardOwnTaskAsync(Session session, Frame request, Reply reply)
    {
        try
        {
            var shown = request.Text(request.Envelope.TaskId);
            var (server, id) = session.Server is { } single ? (single, shown) : TaskIds.Parse(shown) ?? ("", "");
            var upstream = upstreams.Find(server);
            if (upstream is not null && bridged.Has(session, upstream))
            {
                if (HasRoom(session, request, reply) && MayGo(session, upstream, request, renamed: null, reply, onResult: null, looked: true))
                {
                    await bridged.Holder.AnswerAsync(session, upstream, id, request, reply);
                }

                return;
            }

            if (upstream is { IsPerSession: false } && !await owners.IsOfAsync(session.Principal, upstream, id))
            {
                reply.Refuse(request, JsonRpc.InvalidParams, $"Unknown task: {shown}");
                return;
            }

            Forward(session, request, reply, onResult: null);
        }
        catch (StoreException e)
        {
            // That the store is away is said by the store, once; here it would be said for every request.
            Log.OwnerNotKnown(logger, e.Message);
            reply.RefuseForStore(request, "The gateway's store is not reachable just now, so whose task it is could not be told. Try again.");
        }
        catch (Exception e)
        {
            Log.LookFailed(logger, e);
            reply.Refuse(request, JsonRpc.InternalError, "The gateway failed to look whose task it is.");
        }
    }

    /// <summary>Nobody known has that name; a server that nobody has seen yet may. It is waited for as with a list.</summary>
    private async Task ForwardAfterLooksAsync(Session session, Frame request, Reply reply, Func<Frame, Task<string?>>? onResult, ListKind[] kinds)
    {
        try
        {
            await Task.WhenAll(kinds.Select(kind => lists.FirstLooksAsync(session, session.Server is { } name ? [upstreams.Find(name)!] : upstreams.All, kind, reply.Access)));
            Forward(session, request, reply, onResult, looked: true);
        }
        catch (Exception e)
        {
            Log.LookFailed(logger, e);
            reply.Refuse(request, JsonRpc.InternalError, "The gateway failed to look for the server.");
        }
    }

    /// <summary>Whatever an answer of the gateway's own fails with: its client must not wait for ever.</summary>
    private async Task AnswerAsync(Task answering, Frame request, Reply reply)
    {
        try
        {
            await answering;
        }
        catch (Exception e)
        {
            Log.NotAnswered(logger, e);
            reply.Refuse(request, JsonRpc.InternalError, "The gateway failed to answer the request.");
        }
    }

    private static partial class Log
    {
        [LoggerMessage(223, LogLevel.Error, "A request was not answered.", EventName = "RequestNotAnswered")]
        public static partial void NotAnswered(ILogger logger, Exception exception);

        [LoggerMessage(222, LogLevel.Error, "Looking for the server of a request failed.", EventName = "LookFailed")]
        public static partial void LookFailed(ILogger logger, Exception exception);

        [LoggerMessage(221, LogLevel.Debug, "Whose a task is could not be told: {Reason}", EventName = "TaskOwnerNotKnown")]
        public static partial void OwnerNotKnown(ILogger logger, string reason);
    }
}
