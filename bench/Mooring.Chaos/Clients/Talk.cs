using System.Globalization;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mooring.Chaos.Servers;

namespace Mooring.Chaos.Clients;

/// <summary>What strict clients of all versions have in common: how long they wait, and how they read what comes.</summary>
internal static class Talk
{
    /// <summary>Longer than any head takes: answers are committed within the gateway's grace, streams at once.</summary>
    public static readonly TimeSpan HeadLimit = TimeSpan.FromSeconds(10);
    public static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(300);

    /// <summary>Whether a list has all tools, and no others.</summary>
    public static bool HasTools(JsonObject answer) =>
        answer["result"]?["tools"] is JsonArray tools && tools.Select(tool => (string?)tool!["name"]).Order(StringComparer.Ordinal).SequenceEqual(Tools.Names.Order(StringComparer.Ordinal));

    /// <summary>The one answer of a response that may be JSON or a stream; null if it broke off.</summary>
    public static async Task<JsonObject?> AnswerOfAsync(HttpResponseMessage response, int id, CancellationToken end)
    {
        if (response.Content.Headers.ContentType?.MediaType != "text/event-stream")
        {
            return response.Content.Headers.ContentType?.MediaType == "application/json"
                ? await JsonOfAsync(response, end)
                : null;
        }

        using var reader = await EventReader.OfAsync(response);
        while (await reader.NextAsync(end) is { } block)
        {
            if (block.Message is { } message && IsAnswer(message, id))
            {
                return message;
            }
        }

        return null;
    }

    /// <summary>A body of JSON, whatever its status; null where it is no object.</summary>
    public static async Task<JsonObject?> JsonOfAsync(HttpResponseMessage response, CancellationToken end) =>
        JsonNode.Parse(await response.Content.ReadAsStringAsync(end).WaitAsync(HeadLimit, end)) as JsonObject;

    public static bool IsAnswer(JsonObject message, int id) => message["method"] is null && (int?)message["id"] == id;

    public static JsonObject Request(int id, string method, JsonObject? parameters)
    {
        var request = new JsonObject { ["jsonrpc"] = "2.0", ["id"] = id, ["method"] = method };
        if (parameters is not null)
        {
            request["params"] = parameters;
        }

        return request;
    }

    /// <summary>Sends a request and waits for the head of its response.</summary>
    public static async Task<HttpResponseMessage> AskAsync(this HttpClient http, HttpRequestMessage request, CancellationToken end)
    {
        using (request)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(end);
            limit.CancelAfter(HeadLimit);
            return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
        }
    }

    /// <summary>The connection failed, or nothing came for as long as anybody waits. The end of the round looks the same and is found out next.</summary>
    public static bool IsTransport(Exception e) => e is HttpRequestException or IOException or TimeoutException or OperationCanceledException or JsonException;

    /// <summary>Nobody listened: what was to be sent was not.</summary>
    public static bool WasNotSent(Exception e) => e is HttpRequestException { InnerException: SocketException { SocketErrorCode: SocketError.ConnectionRefused } };

    /// <summary>How long a refusal asks to wait; a second where it does not say.</summary>
    public static TimeSpan Later(HttpResponseMessage response) =>
        response.Headers.TryGetValues("Retry-After", out var values) && int.TryParse(values.First(), NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
            ? TimeSpan.FromSeconds(Math.Clamp(seconds, 0, 5))
            : TimeSpan.FromSeconds(1);
}
