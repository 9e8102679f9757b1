using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Tasks;
using Mooring.Telemetry;

namespace Mooring.FrontDoor;

/// <content>
/// A call that becomes a task (2026-07-28, the tasks extension): its client gets the task as the answer to its POST, and what belongs to the call goes into the
/// task's record from then on.
/// </content>
internal sealed partial class StatelessReply
{
    private RunningTask? _task;
    private string? _serverTask;
    private CallCursor? _place;
    private byte[] _serverInfo = [];
    private bool _becomes;
    private bool _passes;

    /// <summary>For a call that goes on with a task which another process held: nobody waits for it, and its outcome is for the record.</summary>
    public StatelessReply(Session session, ParkedCalls parked, TaskThresholds thresholds, TimeProvider time, byte[] serverInfo)
    {
        (Session, _parked, _thresholds, _time, _serverInfo) = (session, parked, thresholds, time, serverInfo);
        _method = McpMethod.ToolsCall;
        Headers = [];
    }

    public override bool IsHeld => Volatile.Read(ref _task) is not null;

    /// <summary>What the task can have its call told.</summary>
    public TaskCall TaskCall => new(() => ExpireAsync().Unawaited(_parked.Logger), AnswerTask, RefuseTask);

    /// <summary>The task that this one goes on with.</summary>
    public void Resume(RunningTask task)
    {
        lock (_gate)
        {
            (_task, _serverTask, _place) = (task, task.Record.ServerTask, task.Record.Cursor);
        }
    }

    /// <summary>An answer that asks back is for the client, unless it has the call as a task; once it is passed on, the call becomes none.</summary>
    public override bool PassesUnfinished()
    {
        lock (_gate)
        {
            return _task is null && (_passes = true);
        }
    }

    /// <summary>What is asked has to be asked again by whoever goes on, so until it is answered nothing after it counts: of all else a task keeps nothing.</summary>
    public override void Reached(CallCursor place)
    {
        lock (_gate)
        {
            if (_questions.Count == 0)
            {
                _place = place;
                _task?.Reached(place);
            }
        }
    }

    public override void Follows(string serverTask, bool atOnce)
    {
        RunningTask? task;
        lock (_gate)
        {
            if (_serverTask == serverTask)
            {
                return;
            }

            _serverTask = serverTask;
            task = _task;
        }

        task?.Follows(serverTask);
        if (task is null && atOnce && TasksExtension.IsIn(Capabilities))
        {
            _thresholds.Hasten(this);
        }
    }

    /// <summary>It takes longer than a client is to wait. Part of the heartbeat.</summary>
    public void BecomeTask()
    {
        lock (_gate)
        {
            if (_isOver || _hasLeft || _becomes || _passes || _task is not null || _exchange is not { } exchange || _call is not { } call)
            {
                return;
            }

            // Read under the lock: with the answer the buffer of the request goes back to the pool.
            var request = call.Request;
            var what = new NewTask(
                Session.Principal, Session.Server, call.Upstream.Name, call.ToolName,
                request.Envelope.Meta.IsPresent ? request.Span(request.Envelope.Meta).ToArray() : [.. "{}"u8], _serverTask, _place);
            _becomes = true;
            BecomeTaskAsync(exchange, what).Unawaited(_parked.Logger);
        }
    }

    private async Task BecomeTaskAsync(StatelessExchange exchange, NewTask what)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        var task = await _thresholds.Tasks.HoldAsync(what, TaskCall);
        var info = exchange.ServerInfo;
        bool isTaken;
        lock (_gate)
        {
            _becomes = false;
            isTaken = task is not null && !_isOver && !_hasLeft && !_passes && ReferenceEquals(_exchange, exchange);
            if (isTaken)
            {
                (_task, _exchange, _serverInfo) = (task, null, info);
                if (_serverTask is not null && what.ServerTask is null)
                {
                    task!.Follows(_serverTask);
                }

                if (_place is not null && _place != what.Place)
                {
                    task!.Reached(_place);
                }

                if (_questions.Count > 0)
                {
                    ShowQuestionsLocked();
                }
            }
        }

        if (task is null)
        {
            _thresholds.Again(this);
        }
        else if (!isTaken)
        {
            // It was answered, asked back or left meanwhile.
            await _thresholds.Tasks.DropAsync(task);
        }
        else
        {
            // Noted under the id of its first request; the exchange at hand may be a retry's.
            OnlyAudit?.BecameTask();
            if (!HandOut(exchange, task, info))
            {
                // It left just now, and never saw the task.
                await ExpireAsync();
            }
        }
    }

    private bool HandOut(StatelessExchange exchange, RunningTask task, byte[] info)
    {
        var result = JsonRpc.Result(exchange.Id.Span, TaskState.Created(task.Record with { Status = Stores.HeldTaskStatus.Working, Message = null }));
        var (message, status) = StatelessAnswers.Dress(Frame.Parse(result), _method, exchange.Id, info);
        return exchange.Finish(message, status);
    }

    private void EndTask(RunningTask task, Frame answer)
    {
        var (message, _) = StatelessAnswers.Dress(answer.Kind == FrameKind.Error ? Told(answer) : answer, _method, "1"u8.ToArray(), _serverInfo);
        var dressed = Frame.Parse(message.ToArray());
        answer.Dispose();
        if (dressed.Kind == FrameKind.Error)
        {
            task.Fail(dressed.Span(dressed.Envelope.Error).ToArray());
        }
        else
        {
            task.Complete(dressed.Span(dressed.Envelope.Result).ToArray());
        }
    }

    private void AnswerTask(IReadOnlyList<(string Key, byte[] Answer)> answers) => PassOn(TakeOfTask(answers));

    /// <summary>What that means for the call is for whoever asked to say.</summary>
    private void RefuseTask(IReadOnlyList<(string Key, byte[] Error)> errors)
    {
        foreach (var (question, error) in TakeOfTask(errors))
        {
            byte[] response = [.. "{\"jsonrpc\":\"2.0\",\"id\":"u8, .. question.Id, .. ",\"error\":"u8, .. error, (byte)'}'];
            Session.Questions.AnswerAsync(Frame.Parse(response), CancellationToken.None).Unawaited(_parked.Logger);
        }
    }

    private List<(Question Question, byte[] Answer)> TakeOfTask(IReadOnlyList<(string Key, byte[] Answer)> answers)
    {
        lock (_gate)
        {
            var answered = TakeAnsweredLocked(answers);
            if (answered.Count > 0)
            {
                ShowQuestionsLocked();
            }

            return answered;
        }
    }

    /// <summary>In order with what is asked and answered, which the lock makes sure of.</summary>
    private void ShowQuestionsLocked() => _task?.Asks(_questions.Count == 0 ? [] : [(byte)'{', .. Asked(_questions.Select(q => (q.Key, q.Request))), (byte)'}']);
}
