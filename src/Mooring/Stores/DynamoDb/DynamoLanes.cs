namespace Mooring.Stores.DynamoDb;

/// <summary>One write of a session after the other, in the order of the calls; those of different sessions go side by side.</summary>
internal sealed class DynamoLanes
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Task> _last = new(StringComparer.Ordinal);
    private bool _closed;

    public async Task<T> RunAsync<T>(string key, Func<Task<T>> work)
    {
        Task before;
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_closed, this);
            before = _last.GetValueOrDefault(key, Task.CompletedTask);
            _last[key] = done.Task;
        }

        try
        {
            await before;
            return await work();
        }
        finally
        {
            lock (_gate)
            {
                if (_last.GetValueOrDefault(key) == done.Task)
                {
                    _last.Remove(key);
                }
            }

            done.SetResult();
        }
    }

    public Task RunAsync(string key, Func<Task> work) => RunAsync(key, async () =>
    {
        await work();
        return true;
    });

    /// <summary>Takes nothing more, and waits for what was taken.</summary>
    public Task CloseAsync()
    {
        lock (_gate)
        {
            _closed = true;
            return Task.WhenAll(_last.Values);
        }
    }
}
