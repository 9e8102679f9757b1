using System.Buffers;
using System.Text.Json;
using Mooring.Protocol;

namespace Mooring.Upstreams;

/// <summary>
/// Both ends of a line that is too long to keep, from which the request can mostly be told that it answers: servers write the id
/// before the result or after it. Owned by one <see cref="LineChannel"/>, used by its reader alone.
/// </summary>
internal sealed class LineEnds
{
    /// <summary>More than any id with what stands around it.</summary>
    private const int Kept = 256;

    private readonly byte[] _tail = new byte[Kept];
    private int _tailLength;
    private bool _isAnswerWithoutId;

    /// <summary>A line turned out too long; <paramref name="line"/> is what came of it so far.</summary>
    /// <returns>The id of the gateway's that it answers, where its beginning tells.</returns>
    public long? Begin(ReadOnlySequence<byte> line)
    {
        _tailLength = 0;
        Span<byte> head = stackalloc byte[(int)Math.Min(Kept, line.Length)];
        line.Slice(0, head.Length).CopyTo(head);
        return IdAtTheHead(head, out _isAnswerWithoutId);
    }

    /// <summary>More of the line, which is thrown away.</summary>
    public void Skip(ReadOnlySequence<byte> more)
    {
        var take = (int)Math.Min(Kept, more.Length);
        var keep = Math.Min(_tailLength, Kept - take);
        _tail.AsSpan(_tailLength - keep, keep).CopyTo(_tail);
        more.Slice(more.Length - take).CopyTo(_tail.AsSpan(keep));
        _tailLength = keep + take;
    }

    /// <summary>The id of the gateway's that the line answers, where its beginning did not tell and its end does.</summary>
    public long? AnswersAtTheEnd() => _isAnswerWithoutId ? IdAtTheTail() : null;

    private static long? IdAtTheHead(ReadOnlySpan<byte> head, out bool isAnswerWithoutId)
    {
        isAnswerWithoutId = false;
        var reader = new Utf8JsonReader(head, isFinalBlock: false, default);
        try
        {
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return null;
            }

            long? id = null;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (JsonText.IsKey(ref reader, "result"u8) || JsonText.IsKey(ref reader, "error"u8))
                {
                    isAnswerWithoutId = id is null;
                    return id;
                }

                // A request of the server's own has an id too, which is not ours.
                var isId = JsonText.IsKey(ref reader, "id"u8);
                if (!(isId || JsonText.IsKey(ref reader, "jsonrpc"u8)) || !reader.Read())
                {
                    return null;
                }

                if (isId && reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var number))
                {
                    id = number;
                }
            }
        }
        catch (JsonException)
        {
            // No JSON at all.
        }

        return null;
    }

    /// <summary>Looks for an id right before the bracket that closes the message, with at most the version between them.</summary>
    private long? IdAtTheTail()
    {
        ReadOnlySpan<byte> text = _tail.AsSpan(0, _tailLength).TrimEnd(" \t\r"u8);
        if (text is not [.., (byte)'}'])
        {
            return null;
        }

        text = Without(text[..^1].TrimEnd(" \t"u8), "\"jsonrpc\":\"2.0\""u8, "\"jsonrpc\": \"2.0\""u8);
        var digits = text[(text.LastIndexOfAnyExceptInRange((byte)'0', (byte)'9') + 1)..];
        var before = text[..^digits.Length].TrimEnd((byte)' ');
        return before.EndsWith("\"id\":"u8) && JsonRpc.TryReadId(digits, out var id) ? id : null;
    }

    private static ReadOnlySpan<byte> Without(ReadOnlySpan<byte> text, ReadOnlySpan<byte> end, ReadOnlySpan<byte> spaced)
    {
        var version = text.EndsWith(end) ? end.Length : text.EndsWith(spaced) ? spaced.Length : 0;
        return version == 0 ? text : text[..^version].TrimEnd(" \t,"u8);
    }
}
