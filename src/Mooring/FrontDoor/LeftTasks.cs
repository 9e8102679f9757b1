using Mooring.Audit;
using Mooring.Auth;
using Mooring.Calls;
using Mooring.Policies;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Tasks;
using Mooring.Telemetry;
using Mooring.Upstreams;

namespace Mooring.FrontDoor;

/// <summary>
/// Goes on with tasks whose process is gone, in the name of the client that had them made: where their server keeps them as tasks of its own it is asked how they
/// are doing until they are done, and where its answer can be heard from where it was left, that is heard to its end.
/// </summary>
internal sealed class LeftTasks(
    HeldTasks tasks, StatelessSessions sessions, UpstreamTable upstreams, CallRunner runner, ParkedCalls parked, TaskThresholds thresholds, Discovery discovery, TimeProvider time, AuditLog audit, ILogger<LeftTasks> logger)
{
    private readonly Lock _gate = new();
    private List<HeldTask>? _early = [];

    /// <summary>The gateway listens.</summary>
    public void Start()
    {
        List<HeldTask> early;
        lock (_gate)
        {
            (early, _early) = (_early ?? [], null);
        }

        early.ForEach(Begin);
    }

    /// <summary>Goes on with a task that is this process's by now. It waits until the gateway listens (invariant 3).</summary>
    public void GoOn(HeldTask task)
    {
        lock (_gate)
        {
            if (_early is not null)
            {
                _early.Add(task);
                return;
            }
        }

        Begin(task);
    }

    private void Begin(HeldTask task)
    {
        // The call as it was, without its arguments: those the server has.
        var request = Frame.Parse(
            [.. "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":"u8, .. JsonText.Quote(task.Tool), .. ",\"_meta\":"u8, .. task.Meta.Span, .. "}}"u8]);
        var session = sessions.Of(new Person(task.Issuer, task.Subject), task.Route, request.Span(request.ClientMeta.ClientCapabilities), StatelessHttp.InfoOf(request));
        if (session is null || upstreams.Find(task.Server) is not { } upstream)
        {
            var why = session is null ? "its user has too many sessions for the gateway to ask for it" : "the server is no longer configured";
            tasks.Resume(task, new TaskCall(static () => { }, static _ => { }, static _ => { })).Fail(
                JsonFields.Object(CallFailure.OutcomeUnknown.ToResponse("null"u8, task.Server, why), "error"u8).ToArray());
            return;
        }

        var place = task.ServerTask is null ? task.Cursor : null;
        var reply = new StatelessReply(session, parked, thresholds, time, discovery.ServerInfo(session)) { Access = Access.Everything };
        if (audit.IsOn)
        {
            reply.Audit(new AuditedCall(audit, request, session.Audited(request)) { Server = upstream.Name, IsTask = true });
        }

        reply.Resume(tasks.Resume(task, reply.TaskCall));
        if (place is not null)
        {
            runner.ResumeAsync(new Call(session, upstream, request, reply, time, time.GetUtcNow() - task.Created) { Id = place.Id, MayHaveRun = true, Begins = place }, place).Unawaited(logger);
            return;
        }

        var call = new Call(session, upstream, request, reply, time) { MayHaveRun = true, Begins = task.Cursor };
        call.OnServerTask(task.ServerTask!, ofItsOwn: true);
        runner.RunAsync(call).Unawaited(logger);
    }
}
