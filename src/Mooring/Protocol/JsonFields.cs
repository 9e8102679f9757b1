using System.Text.Json;

namespace Mooring.Protocol;

/// <summary>Finds single values in raw JSON objects without reading the rest into anything.</summary>
internal static class JsonFields
{
    // How deep a message may be was checked when it came in, by the limit in force there; here nothing may fail by it.
    /// <summary>What was accepted once is never too deep afterwards.</summary>
    public static readonly JsonReaderOptions AnyDepth = new() { MaxDepth = int.MaxValue };

    /// <summary>Where the value of a top-level key stands; absent where there is none, <paramref name="json"/> is no object, or nothing at all.</summary>
    public static Slice Find(ReadOnlySpan<byte> json, ReadOnlySpan<byte> key)
    {
        var reader = new Utf8JsonReader(json, AnyDepth);
        if (json.IsEmpty || !reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return default;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var wanted = JsonText.IsKey(ref reader, key);
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            if (wanted)
            {
                return new Slice(start, (int)reader.BytesConsumed - start);
            }
        }

        return default;
    }

    /// <summary>As <see cref="Find(ReadOnlySpan{byte},ReadOnlySpan{byte})"/>, one object further in.</summary>
    public static Slice Find(ReadOnlySpan<byte> json, ReadOnlySpan<byte> key, ReadOnlySpan<byte> inner)
    {
        var outer = Find(json, key);
        if (!outer.IsPresent || json[outer.Start] != '{')
        {
            return default;
        }

        var found = Find(json.Slice(outer.Start, outer.Length), inner);
        return found.IsPresent ? new Slice(outer.Start + found.Start, found.Length) : default;
    }

    /// <summary>The text of a top-level string; null where there is none.</summary>
    public static string? String(ReadOnlySpan<byte> json, ReadOnlySpan<byte> key)
    {
        var at = Find(json, key);
        return at.IsPresent && json[at.Start] == '"' ? JsonText.Read(json.Slice(at.Start, at.Length)) : null;
    }

    /// <summary>A top-level object; empty where there is none.</summary>
    public static ReadOnlySpan<byte> Object(ReadOnlySpan<byte> json, ReadOnlySpan<byte> key)
    {
        var at = Find(json, key);
        return at.IsPresent && json[at.Start] == '{' ? json.Slice(at.Start, at.Length) : default;
    }

    /// <summary>Whether a key is there at all.</summary>
    public static bool Has(ReadOnlySpan<byte> json, ReadOnlySpan<byte> key) => Find(json, key).IsPresent;

    public static bool IsTrue(ReadOnlySpan<byte> json, ReadOnlySpan<byte> key)
    {
        var at = Find(json, key);
        return at.IsPresent && json[at.Start] == 't';
    }

    /// <summary>Where the elements of a top-level array stand; empty where there is none.</summary>
    public static List<Slice> Elements(ReadOnlySpan<byte> json, ReadOnlySpan<byte> key)
    {
        var elements = new List<Slice>();
        var at = Find(json, key);
        if (!at.IsPresent || json[at.Start] != '[')
        {
            return elements;
        }

        var reader = new Utf8JsonReader(json.Slice(at.Start, at.Length), AnyDepth);
        reader.Read();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            elements.Add(new Slice(at.Start + start, (int)reader.BytesConsumed - start));
        }

        return elements;
    }

    /// <summary>The object with the value at <paramref name="at"/> replaced.</summary>
    public static byte[] Splice(ReadOnlySpan<byte> json, Slice at, ReadOnlySpan<byte> with) =>
        [.. json[..at.Start], .. with, .. json[at.End..]];

    /// <summary>The object without a top-level key and the comma beside it, every time it stands there; all else stays byte for byte.</summary>
    public static byte[] Without(ReadOnlySpan<byte> json, ReadOnlySpan<byte> key)
    {
        var rest = json.ToArray();
        while (TryCut(rest, key, out var shorter))
        {
            rest = shorter;
        }

        return rest;
    }

    /// <summary>The object with one more property at its head.</summary>
    public static byte[] Prepend(ReadOnlySpan<byte> json, ReadOnlySpan<byte> property)
    {
        var brace = json.IndexOf((byte)'{');
        var rest = json[(brace + 1)..];
        var empty = rest.TrimStart(" \t\r\n"u8) is [(byte)'}', ..];
        return [.. json[..(brace + 1)], .. property, .. empty ? default : ","u8, .. rest];
    }

    private static bool TryCut(byte[] json, ReadOnlySpan<byte> key, out byte[] shorter)
    {
        shorter = json;
        var reader = new Utf8JsonReader(json, AnyDepth);
        if (json.Length == 0 || !reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }

        var before = (int)reader.BytesConsumed;
        var isFirst = true;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var start = (int)reader.TokenStartIndex;
            var wanted = JsonText.IsKey(ref reader, key);
            reader.Read();
            reader.Skip();
            var end = (int)reader.BytesConsumed;
            if (wanted)
            {
                // The comma before it, or where it is the first, the one behind it.
                var rest = json.AsSpan(end);
                var after = rest.IndexOfAnyExcept(" \t\r\n"u8);
                shorter = isFirst
                    ? [.. json.AsSpan(0, start), .. rest[after] == ',' ? rest[(after + 1)..] : rest]
                    : [.. json.AsSpan(0, before), .. rest];
                return true;
            }

            (before, isFirst) = (end, false);
        }

        return false;
    }
}
