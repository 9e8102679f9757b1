using System.Security.Cryptography;
using Mooring.Calls;
using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <summary>
/// One client's conversation, in this process. Made, brought back from the store and ended only by <see cref="SessionTable"/>; requests,
/// streams and calls borrow it. What must outlive the process stands in <see cref="Record"/>.
/// </summary>
internal sealed partial class Session
{
    private readonly Lock _gate = new();
    private readonly LinkedList<Call> _calls = [];
    private readonly TimeProvider _time;
    private readonly SessionServices _services;
    private SessionRecord _record;
    private long _lastSeen;
    private long _savedSeen;
    private long _confirmed;
    private int _doubts;
    private int _settledDoubts;
    private int _connections;
    private int _expiring;
    private SeenLinks? _seenLinks;

    public Session(SessionRecord record, SessionServices services)
    {
        _record = record;
        _services = services;
        _time = services.Time;
        _lastSeen = services.Time.GetTimestamp();
        _confirmed = _lastSeen;
        Version = ProtocolVersions.TryParse(record.Version, out var version) ? version : ProtocolVersions.Latest;
        Principal = new Principal(record.Issuer, record.Subject);
        Log = new EventLog(record.Id, services.Store, services.Config, services.Time, services.Outage, origin => Links!.Unheard(origin), services.Logger);
        Lists = new SessionLists(this, services);
        Links = new SessionLinks(this, services);
        Outbox = new Outbox(this, services);
        Questions = new Questions(isMerged: record.Server is null, services.Time, services.Logger);
        Outbox.HeldBy(record.Listener);
        Restore(record.Links);
    }

    public string Id => _record.Id;

    public Principal Principal { get; }

    /// <summary>The one server of this session; null on the merged route.</summary>
    public string? Server => _record.Server;

    public ProtocolVersion Version { get; private set; }

    public bool IsLegacySse => _record.Transport == "sse";

    /// <summary>Whether the store has it. One that stands for clients without sessions (<see cref="StatelessSessions"/>) is nobody's to come back to.</summary>
    public bool IsKept => Version.HasSessions();

    /// <summary>The version in which servers that have sessions are spoken to on its behalf.</summary>
    public ProtocolVersion LinkVersion => Version.HasSessions() ? Version : ProtocolVersions.Latest;

    public SessionRecord Record => Volatile.Read(ref _record);

    /// <summary>Event logs of its streams.</summary>
    public EventLog Log { get; }

    /// <summary>What its links have shown.</summary>
    public SessionLists Lists { get; }

    /// <summary>What it sees of all servers together; the views' business.</summary>
    public SessionViews Views { get; } = new();

    /// <summary>Its links to servers.</summary>
    public SessionLinks Links { get; }

    /// <summary>What goes to the client outside of calls.</summary>
    public Outbox Outbox { get; }

    /// <summary>Requests of servers that wait for the client's answer.</summary>
    public Questions Questions { get; }

    /// <summary>Resources that servers sent this session links to, with their server; null while there were none.</summary>
    public SeenLinks? SeenLinks => Volatile.Read(ref _seenLinks);

    public bool IsEnded { get; private set; }

    /// <summary>Open connections of any kind.</summary>
    public int Connections => Volatile.Read(ref _connections);

    /// <summary>As <see cref="RunningCalls"/>, without the lock: for those who look again soon.</summary>
    public bool HasCalls => _calls.Count > 0;

    public int RunningCalls
    {
        get
        {
            lock (_gate)
            {
                return _calls.Count;
            }
        }
    }

    /// <summary>128 random bits: small, opaque, not to be guessed; a GUID promises only to be unique.</summary>
    public static string NewId() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));

    public void Seen() => Volatile.Write(ref _lastSeen, _time.GetTimestamp());

    public TimeSpan IdleFor(long now) => IsInUse ? TimeSpan.Zero : _time.GetElapsedTime(Volatile.Read(ref _lastSeen), now);

    /// <summary>A client that lost its connection comes back for the answer.</summary>
    private bool IsInUse => Connections > 0 || HasCalls;

    /// <summary>How long ago it was last seen, if that is news since this was last asked.</summary>
    public TimeSpan? TakeSeen(long now)
    {
        if (IsInUse)
        {
            // As if it were used just now, so that the time counts from its last use and not from the last time this was asked.
            Volatile.Write(ref _lastSeen, now);
        }

        var seen = Volatile.Read(ref _lastSeen);
        if (seen <= Volatile.Read(ref _savedSeen))
        {
            return null;
        }

        Volatile.Write(ref _savedSeen, seen);
        return _time.GetElapsedTime(seen, now);
    }

    /// <summary>The store did not take what <see cref="TakeSeen"/> gave: it is news once more.</summary>
    public void SeenNotSaved() => Volatile.Write(ref _savedSeen, long.MinValue);

    /// <summary>Whether the store knows when it was last seen.</summary>
    public bool IsSeenSaved => Volatile.Read(ref _lastSeen) <= Volatile.Read(ref _savedSeen);

    /// <summary>Whether its end is to be seen to: by one at a time, however long the store takes.</summary>
    public bool TryBeginExpiring() => Interlocked.Exchange(ref _expiring, 1) == 0;

    public void EndExpiring() => Volatile.Write(ref _expiring, 0);

    public void Connected() => Interlocked.Increment(ref _connections);

    public void Disconnected()
    {
        Seen();
        Interlocked.Decrement(ref _connections);
    }

    /// <summary>Notes where a resource that no list shows lives.</summary>
    public void Remember(string uri, string server) => MakeSeenLinks().Add(new SeenLink(server, uri));

    /// <summary>How long ago the store was asked whether this session is still as it is here.</summary>
    public TimeSpan Unconfirmed => _time.GetElapsedTime(Volatile.Read(ref _confirmed));

    /// <summary>Whether another replica may have changed it since.</summary>
    public bool IsDoubted => Volatile.Read(ref _doubts) != Volatile.Read(ref _settledDoubts);

    /// <summary>The next use asks the store first.</summary>
    public void Doubt() => Interlocked.Increment(ref _doubts);

    /// <summary>The store is being asked about it, for all requests that come meanwhile.</summary>
    public Task<SessionMiss>? Confirming { get; set; }

    /// <summary>What is to be noted before the store is asked: a change that comes while it answers is newer than the answer.</summary>
    public Asked Asking() => new(Record.Revision, Volatile.Read(ref _doubts), Outbox.Moves);

    /// <summary>Takes what the store has of the session: another replica may have changed it.</summary>
    /// <param name="record">The store's answer.</param>
    /// <param name="asked">What <see cref="Asking"/> gave before.</param>
    public void Confirm(SessionRecord record, Asked asked)
    {
        lock (_gate)
        {
            if (_record.Revision == asked.Revision)
            {
                TakeLocked(record);
            }
        }

        if (Interlocked.Exchange(ref _settledDoubts, asked.Doubts) != asked.Doubts)
        {
            Outbox.CatchUp();
        }

        if (Outbox.Moves == asked.Moves)
        {
            Outbox.HeldBy(record.Listener);
        }
        else
        {
            Doubt();
        }

        Volatile.Write(ref _confirmed, _time.GetTimestamp());
    }

    /// <summary>Takes a change that the store has committed, unless a later one was first.</summary>
    public void Take(SessionRecord record)
    {
        lock (_gate)
        {
            if (record.Revision > _record.Revision)
            {
                TakeLocked(record);
            }
        }
    }

    /// <summary>Changes a record that no store has.</summary>
    public void Take(Func<SessionRecord, SessionRecord> change)
    {
        lock (_gate)
        {
            TakeLocked(change(_record));
        }
    }

    private SeenLinks MakeSeenLinks() => SeenLinks ?? Interlocked.CompareExchange(ref _seenLinks, new SeenLinks(), null) ?? _seenLinks;

    private void Restore(IReadOnlyList<SeenLink> links)
    {
        if (links.Count > 0)
        {
            MakeSeenLinks().Restore(links);
        }
    }

    private void TakeLocked(SessionRecord record)
    {
        _record = record;
        Restore(record.Links);
        _client = null;
        if (ProtocolVersions.TryParse(record.Version, out var version))
        {
            Version = version;
        }
    }

    public void Add(Call call)
    {
        lock (_gate)
        {
            call.Node = _calls.AddLast(call);
        }
    }

    public void Remove(Call call)
    {
        lock (_gate)
        {
            if (call.Node is { } node)
            {
                _calls.Remove(node);
                call.Node = null;
            }
        }
    }

    /// <summary>The running call with a client id (raw JSON token), the latest where a client uses one twice.</summary>
    public Call? FindCall(ReadOnlySpan<byte> clientId)
    {
        lock (_gate)
        {
            for (var node = _calls.Last; node is not null; node = node.Previous)
            {
                if (node.Value.ClientId.Span.SequenceEqual(clientId))
                {
                    return node.Value;
                }
            }
        }

        return null;
    }

    /// <summary>The latest running call that satisfies <paramref name="match"/>.</summary>
    public Call? FindCall(Func<Call, bool> match)
    {
        lock (_gate)
        {
            for (var node = _calls.Last; node is not null; node = node.Previous)
            {
                if (match(node.Value))
                {
                    return node.Value;
                }
            }
        }

        return null;
    }

    public void ForEachCall(Action<Call> action)
    {
        Call[] calls;
        lock (_gate)
        {
            if (_calls.Count == 0)
            {
                return;
            }

            calls = [.. _calls];
        }

        foreach (var call in calls)
        {
            action(call);
        }
    }

    /// <summary>A server's message as this session's client sees it.</summary>
    public byte[] ToClient(Upstream upstream, byte[] line) => Server is null ? _services.Views.ToClient(this, upstream, line) : line;

    /// <summary>What it subscribed to at one server, by that server's own URIs.</summary>
    public IEnumerable<string> SubscriptionsAt(Upstream upstream) =>
        Record.Subscriptions.Select(uri => _services.Views.ServerOf(this, uri)).Where(place => place?.Upstream == upstream).Select(place => place!.Value.Uri);

    /// <summary>A resource changed on a link shared with other sessions; only those that subscribed hear of it.</summary>
    public void Updated(Upstream upstream, string uri, byte[] line)
    {
        if (MayHear(upstream) && SubscriptionsAt(upstream).Contains(uri, StringComparer.Ordinal))
        {
            Outbox.Send(ToClient(upstream, line));
        }
    }

    /// <summary>A server's list is another one now, as seen on a link that is not this session's own; with a link of its own it hears that there.</summary>
    public void ServerListChanged(Upstream upstream, ListKind kind)
    {
        if (MayHear(upstream) && (!upstream.IsPerSession || (!Lists.Hears(upstream, kind) && !Links.IsHeardElsewhere(upstream))))
        {
            Outbox.SendListChanged(kind.Changed(), upstream.Name, isEverybodys: !Links.IsHome(upstream));
        }
    }

    /// <summary>Ends everything of the session in this process; its record is the table's business.</summary>
    public async Task EndAsync(StreamReason reason)
    {
        EndHere(reason);
        await Links.DisposeAsync();
    }

    /// <summary>As <see cref="EndAsync"/>, but other replicas go on with it, and with its links.</summary>
    public async Task LeaveAsync()
    {
        EndHere(StreamReason.SessionExpired);
        await Links.LeaveAsync();
    }

    private void EndHere(StreamReason reason)
    {
        IsEnded = true;
        ForEachCall(call => call.Abandon("the session ended", byClient: true));
        Outbox.End(reason);
    }

    /// <param name="Revision">Of the record here.</param>
    /// <param name="Doubts">How often it was doubted.</param>
    /// <param name="Moves">How often its newest stream moved.</param>
    public readonly record struct Asked(long Revision, int Doubts, int Moves);
}
