using System.Buffers;
using System.Text.Json;
using Mooring.Protocol;

namespace Mooring.Routing;

/// <summary>
/// Resource URIs in messages: wherever the protocol puts one (links, contents, embedded resources, updates, errors). What a tool, a log
/// message or an extension says in a place of its own is data; a <c>uri</c> in there is left alone.
/// </summary>
internal static class ResourceUris
{
    /// <summary>Replaces URIs; everything else stays byte for byte.</summary>
    /// <param name="line">A message.</param>
    /// <param name="replace">The new URI, or null: as it was.</param>
    /// <returns>The same array when nothing was replaced.</returns>
    public static byte[] Replace(byte[] line, Func<string, string?> replace)
    {
        ArrayBufferWriter<byte>? output = null;
        var copied = 0;
        var isError = false;
        var reader = new Utf8JsonReader(line, JsonFields.AnyDepth);
        while (reader.Read())
        {
            if (reader.TokenType != JsonTokenType.PropertyName)
            {
                continue;
            }

            if (reader.CurrentDepth == 1)
            {
                isError = JsonText.IsKey(ref reader, "error"u8);
            }

            if (IsData(ref reader, isError))
            {
                reader.Skip();
                continue;
            }

            if (!JsonText.IsKey(ref reader, "uri"u8) || !reader.Read() || reader.TokenType != JsonTokenType.String || replace(JsonText.Value(ref reader)) is not { } text)
            {
                continue;
            }

            output ??= new ArrayBufferWriter<byte>(line.Length + 64);
            var start = (int)reader.TokenStartIndex;
            output.Write(line.AsSpan(copied, start - copied));
            output.Write(JsonText.Quote(text));
            copied = (int)reader.BytesConsumed;
        }

        if (output is null)
        {
            return line;
        }

        output.Write(line.AsSpan(copied));
        return output.WrittenSpan.ToArray();
    }

    /// <summary>Whether the value of this property is of nobody's business but the sender's and the reader's.</summary>
    private static bool IsData(ref Utf8JsonReader property, bool inError) =>
        JsonText.IsKey(ref property, "structuredContent"u8) || JsonText.IsKey(ref property, "_meta"u8) || JsonText.IsKey(ref property, "arguments"u8)
        || JsonText.IsKey(ref property, "input"u8) || JsonText.IsKey(ref property, "metadata"u8) || JsonText.IsKey(ref property, "requestedSchema"u8)
        || (!inError && JsonText.IsKey(ref property, "data"u8));
}
