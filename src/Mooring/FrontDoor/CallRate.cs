using System.Collections.Concurrent;
using Mooring.Configuration;
using Mooring.Sessions;
using Mooring.Stores;

namespace Mooring.FrontDoor;

/// <summary>
/// Requests that each user, and all users together, may start in a minute (<c>limits.callsPerUserPerMinute</c>, <c>limits.callsPerMinute</c>). Replicas on a store
/// that they share share the limits: each takes permits out of the minute's in batches, the next batch before the last one is used up.
/// </summary>
internal sealed partial class CallRate(TimeProvider time, ConfigStore config, ILogger<CallRate> logger, PermitSource permits)
{
    private const int Swept = 10_000;

    private const int MinuteSeconds = 60;

    /// <summary>Stands for everybody; nobody is called so.</summary>
    private static readonly Principal All = new("\0all", "");

    private readonly ConcurrentDictionary<Principal, RateWindow> _windows = new();
    private readonly StorePatience _patience = new(time);

    /// <param name="principal">Whose requests.</param>
    /// <param name="count">How many; a batch passes as a whole or not at all.</param>
    /// <returns>Null when they may pass, else which limit is reached and when it is worth another try.</returns>
    public async ValueTask<RateReached?> TakeAsync(Principal principal, int count)
    {
        var limits = config.Current.Limits;
        if (count == 0 || (limits.CallsPerUserPerMinute == 0 && limits.CallsPerMinute == 0))
        {
            return null;
        }

        if (count > Least(limits.CallsPerUserPerMinute, limits.CallsPerMinute))
        {
            // It never passes, however often it is sent: it takes nothing from anybody.
            return new RateReached($"A batch of {count} requests is more than may be started in a minute (limits.callsPerUserPerMinute, limits.callsPerMinute); send fewer at once.", MinuteSeconds);
        }

        if (limits.CallsPerUserPerMinute > 0 && await TakeAsync(WindowOf(principal), principal, count, limits.CallsPerUserPerMinute) is { } seconds)
        {
            return new RateReached($"This user has started {limits.CallsPerUserPerMinute} requests within a minute (limits.callsPerUserPerMinute).", seconds);
        }

        if (limits.CallsPerMinute > 0 && await TakeAsync(WindowOf(All), All, count, limits.CallsPerMinute) is { } wait)
        {
            if (limits.CallsPerUserPerMinute > 0)
            {
                WindowOf(principal).GiveBack(count);
            }

            return new RateReached($"All users together have started {limits.CallsPerMinute} requests within a minute (limits.callsPerMinute).", wait);
        }

        return null;
    }

    /// <summary>0 is no limit.</summary>
    private static int Least(int one, int other) => Math.Min(one == 0 ? int.MaxValue : one, other == 0 ? int.MaxValue : other);

    private async ValueTask<int?> TakeAsync(RateWindow window, Principal principal, int count, int limit)
    {
        while (true)
        {
            Task leasing;
            lock (window)
            {
                var now = time.GetTimestamp();
                if (permits.Store is null || _patience.IsAlone(now))
                {
                    return window.TakeAlone(time, now, count, limit);
                }

                if (window.TryTake(time, now, count, out var seconds))
                {
                    if (window.IsLow(limit))
                    {
                        // The next ones are fetched while these are used: hardly a call waits for the store.
                        window.Leasing ??= LeaseAsync(window, principal, RateWindow.BatchOf(limit), limit);
                    }

                    return null;
                }

                if (seconds is not null)
                {
                    return seconds;
                }

                leasing = window.Leasing ??= LeaseAsync(window, principal, Math.Max(count, RateWindow.BatchOf(limit)), limit);
            }

            try
            {
                await leasing.WaitAsync(StorePatience.LongestWait, time);
            }
            catch (TimeoutException)
            {
                // What comes late counts all the same.
                GoAlone($"there was no answer within {StorePatience.LongestWait.TotalMilliseconds:0} ms.");
            }
        }
    }

    private void GoAlone(string why)
    {
        if (_patience.GoAlone())
        {
            Log.Alone(logger, why);
        }
    }

    private async Task LeaseAsync(RateWindow window, Principal principal, int wanted, int limit)
    {
        // Nobody's lock is held from here on.
        await Task.Yield();
        try
        {
            // The name of a person is nobody's business in that table.
            var key = principal == All ? "all" : principal.Hash();
            var lease = await permits.Store!.LeasePermitsAsync(key, wanted, limit);
            lock (window)
            {
                window.Add(time, lease, wanted);
                window.Leasing = null;
            }
        }
        catch (Exception e)
        {
            if (e is not StoreException)
            {
                // A bug of ours; who waits for these permits must not wait for ever.
                Log.LeaseFailed(logger, e);
            }

            GoAlone(e.Message);
            lock (window)
            {
                window.Leasing = null;
            }
        }
    }

    private RateWindow WindowOf(Principal principal)
    {
        if (_windows.TryGetValue(principal, out var known))
        {
            return known;
        }

        if (_windows.Count >= Swept)
        {
            foreach (var (whose, window) in _windows)
            {
                if (window.IsOld(time))
                {
                    _windows.TryRemove(whose, out _);
                }
            }
        }

        return _windows.GetOrAdd(principal, _ => new RateWindow());
    }

    private static partial class Log
    {
        [LoggerMessage(712, LogLevel.Warning, "The store cannot be asked for limits that replicas share; each counts for itself meanwhile: {Reason}", EventName = "LimitsAlone")]
        public static partial void Alone(ILogger logger, string reason);

        [LoggerMessage(711, LogLevel.Error, "Asking the store for a share of a limit failed.", EventName = "LimitsLeaseFailed")]
        public static partial void LeaseFailed(ILogger logger, Exception exception);
    }
}

/// <summary>A limit that is reached.</summary>
/// <param name="Why">Which, for the client.</param>
/// <param name="Seconds">Until there is room again.</param>
internal readonly record struct RateReached(string Why, int Seconds);
