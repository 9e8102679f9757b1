using Mooring.Protocol;
using Mooring.Upstreams;

namespace Mooring.Routing;

/// <summary>Where an item shown on the merged route really lives.</summary>
/// <param name="Upstream">Its server.</param>
/// <param name="Name">What that server calls it (for a resource: its URI).</param>
internal readonly record struct Place(Upstream Upstream, string Name);

/// <summary>One list of all servers together as clients see it. Immutable; sessions that see the same lists share it.</summary>
internal sealed partial class MergedList
{
    private readonly Dictionary<string, Place> _places;
    private readonly Dictionary<(Upstream, string), string> _renamed;

    private MergedList(ListKind kind, IReadOnlyList<(Upstream, ServerList)> sources, List<byte[]> items, Dictionary<string, Place> places, Dictionary<(Upstream, string), string> renamed)
    {
        Kind = kind;
        Sources = sources;
        Items = items;
        _places = places;
        _renamed = renamed;
        Hash = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(
            System.Text.Encoding.ASCII.GetBytes(string.Join(',', sources.Select(s => s.Item1.Name + s.Item2.Hash)))).AsSpan(0, 6));
    }

    public ListKind Kind { get; }

    public IReadOnlyList<(Upstream Upstream, ServerList List)> Sources { get; }

    /// <summary>The items, raw, with their shown names.</summary>
    public IReadOnlyList<byte[]> Items { get; }

    /// <summary>Of what it was made from; cursors are bound to it.</summary>
    public string Hash { get; }

    public static MergedList Build(ListKind kind, IReadOnlyList<(Upstream Upstream, ServerList List)> sources, Names names, ILogger logger)
    {
        var items = new List<byte[]>();
        var places = new Dictionary<string, Place>(StringComparer.Ordinal);
        var renamed = new Dictionary<(Upstream, string), string>();
        foreach (var (upstream, list) in sources)
        {
            foreach (var item in list.Items)
            {
                var shown = kind is ListKind.Tools or ListKind.Prompts
                    ? ShownName(kind, upstream, item.Name, names, logger)
                    : ShownUri(upstream, item.Name, names);
                if (!places.TryAdd(shown, new Place(upstream, item.Name)))
                {
                    if (places[shown].Upstream == upstream && places[shown].Name == item.Name)
                    {
                        // The server lists it twice; once is enough.
                        continue;
                    }

                    shown = Names.WithHash(shown, upstream.Name + " " + item.Name);
                    if (!places.TryAdd(shown, new Place(upstream, item.Name)))
                    {
                        continue;
                    }
                }

                var raw = list.Raw(item);
                if (shown == item.Name)
                {
                    items.Add(raw.ToArray());
                    continue;
                }

                renamed[(upstream, item.Name)] = shown;
                items.Add(JsonFields.Splice(raw, item.NameAt, JsonText.Quote(shown)));
            }
        }

        return new MergedList(kind, sources, items, places, renamed);
    }

    public Place? Find(string shown) => _places.TryGetValue(shown, out var place) ? place : null;

    /// <summary>What clients see of a server's own name or URI; null where it is the same.</summary>
    public string? Renamed(Upstream upstream, string name) => _renamed.GetValueOrDefault((upstream, name));

    public bool HasRenamed(Upstream upstream) => _renamed.Keys.Any(k => ReferenceEquals(k.Item1, upstream));

    /// <summary>The prefix that tells whose a resource is where two servers list the same URI.</summary>
    public static string UriPrefix(string server) => $"mooring+{server}:";

    private static string ShownName(ListKind kind, Upstream upstream, string name, Names names, ILogger logger)
    {
        if (upstream.HasPrefix)
        {
            return Names.Prefixed(upstream.Name, name);
        }

        var plain = Names.Fit(name);
        var holder = names.Claim(kind == ListKind.Tools ? "tool" : "prompt", plain, upstream.Name);
        if (holder == upstream.Name)
        {
            return plain;
        }

        var prefixed = Names.Prefixed(upstream.Name, name);
        Log.NameTaken(logger, plain, holder, upstream.Name, prefixed);
        return prefixed;
    }

    private static string ShownUri(Upstream upstream, string uri, Names names) =>
        names.Claim("resource", uri, upstream.Name) == upstream.Name ? uri : UriPrefix(upstream.Name) + uri;

    private static partial class Log
    {
        [LoggerMessage(211, LogLevel.Warning, "The name {Name} belongs to server {Holder}; that of server {Server} is shown as {Prefixed}.", EventName = "NameTaken")]
        public static partial void NameTaken(ILogger logger, string name, string holder, string server, string prefixed);
    }
}
