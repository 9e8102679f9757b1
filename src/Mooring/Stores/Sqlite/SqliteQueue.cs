using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;

namespace Mooring.Stores.Sqlite;

/// <summary>The bounded, ordered way to the store's threads. Callers wait without a thread, the store's threads block.</summary>
internal sealed class SqliteQueue(int length, bool singleReader)
{
    // Synchronous continuations: the only ones are waking a store thread and noticing a closed queue.
    private readonly Channel<SqliteOperation> _channel = Channel.CreateBounded<SqliteOperation>(
        new BoundedChannelOptions(length) { SingleReader = singleReader, AllowSynchronousContinuations = true });

    /// <summary>Queues in the order of the calls, also of those that have to wait for room.</summary>
    public Task<TResult> Add<TArgument, TResult>(SqliteOperation<TArgument, TResult> operation)
    {
        if (!_channel.Writer.TryWrite(operation))
        {
            _ = AddWhenRoomAsync(operation); // its failure becomes the operation's
        }

        return operation.Done;
    }

    public bool TryTake([NotNullWhen(true)] out SqliteOperation? operation) => _channel.Reader.TryRead(out operation);

    /// <summary>Blocks the store's thread until there is work. Returns false when the queue is closed and empty.</summary>
    public bool WaitForWork()
    {
        var wait = _channel.Reader.WaitToReadAsync();
        return wait.IsCompleted ? wait.Result : wait.AsTask().GetAwaiter().GetResult();
    }

    /// <summary>Takes no more; what is queued is still done.</summary>
    public void Close() => _channel.Writer.TryComplete();

    private async Task AddWhenRoomAsync(SqliteOperation operation)
    {
        try
        {
            await _channel.Writer.WriteAsync(operation);
        }
        catch (ChannelClosedException)
        {
            operation.Fail(new ObjectDisposedException(nameof(SqliteStore), "The store is closed."));
        }
        catch (Exception e)
        {
            operation.Fail(e);
        }
    }
}
