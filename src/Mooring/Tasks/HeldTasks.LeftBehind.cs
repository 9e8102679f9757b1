using Mooring.Audit;
using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Stores;
using Mooring.Streams;

namespace Mooring.Tasks;

/// <content>Tasks whose process is gone.</content>
internal sealed partial class HeldTasks : IHeartbeatHandler
{
    /// <summary>How often tasks are looked for that nobody will end: their process stopped in order and left them to others, or is long forgotten.</summary>
    private static readonly TimeSpan LookForOrphans = TimeSpan.FromSeconds(20);

    /// <summary>A task as young as that may be of a process which the store does not know yet.</summary>
    private static readonly TimeSpan OrphanAge = TimeSpan.FromSeconds(30);

    private long _nextLook;
    private int _looks;

    /// <summary>Has this process go on with a task that its server keeps; set by who can make calls of its own.</summary>
    public Action<HeldTask>? GoOn { get; set; }

    /// <summary>Ends what a process left undone, or goes on with it.</summary>
    /// <param name="replica">The dead one's name; null: all those that the store knows nothing of.</param>
    /// <param name="why">What happened, for the client.</param>
    /// <param name="cancel">Stops between two tasks.</param>
    /// <param name="youngest">Only those that were not changed for this long.</param>
    public async Task EndLeftBehindAsync(string? replica, string why, CancellationToken cancel, TimeSpan youngest = default)
    {
        foreach (var task in await _store.FindUnfinishedTasksAsync(replica, cancel))
        {
            cancel.ThrowIfCancellationRequested();
            if (!(replica is null && _running.ContainsKey(task.Id)) && (youngest == default || task.Updated <= Now - youngest))
            {
                await EndAsync(task, why);
            }
        }
    }

    /// <summary>Looks for what nobody else will end. Where nobody shares the store that was done at the start.</summary>
    public void OnHeartbeat(long now)
    {
        if (!_peers.IsShared || Leaves || now < _nextLook)
        {
            return;
        }

        var isFirst = _nextLook == 0;
        _nextLook = now + (long)(LookForOrphans.TotalSeconds * _time.TimestampFrequency);
        if (!isFirst && Interlocked.Exchange(ref _looks, 1) == 0)
        {
            _ = LookAsync();
        }
    }

    private async Task LookAsync()
    {
        try
        {
            await EndLeftBehindAsync(replica: null, "the gateway process that ran it is gone", CancellationToken.None, OrphanAge);
        }
        catch (StoreException e)
        {
            Complain(e);
        }
        finally
        {
            Volatile.Write(ref _looks, 0);
        }
    }

    private async Task EndAsync(HeldTask task, string why)
    {
        var found = task;
        for (var tries = 0; tries < MostTries && found is { IsFinal: false } left && left.Replica == task.Replica; tries++)
        {
            var goesOn = left.ServerTask is not null && GoOn is not null;
            if (goesOn && left.Replica == _peers.Name)
            {
                // This process leaves; the others find it.
                return;
            }

            var next = goesOn ? left with { Replica = _peers.Name, Updated = Now } : Unknown(left, why);
            if (await _store.UpdateHeldTaskAsync(next))
            {
                Over(next with { Revision = left.Revision + 1 }, why);
                return;
            }

            // Its process was only slow, or only the store's answer was lost.
            found = await _store.FindHeldTaskAsync(task.Id, CancellationToken.None);
        }
    }

    private void Over(HeldTask task, string why)
    {
        _news.Tell(task);
        if (!task.IsFinal)
        {
            Log.TakenOver(_logger, task.Server);
            GoOn!(task);
            return;
        }

        Log.LeftBehind(_logger, task.Server);
        _calls.UnknownOutcome(task.Server, "replica_gone");
        _metrics.Ended(task.Server, task.Status);
        if (_audit.IsOn)
        {
            _audit.Write(new AuditEntry("call", CallFailure.OutcomeUnknown.ToTag())
            {
                At = task.Created,
                Issuer = task.Issuer,
                User = task.Subject,
                Server = task.Server,
                Method = "tools/call",
                Name = task.Tool,
                IsTask = true,
                Reason = $"{why}: {task.Replica}",
            });
        }
    }

    private HeldTask Unknown(HeldTask task, string why)
    {
        var response = Frame.Parse(CallFailure.OutcomeUnknown.ToResponse("null"u8, task.Server, why));
        var error = response.Span(response.Envelope.Error).ToArray();
        return task with
        {
            Status = HeldTaskStatus.Failed,
            Message = JsonFields.String(error, "message"u8),
            Body = error,
            Updated = Now,
            Expires = Later(task.Expires),
        };
    }

    /// <summary>Goes on with a task that this process has taken over.</summary>
    /// <param name="task">Its record.</param>
    /// <param name="call">What goes on.</param>
    public RunningTask Resume(HeldTask task, TaskCall call) => _running[task.Id] = new RunningTask(task, call, this);
}
