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

    /// <summary>Tokens may be many, and the service deletes them too.</summary>
    internal static readonly TimeSpan SweepAuthEvery = TimeSpan.FromHours(1);

    /// <summary>The chunks of bodies without an end have thirty days left when this begins to prolong them.</summary>
    internal static readonly TimeSpan ProlongEvery = TimeSpan.FromDays(1);

    /// <summary>A replica asks so often whether it is the one while the lease of another runs.</summary>
    private const int AsksPerLease = 5;

    /// <summary>Partitions that are asked at once.</summary>
    private const int AskedAtOnce = 16;

    private readonly ConcurrentDictionary<string, long> _askedToSweep = new(StringComparer.Ordinal);

    public Task<bool> TakeSweepAsync() => TakeSweepAsync("sessions", SweepEvery);

    public Task<bool> TakeAuthSweepAsync() => TakeSweepAsync("auth", SweepAuthEvery);

    private async Task<bool> TakeSweepAsync(string what, TimeSpan every)
    {
        // Also where nothing is asked: whoever sweeps judges by it whether the store hears of what is in use.
        _table.ThrowIfAway();
        var now = _time.GetTimestamp();
        if (_askedToSweep.TryGetValue(what, out var asked) && _time.GetElapsedTime(asked, now) < every / AsksPerLease)
        {
            return false;
        }

        var write = new DynamoWrite(DynamoKeys.Sweep(what)).Marked().Set("until", Time(_table.Now + every));
        write.When($"attribute_not_exists({write.N("until")}) OR {write.N("until")} <= {write.V(Time(_table.Now))}");
        var isOurs = await _table.WriteAsync(write);
        _askedToSweep[what] = now;
        return isOurs;
    }

    /// <summary>
    /// Keeps bodies that nobody has read for a month, and whose rows have no end: a list that does not change, a session that is only written. What a
    /// failure leaves out of it has its turn the next day, twenty-nine days before its end.
    /// </summary>
    private async Task ProlongBodiesAsync(IEnumerable<string> incarnations)
    {
        if (!await TakeSweepAsync("bodies", ProlongEvery))
        {
            return;
        }

        await ProlongAsync([new DynamoQuery(DynamoKeys.CataloguePartition)], CatalogueBody);
        await ProlongAsync(DynamoKeys.All("S").Select(partition => new DynamoQuery(partition)), SessionItems.Init);
        await ProlongAsync(DynamoKeys.All("HELD").Select(partition => new DynamoQuery(partition)), HeldMeta);
        await ProlongAsync(
            incarnations.Select(incarnation => new DynamoQuery(DynamoKeys.Children(incarnation)).StartingWith(DynamoKeys.Links)), LinkItems.Init, LinkItems.Lists);
    }

    private async Task ProlongAsync(IEnumerable<DynamoQuery> rows, params string[] names)
    {
        foreach (var some in rows.Chunk(AskedAtOnce))
        {
            foreach (var item in await _table.QueryAllAsync(some.Select(query => _bodies.DueOf(query, names).Loosely()), CancellationToken.None))
            {
                foreach (var name in names)
                {
                    await _bodies.ProlongAsync(item, name);
                }
            }
        }
    }
}
