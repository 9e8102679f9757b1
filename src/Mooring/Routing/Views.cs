using Mooring.Protocol;
using Mooring.Sessions;
using Mooring.Upstreams;

namespace Mooring.Routing;

/// <summary>What each session sees of the servers: its lists, and where a name or URI it uses really lives.</summary>
internal sealed class Views(UpstreamTable upstreams, Catalogue catalogue, Names names, ILogger<Views> logger)
{
    /// <summary>Sessions see few different combinations of lists; each is built once.</summary>
    private const int Cached = 64;

    private readonly Lock _gate = new();
    private readonly LinkedList<MergedList> _cache = [];

    /// <summary>The best list there is for a session without asking anyone; null when nothing was ever known.</summary>
    public ServerList? Known(Session session, Upstream upstream, ListKind kind) =>
        session.Lists.Of(upstream)?[kind]
        ?? (upstream.NeedsAccount ? null : catalogue.Find(upstream.Name, session.Lists.Key(upstream))[kind] ?? catalogue.FindAny(upstream.Name)[kind]);

    /// <summary>Whether a list is known under exactly the session's own conditions and nothing speaks against it, so that nobody has to be asked first.</summary>
    public bool IsKnown(Session session, Upstream upstream, ListKind kind) =>
        (session.Lists.Of(upstream)?[kind] is null ? catalogue.IsCertain(upstream.Name, session.Lists.Key(upstream), kind) : session.Lists.IsCertain(upstream, kind))
        || (upstream.Health.IsAway && Known(session, upstream, kind) is not null);

    /// <summary>All servers together, from what is known.</summary>
    public MergedList Merged(Session session, ListKind kind)
    {
        // Noted before the lists are looked at: what changes meanwhile counts as changed for whoever asks next.
        var basis = new ViewBasis(upstreams.Version, catalogue.Version, session.Lists.Version, session.Record, names.Version);
        if (session.Views.Find(kind, basis) is { } seen)
        {
            return seen;
        }

        var (merged, isComplete) = Merge(session, kind);
        if (isComplete)
        {
            session.Views.Keep(kind, basis, merged);
        }

        return merged;
    }

    /// <returns>The list, and whether every server's is in it: else it also depends on which of them are away.</returns>
    private (MergedList List, bool IsComplete) Merge(Session session, ListKind kind)
    {
        var sources = new List<(Upstream, ServerList)>();
        int? settled = null;
        foreach (var upstream in upstreams.All)
        {
            if (Known(session, upstream, kind) is { } list)
            {
                sources.Add((upstream, list));
            }
            else if (!upstream.Health.IsAway)
            {
                // It may still list what a later one lists too. One that is away must not keep names open for ever.
                settled ??= sources.Count;
            }
        }

        var settles = settled ?? sources.Count;
        var named = names.Version;
        lock (_gate)
        {
            for (var node = _cache.First; node is not null; node = node.Next)
            {
                if (node.Value.Kind == kind && node.Value.Settled == settles && node.Value.Named == named && Same(node.Value.Sources, sources))
                {
                    return (node.Value, sources.Count == upstreams.All.Count);
                }
            }
        }

        var built = MergedList.Build(kind, sources, settles, names, named, logger);
        lock (_gate)
        {
            _cache.AddFirst(built);
            if (_cache.Count > Cached)
            {
                _cache.RemoveLast();
            }
        }

        return (built, sources.Count == upstreams.All.Count);
    }

    /// <summary>Where a tool or prompt that the client names lives.</summary>
    public Place? Find(Session session, ListKind kind, string shown) => Merged(session, kind).Find(shown) ?? ByPrefix(shown);

    /// <summary>Not in the list last known: it may be newer than the list, and its prefix still says whose it is.</summary>
    private Place? ByPrefix(string shown)
    {
        // The longest one: with servers a and a__b, a__b__c is more likely c of a__b.
        var owner = upstreams.All
            .Where(u => u.HasPrefix && shown.StartsWith(u.Name + Names.Separator, StringComparison.Ordinal))
            .MaxBy(u => u.Name.Length);
        return owner is null ? null : new Place(owner, shown[(owner.Name.Length + Names.Separator.Length)..]);
    }

    /// <summary>Where a resource lives: as listed, by its prefix, by a template, or by the server that sent this session a link to it.</summary>
    public (Upstream Upstream, string Uri)? ServerOf(Session session, string uri)
    {
        if (session.Server is { } single)
        {
            return upstreams.Find(single) is { } only ? (only, uri) : null;
        }

        if (Merged(session, ListKind.Resources).Find(uri) is { } listed)
        {
            return (listed.Upstream, listed.Name);
        }

        if (Merged(session, ListKind.Templates).Find(uri) is { } template)
        {
            return (template.Upstream, template.Name);
        }

        foreach (var upstream in upstreams.All)
        {
            var prefix = MergedList.UriPrefix(upstream.Name);
            if (uri.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
            {
                return (upstream, uri[prefix.Length..]);
            }
        }

        foreach (var (upstream, list) in Merged(session, ListKind.Templates).Sources)
        {
            if (list.Items.Any(item => UriTemplates.Matches(item.Name, uri)))
            {
                return (upstream, uri);
            }
        }

        return session.SeenLinks?.ServerOf(uri) is { } seen && upstreams.Find(seen) is { } known ? (known, uri) : null;
    }

    /// <summary>A message of a server as the client of a merged route sees it: URIs, and ids of tasks and pages, by their shown names.</summary>
    public byte[] ToClient(Session session, Upstream upstream, byte[] line)
    {
        Learn(session, upstream, line);
        if (line.AsSpan().IndexOf("\"taskId\""u8) >= 0)
        {
            line = TaskIds.Show(line, upstream.Name);
        }

        if (line.AsSpan().IndexOf("\"elicitationId\""u8) >= 0)
        {
            line = ElicitationIds.Show(line, upstream.Name);
        }

        return MayRename(session, upstream) ? ResourceUris.Replace(line, uri => ShownUri(session, upstream, uri)) : line;
    }

    /// <summary>Whether answers of this server can differ from what the client is to see at all.</summary>
    public bool NeedsTranslation(Session session, Upstream upstream, ReadOnlySpan<byte> answer) =>
        session.Server is null
        && (answer.IndexOf("\"taskId\""u8) >= 0 || answer.IndexOf("resource_link"u8) >= 0 || answer.IndexOf("\"elicitationId\""u8) >= 0
            || (answer.IndexOf("\"uri\""u8) >= 0 && MayRename(session, upstream)));

    private bool MayRename(Session session, Upstream upstream) =>
        Merged(session, ListKind.Resources).HasRenamed(upstream) || Merged(session, ListKind.Templates).HasRenamed(upstream) || session.SeenLinks is not null;

    /// <summary>What the client has to say to get this server's resource: with the prefix where the plain URI would lead to another server.</summary>
    private string? ShownUri(Session session, Upstream upstream, string uri)
    {
        if (Merged(session, ListKind.Resources).Renamed(upstream, uri) is { } renamed)
        {
            return renamed;
        }

        return ServerOf(session, uri) is { } owner && owner.Upstream != upstream ? MergedList.UriPrefix(upstream.Name) + uri : null;
    }

    /// <summary>Remembers links to resources that no list shows, so that reading them finds their server.</summary>
    private static void Learn(Session session, Upstream upstream, byte[] line)
    {
        if (line.AsSpan().IndexOf("resource_link"u8) < 0)
        {
            return;
        }

        ResourceUris.Replace(line, uri =>
        {
            session.Remember(uri, upstream.Name);
            return null;
        });
    }

    private static bool Same(IReadOnlyList<(Upstream, ServerList)> a, List<(Upstream, ServerList)> b)
    {
        if (a.Count != b.Count)
        {
            return false;
        }

        for (var i = 0; i < a.Count; i++)
        {
            if (!ReferenceEquals(a[i].Item1, b[i].Item1) || !ReferenceEquals(a[i].Item2, b[i].Item2))
            {
                return false;
            }
        }

        return true;
    }
}
