using System.Buffers.Text;
using Mooring.Protocol;

namespace Mooring.Upstreams;

/// <summary>How long to wait before a server is asked again how its task is doing.</summary>
internal static class TaskPoll
{
    /// <summary>Where the server wishes for nothing, or cannot be asked.</summary>
    public static readonly TimeSpan Usual = TimeSpan.FromSeconds(1);

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
}
