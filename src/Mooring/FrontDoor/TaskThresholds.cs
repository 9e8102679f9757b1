using Mooring.Calls;
using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Streams;
using Mooring.Tasks;

namespace Mooring.FrontDoor;

/// <summary>
/// Calls whose clients take tasks, while their clients wait for the answer: one that takes longer than <c>calls.taskAfter</c> becomes a task
/// (2026-07-28, the tasks extension). Part of the heartbeat.
/// </summary>
internal sealed class TaskThresholds(ConfigStore config, TimeProvider time, HeldTasks tasks) : IHeartbeatHandler
{
    /// <summary>Until one that did not become a task is tried again: the store was away, or full.</summary>
    private static readonly TimeSpan TryAgain = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private readonly Dictionary<StatelessReply, long> _due = [];

    public HeldTasks Tasks => tasks;

    /// <summary>From now on the time of a call counts, anew where it counted before.</summary>
    public void Watch(StatelessReply reply, Call call)
    {
        if (call.Request.Method == McpMethod.ToolsCall && ServerTasks.AfterOf(config.Current, call) is var after && after > TimeSpan.Zero)
        {
            Set(reply, after);
        }
    }

    /// <summary>Its time is over now.</summary>
    public void Hasten(StatelessReply reply) => Set(reply, TimeSpan.Zero);

    public void Again(StatelessReply reply) => Set(reply, TryAgain);

    public void Forget(StatelessReply reply)
    {
        if (!reply.IsWatched)
        {
            // Nearly all: their clients take no tasks, and they need not wait for each other here.
            return;
        }

        lock (_gate)
        {
            _due.Remove(reply);
        }
    }

    public void OnHeartbeat(long now)
    {
        List<StatelessReply>? over = null;
        lock (_gate)
        {
            foreach (var (reply, due) in _due)
            {
                if (due <= now)
                {
                    (over ??= []).Add(reply);
                }
            }

            over?.ForEach(reply => _due.Remove(reply));
        }

        over?.ForEach(reply => reply.BecomeTask());
    }

    private void Set(StatelessReply reply, TimeSpan after)
    {
        lock (_gate)
        {
            reply.IsWatched = true;
            _due[reply] = time.GetTimestamp() + (long)(after.TotalSeconds * time.TimestampFrequency);
        }
    }
}
