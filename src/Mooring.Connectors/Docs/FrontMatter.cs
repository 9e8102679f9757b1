using System.Text.Json;
using System.Text.Json.Nodes;
using YamlDotNet.Core;

namespace Mooring.Connectors.Docs;

/// <summary>The YAML block at the head of a page, as JSON.</summary>
internal static class FrontMatter
{
    /// <summary>Real ones have some hundred characters.</summary>
    private const int LongestBlock = 64 * 1024;

    private static readonly string[] RouteKeys = ["route", "slug", "pathname", "href"];

    /// <summary>Splits a source into its front matter and the rest.</summary>
    /// <exception cref="FormatException">The block is no valid YAML mapping.</exception>
    public static (JsonObject Values, string Body) Split(string source)
    {
        if (FindBlock(source) is not { } block)
        {
            return ([], source);
        }

        if (block.End - block.Start > LongestBlock)
        {
            throw new FormatException($"the front matter is longer than {LongestBlock} characters");
        }

        try
        {
            return YamlToJson.Read(source[block.Start..block.End]) switch
            {
                null => ([], source[block.Body..]),
                JsonObject values => (values, source[block.Body..]),
                // "---", words, "---" is also plain Markdown: a line, and a heading.
                JsonValue => ([], source),
                _ => throw new FormatException("the front matter is not a list of names and values"),
            };
        }
        catch (YamlException error)
        {
            // Line 1 of the YAML is line 2 of the file.
            throw new FormatException($"the front matter is not valid YAML (line {error.Start.Line + 1}): {error.Message}", error);
        }
    }

    /// <summary>The route a page asks for, with one '/' in front and none behind; null where it asks for none.</summary>
    public static string? RouteOf(JsonObject values)
    {
        foreach (var key in RouteKeys)
        {
            if (values[key] is JsonValue value && value.TryGetValue<string>(out var text) && Routes.Normalize(text) is { } route)
            {
                return route;
            }
        }

        return null;
    }

    public static string? TextOf(JsonObject values, string key) =>
        values[key] is JsonValue value && value.GetValueKind() is JsonValueKind.String or JsonValueKind.Number
        && value.ToString().Trim() is { Length: > 0 } text ? text : null;

    private static (int Start, int End, int Body)? FindBlock(string source)
    {
        var first = LineEnd(source, 0);
        if (!source.AsSpan(0, first).TrimEnd().SequenceEqual("---"))
        {
            return null;
        }

        var start = NextLine(source, first);
        for (var line = start; line < source.Length;)
        {
            var end = LineEnd(source, line);
            if (source.AsSpan(line, end - line).TrimEnd() is "---" or "...")
            {
                return (start, line, NextLine(source, end));
            }

            line = NextLine(source, end);
        }

        return null;
    }

    private static int LineEnd(string source, int from) => source.IndexOf('\n', from) is >= 0 and var end ? end : source.Length;

    private static int NextLine(string source, int end) => Math.Min(end + 1, source.Length);
}
