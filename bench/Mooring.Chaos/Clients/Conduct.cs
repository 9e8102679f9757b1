namespace Mooring.Chaos.Clients;

/// <summary>What a round wants of its clients.</summary>
internal sealed class Conduct
{
    private TaskCompletionSource _reads = Done();
    private TaskCompletionSource _calls = Done();

    /// <summary>How long the fault keeps the answer of a call away whatever anybody does; zero where it does not.</summary>
    public TimeSpan FaultLasts { get; init; }

    /// <summary>How long after it was to be answered a call may end otherwise than as lost: 30 s, not counting the fault itself.</summary>
    public TimeSpan Patience => TimeSpan.FromSeconds(30) + FaultLasts;

    /// <summary>Mean time between two steps of one session.</summary>
    public TimeSpan Pace { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Bytes added to each notification.</summary>
    public int Padding { get; init; }

    /// <summary>Longest of the slow calls, in seconds.</summary>
    public int Slowest { get; set; } = 10;

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
