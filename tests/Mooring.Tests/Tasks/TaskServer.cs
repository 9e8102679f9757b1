using System.Text.Json.Nodes;
using Xunit;

namespace Mooring.Tests.Tasks;

/// <summary>A server of the extension: every call is a task there, always the same one.</summary>
internal sealed class TaskServer
{
    public const string Id = "theirs";

    private readonly StatelessUpstream _server;

    public TaskServer(string name = "one")
    {
        Fake = new FakeUpstream(name);
        _server = StatelessUpstream.At(Fake);
        _server.Capabilities = """{"tools":{"listChanged":true},"resources":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}""";
        _server.Intercept = Handle;
    }

    public FakeUpstream Fake { get; }

    /// <summary>Its list of tools, a JSON array.</summary>
    public string Tools { set => _server.Tools = value; }

    /// <summary>What it declares, raw JSON.</summary>
    public string Capabilities { set => _server.Capabilities = value; }

    /// <summary>The result of calls that it does not make tasks of; null: it makes tasks of all.</summary>
    public string? Answer { get; set; }

    public IReadOnlyList<string> Faults => _server.Faults;

    /// <summary>What it says of its task besides the id; null: it knows none.</summary>
    public string? State { get; set; } = """{"status":"working"}""";

    public bool IsAway { get; set; }

    /// <summary>The method whose requests it takes and never answers; null: none.</summary>
    public string? Hangs { get; set; }

    public List<UpstreamExchange> Hanging { get; } = [];

    public IReadOnlyList<UpstreamExchange> Asked(string method) => [.. Fake.Requests.Where(r => (string?)r.Message?["method"] == method)];

    private bool Handle(UpstreamExchange exchange)
    {
        if (IsAway)
        {
            exchange.Fail(HttpRequestError.ConnectionError);
            return true;
        }

        var method = (string?)exchange.Message?["method"];
        var extensions = exchange.Message?["params"]?["_meta"]?["io.modelcontextprotocol/clientCapabilities"]?["extensions"];
        if (method == "tools/call" || method?.StartsWith("tasks/", StringComparison.Ordinal) == true)
        {
            Assert.NotNull(extensions?["io.modelcontextprotocol/tasks"]);
        }

        switch (method)
        {
            case { } hangs when hangs == Hangs:
                Hanging.Add(exchange);
                return true;
            case "tools/call" when Answer is { } answer:
                exchange.Result(answer);
                return true;
            case "tools/call":
                exchange.Result(With("task", """{"status":"working"}"""));
                return true;
            case "tasks/get" when State is null:
                exchange.Error(-32602, "no such task");
                return true;
            case "tasks/get":
                exchange.Result(With("complete", State));
                return true;
            case "tasks/update" or "tasks/cancel":
                exchange.Result("""{"resultType":"complete"}""");
                return true;
            default:
                return false;
        }
    }

    private static string With(string type, string state)
    {
        var task = JsonNode.Parse(state)!.AsObject();
        foreach (var (key, value) in new JsonObject { ["resultType"] = type, ["taskId"] = Id, ["createdAt"] = "2026-01-01T00:00:00Z", ["lastUpdatedAt"] = "2026-01-01T00:00:00Z", ["ttlMs"] = null, ["pollIntervalMs"] = 200 })
        {
            task[key] = value?.DeepClone();
        }

        return task.ToJsonString();
    }
}
