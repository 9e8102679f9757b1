using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Sessions;
using Mooring.Upstreams;

namespace Mooring.Calls;

/// <summary>
/// Calls that a server of 2025-11-25 executes as tasks of its own (basic/utilities/tasks), for clients that take tasks in their version's way: whatever
/// becomes of the gateway, the server has them.
/// </summary>
internal sealed class ServerTasks(ConfigStore config, TimeProvider time, Catalogue catalogue)
{
    /// <summary>What a call that is to be a task has more in its params; empty where it is none.</summary>
    public byte[] Wish(Call call, Link link)
    {
        if (call.Request.Method != McpMethod.ToolsCall || call.Session.Version.HasSessions() || link.FollowsTasks
            || !TasksExtension.IsIn(JsonFields.Object(call.Session.Record.InitializeParams.Span, "capabilities"u8)) || !Takes(link))
        {
            return [];
        }

        var hints = catalogue.ToolsOf(call.Session, call.Upstream)?.Find(call.ToolName)?.Hints ?? ToolHints.None;
        if (!hints.HasFlag(ToolHints.TaskRequired) && !(hints.HasFlag(ToolHints.TaskOptional) && AfterOf(config.Current, call) > TimeSpan.Zero))
        {
            return [];
        }

        var calls = config.Current.Calls;
        var ttl = (long)(calls.HardCap + calls.TaskKeep).TotalMilliseconds;
        return System.Text.Encoding.ASCII.GetBytes($"\"task\":{{\"ttl\":{ttl.ToString(System.Globalization.CultureInfo.InvariantCulture)}}}");
    }

    /// <summary>After which time a call becomes a task for its client; zero: never.</summary>
    public static TimeSpan AfterOf(MooringConfig config, Call call)
    {
        var server = call.Upstream.Config;
        return (server.Tools.Count == 0 ? null : server.Tools.GetValueOrDefault(call.ToolName)?.TaskAfter) ?? server.TaskAfter ?? config.Calls.TaskAfter;
    }

    /// <summary>The id of the task that an answer says was made; null where it is none.</summary>
    public static string? IdIn(Attempt attempt) => attempt is { Kind: AttemptKind.Answered, Answer: { Kind: FrameKind.Result } answer }
        ? JsonFields.String(JsonFields.Object(answer.Span(answer.Envelope.Result), "task"u8), "taskId"u8)
        : null;

    /// <summary>Waits for the server's task of a call: asks how it is doing, and has its result, and what it asks before, once it no longer only works.</summary>
    /// <returns>The answer of the call; or why it could not be had just now. What is asked may be asked again.</returns>
    public async ValueTask<Attempt> FollowAsync(Call call, Link link)
    {
        byte[] parameters = [.. "{\"taskId\":"u8, .. JsonText.Quote(call.ServerTask!), (byte)'}'];
        using var result = new TaskResult(call, link, parameters, time);
        while (true)
        {
            // Not answered in time: asked again, and what is waited for besides is waited for.
            var poll = TaskPoll.Usual;
            if (await TaskPoll.AskAsync(link.Upstream, time, limited => link.CallAsync(new TaskRequest(call, "tasks/get", parameters, limited)), call.Abandoned) is { } state)
            {
                if (state is not { Kind: AttemptKind.Answered, Answer: { } answer })
                {
                    return state;
                }

                if (answer.Kind == FrameKind.Error)
                {
                    return Lost(call, answer);
                }

                call.Sign();
                var task = answer.Span(answer.Envelope.Result);
                result.See(JsonFields.String(task, "status"u8));
                poll = TaskPoll.Of(task, "pollInterval"u8);
            }

            var pause = Task.Delay(poll, time, call.Abandoned);
            await Task.WhenAny(result.Asked ?? pause, pause);
            if (call.Abandoned.IsCancellationRequested)
            {
                return Attempt.Abandoned("");
            }

            if (result.Asked is { IsCompleted: true } asked)
            {
                var end = await asked;
                return end.Kind == AttemptKind.Answered ? Attempt.Answered(Plain(end.Answer!)) : end;
            }
        }
    }

    private static bool Takes(Link link) =>
        JsonFields.Find(JsonFields.Object(JsonFields.Object(JsonFields.Object(link.InitializeResult.Span, "capabilities"u8), "tasks"u8), "requests"u8), "tools"u8, "call"u8).IsPresent;

    /// <summary>The server knows the task no more, or will not tell.</summary>
    private static Attempt Lost(Call call, Frame error)
    {
        var why = JsonFields.String(error.Span(error.Envelope.Error), "message"u8);
        return Attempt.Answered(Frame.Parse(CallFailure.OutcomeUnknown.ToResponse("1"u8, call.Upstream.Name, $"it no longer tells what became of its task: {why}")));
    }

    /// <summary>The result without the note which task it is of: that one is the server's, and the client has another.</summary>
    private static Frame Plain(Frame answer) => answer.Kind == FrameKind.Result
        ? Frame.Parse(JsonFields.Splice(answer.Bytes, answer.Envelope.Result, RelatedTask.Without(answer.Span(answer.Envelope.Result))))
        : answer;

    /// <summary>
    /// The one request for a task's result. It is open for as long as the task waits for input, which comes on its stream; once the task has ended it
    /// is answered soon, or asked again.
    /// </summary>
    private sealed class TaskResult(Call call, Link link, byte[] parameters, TimeProvider time) : IDisposable
    {
        private CancellationTokenSource? _giveUp;
        private long? _ended;

        public Task<Attempt>? Asked { get; private set; }

        /// <summary>The task is seen in a state, of which "working" alone has nothing to be fetched.</summary>
        public void See(string? status)
        {
            if (status == "working")
            {
                return;
            }

            if (Asked is { IsCompleted: false } && _ended is { } since && time.GetElapsedTime(since) > TaskPoll.PatienceWith(link.Upstream))
            {
                Dispose();
                (Asked, _ended) = (null, null);
            }

            if (Asked is null)
            {
                _giveUp = CancellationTokenSource.CreateLinkedTokenSource(call.Abandoned);
                Asked = link.CallAsync(new TaskRequest(call, "tasks/result", parameters, _giveUp.Token)).AsTask();
            }

            if (status != "input_required")
            {
                _ended ??= time.GetTimestamp();
            }
        }

        /// <summary>Nobody waits for what was asked any more.</summary>
        public void Dispose()
        {
            _giveUp?.Cancel();
            _giveUp?.Dispose();
        }
    }

    /// <summary>A request about the task of a call; what comes with it belongs to the call.</summary>
    private sealed class TaskRequest(Call call, string method, byte[] parameters, CancellationToken abandoned) : PendingRequest
    {
        public override CancellationToken Abandoned => abandoned;

        public override Message ToMessage() => new(Frame.Parse(JsonRpc.Request(Id, method, parameters)));

        public override void OnRelated(Link link, Frame frame) => call.OnRelated(link, frame);

        public override bool SharesLink => call.SharesLink;

        public override Task ReadyAsync() => call.ReadyAsync();
    }
}
