using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Xunit;

namespace Mooring.Tests;

/// <summary>A client of one session that sends raw JSON and reads events as they stand on the wire.</summary>
internal sealed class McpTestClient(HttpClient http, string path, string version, string? user)
{
    private int _lastId;

    public string? SessionId { get; set; }

    /// <summary>Sent with every request, where there is one.</summary>
    public string? Token { get; set; }

    public string Path => path;

    public string Version => version;

    /// <summary>Says hello; the session id is kept.</summary>
    public async Task<JsonObject> InitializeAsync(string capabilities = "{}")
    {
        using var reply = await PostAsync(
            $$$$"""{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"{{{{version}}}}","capabilities":{{{{capabilities}}}},"clientInfo":{"name":"test","version":"1"}}}""");
        Assert.Equal(HttpStatusCode.OK, reply.Status);
        SessionId = reply.Header("Mcp-Session-Id");
        var answer = await reply.MessageAsync();
        Assert.NotNull(answer["result"]);
        await NotifyAsync("notifications/initialized");
        return answer;
    }

    /// <summary>Sends any body; returns when the head of the answer is there.</summary>
    public async Task<TestReply> PostAsync(string json, string accept = "application/json, text/event-stream", string contentType = "application/json", CancellationToken cancel = default, params (string Name, string Value)[] headers)
    {
        using var content = new StringContent(json, Encoding.UTF8, contentType);
        return await SendAsync(HttpMethod.Post, content, accept, headers, cancel);
    }

    public async Task<TestReply> GetAsync(string? lastEventId = null, params (string Name, string Value)[] headers) =>
        await SendAsync(HttpMethod.Get, content: null, "text/event-stream", lastEventId is null ? headers : [.. headers, ("Last-Event-ID", lastEventId)]);

    public async Task<TestReply> DeleteAsync(params (string Name, string Value)[] headers) =>
        await SendAsync(HttpMethod.Delete, content: null, "application/json", headers);

    public async Task NotifyAsync(string method, string? parameters = null)
    {
        using var reply = await PostAsync($$"""{"jsonrpc":"2.0","method":"{{method}}"{{(parameters is null ? "" : $",\"params\":{parameters}")}}}""");
        Assert.Equal(HttpStatusCode.Accepted, reply.Status);
    }

    /// <summary>Sends a request and returns when the head of the answer is there.</summary>
    public Task<TestReply> RequestAsync(string method, string? parameters = null, string? id = null, string accept = "application/json, text/event-stream", CancellationToken cancel = default)
    {
        id ??= Interlocked.Increment(ref _lastId).ToString(CultureInfo.InvariantCulture);
        return PostAsync($$"""{"jsonrpc":"2.0","id":{{id}},"method":"{{method}}"{{(parameters is null ? "" : $",\"params\":{parameters}")}}}""", accept, cancel: cancel);
    }

    /// <summary>Calls a tool and returns when the head of the answer is there.</summary>
    public Task<TestReply> CallAsync(string tool, string arguments = "{}", string? id = null, string? meta = null, string accept = "application/json, text/event-stream", CancellationToken cancel = default) =>
        RequestAsync("tools/call", $$"""{"name":"{{tool}}","arguments":{{arguments}}{{(meta is null ? "" : $",\"_meta\":{meta}")}}}""", id, accept, cancel);

    /// <summary>Calls a tool whose server answers by itself, and returns the message.</summary>
    public async Task<JsonObject> ResultAsync(string tool, string arguments = "{}")
    {
        using var reply = await CallAsync(tool, arguments);
        return await reply.MessageAsync();
    }

    private async Task<TestReply> SendAsync(HttpMethod method, HttpContent? content, string accept, (string Name, string Value)[] headers, CancellationToken cancel = default)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        request.Headers.TryAddWithoutValidation("Accept", accept);
        if (SessionId is not null)
        {
            request.Headers.TryAddWithoutValidation("Mcp-Session-Id", SessionId);
            if (string.CompareOrdinal(version, "2025-06-18") >= 0 && !headers.Any(h => h.Name == "MCP-Protocol-Version"))
            {
                request.Headers.TryAddWithoutValidation("MCP-Protocol-Version", version);
            }
        }

        if (user is not null)
        {
            request.Headers.TryAddWithoutValidation("X-Test-User", user);
        }

        if (Token is not null)
        {
            request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + Token);
        }

        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        return new TestReply(await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel));
    }
}

/// <summary>One answer. Disposing it is what a client does that leaves.</summary>
internal sealed class TestReply(HttpResponseMessage response) : IDisposable
{
    private TestEvents? _events;

    public HttpStatusCode Status => response.StatusCode;

    public bool IsStream => response.Content.Headers.ContentType?.MediaType == "text/event-stream";

    /// <summary>The events of a stream.</summary>
    public TestEvents Events => _events ??= new TestEvents(response.Content.ReadAsStream());

    public string? Header(string name) =>
        response.Headers.TryGetValues(name, out var values) || response.Content.Headers.TryGetValues(name, out values) ? string.Join(',', values) : null;

    /// <summary>The body as it comes, for a test that reads it by itself.</summary>
    public Stream Stream => response.Content.ReadAsStream();

    public Task<string> BodyAsync() => Limit.Of(response.Content.ReadAsStringAsync(), "the body");

    /// <summary>The message: the JSON body, or the next message on the stream.</summary>
    public async Task<JsonObject> MessageAsync() => IsStream ? await Events.MessageAsync() : JsonNode.Parse(await BodyAsync())!.AsObject();

    public void Dispose() => response.Dispose();
}

/// <summary>What stood on an event stream: a dispatched event, a lone <c>retry:</c>, or a comment.</summary>
/// <param name="Id">The event's own id line, or null.</param>
/// <param name="Data">The data, null where no data line came.</param>
/// <param name="Retry">The value of a retry line.</param>
/// <param name="Comment">Whether it is a comment.</param>
internal sealed record TestEvent(string? Id, string? Data, int? Retry, bool Comment)
{
    public bool IsMessage => !string.IsNullOrEmpty(Data);

    /// <summary>An id with empty data.</summary>
    public bool IsPrimer => Id is not null && Data is { Length: 0 };

    public JsonObject Message => JsonNode.Parse(Data!)!.AsObject();
}

/// <summary>Reads an event stream block by block and keeps everything it saw.</summary>
internal sealed class TestEvents(Stream stream)
{
    private readonly StreamReader _reader = new(stream, new UTF8Encoding(false, throwOnInvalidBytes: true));
    private readonly List<TestEvent> _seen = [];
    private Task<TestEvent?>? _next;

    public IReadOnlyList<TestEvent> Seen => _seen;

    public string? LastEventId { get; private set; }

    /// <summary>The next block, also a comment or a retry; null at the end. An exception: the stream broke.</summary>
    public async Task<TestEvent?> NextAsync()
    {
        var next = _next ?? ReadAsync();
        _next = null;
        return await Limit.Of(next, "the next event");
    }

    /// <summary>Whether something is there to be read, without waiting.</summary>
    public bool HasNext => (_next ??= ReadAsync()).IsCompleted;

    /// <summary>The next event with a message in it.</summary>
    public async Task<TestEvent> EventAsync()
    {
        while (true)
        {
            var next = await NextAsync() ?? throw new InvalidOperationException("The stream ended before a message.");
            if (next.IsMessage)
            {
                return next;
            }
        }
    }

    public async Task<JsonObject> MessageAsync() => (await EventAsync()).Message;

    /// <summary>Reads to the end; returns what came on the way.</summary>
    public async Task<IReadOnlyList<TestEvent>> RestAsync()
    {
        var from = _seen.Count;
        while (await NextAsync() is not null)
        {
            // Kept in Seen.
        }

        return [.. _seen.Skip(from)];
    }

    private async Task<TestEvent?> ReadAsync()
    {
        string? id = null;
        string? data = null;
        int? retry = null;
        var comment = false;
        while (await _reader.ReadLineAsync() is { } line)
        {
            if (line.Length == 0)
            {
                var block = new TestEvent(id, data, retry, comment);
                LastEventId = id ?? LastEventId;
                _seen.Add(block);
                return block;
            }

            var colon = line.IndexOf(':', StringComparison.Ordinal);
            var value = colon < 0 ? "" : line[(colon + 1)..].TrimStart(' ');
            switch (colon < 0 ? line : line[..colon])
            {
                case "":
                    comment = true;
                    break;
                case "id":
                    id = value;
                    break;
                case "data":
                    data = data is null ? value : data + "\n" + value;
                    break;
                case "retry":
                    retry = int.Parse(value, CultureInfo.InvariantCulture);
                    break;
            }
        }

        return null;
    }
}

/// <summary>What tests look at in a message.</summary>
internal static class MessageReading
{
    /// <summary>The text of a tool's result.</summary>
    public static string? Text(this JsonObject message) => (string?)message["result"]?["content"]?[0]?["text"];

    /// <summary>The id with its JSON type, as on the wire.</summary>
    public static string? RawId(this JsonObject message) => message["id"]?.ToJsonString();

    public static int? ErrorCode(this JsonObject message) => (int?)message["error"]?["code"];

    /// <summary>Why the gateway failed a call, as a program reads it.</summary>
    public static string? Reason(this JsonObject message) => (string?)message["error"]?["data"]?["mooring"]?["reason"];

    /// <summary>What the gateway says about whether it was executed.</summary>
    public static string? Executed(this JsonObject message) => (string?)message["error"]?["data"]?["mooring"]?["executed"];
}
