using System.Runtime.ExceptionServices;

namespace Mooring.Streams;

/// <summary>Something that is due from time to time; it keeps no timer of its own.</summary>
internal interface IHeartbeatHandler
{
    /// <summary>Called on every beat, never twice at once. Must not block.</summary>
    /// <param name="now">A timestamp of the gateway's clock.</param>
    void OnHeartbeat(long now);
}

/// <summary>What is due in one beat.</summary>
internal static class HeartbeatItems
{
    /// <summary>Has each of them done, and forgets them. What one of them throws, a bug, is thrown when all are done: it must cost the others nothing.</summary>
    public static void Each<T, TWith>(List<T> due, TWith with, Action<T, TWith> act)
    {
        Exception? failure = null;
        foreach (var one in due)
        {
            try
            {
                act(one, with);
            }
            catch (Exception e)
            {
                failure ??= e;
            }
        }

        due.Clear();
        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }

    /// <inheritdoc cref="Each{T, TWith}"/>
    public static void Each<T>(List<T> due, Action<T> act) => Each(due, act, static (one, act) => act(one));
}

/// <summary>
/// The one timer of the gateway. Made once; streams, calls and sessions are passive machines that it asks what is due.
/// A beat that comes late is logged, because it means that the process had no time for its streams.
/// </summary>
internal sealed partial class Heartbeat : IDisposable
{
    /// <summary>Time between two beats: fine enough for the 500 ms grace, and 50,000 passive checks cost well under a millisecond.</summary>
    public static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan Late = TimeSpan.FromSeconds(1);

    private readonly TimeProvider _time;
    private readonly IHeartbeatHandler[] _handlers;
    private readonly ILogger<Heartbeat> _logger;
    private readonly ManualResetEvent _stopped = new(initialState: false);
    private ITimer? _timer;
    private Thread? _thread;
    private long _last;
    private int _beating;
    private int _disposed;

    public Heartbeat(TimeProvider time, IEnumerable<IHeartbeatHandler> handlers, ILogger<Heartbeat> logger)
    {
        _time = time;
        _handlers = [.. handlers];
        _logger = logger;
    }

    public void Start()
    {
        _last = _time.GetTimestamp();
        if (!ReferenceEquals(_time, TimeProvider.System))
        {
            _timer = _time.CreateTimer(static state => ((Heartbeat)state!).OnBeat(), this, Beat, Beat);
            return;
        }

        // On the thread pool each beat wakes threads that then look about for more work, a third of what an idle gateway costs; and a pool
        // that is starved would keep the comments of all streams waiting.
        _thread = new Thread(BeatUntilStopped) { IsBackground = true, Name = "heartbeat" };
        _thread.Start();
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 1)
        {
            // The service that started it stops it first; the container disposes of everything once more.
            return;
        }

        _stopped.Set();
        _timer?.Dispose();
        _thread?.Join();
        _stopped.Dispose();
    }

    private void BeatUntilStopped()
    {
        while (!_stopped.WaitOne(Beat))
        {
            OnBeat();
        }
    }

    private void OnBeat()
    {
        if (Interlocked.Exchange(ref _beating, 1) == 1)
        {
            return;
        }

        try
        {
            var now = _time.GetTimestamp();
            var since = _time.GetElapsedTime(_last, now);
            _last = now;
            if (since - Beat > Late)
            {
                Log.BeatWasLate(_logger, (since - Beat).TotalSeconds);
            }

            foreach (var handler in _handlers)
            {
                try
                {
                    handler.OnHeartbeat(now);
                }
                catch (Exception e)
                {
                    // One handler's bug must not stop the keep-alives of every stream.
                    Log.HandlerFailed(_logger, e, handler.GetType().Name);
                }
            }
        }
        finally
        {
            Volatile.Write(ref _beating, 0);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(100, LogLevel.Warning, "The heartbeat came {Seconds:F1} s late: the process had no time, streams may have been silent for that long.", EventName = "BeatWasLate")]
        public static partial void BeatWasLate(ILogger logger, double seconds);

        [LoggerMessage(101, LogLevel.Error, "{Handler} failed in the heartbeat.", EventName = "HeartbeatHandlerFailed")]
        public static partial void HandlerFailed(ILogger logger, Exception exception, string handler);
    }
}
