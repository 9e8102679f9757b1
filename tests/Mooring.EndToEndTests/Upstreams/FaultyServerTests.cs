using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Mooring.Configuration;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Mooring.Upstreams.Http;
using Xunit;

namespace Mooring.EndToEndTests.Upstreams;

/// <summary>What only real sockets and pipes show of servers that misbehave.</summary>
public sealed class FaultyServerTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Redirect_IsNotFollowed_SoThatCredentialsStayWithTheirServer()
    {
        using var target = Listen(out var elsewhere);
        using var server = Listen(out var url);
        using var http = new HttpExchange(url, new Dictionary<string, string>(StringComparer.Ordinal) { ["X-Api-Key"] = "secret" }, () => new LimitsConfig { BodySize = 1024 }, () => TimeSpan.FromMinutes(1));
        using var request = http.Post(new ByteArrayContent("{}"u8.ToArray()), session: "mine", version: null);

        var sending = http.SendAsync(request, Cancel);
        var head = await AnswerAsync(server, Encoding.ASCII.GetBytes($"HTTP/1.1 307 Temporary Redirect\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n"));
        using var response = await sending;

        Assert.Equal(HttpStatusCode.TemporaryRedirect, response.StatusCode);
        Assert.Contains("Accept-Encoding: identity", head, StringComparison.Ordinal);
        Assert.False(target.Pending(), "nobody came to the address of the redirect");
    }

    [Fact]
    public async Task EncodedAnswer_StaysAsItCame_AndIsKnownAsSuch()
    {
        using var server = Listen(out var url);
        using var http = new HttpExchange(url, new Dictionary<string, string>(StringComparer.Ordinal), () => new LimitsConfig { BodySize = 1024 }, () => TimeSpan.FromMinutes(1));
        using var request = http.Post(new ByteArrayContent("{}"u8.ToArray()), session: null, version: null);
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"u8);
        }

        var sending = http.SendAsync(request, Cancel);
        await AnswerAsync(server, [
            .. Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {packed.Length}\r\n\r\n"),
            .. packed.ToArray()]);
        using var response = await sending;

        Assert.Equal("gzip", HttpExchange.Encoding(response));
        Assert.Equal(packed.ToArray(), await response.Content.ReadAsByteArrayAsync(Cancel));
    }

    [Fact]
    public async Task ServerNeverReadsItsInput_CallEndsAtItsDeadline_LinkIsReplaced_AndOthersGoOn()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "needs a POSIX shell");
        using var folder = new TempFolder();
        var starts = folder.File("starts");
        await File.WriteAllTextAsync(starts, "", Cancel);
        var deaf = GatewayProcess.Command("/bin/sh", "-c", Deaf, starts);
        deaf["deadline"] = "2s";

        // It takes its first line for initialize, whatever that is.
        deaf["protocol"] = "legacy";
        await using var well = await FaultyServer.StartAsync();
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("deaf", deaf), ("well", GatewayProcess.Remote(well.Url))));
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("deaf"));
        using var other = await McpClient.ConnectAsync(gateway.ServerUrl("well"));

        // Far more than the 64 kB that a pipe of the system holds.
        var calling = client.TryCallAsync("any", new string('x', 1 << 20));
        Assert.Equal("meanwhile", await other.CallAsync("echo", "meanwhile"));
        var answer = await calling;

        Assert.Equal("timed_out", (string?)answer["error"]?["data"]?["mooring"]?["reason"]);
        var before = File.ReadAllLines(starts).Length;
        await client.TryCallAsync("any", "next");
        Assert.True(File.ReadAllLines(starts).Length > before, "the process is another one");
        Assert.Equal("afterwards", await other.CallAsync("echo", "afterwards"));
    }

    /// <summary>Notes its start, answers <c>initialize</c> by the id it finds in it, and reads no more.</summary>
    private const string Deaf = """
        echo start >> "$0"
        read -r line
        id=$(printf '%s' "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
        printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"deaf","version":"1"}}}\n' "$id"
        exec sleep 1000
        """;

    private static TcpListener Listen(out Uri url)
    {
        var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        url = new Uri($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}/mcp");
        return listener;
    }

    /// <summary>Takes one request, answers with these bytes and closes.</summary>
    /// <returns>The head of the request.</returns>
    private static async Task<string> AnswerAsync(TcpListener server, byte[] answer)
    {
        using var connection = await server.AcceptTcpClientAsync(Cancel);
        var stream = connection.GetStream();
        var head = new StringBuilder();
        var buffer = new byte[4096];
        while (!head.ToString().Contains("\r\n\r\n{}", StringComparison.Ordinal))
        {
            var read = await stream.ReadAsync(buffer, Cancel);
            Assert.NotEqual(0, read);
            head.Append(Encoding.ASCII.GetString(buffer, 0, read));
        }

        await stream.WriteAsync(answer, Cancel);
        return head.ToString();
    }
}
