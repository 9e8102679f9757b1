using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mooring.Configuration;

/// <summary>A value that fits on one line. Variables can only hold text, so every scalar reads text too.</summary>
internal abstract class ScalarShape<T> : Shape<T>
{
    /// <summary>What a string that refers to a variable or a file looks like; schemas must let it pass.</summary>
    protected const string Reference = @"\$\{[^}]+\}";

    /// <summary>Completes "must be …".</summary>
    protected abstract string Expected { get; }

    protected abstract bool TryParse(string text, [NotNullWhen(true)] out T? value);

    protected virtual bool Accepts(JsonValueKind kind) => kind == JsonValueKind.String;

    public override bool TryRead(ConfigNode node, string path, ConfigReading reading, [NotNullWhen(true)] out T? value)
    {
        if (!Accepts(node.Kind))
        {
            return Wrong(node, path, reading, Expected, out value);
        }

        value = default;
        var text = node.Text;
        if (node.Kind == JsonValueKind.String && !reading.TryExpand(node, path, out text))
        {
            return false;
        }

        if (TryParse(text, out value))
        {
            return true;
        }

        // The text as written: what a reference was replaced by may be a secret.
        reading.Error(path, node.Line, $"must be {Expected}{(Shown(node.Text) is { } shown ? $", not \"{shown}\"" : "")}.");
        return false;
    }

    /// <summary>What of a wrong value may be said again; null: nothing.</summary>
    protected virtual string? Shown(string text) => text;
}

/// <summary>A duration with a lowest and a highest value.</summary>
/// <param name="least">The lowest.</param>
/// <param name="most">The highest.</param>
/// <param name="orOff">Whether <c>off</c> is a value too; it is read as zero.</param>
internal sealed class DurationShape(string least, string most, bool orOff = false) : ScalarShape<TimeSpan>
{
    private const string Off = "off";

    private readonly TimeSpan _least = Limit(least);
    private readonly TimeSpan _most = Limit(most);

    protected override string Expected => $"{(orOff ? Off + ", or " : "")}a duration from {least} to {most}, such as 15s, 500ms or 1h30m";

    protected override bool TryParse(string text, out TimeSpan value)
    {
        value = default;
        return (orOff && text == Off) || (DurationText.TryParse(text, out value) && value >= _least && value <= _most);
    }

    public override JsonNode? Write(TimeSpan value) => orOff && value == TimeSpan.Zero ? Off : DurationText.Format(value);

    public override JsonObject Schema() => new()
    {
        ["type"] = "string",
        ["pattern"] = $"{(orOff ? $"^{Off}$|" : "")}{DurationText.Pattern}|{Reference}",
    };

    private static TimeSpan Limit(string text) =>
        DurationText.TryParse(text, out var value) ? value : throw new ArgumentException($"{text} is no duration.", nameof(text));
}

/// <summary>A number of bytes with a lowest and a highest value.</summary>
internal sealed class SizeShape(string least, string most) : ScalarShape<long>
{
    private readonly long _least = Limit(least);
    private readonly long _most = Limit(most);

    protected override string Expected => $"a size from {least} to {most}, such as 256kB or 4MB";

    protected override bool Accepts(JsonValueKind kind) => kind is JsonValueKind.String or JsonValueKind.Number;

    protected override bool TryParse(string text, out long value) =>
        SizeText.TryParse(text, out value) && value >= _least && value <= _most;

    public override JsonNode? Write(long value) => SizeText.Format(value);

    public override JsonObject Schema() => new()
    {
        ["anyOf"] = new JsonArray(
            new JsonObject { ["type"] = "string", ["pattern"] = $"{SizeText.Pattern}|{Reference}" },
            new JsonObject { ["type"] = "integer", ["minimum"] = _least, ["maximum"] = _most }),
    };

    private static long Limit(string text) =>
        SizeText.TryParse(text, out var value) ? value : throw new ArgumentException($"{text} is no size.", nameof(text));
}

/// <summary>A whole number with a lowest and a highest value.</summary>
internal sealed class IntegerShape(int least, int most) : ScalarShape<int>
{
    protected override string Expected =>
        string.Create(CultureInfo.InvariantCulture, $"a whole number from {least:N0} to {most:N0}");

    protected override bool Accepts(JsonValueKind kind) => kind is JsonValueKind.String or JsonValueKind.Number;

    protected override bool TryParse(string text, out int value) =>
        int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value) && value >= least && value <= most;

    public override JsonNode? Write(int value) => value;

    public override JsonObject Schema() => OrReference(new() { ["type"] = "integer", ["minimum"] = least, ["maximum"] = most });

    internal static JsonObject OrReference(JsonObject schema) => new()
    {
        ["anyOf"] = new JsonArray(schema, new JsonObject { ["type"] = "string", ["pattern"] = Reference }),
    };
}

/// <summary>A number with a lowest and a highest value.</summary>
internal sealed class NumberShape(double least, double most) : ScalarShape<double>
{
    protected override string Expected => string.Create(CultureInfo.InvariantCulture, $"a number from {least} to {most}");

    protected override bool Accepts(JsonValueKind kind) => kind is JsonValueKind.String or JsonValueKind.Number;

    protected override bool TryParse(string text, out double value) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out value) && value >= least && value <= most;

    public override JsonNode? Write(double value) => value;

    public override JsonObject Schema() =>
        IntegerShape.OrReference(new() { ["type"] = "number", ["minimum"] = least, ["maximum"] = most });
}

internal sealed class BooleanShape : ScalarShape<bool>
{
    protected override string Expected => "true or false";

    protected override bool Accepts(JsonValueKind kind) => kind is JsonValueKind.String or JsonValueKind.True or JsonValueKind.False;

    protected override bool TryParse(string text, out bool value) => bool.TryParse(text, out value);

    public override JsonNode? Write(bool value) => value;

    public override JsonObject Schema() => IntegerShape.OrReference(new() { ["type"] = "boolean" });
}

/// <summary>Any text, or text that <paramref name="check"/> accepts.</summary>
/// <param name="expected">Completes "must be …".</param>
/// <param name="check">Null: every text.</param>
/// <param name="loose">Takes numbers and booleans as they are written; people write <c>"PORT": 3000</c> under <c>env</c>.</param>
internal sealed class TextShape(string expected = "a string", Func<string, bool>? check = null, bool loose = false) : ScalarShape<string>
{
    protected override string Expected => expected;

    protected override bool Accepts(JsonValueKind kind) => kind == JsonValueKind.String
        || (loose && kind is JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False);

    protected override bool TryParse(string text, out string value)
    {
        value = text;
        return check is null || check(text);
    }

    public override JsonNode? Write(string value) => value;

    public override JsonObject Schema() => new()
    {
        ["type"] = loose ? new JsonArray("string", "number", "boolean") : "string",
    };
}

/// <summary>A path; relative ones count from the directory of the file they are written in.</summary>
internal sealed class PathShape : Shape<string>
{
    private static readonly TextShape Text = new("a path", text => text.Length > 0 && !text.Contains('\0'));

    public override bool TryRead(ConfigNode node, string path, ConfigReading reading, [NotNullWhen(true)] out string? value)
    {
        if (!Text.TryRead(node, path, reading, out value))
        {
            return false;
        }

        value = reading.FullPath(value, node);
        return true;
    }

    public override JsonNode? Write(string value) => value;

    public override JsonObject Schema() => Text.Schema();
}

/// <summary>An absolute http or https address.</summary>
internal sealed class UrlShape : ScalarShape<Uri>
{
    protected override string Expected => "an absolute http or https address";

    /// <summary>Passwords and keys stand in some addresses; in what is no address at all, anything may.</summary>
    protected override string? Shown(string text) => Uri.TryCreate(text.Trim(), UriKind.Absolute, out var url) ? $"{url.Scheme}://{url.Host}" : null;

    protected override bool TryParse(string text, [NotNullWhen(true)] out Uri? value) =>
        Uri.TryCreate(text.Trim(), UriKind.Absolute, out value) && value.Scheme is "http" or "https" && value.Host.Length > 0;

    public override JsonNode? Write(Uri value) => value.OriginalString;

    // No "format": "uri", which a ${NAME} would fail.
    public override JsonObject Schema() => new() { ["type"] = "string" };
}

/// <summary>One of some words. Words of parts that are not built are known, so that the message can say so.</summary>
internal sealed class ChoiceShape<T>(IReadOnlyList<KeyValuePair<string, T>> words, params IReadOnlyList<string> notYet) : Shape<T>
    where T : notnull
{
    private static readonly TextShape Text = new();

    public override bool TryRead(ConfigNode node, string path, ConfigReading reading, [NotNullWhen(true)] out T? value)
    {
        value = default;
        if (!Text.TryRead(node, path, reading, out var text))
        {
            return false;
        }

        foreach (var (word, meaning) in words)
        {
            if (string.Equals(word, text, StringComparison.OrdinalIgnoreCase))
            {
                value = meaning;
                return true;
            }
        }

        var known = string.Join(" or ", Shown.Select(w => $"\"{w}\""));
        reading.Error(path, node.Line, notYet.Contains(text, StringComparer.OrdinalIgnoreCase)
            ? $"\"{node.Text}\" is not available in this version; use {known}."
            : $"must be {known}, not \"{node.Text}\"{Spelling.Suggest(text, Shown)}");
        return false;
    }

    public override JsonNode? Write(T value) => words.First(w => EqualityComparer<T>.Default.Equals(w.Value, value)).Key;

    public override JsonObject Schema() => new() { ["enum"] = new JsonArray([.. words.Select(w => JsonValue.Create(w.Key))]) };

    // Several words may mean the same ("streamable-http", "streamableHttp"); the first of each is the one to show.
    private IEnumerable<string> Shown => words.DistinctBy(w => w.Value).Select(w => w.Key);
}
