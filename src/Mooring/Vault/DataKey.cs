using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace Mooring.Vault;

/// <summary>
/// One of the store's data keys, unwrapped, in memory only. Made by <see cref="KeyRing"/> and kept as long as the process: the key that it is
/// wrapped with may be out of reach later.
/// </summary>
internal sealed class DataKey
{
    public const int Size = 32;

    /// <summary>Salts of other processes whose derived keys are kept. Each start of a replica is one; beyond that they are derived again.</summary>
    private const int MostKept = 256;

    private readonly byte[] _key;
    private readonly WorkingKey _own;
    private readonly ConcurrentDictionary<UInt128, WorkingKey> _others = new();

    public DataKey(uint number, byte[] key, DateTimeOffset created)
    {
        Number = number;
        Created = created;
        _key = key;
        _own = new WorkingKey(number, key, RandomNumberGenerator.GetBytes(SealedBody.SaltSize));
    }

    public uint Number { get; }

    public DateTimeOffset Created { get; }

    public ReadOnlySpan<byte> Bytes => _key;

    public byte[] Seal(in RowName row, ReadOnlySpan<byte> body) => _own.Seal(row, body);

    /// <summary>How many of them are kept.</summary>
    public int Kept => _others.Count;

    public byte[]? Open(in RowName row, in SealedBody body)
    {
        Span<byte> wide = stackalloc byte[16];
        wide.Clear();
        body.Salt.CopyTo(wide);
        var name = BinaryPrimitives.ReadUInt128BigEndian(wide);
        if (_others.TryGetValue(name, out var known))
        {
            return known.Open(row, body);
        }

        var made = new WorkingKey(Number, _key, body.Salt);
        if (made.Open(row, body) is not { } opened)
        {
            // Anybody can make up a salt: it must not push out those in use.
            return null;
        }

        if (_others.Count >= MostKept)
        {
            _others.Clear();
        }

        _others.TryAdd(name, made);
        return opened;
    }
}
