using System.IO.Pipelines;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mooring.Tests;

/// <summary>One HTTP request at a <see cref="FakeUpstream"/>, and its answer, which the test writes.</summary>
internal sealed class UpstreamExchange(HttpRequestMessage request, string body, CancellationToken aborted)
{
    private readonly TaskCompletionSource<HttpResponseMessage> _response = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private PipeWriter? _stream;

    public static readonly HttpRequestOptionsKey<bool> FromPool = new("sent from a thread of the pool");

    public string HttpMethod { get; } = request.Method.Method;

    /// <summary>Whether a thread of the pool sent it, and none that waits for sockets.</summary>
    public bool WasSentFromPool { get; } = request.Options.TryGetValue(FromPool, out var fromPool) && fromPool;

    public string Body => body;

    /// <summary>Whom it was sent to.</summary>
    public string Host { get; } = request.RequestUri?.Host ?? "";

    /// <summary>The query of its address, with the question mark; empty where there is none.</summary>
    public string Query { get; } = request.RequestUri?.Query ?? "";

    /// <summary>The message, where the body is one JSON object.</summary>
    public JsonObject? Message { get; } = Parse(body);

    public string? Session { get; } = Header(request, "Mcp-Session-Id");

    public string? LastEventId { get; } = Header(request, "Last-Event-ID");

    public string? ProtocolVersion { get; } = Header(request, "MCP-Protocol-Version");

    /// <summary>Any header it came with; null where it has none of that name.</summary>
    public string? Header(string name) => Header(request, name);

    /// <summary>Cancelled when the gateway gives the request up before its answer began.</summary>
    public CancellationToken Aborted => aborted;

    public Task<HttpResponseMessage> Response => _response.Task;

    /// <summary>The id of the request, as the gateway wrote it.</summary>
    public string Id => Message!["id"]!.ToJsonString();

    public string? ProgressToken => Message!["params"]?["_meta"]?["progressToken"]?.ToJsonString();

    public void Text(string text) => Result(TextResult(text));

    /// <summary>Answers with one JSON object.</summary>
    public void Result(string result, string? session = null)
    {
        var response = Response200(new StringContent(ResultMessage(result)), "application/json");
        if (session is not null)
        {
            response.Headers.Add("Mcp-Session-Id", session);
        }

        _response.SetResult(response);
    }

    public void Error(int code, string message) =>
        Status(HttpStatusCode.OK, $$$"""{"jsonrpc":"2.0","id":{{{Id}}},"error":{"code":{{{code}}},"message":"{{{message}}}"}}""");

    /// <summary>Answers with any status, body and type.</summary>
    public void Status(HttpStatusCode status, string content = "", string type = "application/json") =>
        _response.SetResult(new HttpResponseMessage(status) { Content = Typed(new StringContent(content), type) });

    /// <summary>Refuses for want of the right token.</summary>
    public void Refuse(HttpStatusCode status, string challenge)
    {
        var response = new HttpResponseMessage(status);
        response.Headers.TryAddWithoutValidation("WWW-Authenticate", challenge);
        _response.SetResult(response);
    }

    /// <summary>Answers 200 with a body as it stands on the wire; one of unknown length comes in chunks.</summary>
    public void Raw(HttpContent content, string type, string? encoding = null)
    {
        if (encoding is not null)
        {
            content.Headers.ContentEncoding.Add(encoding);
        }

        _response.SetResult(Response200(content, type));
    }

    /// <summary>Answers with a redirect.</summary>
    public void Redirect(HttpStatusCode status, string? location)
    {
        var response = new HttpResponseMessage(status);
        if (location is not null)
        {
            response.Headers.TryAddWithoutValidation("Location", location);
        }

        _response.SetResult(response);
    }

    /// <summary>The request fails as the network fails.</summary>
    public void Fail(HttpRequestError error) => _response.SetException(new HttpRequestException(error, "scripted failure"));

    /// <summary>Begins an event stream.</summary>
    public UpstreamExchange Stream()
    {
        Begin("text/event-stream");
        return this;
    }

    /// <summary>Begins an answer of one message a line, which calls itself JSON.</summary>
    public void Lines()
    {
        IsLines = true;
        Begin("application/json");
    }

    public bool IsLines { get; private set; }

    /// <summary>Whether the gateway has hung up on the stream.</summary>
    public bool WasLeft { get; private set; }

    private void Begin(string type)
    {
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 0, useSynchronizationContext: false));
        _stream = pipe.Writer;
        _response.SetResult(Response200(new StreamContent(new LeavableStream(pipe.Reader.AsStream(), () => WasLeft = true)), type));
    }

    /// <summary>Sends one event with a message; begins the stream where that is still to do.</summary>
    public async Task SendAsync(string json, string? id = null)
    {
        await RawAsync($"{(id is null ? "" : $"id: {id}\n")}event: message\ndata: {json}\n\n");
    }

    public Task ProgressAsync(int progress) =>
        SendAsync($$$"""{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":{{{ProgressToken}}},"progress":{{{progress}}}}}""");

    public Task SendTextAsync(string text, string? id = null) => SendAsync(ResultMessage(TextResult(text)), id);

    /// <summary>Sends any text on the stream.</summary>
    public Task RawAsync(string text) => RawAsync(Encoding.UTF8.GetBytes(text));

    /// <summary>Sends any bytes on the stream.</summary>
    public async Task RawAsync(byte[] bytes)
    {
        if (_stream is null)
        {
            Stream();
        }

        await _stream!.WriteAsync(bytes, CancellationToken.None);
    }

    /// <summary>Ends the stream as a server does.</summary>
    public void End() => _stream!.Complete();

    /// <summary>Breaks the stream as the network does.</summary>
    public void Cut() => _stream!.Complete(new IOException("scripted cut"));

    private string ResultMessage(string result) => $$$"""{"jsonrpc":"2.0","id":{{{Id}}},"result":{{{result}}}}""";

    private static string TextResult(string text) =>
        $$$"""{"content":[{"type":"text","text":{{{JsonSerializer.Serialize(text)}}}}]}""";

    private static HttpResponseMessage Response200(HttpContent content, string type) => new(HttpStatusCode.OK) { Content = Typed(content, type) };

    private static HttpContent Typed(HttpContent content, string type)
    {
        content.Headers.ContentType = new MediaTypeHeaderValue(type);
        return content;
    }

    private static JsonObject? Parse(string text)
    {
        try
        {
            return text.Length == 0 ? null : JsonNode.Parse(text) as JsonObject;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string? Header(HttpRequestMessage request, string name) =>
        // On the wire those of the body are no others.
        request.Headers.TryGetValues(name, out var values) || request.Content?.Headers.TryGetValues(name, out values) == true ? string.Join(',', values) : null;
}

/// <summary>A stream that tells when it is given up.</summary>
file sealed class LeavableStream(Stream inner, Action left) : Stream
{
    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => inner.ReadAsync(buffer, cancellationToken);

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => inner.ReadAsync(buffer, offset, count, cancellationToken);

    public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    protected override void Dispose(bool disposing)
    {
        left();
        inner.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>How long a test waits, in real time, for what must come: only a failing test ever reaches it.</summary>
internal static class Limit
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static async Task<T> Of<T>(Task<T> task, string what)
    {
        try
        {
            return await task.WaitAsync(Patience, TimeProvider.System);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"Waited in vain for {what}.", e);
        }
    }

    public static async Task Of(Task task, string what)
    {
        try
        {
            await task.WaitAsync(Patience, TimeProvider.System);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"Waited in vain for {what}.", e);
        }
    }
}
