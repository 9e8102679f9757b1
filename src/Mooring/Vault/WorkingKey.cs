using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;

namespace Mooring.Vault;

/// <summary>
/// The key that one process seals with, derived from a data key and a salt of its own. Nonces are then a counter: they never repeat, however
/// much is sealed, while random ones under one data key would do so after some thousand million events. Whoever opens derives it again.
/// </summary>
internal sealed class WorkingKey
{
    private const int NonceSize = 12;

    /// <summary>Names of rows up to this size are written on the stack.</summary>
    private const int StackLimit = 512;

    private static readonly byte[] Purpose = Encoding.ASCII.GetBytes("mooring rows 1");

    private readonly uint _number;
    private readonly byte[] _salt;
    private readonly byte[] _key;

    /// <summary>A cipher serves one thread at a time; there are as many as there were threads at once.</summary>
    private readonly ConcurrentBag<AesGcm> _ciphers = [];

    private ulong _counter;

    public WorkingKey(uint number, ReadOnlySpan<byte> dataKey, ReadOnlySpan<byte> salt)
    {
        _number = number;
        _salt = salt.ToArray();
        _key = new byte[32];
        HKDF.DeriveKey(HashAlgorithmName.SHA256, dataKey, _key, salt, Purpose);
    }

    public byte[] Seal(in RowName row, ReadOnlySpan<byte> body)
    {
        var counter = Interlocked.Increment(ref _counter);
        var result = new byte[SealedBody.Overhead + body.Length];
        SealedBody.WriteHead(result, _number, _salt, counter);
        Span<byte> nonce = stackalloc byte[NonceSize];
        WriteNonce(nonce, counter);
        var size = row.Size;
        var name = size <= StackLimit ? stackalloc byte[StackLimit] : new byte[size];
        name = name[..row.Write(name)];
        var cipher = Take();
        cipher.Encrypt(nonce, body, result.AsSpan(SealedBody.HeadSize, body.Length), result.AsSpan(SealedBody.HeadSize + body.Length), name);
        _ciphers.Add(cipher);
        return result;
    }

    /// <summary>Null: it was not sealed with this key for this row, or it was changed since.</summary>
    public byte[]? Open(in RowName row, in SealedBody body)
    {
        var result = new byte[body.Cipher.Length];
        Span<byte> nonce = stackalloc byte[NonceSize];
        WriteNonce(nonce, body.Counter);
        var size = row.Size;
        var name = size <= StackLimit ? stackalloc byte[StackLimit] : new byte[size];
        name = name[..row.Write(name)];
        var cipher = Take();
        try
        {
            cipher.Decrypt(nonce, body.Cipher, body.Tag, result, name);
            return result;
        }
        catch (AuthenticationTagMismatchException)
        {
            return null;
        }
        finally
        {
            _ciphers.Add(cipher);
        }
    }

    private static void WriteNonce(Span<byte> nonce, ulong counter)
    {
        nonce[..4].Clear();
        BinaryPrimitives.WriteUInt64BigEndian(nonce[4..], counter);
    }

    private AesGcm Take() => _ciphers.TryTake(out var cipher) ? cipher : new AesGcm(_key, SealedBody.TagSize);
}
