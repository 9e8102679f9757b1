namespace Mooring.Network;

/// <summary>
/// The few threads on which sockets report serve all connections (decisions 0017, 0023). What runs on them must not block, and must not
/// last: whoever may takes himself to the thread pool first.
/// </summary>
internal static class WaitingThreads
{
    /// <summary>Bytes that may be looked through on such a thread; a longer message is taken apart on the thread pool.</summary>
    public const int Turn = 64 * 1024;

    /// <summary>Goes on on the thread pool; at once for those who are there already.</summary>
    public static ValueTask LeaveAsync() => Thread.CurrentThread.IsThreadPoolThread ? ValueTask.CompletedTask : YieldAsync();

    private static async ValueTask YieldAsync() => await Task.Yield();
}
