namespace Mooring.Configuration;

/// <summary>Which version of the protocol a server is spoken to in.</summary>
public enum ServerProtocol
{
    /// <summary>Found out at the first contact, and remembered; the default.</summary>
    Auto,

    /// <summary>A version with sessions, whichever the client and the server agree on.</summary>
    Legacy,

    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,

    /// <summary>The version without sessions.</summary>
    V2026_07_28,
}
