namespace Mooring.Benchmarks.Suite;

/// <param name="Gateway">The gateway's program; null lets a second pass-through stand in, which shows the noise of the measurement.</param>
/// <param name="Root">The repository.</param>
/// <param name="Repetitions">Rounds over all candidates; medians are taken over them.</param>
/// <param name="Seconds">Of all measurements of calls in one repetition.</param>
/// <param name="Streams">Held at once.</param>
internal sealed record SuiteOptions(string? Gateway, string Root, int Repetitions, double Seconds, int Streams)
{
    /// <summary>Rounds of calls: more and shorter ones, since a neighbour of the machine may take a second of it, and should not take a whole row.</summary>
    public int CallRounds => Repetitions * 3;

    /// <summary>Seconds of one measurement of calls in one round.</summary>
    public double CallSeconds => Seconds / 3;

    /// <summary>Seconds between two comments while streams are held; short, so that several rounds fit into one measurement.</summary>
    public double Beat { get; init; } = 4;

    /// <summary>Seconds over which comments are counted.</summary>
    public double BeatSeconds { get; init; } = 16;

    /// <summary>Readers that stall in the lateness run.</summary>
    public int Stalled { get; init; } = 100;

    /// <summary>Names of the cases to run; empty for all.</summary>
    public IReadOnlyList<string> Only { get; init; } = [];

    /// <summary>The loopback device hands received packets to the first processor (set up by eng/bench.sh): a sender is not charged for its receivers.</summary>
    public bool Steered { get; init; }

    /// <summary>File between whose markers the result is put.</summary>
    public string? Write { get; init; }

    public bool Wants(string name) => Only.Count == 0 || Only.Contains(name, StringComparer.OrdinalIgnoreCase);
}
