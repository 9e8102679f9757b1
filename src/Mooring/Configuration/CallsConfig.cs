namespace Mooring.Configuration;

/// <summary>How long calls may take, and what happens meanwhile.</summary>
public sealed record CallsConfig
{
    /// <summary>How long a POST may stay undecided before it becomes an event stream.</summary>
    /// <value>Default 500 ms; 0 to 10 s.</value>
    public TimeSpan Grace { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>How long the very first list of a server is waited for.</summary>
    /// <value>Default 3 s; 0 to 1 min.</value>
    public TimeSpan FirstListWait { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>Longest silence (no answer, no progress) of one call.</summary>
    /// <value>Default 5 min; 10 ms to 24 h.</value>
    public TimeSpan Deadline { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Longest duration of one call, with progress or without.</summary>
    /// <value>Default 1 h; 10 ms to 7 d.</value>
    public TimeSpan HardCap { get; init; } = TimeSpan.FromHours(1);

    /// <summary>How often a client that gave a progress token hears of a call whose server reports no progress; zero: never.</summary>
    /// <value>Default 20 s: below the 30 s after which the least patient clients known give up; 1 s to 10 min.</value>
    public TimeSpan ProgressEvery { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>How long a call whose server asked its client something waits for a client without sessions to come back with the answer.</summary>
    /// <value>Default 5 min; 1 s to 24 h.</value>
    public TimeSpan InputWait { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>After this a tool call becomes a task, where its client takes tasks; zero: never.</summary>
    /// <value>Default 30 s; 0 to 24 h.</value>
    public TimeSpan TaskAfter { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a task is kept after its end.</summary>
    /// <value>Default 24 h; 1 min to 30 d.</value>
    public TimeSpan TaskKeep { get; init; } = TimeSpan.FromHours(24);
}
