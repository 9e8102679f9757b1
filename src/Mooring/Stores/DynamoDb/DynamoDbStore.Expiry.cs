using System.Collections.Concurrent;
using Amazon.DynamoDBv2.Model;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <content>What limits drop of event logs.</content>
internal sealed partial class DynamoDbStore
{
    /// <summary>Processes write by their own clocks.</summary>
    private static readonly TimeSpan ClocksDiffer = TimeSpan.FromMinutes(1);

    /// <summary>
    /// When the oldest thing of a session was written that a sweep left: what comes later is younger, so nothing is to be dropped before that is
    /// old enough. So a sweep reads a session's events once in their life, and not every minute.
    /// </summary>
    private readonly ConcurrentDictionary<string, long> _oldest = new(StringComparer.Ordinal);

    public Task TrimEventsAsync(string sessionId, int maxEvents, long maxBytes) => _lanes.RunAsync(sessionId, async () =>
    {
        if (await IncarnationAsync(sessionId) is not { } incarnation)
        {
            return;
        }

        var events = (await EventsOfAsync(incarnation)).OrderByDescending(item => item.Number("n")).ToList();
        var (kept, bytes) = (0, 0L);
        while (kept < events.Count && kept < maxEvents && bytes + events[kept].Number("size") <= maxBytes)
        {
            bytes += events[kept++].Number("size");
        }

        await DropAsync(incarnation, events[kept..]);
    });

    public async Task<int> ExpireEventsAsync(DateTimeOffset before)
    {
        var heads = await _table.QueryAllAsync(
            DynamoKeys.All("S").Select(partition => new DynamoQuery(partition).Only(DynamoKeys.Sort, "inc").Loosely()), CancellationToken.None);
        var incarnations = heads.Select(head => (Id: head.Text(DynamoKeys.Sort), Incarnation: head.Text("inc"))).ToList();
        foreach (var gone in _oldest.Keys.Except(incarnations.Select(one => one.Incarnation), StringComparer.Ordinal).ToList())
        {
            _oldest.TryRemove(gone, out _);
        }

        var total = 0;
        foreach (var (id, incarnation) in incarnations)
        {
            if (!_oldest.TryGetValue(incarnation, out var oldest) || oldest < before.UtcTicks)
            {
                total += await _lanes.RunAsync(id, () => ExpireAsync(id, incarnation, before));
            }
        }

        await FinishDeletingAsync();
        await ProlongBodiesAsync(incarnations.Select(one => one.Incarnation));
        return total;
    }

    private async Task<int> ExpireAsync(string sessionId, string incarnation, DateTimeOffset before)
    {
        var youngest = (_time.GetUtcNow() - ClocksDiffer).UtcTicks;
        var events = await EventsOfAsync(incarnation);
        var old = events.Where(item => item.Time("written") < before).ToList();
        await DropAsync(incarnation, old);
        var left = events.Where(item => item.Time("written") >= before).ToList();
        var oldest = left.Select(item => item.Number("written")).Append(youngest).Min();
        var alive = left.Select(item => item.Text("stream")).ToHashSet(StringComparer.Ordinal);
        var streams = await _table.QueryAsync(
            new DynamoQuery(DynamoKeys.Children(incarnation)).StartingWith(DynamoKeys.Streams).Only(DynamoKeys.Partition, DynamoKeys.Sort, "stream", "state", "changed"),
            CancellationToken.None);
        foreach (var stream in streams.Where(stream => stream.Number("state") != (long)StreamState.Running && !alive.Contains(stream.Text("stream"))))
        {
            if (stream.Time("changed") >= before)
            {
                oldest = Math.Min(oldest, stream.Number("changed"));
                continue;
            }

            var delete = new DynamoWrite(DynamoKeys.Of(stream));
            await _table.DeleteAsync(delete.When($"{delete.N("changed")} = {delete.V(Number(stream.Number("changed")))}"));
            _known.ForgetStream(sessionId, stream.Text("stream"));
        }

        _oldest[incarnation] = oldest;
        return old.Count;
    }

    /// <summary>What counts, without the bodies. What waits to count is another's to see through, and has a TTL.</summary>
    private async Task<List<Dictionary<string, AttributeValue>>> EventsOfAsync(string incarnation)
    {
        var query = new DynamoQuery(DynamoKeys.Children(incarnation)).StartingWith(DynamoKeys.Events)
            .Only([DynamoKeys.Partition, DynamoKeys.Sort, "n", "size", "stream", "sequence", "written", .. AttributesOf(EventItems.Body)]);
        return await _table.QueryAsync(query.Where($"attribute_not_exists({query.N(EventItems.Waits)})"), CancellationToken.None);
    }

    /// <summary>Streams remember first what they lose: whoever reads on from there is told, and not left with a gap.</summary>
    private async Task DropAsync(string incarnation, List<Dictionary<string, AttributeValue>> events)
    {
        foreach (var ofStream in events.GroupBy(item => item.Text("stream"), StringComparer.Ordinal))
        {
            var highest = ofStream.Max(item => item.Number("sequence"));
            var write = new DynamoWrite(DynamoKeys.Stream(incarnation, ofStream.Key)).Set("trimmed", Number(highest)).WhenThere();
            await _table.WriteAsync(write.When($"attribute_not_exists({write.N("trimmed")}) OR {write.N("trimmed")} < {write.V(Number(highest))}"));
        }

        await _table.DeleteAllAsync(events.Select(DynamoKeys.Of));
        await _bodies.DropAsync(events, EventItems.Body);
    }

    /// <summary>What was noted as going, and whose process did not come to its end.</summary>
    private async Task FinishDeletingAsync()
    {
        foreach (var gone in await _table.QueryAsync(new DynamoQuery(DynamoKeys.GonePartition), CancellationToken.None))
        {
            if (gone.Time("at") < _table.Now - ClocksDiffer)
            {
                var incarnation = gone.Text(DynamoKeys.Sort);
                if ((await HeadAsync(gone.Text("session")))?.Text("inc") == incarnation)
                {
                    // Noted, and not deleted: it lives.
                    await _table.DeleteAsync(DynamoKeys.Key(DynamoKeys.GonePartition, incarnation));
                }
                else
                {
                    await ClearAsync(incarnation);
                }
            }
        }
    }
}
