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

    private const string Json = "application/json";

    private const string EventStream = "text/event-stream";

    /// <summary>What the client can read; everything where it does not say. Weights count only where they are 0: which of both is sent is the gateway's choice.</summary>
    public static Accepts AcceptsOf(HttpRequest request)
    {
        var accept = request.Headers.Accept;
        if (accept.Count == 0)
        {
            return Accepts.Json | Accepts.EventStream;
        }

        if (accept.ToString().Contains("q=", StringComparison.OrdinalIgnoreCase) && MediaTypeHeaderValue.TryParseList(accept, out var ranges))
        {
            return (Takes(ranges, Json) ? Accepts.Json : Accepts.None) | (Takes(ranges, EventStream) ? Accepts.EventStream : Accepts.None);
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

            found |= value.Contains(Json, StringComparison.OrdinalIgnoreCase) || value.Contains("application/*", StringComparison.OrdinalIgnoreCase) ? Accepts.Json : Accepts.None;
            found |= value.Contains(EventStream, StringComparison.OrdinalIgnoreCase) || value.Contains("text/*", StringComparison.OrdinalIgnoreCase) ? Accepts.EventStream : Accepts.None;
        }

        return found;
    }

    /// <summary>Whether a client takes a type: of the ranges that hold it the narrowest says so (RFC 9110, 12.5.1), and one of weight 0 says no (12.4.2).</summary>
    private static bool Takes(IEnumerable<MediaTypeHeaderValue> ranges, string type) =>
        ranges.Where(range => range.MatchesMediaType(type))
            .GroupBy(range => range.MatchesAllTypes ? 2 : range.MatchesAllSubTypes ? 1 : 0)
            .MinBy(group => group.Key)?.Any(range => range.Quality is not 0) == true;

    private static bool IsJson(string? contentType) =>
        // What nearly everybody sends needs no parsing.
        string.Equals(contentType, Json, StringComparison.OrdinalIgnoreCase)
        || (MediaTypeHeaderValue.TryParse(contentType, out var type)
        && type.MediaType.Equals(Json, StringComparison.OrdinalIgnoreCase)
        && (!type.Charset.HasValue || type.Charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase) || type.Charset.Equals("\"utf-8\"", StringComparison.OrdinalIgnoreCase)));
}
