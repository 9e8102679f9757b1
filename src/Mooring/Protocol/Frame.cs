using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Mooring.Protocol;

internal enum FrameKind : byte
{
    Request,
    Notification,
    Result,
    Error,
}

/// <summary>Where one JSON value stands in a frame's bytes; a string includes its quotes. Length 0: absent.</summary>
internal readonly record struct Slice(int Start, int Length)
{
    public bool IsPresent => Length > 0;

    public int End => Start + Length;

    /// <summary>The same place seen from an enclosing text.</summary>
    public Slice Offset(int by) => new(Start + by, Length);
}

/// <summary>What the envelope of a message says and where its parts lie. Values stay raw; nothing becomes an object.</summary>
internal struct Envelope
{
    public FrameKind Kind;
    public McpMethod Method;

    /// <summary>The id token as sent: a string with quotes, or an integer.</summary>
    public Slice Id;
    public Slice MethodText;
    public Slice Params;
    public Slice Result;
    public Slice Error;

    // Within params, where present:
    public Slice Name;
    public Slice Uri;
    public Slice Reference;
    public Slice Meta;
    public Slice ProgressToken;
    public Slice MetaProgressToken;
    public Slice RequestId;
    public Slice TaskId;
    public Slice Cursor;
    public Slice Level;
    public Slice ProtocolVersion;

    /// <summary><c>_meta</c> names a protocol version: only requests of the stateless era do.</summary>
    public bool IsStateless;

    /// <summary>A param differs from one of the protocol's names only in case.</summary>
    public bool HasAlmost;
}

/// <summary>
/// One JSON-RPC message: its raw UTF-8 bytes and an <see cref="Envelope"/> that says where its parts lie.
/// Owned by whoever holds it; <see cref="Dispose"/> gives the buffer back once, and a frame that is never disposed costs the pool one buffer, no more.
/// </summary>
internal sealed class Frame : IDisposable
{
    private readonly Envelope _envelope;
    private readonly int _offset;
    private readonly int _length;
    private readonly bool _pooled;
    private byte[] _buffer;
    private RequestMeta? _clientMeta;

    private Frame(byte[] buffer, int offset, int length, bool pooled, in Envelope envelope)
    {
        _buffer = buffer;
        _offset = offset;
        _length = length;
        _pooled = pooled;
        _envelope = envelope;
    }

    public FrameKind Kind => _envelope.Kind;

    public McpMethod Method => _envelope.Method;

    public ref readonly Envelope Envelope => ref _envelope;

    public ReadOnlySpan<byte> Bytes => new(_buffer, _offset, _length);

    public ReadOnlyMemory<byte> Memory => new(_buffer, _offset, _length);

    public ReadOnlySpan<byte> Id => Span(_envelope.Id);

    public string MethodName => Text(_envelope.MethodText);

    /// <summary>What it says of its client, found the first time that somebody asks: both ends of the way do, of requests of the version without sessions.</summary>
    public RequestMeta ClientMeta => _clientMeta ??= RequestMeta.Of(this);

    /// <summary>Takes over <paramref name="buffer"/>, whose bytes <paramref name="envelope"/> describes.</summary>
    public static Frame Own(byte[] buffer, int offset, int length, bool pooled, in Envelope envelope) =>
        new(buffer, offset, length, pooled, envelope);

    /// <summary>Reads a frame from bytes of the gateway's own making: of any depth, since what was taken as it came may stand deeper in them.</summary>
    public static Frame Parse(byte[] json)
    {
        var fault = FrameReader.Read(json, FrameLimits.None, out var envelope);
        return fault is null
            ? new Frame(json, 0, json.Length, pooled: false, envelope)
            : throw new InvalidOperationException($"Not a frame: {fault.Value.Message}");
    }

    public ReadOnlySpan<byte> Span(Slice slice) => Bytes.Slice(slice.Start, slice.Length);

    public ReadOnlyMemory<byte> Raw(Slice slice) => Memory.Slice(slice.Start, slice.Length);

    /// <summary>The unescaped text of a JSON string; empty where absent, the raw token for a number.</summary>
    public string Text(Slice slice) => JsonText.Read(Span(slice));

    /// <summary>Whether the value at <paramref name="slice"/> is the JSON string <paramref name="utf8"/>.</summary>
    public bool TextEquals(Slice slice, ReadOnlySpan<byte> utf8)
    {
        var raw = Span(slice);
        return raw.Length == utf8.Length + 2 && raw[0] == '"' && raw[1..^1].SequenceEqual(utf8);
    }

    public void Dispose()
    {
        if (_pooled && Interlocked.Exchange(ref _buffer, []) is { Length: > 0 } buffer)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    public override string ToString() => Encoding.UTF8.GetString(Bytes);
}

/// <summary>Text of raw JSON tokens.</summary>
internal static class JsonText
{
    /// <summary>The unescaped text of a string token; other tokens as they stand.</summary>
    public static string Read(ReadOnlySpan<byte> token)
    {
        if (token.Length < 2 || token[0] != '"')
        {
            return Encoding.UTF8.GetString(token);
        }

        if (token.IndexOf((byte)'\\') < 0)
        {
            return Encoding.UTF8.GetString(token[1..^1]);
        }

        var reader = new Utf8JsonReader(token);
        reader.Read();
        return Value(ref reader);
    }

    /// <summary>As <see cref="Read(ReadOnlySpan{byte})"/>, of a value that was parsed.</summary>
    public static string Read(JsonElement value) => Read(Encoding.UTF8.GetBytes(value.GetRawText()));

    /// <summary>The name of a member; one that is no text, having half of a surrogate pair, as the member stands: the same each time, and no other's.</summary>
    public static string Name(JsonProperty member)
    {
        try
        {
            return member.Name;
        }
        catch (InvalidOperationException)
        {
            return member.ToString();
        }
    }

    /// <summary>As <see cref="JsonElement.TryGetProperty(string, out JsonElement)"/>, which fails over names beside the one looked for that are no text. False also of what is no object.</summary>
    public static bool TryFind(JsonElement json, string name, out JsonElement value)
    {
        value = default;
        if (json.ValueKind != JsonValueKind.Object)
        {
            return false;
        }

        foreach (var member in json.EnumerateObject())
        {
            if (Name(member) == name)
            {
                // The last of several, as most readers have it.
                value = member.Value;
            }
        }

        return value.ValueKind != JsonValueKind.Undefined;
    }

    /// <summary>The text of the string the reader stands on; half of a surrogate pair, which JSON lets anyone escape alone, reads as U+FFFD.</summary>
    public static string Value(ref Utf8JsonReader reader)
    {
        try
        {
            return reader.GetString()!;
        }
        catch (InvalidOperationException)
        {
            return Unescape(Encoding.UTF8.GetString(reader.ValueSpan));
        }
    }

    /// <summary>Whether the property name the reader stands on is <paramref name="key"/>, however it is escaped; one that is no text at all is not.</summary>
    public static bool IsKey(ref Utf8JsonReader reader, ReadOnlySpan<byte> key)
    {
        if (!reader.ValueIsEscaped)
        {
            return reader.ValueSpan.SequenceEqual(key);
        }

        try
        {
            return reader.ValueTextEquals(key);
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>The token of a JSON string with this text.</summary>
    public static byte[] Quote(string text) => JsonSerializer.SerializeToUtf8Bytes(text, Relaxed);

    /// <param name="text">What stands between the quotes, checked to be JSON.</param>
    private static string Unescape(string text)
    {
        var units = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '\\')
            {
                units.Append(text[i]);
                continue;
            }

            i++;
            if (text[i] == 'u')
            {
                units.Append((char)ushort.Parse(text.AsSpan(i + 1, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
                i += 4;
            }
            else
            {
                units.Append(text[i] switch { 'n' => '\n', 't' => '\t', 'r' => '\r', 'b' => '\b', 'f' => '\f', var other => other });
            }
        }

        // Encoding and back turns every lone half into U+FFFD.
        return Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(units.ToString()));
    }

    private static readonly JsonSerializerOptions Relaxed = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
}
