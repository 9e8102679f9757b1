using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using System.Threading.Channels;

namespace Mooring.Tests;

/// <summary>
/// A scripted Streamable HTTP server without sockets. It keeps sessions, answers the housekeeping by itself, executes <c>echo</c>, and
/// hands calls of every tool added with <see cref="Hold"/> to the test, which answers them whenever and however it likes.
/// </summary>
internal sealed class FakeUpstream(string name = "one")
{
    private readonly ConcurrentDictionary<string, bool> _sessions = new(StringComparer.Ordinal);
    private readonly Channel<UpstreamExchange> _held = Channel.CreateUnbounded<UpstreamExchange>();
    private readonly Channel<UpstreamExchange> _gets = Channel.CreateUnbounded<UpstreamExchange>();
    private readonly ConcurrentQueue<UpstreamExchange> _all = new();
    private readonly ConcurrentDictionary<string, int> _executions = new(StringComparer.Ordinal);
    private readonly List<JsonObject> _tools = [Tool("echo", readOnly: false, idempotent: false)];
    private int _lastSession;

    public string Name => name;

    public Uri Url => new($"http://{name}.test/mcp");

    /// <summary>The version it answers to <c>initialize</c>.</summary>
    public string Version { get; set; } = "2025-11-25";

    /// <summary>The version of itself that it says there.</summary>
    public string Release { get; set; } = "1";

    /// <summary>Whether it has a GET stream; 405 otherwise.</summary>
    public bool HasGetStream { get; set; }

    /// <summary>Whether it gives session ids.</summary>
    public bool HasSessions { get; set; } = true;

    /// <summary>The <c>instructions</c> of its answer to an <c>initialize</c>; null: none.</summary>
    public Func<UpstreamExchange, string?> Instructions { get; set; } = _ => null;

    /// <summary>Its capabilities, JSON.</summary>
    public string Capabilities { get; set; } =
        """{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"logging":{},"completions":{}}""";

    /// <summary>Whether the question if it has sessions at all is among its requests; else it is answered as servers with sessions do, and not counted.</summary>
    public bool SeesProbes { get; set; }

    /// <summary>Sees every request first; true: it has dealt with it. It may also throw, as the network does.</summary>
    public Func<UpstreamExchange, bool>? Intercept { get; set; }

    /// <summary>Everything that came, in order.</summary>
    public IReadOnlyList<UpstreamExchange> Requests => [.. _all];

    /// <summary>Sessions it knows now.</summary>
    public IReadOnlyCollection<string> Sessions => [.. _sessions.Keys];

    /// <summary>How often a tool was executed: its call came in and was accepted.</summary>
    public int Executions(string tool) => _executions.GetValueOrDefault(tool);

    /// <summary>Messages of one method that came, in order.</summary>
    public IReadOnlyList<JsonObject> Messages(string method) =>
        [.. _all.Select(e => e.Message).OfType<JsonObject>().Where(m => (string?)m["method"] == method)];

    /// <summary>Lists a tool whose calls the test answers.</summary>
    public FakeUpstream Hold(string tool, bool readOnly = false, bool idempotent = false)
    {
        lock (_tools)
        {
            _tools.Add(Tool(tool, readOnly, idempotent));
        }

        return this;
    }

    /// <summary>The next held call, in the order of arrival.</summary>
    public Task<UpstreamExchange> CallAsync() => Limit.Of(_held.Reader.ReadAsync().AsTask(), $"a call at {name}");

    /// <summary>Whether a held call waits to be taken.</summary>
    public bool HasCall => _held.Reader.TryPeek(out _);

    /// <summary>The next GET, a standalone stream or a resumption.</summary>
    public Task<UpstreamExchange> GetAsync() => Limit.Of(_gets.Reader.ReadAsync().AsTask(), $"a GET at {name}");

    /// <summary>As after a restart: every session is 404 from now on.</summary>
    public void ForgetSessions() => _sessions.Clear();

    public Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, string body, CancellationToken cancel)
    {
        var exchange = new UpstreamExchange(request, body, cancel);
        if (!SeesProbes && (string?)exchange.Message?["method"] == "server/discover")
        {
            // As servers of its version do, whatever the test wants of the rest.
            exchange.Status(HttpStatusCode.BadRequest, """{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: Server not initialized"}}""");
            return exchange.Response;
        }

        _all.Enqueue(exchange);
        if (Intercept?.Invoke(exchange) != true)
        {
            Handle(exchange);
        }

        return exchange.Response.WaitAsync(cancel);
    }

    private void Handle(UpstreamExchange exchange)
    {
        var method = (string?)exchange.Message?["method"];
        if (HasSessions && method != "initialize" && (exchange.Session is null || !_sessions.ContainsKey(exchange.Session)))
        {
            exchange.Status(HttpStatusCode.NotFound, """{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}""");
            return;
        }

        if (exchange.HttpMethod == "GET")
        {
            if (!HasGetStream && exchange.LastEventId is null)
            {
                exchange.Status(HttpStatusCode.MethodNotAllowed);
                return;
            }

            _gets.Writer.TryWrite(exchange);
            return;
        }

        if (exchange.HttpMethod == "DELETE")
        {
            _sessions.TryRemove(exchange.Session ?? "", out _);
            exchange.Status(HttpStatusCode.OK);
            return;
        }

        if (method is null || exchange.Message?["id"] is null)
        {
            exchange.Status(HttpStatusCode.Accepted);
            return;
        }

        Answer(exchange, method);
    }

    private void Answer(UpstreamExchange exchange, string method)
    {
        switch (method)
        {
            case "initialize":
                var session = HasSessions ? $"{name}-{Interlocked.Increment(ref _lastSession)}" : null;
                if (session is not null)
                {
                    _sessions[session] = true;
                }

                var instructions = Instructions(exchange) is { } text ? $",\"instructions\":{JsonValue.Create(text)!.ToJsonString()}" : "";
                exchange.Result($$$"""{"protocolVersion":"{{{Version}}}","capabilities":{{{Capabilities}}},"serverInfo":{"name":"{{{name}}}","version":"{{{Release}}}"}{{{instructions}}}}""", session);
                return;
            case "tools/list":
                lock (_tools)
                {
                    exchange.Result(new JsonObject { ["tools"] = new JsonArray([.. _tools.Select(t => t.DeepClone())]) }.ToJsonString());
                }

                return;
            case "prompts/list":
                exchange.Result("""{"prompts":[]}""");
                return;
            case "resources/list":
                exchange.Result($$$"""{"resources":[{"uri":"test://{{{name}}}/a","name":"a"}]}""");
                return;
            case "resources/templates/list":
                exchange.Result("""{"resourceTemplates":[]}""");
                return;
            case "tools/call":
                Execute(exchange);
                return;
            case "resources/subscribe" or "resources/unsubscribe" or "logging/setLevel" or "ping":
                exchange.Result("{}");
                return;
            default:
                exchange.Error(-32601, "Method not found");
                return;
        }
    }

    private void Execute(UpstreamExchange exchange)
    {
        var tool = (string?)exchange.Message!["params"]?["name"] ?? "";
        _executions.AddOrUpdate(tool, 1, (_, count) => count + 1);
        if (tool == "echo")
        {
            exchange.Text(exchange.Message["params"]?["arguments"]?["text"]?.ToJsonString() ?? "nothing");
        }
        else
        {
            _held.Writer.TryWrite(exchange);
        }
    }

    private static JsonObject Tool(string name, bool readOnly, bool idempotent) => new()
    {
        ["name"] = name,
        ["inputSchema"] = new JsonObject { ["type"] = "object" },
        ["annotations"] = new JsonObject { ["readOnlyHint"] = readOnly, ["idempotentHint"] = idempotent },
    };
}

/// <summary>Sends each request to the fake server that its host name names; a name nobody has cannot be resolved.</summary>
internal sealed class FakeNetwork(IReadOnlyList<FakeUpstream> upstreams) : HttpMessageHandler
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var upstream = upstreams.FirstOrDefault(u => u.Url.Host == request.RequestUri!.Host)
            ?? throw new HttpRequestException(HttpRequestError.NameResolutionError, "no such host");
        request.Options.Set(UpstreamExchange.FromPool, Thread.CurrentThread.IsThreadPoolThread);
        var body = request.Content is null ? "" : await request.Content.ReadAsStringAsync(cancellationToken);

        // As over a socket, the answer never comes on the sender's own stack.
        await Task.Yield();
        return await upstream.SendAsync(request, body, cancellationToken);
    }
}
