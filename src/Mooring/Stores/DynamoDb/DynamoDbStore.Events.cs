using Amazon.DynamoDBv2.Model;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <content>Event logs.</content>
internal sealed partial class DynamoDbStore
{
    public Task<bool> AppendEventAsync(EventRecord record, StreamState? state = null) => _lanes.RunAsync(record.SessionId, async () =>
    {
        if (await IncarnationAsync(record.SessionId) is not { } incarnation || !await HasStreamAsync(record, incarnation))
        {
            return true;
        }

        var item = await EventItems.MakeAsync(_bodies, incarnation, record, state, _stamps.Next(), _table.Now + _options.EventsKept);
        if (record.Origin is { } origin)
        {
            EventItems.Wait(item, origin);
        }

        if (await PutEventAsync(item, record.SessionId, incarnation) is not { } token)
        {
            await _bodies.DropAsync([item], EventItems.Body);
            throw new InvalidOperationException($"Event {record.Sequence} of stream {record.StreamId} was appended before.");
        }

        if (record.Origin is not null && !await HearAsync(record.SessionId, incarnation, item, token))
        {
            return false;
        }

        if (state is { } changed)
        {
            await SetStateAsync(incarnation, record.StreamId, changed, record.Written);
        }

        return true;
    });

    public async Task<IReadOnlyList<EventRecord>> ReadEventsAsync(string sessionId, string streamId, long after, int limit, CancellationToken cancel)
    {
        if (await IncarnationAsync(sessionId, cancel) is not { } incarnation)
        {
            return [];
        }

        var prefix = DynamoKeys.EventsOf(streamId);
        var events = new List<EventRecord>();
        while (events.Count < limit && after < long.MaxValue)
        {
            var asked = limit - events.Count;
            var items = await _table.QueryAsync(
                new DynamoQuery(DynamoKeys.Children(incarnation)).Between(prefix + DynamoKeys.Sequence(after + 1), prefix + DynamoKeys.Sequence(long.MaxValue)).AtMost(asked), cancel);
            var head = items.Exists(item => item.ContainsKey(EventItems.Waits)) ? await HeadAsync(sessionId, cancel) : null;
            var waits = false;
            foreach (var item in items)
            {
                // One that waited when it was looked at may have come to count since, or be gone.
                var now = EventItems.Counts(item, head) ? item : await _table.GetAsync(DynamoKeys.Of(item), cancel);
                if (now is not null && !ReferenceEquals(now, item) && now.ContainsKey(EventItems.Waits))
                {
                    waits = true;
                }
                else if (now is not null && await EventItems.ReadAsync(_bodies, now, sessionId, cancel) is { } record)
                {
                    events.Add(record);
                }
            }

            // What stands behind one that is not decided yet is not looked for: by then that one may have been, and would be left out.
            if (items.Count < asked || waits)
            {
                break;
            }

            after = items[^1].Number("sequence");
        }

        return events;
    }

    private async Task<bool> HasStreamAsync(EventRecord record, string incarnation)
    {
        if (_known.HasStream(record.SessionId, record.StreamId))
        {
            return true;
        }

        if (await _table.GetAsync(DynamoKeys.Stream(incarnation, record.StreamId), CancellationToken.None) is null)
        {
            return false;
        }

        _known.AddStream(record.SessionId, record.StreamId);
        return true;
    }

    /// <summary>
    /// Puts an event in its place, never over another one. One that waits there is of a try whose outcome nobody was told, its own or another replica's:
    /// that one is seen through first, since it may count already or yet, and only one that can count no more leaves the place.
    /// </summary>
    /// <returns>The token that it was put with; null: there is an event already.</returns>
    private async Task<string?> PutEventAsync(Dictionary<string, AttributeValue> item, string sessionId, string incarnation)
    {
        while (true)
        {
            var write = DynamoWrite.Put(item).Marked().WhenNotThere();
            if (await _table.WriteAsync(write))
            {
                return write.Token;
            }

            if (await _table.GetAsync(write.Key, CancellationToken.None) is { } there)
            {
                if (!there.ContainsKey(EventItems.Waits))
                {
                    return null;
                }

                await HearAsync(sessionId, incarnation, there, there.Text(DynamoKeys.Token));
            }
        }
    }

    /// <summary>
    /// Makes an event count that a server said of its own accord. It is there already, and waits; the one write of the session's item that moves
    /// what the link has heard also names it, which is what counts. Then it waits no more. A process that dies in between leaves it named, and the
    /// next one that hears something of that server sees it through first.
    /// </summary>
    /// <returns>False: it is not the successor of what was heard, and gone again.</returns>
    private async Task<bool> HearAsync(string sessionId, string incarnation, Dictionary<string, AttributeValue> item, string token)
    {
        var origin = EventItems.OriginOf(item);
        var key = DynamoKeys.Of(item);
        var settled = _known.SettledOf(sessionId, origin.Server);
        while (true)
        {
            if (await NameAsync(sessionId, incarnation, item, origin, token, settled))
            {
                await SettleAsync(sessionId, origin.Server, key, token);
                return true;
            }

            var head = await HeadAsync(sessionId);
            if (head?.Text("inc") != incarnation)
            {
                // The session is gone, and its rows with it.
                _known.Forget(sessionId);
                await DropAsync(item, token);
                return true;
            }

            var pending = head.Map("pend").Map(origin.Server);
            if (pending.TextOrNull(DynamoKeys.Token) == token)
            {
                // Done before, and the answer was lost.
                await SettleAsync(sessionId, origin.Server, key, token);
                return true;
            }

            var known = head.Map("heard").Map(origin.Server);
            if (known.TextOrNull("u") != origin.UpstreamSessionId)
            {
                // Of another session of the server than the link's: nothing to follow on.
                await ShowAsync(key, token);
                return true;
            }

            if (pending.Count > 0 && pending.Text(DynamoKeys.Token) != settled)
            {
                settled = pending.Text(DynamoKeys.Token);
                await SettleAsync(sessionId, origin.Server, DynamoKeys.Event(incarnation, pending.Text("stream"), pending.Number("sequence")), settled);
            }
            else if (!origin.Follows(known.TextOrNull("e")))
            {
                await DropAsync(item, token);
                return false;
            }
        }
    }

    /// <summary>The write that decides.</summary>
    private Task<bool> NameAsync(string sessionId, string incarnation, Dictionary<string, AttributeValue> item, EventOrigin origin, string token, string? settled)
    {
        var write = new DynamoWrite(DynamoKeys.Session(sessionId));
        var (heard, pending) = (write.N("heard", origin.Server, "e"), write.N("pend", origin.Server));
        var named = new Dictionary<string, AttributeValue>(StringComparer.Ordinal)
        {
            ["stream"] = Text(item.Text("stream")),
            ["sequence"] = Number(item.Number("sequence")),
            [DynamoKeys.Token] = Text(token),
        };
        write.SetRaw($"{heard} = {write.V(Text(origin.EventId))}").SetRaw($"{pending} = {write.V(Map(named))}");
        write.When($"{write.N("inc")} = {write.V(Text(incarnation))}")
            .When($"{write.N("heard", origin.Server, "u")} = {write.V(Text(origin.UpstreamSessionId))}")
            .When(settled is null ? $"attribute_not_exists({pending})" : $"attribute_not_exists({pending}) OR {write.N("pend", origin.Server, DynamoKeys.Token)} = {write.V(Text(settled))}");
        if (origin.After is { } after)
        {
            write.When($"attribute_not_exists({heard}) OR {heard} = {write.V(Text(after))}");
        }

        return _table.WriteAsync(write);
    }

    private async Task SettleAsync(string sessionId, string server, Dictionary<string, AttributeValue> key, string token)
    {
        await ShowAsync(key, token);
        _known.Settle(sessionId, server, token);
    }

    /// <summary>It waits no more. Nothing to do where it is gone, or was seen through by another.</summary>
    private Task<bool> ShowAsync(Dictionary<string, AttributeValue> key, string token)
    {
        var write = new DynamoWrite(key).Set(EventItems.Waits, null).Set(EventItems.Origin, null);
        return _table.WriteAsync(write.When($"{write.N(DynamoKeys.Token)} = {write.V(Text(token))}"));
    }
}
