namespace Mooring.Chaos;

/// <summary>What a run is asked to do.</summary>
/// <param name="Sessions">Sessions under load in each round.</param>
/// <param name="Seed">Decides what each session does, and in which order.</param>
/// <param name="Only">Names of rounds; empty for all.</param>
/// <param name="IsShort">Faults last less than half as long: to see that everything runs.</param>
/// <param name="Replicas">Another number of gateways than the round's own; null for that.</param>
/// <param name="Write">Page that keeps the result.</param>
internal sealed record ChaosOptions(int Sessions, int Seed, IReadOnlyList<string> Only, bool IsShort, int? Replicas, string? Write);
