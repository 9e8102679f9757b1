using System.Globalization;
using Mooring.Replicas;
using Mooring.Stores;
using Mooring.Streams;

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
    private static readonly TimeSpan MaxStale = TimeSpan.FromSeconds(60);

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

        try
        {
            return await _loading.GetOrAdd(id, static (id, table) => table.ReadAsync(id), this);
        }
        finally
        {
            _loading.TryRemove(id, out _);
        }
    }

    /// <summary>Nobody used the session here for as long as one may be idle. It ends, unless another replica has seen it since; then only this one lets go of it.</summary>
    public async Task LeaveAsync(Session session)
    {
        try
        {
            var record = await _services.Store.FindSessionAsync(session.Id, CancellationToken.None);
            if (record is not null && _services.Time.GetUtcNow() - record.LastSeen <= _services.Config.Current.Sessions.Idle)
            {
                Forget(session);
                await session.EndAsync(StreamReason.SessionExpired);
                return;
            }
        }
        catch (StoreException)
        {
            // Asked again with the next look.
            return;
        }

        await EndAsync(session, StreamReason.SessionExpired);
    }

    /// <summary>
    /// Asks the store about sessions that signals may have been lost of and that no request asks about: those with something open or waiting.
    /// Part of the heartbeat, once a second; a few at a time, so that many are spread over a minute.
    /// </summary>
    public void LookAgain()
    {
        foreach (var session in All)
        {
            session.Outbox.Look();
            if (Volatile.Read(ref _confirming) < ConfirmAtOnce
                && (session.IsDoubted || session.Unconfirmed > MaxStale)
                && (session.Connections > 0 || session.Outbox.HasBacklog || session.HasCalls))
            {
                _ = AskAsync(session);
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
        peers.OnLetter(Outbox.SayLetter, async letter =>
        {
            if (await ForPeerAsync(letter.Session) is { } session)
            {
                session.Outbox.Take(letter.Body.ToArray(), int.Parse(letter.Subject, CultureInfo.InvariantCulture));
            }
        });
        peers.OnLetter(Outbox.FollowLetter, letter =>
        {
            Known(letter.Session)?.Outbox.FollowedBy(System.Text.Encoding.ASCII.GetString(letter.Body.Span), letter.Subject);
            return Task.CompletedTask;
        });
        peers.OnSignal(Outbox.WroteSignal, id =>
        {
            if (id.Split(' ') is [var sessionId, var stream])
            {
                Known(sessionId)?.Outbox.Wrote(stream);
            }
        });
        peers.OnSignal(SessionLinks.KeptSignal, id => _ = Known(id)?.Links.ReloadAsync());
        peers.OnSignal(ChangedSignal, id =>
        {
            if (Known(id) is { } session)
            {
                session.Doubt();
                _ = ConfirmAsync(session).AsTask();
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

    private bool IsFresh(Session session) => !_services.Peers.IsShared || (session.Unconfirmed < Freshness && !session.IsDoubted);

    private async ValueTask<(Session? Session, SessionMiss Miss)> ConfirmAsync(Session session, Principal principal, string? server)
    {
        var miss = await ConfirmAsync(session);
        return miss == SessionMiss.None ? Check(session, principal, server) : (null, miss);
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
