namespace Mooring.Protocol;

/// <summary>A version of the Model Context Protocol, oldest first.</summary>
internal enum ProtocolVersion
{
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,

    /// <summary>The first without sessions: each request says for itself who asks and what the client can do.</summary>
    V2026_07_28,
}

/// <summary>What differs between the versions. The rest of the gateway asks here for a capability, never for a date.</summary>
internal static class ProtocolVersions
{
    /// <summary>The latest that begins with <c>initialize</c>.</summary>
    public const ProtocolVersion Latest = ProtocolVersion.V2025_11_25;

    /// <summary>The version without sessions, as on the wire.</summary>
    public const string Stateless = "2026-07-28";

    public static readonly IReadOnlyList<ProtocolVersion> All =
    [
        ProtocolVersion.V2024_11_05, ProtocolVersion.V2025_03_26, ProtocolVersion.V2025_06_18, ProtocolVersion.V2025_11_25, ProtocolVersion.V2026_07_28,
    ];

    /// <summary>Those that begin with <c>initialize</c>.</summary>
    public static readonly IReadOnlyList<ProtocolVersion> WithSessions = [.. All.Where(HasSessions)];

    public static string ToWire(this ProtocolVersion version) => version switch
    {
        ProtocolVersion.V2024_11_05 => "2024-11-05",
        ProtocolVersion.V2025_03_26 => "2025-03-26",
        ProtocolVersion.V2025_06_18 => "2025-06-18",
        ProtocolVersion.V2025_11_25 => "2025-11-25",
        ProtocolVersion.V2026_07_28 => Stateless,
        _ => throw new ArgumentOutOfRangeException(nameof(version)),
    };

    public static bool TryParse(string? text, out ProtocolVersion version)
    {
        foreach (var candidate in All)
        {
            if (string.Equals(candidate.ToWire(), text, StringComparison.Ordinal))
            {
                version = candidate;
                return true;
            }
        }

        version = default;
        return false;
    }

    /// <summary>As <see cref="TryParse"/>, but only what can be negotiated with <c>initialize</c>.</summary>
    public static bool TryParseWithSessions(string? text, out ProtocolVersion version) => TryParse(text, out version) && version.HasSessions();

    /// <summary>Whether a client says hello once and is known by a session from then on; else every request stands for itself (2026-07-28, basic/versioning).</summary>
    public static bool HasSessions(this ProtocolVersion version) => version < ProtocolVersion.V2026_07_28;

    /// <summary>Only 2025-03-26 knows JSON-RPC batches; 2025-06-18 removed them.</summary>
    public static bool HasBatches(this ProtocolVersion version) => version == ProtocolVersion.V2025_03_26;

    /// <summary>Event ids and <c>Last-Event-ID</c> came with Streamable HTTP, and went with the sessions.</summary>
    public static bool HasResumption(this ProtocolVersion version) => version >= ProtocolVersion.V2025_03_26 && version.HasSessions();

    /// <summary>Audio as content (2025-03-26, server/tools, "Audio Content").</summary>
    public static bool HasAudio(this ProtocolVersion version) => version >= ProtocolVersion.V2025_03_26;

    /// <summary>Links to resources as content (2025-06-18, server/tools, "Resource Links").</summary>
    public static bool HasResourceLinks(this ProtocolVersion version) => version >= ProtocolVersion.V2025_06_18;

    /// <summary>Calls of tools and their results, and several blocks in one message, in what is to be sampled (2025-11-25, client/sampling, "Tool Use in Sampling").</summary>
    public static bool HasToolsInSampling(this ProtocolVersion version) => version >= ProtocolVersion.V2025_11_25;

    /// <summary>Pages that the user is asked to visit (2025-11-25, client/elicitation, "URL Mode").</summary>
    public static bool HasPages(this ProtocolVersion version) => version >= ProtocolVersion.V2025_11_25;

    /// <summary>Knows structured results and their schemas, but only objects (2025-06-18, schema, "CallToolResult"); older ones know none, 2026-07-28 any JSON.</summary>
    public static bool WantsObjects(this ProtocolVersion version) => version is ProtocolVersion.V2025_06_18 or ProtocolVersion.V2025_11_25;

    /// <summary>Tasks in the protocol itself (2025-11-25, basic/utilities/tasks); after it they are an extension, and another thing.</summary>
    public static bool HasTasks(this ProtocolVersion version) => version == ProtocolVersion.V2025_11_25;

    /// <summary>An event with an id and empty data at the head of a stream; older clients try to parse the empty data.</summary>
    public static bool HasPrimer(this ProtocolVersion version) => version == ProtocolVersion.V2025_11_25;
}
