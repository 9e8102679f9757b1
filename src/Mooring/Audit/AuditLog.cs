using System.Text;
using Mooring.Configuration;

namespace Mooring.Audit;

/// <summary>
/// Where it is noted who did what: a file of JSON lines, the log, or both. Whoever notes something never waits: lines go into a bounded queue, and one task
/// writes them. A line that finds the queue full is lost, which is counted, logged, and said in the file itself as soon as it takes lines again.
/// </summary>
internal sealed partial class AuditLog : IAsyncDisposable
{
    /// <summary>How long a stop waits for a disk that takes nothing.</summary>
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly AuditQueue _queue;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _gate = new();
    private readonly ConfigStore _config;
    private readonly TimeProvider _time;
    private readonly AuditMetrics? _metrics;
    private readonly ILogger _logger;
    private AuditFile? _file;
    private Task? _writing;
    private long _lost;
    private bool _isFailing;
    private bool _isLogFailing;
    private bool _grows;

    public AuditLog(ConfigStore config, TimeProvider time, ILoggerFactory loggers, AuditMetrics? metrics = null)
    {
        (_config, _time, _metrics) = (config, time, metrics);
        _queue = new AuditQueue(time);
        _logger = loggers.CreateLogger("Mooring.Audit");
    }

    /// <summary>Whether anything is noted; asked before anything is made for it.</summary>
    public bool IsOn => _config.Current.Audit.IsOn;

    /// <summary>Whether a call has a line at its beginning too.</summary>
    public bool NotesBeginnings => _config.Current.Audit.Begun;

    public AuditArguments Arguments => _config.Current.Audit.Arguments;

    /// <summary>This process, in its lines.</summary>
    public Func<string> Replica { get; set; } = static () => "";

    public TimeProvider Time => _time;

    /// <summary>Lines that nobody has begun to write.</summary>
    public int Waiting => _queue.Lines;

    /// <summary>Notes something. Never waits and never throws.</summary>
    public void Write(AuditEntry entry)
    {
        if (!IsOn)
        {
            return;
        }

        if (!_queue.TryAdd(AuditLine.Of(entry, _time.GetUtcNow(), Replica())))
        {
            Lose();
        }

        if (Volatile.Read(ref _writing) is null)
        {
            lock (_gate)
            {
                _writing ??= Task.Run(WriteAllAsync);
            }
        }
    }

    /// <summary>Writes what is noted, as far as the disk takes it.</summary>
    public async ValueTask DisposeAsync()
    {
        _queue.Complete();
        if (_writing is { } writing)
        {
            try
            {
                await writing.WaitAsync(StopPatience, _time);
            }
            catch (TimeoutException)
            {
                await _stopping.CancelAsync();
                Log.NotWritten(_logger, _queue.Lines);
            }
        }
    }

    private void Lose()
    {
        _metrics?.Lost(1);
        if (Interlocked.Increment(ref _lost) == 1)
        {
            Log.Losing(_logger, AuditQueue.Room, AuditQueue.RoomBytes / 1024 / 1024);
        }
    }

    private async Task WriteAllAsync()
    {
        var taken = 0;
        try
        {
            while (await _queue.WaitAsync(_stopping.Token) is > 0 and var chunks)
            {
                for (; chunks > 0; chunks--)
                {
                    var chunk = _queue.Take();
                    taken = chunk.Lines;
                    await WriteAsync(chunk);
                    _queue.Written(chunk);
                    if (Interlocked.Exchange(ref _lost, 0) is > 0 and var lost)
                    {
                        taken = 1;
                        using var line = AuditChunk.With(AuditLine.Of(new AuditEntry("lost", "lost") { Reason = $"{lost} lines found no room" }, _time.GetUtcNow(), Replica()));
                        await WriteAsync(line);
                    }

                    taken = 0;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The process ends, and the disk takes nothing.
            _metrics?.Lost(taken);
        }
        finally
        {
            _file?.Dispose();
        }
    }

    private async Task WriteAsync(AuditChunk chunk)
    {
        while (!TryWrite(chunk))
        {
            await Task.Delay(Pause, _time, _stopping.Token);
        }

        _metrics?.Written(chunk.Lines);
    }

    private bool TryWrite(AuditChunk chunk)
    {
        var audit = _config.Current.Audit;
        try
        {
            if (audit.File is { } path)
            {
                if (_file?.Path != path)
                {
                    _file?.Dispose();
                    _file = new AuditFile(path);
                }

                _file.Append(chunk.Bytes, audit.MaxSize, audit.Keep, _time.GetUtcNow());
            }
        }
        catch (Exception e)
        {
            // Whatever it is: nobody else writes, so this must not end.
            if (!_isFailing)
            {
                _isFailing = true;
                Say(() => Log.Failed(_logger, e.Message));
            }

            return false;
        }

        if (_isFailing)
        {
            _isFailing = false;
            Say(() => Log.Works(_logger));
        }

        if (_file?.NotSetAside is var reason && _grows != reason is not null)
        {
            _grows = reason is not null;
            if (reason is not null)
            {
                Say(() => Log.NotSetAside(_logger, reason));
            }
        }

        if (audit.Log)
        {
            ToLog(chunk.Bytes);
        }

        return true;
    }

    /// <summary>Lines that a logger threw over are not written again: others of the log, and the file, have them.</summary>
    private void ToLog(ReadOnlySpan<byte> lines)
    {
        var failed = 0;
        while (!lines.IsEmpty)
        {
            var end = lines.IndexOf((byte)'\n');
            var line = Encoding.UTF8.GetString(lines[..end]);
            failed += Say(() => Log.Line(_logger, line)) ? 0 : 1;
            lines = lines[(end + 1)..];
        }

        if (failed > 0 && !_isLogFailing)
        {
            Say(() => Log.LoggerThrew(_logger));
        }

        _isLogFailing = failed > 0;
        _metrics?.Lost(failed);
    }

    /// <summary>A logger that throws must not end the one task that writes.</summary>
    private static bool Say(Action say)
    {
        try
        {
            say();
            return true;
        }
        catch (Exception)
        {
            return false;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1000, LogLevel.Information, "{Line}", EventName = "Audit")]
        public static partial void Line(ILogger logger, string line);

        [LoggerMessage(1001, LogLevel.Error, "The audit log has no room for more than {Room} lines or {Megabytes} MB that wait to be written: lines are lost from here on, and counted.", EventName = "AuditLost")]
        public static partial void Losing(ILogger logger, int room, int megabytes);

        [LoggerMessage(1002, LogLevel.Error, "The audit log cannot be written, which is tried again each second: {Reason}", EventName = "AuditFailed")]
        public static partial void Failed(ILogger logger, string reason);

        [LoggerMessage(1003, LogLevel.Information, "The audit log is written again.", EventName = "AuditWorks")]
        public static partial void Works(ILogger logger);

        [LoggerMessage(1004, LogLevel.Error, "The gateway stops, and {Count} lines of the audit log or a little more were not written.", EventName = "AuditNotWritten")]
        public static partial void NotWritten(ILogger logger, int count);

        [LoggerMessage(1005, LogLevel.Error, "The file of the audit log cannot be set aside, so it grows beyond audit.maxSize; that is tried again each minute: {Reason}", EventName = "AuditNotSetAside")]
        public static partial void NotSetAside(ILogger logger, string reason);

        [LoggerMessage(1006, LogLevel.Error, "A logger threw over lines of the audit log: they are missing where it writes, and counted as lost.", EventName = "AuditLoggerThrew")]
        public static partial void LoggerThrew(ILogger logger);
    }
}
