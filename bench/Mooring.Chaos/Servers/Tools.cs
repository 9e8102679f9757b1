using System.Text.Json.Nodes;

namespace Mooring.Chaos.Servers;

/// <summary>
/// What both servers can do. <c>fast</c> answers at once, <c>slow</c> after some seconds with progress each second, <c>quiet</c> after some
/// seconds without a word, <c>announce</c> sends numbered notifications outside of the call and then answers. None is declared safe to repeat.
/// </summary>
internal static class Tools
{
    public static readonly string[] Names = ["fast", "slow", "quiet", "announce"];

    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);

    /// <summary>The answers that are the same for every call.</summary>
    public static JsonObject Result(string method, JsonObject message) => method switch
    {
        "initialize" => new JsonObject
        {
            ["protocolVersion"] = message["params"]!["protocolVersion"]!.DeepClone(),
            ["capabilities"] = new JsonObject { ["tools"] = new JsonObject(), ["logging"] = new JsonObject() },
            ["serverInfo"] = new JsonObject { ["name"] = "counting", ["version"] = "1" },
        },
        "tools/list" => new JsonObject
        {
            ["tools"] = new JsonArray([.. Names.Select(name => new JsonObject
            {
                ["name"] = name,
                ["inputSchema"] = new JsonObject { ["type"] = "object" },
                ["annotations"] = new JsonObject { ["readOnlyHint"] = false, ["destructiveHint"] = true, ["idempotentHint"] = false },
            })]),
        },
        "tools/call" => new JsonObject
        {
            ["content"] = new JsonArray(new JsonObject { ["type"] = "text", ["text"] = Argument(message, "key")!.DeepClone() }),
        },
        _ => [],
    };

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
            case "quiet":
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

    private static JsonObject Notification(string method, JsonObject parameters) =>
        new() { ["jsonrpc"] = "2.0", ["method"] = method, ["params"] = parameters };
}
