namespace Mooring.Configuration;

/// <summary>What replicas keep in memory of a store that they share.</summary>
public sealed record CacheConfig
{
    /// <summary>How long a session in memory is used while the store cannot be asked about it: the bound for sessions that were ended elsewhere meanwhile.</summary>
    /// <value>Default 60 s: a restart or a failover of the database goes unnoticed; 0 to 1 h.</value>
    public TimeSpan MaxStale { get; init; } = TimeSpan.FromSeconds(60);
}
