namespace Mooring.Streams;

/// <summary>
/// How much waits on one stream for the store. Takes everything, since an answer must never be refused, but tells whoever has much to
/// say when to go on: a flood then stays where it comes from. Owned by its <see cref="EventStream"/>; anyone may wait.
/// </summary>
internal sealed class StepRoom
{
    /// <summary>Bytes that may wait before others are asked to; as much as the default buffer of a stream's reader.</summary>
    internal const long Limit = 256 * 1024;

    /// <summary>What a step takes besides its message: many small ones are much, too.</summary>
    internal const int StepBytes = 128;

    private readonly Lock _gate = new();
    private TaskCompletionSource? _free;
    private long _taken;

    /// <summary>Whether another message may come without waiting for the store.</summary>
    public bool IsFree => Volatile.Read(ref _taken) <= Limit;

    /// <summary>
    /// Completes when <see cref="IsFree"/>. Depends on the store, and on the reader only while it is shown what it missed, at most for the time that a reader has to
    /// take something: whoever reads for several clients must not wait for it.
    /// </summary>
    public Task FreeAsync()
    {
        if (IsFree)
        {
            return Task.CompletedTask;
        }

        lock (_gate)
        {
            return IsFree
                ? Task.CompletedTask
                : (_free ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    public void Take(int bytes) => Interlocked.Add(ref _taken, bytes + StepBytes);

    public void GiveBack(int bytes)
    {
        Interlocked.Add(ref _taken, -(bytes + StepBytes));
        if (!IsFree)
        {
            return;
        }

        lock (_gate)
        {
            _free?.SetResult();
            _free = null;
        }
    }
}
