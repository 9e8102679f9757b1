namespace Mooring.Stores.Memory;

/// <summary>One session with all that belongs to it. Owned by <see cref="MemoryStore"/> and guarded by its gate.</summary>
internal sealed class MemorySession(SessionRecord record)
{
    /// <summary>All streams' events in the order they were appended.</summary>
    private readonly List<EventRecord> _events = [];
    private readonly HashSet<(string StreamId, long Sequence)> _known = [];
    private long _bytes;

    public SessionRecord Record { get; set; } = record;

    public SortedDictionary<string, LinkRecord> Links { get; } = new(StringComparer.Ordinal);

    /// <summary>Which replica runs what cannot move, by server.</summary>
    public Dictionary<string, string> Homes { get; } = new(StringComparer.Ordinal);

    public Dictionary<string, StreamRecord> Streams { get; } = new(StringComparer.Ordinal);

    /// <returns>False: it is not the next one of its link.</returns>
    public bool Append(EventRecord record)
    {
        if (_known.Contains((record.StreamId, record.Sequence)))
        {
            throw new InvalidOperationException($"Event {record.Sequence} of stream {record.StreamId} was appended before.");
        }

        if (record.Origin is { } origin && Links.GetValueOrDefault(origin.Server) is { } link && link.UpstreamSessionId == origin.UpstreamSessionId)
        {
            if (!origin.Follows(link.Heard))
            {
                return false;
            }

            Links[origin.Server] = link with { Heard = origin.EventId };
        }

        _known.Add((record.StreamId, record.Sequence));
        _events.Add(record with { Body = record.Body.ToArray(), Origin = null });
        _bytes += record.Body.Length;
        return true;
    }

    public void SetState(string streamId, StreamState state, DateTimeOffset changed)
    {
        if (Streams.TryGetValue(streamId, out var stream))
        {
            Streams[streamId] = stream with { State = state, Changed = changed };
        }
    }

    public void SetCursor(string streamId, CallCursor cursor)
    {
        if (Streams.TryGetValue(streamId, out var stream))
        {
            Streams[streamId] = stream with { Cursor = cursor };
        }
    }

    /// <returns>Whether the call is <paramref name="to"/>'s now.</returns>
    public bool Take(string streamId, string? from, string to)
    {
        if (!Streams.TryGetValue(streamId, out var stream) || stream.State != StreamState.Running || (stream.Replica != from && stream.Replica != to))
        {
            return false;
        }

        Streams[streamId] = stream with { Replica = to };
        return true;
    }

    public IReadOnlyList<EventRecord> Read(string streamId, long after, int limit) =>
        [.. _events.Where(known => known.StreamId == streamId && known.Sequence > after).OrderBy(known => known.Sequence).Take(limit)];

    public void Trim(int maxEvents, long maxBytes)
    {
        var drop = 0;
        var bytes = _bytes;
        while (_events.Count - drop > maxEvents || (bytes > maxBytes && drop < _events.Count))
        {
            bytes -= _events[drop++].Body.Length;
        }

        Forget(_events[..drop]);
        _events.RemoveRange(0, drop);
    }

    /// <summary>Returns the number of events dropped.</summary>
    public int Expire(DateTimeOffset before)
    {
        Forget(_events.FindAll(known => known.Written < before));
        var dropped = _events.RemoveAll(known => known.Written < before);
        foreach (var stream in Streams.Values.Where(stream => stream.State != StreamState.Running && stream.Changed < before).ToList())
        {
            if (!_events.Exists(known => known.StreamId == stream.StreamId))
            {
                Streams.Remove(stream.StreamId);
            }
        }

        return dropped;
    }

    private void Forget(List<EventRecord> dropped)
    {
        foreach (var known in dropped)
        {
            _bytes -= known.Body.Length;
            _known.Remove((known.StreamId, known.Sequence));
            var stream = Streams[known.StreamId];
            Streams[known.StreamId] = stream with { TrimmedTo = Math.Max(stream.TrimmedTo, known.Sequence) };
        }
    }
}
