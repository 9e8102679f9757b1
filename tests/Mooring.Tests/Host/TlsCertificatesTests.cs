using Microsoft.Extensions.Logging.Abstractions;
using Mooring.Host.Listening;
using Mooring.Tests.Configuration;
using Xunit;

namespace Mooring.Tests.Host;

public sealed class TlsCertificatesTests : IDisposable
{
    private readonly ConfigFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    private TlsCertificates Start()
    {
        Write("one");
        return new(
            new(Path.Combine(_fixture.Folder, "tls.crt"), Path.Combine(_fixture.Folder, "tls.key")),
            new FakeClock(), NullLogger<TlsCertificates>.Instance);
    }

    private void Write(string name)
    {
        var (cert, key) = TlsFilesTests.MakePem(name);
        _fixture.Write("tls.crt", cert);
        _fixture.Write("tls.key", key);
    }

    private static bool LookUntilSettled(TlsCertificates certificates) =>
        Enumerable.Range(0, 3).Select(_ => certificates.Look()).ToArray().Contains(true);

    [Fact]
    public void Look_FilesReplaced_NewConnectionsGetTheNewCertificate()
    {
        var certificates = Start();
        Assert.False(LookUntilSettled(certificates));

        Write("two");

        Assert.True(LookUntilSettled(certificates));
        Assert.Equal("CN=two", certificates.Current.TargetCertificate.Subject);
    }

    [Fact]
    public void Look_OnlyOneFileReplaced_KeepsThePairThatFits()
    {
        var certificates = Start();
        var (cert, key) = TlsFilesTests.MakePem("two");

        _fixture.Write("tls.crt", cert);
        Assert.False(LookUntilSettled(certificates));
        Assert.Equal("CN=one", certificates.Current.TargetCertificate.Subject);

        _fixture.Write("tls.key", key);
        Assert.True(LookUntilSettled(certificates));
        Assert.Equal("CN=two", certificates.Current.TargetCertificate.Subject);
    }
}
