using System.Text.Json;

namespace Mooring.Configuration;

/// <summary>
/// Puts <c>MOORING_KeepAlive__Interval=10s</c> into the tree read from the file, before anything looks at it. Upper and lower
/// case do not matter; <c>__</c> goes one level down, also into maps by name and into lists by index.
/// </summary>
internal static class EnvironmentOverrides
{
    public const string Prefix = "MOORING_";

    /// <summary>The file to read, as <c>--config</c>.</summary>
    public const string ConfigFile = "MOORING_CONFIG";

    /// <summary>The data directory, as <c>--data</c>.</summary>
    public const string Data = "MOORING_DATA";

    /// <summary>The checkout or installation, set by the start scripts: its <c>docs</c> are served when nothing else is configured.</summary>
    public const string Home = "MOORING_HOME";

    /// <summary>What the verbs that talk to a running gateway show it where it wants to know who asks.</summary>
    public const string Token = "MOORING_TOKEN";

    private static readonly string[] Own = [ConfigFile, Data, Home, Token];

    public static void Apply(ConfigNode root, Shape shape, ConfigReading reading)
    {
        // Short paths first, so that MOORING_Origins__2 adds to what MOORING_Origins set.
        var ours = reading.Environment.Keys
            .Where(name => name.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase) && !Own.Contains(name))
            .OrderBy(name => name.Split("__").Length).ThenBy(name => name, StringComparer.Ordinal);
        foreach (var name in ours)
        {
            Apply(root, shape, name, reading.Environment[name], reading);
        }
    }

    /// <summary>The key that is already there whatever its case; variables cannot hold <c>-</c>, so <c>_</c> stands for it too.</summary>
    public static string ExistingKey(ConfigNode? node, string segment)
    {
        var keys = node?.Members.Select(m => m.Key).ToList() ?? [];
        return keys.Find(key => key == segment)
            ?? keys.Find(key => string.Equals(key, segment, StringComparison.OrdinalIgnoreCase))
            ?? keys.Find(key => string.Equals(key.Replace('-', '_'), segment, StringComparison.OrdinalIgnoreCase))
            ?? segment;
    }

    private static void Apply(ConfigNode root, Shape shape, string name, string value, ConfigReading reading)
    {
        var segments = name[Prefix.Length..].Split("__");
        var (node, path) = (root, "");
        // Done at the end only: a name that leads nowhere must leave no traces that are reported as problems of their own.
        var links = new List<(ConfigNode Parent, string Key, int Index, ConfigNode Value)>();
        for (var i = 0; i < segments.Length; i++)
        {
            if (!shape.TryDescend(segments[i], node, out var key, out var below))
            {
                Unknown(name, segments, shape, segments[i], reading);
                return;
            }

            var index = node.Kind == JsonValueKind.Array ? int.Parse(key) : -1;
            path = index < 0 ? ConfigPath.Member(path, key) : ConfigPath.Item(path, index);
            shape = below;
            if (i == segments.Length - 1)
            {
                if (shape.FromText(value, name, path, reading) is { } set)
                {
                    links.Add((node, key, index, set));
                    links.ForEach(link => Put(link.Parent, link.Key, link.Index, link.Value));
                }

                return;
            }

            var child = index < 0 ? node.Member(key) : node.Items.ElementAtOrDefault(index);
            if (child is not { Kind: JsonValueKind.Object or JsonValueKind.Array })
            {
                var kind = int.TryParse(segments[i + 1], out _) ? JsonValueKind.Array : JsonValueKind.Object;
                child = new ConfigNode(kind, name, null);
                links.Add((node, key, index, child));
            }

            node = child;
        }
    }

    private static void Put(ConfigNode parent, string key, int index, ConfigNode value)
    {
        if (index < 0)
        {
            parent.SetMember(key, value);
        }
        else if (index < parent.Items.Count)
        {
            parent.Items[index] = value;
        }
        else
        {
            parent.Items.Add(value);
        }
    }

    private static void Unknown(string name, string[] segments, Shape shape, string segment, ConfigReading reading)
    {
        if (segments.Length > 1)
        {
            reading.Error(name, null, $"names no setting: \"{segment}\" is unknown{Spelling.Suggest(segment, shape.Keys)}");
        }
        else if (!segment.StartsWith("PORT", StringComparison.Ordinal) && !segment.StartsWith("SERVICE_", StringComparison.Ordinal))
        {
            // Not an error: Kubernetes sets MOORING_PORT, MOORING_SERVICE_HOST and more in every pod beside a service called "mooring".
            reading.Warn(name, null, "names no setting" + Spelling.Suggest(segment, shape.Keys));
        }
    }
}
