using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Mooring.Protocol;

namespace Mooring.Calls;

/// <summary>
/// Tells a server which requests are one and the same call: <c>io.mooring/idempotencyKey</c> in <c>_meta</c>, a string, equal each time the
/// gateway sends the call and different for every other call. Names with a prefix of one's own are what the protocol has for this
/// (2025-06-18, basic, "_meta"); whoever does not know the key ignores it.
/// </summary>
internal static class IdempotencyKey
{
    public const string Name = "io.mooring/idempotencyKey";

    /// <summary>Ids of calls are counted in each process; 64 random bits tell the processes apart.</summary>
    private static readonly string Process = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));

    /// <summary>Where in a request it goes, and what goes there; all other bytes stay as they came. Null where it cannot, or where the client brought a key of its own.</summary>
    /// <param name="request">A client's request.</param>
    /// <param name="call">The gateway's own id of the call.</param>
    public static (Slice Where, ReadOnlyMemory<byte> With)? In(Frame request, long call)
    {
        ref readonly var envelope = ref request.Envelope;
        if (!envelope.Params.IsPresent)
        {
            return null;
        }

        var key = string.Create(CultureInfo.InvariantCulture, $"\"{Name}\":\"{Process}-{call}\"");
        if (!envelope.Meta.IsPresent)
        {
            return Begin(request, envelope.Params, $"\"_meta\":{{{key}}}");
        }

        var meta = request.Span(envelope.Meta);
        return meta[0] != '{' || JsonFields.Has(meta, "io.mooring/idempotencyKey"u8) ? null : Begin(request, envelope.Meta, key);
    }

    /// <summary>A property as the first of an object.</summary>
    private static (Slice Where, ReadOnlyMemory<byte> With) Begin(Frame request, Slice at, string property)
    {
        var isEmpty = request.Span(at)[1..].TrimStart(" \t\r\n"u8) is [(byte)'}', ..];
        return (new Slice(at.Start + 1, 0), Encoding.ASCII.GetBytes(isEmpty ? property : property + ","));
    }
}
