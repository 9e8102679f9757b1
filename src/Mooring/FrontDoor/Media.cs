using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace Mooring.FrontDoor;

/// <summary>What a client can read of an answer (RFC 9110, 12.5.1).</summary>
[Flags]
internal enum Accepts
{
    None = 0,
    Json = 1,
    EventStream = 2,
}

/// <summary>What a request's headers say of bodies: the one it has, and those its client can read.</summary>
internal static class Media
{
    /// <summary>Why the body cannot be read, as its sender describes it: it has to be JSON in UTF-8, and not encoded once more. Null when it can.</summary>
    public static string? Refusal(HttpRequest request) =>
        !IsJson(request.ContentType) ? "Content-Type must be application/json, in UTF-8."
        : request.Headers.ContentEncoding is { Count: > 0 } encoding && encoding != "identity" ? $"Content-Encoding {encoding} is not read here; send the JSON as it is."
        : null;

    /// <summary>What the client can read; everything where it does not say.</summary>
    public static Accepts AcceptsOf(HttpRequest request)
    {
        var accept = request.Headers.Accept;
        if (accept.Count == 0)
        {
            return Accepts.Json | Accepts.EventStream;
        }

        var found = Accepts.None;
        foreach (var value in accept)
        {
            if (value is null)
            {
                continue;
            }

            // What the official clients send.
            if (value is "application/json, text/event-stream" || value.Contains("*/*", StringComparison.Ordinal))
            {
                return Accepts.Json | Accepts.EventStream;
            }

            found |= value.Contains("application/json", StringComparison.OrdinalIgnoreCase) || value.Contains("application/*", StringComparison.OrdinalIgnoreCase) ? Accepts.Json : Accepts.None;
            found |= value.Contains("text/event-stream", StringComparison.OrdinalIgnoreCase) || value.Contains("text/*", StringComparison.OrdinalIgnoreCase) ? Accepts.EventStream : Accepts.None;
        }

        return found;
    }

    private static bool IsJson(string? contentType) =>
        // What nearly everybody sends needs no parsing.
        string.Equals(contentType, "application/json", StringComparison.OrdinalIgnoreCase)
        || (MediaTypeHeaderValue.TryParse(contentType, out var type)
        && type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase)
        && (!type.Charset.HasValue || type.Charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase) || type.Charset.Equals("\"utf-8\"", StringComparison.OrdinalIgnoreCase)));
}
