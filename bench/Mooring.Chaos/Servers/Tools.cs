using System.Text.Json.Nodes;

namespace Mooring.Chaos.Servers;

/// <summary>
/// What all servers can do. <c>fast</c> answers at once, <c>slow</c> after some seconds with progress each second, <c>quiet</c> after some
/// seconds without a word, <c>announce</c> sends numbered notifications outside of the call and then answers,
/// <c>ask</c> puts a question to its client first, <c>change</c> makes the list of tools another one, <c>errand</c> takes some seconds, as a task of the
/// server's own where the server has tasks and its client takes them. None is declared safe to repeat.
/// </summary>
internal static class Tools
{
    public static readonly string[] Names = ["fast", "slow", "quiet", "announce", "ask", "change", Errands.Tool];

    private const string Generation = "generation";
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);

    /// <summary>How often the list of tools has changed; higher after each start of a process than ever before it.</summary>
    private static long s_generation = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();

    /// <summary>The answers that are the same for every call.</summary>
    public static JsonObject Result(string method, JsonObject message) => method switch
    {
        "initialize" => new JsonObject
        {
            ["protocolVersion"] = message["params"]!["protocolVersion"]!.DeepClone(),
            ["capabilities"] = Capabilities(),
            ["serverInfo"] = new JsonObject { ["name"] = "counting", ["version"] = "1" },
        },
        "server/discover" => new JsonObject
        {
            ["supportedVersions"] = new JsonArray("2026-07-28"),
            ["capabilities"] = Capabilities(),
            ["serverInfo"] = new JsonObject { ["name"] = "counting", ["version"] = "1" },
        },
        "tools/list" => new JsonObject
        {
            ["tools"] = new JsonArray([.. Names.Select(name => new JsonObject
            {
                ["name"] = name,
                ["description"] = name == "change" ? $"{Generation} {Interlocked.Read(ref s_generation)}" : name,
                ["inputSchema"] = new JsonObject { ["type"] = "object" },
                ["annotations"] = new JsonObject { ["readOnlyHint"] = false, ["destructiveHint"] = true, ["idempotentHint"] = false },
            })]),
        },
        "tools/call" => new JsonObject
        {
            ["content"] = new JsonArray(new JsonObject { ["type"] = "text", ["text"] = Argument(message, "key")!.DeepClone() }),
            ["_meta"] = (string?)message["params"]!["name"] == "change" ? new JsonObject { [Generation] = Interlocked.Read(ref s_generation) } : new JsonObject(),
        },
        _ => [],
    };

    /// <summary>What has to be asked before an <c>ask</c> is executed.</summary>
    public static JsonObject Question => new()
    {
        ["method"] = "elicitation/create",
        ["params"] = new JsonObject
        {
            ["message"] = "Shall it be done?",
            ["requestedSchema"] = new JsonObject
            {
                ["type"] = "object",
                ["properties"] = new JsonObject { ["sure"] = new JsonObject { ["type"] = "boolean" } },
            },
        },
    };

    public static JsonObject Changed => Notification("notifications/tools/list_changed", []);

    /// <summary>Of a list of tools, or of the answer to <c>change</c>; 0 where it says none.</summary>
    public static long GenerationOf(JsonNode? result) =>
        (long?)result?["_meta"]?[Generation]
        ?? (result?["tools"] is JsonArray tools && tools.Select(tool => (string?)tool!["description"]).FirstOrDefault(text => text?.StartsWith(Generation, StringComparison.Ordinal) == true) is { } said
            ? long.Parse(said.AsSpan(Generation.Length))
            : 0);

    /// <summary>Whether the answer to a question lets it be done.</summary>
    public static bool Agrees(JsonNode? answer) => (string?)answer?["action"] == "accept" && (bool?)answer["content"]?["sure"] == true;

    /// <summary>The answer to an <c>ask</c> whose client did not agree, which then was not executed.</summary>
    public static JsonObject Declined() => new() { ["isError"] = true, ["content"] = new JsonArray(new JsonObject { ["type"] = "text", ["text"] = "declined" }) };

    public static JsonNode? Argument(JsonObject message, string name) => message["params"]!["arguments"]?[name];

    /// <summary>Executes a call: writes it down, says on the way what is to be said, and returns when it may be answered.</summary>
    /// <param name="message">The call.</param>
    /// <param name="ledger">Where it is written down.</param>
    /// <param name="related">Sends a message that belongs to the call.</param>
    /// <param name="unrelated">Sends a message that belongs to the session.</param>
    /// <param name="cancel">The caller has gone.</param>
    public static async Task ExecuteAsync(
        JsonObject message, Ledger ledger, Func<JsonObject, Task> related, Func<JsonObject, Task> unrelated, CancellationToken cancel)
    {
        ledger.Executed((string)Argument(message, "key")!);
        var seconds = (int?)Argument(message, "seconds") ?? 0;
        switch ((string?)message["params"]!["name"])
        {
            case "slow":
                for (var second = 1; second <= seconds; second++)
                {
                    await Task.Delay(Beat, cancel);
                    if (message["params"]!["_meta"]?["progressToken"] is { } token)
                    {
                        await related(Notification("notifications/progress", new JsonObject
                        {
                            ["progressToken"] = token.DeepClone(),
                            ["progress"] = second,
                            ["total"] = seconds,
                        }));
                    }
                }

                break;
            case "change":
                Interlocked.Increment(ref s_generation);
                break;
            case "quiet" or Errands.Tool:
                await Task.Delay(seconds * Beat, cancel);
                break;
            case "announce":
                var (first, count, size) = ((int)Argument(message, "first")!, (int)Argument(message, "count")!, (int?)Argument(message, "size") ?? 0);
                for (var number = first; number < first + count; number++)
                {
                    await unrelated(Notification("notifications/message", new JsonObject
                    {
                        ["level"] = "info",
                        ["data"] = new JsonObject { ["number"] = number, ["pad"] = new string('x', size) },
                    }));
                }

                break;
        }
    }

    public static string Answer(JsonObject message, JsonObject result) =>
        new JsonObject { ["jsonrpc"] = "2.0", ["id"] = message["id"]!.DeepClone(), ["result"] = result }.ToJsonString();

    public static string Refusal(JsonObject message, int code, string why) => new JsonObject
    {
        ["jsonrpc"] = "2.0",
        ["id"] = message["id"]!.DeepClone(),
        ["error"] = new JsonObject { ["code"] = code, ["message"] = why },
    }.ToJsonString();

    private static JsonObject Capabilities() => new() { ["tools"] = new JsonObject { ["listChanged"] = true }, ["logging"] = new JsonObject() };

    public static JsonObject Notification(string method, JsonObject parameters) =>
        new() { ["jsonrpc"] = "2.0", ["method"] = method, ["params"] = parameters };
}
