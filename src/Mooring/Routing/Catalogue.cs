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
/// (invariant 4); nothing but a newer list ever takes one out, or one that is used more where clients declare too many different things.
/// </summary>
internal sealed partial class Catalogue(IStore store, Peers peers, Eras eras, TimeProvider time, ILogger<Catalogue> logger)
{
    private const string InitializeKind = "initialize";

    private readonly CatalogueEntries _entries = new();
    private readonly ConcurrentDictionary<string, DateTimeOffset> _confirmed = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<(string Server, string Key, ListKind Kind), Doubted> _doubts = new();

    private long _version;

    /// <summary>A shared list is now another one.</summary>
    public Action<CatalogueChange>? Changed { get; set; }

    /// <summary>Another number after each change of what is known; read it before what it stands for.</summary>
    public long Version => Volatile.Read(ref _version);

    /// <summary>Reads what the process before knew.</summary>
    /// <param name="find">The server of a name. What a release before kept of what one said that is used with people's accounts is taken out of the store.</param>
    /// <param name="cancel">Gives up.</param>
    public async Task LoadAsync(Func<string, Upstream?> find, CancellationToken cancel)
    {
        bool NeedsAccount(string server) => find(server) is { NeedsAccount: true };
        eras.Learnt = KeepEra;
        var all = await store.LoadCatalogueAsync(cancel);
        foreach (var server in all.Where(record => record.Kind != EraKind && NeedsAccount(record.Server)).Select(record => record.Server).Distinct().ToList())
        {
            await store.DeleteCatalogueAsync(server);
            foreach (var era in all.Where(record => record.Kind == EraKind && record.Server == server))
            {
                await store.SaveCatalogueAsync(era);
            }
        }

        foreach (var era in all.Where(record => record.Kind == EraKind))
        {
            TakeEra(era);
            await RenewAsync(era, find(era.Server));
        }

        // The oldest first, so that of too many keys the newest are left.
        foreach (var entry in all.Where(record => record.Kind != EraKind && !NeedsAccount(record.Server)).GroupBy(record => (record.Server, record.Key)).OrderBy(Newest))
        {
            Change(entry.Key.Server, entry.Key.Key, lists => entry.Aggregate(lists, With));
            _confirmed[entry.Key.Server] = Newest(entry);
        }

        Interlocked.Increment(ref _version);
    }

    /// <summary>Lists known under exactly this key.</summary>
    /// <param name="server">The server.</param>
    /// <param name="key">The session's; null: it shares nothing, so nothing is known.</param>
    public ServerLists Find(string server, string? key) => key is null ? ServerLists.Nothing : _entries.Find(server, key);

    /// <summary>Lists known of the server under any key, the base key first: the best there is while the server cannot be asked.</summary>
    public ServerLists FindAny(string server) => _entries.Any(server);

    /// <summary>Names of what a server shows in lists of one kind, under any key.</summary>
    public IReadOnlySet<string> NamesIn(string server, ListKind kind) =>
        _entries.All(server).SelectMany(lists => lists[kind]?.Items ?? []).Select(item => item.Name).ToHashSet(StringComparer.Ordinal);

    /// <summary>A list as everybody's object where it is the same: a session that shares nothing holds no second one.</summary>
    public ServerList OneOf(string server, ServerList list) => FindAny(server)[list.Kind] is { } known && known.Hash == list.Hash ? known : list;

    /// <summary>
    /// What a server says of itself to a session, raw JSON; empty while that is not known. To one that shares nothing it is what the session's own
    /// link was told.
    /// </summary>
    public ReadOnlyMemory<byte> SaidTo(Session session, Upstream upstream) =>
        session.Lists.Key(upstream) is { } key ? Find(upstream.Name, key).InitializeResult : session.Links.Said(upstream);

    /// <summary>As <see cref="SaidTo"/>, or else what the server says under other conditions.</summary>
    public ReadOnlyMemory<byte> LikelySaidTo(Session session, Upstream upstream)
    {
        var said = SaidTo(session, upstream);
        return said.IsEmpty && !upstream.NeedsAccount ? FindAny(upstream.Name).InitializeResult : said;
    }

    /// <summary>Whether there is a list under exactly this key that nothing speaks against: it may be shown without asking.</summary>
    public bool IsCertain(string server, string? key, ListKind kind) => key is not null && Find(server, key)[kind] is not null && !_doubts.ContainsKey((server, key, kind));

    /// <summary>Whether those who may have been shown this list were told already that it is out of date.</summary>
    public bool IsToldOutdated(string server, string? key, ListKind kind) =>
        key is not null && _doubts.GetValueOrDefault((server, key, kind)).Kind == CatalogueDoubt.Told;

    /// <summary>
    /// Something speaks against a shared list, without saying what everybody is shown now: it stays, and whoever needs it next asks first.
    /// </summary>
    public void Doubt(string server, string? key, ListKind kind)
    {
        // Of what is not there, or is there no more, nothing is noted.
        if (key is not null && _entries.Has(server, key))
        {
            _doubts.AddOrUpdate((server, key, kind), _ => new Doubted(CatalogueDoubt.Untold, Turn.Next()), (_, before) => before with { Turn = Turn.Next() });
        }
    }

    /// <summary>The server says, to nobody in particular, that its list is another one: so may be what it shows under other conditions.</summary>
    public void DoubtOthers(string server, ListKind kind)
    {
        foreach (var (key, lists) in _entries.Others(server))
        {
            if (lists[kind] is not null)
            {
                _doubts[(server, key, kind)] = new Doubted(CatalogueDoubt.Told, Turn.Next());
            }
        }
    }

    public bool Knows(string server) => _entries.Has(server);

    /// <summary>When a list of this server was last confirmed by it.</summary>
    public DateTimeOffset? Confirmed(string server) => _confirmed.TryGetValue(server, out var at) ? at : null;

    /// <summary>The tools of a server as best known for a session; null: nothing is known of them.</summary>
    public ServerList? ToolsOf(Session session, Upstream upstream) =>
        session.Lists.Of(upstream)?[ListKind.Tools] ?? Find(upstream.Name, session.Lists.Key(upstream))[ListKind.Tools] ?? FindAny(upstream.Name)[ListKind.Tools];

    /// <summary>Takes what a server says of itself, just now.</summary>
    public void Save(string server, string key, ReadOnlyMemory<byte> initializeResult)
    {
        var changed = false;
        Change(server, key, known =>
        {
            changed = !known.InitializeResult.Span.SequenceEqual(initializeResult.Span);
            return known with { InitializeResult = changed ? initializeResult : known.InitializeResult, Said = time.GetUtcNow() };
        });
        if (changed)
        {
            Interlocked.Increment(ref _version);
            Keep(new CatalogueRecord(server, key, InitializeKind, initializeResult, "", time.GetUtcNow()));
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
            known.Confirm(list);
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

        list.Changed = known is null ? null : time.GetUtcNow();
        Change(server, key, lists => lists.With(list));
        Interlocked.Increment(ref _version);
        Keep(new CatalogueRecord(server, key, list.Kind.Key(), list.Result, list.Hash, time.GetUtcNow()));
        if (known is not null)
        {
            Log.ListChanged(logger, server, list.Kind.Key(), list.Items.Count);
            if (key == CatalogueKey.Base)
            {
                DoubtOthers(server, list.Kind);
            }
        }

        Changed?.Invoke(new CatalogueChange(server, key, list, WasTold: doubt == CatalogueDoubt.Told, IsFirst: known is null, IsNews: false));
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

    /// <summary>What is known under a key is another thing now; where there are too many keys, one goes, from the store too.</summary>
    private void Change(string server, string key, Func<ServerLists, ServerLists> change)
    {
        if (_entries.Change(server, key, change) is { } gone)
        {
            Forget(server, gone);
        }
    }

    private static ServerLists With(ServerLists lists, CatalogueRecord record) =>
        record.Kind == InitializeKind ? lists with { InitializeResult = record.Body, Said = record.Fetched }
        : ListKinds.Parse(record.Kind) is { } kind ? lists.With(ListOf(kind, record))
        : lists;

    /// <summary>A list is written down when it becomes another one, and then no more.</summary>
    private static ServerList ListOf(ListKind kind, CatalogueRecord record)
    {
        var list = ServerList.Of(kind, record.Body.ToArray(), record.Fetched);
        list.Changed = record.Fetched;
        return list;
    }

    private static DateTimeOffset Newest(IEnumerable<CatalogueRecord> records) => records.Max(record => record.Fetched);

    private static partial class Log
    {
        [LoggerMessage(200, LogLevel.Information, "Server {Server} shows another list of {Kind} now: {Count} items.", EventName = "CatalogueChanged")]
        public static partial void ListChanged(ILogger logger, string server, string kind, int count);

        [LoggerMessage(201, LogLevel.Warning, "The {Kind} of server {Server} were not kept in the store: {Reason}", EventName = "CatalogueNotKept")]
        public static partial void NotKept(ILogger logger, string server, string kind, string reason);

        [LoggerMessage(202, LogLevel.Warning, "What other replicas have learnt of the servers could not be read: {Reason}", EventName = "CatalogueNewsNotRead")]
        public static partial void NewsNotRead(ILogger logger, string reason);

        [LoggerMessage(203, LogLevel.Warning, "What server {Server} showed one kind of clients is still in the store: {Reason}", EventName = "CatalogueNotForgotten")]
        public static partial void NotForgotten(ILogger logger, string server, string reason);
    }
}
