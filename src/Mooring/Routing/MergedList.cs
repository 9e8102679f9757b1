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
    private IReadOnlyList<byte[]>? _older;
    private Offer? _offered;

    private MergedList(ListKind kind, IReadOnlyList<(Upstream, ServerList)> sources, int settled, List<byte[]> items, List<(Upstream, ServerList.Item)> origins, Dictionary<string, Place> places, Dictionary<(Upstream, string), string> renamed)
    {
        Kind = kind;
        Sources = sources;
        Settled = settled;
        Items = items;
        Origins = origins;
        _places = places;
        _renamed = renamed;
        Hash = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(
            System.Text.Encoding.ASCII.GetBytes(string.Join(',', sources.Select(s => s.Item1.Name + s.Item2.Hash)))).AsSpan(0, 6));
    }

    public ListKind Kind { get; }

    public IReadOnlyList<(Upstream Upstream, ServerList List)> Sources { get; }

    /// <summary>
    /// How many of the sources, from the first, take names for good. Those after a server that is still starting do not yet: what both
    /// list is to be that server's, as it comes first in the configuration.
    /// </summary>
    public int Settled { get; }

    /// <summary>The version of the names it was built with.</summary>
    public required long Named { get; init; }

    /// <summary>The items, raw, with their shown names.</summary>
    public IReadOnlyList<byte[]> Items { get; }

    /// <summary>Where each of the <see cref="Items"/> is from, and what it says of itself there.</summary>
    public IReadOnlyList<(Upstream Upstream, ServerList.Item Item)> Origins { get; }

    /// <summary>As <see cref="Items"/>, as a client of the version can read them.</summary>
    /// <param name="version">The client's.</param>
    /// <param name="offerTasks">The servers whose tools it may call as tasks, of which they say nothing themselves; only in one version.</param>
    public IReadOnlyList<byte[]> ItemsFor(ProtocolVersion version, IReadOnlyCollection<Upstream> offerTasks)
    {
        if (Kind != ListKind.Tools || !version.WantsObjects())
        {
            return Items;
        }

        _older ??= [.. Items.Select(item => OlderClients.Tool(item) ?? item)];
        return offerTasks.Count == 0 ? _older : Offered(_older, offerTasks);
    }

    private IReadOnlyList<byte[]> Offered(IReadOnlyList<byte[]> items, IReadOnlyCollection<Upstream> offerTasks)
    {
        var of = string.Join(' ', offerTasks.Select(upstream => upstream.Name));
        if (Volatile.Read(ref _offered) is { } known && known.Of == of)
        {
            return known.Items;
        }

        IReadOnlyList<byte[]> offered = [.. items.Select((item, i) => offerTasks.Contains(Origins[i].Upstream) ? TasksExtension.Offer(item) : item)];
        Volatile.Write(ref _offered, new Offer(of, offered));
        return offered;
    }

    /// <summary>For how long from now on and for whom all of its servers say that theirs is so.</summary>
    public CacheHint HintAt(DateTimeOffset now, Func<Upstream, bool> isTold) => CacheHint.Least(Sources.Select(source => source.List.HintAt(now, isTold(source.Upstream))));

    /// <summary>Of what it was made from; cursors are bound to it.</summary>
    public string Hash { get; }

    public static MergedList Build(ListKind kind, IReadOnlyList<(Upstream Upstream, ServerList List)> sources, int settled, Names names, long named, ILogger logger)
    {
        var passing = new Dictionary<string, string>(StringComparer.Ordinal);
        var items = new List<byte[]>();
        var origins = new List<(Upstream, ServerList.Item)>();
        var places = new Dictionary<string, Place>(StringComparer.Ordinal);
        var renamed = new Dictionary<(Upstream, string), string>();
        for (var i = 0; i < sources.Count; i++)
        {
            var (upstream, list) = sources[i];
            Func<string, string, string> claim = i < settled
                ? (what, name) => names.Claim(what, name, upstream.Name)
                : (what, name) => names.Holder(what, name) ?? (passing.TryAdd(name, upstream.Name) ? upstream.Name : passing[name]);
            foreach (var item in list.Items)
            {
                var shown = kind is ListKind.Tools or ListKind.Prompts
                    ? ShownName(kind, upstream, item.Name, claim, logger)
                    : ShownUri(upstream, item.Name, claim);
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
                origins.Add((upstream, item));
                if (shown == item.Name)
                {
                    items.Add(raw.ToArray());
                    continue;
                }

                renamed[(upstream, item.Name)] = shown;
                items.Add(JsonFields.Splice(raw, item.NameAt, JsonText.Quote(shown)));
            }
        }

        return new MergedList(kind, sources, settled, items, origins, places, renamed) { Named = named };
    }

    public Place? Find(string shown) => _places.TryGetValue(shown, out var place) ? place : null;

    /// <summary>What clients see of a server's own name or URI; null where it is the same.</summary>
    public string? Renamed(Upstream upstream, string name) => _renamed.GetValueOrDefault((upstream, name));

    public bool HasRenamed(Upstream upstream) => _renamed.Keys.Any(k => ReferenceEquals(k.Item1, upstream));

    /// <summary>The prefix that tells whose a resource is where two servers list the same URI.</summary>
    /// <remarks>
    /// A scheme has lower-case letters, digits, <c>+</c>, <c>-</c> and <c>.</c> only (RFC 3986, section 3.1; upper case counts as lower
    /// case): an underscore becomes a dot, a capital its small letter after a plus. No name has dots or pluses of its own.
    /// </remarks>
    public static string UriPrefix(string server)
    {
        var prefix = new System.Text.StringBuilder("mooring+", server.Length + 12);
        foreach (var c in server)
        {
            _ = c == '_' ? prefix.Append('.') : char.IsAsciiLetterUpper(c) ? prefix.Append('+').Append(char.ToLowerInvariant(c)) : prefix.Append(c);
        }

        return prefix.Append(':').ToString();
    }

    private static string ShownName(ListKind kind, Upstream upstream, string name, Func<string, string, string> claim, ILogger logger)
    {
        if (upstream.HasPrefix)
        {
            return Names.Prefixed(upstream.Name, name);
        }

        var plain = Names.Fit(name);
        var holder = claim(Names.KindIn(kind), plain);
        if (holder == upstream.Name)
        {
            return plain;
        }

        var prefixed = Names.Prefixed(upstream.Name, name);
        Log.NameTaken(logger, plain, holder, upstream.Name, prefixed);
        return prefixed;
    }

    private static string ShownUri(Upstream upstream, string uri, Func<string, string, string> claim) =>
        claim("resource", uri) == upstream.Name ? uri : UriPrefix(upstream.Name) + uri;

    /// <param name="Of">Names of the servers whose tools are offered as tasks.</param>
    /// <param name="Items">All items.</param>
    private sealed record Offer(string Of, IReadOnlyList<byte[]> Items);

    private static partial class Log
    {
        [LoggerMessage(211, LogLevel.Warning, "The name {Name} belongs to server {Holder}; that of server {Server} is shown as {Prefixed}.", EventName = "NameTaken")]
        public static partial void NameTaken(ILogger logger, string name, string holder, string server, string prefixed);
    }
}
