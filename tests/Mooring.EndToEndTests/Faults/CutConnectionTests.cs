using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Faults;

/// <summary>Connections that are reset while a call runs: the call is executed once, and its answer is not lost where the version can fetch it.</summary>
public sealed class CutConnectionTests
{
    [Fact]
    public async Task ResetDuringACall_Call_IsExecutedOnce_AndItsAnswerCanBeFetched()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url))));
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        var call = client.ToolCall("hold", "kept");
        var seen = await PostThenResetAsync(gateway, client, "2025-11-25", call, FirstIdAsync);

        server.Release();

        using var rest = await client.OpenAsync(seen);
        var answer = await rest.AnswerAsync((int)call["id"]!);
        Assert.Equal("kept", (string?)answer["result"]?["content"]?[0]?["text"]);
        Assert.Equal(1, server.Calls("hold"));
        Assert.Empty(server.Received("notifications/cancelled"));
    }

    [Theory]
    [InlineData("2025-03-26")]
    [InlineData("2025-06-18")]
    [InlineData("2025-11-25")]
    public async Task ResetBeforeAnythingWasAnswered_Call_IsExecutedOnce_AndTheSessionGoesOn(string version)
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url))));
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"), version);
        await PostThenResetAsync(gateway, client, version, client.ToolCall("hold", "lost"), async _ =>
        {
            await Wait.UntilAsync(() => server.Calls("hold") == 1, () => "the call never reached the server");
            return null;
        });

        server.Release();

        Assert.Equal("next", await client.CallAsync("echo", "next"));
        Assert.Equal(1, server.Calls("hold"));
        Assert.Empty(server.Received("notifications/cancelled"));
    }

    [Fact]
    public async Task ResetOfAStream_WhatIsSaidMeanwhile_IsThereAfterwards()
    {
        await using var server = await FaultyServer.StartAsync();
        await using var gateway = await GatewayProcess.StartAsync(GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url))));
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        await client.CallAsync("echo", "opens the link");
        var seen = await RequestThenResetAsync(gateway, Head(client, "2025-11-25", "GET", "text/event-stream", length: 0), FirstIdAsync);

        server.Log("meanwhile");
        await client.CallAsync("echo", "so that it has been said");

        using var rest = await client.OpenAsync(seen);
        Assert.Equal("meanwhile", (string?)(await rest.NotificationAsync("notifications/message"))["params"]!["data"]);
    }

    private static Task<string?> PostThenResetAsync(GatewayProcess gateway, McpClient client, string version, JsonObject call, Func<StreamReader, Task<string?>> until)
    {
        var body = call.ToJsonString();
        return RequestThenResetAsync(gateway, Head(client, version, "POST", "application/json, text/event-stream", body.Length) + body, until);
    }

    private static string Head(McpClient client, string version, string method, string accept, int length) =>
        $"{method} /servers/up/mcp HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nContent-Type: application/json\r\nMcp-Session-Id: {client.SessionId}\r\n"
        + $"MCP-Protocol-Version: {version}\r\nContent-Length: {length.ToString(CultureInfo.InvariantCulture)}\r\n\r\n";

    /// <summary>Sends a request, waits for something, and resets the connection.</summary>
    private static async Task<string?> RequestThenResetAsync(GatewayProcess gateway, string request, Func<StreamReader, Task<string?>> until)
    {
        var cancel = TestContext.Current.CancellationToken;
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync("127.0.0.1", gateway.Port, cancel);
        await socket.SendAsync(Encoding.ASCII.GetBytes(request), cancel);
        using var reader = new StreamReader(new NetworkStream(socket));
        var seen = await until(reader);

        // Closed with nothing to linger for, a connection is reset.
        socket.LingerState = new LingerOption(enable: true, seconds: 0);
        socket.Close();
        return seen;
    }

    private static async Task<string?> FirstIdAsync(StreamReader reader)
    {
        var cancel = TestContext.Current.CancellationToken;
        while (true)
        {
            var line = await reader.ReadLineAsync(cancel).AsTask().WaitAsync(SseStream.Limit, TimeProvider.System, cancel);
            Assert.True(line is not null, "The response ended before an event id came.");
            if (line.StartsWith("id: ", StringComparison.Ordinal))
            {
                return line[4..];
            }
        }
    }
}
