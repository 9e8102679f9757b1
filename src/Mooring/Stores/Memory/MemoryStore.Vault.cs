namespace Mooring.Stores.Memory;

/// <content>What the vault keeps.</content>
internal sealed partial class MemoryStore
{
    private readonly SortedDictionary<uint, KeyRecord> _keys = [];
    private readonly Dictionary<CredentialKey, Credential> _credentials = [];
    private bool _sealed;

    public Task<IReadOnlyList<KeyRecord>> LoadKeysAsync(CancellationToken cancel)
    {
        lock (_gate)
        {
            return Task.FromResult<IReadOnlyList<KeyRecord>>([.. _keys.Values]);
        }
    }

    public Task<bool> AddKeyAsync(KeyRecord key)
    {
        lock (_gate)
        {
            return Task.FromResult(_keys.TryAdd(key.Number, key with { Wrapped = key.Wrapped.ToArray() }) || Same(_keys[key.Number].Wrapped, key.Wrapped));
        }
    }

    public Task<bool> RewrapKeyAsync(KeyRecord key, string before)
    {
        lock (_gate)
        {
            if (!_keys.TryGetValue(key.Number, out var known) || (known.WrappedBy != before && !Same(known.Wrapped, key.Wrapped)))
            {
                return Task.FromResult(false);
            }

            _keys[key.Number] = known with { Wrapped = key.Wrapped.ToArray(), WrappedBy = key.WrappedBy };
            return Task.FromResult(true);
        }
    }

    public Task<bool> IsSealedAsync(CancellationToken cancel) => Task.FromResult(Volatile.Read(ref _sealed));

    public Task BeginSealingAsync()
    {
        Volatile.Write(ref _sealed, true);
        return Task.CompletedTask;
    }

    public ValueTask<CredentialRecord?> FindCredentialAsync(CredentialKey key, CancellationToken cancel)
    {
        lock (_gate)
        {
            return new(_credentials.GetValueOrDefault(key)?.Record);
        }
    }

    public Task<IReadOnlyList<CredentialKey>> ListCredentialsAsync(CancellationToken cancel)
    {
        lock (_gate)
        {
            return Task.FromResult<IReadOnlyList<CredentialKey>>(
                [.. _credentials.Keys.OrderBy(k => k.Issuer, StringComparer.Ordinal).ThenBy(k => k.Subject, StringComparer.Ordinal).ThenBy(k => k.Provider, StringComparer.Ordinal)]);
        }
    }

    public Task<IReadOnlyList<CredentialKey>> FindDueCredentialsAsync(DateTimeOffset before, int limit, IEnumerable<string> except, CancellationToken cancel)
    {
        lock (_gate)
        {
            var now = time.GetUtcNow();
            return Task.FromResult<IReadOnlyList<CredentialKey>>(
                [.. _credentials.Values.Where(c => c.Record.Due < before && (c.Holder is null || c.LeasedUntil <= now) && !except.Contains(c.Record.Key.Provider))
                    .OrderBy(c => c.Record.Due).Take(limit).Select(c => c.Record.Key)]);
        }
    }

    public Task<bool> SaveCredentialAsync(CredentialRecord credential)
    {
        lock (_gate)
        {
            var known = _credentials.GetValueOrDefault(credential.Key)?.Record;
            if (known?.Version == credential.Version && Same(known.Body, credential.Body))
            {
                return Task.FromResult(true);
            }

            if ((known?.Version ?? 0) != credential.Version - 1)
            {
                return Task.FromResult(false);
            }

            _credentials[credential.Key] = new Credential(credential with { Body = credential.Body.ToArray() });
            return Task.FromResult(true);
        }
    }

    public Task DeleteCredentialAsync(CredentialKey key)
    {
        lock (_gate)
        {
            _credentials.Remove(key);
        }

        return Task.CompletedTask;
    }

    public Task<bool> TryLeaseCredentialAsync(CredentialKey key, long version, string holder, TimeSpan lease)
    {
        lock (_gate)
        {
            var now = time.GetUtcNow();
            if (!_credentials.TryGetValue(key, out var known) || known.Record.Version != version
                || (known.Holder is not null && known.Holder != holder && known.LeasedUntil > now))
            {
                return Task.FromResult(false);
            }

            (known.Holder, known.LeasedUntil) = (holder, now + lease);
            return Task.FromResult(true);
        }
    }

    public Task ReleaseCredentialAsync(CredentialKey key, string holder)
    {
        lock (_gate)
        {
            if (_credentials.TryGetValue(key, out var known) && known.Holder == holder)
            {
                known.Holder = null;
            }
        }

        return Task.CompletedTask;
    }

    private static bool Same(ReadOnlyMemory<byte> a, ReadOnlyMemory<byte> b) => a.Span.SequenceEqual(b.Span);

    /// <summary>One credential and who refreshes it. Guarded by the store's gate.</summary>
    private sealed class Credential(CredentialRecord record)
    {
        public CredentialRecord Record => record;

        public string? Holder { get; set; }

        public DateTimeOffset LeasedUntil { get; set; }
    }
}
