using System.Buffers;
using System.Buffers.Text;
using System.Text.Json;

namespace Mooring.Protocol;

/// <summary>Messages of the gateway's own making, as bytes.</summary>
internal static class JsonRpc
{
    public const int MethodNotFound = -32601;
    public const int InvalidParams = -32602;
    public const int InternalError = -32603;

    /// <summary>A header does not say what the body says (2026-07-28, basic/transports/streamable-http, "Server Validation").</summary>
    public const int HeaderMismatch = -32020;

    /// <summary>The client did not declare what answering it takes (2026-07-28, basic/index, "_meta").</summary>
    public const int MissingCapability = -32021;

    /// <summary>2026-07-28, basic/versioning, "Protocol Version Negotiation".</summary>
    public const int UnsupportedVersion = -32022;

    /// <summary>A server wants a page visited first (2025-11-25 only, client/elicitation, "URL Elicitation Required Error").</summary>
    public const int UrlElicitationRequired = -32042;

    /// <summary>Server errors of no fixed meaning (JSON-RPC 2.0, section 5.1); what the transport itself has to say.</summary>
    public const int ServerError = -32000;

    /// <summary>Resource not found (2025-11-25, server/resources, "Error Handling").</summary>
    public const int ResourceNotFound = -32002;

    public static byte[] Result(ReadOnlySpan<byte> id, ReadOnlySpan<byte> result) =>
        [.. "{\"jsonrpc\":\"2.0\",\"id\":"u8, .. id, .. ",\"result\":"u8, .. result, (byte)'}'];

    /// <summary>An error response; an empty id is written as null, as JSON-RPC asks where the request could not be read.</summary>
    public static byte[] Error(ReadOnlySpan<byte> id, int code, string message, byte[]? data = null)
    {
        var buffer = new ArrayBufferWriter<byte>(128 + message.Length);
        using var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        json.WriteStartObject();
        json.WriteString("jsonrpc"u8, "2.0"u8);
        json.WritePropertyName("id"u8);
        json.WriteRawValue(id.IsEmpty ? "null"u8 : id, skipInputValidation: true);
        json.WriteStartObject("error"u8);
        json.WriteNumber("code"u8, code);
        json.WriteString("message"u8, message);
        if (data is not null)
        {
            json.WritePropertyName("data"u8);
            json.WriteRawValue(data, skipInputValidation: true);
        }

        json.WriteEndObject();
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    public static byte[] Notification(string method, ReadOnlySpan<byte> parameters = default) => parameters.IsEmpty
        ? [.. "{\"jsonrpc\":\"2.0\",\"method\":"u8, .. JsonText.Quote(method), (byte)'}']
        : [.. "{\"jsonrpc\":\"2.0\",\"method\":"u8, .. JsonText.Quote(method), .. ",\"params\":"u8, .. parameters, (byte)'}'];

    public static byte[] Request(long id, string method, ReadOnlySpan<byte> parameters = default)
    {
        Span<byte> digits = stackalloc byte[20];
        Utf8Formatter.TryFormat(id, digits, out var length);
        return parameters.IsEmpty
            ? [.. "{\"jsonrpc\":\"2.0\",\"id\":"u8, .. digits[..length], .. ",\"method\":"u8, .. JsonText.Quote(method), (byte)'}']
            : [.. "{\"jsonrpc\":\"2.0\",\"id\":"u8, .. digits[..length], .. ",\"method\":"u8, .. JsonText.Quote(method), .. ",\"params\":"u8, .. parameters, (byte)'}'];
    }

    /// <summary>The notification that a request of ours is no longer wanted.</summary>
    public static byte[] Cancelled(ReadOnlySpan<byte> requestId, string reason) =>
        Notification("notifications/cancelled", [.. "{\"requestId\":"u8, .. requestId, .. ",\"reason\":"u8, .. JsonText.Quote(reason), (byte)'}']);

    /// <summary>Reads an id the gateway minted: a JSON integer.</summary>
    public static bool TryReadId(ReadOnlySpan<byte> token, out long id) =>
        Utf8Parser.TryParse(token, out id, out var used) && used == token.Length;
}
