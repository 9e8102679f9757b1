using System.Buffers;
using System.Text.Json;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Stores;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <summary>
/// Lists as one session's own links show them. What a link shows before its session has used it is what its server shows everybody under
/// the same conditions, and goes to the catalogue. What it shows later may be this session's alone (a tool that shows more tools, say):
/// unless it equals the shared list it stays here, with the session, and outlives the process with the link.
/// </summary>
internal sealed partial class SessionLists(Session session, SessionServices services)
{
    private readonly Lock _gate = new();
    private List<Entry>? _entries;
    private volatile KnownKey? _key;
    private long _version;

    /// <summary>Another number after each change of what its own links show; read it before what it stands for.</summary>
    public long Version => Volatile.Read(ref _version);

    /// <summary>The key under which this session shares lists with others.</summary>
    public string Key(Upstream upstream) => upstream.IsPerSession ? OwnKey() : CatalogueKey.Base;

    /// <summary>What this session's own link to the server has shown; null while it has shown nothing.</summary>
    public ServerLists? Of(Upstream upstream)
    {
        lock (_gate)
        {
            return FindLocked(upstream)?.Lists;
        }
    }

    /// <summary>Whether nothing speaks against what its own link has shown.</summary>
    public bool IsCertain(Upstream upstream, ListKind kind)
    {
        lock (_gate)
        {
            return FindLocked(upstream) is { } entry && !entry[kind].IsDoubted;
        }
    }

    /// <summary>Whether a change of the server's list is heard of on a link of its own; if not, what that showed before may be out of date.</summary>
    public bool Hears(Upstream upstream, ListKind kind)
    {
        var hears = session.Links.Hears(upstream);
        lock (_gate)
        {
            if (FindLocked(upstream) is not { Lists: not null } entry)
            {
                return false;
            }

            entry[kind].IsDoubted |= !hears;
            return hears;
        }
    }

    /// <summary>Another replica heard that one of the lists is another one: what the links here have shown of it is asked for again before it is shown.</summary>
    public void Doubt(ListKind kind)
    {
        lock (_gate)
        {
            foreach (var entry in _entries ?? [])
            {
                entry[kind].IsDoubted = true;
                entry[ListKind.Templates].IsDoubted |= kind == ListKind.Resources;
            }
        }
    }

    /// <summary>Asks a server that nothing certain is known of for a list. Requests at once share the looking; the client that did not wait for it is told when it is done.</summary>
    public Task LookAsync(Upstream upstream, ListKind kind)
    {
        lock (_gate)
        {
            var state = EntryLocked(upstream)[kind];
            return state.Look ??= LookOnceAsync(upstream, state, kind);
        }
    }

    /// <summary>From here on the session's requests go over its link: what that shows may be this session's alone.</summary>
    public void Used(Upstream upstream)
    {
        lock (_gate)
        {
            EntryLocked(upstream).IsUsed = true;
        }
    }

    /// <summary>A link was opened. All lists are asked for before the session gets to use it.</summary>
    /// <param name="link">The link.</param>
    /// <param name="isNew">Whether the server knows nothing of this session yet; else it goes on with one from before a restart.</param>
    public void Opened(Link link, bool isNew)
    {
        lock (_gate)
        {
            var entry = EntryLocked(link.Upstream);
            foreach (var kind in ListKinds.All)
            {
                var state = entry[kind];
                if (isNew)
                {
                    state.WasAnnounced = false;
                    state.IsOwn = false;
                }
            }
        }

        foreach (var kind in ListKinds.All)
        {
            var reading = ReadAsync(link, kind, isNew);
            lock (_gate)
            {
                EntryLocked(link.Upstream)[kind].Reading = reading;
            }
        }
    }

    /// <summary>The server says on the session's own link that a list is another one.</summary>
    /// <returns>Whether the client was told, or has nothing to be told of.</returns>
    public async Task<bool> ChangedAsync(Link link, ListKind kind)
    {
        ServerList? before;
        lock (_gate)
        {
            var entry = EntryLocked(link.Upstream);
            entry[kind].WasAnnounced = true;
            if (kind == ListKind.Resources)
            {
                entry[ListKind.Templates].WasAnnounced = true;
            }

            before = entry.Lists?[kind];
        }

        // Read first, told then: a client that asks at once is shown the new list.
        before ??= services.Catalogue.Find(link.Upstream.Name, Key(link.Upstream))[kind];
        var list = await ReadAsync(link, kind, isNew: false);
        if (kind == ListKind.Resources)
        {
            await ReadAsync(link, ListKind.Templates, isNew: false);
        }

        return list is not null && before is not null && before.Hash != list.Hash;
    }

    /// <summary>A list that is shown to everybody; where it equals this session's own, that is no longer its own.</summary>
    public void Share(Upstream upstream, ServerList list)
    {
        lock (_gate)
        {
            if (FindLocked(upstream) is { Lists: { } lists } entry && lists[list.Kind]?.Hash == list.Hash)
            {
                entry.Lists = lists.With(list);
                entry[list.Kind].IsOwn = false;
            }
        }
    }

    public void Drop(IReadOnlyList<Upstream> gone)
    {
        lock (_gate)
        {
            _entries?.RemoveAll(entry => gone.Contains(entry.Upstream));
            _version++;
        }
    }

    /// <summary>What has to be kept with the link: its own lists; empty where it has none.</summary>
    public ReadOnlyMemory<byte> Own(Upstream upstream)
    {
        lock (_gate)
        {
            if (FindLocked(upstream) is not { Lists: { } lists } entry || !ListKinds.All.Any(kind => entry[kind].IsOwn))
            {
                return default;
            }

            var body = new ArrayBufferWriter<byte>();
            using var writer = new Utf8JsonWriter(body);
            writer.WriteStartObject();
            foreach (var kind in ListKinds.All.Where(kind => entry[kind].IsOwn))
            {
                writer.WritePropertyName(kind.Key());
                writer.WriteRawValue(lists[kind]!.Result, skipInputValidation: true);
            }

            writer.WriteEndObject();
            writer.Flush();
            return body.WrittenMemory;
        }
    }

    /// <summary>Calls ask for it each time, and what it is made of hardly ever changes.</summary>
    private string OwnKey()
    {
        var record = session.Record;
        if (_key is not { } known || !ReferenceEquals(known.Record, record))
        {
            var version = ProtocolVersions.TryParseWithSessions(record.Version, out var parsed) ? parsed : ProtocolVersions.Latest;
            _key = known = new KnownKey(record, CatalogueKey.Of(version, record.InitializeParams.Span));
        }

        return known.Key;
    }

    private Entry? FindLocked(Upstream upstream)
    {
        // On the way of every call: a loop makes no delegate.
        for (var i = 0; i < _entries?.Count; i++)
        {
            if (ReferenceEquals(_entries[i].Upstream, upstream))
            {
                return _entries[i];
            }
        }

        return null;
    }

    private Entry EntryLocked(Upstream upstream)
    {
        if (FindLocked(upstream) is not { } entry)
        {
            (_entries ??= new List<Entry>(1)).Add(entry = new Entry(this, upstream));
        }

        return entry;
    }

    private async Task LookOnceAsync(Upstream upstream, ListState state, ListKind kind)
    {
        await Task.Yield();
        var started = services.Time.GetTimestamp();
        try
        {
            var (link, _) = await session.Links.OpenAsync(upstream, CancellationToken.None);
            if (link is null)
            {
                return;
            }

            var list = !upstream.IsPerSession ? await services.Shared.RefreshAsync(link, kind)
                : state.Reading is { IsCompleted: false } reading && await reading is { } read ? read
                : await ReadAsync(link, kind, isNew: !IsUsed(upstream));
            if (list is not null && services.Time.GetElapsedTime(started) >= services.Config.Current.Calls.FirstListWait)
            {
                session.Outbox.SendListChanged(kind.Changed());
            }
        }
        finally
        {
            lock (_gate)
            {
                state.Look = null;
            }
        }
    }

    private bool IsUsed(Upstream upstream)
    {
        lock (_gate)
        {
            return EntryLocked(upstream).IsUsed;
        }
    }

    /// <summary>Reads a list, decides whether it is everybody's or this session's own, and tells the client where it was shown another one.</summary>
    private async Task<ServerList?> ReadAsync(Link link, ListKind kind, bool isNew)
    {
        int turn;
        lock (_gate)
        {
            turn = ++EntryLocked(link.Upstream)[kind].LastTurn;
        }

        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30), services.Time);
        var (list, why) = await services.Fetcher.FetchAsync(link, kind, limit.Token);
        if (list is null)
        {
            Log.ListNotRead(services.Logger, link.Upstream.Name, kind.Method(), why);
            return null;
        }

        var server = link.Upstream.Name;
        var key = Key(link.Upstream);
        ServerList? shown;
        bool isEverybodys;
        lock (_gate)
        {
            var entry = EntryLocked(link.Upstream);
            var state = entry[kind];
            if (turn < state.TakenTurn)
            {
                // One that was asked for later came earlier.
                return entry.Lists?[kind];
            }

            state.TakenTurn = turn;
            isEverybodys = isNew && !state.WasAnnounced && !link.Upstream.NeedsAccount;
            shown = entry.Lists?[kind] ?? (services.Catalogue.IsToldOutdated(server, key, kind) ? null : services.Catalogue.Find(server, key)[kind]);
            // From here on this session hears of changes below, and not also with those that have no link of their own.
            entry.Lists = (entry.Lists ?? ServerLists.Nothing with { InitializeResult = link.InitializeResult }).With(list);
            state.IsDoubted = false;
        }

        // With an account it is that user's own, whoever else is shown the same.
        var shared = isEverybodys ? services.Catalogue.Save(server, key, list) : link.Upstream.NeedsAccount ? null : services.Catalogue.Find(server, key)[kind];
        var isShared = shared?.Hash == list.Hash;
        var differs = shown?.Hash != list.Hash;
        if (!isShared && differs)
        {
            services.Catalogue.Doubt(server, key, kind);
        }

        bool wasOwn, isLookedAt;
        lock (_gate)
        {
            var entry = EntryLocked(link.Upstream);
            var state = entry[kind];
            wasOwn = state.IsOwn;
            isLookedAt = state.Look is not null;
            if (turn == state.TakenTurn)
            {
                list = isShared ? shared! : list;
                entry.Lists = entry.Lists!.With(list);
                state.IsOwn = !isShared;
            }
        }

        if (wasOwn != !isShared || (!isShared && differs))
        {
            await session.Links.SaveAsync(link);
        }

        if (shown is not null && differs && !isLookedAt)
        {
            session.Outbox.SendListChanged(kind.Changed());
        }

        return list;
    }

    /// <param name="Record">What it was made from.</param>
    /// <param name="Key">The key.</param>
    private sealed record KnownKey(SessionRecord Record, string Key);

    /// <summary>What is known of one server; guarded by the lock above.</summary>
    private sealed class Entry(SessionLists owner, Upstream upstream)
    {
        private readonly ListState[] _states = [new(), new(), new(), new()];

        public Upstream Upstream => upstream;

        public ServerLists? Lists
        {
            get;
            set
            {
                field = value;
                owner._version++;
            }
        }

        public bool IsUsed { get; set; }

        public ListState this[ListKind kind] => _states[(int)kind];
    }

    private sealed class ListState
    {
        /// <summary>Whether the server said, to this session, that the list is another one since the session began there.</summary>
        public bool WasAnnounced { get; set; }

        /// <summary>Whether the list is this session's alone.</summary>
        public bool IsOwn { get; set; }

        public bool IsDoubted { get; set; }

        public int LastTurn { get; set; }

        public int TakenTurn { get; set; }

        public Task? Look { get; set; }

        /// <summary>Begun when the link was opened.</summary>
        public Task<ServerList?>? Reading { get; set; }
    }

    private static partial class Log
    {
        [LoggerMessage(501, LogLevel.Warning, "{Method} of server {Server} could not be read: {Why}", EventName = "ListNotRead")]
        public static partial void ListNotRead(ILogger logger, string server, string method, string why);
    }
}
