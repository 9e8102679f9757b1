using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Operation;

/// <summary>What a proxy says of the request it passes on is believed only where the configuration trusts it.</summary>
public sealed class TrustedProxyTests
{
    [Theory]
    [InlineData("127.0.0.0/8", "mcp.example.com", HttpStatusCode.OK)]
    [InlineData("127.0.0.1", "mcp.example.com", HttpStatusCode.OK)]
    [InlineData("127.0.0.1", "evil.example.com", HttpStatusCode.Forbidden)]
    [InlineData("10.0.0.0/8", "mcp.example.com", HttpStatusCode.Forbidden)]
    [InlineData(null, "mcp.example.com", HttpStatusCode.Forbidden)]
    public async Task ForwardedHost_OfAProxy_CountsWhereTheProxyIsTrusted(string? trusted, string forwarded, HttpStatusCode expected)
    {
        var config = GatewayProcess.Config();
        config["hosts"] = new JsonArray("mcp.example.com");
        if (trusted is not null)
        {
            config["trustedProxies"] = new JsonArray(trusted);
        }

        await using var gateway = await GatewayProcess.StartAsync(config);
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(gateway.BaseUrl, "/mcp"))
        {
            Content = new StringContent(
                """{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}""",
                Encoding.UTF8,
                "application/json"),
        };
        request.Headers.Host = "backend.internal";
        request.Headers.Add("Accept", "application/json, text/event-stream");
        request.Headers.Add("X-Forwarded-For", "203.0.113.7");
        request.Headers.Add("X-Forwarded-Host", forwarded);
        request.Headers.Add("X-Forwarded-Proto", "https");

        using var response = await http.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(expected, response.StatusCode);
    }
}
