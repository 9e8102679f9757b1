using Microsoft.Extensions.Logging;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <summary>
/// Signals as rows: nothing in DynamoDB calls back. Each listener looks into its own partition with one query, soon after traffic and seldom without.
/// Made and disposed by the service container, before the store.
/// </summary>
internal sealed class DynamoSignals(DynamoDbStore store, TimeProvider time, ILogger<DynamoSignals> logger) : IStoreSignals
{
    /// <summary>A signal that nobody took for so long was for one that is gone.</summary>
    private static readonly TimeSpan Kept = TimeSpan.FromHours(1);

    private readonly Lock _gate = new();
    private readonly List<DynamoListener> _listeners = [];
    private readonly DynamoStamps _stamps = new(store.Table);

    public async Task PublishAsync(string replica, string kind, string id)
    {
        IStoreSignals.Check(kind, id);
        var item = DynamoKeys.Key(DynamoKeys.SignalPartition(replica), Hash(kind, id)).With("kind", Text(kind)).With("id", Text(id))
            .With("n", Number(_stamps.Next())).With(DynamoKeys.Expires, Ttl(store.Table.Now + Kept));
        foreach (var listener in Listeners())
        {
            // Whoever wakes another up soon hears from it.
            listener.Hurry();
        }

        try
        {
            await store.Table.WriteAsync(DynamoWrite.Put(item));
        }
        catch (Exception e) when (e is StoreException or ObjectDisposedException)
        {
            // Listeners look of their own accord; that the store is away is said by the store.
        }
    }

    public IAsyncDisposable Listen(string replica, SignalListener listener)
    {
        var listening = new DynamoListener(store.Table, DynamoKeys.SignalPartition(replica), listener, gone => Remove(gone), time, logger);
        lock (_gate)
        {
            _listeners.Add(listening);
        }

        listening.Start();
        return listening;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var listener in Listeners())
        {
            await listener.DisposeAsync();
        }
    }

    private DynamoListener[] Listeners()
    {
        lock (_gate)
        {
            return [.. _listeners];
        }
    }

    private void Remove(DynamoListener listener)
    {
        lock (_gate)
        {
            _listeners.Remove(listener);
        }
    }
}
