namespace Mooring.Stores.DynamoDb;

/// <summary>How the DynamoDB store works. Fixed for the life of the process.</summary>
internal sealed record DynamoDbStoreOptions
{
    public required string Table { get; init; }

    /// <summary>Null: what the AWS SDK finds (AWS_REGION, a profile, the instance's own).</summary>
    public string? Region { get; init; }

    /// <summary>A role that is assumed; null: none.</summary>
    public string? Role { get; init; }

    /// <summary>Another address of the service; null: the region's own.</summary>
    public Uri? Endpoint { get; init; }

    /// <summary>Whether a table that is not there is made at the opening. The only use of the control plane.</summary>
    public bool CreateTable { get; init; }

    /// <summary>How long events stay at most, whoever has to drop them: DynamoDB then does it itself.</summary>
    /// <value>Default 8 days. Longer than the longest eventLog.age, 7 days.</value>
    public TimeSpan EventsKept { get; init; } = TimeSpan.FromDays(8);

    /// <summary>How long one request may take.</summary>
    /// <value>Default 5 s; the service answers in milliseconds, or not at all.</value>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a use that is throttled is tried again before it fails.</summary>
    /// <value>Default 5 s: half of what the longest wait of a caller is elsewhere.</value>
    public TimeSpan ThrottlePatience { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Requests under way at once; further ones wait.</summary>
    /// <value>Default 64: each has a connection of its own.</value>
    public int MaxRequests { get; init; } = 64;

    /// <summary>Letters that a replica may have unread; then it is written no more until it has read some.</summary>
    /// <value>Default 500: their places lie in the replica's own item, 50 bytes each, and each beat and each letter costs the item's size.</value>
    public int MostUnread { get; init; } = 500;

    /// <summary>How long one wait for a table to be made lasts.</summary>
    /// <value>Default 1 s.</value>
    public TimeSpan CreateInterval { get; init; } = TimeSpan.FromSeconds(1);
}
