using Mooring.Replicas;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Telemetry;

namespace Mooring.Sessions;

/// <content>
/// Sessions that several replicas have in memory at once. The store's record is the authority; what is here is asked for again after a
/// while, and at once when another replica says that it changed something.
/// </content>
internal sealed partial class SessionTable
{
    /// <summary>Kind of signal: a session's id; its record was changed or removed.</summary>
    public const string ChangedSignal = "session";

    /// <summary>How long a session is used without asking the store whether it is still there.</summary>
    private static readonly TimeSpan Freshness = TimeSpan.FromSeconds(5);

    /// <summary>How long it is used when the store cannot be asked: the bound for sessions that were ended elsewhere meanwhile.</summary>
    private TimeSpan MaxStale => _services.Config.Current.Cache.MaxStale;

    /// <summary>How long a request waits for the store where the session is known well enough without.</summary>
    private static readonly TimeSpan ConfirmPatience = TimeSpan.FromSeconds(1);

    /// <summary>Sessions about which the store is asked at a time without a request for them.</summary>
    private const int ConfirmAtOnce = 50;

    private int _confirming;

    /// <summary>The session, where it is in memory.</summary>
    public Session? Known(string id) => _sessions.GetValueOrDefault(id);

    /// <summary>The session on behalf of another replica, which has checked whose it is; null where there is none.</summary>
    public async ValueTask<Session?> ForPeerAsync(string id)
    {
        if (Known(id) is { } session)
        {
            return session;
        }

        return await ReadOnceAsync(id);
    }

    /// <summary>
    /// Asks the store about sessions that signals may have been lost of and that no request asks about: those with something open or waiting.
    /// Part of the heartbeat, once a second; a few at a time, so that many are spread over a minute.
    /// </summary>
    public void LookAgain()
    {
        var unconfirmed = _services.Peers.Hears ? MaxStale : Freshness;
        foreach (var session in All.Where(s => s.IsKept))
        {
            session.Outbox.Look();
            session.Links.Look();
            if (Volatile.Read(ref _confirming) < ConfirmAtOnce
                && (session.IsDoubted || session.Unconfirmed > unconfirmed)
                && (session.Connections > 0 || session.HasCalls || session.Outbox.HasUnseen))
            {
                AskAsync(session).Unawaited(_services.Logger);
            }
        }

        async Task AskAsync(Session session)
        {
            Interlocked.Increment(ref _confirming);
            try
            {
                await ConfirmAsync(session);
            }
            finally
            {
                Interlocked.Decrement(ref _confirming);
            }
        }
    }

    private void ListenToPeers()
    {
        var peers = _services.Peers;
        peers.OnKeptLetter(Outbox.SayLetter, async (letter, name) =>
            await ForPeerAsync(letter.Session) is { } session ? session.Outbox.Take(letter.Body.ToArray(), letter.Subject, name) : Task.CompletedTask);
        peers.OnStranded(Outbox.SayLetter, letter => Known(letter.Session) is { Outbox.HasStream: true });
        peers.OnLetter(Outbox.FollowLetter, letter =>
        {
            Known(letter.Session)?.Outbox.FollowedBy(System.Text.Encoding.ASCII.GetString(letter.Body.Span), letter.Subject);
            return Task.CompletedTask;
        });
        peers.OnLetter(Outbox.ShowLetter, letter =>
        {
            Known(letter.Session)?.Outbox.Show(letter);
            return Task.CompletedTask;
        });
        peers.OnSignal(Outbox.WroteSignal, id =>
        {
            if (id.Split(' ') is [var sessionId, var stream])
            {
                Known(sessionId)?.Outbox.Wrote(stream);
            }
        });
        peers.OnSignal(Outbox.AnybodySignal, id =>
        {
            // What is not in memory has no stream here, unless it is being read for one.
            if (id.Split(' ') is [var sessionId, var asking] && !_loading.ContainsKey(sessionId) && Known(sessionId)?.Outbox.HasAnybody() is not true)
            {
                peers.Signal(asking, Outbox.NobodySignal, $"{sessionId} {peers.Name}");
            }
        });
        peers.OnSignal(Outbox.NobodySignal, id =>
        {
            if (id.Split(' ') is [var sessionId, var replica])
            {
                Known(sessionId)?.Outbox.HasNobody(replica);
            }
        });
        peers.OnSignal(SessionLinks.UnheardSignal, id =>
        {
            if (id.Split(' ') is [var sessionId, var server, var hearer])
            {
                Known(sessionId)?.Links.Unheard(server, hearer);
            }
        });
        peers.OnSignal(SessionLinks.KeptSignal, id => Known(id)?.Links.ReloadAsync().Unawaited(_services.Logger));
        peers.OnSignal(ChangedSignal, id =>
        {
            // Asked for first: what is no longer being read is in memory by then.
            if (_loading.TryGetValue(id, out var loading))
            {
                ChangedWhileReadAsync(loading).Unawaited(_services.Logger);
            }
            else if (Known(id) is { } session)
            {
                Changed(session);
            }
        });
        peers.OnMissed(() =>
        {
            foreach (var session in All)
            {
                session.Doubt();
            }
        });
    }

    private void Changed(Session session)
    {
        session.Doubt();
        if (session.Confirming is not { IsCompleted: false })
        {
            // Else it stays doubted, and whoever uses it next asks again, or the heartbeat: many changes are not as many questions.
            session.Confirming = ConfirmAsync(session).AsTask();
        }
    }

    /// <summary>Nobody knows whether the change is in what is read.</summary>
    private async Task ChangedWhileReadAsync(Task<Session?> loading)
    {
        await ((Task)loading).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (loading is { IsCompletedSuccessfully: true, Result: { } session })
        {
            Changed(session);
        }
    }

    private bool IsFresh(Session session) => !_services.Peers.IsShared || !session.IsKept || (session.Unconfirmed < Freshness && !session.IsDoubted);

    private async ValueTask<(Session? Session, SessionMiss Miss)> ConfirmAsync(Session session, Principal principal, string? server)
    {
        SessionMiss miss;
        try
        {
            miss = await (session.Confirming is { IsCompleted: false } running ? running : session.Confirming = ConfirmAsync(session).AsTask())
                .WaitAsync(ConfirmPatience, _services.Time);
        }
        catch (TimeoutException)
        {
            // What is known of it serves a while longer; the answer of the store, should it come, is for the next request.
            miss = session.Unconfirmed < MaxStale ? SessionMiss.None : SessionMiss.StoreAway;
        }

        if (miss != SessionMiss.None)
        {
            return (null, miss);
        }

        // Unused for long, it may have been taken out of memory meanwhile: what is no longer in the table hears of nothing.
        return ReferenceEquals(Known(session.Id), session) ? Check(session, principal, server) : await LoadAsync(session.Id, principal, server);
    }

    private async ValueTask<SessionMiss> ConfirmAsync(Session session)
    {
        try
        {
            var asked = session.Asking();
            if (await _services.Store.FindSessionAsync(session.Id, CancellationToken.None) is { } record)
            {
                session.Confirm(record, asked);
                return SessionMiss.None;
            }
        }
        catch (StoreException e)
        {
            if (session.Unconfirmed < MaxStale)
            {
                return SessionMiss.None;
            }

            Complain(e);
            return SessionMiss.StoreAway;
        }

        // Ended by another replica.
        Forget(session);
        UnsubscribeShared(session);
        await session.EndAsync(StreamReason.SessionEnded);
        return SessionMiss.NotFound;
    }
}
