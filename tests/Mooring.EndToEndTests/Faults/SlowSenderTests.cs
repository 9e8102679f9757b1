using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Faults;

/// <summary>Clients that send slowly, or too much: they are cut or refused, and cost nobody else anything.</summary>
public sealed class SlowSenderTests
{
    [Theory]
    [InlineData("P")]
    [InlineData("POST /mcp HTTP/1.1\r\nHost: localhost\r\n")]
    [InlineData("PRI * HTTP/2")]
    public async Task HeadersThatNeverEnd_Connection_IsClosed(string start)
    {
        await using var gateway = await StartAsync();
        var answer = await SendAndReadAsync(gateway, start);
        Assert.True(answer.Length == 0 || answer.StartsWith("HTTP/1.1 408", StringComparison.Ordinal), answer);
    }

    [Fact]
    public async Task BodyThatNeverEnds_Request_IsEndedWith408()
    {
        await using var gateway = await StartAsync();
        var answer = await SendAndReadAsync(
            gateway,
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: 1000\r\n\r\n{");
        Assert.StartsWith("HTTP/1.1 408", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task HeadersOverTheLimit_Request_IsRefusedWith431()
    {
        await using var gateway = await StartAsync();
        var answer = await SendAndReadAsync(gateway, $"GET /mcp HTTP/1.1\r\nHost: localhost\r\nX-Long: {new string('x', 40_000)}\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 431", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task BodyOverTheLimit_Request_IsRefusedWith413()
    {
        await using var gateway = await StartAsync();
        using var client = new McpClient(new Uri(gateway.BaseUrl, "/mcp"));
        using var response = await client.PostAsync(client.Request("initialize", new JsonObject { ["padding"] = new string('x', 100_000) }));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
    }

    /// <summary>What the gateway sends before it closes.</summary>
    private static async Task<string> SendAndReadAsync(GatewayProcess gateway, string start)
    {
        var cancel = TestContext.Current.CancellationToken;
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, gateway.Port, cancel);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(start), cancel);
        using var reader = new StreamReader(stream, Encoding.ASCII);
        try
        {
            return await reader.ReadToEndAsync(cancel).WaitAsync(SseStream.Limit, TimeProvider.System, cancel);
        }
        catch (IOException)
        {
            // Reset instead of closed.
            return "";
        }
    }

    private static Task<GatewayProcess> StartAsync()
    {
        var config = GatewayProcess.Config();
        config["http"] = new JsonObject { ["headersTimeout"] = "1s" };
        config["limits"] = new JsonObject { ["bodySize"] = "64kB" };
        return GatewayProcess.StartAsync(config);
    }
}
