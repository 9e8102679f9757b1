using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Xunit;

namespace Mooring.EndToEndTests.Faults.Parts;

/// <summary>A client over Streamable HTTP that does exactly what it is told: no retry, no reconnect of its own. Its maker disposes it.</summary>
internal sealed class McpClient : IDisposable
{
    /// <summary>All versions with sessions.</summary>
    public static readonly TheoryData<string> Versions = new("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25");

    /// <summary>Those whose streams can be resumed.</summary>
    public static readonly TheoryData<string> ResumableVersions = new("2025-03-26", "2025-06-18", "2025-11-25");

    private readonly HttpClient _http;
    private readonly Uri _endpoint;
    private readonly string _version;
    private int _lastId;

    public McpClient(Uri endpoint, string version = "2025-11-25", SocketsHttpHandler? handler = null, Version? http = null)
    {
        _endpoint = endpoint;
        _version = version;
        _http = new HttpClient(handler ?? new SocketsHttpHandler { MaxConnectionsPerServer = 2000 }) { Timeout = Timeout.InfiniteTimeSpan };
        if (http is not null)
        {
            _http.DefaultRequestVersion = http;
            _http.DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact;
        }
    }

    /// <summary>What the gateway's client calls itself towards servers.</summary>
    public string Name { get; } = "client-" + Guid.NewGuid().ToString("n")[..8];

    public string? SessionId { get; set; }

    /// <summary>What the client says it can do.</summary>
    public JsonObject Capabilities { get; init; } = [];

    public int LastId => _lastId;

    public static async Task<McpClient> ConnectAsync(Uri endpoint, string version = "2025-11-25", SocketsHttpHandler? handler = null, Version? http = null)
    {
        var client = new McpClient(endpoint, version, handler, http);
        await client.InitializeAsync();
        return client;
    }

    /// <summary>The same session by another way in. Its requests have ids that this one's never have.</summary>
    public McpClient At(Uri endpoint) => new(endpoint, _version) { SessionId = SessionId, _lastId = _lastId + 1_000_000 };

    public async Task<JsonObject> InitializeAsync()
    {
        using var response = await PostAsync(Request("initialize", new JsonObject
        {
            ["protocolVersion"] = _version,
            ["capabilities"] = Capabilities.DeepClone(),
            ["clientInfo"] = new JsonObject { ["name"] = Name, ["version"] = "1" },
        }));
        var answer = await AnswerOfAsync(response, _lastId);
        Assert.Equal(_version, (string?)answer["result"]?["protocolVersion"]);
        SessionId = response.Headers.GetValues("Mcp-Session-Id").Single();
        using var taken = await PostAsync(new JsonObject { ["jsonrpc"] = "2.0", ["method"] = "notifications/initialized" });
        Assert.Equal(HttpStatusCode.Accepted, taken.StatusCode);
        return answer;
    }

    /// <summary>A request with its own id.</summary>
    public JsonObject Request(string method, JsonObject? parameters = null)
    {
        var request = new JsonObject { ["jsonrpc"] = "2.0", ["id"] = Interlocked.Increment(ref _lastId), ["method"] = method };
        if (parameters is not null)
        {
            request["params"] = parameters;
        }

        return request;
    }

    public JsonObject ToolCall(string tool, string? text = null) =>
        Request("tools/call", new JsonObject { ["name"] = tool, ["arguments"] = new JsonObject { ["text"] = text ?? "" } });

    /// <summary>Sends a request and returns its whole answer, JSON or from a stream.</summary>
    public async Task<JsonObject> AskAsync(string method, JsonObject? parameters = null)
    {
        var request = Request(method, parameters);
        using var response = await PostAsync(request);
        return await AnswerOfAsync(response, (int)request["id"]!);
    }

    /// <summary>Calls a tool and returns the text it answered.</summary>
    public async Task<string> CallAsync(string tool, string? text = null)
    {
        var answer = await TryCallAsync(tool, text);
        Assert.True(answer["result"] is not null, answer.ToJsonString());
        return (string)answer["result"]!["content"]![0]!["text"]!;
    }

    /// <summary>Calls a tool and returns the whole answer, be it an error.</summary>
    public async Task<JsonObject> TryCallAsync(string tool, string? text = null)
    {
        var request = ToolCall(tool, text);
        using var response = await PostAsync(request);
        return await AnswerOfAsync(response, (int)request["id"]!);
    }

    public async Task<string[]> ToolsAsync()
    {
        var answer = await AskAsync("tools/list");
        Assert.True(answer["result"] is not null, answer.ToJsonString());
        return [.. answer["result"]!["tools"]!.AsArray().Select(tool => (string)tool!["name"]!)];
    }

    /// <summary>POSTs a message; returns as soon as the head of the response is there.</summary>
    /// <param name="message">What is sent.</param>
    /// <param name="body">Instead of the message's own text.</param>
    /// <param name="chunked">In chunks, its length not told beforehand.</param>
    public Task<HttpResponseMessage> PostAsync(JsonObject message, string? body = null, bool chunked = false)
    {
        var request = Head(HttpMethod.Post, "application/json, text/event-stream");
        request.Headers.TransferEncodingChunked = chunked ? true : null;
        request.Content = new StringContent(body ?? message.ToJsonString(), Encoding.UTF8, "application/json");
        return SendAsync(request);
    }

    /// <summary>POSTs a request that is answered on a stream.</summary>
    public async Task<SseStream> PostForStreamAsync(JsonObject message) => await SseStream.OfAsync(await PostAsync(message));

    /// <summary>GETs a stream, a new one or the rest of an old one.</summary>
    public async Task<SseStream> OpenAsync(string? lastEventId = null) => await SseStream.OfAsync(await GetAsync(lastEventId));

    public Task<HttpResponseMessage> GetAsync(string? lastEventId = null)
    {
        var request = Head(HttpMethod.Get, "text/event-stream");
        if (lastEventId is not null)
        {
            request.Headers.Add("Last-Event-ID", lastEventId);
        }

        return SendAsync(request);
    }

    public async Task<HttpStatusCode> DeleteAsync()
    {
        using var response = await SendAsync(Head(HttpMethod.Delete, "application/json"));
        return response.StatusCode;
    }

    public static async Task<JsonObject> AnswerOfAsync(HttpResponseMessage response, int id)
    {
        if (response.Content.Headers.ContentType?.MediaType == "text/event-stream")
        {
            using var stream = await SseStream.OfAsync(response);
            return await stream.AnswerAsync(id);
        }

        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode}: {text}");
        var answer = JsonNode.Parse(text)!.AsObject();
        Assert.Equal(id, (int?)answer["id"]);
        return answer;
    }

    public void Dispose() => _http.Dispose();

    private HttpRequestMessage Head(HttpMethod method, string accept)
    {
        var request = new HttpRequestMessage(method, _endpoint) { Version = _http.DefaultRequestVersion, VersionPolicy = _http.DefaultVersionPolicy };
        request.Headers.TryAddWithoutValidation("Accept", accept);
        if (SessionId is not null)
        {
            request.Headers.Add("Mcp-Session-Id", SessionId);
            if (string.CompareOrdinal(_version, "2025-06-18") >= 0)
            {
                request.Headers.Add("MCP-Protocol-Version", _version);
            }
        }

        return request;
    }

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request)
    {
        using (request)
        {
            return await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken)
                .WaitAsync(SseStream.Limit, TimeProvider.System);
        }
    }
}
