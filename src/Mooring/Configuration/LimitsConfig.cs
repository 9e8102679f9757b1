namespace Mooring.Configuration;

public sealed record LimitsConfig
{
    /// <summary>Streams and requests one user holds open. Without authentication nobody can be told apart: then it counts only where it is set.</summary>
    /// <value>Default 64.</value>
    public int? StreamsPerUser { get; init; }

    /// <summary>Open streams of this process.</summary>
    /// <value>Default 50,000.</value>
    public int Streams { get; init; } = 50_000;

    /// <summary>Streams that clients keep open at all replicas together, on a store that shares limits; 0: no limit.</summary>
    public int AllStreams { get; init; }

    /// <summary>Sessions of one user; without authentication it counts only where it is set.</summary>
    /// <value>Default 1,000.</value>
    public int? SessionsPerUser { get; init; }

    /// <summary>Sessions that this process has in memory.</summary>
    /// <value>Default 100,000.</value>
    public int Sessions { get; init; } = 100_000;

    /// <summary>Sessions of all users in the store, on one that shares limits; 0: no limit.</summary>
    public int AllSessions { get; init; }

    /// <summary>Largest request body, and largest message of an upstream.</summary>
    /// <value>Default 16 MB; 1 kB to 1 GB.</value>
    public long BodySize { get; init; } = 16 * 1024 * 1024;

    /// <summary>All request headers together.</summary>
    /// <value>Default 32 kB.</value>
    public int HeaderSize { get; init; } = 32 * 1024;

    /// <value>Default 64.</value>
    public int JsonDepth { get; init; } = 64;

    /// <summary>Messages in one batch (2025-03-26).</summary>
    /// <value>Default 100.</value>
    public int Batch { get; init; } = 100;

    /// <summary>Calls one user may start in a minute; 0: no limit.</summary>
    public int CallsPerUserPerMinute { get; init; }

    /// <summary>Calls of all users in a minute; 0: no limit.</summary>
    public int CallsPerMinute { get; init; }

    /// <summary>Calls of one session under way at once.</summary>
    /// <value>Default 256.</value>
    public int CallsPerSession { get; init; } = 256;

    /// <summary>Standalone GET streams of one session.</summary>
    /// <value>Default 4.</value>
    public int GetStreamsPerSession { get; init; } = 4;

    /// <summary>Calls of one user that wait for its client to come back with answers (2026-07-28); without authentication it counts only where it is set.</summary>
    /// <value>Default 64.</value>
    public int? WaitingCallsPerUser { get; init; }

    /// <summary>As <see cref="WaitingCallsPerUser"/>, of all users.</summary>
    /// <value>Default 10,000.</value>
    public int WaitingCalls { get; init; } = 10_000;

    /// <summary>Tasks of one user in the store, finished ones too; without authentication it counts only where it is set.</summary>
    /// <value>Default 256.</value>
    public int? TasksPerUser { get; init; }

    /// <summary>As <see cref="TasksPerUser"/>, of all users.</summary>
    /// <value>Default 10,000.</value>
    public int Tasks { get; init; } = 10_000;

    internal const int DefaultTasksPerUser = 256;
    internal const int DefaultStreamsPerUser = 64;
    internal const int DefaultWaitingCallsPerUser = 64;
    internal const int DefaultSessionsPerUser = 1000;

    internal int StreamsFor(bool anonymous) => StreamsPerUser ?? (anonymous ? int.MaxValue : DefaultStreamsPerUser);

    internal int WaitingCallsFor(bool anonymous) => WaitingCallsPerUser ?? (anonymous ? int.MaxValue : DefaultWaitingCallsPerUser);

    internal int TasksFor(bool anonymous) => TasksPerUser ?? (anonymous ? int.MaxValue : DefaultTasksPerUser);

    internal int SessionsFor(bool anonymous) => SessionsPerUser ?? (anonymous ? int.MaxValue : DefaultSessionsPerUser);
}
