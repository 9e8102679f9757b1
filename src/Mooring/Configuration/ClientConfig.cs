namespace Mooring.Configuration;

/// <summary>What becomes of a message that names no session where one is needed.</summary>
public enum MissingSessionRule
{
    /// <summary>400, as the protocol says; the default.</summary>
    Refuse,

    /// <summary>404, which has a client begin a new session.</summary>
    NotFound,

    /// <summary>Served as a client without sessions is: by what this process keeps for the person, and without questions of servers.</summary>
    Serve,
}

/// <summary>What becomes of a GET for an event stream that names no session.</summary>
public enum SessionlessGetRule
{
    /// <summary>It is the transport HTTP+SSE; the default.</summary>
    Sse,

    /// <summary>405: there is no such stream.</summary>
    Refuse,
}

/// <summary>What is done otherwise for one kind of client. What is null stays as it is for all.</summary>
public sealed record ClientConfig
{
    public required string Name { get; init; }

    /// <summary>What such clients call themselves in <c>clientInfo.name</c>.</summary>
    public IReadOnlyList<string>? Names { get; init; }

    /// <summary>What their <c>User-Agent</c> begins with; what is known of them where no session says more.</summary>
    public IReadOnlyList<string>? UserAgents { get; init; }

    /// <summary>Bounds of <c>clientInfo.version</c>, such as <c>&gt;=1.2 &lt;2</c>; null: every version.</summary>
    public string? Versions { get; init; }

    /// <summary>Whether streams of 2025-11-25 begin with an event that has an id and no data.</summary>
    public bool? Primer { get; init; }

    public MissingSessionRule? MissingSession { get; init; }

    public SessionlessGetRule? GetWithoutSession { get; init; }

    /// <summary>As <see cref="CallsConfig.ProgressEvery"/>.</summary>
    public TimeSpan? ProgressEvery { get; init; }
}
