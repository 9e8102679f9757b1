using System.Diagnostics.CodeAnalysis;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mooring.Configuration;

/// <summary>Reads certificate, chain and key from PEM files.</summary>
internal static class TlsFiles
{
    /// <param name="problem">What is wrong with the files, for a person; never holds their content.</param>
    public static bool TryLoad(
        TlsConfig files, [NotNullWhen(true)] out SslStreamCertificateContext? context, [NotNullWhen(false)] out string? problem)
    {
        context = null;
        problem = null;
        try
        {
            var leaf = X509Certificate2.CreateFromPemFile(files.Cert, files.Key);
            if (OperatingSystem.IsWindows())
            {
                // Windows does not serve with a key that exists in memory only.
                using var inMemory = leaf;
                leaf = X509CertificateLoader.LoadPkcs12(leaf.Export(X509ContentType.Pkcs12), password: null);
            }

            var chain = new X509Certificate2Collection();
            chain.ImportFromPemFile(files.Cert);
            // Offline: a start must not depend on the network, and missing links would be fetched from it.
            context = SslStreamCertificateContext.Create(leaf, chain, offline: true);
            return true;
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
}
