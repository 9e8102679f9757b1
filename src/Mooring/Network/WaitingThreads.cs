using System.Runtime.CompilerServices;

namespace Mooring.Network;

/// <summary>
/// The few threads on which sockets report serve all connections (decisions 0017, 0023). What runs on them must not block, and must not
/// last: whatever may goes to the thread pool first.
/// </summary>
internal static class WaitingThreads
{
    /// <summary>Bytes that may be looked through on such a thread; a longer message is taken apart on the thread pool.</summary>
    public const int Turn = 64 * 1024;

    /// <summary>What is awaited goes on on the thread pool; at once for those who are there already.</summary>
    public static Leaving Leave() => default;

    /// <remarks>
    /// Of its own, since an asynchronous method that yields may have ended by the time its caller looks, who then stays where he is.
    /// </remarks>
    internal readonly struct Leaving : ICriticalNotifyCompletion
    {
        public bool IsCompleted => Thread.CurrentThread.IsThreadPoolThread;

        public Leaving GetAwaiter() => this;

        public void OnCompleted(Action continuation) => ThreadPool.QueueUserWorkItem(static go => go(), continuation, preferLocal: false);

        public void UnsafeOnCompleted(Action continuation) => ThreadPool.UnsafeQueueUserWorkItem(static go => go(), continuation, preferLocal: false);

        public void GetResult()
        {
        }
    }
}
