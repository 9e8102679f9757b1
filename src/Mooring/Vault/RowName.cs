using System.Buffers.Binary;
using System.Text;

namespace Mooring.Vault;

/// <summary>
/// Which row a sealed body belongs to: what it is authenticated with, so that a body which is moved to another row, session or person does
/// not open there.
/// </summary>
/// <param name="Table">The kind of row.</param>
/// <param name="Scope">The session or person it is in.</param>
/// <param name="Id">Which one it is there.</param>
/// <param name="Version">Which version of it.</param>
internal readonly record struct RowName(string Table, string Scope, string Id, long Version)
{
    /// <summary>Bytes that <see cref="Write(Span{byte})"/> needs at most.</summary>
    public int Size => (3 * sizeof(int)) + sizeof(long) + Encoding.UTF8.GetMaxByteCount(Table.Length) + Encoding.UTF8.GetMaxByteCount(Scope.Length)
        + Encoding.UTF8.GetMaxByteCount(Id.Length);

    /// <summary>Each text with its length before it, so that two names never give the same bytes. Returns how many there are.</summary>
    public int Write(Span<byte> to)
    {
        BinaryPrimitives.WriteInt64BigEndian(to, Version);
        var at = sizeof(long);
        at += Write(to[at..], Table);
        at += Write(to[at..], Scope);
        return at + Write(to[at..], Id);
    }

    private static int Write(Span<byte> to, string text)
    {
        var length = Encoding.UTF8.GetBytes(text, to[sizeof(int)..]);
        BinaryPrimitives.WriteInt32BigEndian(to, length);
        return sizeof(int) + length;
    }
}
