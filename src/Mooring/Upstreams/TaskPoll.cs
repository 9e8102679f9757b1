using System.Buffers.Text;
using Mooring.Protocol;

namespace Mooring.Upstreams;

/// <summary>How long to wait before a server is asked again how its task is doing.</summary>
internal static class TaskPoll
{
    /// <summary>Where the server wishes for nothing, or cannot be asked.</summary>
    public static readonly TimeSpan Usual = TimeSpan.FromSeconds(1);

    /// <summary>A server has no work to do before it answers; an answer of some size takes its time on a slow line.</summary>
    private static readonly TimeSpan LongestAnswer = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    /// <summary>What the server wishes for, within reason.</summary>
    /// <param name="task">The task, raw JSON.</param>
    /// <param name="key">Under which it has its wish, in milliseconds.</param>
    public static TimeSpan Of(ReadOnlySpan<byte> task, ReadOnlySpan<byte> key)
    {
        var at = JsonFields.Find(task, key);
        return !at.IsPresent || !Utf8Parser.TryParse(task.Slice(at.Start, at.Length), out double wish, out _) ? Usual
            : wish < Shortest.TotalMilliseconds ? Shortest
            : wish > Longest.TotalMilliseconds ? Longest
            : TimeSpan.FromMilliseconds(wish);
    }

    /// <summary>For how long an answer about a task is waited for.</summary>
    public static TimeSpan PatienceWith(Upstream upstream) => upstream.Deadline < LongestAnswer ? upstream.Deadline : LongestAnswer;

    /// <summary>Asks something about a task, and waits for the answer for a while only: asking again does nothing, and one answer that never comes must not hide all that would come after it.</summary>
    /// <param name="upstream">Who is asked.</param>
    /// <param name="time">The clock.</param>
    /// <param name="ask">Sends it, to be given up by the token.</param>
    /// <param name="cancel">Gives up.</param>
    /// <returns>How it ended; null where it was not answered in time.</returns>
    public static async ValueTask<Attempt?> AskAsync(Upstream upstream, TimeProvider time, Func<CancellationToken, ValueTask<Attempt>> ask, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(PatienceWith(upstream), time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        var attempt = await ask(both.Token);
        return attempt.Kind == AttemptKind.Abandoned && !cancel.IsCancellationRequested ? null : attempt;
    }
}
