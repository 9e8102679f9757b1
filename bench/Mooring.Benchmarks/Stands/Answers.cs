using System.Buffers.Text;
using System.Text;
using System.Text.Json;

namespace Mooring.Benchmarks.Stands;

/// <summary>What both fast upstreams (HTTP and stdio) say. Only the envelope of a request is read; answers are put together from bytes.</summary>
internal static class Answers
{
    private const string Schema = """{"type":"object","properties":{"text":{"type":"string"},"padding":{"type":"string"}},"required":["text"]}""";

    public static readonly byte[] Initialize = Encoding.UTF8.GetBytes(
        """{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench-upstream","version":"1.0.0"}}""");

    /// <summary>The answer to <c>server/discover</c>.</summary>
    public static readonly byte[] Discover = Encoding.UTF8.GetBytes(
        """{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"serverInfo":{"name":"bench-upstream","version":"1.0.0"}}""");

    public static readonly byte[] Tools = Encoding.UTF8.GetBytes(
        $$$"""
        {"tools":[{"name":"echo","description":"Answers with its text.","inputSchema":{{{Schema}}}},
        {"name":"echo_sse","description":"Answers with its text as one event.","inputSchema":{{{Schema}}}},
        {"name":"flood","description":"Sends 8 MB of log messages and ends without an answer.","inputSchema":{{{Schema}}}}]}
        """.ReplaceLineEndings(""));

    /// <summary>Reads method, id (its bytes as written) and tool of one JSON-RPC message.</summary>
    public static Envelope Read(ReadOnlySpan<byte> message)
    {
        var envelope = default(Envelope);
        var reader = new Utf8JsonReader(message);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("id"u8))
            {
                reader.Read();
                envelope.Id = message[(int)reader.TokenStartIndex..(int)reader.BytesConsumed];
            }
            else if (reader.ValueTextEquals("method"u8))
            {
                reader.Read();
                envelope.Method = reader.ValueSpan;
            }
            else
            {
                reader.Skip();
            }
        }

        return envelope;
    }

    /// <summary>The value of the first string member of this name, as written; enough for the benchmark's own requests.</summary>
    public static ReadOnlySpan<byte> Text(ReadOnlySpan<byte> message, ReadOnlySpan<byte> member)
    {
        var at = message.IndexOf(member);
        if (at < 0)
        {
            return default;
        }

        var rest = message[(at + member.Length)..];
        rest = rest[(rest.IndexOf((byte)'"') + 1)..];
        return rest[..rest.IndexOf((byte)'"')];
    }

    public static int Result(Span<byte> into, ReadOnlySpan<byte> id, ReadOnlySpan<byte> result)
    {
        var length = Put(into, 0, """{"jsonrpc":"2.0","id":"""u8);
        length = Put(into, length, id);
        length = Put(into, length, ""","result":"""u8);
        length = Put(into, length, result);
        return Put(into, length, "}"u8);
    }

    /// <param name="into">Where to.</param>
    /// <param name="id">Of the request, as it was written.</param>
    /// <param name="text">What it answers with.</param>
    /// <param name="isStateless">Whether a result says what kind it is, as 2026-07-28 has it.</param>
    public static int Echo(Span<byte> into, ReadOnlySpan<byte> id, ReadOnlySpan<byte> text, bool isStateless = false)
    {
        var length = Put(into, 0, """{"jsonrpc":"2.0","id":"""u8);
        length = Put(into, length, id);
        length = Put(into, length, ""","result":{"""u8);
        length = Put(into, length, isStateless ? "\"resultType\":\"complete\","u8 : default);
        length = Put(into, length, "\"content\":[{\"type\":\"text\",\"text\":\""u8);
        length = Put(into, length, text);
        return Put(into, length, "\"}]}}"u8);
    }

    public static int MethodNotFound(Span<byte> into, ReadOnlySpan<byte> id)
    {
        var length = Put(into, 0, """{"jsonrpc":"2.0","id":"""u8);
        length = Put(into, length, id);
        return Put(into, length, ""","error":{"code":-32601,"message":"Method not found"}}"""u8);
    }

    public static int Put(Span<byte> into, int at, ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(into[at..]);
        return at + bytes.Length;
    }

    public static int Put(Span<byte> into, int at, long number)
    {
        Utf8Formatter.TryFormat(number, into[at..], out var written);
        return at + written;
    }

    internal ref struct Envelope
    {
        public ReadOnlySpan<byte> Method;

        public ReadOnlySpan<byte> Id;
    }
}
