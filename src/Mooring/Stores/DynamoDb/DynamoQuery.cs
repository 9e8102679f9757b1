using Amazon.DynamoDBv2.Model;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <summary>A question to one partition.</summary>
internal sealed class DynamoQuery
{
    private readonly List<string> _keys = [];
    private readonly List<string> _filters = [];

    public DynamoQuery(string partition)
    {
        _keys.Add($"{N(DynamoKeys.Partition)} = {V(Text(partition))}");
    }

    public Dictionary<string, string> Names { get; } = new(StringComparer.Ordinal);

    public Dictionary<string, AttributeValue> Values { get; } = new(StringComparer.Ordinal);

    public string Keys => string.Join(" AND ", _keys);

    public string? Filters => _filters.Count == 0 ? null : string.Join(" AND ", _filters.Select(one => $"({one})"));

    public string? Projection { get; private set; }

    public int Limit { get; private set; } = int.MaxValue;

    public bool IsBackward { get; private set; }

    /// <summary>Whether what is committed counts; else what some copy has, at half the price.</summary>
    public bool IsConsistent { get; private set; } = true;

    public string N(string name)
    {
        var place = "#" + name;
        Names[place] = name;
        return place;
    }

    public string V(AttributeValue value)
    {
        var place = $":v{Values.Count}";
        Values[place] = value;
        return place;
    }

    public DynamoQuery StartingWith(string prefix)
    {
        _keys.Add($"begins_with({N(DynamoKeys.Sort)}, {V(Text(prefix))})");
        return this;
    }

    public DynamoQuery Between(string first, string last)
    {
        _keys.Add($"{N(DynamoKeys.Sort)} BETWEEN {V(Text(first))} AND {V(Text(last))}");
        return this;
    }

    public DynamoQuery Where(string filter)
    {
        _filters.Add(filter);
        return this;
    }

    public DynamoQuery Only(params ReadOnlySpan<string> names)
    {
        var places = new List<string>();
        foreach (var name in names)
        {
            places.Add(N(name));
        }

        Projection = string.Join(", ", places);
        return this;
    }

    public DynamoQuery AtMost(int limit)
    {
        Limit = limit;
        return this;
    }

    public DynamoQuery Backward()
    {
        IsBackward = true;
        return this;
    }

    public DynamoQuery Loosely()
    {
        IsConsistent = false;
        return this;
    }
}
