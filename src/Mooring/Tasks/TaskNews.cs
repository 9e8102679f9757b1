using Mooring.Replicas;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Telemetry;

namespace Mooring.Tasks;

/// <summary>
/// Tells those who listen to a task how it is doing (the tasks extension, "Task Status Notifications"), at whichever replica they are: whoever
/// writes a task down says so to the others, who look it up if somebody there wants to know.
/// </summary>
internal sealed class TaskNews : IHeartbeatHandler
{
    private const string TaskSignal = "task";

    /// <summary>Signals may be lost.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, List<TaskEar>> _ears = new(StringComparer.Ordinal);
    private readonly IStore _store;
    private readonly Peers _peers;
    private readonly TimeProvider _time;
    private readonly ILogger<TaskNews> _logger;
    private long _nextLook;

    public TaskNews(IStore store, Peers peers, TimeProvider time, ILogger<TaskNews> logger)
    {
        (_store, _peers, _time, _logger) = (store, peers, time, logger);
        peers.OnSignal(TaskSignal, id => LookAsync(id).Unawaited(_logger));
        peers.OnMissed(LookAtAll);
    }

    /// <summary>From now on an ear hears of its task, beginning with how it is now.</summary>
    public void Add(TaskEar ear)
    {
        lock (_gate)
        {
            if (!_ears.TryGetValue(ear.Id, out var ears))
            {
                _ears[ear.Id] = ears = [];
            }

            ears.Add(ear);
        }

        LookAsync(ear.Id).Unawaited(_logger);
    }

    public void Remove(TaskEar ear)
    {
        lock (_gate)
        {
            if (_ears.TryGetValue(ear.Id, out var ears) && ears.Remove(ear) && ears.Count == 0)
            {
                _ears.Remove(ear.Id);
            }
        }
    }

    /// <summary>A task was written down here.</summary>
    public void Tell(HeldTask task)
    {
        TellHere(task);
        _peers.SignalAll(TaskSignal, task.Id);
    }

    public void OnHeartbeat(long now)
    {
        if (!_peers.IsShared || now < _nextLook)
        {
            return;
        }

        _nextLook = now + (long)(LookEvery.TotalSeconds * _time.TimestampFrequency);
        LookAtAll();
    }

    private void LookAtAll()
    {
        List<string> ids;
        lock (_gate)
        {
            ids = [.. _ears.Keys];
        }

        foreach (var id in ids)
        {
            LookAsync(id).Unawaited(_logger);
        }
    }

    private async Task LookAsync(string id)
    {
        lock (_gate)
        {
            if (!_ears.ContainsKey(id))
            {
                return;
            }
        }

        try
        {
            if (await _store.FindHeldTaskAsync(id, CancellationToken.None) is { } task)
            {
                TellHere(task);
            }
        }
        catch (StoreException)
        {
            // The next look finds it; and clients may always ask.
        }
    }

    private void TellHere(HeldTask task)
    {
        List<TaskEar> ears;
        lock (_gate)
        {
            if (!_ears.TryGetValue(task.Id, out var found))
            {
                return;
            }

            ears = [.. found];
        }

        ears.ForEach(ear => ear.Hear(task));
    }
}

/// <summary>Somebody who listens to a task.</summary>
/// <param name="id">The task.</param>
/// <param name="hear">Told each state once, never an older one after a newer. Must not block.</param>
internal sealed class TaskEar(string id, Action<HeldTask> hear)
{
    private readonly Lock _gate = new();
    private long _heard = -1;

    public string Id => id;

    public void Hear(HeldTask task)
    {
        lock (_gate)
        {
            if (task.Revision > _heard)
            {
                _heard = task.Revision;
                hear(task);
            }
        }
    }
}
