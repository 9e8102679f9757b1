using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mooring.Configuration;

/// <summary>A record, setting by setting. Unknown keys are errors: a slip of the pen must not turn into a default.</summary>
/// <param name="create">Makes the record with its defaults.</param>
internal sealed class ObjectShape<T>(Func<T> create) : Shape<T>
{
    private readonly List<Field<T>> _fields = [];

    public ObjectShape<T> Add<TValue>(
        string name, Shape<TValue> shape, Func<T, TValue?> get, Func<T, TValue, T> set, string doc, bool restart = false)
    {
        _fields.Add(new ValueField<T, TValue>(name, shape, get, set, doc, restart));
        return this;
    }

    public ObjectShape<T> Extra<TValue>(string name, Shape<TValue> shape, Func<T, TValue, T> set, string doc)
    {
        _fields.Add(new ExtraField<T, TValue>(name, shape, set, doc));
        return this;
    }

    /// <summary>Known, refused until its part is built.</summary>
    public ObjectShape<T> NotYet(string name, string doc)
    {
        _fields.Add(new NotYetField<T>(name, doc));
        return this;
    }

    /// <summary>Written by other programs, without meaning here.</summary>
    public ObjectShape<T> Foreign(string name, string doc, bool silent = false)
    {
        _fields.Add(new ForeignField<T>(name, doc, silent));
        return this;
    }

    public override IEnumerable<string> Keys => _fields.Select(f => f.Name);

    /// <summary>False when it is no object; problems inside leave the defaults in their place, so that all of them are found.</summary>
    public override bool TryRead(ConfigNode node, string path, ConfigReading reading, [NotNullWhen(true)] out T? value)
    {
        if (node.Kind != JsonValueKind.Object)
        {
            return Wrong(node, path, reading, "an object", out value);
        }

        value = create()!;
        foreach (var (key, child) in node.Members)
        {
            if (_fields.Find(f => f.Name == key) is not { } field)
            {
                reading.Error(ConfigPath.Member(path, key), child.Line, "is not a setting" + Spelling.Suggest(key, Keys));
            }
            else if (child.Kind != JsonValueKind.Null)
            {
                value = field.Read(value, child, ConfigPath.Member(path, key), reading)!;
            }
        }

        foreach (var field in _fields.Where(f => node.Member(f.Name) is null or { Kind: JsonValueKind.Null }))
        {
            field.NoteDefault(ConfigPath.Member(path, field.Name), reading);
        }

        return true;
    }

    public override bool NoteDefaults(string path, ConfigReading reading)
    {
        foreach (var field in _fields)
        {
            field.NoteDefault(ConfigPath.Member(path, field.Name), reading);
        }

        return true;
    }

    /// <summary>Adds what differs to <paramref name="changes"/> and puts back what only a restart can change.</summary>
    public T Compare(T old, T next, string path, List<SettingChange> changes)
    {
        foreach (var field in _fields)
        {
            next = field.Compare(old, next, ConfigPath.Member(path, field.Name), changes);
        }

        return next;
    }

    public override bool Same(T? one, T? other)
    {
        if (one is null || other is null)
        {
            return one is null && other is null;
        }

        var changes = new List<SettingChange>();
        Compare(one, other, "", changes);
        return changes.Count == 0;
    }

    public override JsonNode? Write(T value) => throw new NotSupportedException("Sections have no default of their own.");

    public override JsonObject Schema()
    {
        var defaults = create();
        var properties = new JsonObject();
        foreach (var field in _fields)
        {
            if (field.Schema(defaults) is { } schema)
            {
                properties[field.Name] = schema;
            }
        }

        return new() { ["type"] = "object", ["additionalProperties"] = false, ["properties"] = properties };
    }

    public override bool TryDescend(string segment, ConfigNode? node, out string key, [NotNullWhen(true)] out Shape? shape)
    {
        var field = _fields.Find(f => string.Equals(f.Name, segment, StringComparison.OrdinalIgnoreCase));
        key = field?.Name ?? segment;
        // A field without shape still has its message to give: a node is put in its place and read like any other.
        shape = field is null ? null : field.Shape ?? FreeShape.Instance;
        return shape is not null;
    }

    public override ConfigNode? FromText(string text, string origin, string path, ConfigReading reading)
    {
        if (text.AsSpan().TrimStart().StartsWith('{'))
        {
            return FromJson(text, origin, reading);
        }

        reading.Error(path, null, $"is a section; {origin} must hold JSON or end in __NAME.");
        return null;
    }
}
