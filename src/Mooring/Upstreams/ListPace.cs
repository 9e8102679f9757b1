namespace Mooring.Upstreams;

/// <summary>How often lists are read again at a server that does not tell when one is another: when their time is up, less and less often where nothing is new, and never all at once.</summary>
internal static class ListPace
{
    /// <summary>However short-lived a server calls its lists, and where it does not say.</summary>
    public static readonly TimeSpan Shortest = TimeSpan.FromSeconds(15);

    /// <summary>However long-lived, and however often nothing was new.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(30);

    /// <param name="ttl">How long the server says that they stay as they are; null, or nothing: as often as it is done at all.</param>
    /// <param name="idle">How often nothing was new since something was.</param>
    public static TimeSpan Pause(TimeSpan? ttl, int idle)
    {
        var pause = Math.Min(Math.Max((ttl ?? Shortest).Ticks, Shortest.Ticks) << Math.Min(idle, 3), Longest.Ticks);
        return TimeSpan.FromTicks(pause) * (0.9 + (Random.Shared.NextDouble() * 0.2));
    }
}
