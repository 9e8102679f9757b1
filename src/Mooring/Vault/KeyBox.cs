using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Mooring.Vault;

/// <summary>Puts one data key into AES-256-GCM under another key, together with the number that it is for.</summary>
internal static class KeyBox
{
    private const int NonceSize = 12;

    private static readonly byte[] Purpose = Encoding.ASCII.GetBytes("mooring data key 1\0");

    /// <summary><c>nonce | key | tag</c>. A random nonce is fine here: a store has a few data keys in its life.</summary>
    public static byte[] Close(ReadOnlySpan<byte> with, uint number, ReadOnlySpan<byte> key)
    {
        var box = new byte[NonceSize + key.Length + SealedBody.TagSize];
        RandomNumberGenerator.Fill(box.AsSpan(0, NonceSize));
        using var cipher = new AesGcm(with, SealedBody.TagSize);
        cipher.Encrypt(box.AsSpan(0, NonceSize), key, box.AsSpan(NonceSize, key.Length), box.AsSpan(NonceSize + key.Length), NameOf(number));
        return box;
    }

    /// <summary>Null: another key closed it, for another number, or it was changed since.</summary>
    public static byte[]? Open(ReadOnlySpan<byte> with, uint number, ReadOnlySpan<byte> box)
    {
        if (box.Length <= NonceSize + SealedBody.TagSize)
        {
            return null;
        }

        var key = new byte[box.Length - NonceSize - SealedBody.TagSize];
        using var cipher = new AesGcm(with, SealedBody.TagSize);
        try
        {
            cipher.Decrypt(box[..NonceSize], box[NonceSize..^SealedBody.TagSize], box[^SealedBody.TagSize..], key, NameOf(number));
            return key;
        }
        catch (AuthenticationTagMismatchException)
        {
            return null;
        }
    }

    private static byte[] NameOf(uint number)
    {
        var name = new byte[Purpose.Length + sizeof(uint)];
        Purpose.CopyTo(name, 0);
        BinaryPrimitives.WriteUInt32BigEndian(name.AsSpan(Purpose.Length), number);
        return name;
    }
}
