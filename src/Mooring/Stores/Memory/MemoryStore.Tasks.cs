namespace Mooring.Stores.Memory;

/// <content>Held tasks.</content>
internal sealed partial class MemoryStore
{
    private readonly Dictionary<string, HeldTask> _held = new(StringComparer.Ordinal);

    public Task<bool> HoldTaskAsync(HeldTask task, int mostOfOne, int mostOfAll)
    {
        lock (_gate)
        {
            if (_held.Count >= mostOfAll || _held.Values.Count(t => t.Issuer == task.Issuer && t.Subject == task.Subject) >= mostOfOne)
            {
                return Task.FromResult(false);
            }

            _held.Add(task.Id, task with { Meta = task.Meta.ToArray(), Body = task.Body.ToArray(), Revision = 0 });
            return Task.FromResult(true);
        }
    }

    public Task<bool> UpdateHeldTaskAsync(HeldTask task)
    {
        lock (_gate)
        {
            if (_held.GetValueOrDefault(task.Id) is not { IsFinal: false } known || known.Revision != task.Revision)
            {
                return Task.FromResult(false);
            }

            _held[task.Id] = known with
            {
                Status = task.Status,
                Message = task.Message,
                Updated = task.Updated,
                Expires = task.Expires,
                Replica = task.Replica,
                ServerTask = task.ServerTask,
                Cursor = task.Cursor,
                Body = task.Body.ToArray(),
                Revision = task.Revision + 1,
            };
            return Task.FromResult(true);
        }
    }

    public ValueTask<HeldTask?> FindHeldTaskAsync(string id, CancellationToken cancel)
    {
        lock (_gate)
        {
            return new(_held.GetValueOrDefault(id));
        }
    }

    public Task<IReadOnlyList<HeldTask>> FindUnfinishedTasksAsync(string replica, CancellationToken cancel) =>
        Task.FromResult(Unfinished(task => task.Replica == replica, int.MaxValue));

    public Task<IReadOnlyList<HeldTask>> FindUnfinishedTasksExceptAsync(IReadOnlyList<string> replicas, int limit, CancellationToken cancel) =>
        Task.FromResult(Unfinished(task => !replicas.Contains(task.Replica), limit));

    private IReadOnlyList<HeldTask> Unfinished(Func<HeldTask, bool> isMeant, int limit)
    {
        lock (_gate)
        {
            return [.. _held.Values.Where(task => !task.IsFinal && isMeant(task)).OrderBy(task => task.Id, StringComparer.Ordinal).Take(limit)];
        }
    }

    public Task DropHeldTaskAsync(string id)
    {
        lock (_gate)
        {
            _held.Remove(id);
        }

        return Task.CompletedTask;
    }

    private void ExpireHeldLocked(DateTimeOffset now)
    {
        foreach (var (id, _) in _held.Where(t => t.Value.Expires < now).ToList())
        {
            _held.Remove(id);
        }
    }
}
