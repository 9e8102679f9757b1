using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;

namespace Mooring.Tests;

/// <summary>A client of 2026-07-28: every request says for itself who asks, and its headers repeat it. Single parts can be left out or falsified.</summary>
internal sealed class StatelessClient(HttpClient http, string path = "/servers/one/mcp", string? user = null, string capabilities = "{}")
{
    public const string Version = "2026-07-28";

    private int _lastId;

    /// <summary>The <c>_meta</c> of its requests; a test may change it for the next ones.</summary>
    public JsonObject Meta { get; set; } = new()
    {
        ["io.modelcontextprotocol/protocolVersion"] = Version,
        ["io.modelcontextprotocol/clientCapabilities"] = JsonNode.Parse(capabilities),
        ["io.modelcontextprotocol/clientInfo"] = new JsonObject { ["name"] = "test", ["version"] = "1" },
    };

    /// <summary>Sends a request with the headers that belong to it and returns when the head of the answer is there.</summary>
    /// <param name="method">The method.</param>
    /// <param name="parameters">Params without <c>_meta</c>, JSON.</param>
    /// <param name="id">The id, a JSON token; the next number where it is null.</param>
    /// <param name="meta">More of <c>_meta</c>, a JSON object.</param>
    /// <param name="cancel">Closes the request.</param>
    /// <param name="headers">Headers that differ; a null value leaves one out.</param>
    public Task<TestReply> RequestAsync(
        string method, string parameters = "{}", string? id = null, string? meta = null, CancellationToken cancel = default, params (string Name, string? Value)[] headers)
    {
        id ??= Interlocked.Increment(ref _lastId).ToString(CultureInfo.InvariantCulture);
        var all = JsonNode.Parse(parameters)!.AsObject();
        all["_meta"] = Meta.DeepClone();
        foreach (var (key, value) in meta is null ? [] : JsonNode.Parse(meta)!.AsObject())
        {
            all["_meta"]![key] = value?.DeepClone();
        }

        var name = method is "tools/call" or "prompts/get" ? all["name"] : method == "resources/read" ? all["uri"]
            : method.StartsWith("tasks/", StringComparison.Ordinal) ? all["taskId"]
            : null;
        var sent = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase)
        {
            ["MCP-Protocol-Version"] = Version,
            ["Mcp-Method"] = method,
            ["Mcp-Name"] = (string?)name,
        };
        foreach (var (header, value) in headers)
        {
            sent[header] = value;
        }

        return PostAsync($$"""{"jsonrpc":"2.0","id":{{id}},"method":"{{method}}","params":{{all.ToJsonString()}}}""", cancel, [.. sent.Select(h => (h.Key, h.Value))]);
    }

    /// <summary>Calls a tool.</summary>
    public Task<TestReply> CallAsync(string tool, string arguments = "{}", string? id = null, string? meta = null, string rest = "", CancellationToken cancel = default, params (string Name, string? Value)[] headers) =>
        RequestAsync("tools/call", $$"""{"name":"{{tool}}","arguments":{{arguments}}{{rest}}}""", id, meta, cancel, headers);

    /// <summary>Sends a request whose answer comes by itself, and returns the message.</summary>
    public async Task<JsonObject> ResultAsync(string method, string parameters = "{}")
    {
        using var reply = await RequestAsync(method, parameters);
        return await reply.MessageAsync();
    }

    /// <summary>Sends any body with exactly these headers.</summary>
    public async Task<TestReply> PostAsync(string body, CancellationToken cancel = default, params (string Name, string? Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        var accept = headers.FirstOrDefault(h => h.Name == "Accept");
        request.Headers.TryAddWithoutValidation("Accept", accept.Name is null ? "application/json, text/event-stream" : accept.Value);
        if (user is not null)
        {
            request.Headers.TryAddWithoutValidation("X-Test-User", user);
        }

        foreach (var (name, value) in headers.Where(h => h.Name != "Accept" && h.Value is not null))
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        return new TestReply(await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel));
    }

    /// <summary>Opens a <c>subscriptions/listen</c>; returns with its first message read.</summary>
    public async Task<(TestReply Reply, JsonObject Acknowledged)> ListenAsync(string notifications, string? id = null)
    {
        var reply = await Limit.Of(RequestAsync("subscriptions/listen", $$"""{"notifications":{{notifications}}}""", id), "the head of the stream");
        Xunit.Assert.Equal(HttpStatusCode.OK, reply.Status);
        return (reply, await reply.Events.MessageAsync());
    }
}
