using System.Net;
using System.Net.Sockets;
using System.Text;
using Mooring.Network;
using Mooring.Vault;
using Xunit;

namespace Mooring.Tests.Vault;

/// <summary>What a server names is asked, unless it leads to where that server has no business.</summary>
public sealed class VaultHttpTests : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly VaultHttp _http = new(TimeProvider.System);

    public VaultHttpTests() => _listener.Start();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private Uri Here => new($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/admin/api/drain");

    public void Dispose()
    {
        _http.Dispose();
        _listener.Dispose();
    }

    [Theory]
    [InlineData("https://93.184.216.34/mcp", "not public")]
    [InlineData("https://10.1.2.3/mcp", "this machine")]
    [InlineData("https://100.64.0.1/mcp", "this machine")]
    [InlineData("https://169.254.169.254/mcp", "not public")]
    [InlineData("https://no-such-name.invalid/mcp", "not public")]
    public async Task Ask_ServerElsewhereNamesThisMachine_IsNotConnectedTo(string server, string why)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Here);

        var (_, _, fault) = await _http.AskAsync(request, TimeSpan.FromSeconds(10), new Uri(server), Cancel);

        Assert.Contains(why, fault, StringComparison.Ordinal);
        Assert.False(_listener.Pending());
    }

    [Theory]
    [InlineData("http://127.0.0.1:1/mcp")]
    [InlineData("http://localhost:1/mcp")]
    [InlineData(null)]
    public async Task Ask_ServerOnThisMachineOrTheConfigurationNamesIt_IsAsked(string? server)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Here);
        var asking = _http.AskAsync(request, TimeSpan.FromSeconds(10), server is null ? null : new Uri(server), Cancel);
        using var connection = await Limit.Of(_listener.AcceptTcpClientAsync(Cancel).AsTask(), "a connection");
        await connection.GetStream().WriteAsync(Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), Cancel);

        Assert.Equal((HttpStatusCode.OK, null), await asking is var (status, _, fault) ? (status, fault) : default);
    }

    [Theory]
    [InlineData("http://127.0.0.1/mcp", "Anywhere")]
    [InlineData("http://[::1]/mcp", "Anywhere")]
    [InlineData("https://192.168.1.1/mcp", "Network")]
    [InlineData("https://[fd00::1]/mcp", "Network")]
    [InlineData("https://169.254.169.254/mcp", "Internet")]
    [InlineData("https://8.8.8.8/mcp", "Internet")]
    public async Task Reach_OfAServer_IsThatOfItsAddress(string server, string reach) =>
        Assert.Equal(Enum.Parse<Reach>(reach), await GuardedAddress.ReachOfAsync(new Uri(server), Cancel));
}
