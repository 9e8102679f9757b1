using System.Collections.Concurrent;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <content>
/// Who looks for what has expired. That reads all that is listed, so one replica does it for all, under a lease that nobody gives back: it is over when it is time to
/// look again. One that dies while it looks leaves the rest to the next time.
/// </content>
internal sealed partial class DynamoDbStore
{
    /// <summary>Rows stay that much longer than they have to; whether they count is asked at each read.</summary>
    internal static readonly TimeSpan SweepEvery = TimeSpan.FromMinutes(5);

    /// <summary>How often a replica asks whether it is the one.</summary>
    private static readonly TimeSpan AskEvery = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<string, long> _askedToSweep = new(StringComparer.Ordinal);

    public Task<bool> TakeSweepAsync() => TakeSweepAsync("sessions");

    public Task<bool> TakeAuthSweepAsync() => TakeSweepAsync("auth");

    private async Task<bool> TakeSweepAsync(string what)
    {
        // Also where nothing is asked: whoever sweeps judges by it whether the store hears of what is in use.
        _table.ThrowIfAway();
        var now = _time.GetTimestamp();
        if (_askedToSweep.TryGetValue(what, out var asked) && _time.GetElapsedTime(asked, now) < AskEvery)
        {
            return false;
        }

        var write = new DynamoWrite(DynamoKeys.Sweep(what)).Marked().Set("until", Time(_table.Now + SweepEvery));
        write.When($"attribute_not_exists({write.N("until")}) OR {write.N("until")} <= {write.V(Time(_table.Now))}");
        var isOurs = await _table.WriteAsync(write);
        _askedToSweep[what] = now;
        return isOurs;
    }
}
