using System.Buffers;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Mooring.Streams;

/// <summary>Server-sent events on the wire (WHATWG HTML, "Server-sent events").</summary>
internal static class SseFormat
{
    /// <summary>A comment: the smallest thing that is a byte on the path and nothing to a client.</summary>
    public static ReadOnlySpan<byte> Comment => ":\n\n"u8;

    private static ReadOnlySpan<byte> MessageHead => "event: message\ndata: "u8;

    private static ReadOnlySpan<byte> MessageEnd => "\n\n"u8;

    /// <summary>Sets the headers of every event stream.</summary>
    public static void WriteHeaders(HttpResponse response)
    {
        response.ContentType = "text/event-stream";
        // no-transform: compression on the path would hold events back (RFC 9111, 5.2.2.6).
        response.Headers.CacheControl = IsBrowser(response.HttpContext.Request) ? "no-cache, no-store, no-transform" : "no-cache, no-transform";
        response.Headers["X-Accel-Buffering"] = "no";
    }

    /// <summary>Writes one event around a message that stands on one line.</summary>
    public static void WriteMessage(IBufferWriter<byte> writer, string? id, ReadOnlySpan<byte> line)
    {
        if (id is not null)
        {
            WriteId(writer, id);
        }

        writer.Write(MessageHead);
        writer.Write(line);
        writer.Write(MessageEnd);
    }

    /// <summary>Bytes of an event without an id around a message of so many.</summary>
    public static int LengthOf(int message) => MessageHead.Length + message + MessageEnd.Length;

    /// <summary>
    /// An event without an id around a message that is yet to be written: where that goes, on one line. Whoever has written it advances the writer by
    /// <see cref="LengthOf"/>.
    /// </summary>
    public static Span<byte> RoomForMessage(IBufferWriter<byte> writer, int message)
    {
        var whole = writer.GetSpan(LengthOf(message))[..LengthOf(message)];
        MessageHead.CopyTo(whole);
        MessageEnd.CopyTo(whole[^MessageEnd.Length..]);
        return whole[MessageHead.Length..^MessageEnd.Length];
    }

    /// <summary>An event with an id and empty data (2025-11-25, basic/transports, "Sending Messages to the Server"): the client can resume from before the first message.</summary>
    public static void WritePrimer(IBufferWriter<byte> writer, string id)
    {
        WriteId(writer, id);
        writer.Write("data:\n\n"u8);
    }

    /// <summary>Tells how long to wait before reconnecting. Without data it dispatches nothing.</summary>
    public static void WriteRetry(IBufferWriter<byte> writer, TimeSpan retry)
    {
        writer.Write("retry: "u8);
        writer.Write(Encoding.ASCII.GetBytes(((long)retry.TotalMilliseconds).ToString()));
        writer.Write("\n\n"u8);
    }

    /// <summary>A browser that stores a stream repeats a DELETE to the same address once the first one is answered: it is told not to.</summary>
    private static bool IsBrowser(HttpRequest request) => request.Headers.Origin.Count > 0 || request.Headers.ContainsKey("Sec-Fetch-Mode");

    private static void WriteId(IBufferWriter<byte> writer, string id)
    {
        writer.Write("id: "u8);
        Encoding.UTF8.GetBytes(id, writer);
        writer.Write("\n"u8);
    }
}
