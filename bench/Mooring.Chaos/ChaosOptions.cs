namespace Mooring.Chaos;

/// <summary>What a run is asked to do.</summary>
/// <param name="Rounds">Names of rounds; empty for all.</param>
/// <param name="Sessions">Sessions under load in each round.</param>
/// <param name="Official">Clients built on the official libraries; a third of them has no session and comes on top, as do the strict ones of 2026-07-28.</param>
/// <param name="Seed">Decides what each session does, and in which order.</param>
/// <param name="Pace">Mean time between two steps of one session.</param>
/// <param name="IsShort">Faults of a few seconds, fewer of them, and shorter calls: to see that everything holds, not how long it takes.</param>
/// <param name="Parallel">Rounds played at the same time.</param>
/// <param name="Replicas">Another number of gateways than the round's own; null for that.</param>
/// <param name="Commit">When calls are committed, as the gateway's configuration has it; null for its own way.</param>
/// <param name="OnDynamoDb">Whether gateways that share a store share a DynamoDB table instead of a PostgreSQL.</param>
/// <param name="Write">Page that keeps the result.</param>
internal sealed record ChaosOptions(
    IReadOnlyList<string> Rounds,
    int Sessions,
    int Official,
    int Seed,
    TimeSpan Pace,
    bool IsShort,
    int Parallel,
    int? Replicas,
    string? Commit,
    bool OnDynamoDb,
    string? Write);
