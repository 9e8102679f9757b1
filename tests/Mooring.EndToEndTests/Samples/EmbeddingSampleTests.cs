using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Harness;
using Mooring.Tests;
using Xunit;

namespace Mooring.EndToEndTests.Samples;

/// <summary>The sample that shows how to embed the gateway: it builds, runs, and its tool answers.</summary>
public sealed class EmbeddingSampleTests : IDisposable
{
    private const string Configuration =
#if DEBUG
        "Debug";
#else
        "Release";
#endif

    private static readonly TimeSpan BuildLimit = TimeSpan.FromMinutes(8);
    private static readonly TimeSpan StartLimit = TimeSpan.FromMinutes(1);

    private readonly string _data = Directory.CreateTempSubdirectory("mooring-sample-").FullName;
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(30) };

    [Fact]
    public async Task Embedding_BuiltAndStarted_ServesItsRouteAndItsTool()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var folder = Path.Combine(Repository.Root, "samples", "Embedding");
        await using (var build = ToolProcess.Start("dotnet", ["build", folder, "-c", Configuration, "--nologo", "-v", "quiet"]))
        {
            Assert.True(await build.ExitAsync(BuildLimit, cancellation) == 0, build.Describe("the sample did not build"));
        }

        var url = new Uri($"http://127.0.0.1:{LoopbackPorts.Take().ToString(CultureInfo.InvariantCulture)}");
        var program = Path.Combine(folder, "bin", Configuration, "net10.0", "Embedding.dll");
        await using var app = ToolProcess.Start("dotnet", [program, "--urls", url.GetLeftPart(UriPartial.Authority), "--data", _data], folder: folder);

        Assert.Equal("An application with an MCP gateway at /mcp.", await FirstAnswerAsync(url, app, cancellation));

        var endpoint = new Uri(url, "/mcp");
        var (opened, session) = await PostAsync(endpoint, session: null, new JsonObject
        {
            ["jsonrpc"] = "2.0",
            ["id"] = 1,
            ["method"] = "initialize",
            ["params"] = new JsonObject
            {
                ["protocolVersion"] = "2025-11-25",
                ["capabilities"] = new JsonObject(),
                ["clientInfo"] = new JsonObject { ["name"] = "test", ["version"] = "1" },
            },
        });
        Assert.Equal("2025-11-25", opened.GetProperty("result").GetProperty("protocolVersion").GetString());
        Assert.NotNull(session);

        var (tools, _) = await PostAsync(endpoint, session, new JsonObject { ["jsonrpc"] = "2.0", ["id"] = 2, ["method"] = "tools/list" });
        Assert.Equal(["greet"], tools.GetProperty("result").GetProperty("tools").EnumerateArray().Select(t => t.GetProperty("name").GetString()));

        var (called, _) = await PostAsync(endpoint, session, new JsonObject
        {
            ["jsonrpc"] = "2.0",
            ["id"] = "three",
            ["method"] = "tools/call",
            ["params"] = new JsonObject { ["name"] = "greet", ["arguments"] = new JsonObject { ["name"] = "Ada" } },
        });
        Assert.Equal("three", called.GetProperty("id").GetString());
        Assert.Equal("Hello, Ada!", called.GetProperty("result").GetProperty("content")[0].GetProperty("text").GetString());

        await AssertEndsInOrderAsync(app, endpoint, session!, cancellation);
    }

    /// <summary>The signal goes to the application, which knows nothing of drains.</summary>
    private async Task AssertEndsInOrderAsync(ToolProcess app, Uri endpoint, string session, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, endpoint);
        request.Headers.Accept.ParseAdd("text/event-stream");
        request.Headers.Add("Mcp-Session-Id", session);
        request.Headers.Add("MCP-Protocol-Version", "2025-11-25");
        using var listening = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);

        app.Signal(15);

        // To its end: a stream that is cut throws.
        var heard = await listening.Content.ReadAsStringAsync(cancellation);
        Assert.Matches(@"\nretry: [1-5]\d{3}\n\n$", heard);
        Assert.Equal(0, await app.ExitAsync(StartLimit, cancellation));
    }

    public void Dispose()
    {
        _http.Dispose();
        Directory.Delete(_data, recursive: true);
    }

    private async Task<string> FirstAnswerAsync(Uri url, ToolProcess app, CancellationToken cancellation)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            Assert.False(app.HasExited, app.Describe("ended while it was starting"));
            try
            {
                return await _http.GetStringAsync(url, cancellation);
            }
            catch (HttpRequestException) when (TimeProvider.System.GetElapsedTime(start) < StartLimit)
            {
                // Not listening yet.
                await Task.Delay(50, cancellation);
            }
        }
    }

    /// <summary>The response as JSON, whether it came as one object or as the last event of a stream, and the session it names.</summary>
    private async Task<(JsonElement Body, string? Session)> PostAsync(Uri endpoint, string? session, JsonObject message)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, endpoint) { Content = new StringContent(message.ToJsonString(), Encoding.UTF8, "application/json") };
        request.Headers.Accept.ParseAdd("application/json");
        request.Headers.Accept.ParseAdd("text/event-stream");
        if (session is not null)
        {
            request.Headers.Add("Mcp-Session-Id", session);
            request.Headers.Add("MCP-Protocol-Version", "2025-11-25");
        }

        using var response = await _http.SendAsync(request, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.StatusCode == HttpStatusCode.OK, $"{(int)response.StatusCode}: {text}");
        var json = response.Content.Headers.ContentType?.MediaType == "text/event-stream"
            ? text.Split('\n').Last(l => l.StartsWith("data: {", StringComparison.Ordinal))["data: ".Length..]
            : text;
        return (JsonDocument.Parse(json).RootElement, response.Headers.TryGetValues("Mcp-Session-Id", out var ids) ? ids.Single() : null);
    }
}
