namespace Mooring.Tasks;

/// <summary>Lets somebody wait until something becomes of a task, wherever it runs. For one who waits at a time, and reads the task's record after each wait.</summary>
internal sealed class TaskWatch : IDisposable
{
    /// <summary>The news may be lost, or the store be away when it comes.</summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(5);

    private readonly TaskNews _news;
    private readonly TaskEar _ear;
    private readonly TimeProvider _time;
    private TaskCompletionSource _heard = New();

    public TaskWatch(string id, TaskNews news, TimeProvider time)
    {
        (_news, _time) = (news, time);
        _ear = new TaskEar(id, _ => Volatile.Read(ref _heard).TrySetResult());
        news.Add(_ear);
    }

    /// <summary>Completes when the record may be another one than it was at the end of the last wait, and after a while in any case.</summary>
    /// <exception cref="OperationCanceledException">Given up.</exception>
    public async Task WaitAsync(CancellationToken cancel)
    {
        await Task.WhenAny(_heard.Task, Task.Delay(LookAgain, _time, cancel));
        cancel.ThrowIfCancellationRequested();
        // Before the record is read: what is written from now on is for the next wait.
        Volatile.Write(ref _heard, New());
    }

    public void Dispose() => _news.Remove(_ear);

    // Whoever waits goes on elsewhere: the ear is told under a lock.
    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
