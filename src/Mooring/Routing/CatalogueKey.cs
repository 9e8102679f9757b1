using System.Security.Cryptography;
using System.Text;
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

    /// <returns>
    /// Null: the client declares something that is not known here (something experimental, say). Servers may go by it, and there is no end to what can be
    /// declared, so what they show such a client is its session's alone.
    /// </returns>
    public static string? Of(ProtocolVersion version, ReadOnlySpan<byte> initializeParams)
    {
        var at = initializeParams.IsEmpty ? default : JsonFields.Find(initializeParams, "capabilities"u8);
        return ClientCapabilities.Canonical(at.IsPresent ? initializeParams.Slice(at.Start, at.Length) : "{}"u8) is { } capabilities
            ? $"{version.ToWire()}/{Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(capabilities)).AsSpan(0, 8))}"
            : null;
    }
}
