using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mooring.Configuration;

/// <summary>
/// One value as written, with the line and the source it is from. <see cref="JsonNode"/> knows neither, and a problem
/// without its place is a search through the file.
/// </summary>
internal sealed class ConfigNode(JsonValueKind kind, string origin, int? line)
{
    public JsonValueKind Kind { get; } = kind;

    /// <summary>A file path, a variable, a command line option.</summary>
    public string Origin { get; } = origin;

    /// <summary>1-based line in the file; null outside files.</summary>
    public int? Line { get; } = line;

    /// <summary>Of strings the value, of numbers and words the characters as written.</summary>
    public string Text { get; init; } = "";

    /// <summary>Of objects, in the order of the file.</summary>
    public List<KeyValuePair<string, ConfigNode>> Members { get; } = [];

    /// <summary>Of arrays.</summary>
    public List<ConfigNode> Items { get; } = [];

    public static ConfigNode String(string text, string origin) => new(JsonValueKind.String, origin, null) { Text = text };

    public ConfigNode? Member(string key) => Members.Find(m => m.Key == key).Value;

    /// <summary>Replaces the member or adds it at the end.</summary>
    public void SetMember(string key, ConfigNode value)
    {
        var at = Members.FindIndex(m => m.Key == key);
        if (at < 0)
        {
            Members.Add(new(key, value));
        }
        else
        {
            Members[at] = new(key, value);
        }
    }

    /// <summary>What it is, in the words of JSON, for messages.</summary>
    public string Describe() => Kind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "true or false",
        _ => "null",
    };
}
