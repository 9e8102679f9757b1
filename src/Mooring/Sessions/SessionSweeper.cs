using Mooring.Calls;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Telemetry;

namespace Mooring.Sessions;

/// <summary>
/// What time does to sessions: deadlines of their calls, their end when nobody comes any more, their leave from memory while they are
/// quiet, and what the store is told of it all. Part of the heartbeat.
/// </summary>
internal sealed partial class SessionSweeper(SessionTable table, SessionServices services, CallRunner runner) : IHeartbeatHandler
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Sweeps in a row after which the store has heard from every replica that is there: another may find it back some seconds later than this one,
    /// which can be after this one's second, and tells it of its sessions with its next sweep.
    /// </summary>
    private const int SweepsUntilAllAreHeard = 3;

    /// <summary>What is quiet for so long leaves the memory, where nothing is lost by that.</summary>
    private static readonly TimeSpan UnloadAfter = TimeSpan.FromMinutes(10);

    private long _nextTouch;
    private long _nextTick;
    private long _nextLook;
    private int _sweeping;
    private int _swept;

    public void OnHeartbeat(long now)
    {
        if (now < _nextTick)
        {
            return;
        }

        // Deadlines are seconds and minutes; a fifth of a second is fine enough.
        _nextTick = now + (services.Time.TimestampFrequency / 5);
        if (runner.Running > 0)
        {
            foreach (var session in table.All)
            {
                runner.Tick(session, now);
            }
        }

        if (now >= _nextLook)
        {
            _nextLook = now + (long)(LookEvery.TotalSeconds * services.Time.TimestampFrequency);
            table.ExpireUnused(now);
            Unload(now);
            KeepLinks(now);
            foreach (var session in table.All)
            {
                session.Links.Reopen();
            }

            table.LookAtAccounts();
            if (services.Peers.IsShared)
            {
                table.LookAgain();
            }
        }

        if (now >= _nextTouch && services.StoreTried.IsCompleted && Interlocked.Exchange(ref _sweeping, 1) == 0)
        {
            _nextTouch = now + (long)(SessionTable.TouchEvery.TotalSeconds * services.Time.TimestampFrequency);
            SweepAsync().Unawaited(services.Logger);
        }
    }

    /// <summary>Writes down what only memory knows; at a stop.</summary>
    public async Task SaveAsync()
    {
        await TouchAsync();
        await Task.WhenAll(table.All.Where(s => s.IsKept && s.SeenLinks is { HasNews: true }).Select(KeepLinksAsync));
    }

    private void KeepLinks(long now)
    {
        foreach (var session in table.All)
        {
            if (session.IsKept && session.SeenLinks is { } links && links.IsDue(now, services.Time))
            {
                KeepLinksAsync(session).Unawaited(services.Logger);
            }
        }
    }

    /// <summary>The table has them in whatever it writes of a session.</summary>
    private Task<bool> KeepLinksAsync(Session session) => table.ChangeAsync(session, record => record);

    /// <summary>
    /// The store has all of them; the next request brings one back. One that stands for clients without sessions it has not: the next request makes another,
    /// which is the same to everybody unless a server keeps something for it, such as an open page. That lives as long as with a session that its client knows of.
    /// </summary>
    private void Unload(long now)
    {
        foreach (var session in table.All)
        {
            if (!session.IsKept)
            {
                var idle = session.IdleFor(now);
                if (idle > UnloadAfter && (!session.Links.HoldState || idle > services.Config.Current.Sessions.Idle))
                {
                    table.EndAsync(session, StreamReason.SessionExpired).Unawaited(services.Logger);
                }
            }
            else if (session.IdleFor(now) > UnloadAfter && session.IsSeenSaved && session.SeenLinks is not { HasNews: true } && session.Links.Open.Count == 0 && session.Questions.Count == 0 && !session.Outbox.HasBacklog)
            {
                table.Forget(session);
            }
        }
    }

    private async Task SweepAsync()
    {
        try
        {
            await TouchAsync();
            if (await services.Store.TakeSweepAsync())
            {
                if (table.MayExpire)
                {
                    await DeleteUnusedAsync();
                }

                await services.Store.ExpireTasksAsync(services.Time.GetUtcNow());
                await services.Store.ExpireEventsAsync(services.Time.GetUtcNow() - services.Config.Current.EventLog.Age);
            }

            table.TouchesArrive(++_swept >= SweepsUntilAllAreHeard);
        }
        catch (StoreException e)
        {
            _swept = 0;
            table.TouchesArrive(false);
            if (services.Outage.IsNews("sweep"))
            {
                Log.StoreFailed(services.Logger, e.Message);
            }
        }
        catch (Exception e)
        {
            // A bug of ours: the next sweep tries again, and must not be thought to have been told of everything.
            _swept = 0;
            table.TouchesArrive(false);
            Log.SweepFailed(services.Logger, e);
        }
        finally
        {
            Volatile.Write(ref _sweeping, 0);
        }
    }

    /// <summary>Sessions that are in no replica's memory, or in that of one that is gone.</summary>
    private async Task DeleteUnusedAsync()
    {
        var before = table.ExpiredBefore;
        foreach (var id in await services.Store.FindIdleSessionsAsync(before, limit: 1000, CancellationToken.None))
        {
            if (!table.Has(id))
            {
                await services.Store.DeleteIdleSessionAsync(id, before);
            }
        }
    }

    private async Task TouchAsync()
    {
        var seen = new List<(Session Session, DateTimeOffset Seen)>();
        var now = services.Time.GetTimestamp();
        var today = services.Time.GetUtcNow();
        foreach (var session in table.All)
        {
            if (session.IsKept && session.TakeSeen(now) is { } ago)
            {
                seen.Add((session, today - ago));
            }
        }

        if (seen.Count == 0)
        {
            return;
        }

        try
        {
            await services.Store.TouchSessionsAsync([.. seen.Select(one => (one.Session.Id, one.Seen))]);
        }
        catch
        {
            seen.ForEach(one => one.Session.SeenNotSaved());
            throw;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(522, LogLevel.Error, "Sessions and events were not swept, the store failed: {Reason}", EventName = "SweepFailed")]
        public static partial void StoreFailed(ILogger logger, string reason);

        [LoggerMessage(526, LogLevel.Error, "Sessions and events were not swept.", EventName = "SweepBroken")]
        public static partial void SweepFailed(ILogger logger, Exception exception);
    }
}
