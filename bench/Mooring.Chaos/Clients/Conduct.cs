namespace Mooring.Chaos.Clients;

/// <summary>What a round wants of its clients.</summary>
internal sealed class Conduct
{
    private TaskCompletionSource _reads = Done();
    private TaskCompletionSource _calls = Done();

    /// <summary>How long after it was to be answered a call may end otherwise than as lost, not counting the fault itself.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>How long in all the faults of the round keep answers away; zero where they do not. Who waits for the end of everything waits so much longer.</summary>
    public TimeSpan FaultsLast { get; init; }

    /// <summary>When they do.</summary>
    public FaultTimes Faults { get; } = new(TimeProvider.System);

    /// <summary>Mean time between two steps of one session.</summary>
    public TimeSpan Pace { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Bytes added to each notification.</summary>
    public int Padding { get; init; }

    /// <summary>Longest of the slow calls, in seconds.</summary>
    public int Slowest { get; set; } = 10;

    /// <summary>Whether a call that was to take so many seconds may still end otherwise than as lost.</summary>
    /// <param name="start">When it was begun.</param>
    /// <param name="seconds">What it takes.</param>
    public bool HasTime(long start, int seconds) => Since(start) < TimeSpan.FromSeconds(seconds) + Patience;

    /// <summary>How long that is ago, without the time in which a fault kept answers away.</summary>
    public TimeSpan Since(long start) => TimeProvider.System.GetElapsedTime(start) - Faults.Since(start);

    /// <summary>Stops those sessions that can be stopped from reading their standalone streams, or lets them read on.</summary>
    public void Reading(bool on) => Set(ref _reads, on);

    /// <summary>Keeps sessions from new calls, or lets them go on.</summary>
    public void Calling(bool on) => Set(ref _calls, on);

    public Task MayReadAsync(CancellationToken cancel) => _reads.Task.WaitAsync(cancel);

    public Task MayCallAsync(CancellationToken cancel) => _calls.Task.WaitAsync(cancel);

    private static void Set(ref TaskCompletionSource gate, bool open)
    {
        if (open)
        {
            gate.TrySetResult();
        }
        else
        {
            gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    private static TaskCompletionSource Done()
    {
        var source = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        source.SetResult();
        return source;
    }
}
