namespace Mooring.Upstreams.Http;

/// <summary>
/// How long to wait before a stream that ended, or was not given, is asked for again: as long as the server wishes, but never not at all, and twice
/// as long each time that nothing comes of it. Owned by whoever reads that stream, and used by it alone.
/// </summary>
internal sealed class StreamPause(TimeProvider time)
{
    /// <summary>Where the server has no wish.</summary>
    public static readonly TimeSpan Usual = TimeSpan.FromSeconds(1);

    /// <summary>Even where it wishes for less: it may end each stream at once.</summary>
    public static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(100);

    /// <summary>How long it becomes where nothing comes.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    /// <summary>Where the server wishes for more: longer, nobody would believe that anybody listens.</summary>
    public static readonly TimeSpan LongestWish = TimeSpan.FromMinutes(5);

    private TimeSpan _grown;
    private long _begun;
    private bool _wasRefused;

    /// <summary>The stream was given.</summary>
    public void Begun() => _begun = time.GetTimestamp();

    /// <summary>
    /// It ended. What brought something may be asked for again soon, unless that was refused before: a server that gives a stream only to whoever
    /// asks anew always has something to say. So may what lasted.
    /// </summary>
    /// <param name="any">Whether anything came.</param>
    public void Ended(bool any)
    {
        if ((any && !_wasRefused) || time.GetElapsedTime(_begun) >= (_grown > Usual ? _grown : Usual))
        {
            Reset();
        }
    }

    /// <summary>The server does not go on with it.</summary>
    public void Refused() => _wasRefused = true;

    /// <summary>Nothing that was says anything about what comes.</summary>
    public void Reset() => (_grown, _wasRefused) = (TimeSpan.Zero, false);

    /// <summary>
    /// The next pause, up to a fifth longer, so that those who were cut off together do not come back together; never shorter, for a client must wait as
    /// long as the server wishes (2025-11-25, basic/transports, "Sending Messages to the Server").
    /// </summary>
    /// <param name="wish">The server's <c>retry:</c>.</param>
    public TimeSpan Next(TimeSpan? wish)
    {
        var pause = Math.Max(_grown.Ticks, Math.Clamp((wish ?? Usual).Ticks, Shortest.Ticks, LongestWish.Ticks));
        _grown = TimeSpan.FromTicks(Math.Max(Math.Min(pause * 2, Longest.Ticks), _grown.Ticks));
        return TimeSpan.FromTicks(pause) * (1 + (Random.Shared.NextDouble() * 0.2));
    }
}
