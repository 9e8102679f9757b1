using Mooring.Protocol;
using Mooring.Telemetry;

namespace Mooring.Upstreams.Stateless;

/// <content>
/// Calls that the server makes tasks of (the tasks extension): the link asks how they are doing, has the client asked what the server asks, and gives
/// their end as the answer of the call. Whoever has the server's id of a task can go on with it on another link.
/// </content>
internal sealed partial class StatelessLink
{
    public override bool FollowsTasks => true;

    /// <summary>Waits for a task that the server has just made of a call.</summary>
    private ValueTask<Attempt> FollowAsync(PendingRequest request, Frame created)
    {
        var task = created.Span(created.Envelope.Result);
        if (JsonFields.String(task, "taskId"u8) is not { Length: > 0 } id)
        {
            return new(WrongKind(request, "task"));
        }

        request.OnServerTask(id, ofItsOwn: true);
        return FollowAsync(request, id, TaskPoll.Of(task, "pollIntervalMs"u8));
    }

    private async ValueTask<Attempt> FollowAsync(PendingRequest request, string id, TimeSpan poll)
    {
        var asked = new TaskQuestions(this, request, id);
        try
        {
            while (true)
            {
                if (!await PauseAsync(poll, request.Abandoned))
                {
                    return Attempt.Abandoned("");
                }

                if (asked.Failed is { } failed)
                {
                    return failed;
                }

                var attempt = await AskOfTaskAsync("tasks/get", TaskParameters(id), request.Abandoned);
                if (attempt is not { Kind: AttemptKind.Answered, Answer: { } answer })
                {
                    if (!IsUsable)
                    {
                        return attempt;
                    }

                    // Asking does nothing, and what the client was asked stays asked. How long is for the call to say.
                    poll = TaskPoll.Usual;
                    continue;
                }

                if (answer.Kind == FrameKind.Error)
                {
                    return Own(request.Id, $"Outcome unknown: server \"{Upstream.Name}\" executed the request as a task, and no longer tells what became of it: {ErrorText(answer)}.");
                }

                request.Sign();
                var task = answer.Span(answer.Envelope.Result).ToArray();
                if (End(request, task) is { } end)
                {
                    asked.Done();
                    return end;
                }

                asked.Are(InputRequests(task));
                poll = TaskPoll.Of(task, "pollIntervalMs"u8);
            }
        }
        finally
        {
            asked.End();
        }
    }

    /// <summary>Asks or tells something about a task. Not answered in time is not answered; all of it may be said again.</summary>
    private async ValueTask<Attempt> AskOfTaskAsync(string method, byte[] parameters, CancellationToken cancel) =>
        await TaskPoll.AskAsync(Upstream, _time, limited => RoundAsync(method, parameters, limited), cancel) ?? Attempt.Unknown($"it did not answer {method} in time");

    /// <summary>The answer of the call, where the task has ended.</summary>
    private Attempt? End(PendingRequest request, byte[] task)
    {
        var status = JsonFields.String(task, "status"u8);
        var result = JsonFields.Object(task, "result"u8);
        var error = JsonFields.Object(task, "error"u8);
        return status switch
        {
            "working" or "input_required" => null,
            "completed" when !result.IsEmpty => Attempt.Answered(Read(JsonRpc.Result(Digits(request.Id), result))),
            "failed" when !error.IsEmpty => Attempt.Answered(Read([.. "{\"jsonrpc\":\"2.0\",\"id\":"u8, .. Digits(request.Id), .. ",\"error\":"u8, .. error, (byte)'}'])),
            "cancelled" => Own(request.Id, $"Server \"{Upstream.Name}\" cancelled the task that it made of the request. It may have been executed in part."),
            _ => WrongKind(request, $"task, {status}"),
        };
    }

    private static byte[] TaskParameters(string id) => [.. "{\"taskId\":"u8, .. JsonText.Quote(id), (byte)'}'];

    /// <summary>What the server of one task asks: each key once, however often it is shown.</summary>
    private sealed class TaskQuestions
    {
        private readonly StatelessLink _link;
        private readonly PendingRequest _request;
        private readonly string _task;
        private readonly Lock _gate = new();
        private readonly HashSet<string> _seen = new(StringComparer.Ordinal);
        private readonly Dictionary<string, long> _open = new(StringComparer.Ordinal);
        private readonly List<string> _interactions = [];
        private readonly CancellationTokenSource _over;
        private readonly CancellationToken _until;

        public TaskQuestions(StatelessLink link, PendingRequest request, string task)
        {
            (_link, _request, _task) = (link, request, task);
            _over = CancellationTokenSource.CreateLinkedTokenSource(request.Abandoned);
            _until = _over.Token;
        }

        /// <summary>What the call ends with, since the client has no answer and there is no word for that.</summary>
        public Attempt? Failed { get; private set; }

        /// <summary>What is asked just now; anything else that was is asked no longer.</summary>
        public void Are(List<(string Key, string Method, byte[] Parameters)> questions)
        {
            foreach (var (key, method, parameters) in questions)
            {
                if (_seen.Add(key))
                {
                    if (method.Length == 0)
                    {
                        Failed ??= _link.OfNoKind(_request);
                        continue;
                    }

                    var (id, answer) = _link.AskClient(_request, method, parameters, _interactions);
                    lock (_gate)
                    {
                        _open[key] = id;
                    }

                    AnswerAsync(key, method, id, answer.Task).Unawaited(_link._logger);
                }
            }

            TakeBack(key => !questions.Exists(question => question.Key == key));
        }

        public void Done() => _link.TellComplete(_request, _interactions);

        /// <summary>The task has ended, or is followed here no longer: nothing of it is asked or answered any more.</summary>
        public void End()
        {
            TakeBack(_ => true);
            _over.Cancel();
            _over.Dispose();
        }

        /// <summary>The client is not to answer what nobody waits for.</summary>
        private void TakeBack(Func<string, bool> which)
        {
            List<long> gone;
            lock (_gate)
            {
                var keys = _open.Keys.Where(which).ToList();
                gone = keys.ConvertAll(key => _open[key]);
                keys.ForEach(key => _open.Remove(key));
            }

            foreach (var id in gone)
            {
                if (_link._questions.TryRemove(id, out _))
                {
                    _link.Owner.OnMessage(_link, Read(JsonRpc.Cancelled(Digits(id), "its server no longer asks")), _request);
                }
            }
        }

        private async Task AnswerAsync(string key, string method, long id, Task<Frame> asking)
        {
            try
            {
                var answer = await asking.WaitAsync(_until);
                lock (_gate)
                {
                    _open.Remove(key);
                }

                _link._questions.TryRemove(id, out _);
                if (Response(method, answer) is not { } response)
                {
                    await _link.AskOfTaskAsync("tasks/cancel", TaskParameters(_task), _until);
                    Failed = _link.Own(_request.Id, $"Server \"{_link.Upstream.Name}\" needs an answer to {method}, and the client has none: {ErrorText(answer)}. The task was cancelled there.");
                    return;
                }

                await UpdateAsync([.. "{\"taskId\":"u8, .. JsonText.Quote(_task), .. ",\"inputResponses\":{"u8, .. JsonText.Quote(key), (byte)':', .. response, .. "}}"u8]);
            }
            catch (OperationCanceledException)
            {
                // The call is over, or the link.
            }
        }

        /// <summary>
        /// An answer that is sent twice is ignored the second time (the tasks extension, "Task Update Requests"). As the task, it waits for a server that is
        /// away; a link that is over is followed by another, on which the client is asked anew.
        /// </summary>
        private async Task UpdateAsync(byte[] parameters)
        {
            for (var tries = 1; _link.IsUsable; tries++)
            {
                var attempt = await _link.AskOfTaskAsync("tasks/update", parameters, _until);
                if (attempt.Kind is AttemptKind.Answered or AttemptKind.Abandoned || !await _link.PauseAsync(FirstPause * (1 << Math.Min(tries, 6)), _until))
                {
                    return;
                }
            }
        }
    }
}
