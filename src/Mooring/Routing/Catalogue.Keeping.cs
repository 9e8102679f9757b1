using System.Collections.Concurrent;
using Mooring.Stores;
using Mooring.Telemetry;

namespace Mooring.Routing;

/// <content>How what was learnt is written down, and taken out again.</content>
internal sealed partial class Catalogue
{
    /// <summary>Which of the lists read here the store has. Clocks of replicas do not agree, turns of one process do.</summary>
    private readonly ConcurrentDictionary<(string Server, string Key, string Kind), Kept> _kept = new();

    /// <summary>What is being written down, and what is to be written after it. Guarded by itself.</summary>
    private readonly Dictionary<(string Server, string Key, string Kind), CatalogueRecord?> _keeping = [];

    /// <summary>The last taking out, which the next one waits for. Guarded by <see cref="_keeping"/>.</summary>
    private Task _forgetting = Task.CompletedTask;

    /// <summary>One after the other for each list, and of several that wait only the latest: an older one never comes last.</summary>
    private void Keep(CatalogueRecord record)
    {
        var entry = (record.Server, record.Key, record.Kind);
        lock (_keeping)
        {
            _kept[entry] = default;
            if (!_keeping.TryAdd(entry, null))
            {
                _keeping[entry] = record;
                return;
            }
        }

        KeepAsync(entry, record).Unawaited(logger);
    }

    private async Task KeepAsync((string Server, string Key, string Kind) entry, CatalogueRecord? next)
    {
        while (next is { } record)
        {
            var result = default(Kept);
            try
            {
                await store.SaveCatalogueAsync(record);
                result = new Kept(Turn.Next(), HasFailed: false);
                if (IsThere(record.Server, record.Key))
                {
                    peers.SignalAll(NewsSignal, NewsOf(record));
                }
                else
                {
                    // Its key had to go meanwhile, and may have been taken out before this was written.
                    await store.DeleteCatalogueAsync(record.Server, record.Key);
                }
            }
            catch (StoreException e)
            {
                // Kept in memory; it is tried again when the list is read the next time.
                result = new Kept(Turn: 0, HasFailed: true);
                Log.NotKept(logger, record.Server, record.Kind, e.Message);
            }

            lock (_keeping)
            {
                next = _keeping[entry];
                if (next is not null)
                {
                    _keeping[entry] = null;
                }
                else
                {
                    _keeping.Remove(entry);
                    if (IsThere(entry.Server, entry.Key))
                    {
                        _kept[entry] = result;
                    }
                    else
                    {
                        _kept.TryRemove(entry, out _);
                    }
                }
            }
        }
    }

    /// <summary>What stands for the server as a whole never goes.</summary>
    private bool IsThere(string server, string key) => key == CatalogueKey.Base || _entries.Has(server, key);

    /// <summary>A key of a server had to go: nothing of it is left here, nor in the store.</summary>
    private void Forget(string server, string key)
    {
        Interlocked.Increment(ref _version);
        ForgetReadAgain(server, key);
        foreach (var kind in ListKinds.All)
        {
            _doubts.TryRemove((server, key, kind), out _);
        }

        lock (_keeping)
        {
            foreach (var entry in _kept.Keys.Where(entry => entry.Server == server && entry.Key == key))
            {
                _kept.TryRemove(entry, out _);
            }

            // One after the other: at a start it may be all that a release without a bound has left behind.
            _forgetting = ForgetAfterAsync(_forgetting, server, key);
        }
    }

    private async Task ForgetAfterAsync(Task before, string server, string key)
    {
        await before;
        try
        {
            // Whoever shows the key something meanwhile has it in memory; what the store loses by that is asked for again after a restart.
            await store.DeleteCatalogueAsync(server, key);
        }
        catch (StoreException e)
        {
            // It counts again at the next start, and goes then if there are too many.
            Log.NotForgotten(logger, server, e.Message);
        }
    }

    /// <param name="Turn">When the store had it; 0: not yet.</param>
    /// <param name="HasFailed">Whether the store did not take it.</param>
    private readonly record struct Kept(long Turn, bool HasFailed);
}
