using System.Net.Sockets;
using System.Text;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Faults;

/// <summary>What becomes of the connections under streams that a drain sends away.</summary>
public sealed class DrainedConnectionTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task StreamSentAway_ItsConnection_EndsWithIt_SoThatNoBalancerUsesItAgain()
    {
        var cancel = TestContext.Current.CancellationToken;
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await DrainVerbTests.StartAsync(server, delay: "0s", grace: "30s");
        using var http = new HttpClient();
        using var client = new TcpClient();
        var (reader, said) = await AskAsync(client, gateway, Listen(gateway), until: "acknowledged");

        using var begun = await http.PostAsync(new Uri(gateway.BaseUrl, "/admin/api/drain"), content: null, cancel);

        // The process stays: what ends here is the connection.
        await ReadAsync(reader, said, until: null).WaitAsync(Limit, cancel);
        Assert.Contains("retry:", said.ToString(), StringComparison.Ordinal);
        // The body was whole: it was not cut.
        Assert.EndsWith("0", said.ToString().TrimEnd(), StringComparison.Ordinal);
        Assert.False(gateway.Process.HasExited, gateway.Process.Describe("it ended"));
    }

    [Fact]
    public async Task IdleConnection_OfABalancer_IsEnded_SoThatNothingMoreComesOnIt()
    {
        var cancel = TestContext.Current.CancellationToken;
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await DrainVerbTests.StartAsync(server, delay: "0s", grace: "30s");
        using var http = new HttpClient();
        using var client = new TcpClient();
        var (reader, said) = await AskAsync(client, gateway, Encoding.UTF8.GetBytes($"GET /health HTTP/1.1\r\nHost: {gateway.BaseUrl.Authority}\r\n\r\n"), until: "HTTP/1.1 200");

        using var begun = await http.PostAsync(new Uri(gateway.BaseUrl, "/admin/api/drain"), content: null, cancel);

        await ReadAsync(reader, said, until: null).WaitAsync(Limit, cancel);
        Assert.DoesNotContain("Connection: close", said.ToString(), StringComparison.OrdinalIgnoreCase);
        Assert.False(gateway.Process.HasExited, gateway.Process.Describe("it ended"));
    }

    [Fact]
    public async Task JsonAnswerThatWasAskedForBeforeTheDrain_EndsItsConnection()
    {
        var cancel = TestContext.Current.CancellationToken;
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await DrainVerbTests.StartAsync(server, delay: "0s", grace: "30s");
        using var http = new HttpClient();
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"), "2025-06-18");
        var call = client.ToolCall("hold", "late");
        using var request = new HttpRequestMessage(HttpMethod.Post, gateway.ServerUrl("up")) { Content = new StringContent(call.ToJsonString(), Encoding.UTF8, "application/json") };
        request.Headers.TryAddWithoutValidation("Accept", "application/json");
        request.Headers.Add("Mcp-Session-Id", client.SessionId);
        request.Headers.Add("MCP-Protocol-Version", "2025-06-18");
        var answered = http.SendAsync(request, cancel);
        await Wait.UntilAsync(() => server.Calls("hold") == 1, () => "the call never reached the server");

        using var begun = await http.PostAsync(new Uri(gateway.BaseUrl, "/admin/api/drain"), content: null, cancel);
        await Wait.UntilAsync(async () => (await http.GetStringAsync(new Uri(gateway.BaseUrl, "/admin/api/drain"), cancel)).Contains("finishing_calls", StringComparison.Ordinal), () => "it does not wait for the call");
        server.Release();

        using var answer = await answered.WaitAsync(Limit, cancel);
        Assert.Equal("application/json", answer.Content.Headers.ContentType?.MediaType);
        Assert.Contains("late", await answer.Content.ReadAsStringAsync(cancel), StringComparison.Ordinal);
        Assert.True(answer.Headers.ConnectionClose);
    }

    /// <summary>Sends a request on a connection of its own, and reads until something was said.</summary>
    private static async Task<(StreamReader Reader, StringBuilder Said)> AskAsync(TcpClient client, GatewayProcess gateway, byte[] request, string until)
    {
        var cancel = TestContext.Current.CancellationToken;
        await client.ConnectAsync(gateway.BaseUrl.Host, gateway.BaseUrl.Port, cancel);
        var (reader, said) = (new StreamReader(client.GetStream(), Encoding.UTF8), new StringBuilder());
        await client.GetStream().WriteAsync(request, cancel);
        await ReadAsync(reader, said, until).WaitAsync(Limit, cancel);
        return (reader, said);
    }

    private static async Task ReadAsync(StreamReader reader, StringBuilder said, string? until)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            said.AppendLine(line);
            if (until is not null && line.Contains(until, StringComparison.Ordinal))
            {
                return;
            }
        }
    }

    private static byte[] Listen(GatewayProcess gateway)
    {
        const string Body = """
            {"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}
            """;
        return Encoding.UTF8.GetBytes(
            $"POST /servers/up/mcp HTTP/1.1\r\nHost: {gateway.BaseUrl.Authority}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n" +
            $"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\nContent-Length: {Body.Length}\r\n\r\n{Body}");
    }
}
