using Amazon.DynamoDBv2.Model;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <summary>One conditional write of one item: the only thing that is atomic here. Every name and value goes by a placeholder.</summary>
/// <param name="key">Which item.</param>
internal sealed class DynamoWrite(Dictionary<string, AttributeValue> key)
{
    private readonly List<string> _sets = [];
    private readonly List<string> _removes = [];
    private readonly List<string> _conditions = [];
    private readonly Dictionary<string, string> _places = new(StringComparer.Ordinal);

    public Dictionary<string, AttributeValue> Key => key;

    public Dictionary<string, string> Names { get; } = new(StringComparer.Ordinal);

    public Dictionary<string, AttributeValue> Values { get; } = new(StringComparer.Ordinal);

    /// <summary>The whole item, where it is put; null: attributes of it change.</summary>
    public Dictionary<string, AttributeValue>? Whole { get; private set; }

    /// <summary>Stands in the item after this write, and tells whose it is.</summary>
    public string? Token { get; private set; }

    public string? Condition => _conditions.Count == 0 ? null : string.Join(" AND ", _conditions.Select(one => $"({one})"));

    public string Expression => string.Join(
        ' ', new[] { _sets.Count > 0 ? "SET " + string.Join(", ", _sets) : "", _removes.Count > 0 ? "REMOVE " + string.Join(", ", _removes) : "" }.Where(part => part.Length > 0));

    public static DynamoWrite Put(Dictionary<string, AttributeValue> item) => new(DynamoKeys.Of(item)) { Whole = item };

    /// <summary>The placeholder of a name, which may lead into maps.</summary>
    public string N(params ReadOnlySpan<string> path)
    {
        var parts = new List<string>();
        foreach (var part in path)
        {
            if (!_places.TryGetValue(part, out var place))
            {
                _places[part] = place = $"#n{_places.Count}";
                Names[place] = part;
            }

            parts.Add(place);
        }

        return string.Join('.', parts);
    }

    public string V(AttributeValue value)
    {
        var place = $":v{Values.Count}";
        Values[place] = value;
        return place;
    }

    /// <summary>Null takes the attribute away.</summary>
    public DynamoWrite Set(string name, AttributeValue? value)
    {
        if (value is null)
        {
            _removes.Add(N(name));
        }
        else
        {
            _sets.Add($"{N(name)} = {V(value)}");
        }

        return this;
    }

    /// <summary>A whole assignment, or a path to take away, with placeholders.</summary>
    public DynamoWrite SetRaw(string assignment)
    {
        _sets.Add(assignment);
        return this;
    }

    public DynamoWrite Remove(string path)
    {
        _removes.Add(path);
        return this;
    }

    public DynamoWrite When(string condition)
    {
        _conditions.Add(condition);
        return this;
    }

    public DynamoWrite WhenThere() => When($"attribute_exists({N(DynamoKeys.Partition)})");

    public DynamoWrite WhenNotThere() => When($"attribute_not_exists({N(DynamoKeys.Partition)})");

    /// <summary>Marks the item, so that a write whose answer was lost is known again.</summary>
    public DynamoWrite Marked()
    {
        Token = NewToken();
        if (Whole is { } item)
        {
            item[DynamoKeys.Token] = Text(Token);
        }
        else
        {
            Set(DynamoKeys.Token, Text(Token));
        }

        return this;
    }
}
