using Microsoft.Extensions.Logging;

namespace Mooring.Stores.Sqlite;

/// <summary>
/// The one thread that writes. Idle, it starts with the first operation at once; what is queued meanwhile shares the transaction,
/// so the cost of a commit is divided by the load. Made, started and stopped by <see cref="SqliteStore"/>.
/// </summary>
/// <remarks>
/// <code>
/// wait ─▶ begin ─▶ run, run, run … (256 operations, 2 ms, or none left) ─▶ commit ─▶ complete all
///                    └─ any failure ─▶ roll back ─▶ each again in a transaction of its own: only the guilty fail
/// </code>
/// </remarks>
internal sealed partial class SqliteWriter(SqliteStoreOptions options, TimeProvider time, ILogger<SqliteStore> logger)
{
    /// <summary>After a fold that made no room the next is tried this much later: each costs the disk as much as the log is long.</summary>
    private static readonly TimeSpan FoldInterval = TimeSpan.FromSeconds(1);

    private readonly SqliteQueue _queue = new(options.QueueLength, singleReader: true);
    private readonly TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<SqliteOperation> _batch = new(options.BatchOperations);
    private SqliteDatabase? _database;
    private long? _foldFailed;
    private long _failingSince;

    /// <summary>Since when writing fails; null while it works.</summary>
    public DateTimeOffset? FailingSince => Volatile.Read(ref _failingSince) is > 0 and var ticks ? new DateTimeOffset(ticks, TimeSpan.Zero) : null;

    /// <summary>Opens the file and brings its schema up to date, on the writer's own thread.</summary>
    public Task StartAsync()
    {
        new Thread(Work) { IsBackground = true, Name = "Mooring store writer" }.Start();
        return _opened.Task;
    }

    public Task<TResult> Do<TArgument, TResult>(Func<SqliteDatabase, TArgument, TResult> work, TArgument argument) =>
        _queue.Add(new SqliteOperation<TArgument, TResult>(work, argument));

    /// <summary>Completes when everything queued is committed and the file is closed.</summary>
    public Task StopAsync()
    {
        _queue.Close();
        return _stopped.Task;
    }

    private void Work()
    {
        try
        {
            Open();
            _opened.SetResult();
        }
        catch (Exception failure)
        {
            _database?.Dispose();
            _opened.SetException(failure);
            _stopped.SetResult();
            return;
        }

        while (_queue.WaitForWork())
        {
            RunBatch();
        }

        _database?.Dispose();
        _stopped.SetResult();
    }

    private void Open()
    {
        _database = SqliteDatabase.Open(options);
        var (before, after) = SqliteSchema.Apply(_database, SqliteSchema.Migrations);
        Log.Opened(logger, options.DatabasePath, before, after);
    }

    private void RunBatch()
    {
        _batch.Clear();
        try
        {
            var database = _database ??= SqliteDatabase.Open(options);
            var started = time.GetTimestamp();
            database.Run("begin immediate");
            while (_batch.Count < options.BatchOperations && _queue.TryTake(out var operation))
            {
                _batch.Add(operation);
                operation.Run(database);
                if (time.GetElapsedTime(started) >= options.BatchTime)
                {
                    break;
                }
            }

            database.Run("commit");
        }
        catch (Exception failure)
        {
            CleanUpAfterFailure();
            if (_batch.Count == 0)
            {
                // Not even begun: that concerns all who wait. One after the other they would each wait for the same lock again.
                TakeAll();
                FailBatch(failure);
            }
            else if (_batch.Count == 1 && !FoldLog())
            {
                FailBatch(failure);
            }
            else
            {
                RunEachAlone();
            }

            return;
        }

        CompleteBatch();
    }

    private void CompleteBatch()
    {
        NoteSuccess();
        foreach (var operation in _batch)
        {
            operation.Complete();
        }

        _batch.Clear(); // an idle writer holds no bodies
    }

    private void TakeAll()
    {
        while (_batch.Count < options.QueueLength && _queue.TryTake(out var operation))
        {
            _batch.Add(operation);
        }
    }

    private void RunEachAlone()
    {
        foreach (var operation in _batch)
        {
            var failure = TryAlone(operation);
            if (failure is not null && FoldLog())
            {
                failure = TryAlone(operation);
            }

            if (failure is not null)
            {
                Fail(operation, failure);
            }
        }

        _batch.Clear();
    }

    private Exception? TryAlone(SqliteOperation operation)
    {
        try
        {
            var database = _database ??= SqliteDatabase.Open(options);
            database.Run("begin immediate");
            operation.Run(database);
            database.Run("commit");
        }
        catch (Exception failure)
        {
            CleanUpAfterFailure();
            return failure;
        }

        NoteSuccess();
        operation.Complete();
        return null;
    }

    private void FailBatch(Exception failure)
    {
        foreach (var operation in _batch)
        {
            Fail(operation, failure);
        }

        _batch.Clear();
    }

    private void Fail(SqliteOperation operation, Exception failure)
    {
        if (failure is StoreException && _failingSince == 0)
        {
            Volatile.Write(ref _failingSince, time.GetUtcNow().UtcTicks);
            Log.WritesFail(logger, failure.Message);
        }

        operation.Fail(failure);
    }

    /// <summary>
    /// After "disk full" moves what the log holds into the file, so that the log starts again in the room it has already: while the
    /// file has free pages (from what expired) the store goes on beside a disk that stays full. Returns whether a second try is worth it.
    /// </summary>
    private bool FoldLog()
    {
        if (_database is not { Full: true } || (_foldFailed is { } last && time.GetElapsedTime(last) < FoldInterval))
        {
            return false;
        }

        try
        {
            // Of the columns busy, frames in the log, frames moved.
            using var fold = _database.Use("pragma wal_checkpoint(passive)");
            if (fold.Step() && fold.Number(1) > 0 && fold.Number(1) == fold.Number(2))
            {
                return true;
            }
        }
        catch (StoreException)
        {
            // No room for that either; the caller gets the first failure.
        }

        _foldFailed = time.GetTimestamp();
        return false;
    }

    /// <summary>Leaves no open transaction, and no connection that is not to be trusted.</summary>
    private void CleanUpAfterFailure()
    {
        if (_database is null)
        {
            return;
        }

        try
        {
            _database.RollBack();
        }
        catch (StoreException)
        {
            // The connection is replaced below; closing it rolls back.
            _database.Dispose();
            _database = null;
            return;
        }

        if (_database.Broken)
        {
            _database.Dispose();
            _database = null;
        }
    }

    private void NoteSuccess()
    {
        if (_failingSince != 0)
        {
            Volatile.Write(ref _failingSince, 0);
            Log.WritesSucceedAgain(logger, options.DatabasePath);
        }
    }
}
