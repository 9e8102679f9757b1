namespace Mooring.Protocol;

/// <summary>A version of the Model Context Protocol that has sessions, oldest first.</summary>
internal enum ProtocolVersion
{
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
}

/// <summary>What differs between the versions. The rest of the gateway asks here for a capability, never for a date.</summary>
internal static class ProtocolVersions
{
    public const ProtocolVersion Latest = ProtocolVersion.V2025_11_25;

    /// <summary>The version of the stateless era, which this gateway does not serve yet.</summary>
    public const string Stateless = "2026-07-28";

    /// <summary>What a missing MCP-Protocol-Version header means (2025-06-18, basic/transports, "Protocol Version Header").</summary>
    public const ProtocolVersion AssumedWithoutHeader = ProtocolVersion.V2025_03_26;

    public static readonly IReadOnlyList<ProtocolVersion> All =
        [ProtocolVersion.V2024_11_05, ProtocolVersion.V2025_03_26, ProtocolVersion.V2025_06_18, ProtocolVersion.V2025_11_25];

    public static string ToWire(this ProtocolVersion version) => version switch
    {
        ProtocolVersion.V2024_11_05 => "2024-11-05",
        ProtocolVersion.V2025_03_26 => "2025-03-26",
        ProtocolVersion.V2025_06_18 => "2025-06-18",
        ProtocolVersion.V2025_11_25 => "2025-11-25",
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

    /// <summary>Only 2025-03-26 knows JSON-RPC batches; 2025-06-18 removed them.</summary>
    public static bool HasBatches(this ProtocolVersion version) => version == ProtocolVersion.V2025_03_26;

    /// <summary>Event ids and <c>Last-Event-ID</c> came with Streamable HTTP.</summary>
    public static bool HasResumption(this ProtocolVersion version) => version >= ProtocolVersion.V2025_03_26;

    /// <summary>An event with an id and empty data at the head of a stream; older clients try to parse the empty data.</summary>
    public static bool HasPrimer(this ProtocolVersion version) => version >= ProtocolVersion.V2025_11_25;
}
