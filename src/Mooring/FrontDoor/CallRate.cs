using System.Collections.Concurrent;
using Mooring.Configuration;
using Mooring.Sessions;

namespace Mooring.FrontDoor;

/// <summary>Requests each user may start in a minute (<c>limits.callsPerUserPerMinute</c>), counted in windows of a minute from the first request.</summary>
internal sealed class CallRate(TimeProvider time, ConfigStore config)
{
    private readonly ConcurrentDictionary<Principal, Window> _windows = new();

    /// <param name="principal">Whose requests.</param>
    /// <param name="count">How many; a batch passes as a whole or not at all.</param>
    /// <returns>Null when they may pass, else the seconds until the user's next window.</returns>
    public int? TryTake(Principal principal, int count)
    {
        var limit = config.Current.Limits.CallsPerUserPerMinute;
        if (limit == 0 || count == 0)
        {
            return null;
        }

        var now = time.GetTimestamp();
        var window = _windows.AddOrUpdate(principal,
            (_, now) => new Window(now, count),
            (_, window, now) => time.GetElapsedTime(window.Start, now).TotalMinutes >= 1 ? new Window(now, count) : window with { Count = window.Count + count },
            now);
        return window.Count <= limit ? null : Math.Max(1, (int)Math.Ceiling(60 - time.GetElapsedTime(window.Start, now).TotalSeconds));
    }

    private readonly record struct Window(long Start, int Count);
}
