using System.Collections.Concurrent;
using Mooring.Protocol;
using Mooring.Replicas;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Upstreams;
using Mooring.Upstreams.Stateless;

namespace Mooring.Routing;

/// <summary>
/// Last known good lists of all servers. Lists are answered from here at once, also while their server starts, hangs or is away
/// (invariant 4); nothing but a newer list ever takes one out.
/// </summary>
internal sealed partial class Catalogue(IStore store, Peers peers, Eras eras, TimeProvider time, ILogger<Catalogue> logger)
{
    /// <summary>Kind of signal: a server's name; another replica has learnt something new of it.</summary>
    private const string NewsSignal = "catalogue";

    private readonly ConcurrentDictionary<(string Server, string Key), ServerLists> _entries = new();
    private readonly ConcurrentDictionary<string, DateTimeOffset> _confirmed = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<(string Server, string Key, ListKind Kind), Doubted> _doubts = new();

    private long _version;

    /// <summary>Which of the lists read here the store has. Clocks of replicas do not agree, turns of one process do.</summary>
    private readonly ConcurrentDictionary<(string Server, string Key, string Kind), Kept> _kept = new();

    /// <summary>What is being written down, and what is to be written after it. Guarded by itself.</summary>
    private readonly Dictionary<(string Server, string Key, string Kind), CatalogueRecord?> _keeping = [];

    /// <summary>0: nobody reads news; 1: somebody does; 2: and has to once more.</summary>
    private int _news;

    /// <summary>A shared list is now another one.</summary>
    public Action<CatalogueChange>? Changed { get; set; }

    /// <summary>Another number after each change of what is known; read it before what it stands for.</summary>
    public long Version => Volatile.Read(ref _version);

    /// <summary>From now on hears what other replicas learn.</summary>
    public void ListenToPeers()
    {
        peers.OnSignal(NewsSignal, _ => TakeNews());
        peers.OnMissed(TakeNews);
    }

    /// <summary>Reads what the process before knew.</summary>
    /// <param name="needsAccount">Which servers are used with people's accounts. What a release before kept of what those said is taken out of the store.</param>
    /// <param name="cancel">Gives up.</param>
    public async Task LoadAsync(Func<string, bool> needsAccount, CancellationToken cancel)
    {
        eras.Learnt = KeepEra;
        var all = await store.LoadCatalogueAsync(cancel);
        foreach (var server in all.Where(record => record.Kind != EraKind && needsAccount(record.Server)).Select(record => record.Server).Distinct().ToList())
        {
            await store.DeleteCatalogueAsync(server);
            foreach (var era in all.Where(record => record.Kind == EraKind && record.Server == server))
            {
                await store.SaveCatalogueAsync(era);
            }
        }

        foreach (var record in all)
        {
            if (record.Kind == EraKind)
            {
                TakeEra(record);
                continue;
            }

            if (needsAccount(record.Server))
            {
                continue;
            }

            var lists = _entries.GetValueOrDefault((record.Server, record.Key), ServerLists.Nothing);
            if (record.Kind == "initialize")
            {
                lists = lists with { InitializeResult = record.Body };
            }
            else if (ListKinds.Parse(record.Kind) is { } kind)
            {
                lists = lists.With(ServerList.Of(kind, record.Body.ToArray()));
            }

            _entries[(record.Server, record.Key)] = lists;
            _confirmed[record.Server] = record.Fetched;
        }

        Interlocked.Increment(ref _version);
    }

    /// <summary>Lists known under exactly this key.</summary>
    public ServerLists Find(string server, string key) => _entries.GetValueOrDefault((server, key), ServerLists.Nothing);

    /// <summary>Lists known of the server under any key, the base key first: the best there is while the server cannot be asked.</summary>
    public ServerLists FindAny(string server) =>
        _entries.TryGetValue((server, CatalogueKey.Base), out var lists) ? lists : Any(server);

    /// <summary>
    /// What a server says of itself to a session, raw JSON; empty while that is not known. One that is used with people's accounts says it to each of
    /// them alone, so there it is what the session's own link was told.
    /// </summary>
    public ReadOnlyMemory<byte> SaidTo(Session session, Upstream upstream) =>
        upstream.NeedsAccount ? session.Links.Said(upstream) : Find(upstream.Name, session.Lists.Key(upstream)).InitializeResult;

    /// <summary>As <see cref="SaidTo"/>, or else what the server says under other conditions.</summary>
    public ReadOnlyMemory<byte> LikelySaidTo(Session session, Upstream upstream)
    {
        var said = SaidTo(session, upstream);
        return said.IsEmpty && !upstream.NeedsAccount ? FindAny(upstream.Name).InitializeResult : said;
    }

    private ServerLists Any(string server) => _entries.FirstOrDefault(e => e.Key.Server == server).Value ?? ServerLists.Nothing;

    /// <summary>Whether there is a list under exactly this key that nothing speaks against: it may be shown without asking.</summary>
    public bool IsCertain(string server, string key, ListKind kind) => Find(server, key)[kind] is not null && !_doubts.ContainsKey((server, key, kind));

    /// <summary>Whether those who may have been shown this list were told already that it is out of date.</summary>
    public bool IsToldOutdated(string server, string key, ListKind kind) => _doubts.GetValueOrDefault((server, key, kind)).Kind == CatalogueDoubt.Told;

    /// <summary>
    /// Something speaks against a shared list, without saying what everybody is shown now: it stays, and whoever needs it next asks first.
    /// </summary>
    public void Doubt(string server, string key, ListKind kind) =>
        _doubts.AddOrUpdate((server, key, kind), _ => new Doubted(CatalogueDoubt.Untold, Turn.Next()), (_, before) => before with { Turn = Turn.Next() });

    /// <summary>The server says, to nobody in particular, that its list is another one: so may be what it shows under other conditions.</summary>
    public void DoubtOthers(string server, ListKind kind)
    {
        foreach (var (entry, lists) in _entries)
        {
            if (entry.Server == server && entry.Key != CatalogueKey.Base && lists[kind] is not null)
            {
                _doubts[(server, entry.Key, kind)] = new Doubted(CatalogueDoubt.Told, Turn.Next());
            }
        }
    }

    public bool Knows(string server) => _entries.Keys.Any(k => k.Server == server);

    /// <summary>When a list of this server was last confirmed by it.</summary>
    public DateTimeOffset? Confirmed(string server) => _confirmed.TryGetValue(server, out var at) ? at : null;

    /// <summary>The tools of a server as best known for a session; null: nothing is known of them.</summary>
    public ServerList? ToolsOf(Session session, Upstream upstream) =>
        session.Lists.Of(upstream)?[ListKind.Tools] ?? Find(upstream.Name, session.Lists.Key(upstream))[ListKind.Tools] ?? FindAny(upstream.Name)[ListKind.Tools];

    public void Save(string server, string key, ReadOnlyMemory<byte> initializeResult)
    {
        var changed = false;
        _entries.AddOrUpdate((server, key),
            _ => { changed = true; return new ServerLists { InitializeResult = initializeResult }; },
            (_, known) =>
            {
                changed = !known.InitializeResult.Span.SequenceEqual(initializeResult.Span);
                return changed ? known with { InitializeResult = initializeResult } : known;
            });
        if (changed)
        {
            Interlocked.Increment(ref _version);
            Keep(new CatalogueRecord(server, key, "initialize", initializeResult, "", time.GetUtcNow()));
        }
    }

    /// <summary>Takes a list as what the server shows everybody under this key.</summary>
    /// <returns>The list to use: the known one where nothing changed, so that equal lists are one object.</returns>
    public ServerList Save(string server, string key, ServerList list)
    {
        _confirmed[server] = time.GetUtcNow();
        var doubt = Answer(server, key, list);
        var known = Find(server, key)[list.Kind];
        if (known is not null && known.Hash == list.Hash)
        {
            known.Confirm(list.Asked);
            if (_kept.GetValueOrDefault((server, key, list.Kind.Key())) is { HasFailed: true })
            {
                // What the store did not take is what the server shows still.
                Keep(new CatalogueRecord(server, key, list.Kind.Key(), known.Result, known.Hash, time.GetUtcNow()));
            }

            return known;
        }

        if (known is not null && known.Asked > list.Asked)
        {
            // It was asked for earlier and came later: which of the two the server shows now, whoever needs it next asks.
            Doubt(server, key, list.Kind);
            return known;
        }

        _entries.AddOrUpdate((server, key), _ => ServerLists.Nothing.With(list), (_, lists) => lists.With(list));
        Interlocked.Increment(ref _version);
        Keep(new CatalogueRecord(server, key, list.Kind.Key(), list.Result, list.Hash, time.GetUtcNow()));
        if (known is not null)
        {
            Log.ListChanged(logger, server, list.Kind.Key(), list.Items.Count);
            if (key == CatalogueKey.Base)
            {
                DoubtOthers(server, list.Kind);
            }

            Changed?.Invoke(new CatalogueChange(server, key, list, WasTold: doubt == CatalogueDoubt.Told, IsFirst: false));
        }

        return list;
    }

    /// <summary>A list takes away the doubt that is older than the question for it.</summary>
    /// <returns>What spoke against the list known before.</returns>
    private CatalogueDoubt Answer(string server, string key, ServerList list)
    {
        if (!_doubts.TryGetValue((server, key, list.Kind), out var doubt))
        {
            return CatalogueDoubt.None;
        }

        if (doubt.Turn < list.Asked)
        {
            // Only as it was looked at: it may be doubted again meanwhile.
            _doubts.TryRemove(KeyValuePair.Create((server, key, list.Kind), doubt));
        }

        return doubt.Kind;
    }

    private void TakeNews()
    {
        // Whoever comes while one is reading has that one read once more.
        if (Interlocked.Exchange(ref _news, 2) == 0)
        {
            _ = TakeNewsAsync();
        }
    }

    private async Task TakeNewsAsync()
    {
        do
        {
            Volatile.Write(ref _news, 1);
            try
            {
                var asked = Turn.Next();
                // What stands for the server as a whole first: whoever is told of that is not told again of what follows from it.
                foreach (var record in (await store.LoadCatalogueAsync(CancellationToken.None)).OrderBy(record => record.Key != CatalogueKey.Base))
                {
                    Take(record, asked);
                }
            }
            catch (StoreException e)
            {
                Log.NewsNotRead(logger, e.Message);
            }
        }
        while (Interlocked.CompareExchange(ref _news, 0, 1) != 1);
    }

    /// <summary>Takes what another replica has heard.</summary>
    /// <param name="record">The store's.</param>
    /// <param name="asked">The turn in which the store was asked for it.</param>
    private void Take(CatalogueRecord record, long asked)
    {
        if (record.Kind == EraKind)
        {
            TakeEra(record);
            return;
        }

        var lists = Find(record.Server, record.Key);
        if (record.Kind == "initialize")
        {
            if (lists.InitializeResult.IsEmpty)
            {
                _entries.AddOrUpdate((record.Server, record.Key), _ => lists with { InitializeResult = record.Body }, (_, now) => now with { InitializeResult = record.Body });
                Interlocked.Increment(ref _version);
            }

            return;
        }

        if (ListKinds.Parse(record.Kind) is not { } kind || lists[kind]?.Hash == record.Hash)
        {
            return;
        }

        if (_kept.TryGetValue((record.Server, record.Key, record.Kind), out var kept))
        {
            if (kept.Turn == 0)
            {
                // Which of the two is newer nobody can say, so whoever needs it asks.
                Doubt(record.Server, record.Key, kind);
                return;
            }

            if (kept.Turn > asked)
            {
                // The store has had the one of this process since.
                return;
            }
        }

        var list = ServerList.Of(kind, record.Body.ToArray());
        // It stays: what another replica read may be from before what was heard here.
        var doubt = _doubts.GetValueOrDefault((record.Server, record.Key, kind)).Kind;
        _entries.AddOrUpdate((record.Server, record.Key), _ => ServerLists.Nothing.With(list), (_, now) => now.With(list));
        Interlocked.Increment(ref _version);
        var isFirst = lists[kind] is null;
        if (!isFirst && record.Key == CatalogueKey.Base)
        {
            DoubtOthers(record.Server, kind);
        }

        Changed?.Invoke(new CatalogueChange(record.Server, record.Key, list, WasTold: doubt == CatalogueDoubt.Told, IsFirst: isFirst));
    }

    /// <summary>One after the other for each list, and of several that wait only the latest: an older one never comes last.</summary>
    private void Keep(CatalogueRecord record)
    {
        var entry = (record.Server, record.Key, record.Kind);
        lock (_keeping)
        {
            _kept[entry] = default;
            if (!_keeping.TryAdd(entry, null))
            {
                _keeping[entry] = record;
                return;
            }
        }

        _ = KeepAsync(entry, record);
    }

    private async Task KeepAsync((string Server, string Key, string Kind) entry, CatalogueRecord? next)
    {
        while (next is { } record)
        {
            var result = default(Kept);
            try
            {
                await store.SaveCatalogueAsync(record);
                result = new Kept(Turn.Next(), HasFailed: false);
                peers.SignalAll(NewsSignal, record.Server);
            }
            catch (StoreException e)
            {
                // Kept in memory; it is tried again when the list is read the next time.
                result = new Kept(Turn: 0, HasFailed: true);
                Log.NotKept(logger, record.Server, record.Kind, e.Message);
            }

            lock (_keeping)
            {
                next = _keeping[entry];
                if (next is null)
                {
                    _keeping.Remove(entry);
                    _kept[entry] = result;
                }
                else
                {
                    _keeping[entry] = null;
                }
            }
        }
    }

    /// <param name="Turn">When the store had it; 0: not yet.</param>
    /// <param name="HasFailed">Whether the store did not take it.</param>
    private readonly record struct Kept(long Turn, bool HasFailed);

    private static partial class Log
    {
        [LoggerMessage(200, LogLevel.Information, "Server {Server} shows another list of {Kind} now: {Count} items.", EventName = "CatalogueChanged")]
        public static partial void ListChanged(ILogger logger, string server, string kind, int count);

        [LoggerMessage(201, LogLevel.Warning, "The {Kind} of server {Server} were not kept in the store: {Reason}", EventName = "CatalogueNotKept")]
        public static partial void NotKept(ILogger logger, string server, string kind, string reason);

        [LoggerMessage(202, LogLevel.Warning, "What other replicas have learnt of the servers could not be read: {Reason}", EventName = "CatalogueNewsNotRead")]
        public static partial void NewsNotRead(ILogger logger, string reason);
    }
}
