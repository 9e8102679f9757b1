namespace Mooring.Stores.Sqlite;

/// <summary>The threads that read, each with a connection of its own, from one queue. Made and stopped by <see cref="SqliteStore"/>.</summary>
internal sealed class SqliteReaders(SqliteStoreOptions options)
{
    private readonly SqliteQueue _queue = new(options.QueueLength, singleReader: false);
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _running = options.Readers;

    public void Start()
    {
        for (var i = 0; i < options.Readers; i++)
        {
            new Thread(Work) { IsBackground = true, Name = $"Mooring store reader {i}" }.Start();
        }
    }

    /// <summary>A cancelled caller goes on at once, also while the disk hangs.</summary>
    public Task<TResult> Do<TArgument, TResult>(
        Func<SqliteDatabase, TArgument, TResult> work, TArgument argument, CancellationToken cancel) =>
        _queue.Add(new SqliteOperation<TArgument, TResult>(work, argument, cancel)).WaitAsync(cancel);

    public Task StopAsync()
    {
        _queue.Close();
        return _stopped.Task;
    }

    private void Work()
    {
        SqliteDatabase? database = null;
        while (_queue.WaitForWork())
        {
            if (!_queue.TryTake(out var operation))
            {
                continue; // another reader was faster
            }

            try
            {
                operation.Run(database ??= SqliteDatabase.Open(options));
                operation.Complete();
            }
            catch (Exception failure)
            {
                operation.Fail(failure);
                if (database is { Broken: true })
                {
                    database.Dispose();
                    database = null;
                }
            }
        }

        database?.Dispose();
        if (Interlocked.Decrement(ref _running) == 0)
        {
            _stopped.SetResult();
        }
    }
}
