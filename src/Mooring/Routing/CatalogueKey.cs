using System.Security.Cryptography;
using Mooring.Protocol;

namespace Mooring.Routing;

/// <summary>
/// What a server's answers may depend on beside the server: version and capabilities offered. Sessions with equal keys may be shown the
/// same list until their own link proves otherwise.
/// </summary>
internal static class CatalogueKey
{
    /// <summary>The key of links that declare nothing.</summary>
    public const string Base = "base";

    public static string Of(ProtocolVersion version, ReadOnlySpan<byte> initializeParams)
    {
        var at = initializeParams.IsEmpty ? default : JsonFields.Find(initializeParams, "capabilities"u8);
        var capabilities = at.IsPresent ? initializeParams.Slice(at.Start, at.Length) : "{}"u8;
        return $"{version.ToWire()}/{Convert.ToHexStringLower(SHA256.HashData(capabilities).AsSpan(0, 8))}";
    }
}
