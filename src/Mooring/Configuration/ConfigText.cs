using System.Text;
using System.Text.Json;

namespace Mooring.Configuration;

/// <summary>Reads JSON with comments and trailing commas into <see cref="ConfigNode"/>s that know their line.</summary>
internal static class ConfigText
{
    private static readonly JsonReaderOptions Options = new()
    {
        CommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
        MaxDepth = 64,
    };

    /// <summary>Null when the text is no JSON; the problem then says where. Keys written twice are reported and the later one is kept.</summary>
    public static ConfigNode? Parse(byte[] utf8, string origin, ConfigReading reading, bool lines = true)
    {
        var text = utf8.AsSpan();
        if (text.StartsWith(Encoding.UTF8.Preamble))
        {
            text = text[Encoding.UTF8.Preamble.Length..];
        }

        var reader = new Utf8JsonReader(text, Options);
        try
        {
            if (!reader.Read())
            {
                return null;
            }

            var place = new Place(origin, lines ? NewLines(text) : null);
            var node = ReadValue(ref reader, "", place, reading);
            // Reads on to the end: anything but a comment after the value is an error of its own.
            while (reader.Read())
            {
            }

            return node;
        }
        catch (JsonException broken)
        {
            var line = (int?)broken.LineNumber + 1;
            reading.Error("", lines ? line : null, $"{origin} is not valid JSON: {Plain(broken.Message)}");
            return null;
        }
        catch (InvalidOperationException)
        {
            reading.Error("", null, $"{origin} is not valid JSON: a string holds characters that are not valid UTF-8.");
            return null;
        }
    }

    private static ConfigNode ReadValue(ref Utf8JsonReader reader, string path, in Place place, ConfigReading reading)
    {
        var line = place.LineOf(reader.TokenStartIndex);
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
                var map = new ConfigNode(JsonValueKind.Object, place.Origin, line);
                while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
                {
                    var key = reader.GetString()!;
                    var keyLine = place.LineOf(reader.TokenStartIndex);
                    var keyPath = ConfigPath.Member(path, key);
                    if (map.Member(key) is { } earlier)
                    {
                        reading.Error(keyPath, keyLine, earlier.Line is { } at ? $"is written twice, first on line {at}." : "is written twice.");
                    }

                    reader.Read();
                    map.SetMember(key, ReadValue(ref reader, keyPath, place, reading));
                }

                return map;
            case JsonTokenType.StartArray:
                var list = new ConfigNode(JsonValueKind.Array, place.Origin, line);
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    list.Items.Add(ReadValue(ref reader, ConfigPath.Item(path, list.Items.Count), place, reading));
                }

                return list;
            case JsonTokenType.String:
                return new(JsonValueKind.String, place.Origin, line) { Text = reader.GetString()! };
            case JsonTokenType.Number:
                return new(JsonValueKind.Number, place.Origin, line) { Text = Encoding.UTF8.GetString(reader.ValueSpan) };
            case JsonTokenType.True:
                return new(JsonValueKind.True, place.Origin, line) { Text = "true" };
            case JsonTokenType.False:
                return new(JsonValueKind.False, place.Origin, line) { Text = "false" };
            default:
                return new(JsonValueKind.Null, place.Origin, line) { Text = "null" };
        }
    }

    // The reader's own text ends in "LineNumber: 3 | BytePositionInLine: 7.", which counts from 0.
    private static string Plain(string message)
    {
        var cut = message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        return cut < 0 ? message : message[..cut];
    }

    private static List<long> NewLines(ReadOnlySpan<byte> text)
    {
        var found = new List<long>();
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '\n')
            {
                found.Add(i);
            }
        }

        return found;
    }

    private readonly record struct Place(string Origin, List<long>? NewLines)
    {
        public int? LineOf(long index)
        {
            if (NewLines is null)
            {
                return null;
            }

            var before = NewLines.BinarySearch(index);
            return (before < 0 ? ~before : before) + 1;
        }
    }
}
