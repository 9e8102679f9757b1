using System.Collections.Concurrent;

namespace Mooring.Chaos.Clients;

/// <summary>How a call ended. Every call ends as exactly one of these.</summary>
internal enum Outcome
{
    /// <summary>Its result came on the connection that asked.</summary>
    Answered,

    /// <summary>Its result came on another connection, which the client opened with its last event id.</summary>
    Resumed,

    /// <summary>Its result came as that of a task which it had become.</summary>
    ByTask,

    /// <summary>The gateway said that it was not executed, or refused to take it until the client gave up.</summary>
    Refused,

    /// <summary>Nobody took it until the client gave up: <see cref="Refused"/>, whatever time that took. No call ends as this in the tally.</summary>
    GivenUp,

    /// <summary>The gateway, or the server, answered with an error that does not say more.</summary>
    Failed,

    /// <summary>The gateway said that nobody knows.</summary>
    Unknown,

    /// <summary>The connection ended before the client had anything to come back with.</summary>
    Cut,

    /// <summary>As <see cref="Cut"/>, of 2025-06-18, which gives a call no event id before its first message: no gateway can help that.</summary>
    CutOlder,

    /// <summary>As <see cref="CutOlder"/>, of 2025-03-26.</summary>
    CutOldest,

    /// <summary>Of HTTP+SSE (2024-11-05), where a message has no event id: the stream to which the answer was to come ended before it came, or the request's connection did.</summary>
    CutLegacy,

    /// <summary>As <see cref="Cut"/>, of 2026-07-28, which has no way back to a call but as a task.</summary>
    CutStateless,

    /// <summary>None of these in time, or a wrong answer.</summary>
    Lost,
}

/// <summary>Who calls whom: with sessions or without, on both sides.</summary>
internal sealed record Pair(bool IsClientStateless, bool IsServerStateless)
{
    public override string ToString() => $"{(IsClientStateless ? "a new" : "an old")} client at {(IsServerStateless ? "a new" : "an old")} server";
}

/// <summary>What a task said at its end. Whether it is true, what was executed says.</summary>
internal enum TaskEnd
{
    /// <summary>It never ended in time, or nobody knew it any more.</summary>
    Lost,

    /// <summary>With the result of its call.</summary>
    Completed,

    /// <summary>Failed: nobody knows whether it was executed.</summary>
    Unknown,

    /// <summary>Failed: it was not executed.</summary>
    NotExecuted,

    /// <summary>Failed with an error that does not say more.</summary>
    Failed,

    /// <summary>Its server knows it no more, which is true only of one that was killed.</summary>
    Forgotten,

    /// <summary>As nothing that was done to it can end: cancelled, or with another call's result.</summary>
    Untrue,
}

/// <summary>What all sessions of a round saw. Any thread may write; it is read when they have ended.</summary>
internal sealed class Tally
{
    /// <summary>Enough to see what went wrong; the rest is likely more of the same.</summary>
    private const int NotesKept = 12;

    /// <summary>A list that takes longer is none.</summary>
    public static readonly TimeSpan SlowList = TimeSpan.FromSeconds(2);

    private readonly ConcurrentQueue<string> _notes = new();
    private readonly ConcurrentQueue<IReadOnlyList<string>> _journals = new();
    private long _sessionsLost, _reconnects, _waits, _wrongLists, _eventsExpected, _eventsLost, _eventsWithoutId, _eventsRepeated, _longestGap, _longestLegacyGap;
    private int _noted, _underWay;
    private long _openedAt = long.MaxValue, _longestOpening;

    /// <summary>Each call by its key.</summary>
    public ConcurrentDictionary<string, Outcome> Calls { get; } = new(StringComparer.Ordinal);

    /// <summary>Results by who got them from whom.</summary>
    public ConcurrentDictionary<Pair, int> Pairs { get; } = [];

    /// <summary>Each errand whose result came, by its key, and who got it from whom.</summary>
    public ConcurrentDictionary<string, Pair> Errands { get; } = new(StringComparer.Ordinal);

    /// <summary>Each call that became a task, by its key.</summary>
    public ConcurrentDictionary<string, TaskEnd> Tasks { get; } = new(StringComparer.Ordinal);

    /// <summary>From the break of a stream to the head of its successor, in ms.</summary>
    public ConcurrentBag<double> Resumptions { get; } = [];

    public IEnumerable<string> Notes => _notes;

    /// <summary>What the sessions did to which an event was lost or came twice.</summary>
    public IReadOnlyCollection<IReadOnlyList<string>> Journals => _journals;

    public long SessionsLost => _sessionsLost;

    public long Reconnects => _reconnects;

    /// <summary>Calls that have been begun and have not ended.</summary>
    public int UnderWay => _underWay;

    /// <summary>Lists of tools that were empty, incomplete, or refused by the gateway itself.</summary>
    public long WrongLists => _wrongLists;

    /// <summary>Calls whose result came.</summary>
    public int Results => Count(Outcome.Answered) + Count(Outcome.Resumed) + Count(Outcome.ByTask);

    /// <summary>Times the client was told to come back later.</summary>
    public long Waits => _waits;

    public long EventsExpected => _eventsExpected;

    public long EventsLost => _eventsLost;

    /// <summary>Lost on a stream whose client had no event id to come back with; no gateway can help that.</summary>
    public long EventsWithoutId => _eventsWithoutId;

    public long EventsRepeated => _eventsRepeated;

    /// <summary>As <see cref="WithoutTools"/>, while gateways, servers and clients all began at once: that is no fault of the round's.</summary>
    public TimeSpan WithoutToolsAtFirst => TimeSpan.FromMilliseconds(_longestOpening);

    /// <summary>Longest time in which one session asked for its tools and did not get them; zero where each answer was right and came within 2 s. Without those of HTTP+SSE.</summary>
    public TimeSpan WithoutTools => TimeSpan.FromMilliseconds(_longestGap);

    /// <summary>As <see cref="WithoutTools"/>, of clients of HTTP+SSE (2024-11-05).</summary>
    public TimeSpan WithoutToolsLegacy => TimeSpan.FromMilliseconds(_longestLegacyGap);

    public int Count(Outcome outcome) => Calls.Values.Count(ended => ended == outcome);

    /// <summary>Everything has begun, and the round's fault may come.</summary>
    public void Opened() => Volatile.Write(ref _openedAt, TimeProvider.System.GetTimestamp());

    public void SessionLost(string why)
    {
        Interlocked.Increment(ref _sessionsLost);
        Note($"session lost: {why}");
    }

    public void Began(string key)
    {
        // Until it has ended some other way.
        Calls[key] = Outcome.Lost;
        Interlocked.Increment(ref _underWay);
    }

    public void Ended(string key, Outcome outcome, Pair pair)
    {
        Calls[key] = outcome;
        if (outcome is Outcome.Answered or Outcome.Resumed or Outcome.ByTask)
        {
            Pairs.AddOrUpdate(pair, 1, (_, count) => count + 1);
            if (key.EndsWith(Servers.Errands.Tool, StringComparison.Ordinal))
            {
                Errands[key] = pair;
            }
        }

        Interlocked.Decrement(ref _underWay);
    }

    public void WrongList(string what)
    {
        Interlocked.Increment(ref _wrongLists);
        Note($"wrong list: {what}");
    }

    public void Reconnected() => Interlocked.Increment(ref _reconnects);

    public void Waited() => Interlocked.Increment(ref _waits);

    public void Events(long expected, long lost, long withoutId, long repeated)
    {
        Interlocked.Add(ref _eventsExpected, expected);
        Interlocked.Add(ref _eventsLost, lost);
        Interlocked.Add(ref _eventsWithoutId, withoutId);
        Interlocked.Add(ref _eventsRepeated, repeated);
    }

    public void Keep(IReadOnlyList<string> journal) => _journals.Enqueue(journal);

    /// <param name="gap">How long a session has been without its tools.</param>
    /// <param name="who">Which one.</param>
    /// <param name="met">What it met meanwhile.</param>
    /// <param name="isLegacy">Whether it speaks HTTP+SSE.</param>
    public void NoTools(TimeSpan gap, string who, IReadOnlyCollection<string> met, bool isLegacy = false)
    {
        var asked = TimeProvider.System.GetTimestamp() - (long)(gap.TotalSeconds * TimeProvider.System.TimestampFrequency);
        if (asked < Volatile.Read(ref _openedAt))
        {
            Raise(ref _longestOpening, gap);
            return;
        }

        if (gap > SlowList)
        {
            Note($"{who}: without tools for {gap.TotalSeconds:0.0} s: {(met.Count == 0 ? "one answer that was slow" : string.Join(", ", met))}");
        }

        Raise(ref isLegacy ? ref _longestLegacyGap : ref _longestGap, gap);
    }

    private static void Raise(ref long longest, TimeSpan gap)
    {
        var milliseconds = (long)gap.TotalMilliseconds;
        for (var before = Volatile.Read(ref longest); milliseconds > before; before = Volatile.Read(ref longest))
        {
            if (Interlocked.CompareExchange(ref longest, milliseconds, before) == before)
            {
                return;
            }
        }
    }

    public void Note(string text)
    {
        if (Interlocked.Increment(ref _noted) <= NotesKept)
        {
            _notes.Enqueue(text);
        }
    }
}
