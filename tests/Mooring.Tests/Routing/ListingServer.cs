using System.Collections.Concurrent;
using System.Text.Json.Nodes;

namespace Mooring.Tests.Routing;

/// <summary>
/// A fake server whose lists the test writes. It says in each answer who it is and what it was asked, so that a test sees where a
/// request went and under which name.
/// </summary>
internal sealed class ListingServer
{
    private readonly ConcurrentDictionary<string, UpstreamExchange> _streams = new(StringComparer.Ordinal);

    public ListingServer(string name, string[]? tools = null)
    {
        Name = name;
        Tools = tools ?? ["""{"name":"x","inputSchema":{"type":"object"}}"""];
        Fake = new FakeUpstream(name) { Intercept = Intercept, HasGetStream = true };
    }

    public string Name { get; }

    public FakeUpstream Fake { get; }

    /// <summary>Items as the server writes them.</summary>
    public IReadOnlyList<string> Tools { get; set; }

    public IReadOnlyList<string> Prompts { get; set; } = [];

    public IReadOnlyList<string> Resources { get; set; } = [];

    public IReadOnlyList<string> Templates { get; set; } = [];

    /// <summary>Servers with instructions have no session ids here.</summary>
    public string? Instructions
    {
        get;
        set
        {
            field = value;
            Fake.HasSessions = value is null;
        }
    }

    /// <summary>The result of every tool call; null: who was called by which name.</summary>
    public string? CallResult { get; set; }

    /// <summary>Sees a request before the lists do; true: it has dealt with it.</summary>
    public Func<UpstreamExchange, bool>? Before { get; set; }

    public static string[] Named(params string[] names) => [.. names.Select(name => new JsonObject { ["name"] = name, ["inputSchema"] = new JsonObject() }.ToJsonString())];

    public static string[] Uris(params string[] uris) => [.. uris.Select(uri => new JsonObject { ["uri"] = uri, ["name"] = "r" }.ToJsonString())];

    public static string[] UriTemplates(params string[] uris) => [.. uris.Select(uri => new JsonObject { ["uriTemplate"] = uri, ["name"] = "r" }.ToJsonString())];

    /// <summary>The params of the requests of one method that came, as written.</summary>
    public IReadOnlyList<string> Params(string method) =>
        [.. Fake.Messages(method).Select(m => m["params"]?.ToJsonString(Relaxed) ?? "none")];

    /// <summary>Whole bodies of the requests of one method.</summary>
    public IReadOnlyList<UpstreamExchange> Exchanges(string method) => [.. Fake.Requests.Where(e => (string?)e.Message?["method"] == method)];

    /// <summary>The stream on which the server talks of its own accord to one of its sessions.</summary>
    public async Task<UpstreamExchange> StreamAsync(string session)
    {
        while (true)
        {
            if (_streams.TryGetValue(session, out var stream))
            {
                return stream;
            }

            var next = await Fake.GetAsync();
            _streams[next.Session!] = next.Stream();
        }
    }

    /// <summary>The stream of the session that made the latest request of this method.</summary>
    public Task<UpstreamExchange> StreamOfLatestAsync(string method) => StreamAsync(Exchanges(method)[^1].Session!);

    private static readonly System.Text.Json.JsonSerializerOptions Relaxed = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private bool Intercept(UpstreamExchange exchange)
    {
        if (Before?.Invoke(exchange) == true)
        {
            return true;
        }

        var parameters = exchange.Message?["params"];
        switch ((string?)exchange.Message?["method"])
        {
            case "initialize" when Instructions is not null:
                exchange.Result($$"""{"protocolVersion":"2025-11-25","capabilities":{{Fake.Capabilities}},"serverInfo":{"name":"{{Name}}","version":"1"},"instructions":{{JsonValue.Create(Instructions)!.ToJsonString()}}}""");
                return true;
            case "tools/list":
                exchange.Result(List("tools", Tools));
                return true;
            case "prompts/list":
                exchange.Result(List("prompts", Prompts));
                return true;
            case "resources/list":
                exchange.Result(List("resources", Resources));
                return true;
            case "resources/templates/list":
                exchange.Result(List("resourceTemplates", Templates));
                return true;
            case "tools/call":
                exchange.Result(CallResult ?? $$"""{"content":[{"type":"text","text":"{{Name}}:{{parameters!["name"]}}"}]}""");
                return true;
            case "prompts/get":
                exchange.Result($$"""{"description":"{{Name}}:{{parameters!["name"]}}","messages":[]}""");
                return true;
            case "resources/read":
                exchange.Result($$"""{"contents":[{"uri":"{{parameters!["uri"]}}","text":"{{Name}}:{{parameters["uri"]}}"}]}""");
                return true;
            case "completion/complete":
                var reference = parameters!["ref"]!;
                exchange.Result($$$"""{"completion":{"values":["{{{Name}}}:{{{reference["name"] ?? reference["uri"]}}}"]}}""");
                return true;
            default:
                return false;
        }
    }

    private static string List(string key, IReadOnlyList<string> items) => $$"""{"{{key}}":[{{string.Join(',', items)}}]}""";
}

/// <summary>What tests of the merged route do again and again.</summary>
internal static class Asking
{
    public static async Task<JsonObject> AskAsync(this McpTestClient client, string method, string? parameters = null)
    {
        using var reply = await client.RequestAsync(method, parameters);
        return await reply.MessageAsync();
    }

    /// <summary>Names of a list, as shown.</summary>
    public static async Task<List<string>> ListAsync(this McpTestClient client, string what)
    {
        var answer = await client.AskAsync(what == "resourceTemplates" ? "resources/templates/list" : what + "/list");
        var key = what switch { "resources" => "uri", "resourceTemplates" => "uriTemplate", _ => "name" };
        return [.. answer["result"]![what]!.AsArray().Select(item => (string)item![key]!)];
    }

    /// <summary>Who answered, and what it was called there.</summary>
    public static async Task<string> CallTextAsync(this McpTestClient client, string tool) =>
        (string)(await client.ResultAsync(tool))["result"]!["content"]![0]!["text"]!;

    public static async Task<JsonNode> ReadAsync(this McpTestClient client, string uri) =>
        await client.AskAsync("resources/read", new JsonObject { ["uri"] = uri }.ToJsonString());

    public static async Task<GatewayFixture> GatewayAsync(FixtureOptions? options, params ListingServer[] servers) =>
        await GatewayFixture.StartAsync(options, [.. servers.Select(s => s.Fake)]);

    public static Task<McpTestClient> MergedAsync(this GatewayFixture gateway, string capabilities = "{}") =>
        gateway.ClientAsync(path: "/mcp", capabilities: capabilities);
}
