namespace Mooring.Routing;

/// <summary>
/// The order in which this process asked servers for something and heard something of them. What was asked before something was heard does not
/// answer it, however late its answer comes. Clocks are too coarse for that.
/// </summary>
internal static class Turn
{
    private static long _last;

    /// <summary>Greater than each one before.</summary>
    public static long Next() => Interlocked.Increment(ref _last);
}
