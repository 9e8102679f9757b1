using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mooring.Configuration;

/// <summary><c>connectors</c>: names and prefixes are read here, the rest is each connector's own affair.</summary>
internal sealed class ConnectorsShape : Shape<IReadOnlyList<ConnectorConfig>>
{
    private static readonly string[] NotYet = ["google", "servicenow", "slack", "hubspot"];

    private static readonly MapShape<JsonObject> Entries = new(FreeShape.Instance, StringComparer.Ordinal, name =>
        NotYet.Contains(name) ? $"is not available in this version (the {name} connector)." : ServersShape.CheckName(name));

    public override bool TryRead(
        ConfigNode node, string path, ConfigReading reading, [NotNullWhen(true)] out IReadOnlyList<ConnectorConfig>? value)
    {
        if (!Entries.TryRead(node, path, reading, out var entries))
        {
            value = null;
            return false;
        }

        var connectors = new List<ConnectorConfig>();
        foreach (var (name, settings) in entries)
        {
            var (child, childPath) = (node.Member(name)!, ConfigPath.Member(path, name));
            var prefix = PrefixRule.Default;
            if (child.Member("prefix") is { } written)
            {
                settings.Remove("prefix");
                prefix = ServerSettings.Prefix.TryRead(written, ConfigPath.Member(childPath, "prefix"), reading, out var rule) ? rule : prefix;
            }

            // Relative paths count from the file, whoever reads them later.
            if (child.Member("path") is { Kind: JsonValueKind.String } folder && settings["path"] is JsonValue text)
            {
                settings["path"] = reading.FullPath(text.GetValue<string>(), folder);
            }

            connectors.Add(new ConnectorConfig(name, settings) { Prefix = prefix });
        }

        value = connectors;
        return true;
    }

    public override JsonNode? Write(IReadOnlyList<ConnectorConfig> value) => null;

    public override JsonObject Schema() => new()
    {
        ["type"] = "object",
        ["additionalProperties"] = new JsonObject
        {
            ["type"] = "object",
            ["properties"] = new JsonObject { ["prefix"] = ServerSettings.Prefix.Schema() },
        },
    };

    public override bool Same(IReadOnlyList<ConnectorConfig>? one, IReadOnlyList<ConnectorConfig>? other) =>
        one is null || other is null
            ? ReferenceEquals(one, other)
            : one.Count == other.Count && one.Zip(other).All(pair => pair.First.Name == pair.Second.Name
                && pair.First.Prefix == pair.Second.Prefix && JsonNode.DeepEquals(pair.First.Settings, pair.Second.Settings));

    public override bool TryDescend(string segment, ConfigNode? node, out string key, [NotNullWhen(true)] out Shape? shape) =>
        Entries.TryDescend(segment, node, out key, out shape);

    public override ConfigNode? FromText(string text, string origin, string path, ConfigReading reading) =>
        Entries.FromText(text, origin, path, reading);
}
