using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <content>Streams, and which calls run.</content>
internal sealed partial class DynamoDbStore
{
    /// <summary>A row of a running call is written before its stream: none younger is taken for one that was left behind.</summary>
    private static readonly TimeSpan OpeningTakes = TimeSpan.FromMinutes(10);

    /// <summary>Long after every call.</summary>
    private static readonly TimeSpan RunningKept = TimeSpan.FromDays(30);

    /// <remarks>The stream's own item is the last, so what is opened is there as a whole or not at all.</remarks>
    public Task OpenStreamAsync(StreamRecord stream, EventRecord? primer) => _lanes.RunAsync(stream.SessionId, async () =>
    {
        if (await HeadAsync(stream.SessionId) is not { } head)
        {
            _known.Forget(stream.SessionId);
            return;
        }

        var incarnation = head.Text("inc");
        _known.Add(stream.SessionId, incarnation);
        var running = stream is { State: StreamState.Running, RequestIds.Count: > 0 } ? DynamoKeys.Running(stream.Replica ?? "", incarnation, stream.StreamId) : null;
        if (running is not null)
        {
            await RunsAsync(running, stream.SessionId, incarnation, stream.StreamId, stream.Replica ?? "");
        }

        var first = primer is null ? null : DynamoWrite.Put(
            await EventItems.MakeAsync(_bodies, incarnation, primer, null, _stamps.Next(), _table.Now + _options.EventsKept)).WhenNotThere().Marked();
        var wrote = first is not null && await _table.WriteAsync(first);
        if (!await _table.WriteAsync(DynamoWrite.Put(EventItems.Make(incarnation, stream)).WhenNotThere().Marked()))
        {
            if (wrote)
            {
                await DropAsync(first!.Whole!, first.Token!);
            }

            // What this one said of a running call is left: it is the other's too, or whoever reads it finds that it is not.
            throw new InvalidOperationException($"Stream {stream.StreamId} was opened before.");
        }

        if ((await HeadAsync(stream.SessionId))?.Text("inc") != incarnation)
        {
            // It ended meanwhile, and was perhaps cleared up before these rows came.
            _known.Forget(stream.SessionId);
            await ClearAsync(incarnation);
            return;
        }

        _known.AddStream(stream.SessionId, stream.StreamId);
    });

    public Task SetStreamStateAsync(string sessionId, string streamId, StreamState state) => _lanes.RunAsync(sessionId, async () =>
    {
        if (await IncarnationAsync(sessionId) is { } incarnation)
        {
            await SetStateAsync(incarnation, streamId, state, _time.GetUtcNow());
        }
    });

    public Task SetCallCursorAsync(string sessionId, string streamId, CallCursor cursor) => _lanes.RunAsync(sessionId, async () =>
    {
        if (await IncarnationAsync(sessionId) is { } incarnation)
        {
            await _table.WriteAsync(new DynamoWrite(DynamoKeys.Stream(incarnation, streamId)).Set("cursor", Text(cursor.ToString())).WhenThere());
        }
    });

    /// <remarks>It is listed under its next replica before it is that one's: what is listed and is not is passed over.</remarks>
    public Task<bool> TakeCallAsync(string sessionId, string streamId, string? from, string to) => _lanes.RunAsync(sessionId, async () =>
    {
        if (await IncarnationAsync(sessionId) is not { } incarnation)
        {
            return false;
        }

        await RunsAsync(DynamoKeys.Running(to, incarnation, streamId), sessionId, incarnation, streamId, to);
        var write = new DynamoWrite(DynamoKeys.Stream(incarnation, streamId)).Set("replica", Text(to));
        var (replica, next) = (write.N("replica"), write.V(Text(to)));
        write.When($"{write.N("state")} = {write.V(Number((long)StreamState.Running))}")
            .When($"{replica} = {next} OR {(from is null ? $"attribute_not_exists({replica})" : $"{replica} = {write.V(Text(from))}")}");
        var taken = await _table.WriteAsync(write);
        if (taken && from != to)
        {
            await _table.DeleteAsync(DynamoKeys.Running(from ?? "", incarnation, streamId));
        }

        return taken;
    });

    public async ValueTask<StreamRecord?> FindStreamAsync(string sessionId, string streamId, CancellationToken cancel)
    {
        if (await HeadAsync(sessionId, cancel) is not { } head)
        {
            return null;
        }

        return await StreamAsync(head, sessionId, streamId, cancel);
    }

    public Task<IReadOnlyList<StreamRecord>> FindRunningCallsAsync(CancellationToken cancel) =>
        RunningAsync(DynamoKeys.All("RUN").Select(partition => new DynamoQuery(partition)), cancel);

    public async Task<IReadOnlyList<StreamRecord>> FindRunningCallsAsync(string replica, CancellationToken cancel) =>
        [.. (await RunningAsync([new DynamoQuery(DynamoKeys.RunningPartition(replica)).StartingWith(DynamoKeys.RunningOf(replica))], cancel))
            .Where(call => call.Kind == StreamKind.Post && call.Replica == replica)];

    public async Task<IReadOnlyList<StreamRecord>> FindRunningCallsExceptAsync(IReadOnlyList<string> replicas, int limit, CancellationToken cancel)
    {
        var rows = await _table.QueryAllAsync(DynamoKeys.All("RUN").Select(partition => new DynamoQuery(partition)), cancel);
        var calls = new List<StreamRecord>();
        // Only those of others are looked at more closely, and no more than are wanted: it costs a question each.
        foreach (var some in rows.Where(row => !replicas.Contains(row.Text("replica"))).Chunk(limit))
        {
            calls.AddRange((await RunningAsync(some, cancel)).Where(call => call.Kind == StreamKind.Post));
            if (calls.Count >= limit)
            {
                break;
            }
        }

        return [.. calls.Take(limit)];
    }

    private Task<bool> RunsAsync(Dictionary<string, AttributeValue> running, string sessionId, string incarnation, string streamId, string replica) =>
        _table.WriteAsync(DynamoWrite.Put(running.With("session", Text(sessionId)).With("inc", Text(incarnation)).With("stream", Text(streamId))
            .With("replica", Text(replica)).With("at", Time(_table.Now)).With(DynamoKeys.Expires, Ttl(_table.Now + RunningKept))));

    private async Task<IReadOnlyList<StreamRecord>> RunningAsync(IEnumerable<DynamoQuery> queries, CancellationToken cancel) =>
        await RunningAsync(await _table.QueryAllAsync(queries, cancel), cancel);

    private async Task<IReadOnlyList<StreamRecord>> RunningAsync(IReadOnlyList<Dictionary<string, AttributeValue>> rows, CancellationToken cancel)
    {
        var calls = new List<StreamRecord>();
        var over = new List<Dictionary<string, AttributeValue>>();
        foreach (var bySession in rows.GroupBy(row => row.Text("session"), StringComparer.Ordinal))
        {
            var head = await HeadAsync(bySession.Key, cancel);
            foreach (var row in bySession)
            {
                var isOf = head?.Text("inc") == row.Text("inc");
                if (isOf && await StreamAsync(head!, bySession.Key, row.Text("stream"), cancel) is { State: StreamState.Running, RequestIds.Count: > 0 } call
                    && (call.Replica ?? "") == row.Text("replica"))
                {
                    calls.Add(call);
                }
                else if (row.Time("at") < _table.Now - OpeningTakes)
                {
                    over.Add(DynamoKeys.Of(row));
                }
            }
        }

        await _table.DeleteAllAsync(over);
        return calls;
    }

    /// <summary>A stream with the state that its last event gave it: the process that appended that one may have died before it could say so here too.</summary>
    private async Task<StreamRecord?> StreamAsync(Dictionary<string, AttributeValue> head, string sessionId, string streamId, CancellationToken cancel)
    {
        var incarnation = head.Text("inc");
        if (await _table.GetAsync(DynamoKeys.Stream(incarnation, streamId), cancel) is not { } item)
        {
            return null;
        }

        var stream = EventItems.Read(item, sessionId);
        if (stream.State != StreamState.Running)
        {
            return stream;
        }

        var last = await _table.QueryAsync(
            new DynamoQuery(DynamoKeys.Children(incarnation)).StartingWith(DynamoKeys.EventsOf(streamId)).Backward().AtMost(1)
                .Only("state", "written", EventItems.Waits, DynamoKeys.Token),
            cancel);
        if (last is not [var answer] || !answer.ContainsKey("state") || !EventItems.Counts(answer, head))
        {
            return stream;
        }

        await SetStateAsync(incarnation, streamId, (StreamState)answer.Number("state"), answer.Time("written"), onlyRunning: true);
        return EventItems.Read(await _table.GetAsync(DynamoKeys.Stream(incarnation, streamId), cancel) ?? item, sessionId);
    }

    private async Task SetStateAsync(string incarnation, string streamId, StreamState state, DateTimeOffset changed, bool onlyRunning = false)
    {
        var write = new DynamoWrite(DynamoKeys.Stream(incarnation, streamId)).Set("state", Number((long)state)).Set("changed", Time(changed)).WhenThere();
        if (onlyRunning)
        {
            write.When($"{write.N("state")} = {write.V(Number((long)StreamState.Running))}");
        }

        var (done, now) = await _table.ChangeAsync(write, ReturnValue.ALL_NEW);
        if (done && state != StreamState.Running && now!.ContainsKey("ids"))
        {
            await _table.DeleteAsync(DynamoKeys.Running(now.Text("replica"), incarnation, streamId));
        }
    }

    /// <summary>Takes back what was put there with this very token.</summary>
    private async Task DropAsync(Dictionary<string, AttributeValue> item, string token)
    {
        var delete = new DynamoWrite(DynamoKeys.Of(item));
        await _table.DeleteAsync(delete.When($"{delete.N(DynamoKeys.Token)} = {delete.V(Text(token))}"));
        await _bodies.DropAsync([item], EventItems.Body);
    }
}
