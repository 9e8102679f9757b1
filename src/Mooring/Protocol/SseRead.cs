namespace Mooring.Protocol;

/// <summary>What one step of <see cref="SseReader"/> found.</summary>
internal enum SseReadKind
{
    /// <summary>A complete event with data, or one without data that carries an id (a primer).</summary>
    Event,

    /// <summary>A comment line: a sign of life, nothing else.</summary>
    Comment,

    /// <summary>A complete block whose only news is the reconnection time.</summary>
    Retry,

    /// <summary>The stream ended between events.</summary>
    End,

    /// <summary>An event, or a line without end, exceeded the limit. Nothing more is read.</summary>
    TooLarge,

    /// <summary>The stream ended inside an event or a line; that event is not reported.</summary>
    CutMidEvent,
}

/// <summary>One step of <see cref="SseReader"/>. <see cref="Data"/> is a view of the reader's buffer.</summary>
internal readonly struct SseRead(SseReadKind kind)
{
    public SseReadKind Kind { get; } = kind;

    /// <summary>The joined data lines, UTF-8 as sent (not validated), valid until the next read or dispose.</summary>
    public ReadOnlyMemory<byte> Data { get; init; }

    /// <summary>The event's type; <c>message</c> where the stream gives none.</summary>
    public string EventType { get; init; } = SseReader.MessageType;

    /// <summary>The id field of this very event: null if it has none (the last one stays in force), empty if it resets the id.</summary>
    public string? LastEventId { get; init; }

    /// <summary>The reconnection time that this block set. Also given with <see cref="SseReadKind.CutMidEvent"/>, since it is in force from its line on.</summary>
    public TimeSpan? Retry { get; init; }
}
