using System.Buffers.Binary;

namespace Mooring.Vault;

/// <summary>
/// How a sealed body lies in a row:
/// <code>F5 01 | number of the data key (4) | salt (12) | counter (8) | as many bytes as the body has | tag (16)</code>
/// The first byte stands in no UTF-8 text, so a body that a release before wrote in clear is told from a sealed one.
/// </summary>
internal readonly ref struct SealedBody
{
    public const int SaltSize = 12;

    public const int TagSize = 16;

    /// <summary>What sealing adds to a body.</summary>
    public const int Overhead = HeadSize + TagSize;

    public const int HeadSize = 2 + sizeof(uint) + SaltSize + sizeof(ulong);

    private const byte Mark = 0xF5;
    private const byte Format = 1;
    private const int SaltAt = 2 + sizeof(uint);
    private const int CounterAt = SaltAt + SaltSize;

    private readonly ReadOnlySpan<byte> _bytes;

    private SealedBody(ReadOnlySpan<byte> bytes) => _bytes = bytes;

    public uint Key => BinaryPrimitives.ReadUInt32BigEndian(_bytes[2..]);

    public ReadOnlySpan<byte> Salt => _bytes.Slice(SaltAt, SaltSize);

    public ulong Counter => BinaryPrimitives.ReadUInt64BigEndian(_bytes[CounterAt..]);

    public ReadOnlySpan<byte> Cipher => _bytes[HeadSize..^TagSize];

    public ReadOnlySpan<byte> Tag => _bytes[^TagSize..];

    public static bool IsSealed(ReadOnlySpan<byte> body) => body.Length > 0 && body[0] == Mark;

    /// <summary>False: it is sealed, but not in a way that this release knows, or cut short.</summary>
    public static bool TryRead(ReadOnlySpan<byte> body, out SealedBody read)
    {
        read = new SealedBody(body);
        return body.Length >= Overhead && body[0] == Mark && body[1] == Format;
    }

    public static void WriteHead(Span<byte> to, uint key, ReadOnlySpan<byte> salt, ulong counter)
    {
        to[0] = Mark;
        to[1] = Format;
        BinaryPrimitives.WriteUInt32BigEndian(to[2..], key);
        salt.CopyTo(to[SaltAt..]);
        BinaryPrimitives.WriteUInt64BigEndian(to[CounterAt..], counter);
    }
}
