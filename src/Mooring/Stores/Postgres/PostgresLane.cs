using System.Threading.Channels;
using Npgsql;

namespace Mooring.Stores.Postgres;

/// <summary>
/// One of a few queues that write. A session's writes all go through one lane, so they keep their order; while one transaction is under way
/// the next gathers, so the price of a round trip and a commit is divided by the load. Made, started and stopped by <see cref="PostgresStore"/>.
/// </summary>
/// <remarks>
/// <code>
/// wait ─▶ take what waits (256 operations, 4 MB) ─▶ one round trip, one transaction ─▶ complete all
///            ├─ connection lost ─▶ the same again: what was perhaps committed is known by its keys
///            └─ a statement fails ─▶ rolled back ─▶ each again in a transaction of its own: only the guilty fail
/// </code>
/// </remarks>
internal sealed class PostgresLane
{
    private readonly PostgresDatabase _database;
    private readonly PostgresStoreOptions _options;
    private readonly Channel<PostgresWrite> _queue;
    private readonly List<PostgresWrite> _batch;
    private readonly Task _working;

    public PostgresLane(PostgresDatabase database, PostgresStoreOptions options)
    {
        (_database, _options) = (database, options);
        _queue = Channel.CreateBounded<PostgresWrite>(new BoundedChannelOptions(options.QueueLength) { SingleReader = true });
        _batch = new List<PostgresWrite>(options.BatchOperations);
        _working = WorkAsync();
    }

    /// <summary>Queues in the order of the calls, also of those that have to wait for room.</summary>
    public void Add(PostgresWrite write)
    {
        if (!_queue.Writer.TryWrite(write))
        {
            _ = AddWhenRoomAsync(write); // its failure becomes the write's
        }
    }

    /// <summary>Takes no more; completes when everything queued is committed or has failed.</summary>
    public Task StopAsync()
    {
        _queue.Writer.TryComplete();
        return _working;
    }

    private async Task AddWhenRoomAsync(PostgresWrite write)
    {
        try
        {
            await _queue.Writer.WriteAsync(write);
        }
        catch (ChannelClosedException)
        {
            write.Fail(new ObjectDisposedException(nameof(PostgresStore), "The store is closed."));
        }
    }

    private async Task WorkAsync()
    {
        while (await _queue.Reader.WaitToReadAsync())
        {
            Take();
            await RunAsync(_batch, fallBack: _batch.Count > 1);
            _batch.Clear(); // an idle lane holds no bodies
        }
    }

    private void Take()
    {
        long bytes = 0;
        while (_batch.Count < _options.BatchOperations
            && _queue.Reader.TryPeek(out var next) && (_batch.Count == 0 || bytes + next.Size <= _options.BatchBytes)
            && _queue.Reader.TryRead(out next))
        {
            _batch.Add(next);
            bytes += next.Size;
        }
    }

    private async Task RunAsync(IReadOnlyList<PostgresWrite> writes, bool fallBack)
    {
        try
        {
            await _database.TryAsync(
                async (connection, again, cancel) =>
                {
                    foreach (var write in writes)
                    {
                        write.MayBeDone |= again;
                    }

                    await PostgresBatch.RunAsync(connection, writes, cancel);
                    return true;
                },
                CancellationToken.None);
        }
        catch (Exception failure) when (fallBack && failure is not StoreException { InnerException: not PostgresException } and not ObjectDisposedException && !_database.IsAway)
        {
            foreach (var write in writes)
            {
                await RunAsync([write], fallBack: false);
            }

            return;
        }
        catch (Exception failure)
        {
            foreach (var write in writes)
            {
                write.Fail(failure);
            }

            return;
        }

        foreach (var write in writes)
        {
            write.Complete();
        }
    }
}
