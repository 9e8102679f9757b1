using Mooring.Audit;
using Mooring.Calls;
using Mooring.Protocol;
using Mooring.Replicas;
using Mooring.Stores;

namespace Mooring.Tasks;

/// <summary>
/// Tasks whose process is gone: what their server keeps, or an answer that can be heard from where it was left, is gone on with; the others are ended as outcome
/// unknown. As <see cref="CallsLeftBehind"/> for calls.
/// </summary>
internal sealed partial class TasksLeftBehind(
    HeldTasks tasks, IStore store, Peers peers, TaskNews news, TasksMetrics metrics, CallsMetrics calls, AuditLog audit, ILogger<TasksLeftBehind> logger)
{
    private const int MostTries = 20;

    /// <summary>Tasks that nobody answers for are few; where they are many, the rest is ended with the next looks.</summary>
    private const int MostOrphans = 1000;

    /// <summary>What nobody answered for at the last look, and whose it was then.</summary>
    private HashSet<(string Id, string Replica)> _orphans = [];

    /// <summary>Ends what a dead replica left undone, or goes on with it.</summary>
    /// <param name="replica">Its name.</param>
    /// <param name="why">What happened, for the client.</param>
    /// <param name="goOn">Goes on with one that its server keeps, or whose answer can be heard from where it was left.</param>
    /// <param name="cancel">Stops between two tasks.</param>
    public async Task EndAsync(string replica, string why, Action<HeldTask> goOn, CancellationToken cancel) =>
        await EndAsync(await store.FindUnfinishedTasksAsync(replica, cancel), why, goOn, cancel);

    /// <summary>Ends all that the process before this one left undone, or goes on with it. Only where nobody shares the store.</summary>
    /// <inheritdoc cref="EndAsync(string, string, Action{HeldTask}, CancellationToken)"/>
    public async Task EndAllAsync(string why, Action<HeldTask> goOn, CancellationToken cancel) =>
        await EndAsync(await store.FindUnfinishedTasksExceptAsync([], int.MaxValue, cancel), why, goOn, cancel);

    /// <summary>
    /// Ends tasks that no replica answers for, or goes on with them: those of a process that stopped in order and left them to others, and those recorded under
    /// a dead name after its heir had looked through it. Only at the second look that finds them, as with calls: at the first their replica may be one that
    /// had just come. One look at a time.
    /// </summary>
    /// <param name="answered">Names of the replicas that answer for what they run.</param>
    /// <param name="why">What happened, for the client.</param>
    /// <param name="goOn">Goes on with one that its server keeps, or whose answer can be heard from where it was left.</param>
    /// <param name="cancel">Stops between two tasks.</param>
    public async Task EndOrphansAsync(IReadOnlyList<string> answered, string why, Action<HeldTask> goOn, CancellationToken cancel)
    {
        if (tasks.Leaves)
        {
            return;
        }

        var found = await store.FindUnfinishedTasksExceptAsync(answered, MostOrphans, cancel);
        var before = _orphans;
        _orphans = [.. found.Select(task => (task.Id, task.Replica))];
        await EndAsync(found.Where(task => before.Contains((task.Id, task.Replica))), why, goOn, cancel);
    }

    private async Task EndAsync(IEnumerable<HeldTask> left, string why, Action<HeldTask> goOn, CancellationToken cancel)
    {
        foreach (var task in left)
        {
            cancel.ThrowIfCancellationRequested();
            await EndAsync(task, why, goOn);
        }
    }

    private async Task EndAsync(HeldTask task, string why, Action<HeldTask> goOn)
    {
        var found = task;
        for (var tries = 0; tries < MostTries && found is { IsFinal: false } left && left.Replica == task.Replica; tries++)
        {
            var isOurs = left.Replica == peers.Name;
            if (isOurs && left.ServerTask is not null)
            {
                // This process leaves; the others find it.
                return;
            }

            var next = isOurs ? Unknown(left, why)
                : left.ServerTask is not null ? left with { Replica = peers.Name, Updated = tasks.Now }
                // What its server asked and still waits for it asks again.
                : left.Cursor is not null ? left with { Replica = peers.Name, Updated = tasks.Now, Status = HeldTaskStatus.Working, Message = null, Body = default }
                : Unknown(left, why);
            if (await store.UpdateHeldTaskAsync(next))
            {
                Over(next with { Revision = left.Revision + 1 }, why, goOn);
                return;
            }

            // Its process was only slow, or only the store's answer was lost.
            found = await store.FindHeldTaskAsync(task.Id, CancellationToken.None);
        }
    }

    private void Over(HeldTask task, string why, Action<HeldTask> goOn)
    {
        news.Tell(task);
        if (!task.IsFinal)
        {
            Log.TakenOver(logger, task.Server);
            goOn(task);
            return;
        }

        Log.LeftBehind(logger, task.Server);
        calls.UnknownOutcome(task.Server, "replica_gone");
        metrics.Ended(task.Server, task.Status);
        if (audit.IsOn)
        {
            audit.Write(new AuditEntry("call", CallFailure.OutcomeUnknown.ToTag())
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
            Updated = tasks.Now,
            Expires = tasks.Later(task.Expires),
        };
    }

    private static partial class Log
    {
        [LoggerMessage(902, LogLevel.Warning, "A task at server {Server} was running when its gateway process ended; it ends as outcome unknown.", EventName = "TaskLeftBehind")]
        public static partial void LeftBehind(ILogger logger, string server);

        [LoggerMessage(903, LogLevel.Information, "A task at server {Server}, whose gateway process is gone, is gone on with.", EventName = "TaskTakenOver")]
        public static partial void TakenOver(ILogger logger, string server);
    }
}
