namespace Mooring.Chaos.Servers;

/// <summary>Has a server take everything and answer nothing, for as long as it is told to.</summary>
internal sealed class Halt
{
    private TaskCompletionSource _goesOn = new();
    private long _hung;

    public Halt() => _goesOn.SetResult();

    public void Begin() => _goesOn = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <returns>How many requests hung.</returns>
    public long End()
    {
        var count = Interlocked.Exchange(ref _hung, 0);
        _goesOn.TrySetResult();
        return count;
    }

    /// <summary>Waits while the server hangs.</summary>
    public Task MayGoOnAsync(CancellationToken cancel)
    {
        var goesOn = _goesOn.Task;
        if (!goesOn.IsCompleted)
        {
            Interlocked.Increment(ref _hung);
        }

        return goesOn.WaitAsync(cancel);
    }
}
