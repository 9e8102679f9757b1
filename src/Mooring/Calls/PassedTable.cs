using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Mooring.Replicas;

namespace Mooring.Calls;

/// <summary>Something that this process passed to another replica, and waits for.</summary>
internal abstract record PassedWork
{
    /// <summary>Cancelled when it is over: ends whatever is still tried for it.</summary>
    public CancellationTokenSource Ended { get; } = new();
}

/// <summary>
/// What this process passed to other replicas and waits for. Each has a key, by which the letters about it name it, and is taken out once, by whoever ends it; until then it counts
/// as a call of this process, so that a drain waits for it.
/// </summary>
/// <typeparam name="TWork">What is passed.</typeparam>
internal sealed class PassedTable<TWork>(Peers peers, CallRunner runner)
    where TWork : PassedWork
{
    private readonly ConcurrentDictionary<string, TWork> _all = new(StringComparer.Ordinal);
    private long _lastKey;

    public bool IsEmpty => _all.IsEmpty;

    /// <returns>Its key.</returns>
    public string Add(TWork work)
    {
        var key = string.Create(CultureInfo.InvariantCulture, $"{peers.Name}-{Interlocked.Increment(ref _lastKey)}");
        _all[key] = work;
        runner.Passed();
        return key;
    }

    /// <summary>What is still waited for under a key; null: nothing.</summary>
    public TWork? Find(string key) => _all.GetValueOrDefault(key);

    /// <summary>Takes one out; true once for each, for whoever ends it.</summary>
    public bool TryTake(string key, [NotNullWhen(true)] out TWork? work)
    {
        if (!_all.TryRemove(key, out work))
        {
            return false;
        }

        work.Ended.Cancel();
        runner.Returned();
        return true;
    }

    /// <summary>Takes out all of which something is so, for whoever ends them.</summary>
    public IEnumerable<TWork> TakeAll(Func<TWork, bool> which)
    {
        foreach (var (key, one) in _all)
        {
            if (which(one) && TryTake(key, out var taken))
            {
                yield return taken;
            }
        }
    }
}
