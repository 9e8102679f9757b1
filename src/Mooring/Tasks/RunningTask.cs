using Mooring.Protocol;
using Mooring.Stores;

namespace Mooring.Tasks;

/// <summary>What the call of a task can be told.</summary>
/// <param name="Cancel">Its client wants it cancelled.</param>
/// <param name="Answer">Its client's answers to what its server asked, by key; those to other keys mean nothing.</param>
/// <param name="Refuse">Its client's errors in place of such answers, by key too: a client of the extension has no word for that, one of 2025-11-25 has.</param>
internal sealed record TaskCall(
    Action Cancel, Action<IReadOnlyList<(string Key, byte[] Answer)>> Answer, Action<IReadOnlyList<(string Key, byte[] Error)>> Refuse);

/// <summary>
/// A task whose call runs in this process. What becomes of it is written down in order, however long the store is away; the last word is
/// written once, unless another process has written one meanwhile.
/// </summary>
/// <param name="record">As it was committed.</param>
/// <param name="call">Its call.</param>
/// <param name="tasks">Who has it.</param>
internal sealed class RunningTask(HeldTask record, TaskCall call, HeldTasks tasks)
{
    private readonly Lock _gate = new();
    private HeldTask _record = record;
    private Task _saving = Task.CompletedTask;
    private bool _isSaving;
    private bool _isDirty;
    private bool _isLost;

    /// <summary>Whether something was asked since it was last written down up to where its server was heard.</summary>
    private bool _hasAsked;

    public string Id { get; } = record.Id;

    public HeldTask Record
    {
        get
        {
            lock (_gate)
            {
                return _record;
            }
        }
    }

    public TaskCall Call => call;

    /// <summary>What its server asks just now; nothing where <paramref name="questions"/> is empty.</summary>
    /// <param name="questions">An object of one request for each key, raw JSON.</param>
    public void Asks(byte[] questions)
    {
        lock (_gate)
        {
            _hasAsked |= questions.Length > 0;
        }

        Change(task => task with
        {
            Status = questions.Length > 0 ? HeldTaskStatus.InputRequired : HeldTaskStatus.Working,
            Message = questions.Length > 0 ? "The server needs an answer to go on." : null,
            Body = questions,
        });
    }

    /// <summary>From now on another process could go on with it.</summary>
    public void Follows(string serverTask) => Change(task => task with { ServerTask = serverTask });

    /// <summary>
    /// From now on another process could go on with it from there. Written down where none could before, or what was asked is answered and must not be asked
    /// again; else with what is written next.
    /// </summary>
    public void Reached(CallCursor place)
    {
        lock (_gate)
        {
            if (_record.Cursor is { } kept && kept.Renewals == place.Renewals && !_hasAsked)
            {
                _record = _record with { Cursor = place };
                return;
            }

            _hasAsked = false;
        }

        Change(task => task with { Cursor = place });
    }

    public void Complete(byte[] result) => End(HeldTaskStatus.Completed, message: null, result);

    public void Fail(byte[] error) => End(HeldTaskStatus.Failed, JsonFields.String(error, "message"u8), error);

    public void Cancelled() => End(HeldTaskStatus.Cancelled, "Cancelled by its client. The server was told; it may have been executed, or a part of it.", body: []);

    /// <summary>Completes when what is known so far is written down, or will never be.</summary>
    public Task SavedAsync()
    {
        lock (_gate)
        {
            return _saving;
        }
    }

    private void End(HeldTaskStatus status, string? message, byte[] body)
    {
        if (status == HeldTaskStatus.Failed && tasks.Leaves && Record.ServerTask is not null)
        {
            // It is this process that ends. Another one asks the server what became of its task.
            tasks.Forget(this);
            return;
        }

        Change(task => task with { Status = status, Message = message, Body = body, Expires = tasks.Later(task.Expires) });
    }

    private void Change(Func<HeldTask, HeldTask> change)
    {
        lock (_gate)
        {
            if (_record.IsFinal || _isLost)
            {
                return;
            }

            _record = change(_record) with { Updated = tasks.Now };
            _isDirty = true;
            if (!_isSaving)
            {
                _isSaving = true;
                _saving = SaveAsync();
            }
        }
    }

    private async Task SaveAsync()
    {
        // Not under the caller's locks.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        while (true)
        {
            HeldTask task;
            lock (_gate)
            {
                if (!_isDirty || _isLost)
                {
                    _isSaving = false;
                    return;
                }

                _isDirty = false;
                task = _record;
            }

            if (!await tasks.SaveAsync(task))
            {
                lock (_gate)
                {
                    _isLost = true;
                }

                tasks.Forget(this);
                continue;
            }

            lock (_gate)
            {
                _record = _record with { Revision = task.Revision + 1 };
            }

            if (task.IsFinal)
            {
                tasks.Ended(this, task);
            }
        }
    }
}
