using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Xunit;

namespace Mooring.EndToEndTests.Faults.Parts;

/// <summary>A client of HTTP+SSE (2024-11-05). Its maker disposes it.</summary>
internal sealed class LegacyClient(Uri endpoint, SocketsHttpHandler? handler = null) : IDisposable
{
    private readonly HttpClient _http = new(handler ?? new SocketsHttpHandler()) { Timeout = Timeout.InfiniteTimeSpan };
    private int _lastId;
    private Uri? _messages;

    public SseStream Stream { get; private set; } = null!;

    /// <summary>Where messages are posted, if not to where the stream came from.</summary>
    public Uri? PostsTo { get; set; }

    public static async Task<LegacyClient> ConnectAsync(Uri endpoint, SocketsHttpHandler? handler = null)
    {
        var client = new LegacyClient(endpoint, handler);
        await client.OpenAsync(lastEventId: null);
        var answer = await client.AskAsync("initialize", new JsonObject
        {
            ["protocolVersion"] = "2024-11-05",
            ["capabilities"] = new JsonObject(),
            ["clientInfo"] = new JsonObject { ["name"] = "legacy", ["version"] = "1" },
        });
        Assert.Equal("2024-11-05", (string?)answer["result"]?["protocolVersion"]);
        await client.PostAsync(new JsonObject { ["jsonrpc"] = "2.0", ["method"] = "notifications/initialized" });
        return client;
    }

    /// <summary>Opens the stream, again where an event id is given, as an EventSource does.</summary>
    public async Task OpenAsync(string? lastEventId)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, endpoint);
        request.Headers.Add("Accept", "text/event-stream");
        if (lastEventId is not null)
        {
            request.Headers.Add("Last-Event-ID", lastEventId);
        }

        Stream = await SseStream.OfAsync(await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken));
        while (await Stream.NextAsync() is { } block)
        {
            if (block.Event == "endpoint")
            {
                _messages = new Uri(endpoint, block.Data!);
                return;
            }
        }

        Assert.Fail("The stream ended before its endpoint event.");
    }

    public async Task<int> SendAsync(string method, JsonObject parameters)
    {
        var id = ++_lastId;
        await PostAsync(new JsonObject { ["jsonrpc"] = "2.0", ["id"] = id, ["method"] = method, ["params"] = parameters });
        return id;
    }

    public async Task<JsonObject> AskAsync(string method, JsonObject parameters) => await Stream.AnswerAsync(await SendAsync(method, parameters));

    public Task<JsonObject> CallAsync(string tool, string text) => AskAsync("tools/call", CallParameters(tool, text));

    public static JsonObject CallParameters(string tool, string text) =>
        new() { ["name"] = tool, ["arguments"] = new JsonObject { ["text"] = text } };

    public void Dispose()
    {
        Stream?.Dispose();
        _http.Dispose();
    }

    private async Task PostAsync(JsonObject message)
    {
        using var content = new StringContent(message.ToJsonString(), Encoding.UTF8, "application/json");
        using var response = await _http.PostAsync(PostsTo is null ? _messages : new Uri(PostsTo, _messages!.PathAndQuery), content, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
    }
}
