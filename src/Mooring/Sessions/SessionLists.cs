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

    /// <summary>
    /// The key under which this session shares lists with others. Null: it shares none, since the server is used with people's accounts, or since the client
    /// declares what is not known here.
    /// </summary>
    public string? Key(Upstream upstream) => upstream.NeedsAccount ? null : upstream.IsPerSession ? OwnKey() : CatalogueKey.Base;

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
            return FindLocked(upstream) is { } entry && entry[kind].Doubted == 0;
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

            if (!hears)
            {
                entry[kind].Doubted = Turn.Next();
            }

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
                DoubtLocked(entry, kind);
            }
        }
    }

    /// <summary>What one server's link has shown may be out of date.</summary>
    /// <param name="upstream">The server.</param>
    /// <param name="kind">Which list; null: all of them.</param>
    /// <param name="isAnnounced">Whether the server said so to this session: what it shows from then on may be this session's alone.</param>
    public void Doubt(Upstream upstream, ListKind? kind, bool isAnnounced = false)
    {
        lock (_gate)
        {
            var entry = EntryLocked(upstream);
            foreach (var one in kind is { } only ? [only] : ListKinds.All)
            {
                DoubtLocked(entry, one);
                entry[one].WasAnnounced |= isAnnounced;
                entry[ListKind.Templates].WasAnnounced |= isAnnounced && one == ListKind.Resources;
            }
        }
    }

    private static void DoubtLocked(Entry entry, ListKind kind)
    {
        entry[kind].Doubted = Turn.Next();
        if (kind == ListKind.Resources)
        {
            entry[ListKind.Templates].Doubted = entry[kind].Doubted;
        }
    }

    /// <summary>
    /// Asks a server that nothing certain is known of for a list, and waits for it: <c>calls.firstListWait</c> at most, and a second where
    /// what is known can be shown instead. Requests at once share the looking; whoever did not wait for its end is told of a change then.
    /// </summary>
    public async Task LookAsync(Upstream upstream, ListKind kind)
    {
        Look look;
        lock (_gate)
        {
            var state = EntryLocked(upstream)[kind];
            if (state.Look is null)
            {
                state.Look = new Look();
                state.Look.Done = LookUntilCertainAsync(upstream, state, kind, state.Look);
            }

            look = state.Look;
        }

        try
        {
            var wait = services.Config.Current.Calls.FirstListWait;
            await look.Done.WaitAsync(wait > MostForKnown && Before(upstream, kind) is not null ? MostForKnown : wait, services.Time);
        }
        catch (TimeoutException)
        {
            lock (_gate)
            {
                look.WasLeft = true;
            }
        }
    }

    /// <summary>
    /// A list that is older than its server says that it may be is read again, behind whoever was just answered with it; the client is told if it turns out
    /// to be another one. Not where a change would be told anyway, nor while the server is away, and at most every 15 s whatever came of it.
    /// </summary>
    public void ReadAgain(Upstream upstream, ListKind kind)
    {
        if (upstream.Health.IsAway || session.Links.IsTold(upstream, kind))
        {
            return;
        }

        if (!upstream.IsPerSession)
        {
            services.Shared.ReadAgain(upstream, kind);
            return;
        }

        lock (_gate)
        {
            var entry = EntryLocked(upstream);
            var state = entry[kind];
            var now = services.Time.GetTimestamp();
            if (state.Look is not null || (state.ReadAgain is { } before && services.Time.GetElapsedTime(before, now) < ListPace.Shortest)
                || (entry.Lists is null && Key(upstream) is { } key && !services.Catalogue.TryReadAgain(upstream.Name, key, kind)))
            {
                return;
            }

            state.ReadAgain = now;
            state.Look = new Look { WasLeft = true };
            state.Look.Done = LookUntilCertainAsync(upstream, state, kind, state.Look);
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

    /// <summary>The server says on the session's own link that a list is another one: it is read, for whoever asks next. To tell the client is the caller's.</summary>
    public async Task ChangedAsync(Link link, ListKind kind)
    {
        Doubt(link.Upstream, kind, isAnnounced: true);
        await ReadAsync(link, kind, isNew: false, tells: false);
        if (kind == ListKind.Resources)
        {
            await ReadAsync(link, ListKind.Templates, isNew: false, tells: false);
        }
    }

    /// <summary>Reads a list again, where the server has no way to say that it is another one; the client is told of it then.</summary>
    /// <returns>Whether it is.</returns>
    public async Task<bool> IsAnotherAsync(Link link, ListKind kind)
    {
        var before = Of(link.Upstream)?[kind];
        return await ReadAsync(link, kind, isNew: false) is { } list && before is not null && before.Hash != list.Hash;
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
    private string? OwnKey()
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

    private bool IsUsed(Upstream upstream)
    {
        lock (_gate)
        {
            return EntryLocked(upstream).IsUsed;
        }
    }

    /// <param name="Record">What it was made from.</param>
    /// <param name="Key">The key.</param>
    private sealed record KnownKey(SessionRecord Record, string? Key);

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

        /// <summary>The last turn in which something spoke against it; 0: nothing does. Only a list asked for later answers that.</summary>
        public long Doubted { get; set; }

        /// <summary>The turn in which the newest list was asked for.</summary>
        public long Taken { get; set; }

        public Look? Look { get; set; }

        /// <summary>When it was last read since its time was up, a timestamp; null: never.</summary>
        public long? ReadAgain { get; set; }

        /// <summary>The hash of what was shown to somebody before a look came to its end with a list, empty for nothing: the look that does tells of a change. Null: nobody waits for that.</summary>
        public string? LeftWith { get; set; }

        /// <summary>Begun when the link was opened.</summary>
        public Task<ServerList?>? Reading { get; set; }
    }

    /// <summary>One looking for a list, shared by all who ask meanwhile.</summary>
    private sealed class Look
    {
        public Task Done { get; set; } = Task.CompletedTask;

        /// <summary>Whether somebody was answered with what was known before its end.</summary>
        public bool WasLeft { get; set; }
    }
}
