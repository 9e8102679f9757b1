using System.Collections.Concurrent;
using Mooring.Stores;

namespace Mooring.Sessions;

/// <summary>
/// Resources that no list shows, with the server that sent this session a link to each. The newest are kept with the session's record, so that another process
/// finds their servers too: with each change of the record, and else soon, but never for each call.
/// </summary>
internal sealed class SeenLinks
{
    /// <summary>A session that is sent more links than that reads the later ones by other means.</summary>
    private const int Most = 10_000;

    /// <summary>Kept are as many as a client may still have in view, in a record that is written for each of its changes.</summary>
    private const int MostKept = 64;

    private const int MostKeptCharacters = 8192;

    private static readonly TimeSpan KeepEvery = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<string, string> _servers = new(StringComparer.Ordinal);
    private readonly Lock _gate = new();
    private readonly LinkedList<SeenLink> _newest = [];
    private int _news;
    private int _kept;
    private long _nextKeep = long.MinValue;

    /// <summary>How often there was something new; what <see cref="Kept"/> is told once it was kept.</summary>
    public int News => Volatile.Read(ref _news);

    public bool HasNews => News != Volatile.Read(ref _kept);

    public string? ServerOf(string uri) => _servers.GetValueOrDefault(uri);

    public void Add(SeenLink link)
    {
        // As with listed ones: it stays with the first; another server's is shown with a prefix.
        if (_servers.Count >= Most || _servers.GetOrAdd(link.Uri, link.Server) != link.Server)
        {
            return;
        }

        lock (_gate)
        {
            if (!_newest.Contains(link))
            {
                AddLocked(link);
                _news++;
            }
        }
    }

    /// <summary>Takes what the store has.</summary>
    public void Restore(IReadOnlyList<SeenLink> links)
    {
        lock (_gate)
        {
            foreach (var link in links.Where(link => _servers.TryAdd(link.Uri, link.Server)))
            {
                AddLocked(link);
            }
        }
    }

    /// <summary>Whether the record is to be written for it now; then not again for a while.</summary>
    public bool IsDue(long now, TimeProvider time)
    {
        if (!HasNews || now < _nextKeep)
        {
            return false;
        }

        _nextKeep = now + (long)(KeepEvery.TotalSeconds * time.TimestampFrequency);
        return true;
    }

    /// <summary>The store has what there was at that time.</summary>
    public void Kept(int news) => Volatile.Write(ref _kept, news);

    /// <summary>The record with what is to be kept: all that it subscribed to, and of the others the newest.</summary>
    public SessionRecord In(SessionRecord record)
    {
        var wanted = record.Subscriptions.Where(_servers.ContainsKey).Select(uri => new SeenLink(_servers[uri], uri)).ToList();
        List<SeenLink> others;
        lock (_gate)
        {
            others = [.. record.Links.Except(_newest), .. _newest];
        }

        others.RemoveAll(wanted.Contains);
        var first = others.Count;
        for (var characters = 0; first > 0 && others.Count - first < MostKept && (characters += others[first - 1].Uri.Length) <= MostKeptCharacters; first--)
        {
        }

        return record with { Links = [.. wanted, .. others[first..]] };
    }

    private void AddLocked(SeenLink link)
    {
        _newest.AddLast(link);
        if (_newest.Count > MostKept)
        {
            _newest.RemoveFirst();
        }
    }
}
