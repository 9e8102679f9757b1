using System.Buffers;
using System.Text.Json;
using System.Text.Unicode;

namespace Mooring.Protocol;

/// <summary>
/// Reads the envelope of a JSON-RPC message in one pass over its bytes. The whole text is checked to be JSON, UTF-8 and not too deep;
/// values are only located. Two keys of the same name in the envelope or among the fields the gateway routes by are refused, and so is one that
/// differs from such a name only in case, which many libraries read as that name: gateway and server could otherwise each believe another one.
/// </summary>
internal static partial class FrameReader
{
    public const int ParseError = -32700;
    public const int InvalidRequest = -32600;

    /// <summary>An id longer than this is refused; it is kept for as long as the call runs.</summary>
    private const int LongestId = 1024;

    /// <summary>Characters of a client's progress token, which each progress repeats: under a longer one nobody is told of any.</summary>
    private const int LongestProgressToken = 1024;

    /// <summary>A key longer than this is none of the gateway's, each of its letters escaped.</summary>
    private const int LongestKey = 6 * 16;

    private static readonly string[] EnvelopeKeys = ["jsonrpc", "id", "method", "params", "result", "error"];

    private static readonly SearchValues<byte> IntegerCharacters = SearchValues.Create("-0123456789"u8);

    /// <summary>Whether the first significant byte opens an array, which only a batch does.</summary>
    public static bool IsBatch(ReadOnlySpan<byte> json)
    {
        var start = json.IndexOfAnyExcept(" \t\r\n"u8);
        return start >= 0 && json[start] == '[';
    }

    /// <summary>Takes over <paramref name="buffer"/>. On failure it is left to the garbage collector: the fault's id lies in it.</summary>
    public static Frame? Take(byte[] buffer, int length, bool pooled, FrameLimits limits, out FrameFault? fault)
    {
        fault = Read(buffer.AsSpan(0, length), limits, out var envelope);
        return fault is null ? Frame.Own(buffer, 0, length, pooled, envelope) : null;
    }

    /// <summary>Splits a batch (2025-03-26) into its elements.</summary>
    /// <returns>Null when the text is no JSON array, is empty, or has more than <paramref name="limit"/> elements.</returns>
    public static List<Slice>? SplitBatch(ReadOnlySpan<byte> json, FrameLimits limits, int limit, out FrameFault? fault)
    {
        fault = null;
        var elements = new List<Slice>();
        try
        {
            var reader = new Utf8JsonReader(json, Options(limits, extra: 1));
            reader.Read();
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                var start = (int)reader.TokenStartIndex;
                reader.Skip();
                elements.Add(new Slice(start, (int)reader.BytesConsumed - start));
                if (elements.Count > limit)
                {
                    fault = new FrameFault(InvalidRequest, $"The batch has more than {limit} messages.");
                    return null;
                }
            }

            while (reader.Read())
            {
                // Only white space may follow; anything else throws.
            }
        }
        catch (JsonException e)
        {
            fault = new FrameFault(ParseError, "Not valid JSON: " + Where(e));
            return null;
        }

        if (elements.Count == 0)
        {
            fault = new FrameFault(InvalidRequest, "The batch is empty.");
            return null;
        }

        return elements;
    }

    /// <summary>Locates the parts of one message.</summary>
    /// <returns>Null when it is a message, else what is wrong.</returns>
    public static FrameFault? Read(ReadOnlySpan<byte> json, FrameLimits limits, out Envelope envelope) =>
        Check(json, limits, out envelope) is { } fault ? fault with { HasMethod = envelope.MethodText.IsPresent } : null;

    private static FrameFault? Check(ReadOnlySpan<byte> json, FrameLimits limits, out Envelope envelope)
    {
        envelope = default;
        if (!Utf8.IsValid(json))
        {
            return new FrameFault(ParseError, "The message is not valid UTF-8.", IdOfBroken(json, limits, ref envelope));
        }

        var reader = new Utf8JsonReader(json, Options(limits));
        try
        {
            return ReadMessage(ref reader, ref envelope, json);
        }
        catch (JsonException e)
        {
            return IsTooDeep(reader, json, limits)
                ? new FrameFault(InvalidRequest, $"The message is nested deeper than {limits.Depth} levels.", ValidId(json, envelope.Id) ? envelope.Id : default)
                : new FrameFault(ParseError, "Not valid JSON: " + Where(e));
        }
    }

    /// <summary>The id of a message whose text is broken somewhere: whoever waits for it is told at once instead of never.</summary>
    private static Slice IdOfBroken(ReadOnlySpan<byte> json, FrameLimits limits, ref Envelope envelope)
    {
        var reader = new Utf8JsonReader(json, Options(limits));
        try
        {
            ReadMessage(ref reader, ref envelope, json);
        }
        catch (JsonException)
        {
            // What was read before it counts.
        }

        return ValidId(json, envelope.Id) && Utf8.IsValid(json.Slice(envelope.Id.Start, envelope.Id.Length)) ? envelope.Id : default;
    }

    private static JsonReaderOptions Options(FrameLimits limits, int extra = 0) =>
        new() { MaxDepth = limits.Depth + extra, CommentHandling = JsonCommentHandling.Disallow };

    /// <summary>Whether a read failed at one more bracket than is allowed, rather than at something that is no JSON.</summary>
    private static bool IsTooDeep(in Utf8JsonReader reader, ReadOnlySpan<byte> json, FrameLimits limits)
    {
        // The reader does not count the container whose opening it stands on.
        var depth = reader.CurrentDepth + (reader.TokenType is JsonTokenType.StartObject or JsonTokenType.StartArray ? 1 : 0);
        var rest = json[(int)reader.BytesConsumed..].TrimStart(" \t\r\n,:"u8);
        return depth >= limits.Depth && rest is [(byte)'{' or (byte)'[', ..];
    }

    private static string Where(JsonException e) => $"line {e.LineNumber + 1}, byte {e.BytePositionInLine}.";

    private static FrameFault? ReadMessage(ref Utf8JsonReader reader, ref Envelope envelope, ReadOnlySpan<byte> json)
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return new FrameFault(InvalidRequest, "A message must be a JSON object.");
        }

        var version = default(Slice);
        var errorIsWellFormed = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (JsonText.IsKey(ref reader, "jsonrpc"u8))
            {
                if (!Once(ref reader, ref version))
                {
                    return Twice("jsonrpc", envelope, json);
                }
            }
            else if (JsonText.IsKey(ref reader, "id"u8))
            {
                if (!Once(ref reader, ref envelope.Id))
                {
                    return Twice("id", default, json);
                }
            }
            else if (JsonText.IsKey(ref reader, "method"u8))
            {
                if (!Once(ref reader, ref envelope.MethodText))
                {
                    return Twice("method", envelope, json);
                }
            }
            else if (JsonText.IsKey(ref reader, "params"u8))
            {
                if (envelope.Params.IsPresent)
                {
                    return Twice("params", envelope, json);
                }

                if (ReadParams(ref reader, ref envelope) is { } twice)
                {
                    return Twice(twice, envelope, json);
                }
            }
            else if (JsonText.IsKey(ref reader, "result"u8))
            {
                if (!Once(ref reader, ref envelope.Result))
                {
                    return Twice("result", envelope, json);
                }
            }
            else if (JsonText.IsKey(ref reader, "error"u8))
            {
                if (envelope.Error.IsPresent)
                {
                    return Twice("error", envelope, json);
                }

                errorIsWellFormed = ReadError(ref reader, ref envelope);
            }
            else
            {
                if (AlmostOf(ref reader, EnvelopeKeys) is { } almost)
                {
                    return new FrameFault(InvalidRequest, $"\"{almost}\" is written in another case.", ValidId(json, envelope.Id) ? envelope.Id : default);
                }

                reader.Read();
                reader.Skip();
            }
        }

        while (reader.Read())
        {
            // Only white space may follow; anything else throws.
        }

        return Classify(ref envelope, json, version, errorIsWellFormed);
    }

    private static FrameFault? Classify(ref Envelope envelope, ReadOnlySpan<byte> json, Slice version, bool errorIsWellFormed)
    {
        var id = envelope.Id;
        if (!json.Slice(version.Start, version.Length).SequenceEqual("\"2.0\""u8))
        {
            return new FrameFault(InvalidRequest, "\"jsonrpc\" must be \"2.0\".", ValidId(json, id) ? id : default);
        }

        var hasId = id.IsPresent;
        if (hasId && !ValidId(json, id))
        {
            // A server that could not read our request answers with a null id (JSON-RPC 2.0, section 5).
            if (envelope.Error.IsPresent && !envelope.MethodText.IsPresent && json.Slice(id.Start, id.Length).SequenceEqual("null"u8))
            {
                envelope.Id = id = default;
            }
            else
            {
                return new FrameFault(InvalidRequest, $"\"id\" must be a string or an integer of at most {LongestId} bytes.");
            }
        }

        if (envelope.MethodText.IsPresent)
        {
            return ClassifyCall(ref envelope, json);
        }

        if (envelope.Result.IsPresent == envelope.Error.IsPresent)
        {
            return new FrameFault(InvalidRequest, "A message needs exactly one of \"method\", \"result\" and \"error\".", id);
        }

        if (envelope.Result.IsPresent)
        {
            if (!hasId)
            {
                return new FrameFault(InvalidRequest, "A result needs the \"id\" of its request.");
            }

            if (json[envelope.Result.Start] != '{')
            {
                return new FrameFault(InvalidRequest, "\"result\" must be an object.", id);
            }

            envelope.Kind = FrameKind.Result;
            return null;
        }

        envelope.Kind = FrameKind.Error;
        return errorIsWellFormed ? null : new FrameFault(InvalidRequest, "\"error\" must be an object with an integer \"code\" and a string \"message\".", id);
    }

    private static FrameFault? ClassifyCall(ref Envelope envelope, ReadOnlySpan<byte> json)
    {
        var text = json.Slice(envelope.MethodText.Start, envelope.MethodText.Length);
        if (text.Length < 3 || text[0] != '"')
        {
            return new FrameFault(InvalidRequest, "\"method\" must be a string that is not empty.", envelope.Id);
        }

        if (envelope.Result.IsPresent || envelope.Error.IsPresent)
        {
            return new FrameFault(InvalidRequest, "A message with a \"method\" has neither \"result\" nor \"error\".", envelope.Id);
        }

        if (envelope.Params.IsPresent && json[envelope.Params.Start] != '{')
        {
            return new FrameFault(InvalidRequest, "\"params\" must be an object.", envelope.Id);
        }

        // An escaped method name is legal JSON but nobody sends one; it is looked up by its text.
        envelope.Method = text.IndexOf((byte)'\\') < 0
            ? McpMethods.Parse(text[1..^1])
            : McpMethods.Parse(System.Text.Encoding.UTF8.GetBytes(JsonText.Read(text)));
        envelope.Kind = envelope.Id.IsPresent ? FrameKind.Request : FrameKind.Notification;
        if (envelope.Kind == FrameKind.Notification && envelope.Method is >= McpMethod.Initialize and <= McpMethod.RootsList)
        {
            // A server that looks at the method alone would do it, and nobody would have asked whether it may.
            return new FrameFault(InvalidRequest, "This method is a request and needs an \"id\".");
        }

        return envelope.HasAlmost && envelope.Method is >= McpMethod.ToolsList and <= McpMethod.TasksCancel
            ? new FrameFault(InvalidRequest, "The params have a name of the protocol written in another case.", envelope.Id)
            : null;
    }

    private static bool ValidId(ReadOnlySpan<byte> json, Slice id)
    {
        if (!id.IsPresent || id.Length > LongestId)
        {
            return false;
        }

        var token = json.Slice(id.Start, id.Length);
        return token[0] == '"' || !token.ContainsAnyExcept(IntegerCharacters);
    }

    private static bool ReadError(ref Utf8JsonReader reader, ref Envelope envelope)
    {
        reader.Read();
        var start = (int)reader.TokenStartIndex;
        bool code = false, message = false;
        if (reader.TokenType == JsonTokenType.StartObject)
        {
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isCode = JsonText.IsKey(ref reader, "code"u8);
                var isMessage = JsonText.IsKey(ref reader, "message"u8);
                reader.Read();
                code |= isCode && reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out _);
                message |= isMessage && reader.TokenType == JsonTokenType.String;
                reader.Skip();
            }
        }
        else
        {
            reader.Skip();
        }

        envelope.Error = new Slice(start, (int)reader.BytesConsumed - start);
        return code && message;
    }

    private static bool Once(ref Utf8JsonReader reader, ref Slice slot)
    {
        reader.Read();
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        if (slot.IsPresent)
        {
            return false;
        }

        slot = new Slice(start, (int)reader.BytesConsumed - start);
        return true;
    }

    /// <summary>Which of some names the key the reader stands on would be, if case did not matter; letters that fold to ASCII ones included.</summary>
    private static string? AlmostOf(ref Utf8JsonReader reader, string[] names)
    {
        if (reader.ValueSpan.Length > LongestKey)
        {
            return null;
        }

        string key;
        try
        {
            key = reader.GetString()!.Replace('\u017F', 's').Replace('\u212A', 'k');
        }
        catch (InvalidOperationException)
        {
            // Half of a surrogate pair, which is in none of them.
            return null;
        }

        return Array.Find(names, name => string.Equals(name, key, StringComparison.OrdinalIgnoreCase));
    }

    private static FrameFault Twice(string key, in Envelope envelope, ReadOnlySpan<byte> json) =>
        new(InvalidRequest, $"\"{key}\" stands twice in the message.", ValidId(json, envelope.Id) ? envelope.Id : default);
}
