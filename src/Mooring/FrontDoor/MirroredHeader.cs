using System.Buffers;
using System.Text;
using Microsoft.Extensions.Primitives;

namespace Mooring.FrontDoor;

/// <summary>A header that repeats a value of the body (2026-07-28, basic/transports/streamable-http, "Value Encoding").</summary>
internal static class MirroredHeader
{
    private const string Prefix = "=?base64?";
    private const string Suffix = "?=";

    private static readonly SearchValues<char> Base64 = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=");

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The text of a header that stands once and is encoded as it has to be; null where it does not or is not.</summary>
    /// <param name="header">The header.</param>
    /// <param name="mayBeEncoded">Whether it may carry text that is no header value, as Base64 between marks.</param>
    public static string? Read(StringValues header, bool mayBeEncoded)
    {
        if (header.Count != 1 || header[0] is not { } raw)
        {
            return null;
        }

        var value = raw.AsSpan().Trim(" \t");
        foreach (var c in value)
        {
            // Field values of RFC 9110, 5.5, as far as the protocol allows them.
            if (c is (< ' ' or > '~') and not '\t')
            {
                return null;
            }
        }

        return mayBeEncoded && value.Length >= Prefix.Length + Suffix.Length && value.StartsWith(Prefix, StringComparison.Ordinal) && value.EndsWith(Suffix, StringComparison.Ordinal)
            ? Decode(value[Prefix.Length..^Suffix.Length])
            : value.Length == raw.Length ? raw : value.ToString();
    }

    private static string? Decode(ReadOnlySpan<char> encoded)
    {
        // Strictly: what two readers could read differently must not lead anywhere.
        var bytes = new byte[encoded.Length];
        if (encoded.Length % 4 != 0 || encoded.ContainsAnyExcept(Base64) || !Convert.TryFromBase64Chars(encoded, bytes, out var length))
        {
            return null;
        }

        try
        {
            return Strict.GetString(bytes, 0, length);
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }
}
