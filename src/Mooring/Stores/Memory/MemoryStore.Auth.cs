namespace Mooring.Stores.Memory;

/// <content>Who may come in.</content>
internal sealed partial class MemoryStore
{
    private readonly Dictionary<(AuthKind Kind, string Key), AuthRecord> _auth = [];

    public ValueTask<AuthRecord?> FindAuthAsync(AuthKind kind, string key, DateTimeOffset now, CancellationToken cancel)
    {
        lock (_gate)
        {
            return new(FindAuthLocked(kind, key, now));
        }
    }

    public Task<bool> AddAuthAsync(AuthRecord record)
    {
        lock (_gate)
        {
            return Task.FromResult(_auth.TryAdd((record.Kind, record.Key), record with { Data = record.Data.ToArray(), Used = null }));
        }
    }

    public Task<AuthRecord?> UseAuthAsync(AuthKind kind, string key, DateTimeOffset now)
    {
        lock (_gate)
        {
            var found = FindAuthLocked(kind, key, now);
            if (found is { Used: null })
            {
                _auth[(kind, key)] = found with { Used = now };
            }

            return Task.FromResult(found);
        }
    }

    public Task ExtendAuthAsync(AuthKind kind, string key, DateTimeOffset expires)
    {
        lock (_gate)
        {
            if (_auth.TryGetValue((kind, key), out var found) && found.Expires < expires)
            {
                _auth[(kind, key)] = found with { Expires = expires };
            }
        }

        return Task.CompletedTask;
    }

    public Task<bool> RemoveAuthAsync(AuthKind kind, string key)
    {
        lock (_gate)
        {
            return Task.FromResult(_auth.Remove((kind, key)));
        }
    }

    public Task<IReadOnlyList<AuthRecord>> ListAuthAsync(AuthKind kind, CancellationToken cancel)
    {
        lock (_gate)
        {
            return Task.FromResult<IReadOnlyList<AuthRecord>>(
                [.. _auth.Values.Where(r => r.Kind == kind).OrderBy(r => r.Created).ThenBy(r => r.Key, StringComparer.Ordinal)]);
        }
    }

    public Task<int> CountAuthAsync(AuthKind kind, CancellationToken cancel)
    {
        lock (_gate)
        {
            return Task.FromResult(_auth.Keys.Count(key => key.Kind == kind));
        }
    }

    public Task ExpireAuthAsync(DateTimeOffset now)
    {
        lock (_gate)
        {
            foreach (var (key, _) in _auth.Where(entry => entry.Value.Expires < now).ToList())
            {
                _auth.Remove(key);
            }
        }

        return Task.CompletedTask;
    }

    private AuthRecord? FindAuthLocked(AuthKind kind, string key, DateTimeOffset now) =>
        _auth.TryGetValue((kind, key), out var found) && found.Expires > now && (found.Grant is null || _auth.ContainsKey((AuthKind.Grant, found.Grant)))
            ? found
            : null;
}
