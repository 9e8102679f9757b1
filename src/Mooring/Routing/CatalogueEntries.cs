using System.Collections.Concurrent;

namespace Mooring.Routing;

/// <summary>
/// What is known of the servers, by server and key. Under how many keys is for clients to say, so each server has a bound of them: the one that was of
/// no use for the longest time goes. The base key stands for the server as a whole and stays.
/// </summary>
internal sealed class CatalogueEntries
{
    /// <summary>Keys of one server beside the base key. The clients of one gateway come to a handful, for each version that they speak.</summary>
    public const int MostKeys = 32;

    private readonly ConcurrentDictionary<(string Server, string Key), Entry> _all = new();
    private readonly Lock _changing = new();
    private long _uses;

    /// <summary>What is known for a session's use.</summary>
    public ServerLists Find(string server, string key)
    {
        if (!_all.TryGetValue((server, key), out var entry))
        {
            return ServerLists.Nothing;
        }

        // On the way of every call: whichever was the last one already needs no writing down.
        if (entry.Used != Volatile.Read(ref _uses))
        {
            entry.Used = Interlocked.Increment(ref _uses);
        }

        return entry.Lists;
    }

    /// <summary>As <see cref="Find"/>, without making use of it.</summary>
    public ServerLists Look(string server, string key) => _all.TryGetValue((server, key), out var entry) ? entry.Lists : ServerLists.Nothing;

    /// <summary>The best there is under any key: what stands for the server as a whole, or else whatever is there.</summary>
    public ServerLists Any(string server) =>
        (_all.TryGetValue((server, CatalogueKey.Base), out var entry) ? entry : _all.FirstOrDefault(e => e.Key.Server == server).Value)?.Lists ?? ServerLists.Nothing;

    public bool Has(string server, string key) => _all.ContainsKey((server, key));

    public bool Has(string server) => _all.Keys.Any(entry => entry.Server == server);

    /// <summary>Keys of a server other than the base key, with what is known under each.</summary>
    public IEnumerable<(string Key, ServerLists Lists)> Others(string server) =>
        _all.Where(e => e.Key.Server == server && e.Key.Key != CatalogueKey.Base).Select(e => (e.Key.Key, e.Value.Lists));

    /// <summary>What is known of a server, under each key.</summary>
    public IEnumerable<ServerLists> All(string server) => _all.Where(e => e.Key.Server == server).Select(e => e.Value.Lists);

    /// <summary>Changes what is known under a key, which counts as a use of it.</summary>
    /// <returns>The key that had to go for it, or null.</returns>
    public string? Change(string server, string key, Func<ServerLists, ServerLists> change)
    {
        lock (_changing)
        {
            if (_all.TryGetValue((server, key), out var known))
            {
                known.Lists = change(known.Lists);
                known.Used = Interlocked.Increment(ref _uses);
                return null;
            }

            _all[(server, key)] = new Entry(change(ServerLists.Nothing)) { Used = Interlocked.Increment(ref _uses) };
            var others = _all.Where(e => e.Key.Server == server && e.Key.Key != CatalogueKey.Base).ToList();
            if (others.Count <= MostKeys)
            {
                return null;
            }

            var oldest = others.MinBy(e => e.Value.Used).Key;
            _all.TryRemove(oldest, out _);
            return oldest.Key;
        }
    }

    private sealed class Entry(ServerLists lists)
    {
        private volatile ServerLists _lists = lists;
        private long _used;

        public ServerLists Lists
        {
            get => _lists;
            set => _lists = value;
        }

        public long Used
        {
            get => Volatile.Read(ref _used);
            set => Volatile.Write(ref _used, value);
        }
    }
}
