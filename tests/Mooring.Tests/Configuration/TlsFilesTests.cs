using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mooring.Configuration;
using Xunit;

namespace Mooring.Tests.Configuration;

public sealed class TlsFilesTests : IDisposable
{
    private readonly ConfigFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    /// <summary>A certificate that signed itself, and its key.</summary>
    internal static (string Cert, string Key) MakePem(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        using var certificate = request.CreateSelfSigned(FakeClock.Start.AddYears(-10), FakeClock.Start.AddYears(10));
        return (certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
    }

    private const string Json = """{ "listen": "https://127.0.0.1:0", "tls": { "cert": "tls.crt", "key": "tls.key" }, "connectors": {} }""";

    [Fact]
    public void Load_CertificateAndKey_AreFine()
    {
        var (cert, key) = MakePem("one");
        _fixture.Write("tls.crt", cert);
        _fixture.Write("tls.key", key);

        var config = _fixture.LoadFine(Json);

        Assert.Equal(new TlsConfig(Path.Combine(_fixture.Folder, "tls.crt"), Path.Combine(_fixture.Folder, "tls.key")), config.Tls);
        Assert.True(TlsFiles.TryLoad(config.Tls!, out var context, out _));
        Assert.Equal("CN=one", context.TargetCertificate.Subject);
    }

    [Fact]
    public void Load_KeyOfAnotherCertificate_IsAnErrorThatShowsNoKey()
    {
        _fixture.Write("tls.crt", MakePem("one").Cert);
        var key = _fixture.Write("tls.key", MakePem("two").Key);

        var problem = _fixture.LoadWrong(Json);

        Assert.Equal("tls", problem.Path);
        Assert.DoesNotContain(File.ReadAllLines(key)[1], problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_NoCertificateInTheFile_IsAnError()
    {
        _fixture.Write("tls.crt", "hello");
        _fixture.Write("tls.key", MakePem("two").Key);

        Assert.Equal("tls", _fixture.LoadWrong(Json).Path);
    }

    [Fact]
    public void Load_FilesMissing_AreBothReported() =>
        Assert.Equal(["tls.cert", "tls.key"], _fixture.Load(Json).Errors.Select(e => e.Path));

    [Fact]
    public void Load_KeyNotWritten_IsAnError()
    {
        _fixture.Write("tls.crt", MakePem("one").Cert);

        var problem = _fixture.LoadWrong("""{ "listen": "https://127.0.0.1:0", "tls": { "cert": "tls.crt" }, "connectors": {} }""");

        Assert.Equal(("tls.key", "is missing."), (problem.Path, problem.Message));
    }

    [Fact]
    public void Load_CertificateWithoutHttpsAddress_IsAWarning()
    {
        var (cert, key) = MakePem("one");
        _fixture.Write("tls.crt", cert);
        _fixture.Write("tls.key", key);

        var result = _fixture.Load("""{ "tls": { "cert": "tls.crt", "key": "tls.key" }, "connectors": {} }""");

        Assert.Equal("tls", Assert.Single(result.Warnings).Path);
    }
}
