using System.Buffers;
using System.Buffers.Text;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace Mooring.Auth;

/// <summary>Random texts that let somebody in, and what is kept of them.</summary>
internal static class Secret
{
    /// <summary>256 bits: nobody tries them all, so a fast hash without salt is enough to keep them by.</summary>
    private const int Bytes = 32;

    /// <summary>A new one. The prefix says what it is to whoever finds it in a file, and to scanners of secrets.</summary>
    public static string New(string prefix) => prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(Bytes));

    /// <summary>Another secret, which whoever has the first one can make again and nobody else can.</summary>
    public static string Derived(string secret, string purpose) =>
        Base64Url.EncodeToString(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), Encoding.UTF8.GetBytes(purpose)));

    /// <summary>A text that only whoever has the secret can read. One for each secret: the key is used once, and so is its nonce.</summary>
    public static string Seal(string secret, string text)
    {
        var plain = Encoding.UTF8.GetBytes(text);
        var whole = new byte[plain.Length + AesGcm.TagByteSizes.MaxSize];
        using var aes = new AesGcm(SealingKey(secret), AesGcm.TagByteSizes.MaxSize);
        aes.Encrypt(new byte[AesGcm.NonceByteSizes.MaxSize], plain, whole.AsSpan(0, plain.Length), whole.AsSpan(plain.Length));
        return Base64Url.EncodeToString(whole);
    }

    /// <summary>What was sealed; null where it was not, or with another secret.</summary>
    public static string? Open(string secret, string whole)
    {
        if (!Base64Url.IsValid(whole) || Base64Url.DecodeFromChars(whole) is not { } bytes || bytes.Length < AesGcm.TagByteSizes.MaxSize)
        {
            return null;
        }

        var plain = new byte[bytes.Length - AesGcm.TagByteSizes.MaxSize];
        using var aes = new AesGcm(SealingKey(secret), AesGcm.TagByteSizes.MaxSize);
        try
        {
            aes.Decrypt(new byte[AesGcm.NonceByteSizes.MaxSize], bytes.AsSpan(0, plain.Length), bytes.AsSpan(plain.Length), plain);
            return Encoding.UTF8.GetString(plain);
        }
        catch (AuthenticationTagMismatchException)
        {
            return null;
        }
    }

    private static byte[] SealingKey(string secret) => HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), "sealed text"u8);

    /// <summary>The key of its row in the store.</summary>
    public static string KeyOf(string secret) => Convert.ToHexStringLower(MemoryMarshal.AsBytes([TokenHash.Of(secret)]));

    /// <summary>Whether two texts are the same, in a time that depends on neither.</summary>
    public static bool Same(string one, string other) =>
        CryptographicOperations.FixedTimeEquals(MemoryMarshal.AsBytes([TokenHash.Of(one)]), MemoryMarshal.AsBytes([TokenHash.Of(other)]));
}

/// <summary>The SHA-256 of a token. Tokens are found by it, so that none is ever compared byte by byte.</summary>
internal readonly record struct TokenHash(UInt128 First, UInt128 Second)
{
    private const int OnStack = 512;

    public static TokenHash Of(ReadOnlySpan<char> token)
    {
        Span<TokenHash> hash = stackalloc TokenHash[1];
        var most = Encoding.UTF8.GetMaxByteCount(token.Length);
        byte[]? rented = null;
        var buffer = most <= OnStack ? stackalloc byte[OnStack] : (rented = ArrayPool<byte>.Shared.Rent(most));
        var length = Encoding.UTF8.GetBytes(token, buffer);
        SHA256.HashData(buffer[..length], MemoryMarshal.AsBytes(hash));
        if (rented is not null)
        {
            ArrayPool<byte>.Shared.Return(rented, clearArray: true);
        }

        return hash[0];
    }
}
