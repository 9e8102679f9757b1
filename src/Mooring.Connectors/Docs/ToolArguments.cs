using System.Text.Json;

namespace Mooring.Connectors.Docs;

/// <summary>
/// Reads the arguments of one call and collects every problem, so that a model can mend its call in one go. Names that no tool knows
/// are ignored, as the earlier docs server did.
/// </summary>
internal sealed class ToolArguments(IEnumerable<KeyValuePair<string, JsonElement>>? values, string path = "")
{
    private readonly Dictionary<string, JsonElement> _values = new(values ?? [], StringComparer.Ordinal);

    public List<string> Problems { get; } = [];

    public string? Text(string name, bool required = false, int longest = 2000)
    {
        if (Find(name) is not { } value)
        {
            if (required)
            {
                Problems.Add($"{path}{name} is missing");
            }

            return null;
        }

        if (value.ValueKind != JsonValueKind.String)
        {
            Problems.Add($"{path}{name} must be a text");
            return null;
        }

        var text = value.GetString()!;
        if (string.IsNullOrWhiteSpace(text) && required)
        {
            Problems.Add($"{path}{name} must not be empty");
        }
        else if (text.Length > longest)
        {
            Problems.Add($"{path}{name} has {text.Length} characters; at most {longest} are allowed");
        }

        return text;
    }

    public int Whole(string name, int smallest, int largest, int absent)
    {
        if (Find(name) is not { } value)
        {
            return absent;
        }

        // 8.0 is a whole number in JSON, too.
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number)
            && Math.Floor(number) == number && number >= smallest && number <= largest)
        {
            return (int)number;
        }

        Problems.Add($"{path}{name} must be a whole number from {smallest} to {largest}");
        return absent;
    }

    public bool Flag(string name, bool absent)
    {
        if (Find(name) is not { } value)
        {
            return absent;
        }

        if (value.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
        {
            Problems.Add($"{path}{name} must be true or false");
            return absent;
        }

        return value.GetBoolean();
    }

    /// <summary>The arguments within an argument; none when it is absent.</summary>
    public ToolArguments Within(string name)
    {
        if (Find(name) is not { } value)
        {
            return new ToolArguments(null);
        }

        if (value.ValueKind != JsonValueKind.Object)
        {
            Problems.Add($"{path}{name} must be an object");
            return new ToolArguments(null);
        }

        return new ToolArguments(
            value.EnumerateObject().GroupBy(property => property.Name, (key, same) => KeyValuePair.Create(key, same.Last().Value)), $"{path}{name}.");
    }

    /// <summary>A null counts as absent: many clients fill in every optional argument with it.</summary>
    private JsonElement? Find(string name) =>
        _values.TryGetValue(name, out var value) && value.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined) ? value : null;
}
