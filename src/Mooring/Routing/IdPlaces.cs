using System.Buffers;
using System.Text.Json;
using Mooring.Protocol;

namespace Mooring.Routing;

/// <summary>Ids of servers in messages, exchanged only where the protocol puts them, never inside what a tool says.</summary>
internal static class IdPlaces
{
    /// <summary>Replaces the strings under a key; everything else stays byte for byte.</summary>
    /// <param name="line">A message.</param>
    /// <param name="key">The name of the property.</param>
    /// <param name="replace">The new id, or null: as it was.</param>
    /// <param name="isPlace">Whether the protocol has it at this path; an array is <c>[]</c> in it.</param>
    /// <returns>The same array when nothing was replaced.</returns>
    public static byte[] Replace(byte[] line, string key, Func<string, string?> replace, Func<List<string>, bool> isPlace)
    {
        ArrayBufferWriter<byte>? output = null;
        var copied = 0;
        var path = new List<string>();
        var reader = new Utf8JsonReader(line, JsonFields.AnyDepth);
        while (reader.Read())
        {
            switch (reader.TokenType)
            {
                case JsonTokenType.PropertyName:
                    while (path.Count >= reader.CurrentDepth)
                    {
                        path.RemoveAt(path.Count - 1);
                    }

                    while (path.Count < reader.CurrentDepth - 1)
                    {
                        path.Add("[]");
                    }

                    path.Add(JsonText.Value(ref reader));
                    break;
                case JsonTokenType.String when path.Count > 0 && path[^1] == key && path.Count == reader.CurrentDepth && isPlace(path) && replace(JsonText.Value(ref reader)) is { } text:
                    output ??= new ArrayBufferWriter<byte>(line.Length + 64);
                    var start = (int)reader.TokenStartIndex;
                    output.Write(line.AsSpan(copied, start - copied));
                    output.Write(JsonText.Quote(text));
                    copied = (int)reader.BytesConsumed;
                    break;
            }
        }

        if (output is null)
        {
            return line;
        }

        output.Write(line.AsSpan(copied));
        return output.WrittenSpan.ToArray();
    }
}
