using System.Collections.Concurrent;
using Mooring.Configuration;
using Mooring.Routing;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Telemetry;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <summary>Why a request has no session to go on with.</summary>
internal enum SessionMiss
{
    None,

    /// <summary>Unknown, ended, expired, on another route, or somebody else's: one answer for all, so that nobody learns which.</summary>
    NotFound,

    /// <summary>The store cannot be asked just now; the session may well exist.</summary>
    StoreAway,

    /// <summary>A cap is reached.</summary>
    TooMany,
}

/// <summary>
/// The sessions of this process. Makes them, brings them back from the store with their id (right after a restart, without the client
/// noticing), ends them. The store's record is the authority; what is here is a cache of it with the live parts.
/// </summary>
internal sealed partial class SessionTable
{
    /// <summary>How many other changes a change may be beaten by. A client makes its changes one after the other, so there is hardly one.</summary>
    private const int MostChanges = 20;

    private readonly ConcurrentDictionary<string, Session> _sessions = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Task<Session?>> _loading = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<Principal, int> _perUser = new();
    private readonly SessionServices _services;
    private readonly SessionMetrics _metrics;

    public SessionTable(SessionServices services, SessionMetrics metrics)
    {
        _services = services;
        _metrics = metrics;
        services.Shared.Broadcast = Broadcast;
        services.Catalogue.Changed = OnCatalogueChanged;
        services.Names.Corrected = OnNameCorrected;
        services.Upstreams.Changed += gone => OnServersChangedAsync(gone).Unawaited(_services.Logger);
        services.Config.OnChange(OnConfigChanged);
        ListenToPeers();
        ListenToAccounts();
    }

    public int Count => _sessions.Count;

    public IEnumerable<Session> All => _sessions.Select(entry => entry.Value);

    public bool Has(string id) => _sessions.ContainsKey(id);

    /// <summary>Makes a session and commits its record: only then may its id leave.</summary>
    public async Task<(Session? Session, SessionMiss Miss)> CreateAsync(SessionRecord record)
    {
        var limits = _services.Config.Current.Limits;
        var principal = new Principal(record.Issuer, record.Subject);
        if (_sessions.Count >= limits.Sessions || _perUser.GetValueOrDefault(principal) >= limits.SessionsFor(principal == Principal.Anonymous))
        {
            return (null, SessionMiss.TooMany);
        }

        try
        {
            await StoreTriedAsync();
            if (!await _services.Places.TakeAsync(principal))
            {
                return (null, SessionMiss.TooMany);
            }

            await _services.Store.SaveSessionAsync(record);
        }
        catch (StoreException e)
        {
            Complain(e);
            return (null, SessionMiss.StoreAway);
        }

        var session = new Session(record, _services);
        Keep(session);
        return (session, SessionMiss.None);
    }

    /// <summary>Makes a session that only this process knows, for clients without any.</summary>
    public Session AddStateless(SessionRecord record)
    {
        var session = new Session(record, _services);
        _sessions[session.Id] = session;
        return session;
    }

    /// <summary>The session with this id, if it is this caller's on this route.</summary>
    public ValueTask<(Session? Session, SessionMiss Miss)> FindAsync(string id, Principal principal, string? server)
    {
        if (!_sessions.TryGetValue(id, out var session))
        {
            return LoadAsync(id, principal, server);
        }

        return IsFresh(session) ? ValueTask.FromResult(Check(session, principal, server)) : ConfirmAsync(session, principal, server);
    }

    /// <summary>Ends a session for good.</summary>
    public async Task<bool> EndAsync(Session session, StreamReason reason)
    {
        if (!session.IsKept)
        {
            Forget(session);
            UnsubscribeShared(session);
            await session.EndAsync(reason);
            return true;
        }

        try
        {
            await _services.Store.DeleteSessionAsync(session.Id);
        }
        catch (StoreException e)
        {
            Complain(e);
            return false;
        }

        await EndHereAsync(session, reason);
        return true;
    }

    /// <summary>Its record is gone; so is what is left of it here.</summary>
    private async Task EndHereAsync(Session session, StreamReason reason)
    {
        Forget(session);
        UnsubscribeShared(session);
        await session.EndAsync(reason);
        _services.Peers.SignalAll(ChangedSignal, session.Id);
    }

    /// <summary>A link that others share keeps no subscription that nobody wants any more.</summary>
    private void UnsubscribeShared(Session session)
    {
        foreach (var upstream in _services.Upstreams.All.Where(u => !u.IsPerSession))
        {
            foreach (var uri in session.SubscriptionsAt(upstream).Distinct(StringComparer.Ordinal).Where(uri => !OthersSubscribe(session, (upstream, uri))))
            {
                _services.Shared.UnsubscribeAsync(upstream, uri).Unawaited(_services.Logger);
            }
        }
    }

    /// <summary>
    /// Saves a change of the session's record; false when the store did not take it, or the session is gone (nothing is changed then).
    /// Where another request or replica changed it meanwhile, <paramref name="change"/> is applied again, to what that one left.
    /// </summary>
    public async Task<bool> ChangeAsync(Session session, Func<SessionRecord, SessionRecord> change)
    {
        if (!session.IsKept)
        {
            session.Take(change);
            return true;
        }

        try
        {
            for (var tries = 0; tries < MostChanges; tries++)
            {
                var (links, news) = (session.SeenLinks, session.SeenLinks?.News ?? 0);
                var changed = change(session.Record);
                changed = links?.In(changed) ?? changed;
                if (await _services.Store.UpdateSessionAsync(changed))
                {
                    links?.Kept(news);
                    session.Take(changed with { Revision = changed.Revision + 1 });
                    _services.Peers.SignalAll(ChangedSignal, session.Id);
                    return true;
                }

                if (await ConfirmAsync(session) != SessionMiss.None)
                {
                    return false;
                }
            }

            return false;
        }
        catch (StoreException e)
        {
            Complain(e);
            return false;
        }
    }

    /// <summary>Whether another session still wants to hear of a resource on a shared link.</summary>
    public bool OthersSubscribe(Session session, (Upstream Upstream, string Uri) place) =>
        _sessions.Values.Any(other => !ReferenceEquals(other, session)
            && other.SubscriptionsAt(place.Upstream).Contains(place.Uri, StringComparer.Ordinal));

    private static (Session?, SessionMiss) Check(Session session, Principal principal, string? server) =>
        !session.IsKept || session.IsEnded || session.Principal != principal || !string.Equals(session.Server, server, StringComparison.Ordinal)
            ? (null, SessionMiss.NotFound)
            : (session, SessionMiss.None);

    private async ValueTask<(Session? Session, SessionMiss Miss)> LoadAsync(string id, Principal principal, string? server)
    {
        if (id.Length > 64)
        {
            return (null, SessionMiss.NotFound);
        }

        try
        {
            await StoreTriedAsync();
            var session = await ReadOnceAsync(id).WaitAsync(StorePatience.BeforeRefusal, _services.Time);
            return session is null ? (null, SessionMiss.NotFound) : Check(session, principal, server);
        }
        catch (TimeoutException)
        {
            return (null, SessionMiss.StoreAway);
        }
        catch (StoreException e)
        {
            Complain(e);
            return (null, SessionMiss.StoreAway);
        }
    }

    /// <summary>A gateway that has only just begun reaches its store in a moment: that is waited for, not refused.</summary>
    private Task StoreTriedAsync() => _services.StoreTried is { IsCompleted: false } tried
        ? Task.WhenAny(tried, Task.Delay(StorePatience.BeforeRefusal, _services.Time))
        : Task.CompletedTask;

    /// <summary>Requests that come at once share one session object. Each load is in the table before it begins, so that it finds itself there to take out, however soon it is over.</summary>
    private Task<Session?> ReadOnceAsync(string id)
    {
        if (_loading.TryGetValue(id, out var running))
        {
            return running;
        }

        var load = new TaskCompletionSource<Session?>(TaskCreationOptions.RunContinuationsAsynchronously);
        running = _loading.GetOrAdd(id, load.Task);
        if (ReferenceEquals(running, load.Task))
        {
            _ = LoadOnceAsync(id, load);
        }

        return running;
    }

    private async Task LoadOnceAsync(string id, TaskCompletionSource<Session?> load)
    {
        try
        {
            var session = await ReadAsync(id);
            _loading.TryRemove(KeyValuePair.Create(id, load.Task));
            load.SetResult(session);
        }
        catch (Exception e)
        {
            // Out of the table before anybody hears of it: who asks again then has it read again.
            _loading.TryRemove(KeyValuePair.Create(id, load.Task));
            load.SetException(e);
        }
    }

    private async Task<Session?> ReadAsync(string id)
    {
        if (_sessions.TryGetValue(id, out var session))
        {
            return session;
        }

        var record = await _services.Store.FindSessionAsync(id, CancellationToken.None);
        if (record is null || (record.LastSeen < ExpiredBefore && MayExpire))
        {
            return null;
        }

        var links = await _services.Store.FindLinksAsync(id, CancellationToken.None);
        session = new Session(record, _services);
        await session.Links.RestoreAsync(links);
        if (Keep(session) is var kept && !ReferenceEquals(kept, session))
        {
            return kept;
        }

        session.Links.Resume();
        Log.SessionBack(_services.Logger, id[..6]);
        return session;
    }

    /// <returns>The one session object of that id.</returns>
    private Session Keep(Session session)
    {
        var kept = _sessions.GetOrAdd(session.Id, session);
        if (ReferenceEquals(kept, session))
        {
            _perUser.AddOrUpdate(session.Principal, 1, static (_, count) => count + 1);
            _metrics.Opened();
        }

        return kept;
    }

    /// <summary>Takes the session out of memory; its record stays.</summary>
    public void Forget(Session session)
    {
        // This one only: another object of the same session may have taken its place meanwhile.
        if (_sessions.TryRemove(KeyValuePair.Create(session.Id, session)) && session.IsKept)
        {
            if (_perUser.AddOrUpdate(session.Principal, 0, static (_, count) => count - 1) == 0)
            {
                // Only where nobody has counted up meanwhile.
                _perUser.TryRemove(KeyValuePair.Create(session.Principal, 0));
            }

            _metrics.Closed();
        }
    }

    private void Complain(StoreException e)
    {
        if (_services.Outage.IsNews())
        {
            Log.StoreFailed(_services.Logger, e.Message);
        }
    }

    private void Broadcast(Upstream upstream, Action<Session> action)
    {
        foreach (var (_, session) in _sessions)
        {
            if (session.Server is null || session.Server == upstream.Name)
            {
                action(session);
            }
        }
    }

    private void OnCatalogueChanged(CatalogueChange change)
    {
        if (_services.Upstreams.Find(change.Server) is not { } upstream)
        {
            return;
        }

        // What is shown to links that declare nothing stands for the server as a whole: whoever has no link of its own asks again.
        Broadcast(upstream, session =>
        {
            if (change.IsFirst && session.Lists.WasLeftWithout(upstream, change.List.Kind))
            {
                session.ServerListChanged(upstream, change.List.Kind);
                return;
            }

            if (change is { IsFirst: true, IsNews: false })
            {
                // Whose link showed it has told its own session.
                return;
            }

            var isItsKey = session.Lists.Key(upstream) == change.Key;
            if (isItsKey)
            {
                session.Lists.Share(upstream, change.List);
            }

            if (change.IsFirst && !(isItsKey && session.Lists.Of(upstream)?[change.List.Kind] is { } own && own.Hash != change.List.Hash))
            {
                return;
            }

            if (session.Lists.Of(upstream)?[change.List.Kind]?.Hash == change.List.Hash)
            {
                // Its own link has shown it that already, and told it.
                return;
            }

            if (!change.WasTold && (isItsKey || change.Key == CatalogueKey.Base))
            {
                session.ServerListChanged(upstream, change.List.Kind);
            }
        });
    }

    private static partial class Log
    {
        [LoggerMessage(520, LogLevel.Error, "The store failed: {Reason}", EventName = "StoreFailed")]
        public static partial void StoreFailed(ILogger logger, string reason);

        [LoggerMessage(521, LogLevel.Debug, "Session {Session}… goes on from the store.", EventName = "SessionBack")]
        public static partial void SessionBack(ILogger logger, string session);
    }
}
