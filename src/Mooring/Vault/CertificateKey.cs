using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mooring.Configuration;
using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>
/// An RSA certificate and its key in PEM files. RSA cannot say what a key is for, so each data key is in a box of its own, and the key of
/// that box is what RSA wraps.
/// </summary>
internal sealed class CertificateKey : IKeyWrapper
{
    private readonly RSA _rsa;
    private readonly int _size;

    private CertificateKey(RSA rsa, string thumbprint, string file)
    {
        _rsa = rsa;
        _size = rsa.KeySize / 8;
        Name = "certificate:" + thumbprint.ToLowerInvariant();
        Description = $"the certificate {file}";
    }

    public string Name { get; }

    public string Description { get; }

    /// <param name="problem">What is wrong with the files, for a person; never holds their content.</param>
    public static bool TryRead(TlsConfig files, [NotNullWhen(true)] out CertificateKey? key, [NotNullWhen(false)] out string? problem)
    {
        key = null;
        try
        {
            using var certificate = X509Certificate2.CreateFromPemFile(files.Cert, files.Key);
            if (certificate.GetRSAPrivateKey() is { } rsa)
            {
                problem = null;
                key = new CertificateKey(rsa, certificate.Thumbprint, files.Cert);
                return true;
            }

            problem = $"cannot be used: {files.Cert} has no RSA key, which is what data keys are wrapped with.";
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            problem = $"cannot be used: {files.Cert} and {files.Key} must be a PEM certificate and its unencrypted PEM key ({e.Message.TrimEnd('.')}).";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problem = $"cannot be read: {e.Message}";
        }

        return false;
    }

    public ValueTask<byte[]> WrapAsync(uint number, ReadOnlyMemory<byte> key, CancellationToken cancel)
    {
        var once = RandomNumberGenerator.GetBytes(DataKey.Size);
        return new([.. _rsa.Encrypt(once, RSAEncryptionPadding.OaepSHA256), .. KeyBox.Close(once, number, key.Span)]);
    }

    public ValueTask<byte[]> UnwrapAsync(KeyRecord record, CancellationToken cancel)
    {
        var (number, wrapped) = (record.Number, record.Wrapped);
        try
        {
            if (wrapped.Length > _size)
            {
                var once = _rsa.Decrypt(wrapped.Span[.._size], RSAEncryptionPadding.OaepSHA256);
                if (KeyBox.Open(once, number, wrapped.Span[_size..]) is { } key)
                {
                    return new(key);
                }
            }
        }
        catch (CryptographicException)
        {
            // Told below: which step failed says nothing to a person.
        }

        throw new VaultKeyException(
            $"Data key {number} of the store does not open with {Description}, although it says that it was sealed with it: the row was changed. Restore the store from a backup.");
    }
}
