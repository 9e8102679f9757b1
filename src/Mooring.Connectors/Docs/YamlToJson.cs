using System.Buffers;
using System.Globalization;
using System.Text.Json.Nodes;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Mooring.Connectors.Docs;

/// <summary>
/// Turns one YAML document into JSON, event by event. The package's own object model is not used because it goes down by recursion
/// without a limit: a file of a hundred thousand brackets would end the process.
/// </summary>
internal sealed class YamlToJson
{
    /// <summary>Values of one document, aliases counted as often as they are used: a few lines of nested aliases can mean billions.</summary>
    private const int MostValues = 10_000;

    private const int DeepestValue = 32;

    private static readonly SearchValues<char> NumberCharacters = SearchValues.Create("0123456789.eE+-");

    private readonly Parser _parser;

    // What each anchor named, and how many values that is. Set when the value is complete, so that it cannot hold itself.
    private readonly Dictionary<AnchorName, (JsonNode? Value, int Count)> _anchors = [];
    private int _count;

    private YamlToJson(string yaml) => _parser = new Parser(new StringReader(yaml));

    /// <returns>Null for a document without a value.</returns>
    /// <exception cref="YamlException">It is not YAML.</exception>
    /// <exception cref="FormatException">It is more, or nests deeper, than a front matter may, or names something twice.</exception>
    public static JsonNode? Read(string yaml)
    {
        var reader = new YamlToJson(yaml);
        reader._parser.Consume<StreamStart>();
        return reader._parser.TryConsume<DocumentStart>(out _) ? reader.Value(0) : null;
    }

    private JsonNode? Value(int depth)
    {
        var before = _count;
        Count(1);
        if (depth > DeepestValue)
        {
            throw TooMuch();
        }

        if (_parser.TryConsume<AnchorAlias>(out var alias))
        {
            if (!_anchors.TryGetValue(alias.Value, out var named))
            {
                throw new FormatException($"the front matter uses *{alias.Value}, which is not named before");
            }

            Count(named.Count);
            return named.Value?.DeepClone();
        }

        var (anchor, value) = _parser.Accept<MappingStart>(out _) ? Mapping(depth)
            : _parser.Accept<SequenceStart>(out _) ? Sequence(depth)
            : Plain();
        if (!anchor.IsEmpty)
        {
            _anchors[anchor] = (value, _count - before);
        }

        return value;
    }

    private (AnchorName Anchor, JsonNode? Value) Mapping(int depth)
    {
        var anchor = _parser.Consume<MappingStart>().Anchor;
        var values = new JsonObject();
        while (!_parser.TryConsume<MappingEnd>(out _))
        {
            var name = _parser.TryConsume<Scalar>(out var scalar) ? scalar.Value : Value(depth + 1)?.ToJsonString() ?? "";
            var value = Value(depth + 1);
            if (!values.TryAdd(name, value))
            {
                throw new FormatException($"the front matter holds the name '{name}' twice");
            }
        }

        return (anchor, values);
    }

    private (AnchorName Anchor, JsonNode? Value) Sequence(int depth)
    {
        var anchor = _parser.Consume<SequenceStart>().Anchor;
        var items = new JsonArray();
        while (!_parser.TryConsume<SequenceEnd>(out _))
        {
            items.Add(Value(depth + 1));
        }

        return (anchor, items);
    }

    private (AnchorName Anchor, JsonNode? Value) Plain()
    {
        var scalar = _parser.Consume<Scalar>();
        return (scalar.Anchor, scalar.Style == ScalarStyle.Plain ? Unquoted(scalar.Value) : JsonValue.Create(scalar.Value));
    }

    /// <summary>What the core schema of YAML 1.2 says; dates stay text, as written.</summary>
    private static JsonNode? Unquoted(string text) => text switch
    {
        "" or "~" or "null" or "Null" or "NULL" => null,
        "true" or "True" or "TRUE" => JsonValue.Create(true),
        "false" or "False" or "FALSE" => JsonValue.Create(false),
        _ when IsNumber(text) && long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole) => JsonValue.Create(whole),
        _ when IsNumber(text) && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) => JsonValue.Create(number),
        _ => JsonValue.Create(text),
    };

    /// <summary>"007" and "+1" stay text: as numbers they would lose what the author wrote.</summary>
    private static bool IsNumber(string text)
    {
        var digits = text.AsSpan(text[0] == '-' ? 1 : 0);
        return digits.Length > 0 && char.IsAsciiDigit(digits[0]) && (digits[0] != '0' || digits.Length == 1 || digits[1] == '.')
            && !digits.ContainsAnyExcept(NumberCharacters);
    }

    private void Count(int values)
    {
        _count += values;
        if (_count > MostValues)
        {
            throw TooMuch();
        }
    }

    private static FormatException TooMuch() => new($"the front matter holds more than {MostValues} values or nests deeper than {DeepestValue}");
}
