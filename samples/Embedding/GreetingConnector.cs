using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mooring.Upstreams;

namespace Embedding;

/// <summary>
/// An MCP server with one tool, inside the application. It reads a JSON-RPC message per line and answers with one, as a stdio server
/// does; the gateway sees to sessions, transports and versions.
/// </summary>
internal sealed class GreetingConnector : IConnector
{
    public const string ConnectorName = "greeting";

    public string Name => ConnectorName;

    public async Task ServeAsync(Stream input, Stream output, CancellationToken cancel)
    {
        using var lines = new StreamReader(input, Encoding.UTF8);
        while (await lines.ReadLineAsync(cancel) is { } line)
        {
            if (Answer(line) is { } answer)
            {
                await output.WriteAsync(Encoding.UTF8.GetBytes(answer.ToJsonString() + "\n"), cancel);
                await output.FlushAsync(cancel);
            }
        }
    }

    /// <summary>Null for what needs no answer: notifications, and lines that are no message.</summary>
    private static JsonObject? Answer(string line)
    {
        JsonNode? message;
        try
        {
            message = JsonNode.Parse(line);
        }
        catch (JsonException)
        {
            return null;
        }

        if (message is not JsonObject request || request["id"] is not { } id)
        {
            return null;
        }

        return (string?)request["method"] switch
        {
            "initialize" => Result(id, new JsonObject
            {
                ["protocolVersion"] = request["params"]?["protocolVersion"]?.DeepClone() ?? "2025-11-25",
                ["capabilities"] = new JsonObject { ["tools"] = new JsonObject() },
                ["serverInfo"] = new JsonObject { ["name"] = ConnectorName, ["version"] = "1.0.0" },
            }),
            "ping" => Result(id, new JsonObject()),
            "tools/list" => Result(id, new JsonObject { ["tools"] = new JsonArray(Tool()) }),
            "tools/call" => Call(id, request["params"]),
            _ => Error(id, -32601, "Method not found"),
        };
    }

    private static JsonObject Tool() => new()
    {
        ["name"] = "greet",
        ["description"] = "Greets somebody by name.",
        ["inputSchema"] = new JsonObject
        {
            ["type"] = "object",
            ["properties"] = new JsonObject { ["name"] = new JsonObject { ["type"] = "string" } },
            ["required"] = new JsonArray("name"),
        },
        // Calling it twice is the same as once, so the gateway may repeat it when an answer is lost.
        ["annotations"] = new JsonObject { ["readOnlyHint"] = true },
    };

    private static JsonObject Call(JsonNode id, JsonNode? parameters) =>
        (string?)parameters?["name"] == "greet" && parameters["arguments"]?["name"] is JsonValue name && name.TryGetValue<string>(out var text)
            ? Result(id, new JsonObject { ["content"] = new JsonArray(new JsonObject { ["type"] = "text", ["text"] = $"Hello, {text}!" }) })
            : Error(id, -32602, "There is one tool, greet, and it needs a name.");

    private static JsonObject Result(JsonNode id, JsonObject result) =>
        new() { ["jsonrpc"] = "2.0", ["id"] = id.DeepClone(), ["result"] = result };

    private static JsonObject Error(JsonNode id, int code, string message) =>
        new() { ["jsonrpc"] = "2.0", ["id"] = id.DeepClone(), ["error"] = new JsonObject { ["code"] = code, ["message"] = message } };
}
