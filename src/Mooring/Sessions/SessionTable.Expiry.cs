using Mooring.Stores;
using Mooring.Streams;
using Mooring.Telemetry;

namespace Mooring.Sessions;

/// <content>
/// The end of sessions that nobody uses any more. Who has a session in memory knows to the moment when it was used here; the store hears of it
/// now and then. So whoever judges by the store's record, which may be about a session in use at another replica, allows for that.
/// </content>
internal sealed partial class SessionTable
{
    /// <summary>How often the store is told which sessions were used.</summary>
    public static readonly TimeSpan TouchEvery = TimeSpan.FromSeconds(30);

    /// <summary>How far the store's record may be behind: <see cref="TouchEvery"/>, and half as much for a store that is slow to take it.</summary>
    public static readonly TimeSpan TouchSlack = TouchEvery * 1.5;

    private volatile bool _touchesArrive;

    /// <summary>A record that was not touched since is of a session that nobody uses, at any replica.</summary>
    public DateTimeOffset ExpiredBefore => _services.Time.GetUtcNow() - _services.Config.Current.Sessions.Idle - TouchSlack;

    /// <summary>
    /// Whether the records can be judged by. While the store was away no replica could tell it what is in use: whoever is back first must not take
    /// the sessions of the others for unused.
    /// </summary>
    public bool MayExpire => !_services.Peers.IsShared || _touchesArrive;

    /// <summary>Says whether the store has taken what all replicas had to tell it lately.</summary>
    public void TouchesArrive(bool all) => _touchesArrive = all;

    /// <summary>Ends sessions that nobody used here for long enough, or lets go of them where another replica goes on.</summary>
    public void ExpireUnused(long now)
    {
        var shared = _services.Peers.IsShared;
        if (!MayExpire)
        {
            return;
        }

        var limit = _services.Config.Current.Sessions.Idle + (shared ? TouchSlack : TimeSpan.Zero);
        foreach (var session in All)
        {
            if (session.IsKept && session.IdleFor(now) > limit && session.TryBeginExpiring())
            {
                ExpireAsync(session, shared, limit).Unawaited(_services.Logger);
            }
        }
    }

    private async Task ExpireAsync(Session session, bool shared, TimeSpan limit)
    {
        try
        {
            if (!shared)
            {
                await EndAsync(session, StreamReason.SessionExpired);
            }
            else if (await _services.Store.DeleteIdleSessionAsync(session.Id, ExpiredBefore))
            {
                await EndHereAsync(session, StreamReason.SessionExpired);
            }
            else if (session.IdleFor(_services.Time.GetTimestamp()) > limit)
            {
                // Another replica has it in use.
                Forget(session);
                await session.LeaveAsync();
            }
        }
        catch (StoreException e)
        {
            // Asked again with the next look.
            Complain(e);
        }
        finally
        {
            session.EndExpiring();
        }
    }
}
