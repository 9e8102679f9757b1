using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;
using System.Threading.Channels;

namespace Mooring.Tests;

/// <summary>
/// A scripted server without sessions (2026-07-28), in place of the one it answers for. It checks what every request must say, answers the
/// housekeeping by itself, and hands calls of every tool but <c>echo</c>, and what listens, to the test.
/// </summary>
internal sealed class StatelessUpstream
{
    private readonly Channel<UpstreamExchange> _held = Channel.CreateUnbounded<UpstreamExchange>();
    private readonly Channel<UpstreamExchange> _listens = Channel.CreateUnbounded<UpstreamExchange>();
    private readonly ConcurrentQueue<string> _faults = new();

    private StatelessUpstream(FakeUpstream fake) => Fake = fake;

    public FakeUpstream Fake { get; }

    /// <summary>What its requests did wrong.</summary>
    public IReadOnlyList<string> Faults => [.. _faults];

    public string Capabilities { get; set; } =
        """{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"logging":{},"completions":{}}""";

    /// <summary>Its list of tools, a JSON array.</summary>
    public string Tools { get; set; } = """[{"name":"echo","inputSchema":{"type":"object"}},{"name":"slow","inputSchema":{"type":"object"}},{"name":"reads","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}]""";

    /// <summary>Null: it does not say, against the version's rules.</summary>
    public int? TtlMs { get; set; } = 0;

    public string CacheScope { get; set; } = "public";

    /// <summary>Sees every request first; true: it has dealt with it.</summary>
    public Func<UpstreamExchange, bool>? Intercept { get; set; }

    /// <summary>Has a fake server be one without sessions from now on.</summary>
    public static StatelessUpstream At(FakeUpstream fake)
    {
        var server = new StatelessUpstream(fake);
        fake.SeesProbes = true;
        fake.Intercept = exchange =>
        {
            if (server.Intercept?.Invoke(exchange) != true)
            {
                server.Handle(exchange);
            }

            return true;
        };
        return server;
    }

    public Task<UpstreamExchange> CallAsync() => Limit.Of(_held.Reader.ReadAsync().AsTask(), "a call");

    /// <summary>The next request that listens.</summary>
    public Task<UpstreamExchange> ListenAsync() => Limit.Of(_listens.Reader.ReadAsync().AsTask(), "a request that listens");

    public bool HasListen => _listens.Reader.TryPeek(out _);

    private void Handle(UpstreamExchange exchange)
    {
        var method = (string?)exchange.Message?["method"];
        if (exchange.HttpMethod != "POST")
        {
            exchange.Status(HttpStatusCode.MethodNotAllowed);
            return;
        }

        var meta = exchange.Message?["params"]?["_meta"];
        if (method == "initialize" || (string?)meta?["io.modelcontextprotocol/protocolVersion"] != "2026-07-28")
        {
            exchange.Refuse(HttpStatusCode.BadRequest, -32022, "Unsupported protocol version", """{"supported":["2026-07-28"],"requested":"older"}""");
            return;
        }

        var named = method is "tools/call" or "prompts/get" ? "name" : method == "resources/read" ? "uri" : null;
        Check(exchange.ProtocolVersion == "2026-07-28", $"{method}: MCP-Protocol-Version is {exchange.ProtocolVersion}");
        Check(exchange.Header("Mcp-Method") == method, $"{method}: Mcp-Method is {exchange.Header("Mcp-Method")}");
        Check(named is null || exchange.Header("Mcp-Name") is not null, $"{method}: no Mcp-Name");
        Check(meta["io.modelcontextprotocol/clientCapabilities"] is JsonObject, $"{method}: no clientCapabilities");
        Check(exchange.Session is null, $"{method}: has a session");
        Answer(exchange, method!);
    }

    private void Check(bool isSo, string fault)
    {
        if (!isSo)
        {
            _faults.Enqueue(fault);
        }
    }

    private void Answer(UpstreamExchange exchange, string method)
    {
        var caching = $"\"resultType\":\"complete\",{(TtlMs is { } ttl ? $"\"ttlMs\":{ttl}," : "")}\"cacheScope\":\"{CacheScope}\"";
        switch (method)
        {
            case "server/discover":
                exchange.Result($$$"""{{{{caching}}},"supportedVersions":["2026-07-28"],"capabilities":{{{Capabilities}}},"instructions":"Be brief.","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"stateless","version":"7"} } }""");
                return;
            case "tools/list":
                exchange.Result($$"""{{{caching}},"tools":{{Tools}}}""");
                return;
            case "prompts/list":
                exchange.Result($$"""{{{caching}},"prompts":[]}""");
                return;
            case "resources/list":
                exchange.Result($$$"""{{{{caching}}},"resources":[{"uri":"test://{{{Fake.Name}}}/a","name":"a"}]}""");
                return;
            case "resources/templates/list":
                exchange.Result($$"""{{{caching}},"resourceTemplates":[]}""");
                return;
            case "subscriptions/listen":
                _listens.Writer.TryWrite(exchange);
                return;
            case "tools/call" when (string?)exchange.Message!["params"]!["name"] == "echo":
                exchange.Text(exchange.Message["params"]?["arguments"]?["text"]?.ToJsonString() ?? "nothing");
                return;
            case "tools/call" or "resources/read" or "prompts/get":
                _held.Writer.TryWrite(exchange);
                return;
            default:
                exchange.Refuse(HttpStatusCode.NotFound, -32601, "Method not found");
                return;
        }
    }
}

/// <summary>What servers without sessions say.</summary>
internal static class StatelessAnswers
{
    public static void Refuse(this UpstreamExchange exchange, HttpStatusCode status, int code, string message, string? data = null) =>
        exchange.Status(status, $$"""{"jsonrpc":"2.0","id":{{exchange.Message?["id"]?.ToJsonString() ?? "null"}},"error":{"code":{{code}},"message":"{{message}}"{{(data is null ? "" : ",\"data\":" + data)}} } }""");

    /// <summary>A result that asks for more.</summary>
    public static void AsksFor(this UpstreamExchange exchange, string inputRequests, string? state = null) =>
        exchange.Result($$"""{"resultType":"input_required","inputRequests":{{inputRequests}}{{(state is null ? "" : $",\"requestState\":{state}")}}}""");

    /// <summary>Acknowledges what a request listens for; all of it, or <paramref name="honoured"/>.</summary>
    public static Task AcknowledgeAsync(this UpstreamExchange listen, string? honoured = null) =>
        listen.SendAsync($$$"""{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":{{{listen.Id}}} },"notifications":{{{honoured ?? listen.Message!["params"]!["notifications"]!.ToJsonString()}}} } }""");

    /// <summary>Tells of a change.</summary>
    public static Task TellAsync(this UpstreamExchange listen, string method, string? uri = null) =>
        listen.SendAsync($$$"""{"jsonrpc":"2.0","method":"{{{method}}}","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":{{{listen.Id}}} }{{{(uri is null ? "" : $",\"uri\":\"{uri}\"")}}} } }""");

    /// <summary>Ends a subscription in order.</summary>
    public static Task CompleteAsync(this UpstreamExchange listen) =>
        listen.SendAsync($$$"""{"jsonrpc":"2.0","id":{{{listen.Id}}},"result":{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":{{{listen.Id}}} } } }""");

    public static JsonNode? Meta(this UpstreamExchange exchange, string key) => exchange.Message!["params"]!["_meta"]!["io.modelcontextprotocol/" + key];
}
