using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mooring.Configuration;

/// <summary>
/// What a value may look like: reads it, says what is wrong with it and describes itself as JSON schema. The table in
/// <see cref="Settings"/> is made of these, so that reading, limits, defaults and schema cannot differ.
/// </summary>
internal abstract class Shape
{
    /// <summary>The schema of this value, without description and default.</summary>
    public abstract JsonObject Schema();

    /// <summary>What a path segment of an environment variable means here; false where there is nothing below.</summary>
    public virtual bool TryDescend(string segment, ConfigNode? node, out string key, [NotNullWhen(true)] out Shape? shape)
    {
        key = segment;
        shape = null;
        return false;
    }

    /// <summary>Names that could have been meant, for the message after <see cref="TryDescend"/> failed.</summary>
    public virtual IEnumerable<string> Keys => [];

    /// <summary>The value that an environment variable stands for; null after a problem was reported.</summary>
    public virtual ConfigNode? FromText(string text, string origin, string path, ConfigReading reading) =>
        ConfigNode.String(text, origin);

    protected static ConfigNode? FromJson(string text, string origin, ConfigReading reading) =>
        ConfigText.Parse(Encoding.UTF8.GetBytes(text), origin, reading, lines: false);
}

/// <inheritdoc cref="Shape"/>
internal abstract class Shape<T> : Shape
{
    /// <summary>False after a problem was reported.</summary>
    public abstract bool TryRead(ConfigNode node, string path, ConfigReading reading, [NotNullWhen(true)] out T? value);

    /// <summary>The value as it would be written, for the default in the schema.</summary>
    public abstract JsonNode? Write(T value);

    public virtual bool Same(T? one, T? other) => EqualityComparer<T?>.Default.Equals(one, other);

    /// <summary>Notes the origin of each setting below that was not written; true when this shape has settings below.</summary>
    public virtual bool NoteDefaults(string path, ConfigReading reading) => false;

    protected static bool Wrong(ConfigNode node, string path, ConfigReading reading, string expected, out T? value)
    {
        value = default;
        reading.Error(path, node.Line, $"must be {expected}, not {node.Describe()}.");
        return false;
    }
}
