using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Xunit;

namespace Mooring.EndToEndTests.Faults.Parts;

/// <summary>A client of 2026-07-28 that takes tasks, as plain HTTP. It keeps no connection in mind: each request may go to another gateway.</summary>
internal sealed class TaskTaker : IDisposable
{
    private const string Version = "2026-07-28";

    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(60) };
    private int _lastId;

    /// <summary>Calls a tool and returns its result, whatever it is.</summary>
    public Task<JsonObject> CallAsync(Uri url, string tool, string text) =>
        ResultAsync(url, "tools/call", tool, new JsonObject { ["name"] = tool, ["arguments"] = new JsonObject { ["text"] = text } });

    /// <summary>Calls a tool that takes long, and returns the id of its task.</summary>
    public async Task<string> TaskAsync(Uri url, string tool, string text)
    {
        var created = await CallAsync(url, tool, text);
        Assert.Equal("task", (string?)created["resultType"]);
        return (string)created["taskId"]!;
    }

    public Task<JsonObject> GetAsync(Uri url, string task) => ResultAsync(url, "tasks/get", task, new JsonObject { ["taskId"] = task });

    public Task<JsonObject> CancelAsync(Uri url, string task) => ResultAsync(url, "tasks/cancel", task, new JsonObject { ["taskId"] = task });

    /// <summary>Asks until the task is so.</summary>
    public async Task<JsonObject> UntilAsync(Uri url, string task, string status)
    {
        JsonObject seen = [];
        await Wait.UntilAsync(async () => (string?)(seen = await GetAsync(url, task))["status"] == status, () => $"the task is not {status}: {seen.ToJsonString()}");
        return seen;
    }

    public void Dispose() => _http.Dispose();

    private async Task<JsonObject> ResultAsync(Uri url, string method, string name, JsonObject parameters)
    {
        var id = Interlocked.Increment(ref _lastId);
        parameters["_meta"] = new JsonObject
        {
            ["io.modelcontextprotocol/protocolVersion"] = Version,
            ["io.modelcontextprotocol/clientInfo"] = new JsonObject { ["name"] = "taker", ["version"] = "1" },
            ["io.modelcontextprotocol/clientCapabilities"] = new JsonObject
            {
                ["elicitation"] = new JsonObject(),
                ["extensions"] = new JsonObject { ["io.modelcontextprotocol/tasks"] = new JsonObject() },
            },
        };
        var message = new JsonObject { ["jsonrpc"] = "2.0", ["id"] = id, ["method"] = method, ["params"] = parameters };
        using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new StringContent(message.ToJsonString(), Encoding.UTF8, "application/json") };
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
        request.Headers.Add("MCP-Protocol-Version", Version);
        request.Headers.Add("Mcp-Method", method);
        request.Headers.Add("Mcp-Name", name);
        using var response = await _http.SendAsync(request, TestContext.Current.CancellationToken);
        var body = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        var json = response.Content.Headers.ContentType?.MediaType == "text/event-stream"
            ? body.Split('\n').Where(line => line.StartsWith("data:", StringComparison.Ordinal)).Select(line => line[5..]).Last(line => line.Contains($"\"id\":{id.ToString(CultureInfo.InvariantCulture)}", StringComparison.Ordinal))
            : body;
        return JsonNode.Parse(json)!["result"]?.AsObject() ?? throw new InvalidOperationException($"{method}: {json}");
    }
}
