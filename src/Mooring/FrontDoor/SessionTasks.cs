using Mooring.Auth;
using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Tasks;
using Mooring.Telemetry;
using Mooring.Upstreams;

namespace Mooring.FrontDoor;

/// <summary>
/// Tasks of 2025-11-25 for clients with sessions, at servers of the tasks extension (basic/utilities/tasks there). Such a task is a held one from its first
/// moment, and its call is made as for a client of the extension: by the session that stands for such clients of the same person on the same route. So it
/// outlives the client's session, and any replica answers for it.
/// </summary>
internal sealed partial class SessionTasks(
    HeldTasks tasks, TaskNews news, TaskOwners owners, StatelessSessions sessions, CallRunner runner, ParkedCalls parked, TaskThresholds thresholds,
    Discovery discovery, TimeProvider time, ILogger<SessionTasks> logger) : IBridgedTaskHolder
{
    /// <summary>Of one server in one list; each is read from the store for it.</summary>
    private const int MostListed = 1000;

    /// <summary>For a server to be told that its task is cancelled, at whichever replica it runs.</summary>
    private static readonly TimeSpan CancelPatience = TimeSpan.FromSeconds(10);

    public async Task MakeAsync(WantedTask wanted)
    {
        var (session, upstream, request, reply) = (wanted.Session, wanted.Upstream, wanted.Request, wanted.Reply);
        try
        {
            // :: 1 the call as a client of the extension makes it
            var initialize = session.Record.InitializeParams;
            byte[] capabilities = TasksExtension.AddTo(JsonFields.Without(Given(JsonFields.Object(initialize.Span, "capabilities"u8)), "tasks"u8));
            var info = JsonFields.Object(initialize.Span, "clientInfo"u8).ToArray();
            var meta = MetaOf(request, capabilities, info);
            var call = CallOf(request, wanted.Tool, meta);
            var person = session.Person ?? new Person(session.Principal.Issuer, session.Principal.Subject);
            if (sessions.Of(person, session.Server, capabilities, StatelessHttp.InfoOf(call)) is not { } standing)
            {
                Refuse(wanted, "its user has too many sessions for another one (limits.sessionsPerUser, limits.sessions)");
                return;
            }

            // :: 2 committed, and whose it is with it: only then may the id leave (invariant 17)
            var held = new StatelessReply(standing, parked, thresholds, time, discovery.ServerInfo(standing)) { Access = reply.Access, ShownToken = reply.ShownToken };
            var what = new NewTask(session.Principal, session.Server, upstream.Name, wanted.Tool, meta, ServerTask: null);
            if (await tasks.HoldAsync(what, held.TaskCall) is not { } task)
            {
                Refuse(wanted, "there are too many tasks (limits.tasks, limits.tasksPerUser), or the gateway's store is not reachable");
                return;
            }

            if (await owners.KeepAsync(session.Principal, upstream, Frame.Parse(JsonRpc.Result("1"u8, OlderTaskState.Created(task.Record, task.Id)))) is { } notKept)
            {
                await tasks.DropAsync(task);
                Refuse(wanted, notKept);
                return;
            }

            // :: 3 the client has its task, and the call is begun
            held.Resume(task);
            TellStatus(session, upstream, task.Record);
            if (reply.PassAudit(request.Id) is { } audited)
            {
                audited.BecameTask();
                held.Audit(audited);
            }

            reply.Answer(request, OlderTaskState.Created(task.Record, BridgedTasks.ShownId(session, upstream.Name, task.Id)));
            runner.RunAsync(new Call(standing, upstream, call, held, time)).Unawaited(logger);
        }
        catch (Exception e)
        {
            // A bug of ours must not leave the client waiting.
            Log.Failed(logger, e, upstream.Name);
            reply.Refuse(request, JsonRpc.InternalError, "The gateway failed to make a task of the call.");
        }
    }

    public async Task AnswerAsync(Session session, Upstream upstream, string id, Frame request, Reply reply)
    {
        var shown = BridgedTasks.ShownId(session, upstream.Name, id);
        if (await tasks.FindAsync(session.Principal, session.Server, id) is not { } task || task.Server != upstream.Name)
        {
            reply.Refuse(request, JsonRpc.InvalidParams, $"Unknown task: {shown}");
            return;
        }

        switch (request.Method)
        {
            case McpMethod.TasksGet:
                reply.Answer(request, OlderTaskState.Got(task, shown));
                break;
            case McpMethod.TasksCancel:
                await CancelAsync(task, shown, request, reply);
                break;
            default:
                var call = new Call(session, upstream, request, reply, time);
                await runner.WaitAsync(call, new TaskResult(call, task, shown, tasks, news, time).WaitAsync);
                break;
        }
    }

    private async Task CancelAsync(HeldTask task, string shown, Frame request, Reply reply)
    {
        if (task.IsFinal)
        {
            reply.Refuse(request, JsonRpc.InvalidParams, $"The task has ended already, as {OlderTaskState.StatusOf(task).ToWire()}: {shown}");
            return;
        }

        using var limit = new CancellationTokenSource(CancelPatience, time);
        using var watch = new TaskWatch(task.Id, news, time);
        try
        {
            var isTold = await tasks.CancelAsync(task);
            while (isTold)
            {
                if (await tasks.FindAsync(task) is { IsFinal: true } ended)
                {
                    reply.Answer(request, OlderTaskState.Got(ended, shown));
                    return;
                }

                await watch.WaitAsync(limit.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // It was told, and ends.
        }

        reply.Refuse(request, JsonRpc.InternalError, "Whether the task is cancelled is not known yet. Ask how it is doing.");
    }

    public async Task<List<byte[]>> ListAsync(Session session, Upstream upstream, CancellationToken cancel)
    {
        var found = new List<HeldTask>();
        foreach (var id in (await owners.OfAsync(session.Principal, upstream, cancel)).Take(MostListed))
        {
            cancel.ThrowIfCancellationRequested();
            if (await tasks.FindAsync(session.Principal, session.Server, id) is { } task)
            {
                found.Add(task);
            }
        }

        return [.. found.OrderBy(task => task.Created).Select(task => OlderTaskState.Got(task, BridgedTasks.ShownId(session, upstream.Name, task.Id)))];
    }

    /// <summary>Tells the session that had a task made how it is doing, for as long as both are here.</summary>
    private void TellStatus(Session session, Upstream upstream, HeldTask task)
    {
        var told = OlderTaskState.StatusOf(task);
        TaskEar ear = null!;
        ear = new TaskEar(task.Id, now =>
        {
            var status = OlderTaskState.StatusOf(now);
            if (status != told && !session.IsEnded && session.MayHear(upstream))
            {
                told = status;
                session.Outbox.Send(OlderTaskState.Notification(now, BridgedTasks.ShownId(session, upstream.Name, now.Id)));
            }

            if (now.IsFinal || session.IsEnded)
            {
                news.Remove(ear);
            }
        });
        news.Add(ear);
    }

    private static void Refuse(WantedTask wanted, string why) => wanted.Reply.Complete(
        wanted.Request.Raw(wanted.Request.Envelope.Id), CallFailure.NotRecorded.ToResponse(wanted.Request.Id, wanted.Upstream.Name, why));

    /// <summary>What the client can do and who it is, for whoever goes on with the task; what is the request's own. Of a task nobody hears progress.</summary>
    private static byte[] MetaOf(Frame request, byte[] capabilities, byte[] info)
    {
        var own = JsonFields.Without(Given(JsonFields.Object(request.Span(request.Envelope.Params), "_meta"u8)), "progressToken"u8);
        return JsonFields.Prepend(own,
        [
            .. "\"io.modelcontextprotocol/clientCapabilities\":"u8, .. capabilities,
            .. info.Length > 0 ? [.. ",\"io.modelcontextprotocol/clientInfo\":"u8, .. info] : (byte[])[],
        ]);
    }

    /// <summary>A copy, since the request's buffer goes back to the pool with its answer.</summary>
    private static Frame CallOf(Frame request, string tool, byte[] meta)
    {
        var parameters = JsonFields.Without(JsonFields.Without(request.Span(request.Envelope.Params), "task"u8), "_meta"u8);
        parameters = JsonFields.Splice(parameters, JsonFields.Find(parameters, "name"u8), JsonText.Quote(tool));
        return Frame.Parse(
        [
            .. "{\"jsonrpc\":\"2.0\",\"id\":"u8, .. request.Id, .. ",\"method\":\"tools/call\",\"params\":"u8,
            .. JsonFields.Prepend(parameters, [.. "\"_meta\":"u8, .. meta]), (byte)'}',
        ]);
    }

    private static ReadOnlySpan<byte> Given(ReadOnlySpan<byte> json) => json.IsEmpty ? "{}"u8 : json;

    private static partial class Log
    {
        [LoggerMessage(905, LogLevel.Error, "Making a task of a call to server {Server} failed.", EventName = "SessionTaskFailed")]
        public static partial void Failed(ILogger logger, Exception exception, string server);
    }
}
