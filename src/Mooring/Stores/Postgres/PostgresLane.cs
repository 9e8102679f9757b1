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
///            └─ a statement fails, or takes too long ─▶ rolled back ─▶ each again in a transaction of its own: only the guilty fail
/// </code>
/// </remarks>
internal sealed class PostgresLane
{
    /// <summary>Sessions whose writes may each take too long after a batch did; the rest of it is given up then, so that the lane is free again soon.</summary>
    private const int MostSlow = 4;

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
        catch (Exception e)
        {
            write.Fail(e);
        }
    }

    private async Task WorkAsync()
    {
        while (await _queue.Reader.WaitToReadAsync())
        {
            Take();
            if (await TryAsync(_batch, seconds: null) is { } failure)
            {
                await FailOrSplitAsync(failure);
            }

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

    /// <returns>Null when all are committed and completed; else why none is.</returns>
    private async Task<Exception?> TryAsync(IReadOnlyList<PostgresWrite> writes, int? seconds)
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

                    await PostgresBatch.RunAsync(connection, writes, cancel, seconds);
                    return true;
                },
                CancellationToken.None);
        }
        catch (Exception failure)
        {
            return failure;
        }

        _database.NoteWritten();
        foreach (var write in writes)
        {
            write.Complete();
        }

        return null;
    }

    private async Task FailOrSplitAsync(Exception failure)
    {
        var isSlow = IsSlow(failure);
        if (_batch.Count == 1 || _database.IsAway || !(isSlow || IsOfAStatement(failure)))
        {
            _batch.ForEach(write => write.Fail(failure));
            return;
        }

        // What stands behind a slow write of the same session would wait for the same lock.
        var slow = new HashSet<string>(StringComparer.Ordinal);
        foreach (var write in _batch)
        {
            // A server that was not heard of in time may have committed all the same.
            write.MayBeDone |= isSlow;
            if (slow.Count >= MostSlow || (write.Key is { } key && slow.Contains(key)))
            {
                write.Fail(failure);
            }
            else if (await TryAsync([write], isSlow ? _options.AloneSeconds : null) is { } own)
            {
                write.Fail(own);
                if (isSlow && IsSlow(own))
                {
                    slow.Add(write.Key ?? "");
                }
            }
        }
    }

    private static bool IsSlow(Exception failure) => failure is StoreException { InnerException: { } inner } && PostgresFailure.IsTimeout(inner);

    /// <summary>Whether another statement, on the same database, may do better.</summary>
    private static bool IsOfAStatement(Exception failure) => failure is StoreException { InnerException: PostgresException } or not (StoreException or ObjectDisposedException);
}
