using System.Collections.Concurrent;

namespace Mooring.Stores;

/// <summary>
/// Says when a failure of the store is news: the first of an outage and then one per <see cref="Every"/>, whatever the number of requests that
/// meet it.
/// </summary>
internal sealed class StoreOutage(TimeProvider time)
{
    public static readonly TimeSpan Every = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<string, long> _told = new(StringComparer.Ordinal);

    /// <param name="what">What could not be done, one of a few words: each is told of for itself.</param>
    public bool IsNews(string what = "")
    {
        var now = time.GetTimestamp();
        if (_told.TryAdd(what, now))
        {
            return true;
        }

        var told = _told[what];
        return time.GetElapsedTime(told, now) >= Every && _told.TryUpdate(what, now, told);
    }
}
