using Mooring.Calls;
using Mooring.Stores;
using Mooring.Streams;

namespace Mooring.Sessions;

/// <summary>
/// What time does to sessions: deadlines of their calls, their end when nobody comes any more, their leave from memory while they are
/// quiet, and what the store is told of it all. Part of the heartbeat.
/// </summary>
internal sealed partial class SessionSweeper(SessionTable table, SessionServices services, CallRunner runner) : IHeartbeatHandler
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan TouchEvery = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan UnloadAfter = TimeSpan.FromMinutes(10);

    private long _nextTouch;
    private long _nextTick;
    private long _nextLook;
    private int _sweeping;

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
            LeaveOrEnd(now);
            if (services.Peers.IsShared)
            {
                table.LookAgain();
            }
        }

        if (now >= _nextTouch && services.StoreTried.IsCompleted && Interlocked.Exchange(ref _sweeping, 1) == 0)
        {
            _nextTouch = now + (long)(TouchEvery.TotalSeconds * services.Time.TimestampFrequency);
            _ = SweepAsync();
        }
    }

    /// <summary>Writes down what only memory knows; at a stop.</summary>
    public Task SaveAsync() => TouchAsync();

    private void LeaveOrEnd(long now)
    {
        var idle = services.Config.Current.Sessions.Idle;
        foreach (var session in table.All)
        {
            var quiet = session.IdleFor(now);
            if (quiet > idle && services.Peers.IsShared)
            {
                _ = table.LeaveAsync(session);
            }
            else if (quiet > idle)
            {
                _ = table.EndAsync(session, StreamReason.SessionExpired);
            }
            else if (quiet > UnloadAfter && session.RunningCalls == 0 && session.Links.Open.Count == 0 && session.Questions.Count == 0 && !session.Outbox.HasBacklog)
            {
                // The store has all of it; the next request brings it back.
                table.Forget(session);
            }
        }
    }

    private async Task SweepAsync()
    {
        try
        {
            await TouchAsync();
            var before = services.Time.GetUtcNow() - services.Config.Current.Sessions.Idle;
            foreach (var id in await services.Store.FindIdleSessionsAsync(before, limit: 1000, CancellationToken.None))
            {
                if (!table.Has(id))
                {
                    await services.Store.DeleteSessionAsync(id);
                }
            }

            await services.Store.ExpireTasksAsync(services.Time.GetUtcNow());
            await services.Store.ExpireEventsAsync(services.Time.GetUtcNow() - services.Config.Current.EventLog.Age);
        }
        catch (StoreException e)
        {
            if (services.Outage.IsNews("sweep"))
            {
                Log.StoreFailed(services.Logger, e);
            }
        }
        finally
        {
            Volatile.Write(ref _sweeping, 0);
        }
    }

    private async Task TouchAsync()
    {
        var seen = new List<(string, DateTimeOffset)>();
        var now = services.Time.GetTimestamp();
        var today = services.Time.GetUtcNow();
        foreach (var session in table.All)
        {
            if (session.TakeSeen(now) is { } ago)
            {
                seen.Add((session.Id, today - ago));
            }
        }

        if (seen.Count > 0)
        {
            await services.Store.TouchSessionsAsync(seen);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(522, LogLevel.Error, "The store failed.", EventName = "SweepFailed")]
        public static partial void StoreFailed(ILogger logger, Exception exception);
    }
}
