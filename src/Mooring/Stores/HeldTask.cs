namespace Mooring.Stores;

internal enum HeldTaskStatus
{
    /// <summary>Its call is under way.</summary>
    Working,

    /// <summary>Its server asked the client something, and goes on waiting.</summary>
    InputRequired,

    /// <summary>There is a result, be it a tool's own error.</summary>
    Completed,

    /// <summary>It ended with a JSON-RPC error; one of these says that nobody knows what became of it.</summary>
    Failed,

    /// <summary>Its client wanted it cancelled, and it was.</summary>
    Cancelled,
}

/// <summary>A call that became a task: it outlives its client's connection, and its record the process that runs it.</summary>
internal sealed record HeldTask
{
    public required string Id { get; init; }

    /// <summary>As in <see cref="SessionRecord.Issuer"/>.</summary>
    public required string Issuer { get; init; }

    /// <summary>Whose it is within <see cref="Issuer"/>.</summary>
    public required string Subject { get; init; }

    /// <summary>The server of the single-server route it was made on; null on the merged route.</summary>
    public string? Route { get; init; }

    /// <summary>The server that executes it.</summary>
    public required string Server { get; init; }

    /// <summary>The tool, by the server's own name.</summary>
    public required string Tool { get; init; }

    /// <summary><c>_meta</c> of the client's request, raw JSON: what the client can do, for whoever goes on with the task.</summary>
    public required ReadOnlyMemory<byte> Meta { get; init; }

    public HeldTaskStatus Status { get; init; }

    /// <summary>For people, or null.</summary>
    public string? Message { get; init; }

    public required DateTimeOffset Created { get; init; }

    public required DateTimeOffset Updated { get; init; }

    /// <summary>When the row may go.</summary>
    public required DateTimeOffset Expires { get; init; }

    /// <summary>The process that runs it, or has to end it.</summary>
    public required string Replica { get; init; }

    /// <summary>The server's own task behind it, by the server's id: another process can go on with that. Null where there is none.</summary>
    public string? ServerTask { get; init; }

    /// <summary>From where another process can go on with its call; null where none could, as far as is known.</summary>
    public CallCursor? Cursor { get; init; }

    /// <summary>Raw JSON: the questions while they are asked, then the result or the error; else empty.</summary>
    public ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>0, 1, 2 … with every change.</summary>
    public long Revision { get; init; }

    /// <summary>Whether nothing changes any more.</summary>
    public bool IsFinal => Status >= HeldTaskStatus.Completed;
}
