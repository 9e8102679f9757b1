using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mooring.Configuration;

/// <summary>A list. A variable may hold it as JSON or separated by commas.</summary>
/// <param name="orOne">One string stands for a list of one; not for arguments, where it would hide a mistake.</param>
internal sealed class ListShape<T>(Shape<T> item, bool orOne = false) : Shape<IReadOnlyList<T>>
{
    public override bool TryRead(ConfigNode node, string path, ConfigReading reading, [NotNullWhen(true)] out IReadOnlyList<T>? value)
    {
        if (orOne && node.Kind == JsonValueKind.String)
        {
            value = item.TryRead(node, path, reading, out var single) ? [single] : null;
            return value is not null;
        }

        if (node.Kind != JsonValueKind.Array)
        {
            return Wrong(node, path, reading, "a list", out value);
        }

        var items = new List<T>(node.Items.Count);
        for (var i = 0; i < node.Items.Count; i++)
        {
            if (item.TryRead(node.Items[i], ConfigPath.Item(path, i), reading, out var one))
            {
                items.Add(one);
            }
        }

        // Also with some missing: what is left is looked at further, so that all problems come at once.
        value = items;
        return true;
    }

    public override JsonNode? Write(IReadOnlyList<T> value) => new JsonArray([.. value.Select(item.Write)]);

    public override JsonObject Schema()
    {
        var list = new JsonObject { ["type"] = "array", ["items"] = item.Schema() };
        return orOne ? new() { ["anyOf"] = new JsonArray(list, item.Schema()) } : list;
    }

    public override bool Same(IReadOnlyList<T>? one, IReadOnlyList<T>? other) =>
        one is null || other is null
            ? ReferenceEquals(one, other)
            : one.Count == other.Count && one.Zip(other).All(pair => item.Same(pair.First, pair.Second));

    public override bool TryDescend(string segment, ConfigNode? node, out string key, [NotNullWhen(true)] out Shape? shape)
    {
        key = segment;
        shape = int.TryParse(segment, out var index) && index >= 0 && index <= (node?.Items.Count ?? 0) ? item : null;
        return shape is not null;
    }

    public override ConfigNode? FromText(string text, string origin, string path, ConfigReading reading)
    {
        if (text.AsSpan().TrimStart().StartsWith('['))
        {
            return FromJson(text, origin, reading);
        }

        var list = new ConfigNode(JsonValueKind.Array, origin, null);
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            list.Items.Add(ConfigNode.String(part, origin));
        }

        return list;
    }
}

/// <summary>Free names, each with a value, in the order of the file.</summary>
/// <param name="checkName">Null when the name is fine, else what is wrong with it.</param>
internal sealed class MapShape<T>(Shape<T> item, IEqualityComparer<string> names, Func<string, string?>? checkName = null)
    : Shape<IReadOnlyDictionary<string, T>>
{
    public override bool TryRead(
        ConfigNode node, string path, ConfigReading reading, [NotNullWhen(true)] out IReadOnlyDictionary<string, T>? value)
    {
        if (node.Kind != JsonValueKind.Object)
        {
            return Wrong(node, path, reading, "an object", out value);
        }

        var map = new Dictionary<string, T>(names);
        foreach (var (key, child) in node.Members)
        {
            var childPath = ConfigPath.Member(path, key);
            if (checkName?.Invoke(key) is { } wrong)
            {
                reading.Error(childPath, child.Line, wrong);
            }
            else if (item.TryRead(child, childPath, reading, out var one) && !map.TryAdd(key, one))
            {
                reading.Error(childPath, child.Line, "differs from an earlier name only by upper and lower case.");
            }
        }

        value = map;
        return true;
    }

    public override JsonNode? Write(IReadOnlyDictionary<string, T> value) =>
        new JsonObject(value.Select(pair => KeyValuePair.Create(pair.Key, item.Write(pair.Value))));

    public override JsonObject Schema() => new() { ["type"] = "object", ["additionalProperties"] = item.Schema() };

    public override bool Same(IReadOnlyDictionary<string, T>? one, IReadOnlyDictionary<string, T>? other) =>
        one is null || other is null
            ? ReferenceEquals(one, other)
            : one.Count == other.Count && one.All(p => other.TryGetValue(p.Key, out var twin) && item.Same(p.Value, twin));

    public override bool TryDescend(string segment, ConfigNode? node, out string key, [NotNullWhen(true)] out Shape? shape)
    {
        (key, shape) = (EnvironmentOverrides.ExistingKey(node, segment), item);
        return true;
    }

    public override ConfigNode? FromText(string text, string origin, string path, ConfigReading reading)
    {
        if (text.AsSpan().TrimStart().StartsWith('{'))
        {
            return FromJson(text, origin, reading);
        }

        reading.Error(path, null, $"is an object; {origin} must hold JSON or end in __NAME.");
        return null;
    }
}

/// <summary>A struct that may be absent.</summary>
internal sealed class OptionalShape<T>(Shape<T> inner) : Shape<T?>
    where T : struct
{
    public override bool TryRead(ConfigNode node, string path, ConfigReading reading, [NotNullWhen(true)] out T? value)
    {
        var read = inner.TryRead(node, path, reading, out var found);
        value = read ? found : null;
        return read;
    }

    public override JsonNode? Write(T? value) => value is { } present ? inner.Write(present) : null;

    public override JsonObject Schema() => inner.Schema();
}

/// <summary>Settings that someone else checks, such as those of a connector: kept as JSON, references replaced.</summary>
internal sealed class FreeShape : Shape<JsonObject>
{
    public static readonly FreeShape Instance = new();

    public override bool TryRead(ConfigNode node, string path, ConfigReading reading, [NotNullWhen(true)] out JsonObject? value)
    {
        if (node.Kind != JsonValueKind.Object)
        {
            return Wrong(node, path, reading, "an object", out value);
        }

        value = (JsonObject)ToJson(node, path, reading)!;
        return true;
    }

    public static JsonNode? ToJson(ConfigNode node, string path, ConfigReading reading)
    {
        switch (node.Kind)
        {
            case JsonValueKind.Object:
                var map = new JsonObject();
                foreach (var (key, child) in node.Members)
                {
                    map[key] = ToJson(child, ConfigPath.Member(path, key), reading);
                }

                return map;
            case JsonValueKind.Array:
                return new JsonArray([.. node.Items.Select((child, i) => ToJson(child, ConfigPath.Item(path, i), reading))]);
            case JsonValueKind.String:
                return reading.TryExpand(node, path, out var text) ? JsonValue.Create(text) : null;
            default:
                return JsonNode.Parse(node.Text);
        }
    }

    public override JsonNode? Write(JsonObject value) => value.DeepClone();

    public override JsonObject Schema() => new() { ["type"] = "object" };

    public override bool Same(JsonObject? one, JsonObject? other) => JsonNode.DeepEquals(one, other);

    public override bool TryDescend(string segment, ConfigNode? node, out string key, [NotNullWhen(true)] out Shape? shape)
    {
        (key, shape) = (EnvironmentOverrides.ExistingKey(node, segment), this);
        return true;
    }

    // Nothing says what type is wanted: what reads as JSON other than a string is taken as that.
    public override ConfigNode? FromText(string text, string origin, string path, ConfigReading reading)
    {
        try
        {
            using var json = JsonDocument.Parse(text);
            return json.RootElement.ValueKind == JsonValueKind.String
                ? ConfigNode.String(text, origin)
                : FromJson(text, origin, reading);
        }
        catch (JsonException)
        {
            return ConfigNode.String(text, origin);
        }
    }
}
