using Mooring.Configuration;

namespace Mooring.Streams;

/// <summary>All open event-stream responses of this process: the list that the heartbeat walks, and the ledger of how each one ended.</summary>
internal sealed partial class StreamTable : IHeartbeatHandler
{
    private bool _endsConnections;
    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly ConfigStore _config;
    private readonly StreamsMetrics _metrics;
    private readonly ILogger<StreamTable> _logger;
    private readonly List<SseConnection> _due = [];
    private SseConnection[] _open = new SseConnection[64];

    /// <summary>
    /// Before when the connection at the same place surely wants nothing. The heartbeat reads this array through ten times a second, and
    /// touches the connections, which are all over the memory, only when one may be due.
    /// </summary>
    private long[] _notBefore = new long[64];
    private MooringConfig? _rules;
    private int _count;

    public StreamTable(TimeProvider time, ConfigStore config, StreamsMetrics metrics, ILogger<StreamTable> logger)
    {
        _time = time;
        _config = config;
        _metrics = metrics;
        _logger = logger;
    }

    /// <summary>For what its connections do by themselves.</summary>
    public ILogger Logger => _logger;

    public int Count => Volatile.Read(ref _count);

    public long Now => _time.GetTimestamp();

    /// <summary>In timestamp units.</summary>
    public long WriteTimeout => Units(_config.Current.Streams.WriteTimeout);

    /// <summary>Bytes that may wait for one reader.</summary>
    public long Buffer => _config.Current.Streams.Buffer;

    /// <summary>When a stream written to now wants its next comment; the jitter keeps thousands of streams from beating together.</summary>
    public long NextKeepAlive()
    {
        var keepAlive = _config.Current.KeepAlive;
        var factor = 1 + (keepAlive.Jitter * ((Random.Shared.NextDouble() * 2) - 1));
        return Now + Units(keepAlive.Interval * factor);
    }

    public void Add(SseConnection connection)
    {
        lock (_gate)
        {
            if (!connection.IsOpen)
            {
                return;
            }

            if (_count == _open.Length)
            {
                Array.Resize(ref _open, _count * 2);
                Array.Resize(ref _notBefore, _count * 2);
            }

            connection.Index = _count;
            _notBefore[_count] = 0;
            _open[_count++] = connection;
        }

        _metrics.Opened(connection.Transport, connection.Era);
        if (EndsConnections)
        {
            connection.EndConnection();
        }
    }

    public void Remove(SseConnection connection)
    {
        lock (_gate)
        {
            var index = connection.Index;
            if (index < 0)
            {
                return;
            }

            var last = _open[--_count];
            _open[index] = last;
            _notBefore[index] = _notBefore[_count];
            last.Index = index;
            _open[_count] = null!;
            connection.Index = -1;
        }

        var duration = _time.GetElapsedTime(connection.Opened);
        _metrics.Closed(connection.Transport, connection.Era, connection.Reason, connection.By, duration);
        Log.StreamClosed(_logger, connection.Transport, duration.TotalSeconds, connection.Reason.ToTag(), connection.By.ToTag());
    }

    /// <summary>Whether connections end with what they carry: what comes next on them could only be refused.</summary>
    public bool EndsConnections => Volatile.Read(ref _endsConnections);

    /// <summary>From now on has the connection under each stream end with it.</summary>
    public void EndConnections()
    {
        Volatile.Write(ref _endsConnections, true);
        SseConnection[] open;
        lock (_gate)
        {
            open = _open[.._count];
        }

        foreach (var connection in open)
        {
            connection.EndConnection();
        }
    }

    public void KeptAlive(SseConnection connection, long late) =>
        _metrics.KeepAlive(connection.Transport, _time.GetElapsedTime(0, late));

    public void KeepAliveFailed(SseConnection connection) => _metrics.KeepAliveFailed(connection.Transport);

    public void OnHeartbeat(long now)
    {
        // Copied out first: a write may end a connection, which takes it out of the list.
        lock (_gate)
        {
            var config = _config.Current;
            if (!ReferenceEquals(_rules, config))
            {
                _rules = config;
                _notBefore.AsSpan(0, _count).Clear();
            }

            // Whatever is written from now on sets a time at least this far off, so no place becomes due sooner.
            var soonest = now + Math.Min(WriteTimeout, Units(config.KeepAlive.Interval * (1 - config.KeepAlive.Jitter)));
            for (var i = 0; i < _count; i++)
            {
                if (now < _notBefore[i])
                {
                    continue;
                }

                var due = _open[i].Due;
                if (now >= due)
                {
                    _due.Add(_open[i]);
                }
                else
                {
                    _notBefore[i] = Math.Min(due, soonest);
                }
            }
        }

        HeartbeatItems.Each(_due, now, static (connection, now) => connection.Tick(now));
    }

    private long Units(TimeSpan span) => (long)(span.TotalSeconds * _time.TimestampFrequency);

    private static partial class Log
    {
        [LoggerMessage(110, LogLevel.Debug, "A {Transport} stream closed after {Seconds:F1} s: {Reason}, by {ClosedBy}.", EventName = "StreamClosed")]
        public static partial void StreamClosed(ILogger logger, string transport, double seconds, string reason, string closedBy);
    }
}
