using System.Security.Cryptography;
using Mooring.Configuration;
using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>
/// The store's data keys: reads them at start, makes the first one, makes the next one when the last is old, and seals and opens with them.
/// One per process. What it has unwrapped stays in memory, so that a key management service that is away later is not missed.
/// </summary>
internal sealed partial class KeyRing(IVaultStore store, KeyWrappers wrappers, ConfigStore config, TimeProvider time, ILogger<KeyRing> logger) : IDisposable
{
    /// <summary>What strangers show may name keys that nobody has: they are looked for no more often.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromMinutes(1);

    private readonly SemaphoreSlim _loading = new(1, 1);
    private long _lookedFor = long.MinValue / 2;
    private volatile State? _state;

    /// <summary>Whether opening it depends on another machine.</summary>
    public bool IsRemote => wrappers.IsRemote;

    public void Dispose() => _loading.Dispose();

    /// <summary>Set by <see cref="StoreSeal"/>.</summary>
    public Sealing Sealing { get; set; }

    /// <summary>Whether rows are sealed.</summary>
    /// <exception cref="StoreException">It is not known yet: nothing may be written meanwhile.</exception>
    public bool Seals => Sealing == Sealing.Unknown ? throw NotYet() : Sealing == Sealing.On;

    /// <summary>Whether sealed rows have the fingerprints of links sealed as well: no replica is left that would take a sealed one for that of another server. Set by <see cref="StoreSeal"/>.</summary>
    public bool SealsFingerprints { get; set; }

    private State Keys => _state ?? throw NotYet();

    /// <summary>Has all keys ready, or says why not. May be tried again after a <see cref="StoreException"/>.</summary>
    /// <exception cref="VaultKeyException">A key is missing or wrong.</exception>
    public async Task OpenAsync(CancellationToken cancel)
    {
        await wrappers.PrepareAsync(cancel);
        var records = await store.LoadKeysAsync(cancel);
        if (records.Count == 0)
        {
            if (await store.IsSealedAsync(cancel))
            {
                throw new VaultKeyException("The store has sealed rows, but the data keys that they were sealed with are gone from it. Restore the store from a backup; no new key is made in their place.");
            }

            await MakeAsync(1, cancel);
        }

        await LoadAsync(cancel);
        await RewrapAsync(cancel);
        try
        {
            await RotateAsync(cancel);
        }
        catch (StoreException)
        {
            // What is there seals as well. The upkeep tries again, and says so.
        }
    }

    /// <summary>Has those keys ready that there are, for a tool beside a gateway: it makes none, and wraps none anew.</summary>
    /// <exception cref="VaultKeyException">A key is missing or wrong.</exception>
    public async Task OpenToReadAsync(CancellationToken cancel)
    {
        if (_state is null && await store.LoadKeysAsync(cancel) is { Count: > 0 })
        {
            await wrappers.PrepareAsync(cancel);
            await LoadAsync(cancel);
        }
    }

    /// <summary>How old the newest data key is; null: there is none yet.</summary>
    public TimeSpan? Age => _state is { } state ? time.GetUtcNow() - state.Current.Created : null;

    /// <summary>Seals a body for a row, where rows are sealed. An empty one tells nothing and stays empty.</summary>
    /// <exception cref="StoreException">The keys could not be had yet.</exception>
    public ReadOnlyMemory<byte> Seal(in RowName row, ReadOnlyMemory<byte> body) => !Seals || body.IsEmpty ? body : SealAlways(row, body.Span);

    /// <summary>The same for what is never written in clear: no release before this one reads it.</summary>
    public ReadOnlyMemory<byte> SealAlways(in RowName row, ReadOnlySpan<byte> body) => Keys.Current.Seal(row, body);

    /// <summary>The body of a row, which may have been written in clear by a release before.</summary>
    /// <exception cref="StoreException">It does not open here, or its key could not be had.</exception>
    public async ValueTask<ReadOnlyMemory<byte>> OpenAsync(RowName row, ReadOnlyMemory<byte> body, CancellationToken cancel) =>
        await TryOpenAsync(row, body, cancel) ?? throw new StoreException($"A row of {row.Table} does not open: it was sealed for another row or with another key, or changed since.");

    /// <summary>As <see cref="OpenAsync(RowName, ReadOnlyMemory{byte}, CancellationToken)"/>; null where it does not open, now or ever.</summary>
    public ValueTask<ReadOnlyMemory<byte>?> TryOpenAsync(RowName row, ReadOnlyMemory<byte> body, CancellationToken cancel) =>
        !SealedBody.IsSealed(body.Span) ? new(body)
        : TryOpen(row, body.Span, out var opened) ? new(opened)
        : OpenWithNewKeyAsync(row, body, cancel);

    /// <summary>
    /// As <see cref="TryOpenAsync"/>, for what anybody may have made up: that it does not open is not worth a line in the log, and a key that is not
    /// known here is not looked for each time.
    /// </summary>
    public async ValueTask<ReadOnlyMemory<byte>?> TryOpenOfStrangerAsync(RowName row, ReadOnlyMemory<byte> body, CancellationToken cancel)
    {
        if (TryOpen(row, body.Span, out var opened, out _))
        {
            return opened;
        }

        var before = Volatile.Read(ref _lookedFor);
        if (time.GetElapsedTime(before) < LookEvery || Interlocked.CompareExchange(ref _lookedFor, time.GetTimestamp(), before) != before)
        {
            return null;
        }

        try
        {
            await LoadAsync(cancel);
        }
        catch (VaultKeyException)
        {
            return null;
        }

        TryOpen(row, body.Span, out opened, out _);
        return opened;
    }

    /// <summary>Makes the next data key when the last one is old. Rows sealed with older ones stay as they are, and open with those.</summary>
    public async Task RotateAsync(CancellationToken cancel)
    {
        if (!IsOld(Keys.Current))
        {
            return;
        }

        // Another replica may have made the next one, and this one have no right to.
        await LoadAsync(cancel);
        if (!IsOld(Keys.Current))
        {
            return;
        }

        await MakeAsync(Keys.Current.Number + 1, cancel);
        await LoadAsync(cancel);
        Log.Rotated(logger, Keys.Current.Number);
    }

    private bool IsOld(DataKey key) => time.GetUtcNow() - key.Created >= config.Current.Vault.RotateAfter;

    private static StoreException NotYet() => new("The vault's keys could not be had yet.");

    /// <summary>False: the key is not known here yet.</summary>
    private bool TryOpen(in RowName row, ReadOnlySpan<byte> body, out ReadOnlyMemory<byte>? opened)
    {
        var isKnown = TryOpen(row, body, out opened, out var why);
        if (why is not null)
        {
            Log.DoesNotOpen(logger, row.Table, why);
        }

        return isKnown;
    }

    private bool TryOpen(in RowName row, ReadOnlySpan<byte> body, out ReadOnlyMemory<byte>? opened, out string? why)
    {
        (opened, why) = (null, null);
        if (!SealedBody.TryRead(body, out var read))
        {
            why = "it is cut short, or sealed in a way that this release does not know";
            return true;
        }

        if (!Keys.All.TryGetValue(read.Key, out var key))
        {
            return false;
        }

        if (key.Open(row, read) is { } plain)
        {
            opened = plain;
        }
        else
        {
            why = "it was sealed for another row, or changed since";
        }

        return true;
    }

    /// <summary>Another replica may have made a key since.</summary>
    private async ValueTask<ReadOnlyMemory<byte>?> OpenWithNewKeyAsync(RowName row, ReadOnlyMemory<byte> body, CancellationToken cancel)
    {
        try
        {
            await LoadAsync(cancel);
            if (TryOpen(row, body.Span, out var opened))
            {
                return opened;
            }

            Log.DoesNotOpen(logger, row.Table, "the store does not have its data key");
        }
        catch (VaultKeyException e)
        {
            // Another replica wraps with a key that this one was not given.
            Log.DoesNotOpen(logger, row.Table, e.Message);
        }

        return null;
    }

    /// <summary>Adds a key with this number, unless another replica was first: then that one's counts.</summary>
    private async Task MakeAsync(uint number, CancellationToken cancel)
    {
        var key = RandomNumberGenerator.GetBytes(DataKey.Size);
        var (wrapper, made) = wrappers.Current(mayMake: number == 1);
        if (made is not null)
        {
            Log.KeyFileMade(logger, made);
        }

        var wrapped = await wrapper.WrapAsync(number, key, cancel);
        if (await store.AddKeyAsync(new KeyRecord(number, wrapped, wrapper.Name, time.GetUtcNow())) || made is null)
        {
            return;
        }

        // Another replica was first. A file that wraps nothing would look like the right one; one that both use stays.
        if (!(await store.LoadKeysAsync(cancel)).Any(record => wrapper.Knows(record.WrappedBy)))
        {
            wrappers.Unmake(made);
            Log.KeyFileTakenBack(logger, made);
        }
    }

    private async Task LoadAsync(CancellationToken cancel)
    {
        await _loading.WaitAsync(cancel);
        try
        {
            var known = _state?.All ?? [];
            var all = new Dictionary<uint, DataKey>(known);
            foreach (var record in await store.LoadKeysAsync(cancel))
            {
                if (!all.ContainsKey(record.Number))
                {
                    var key = await wrappers.Find(record).UnwrapAsync(record, cancel);
                    all.Add(record.Number, new DataKey(record.Number, key, record.Created));
                }
            }

            _state = new State(all, all[all.Keys.Max()]);
        }
        finally
        {
            _loading.Release();
        }
    }

    /// <summary>After the outer key was exchanged: wraps with the new one what the old one wrapped, so that the old one can go.</summary>
    private async Task RewrapAsync(CancellationToken cancel)
    {
        foreach (var record in await store.LoadKeysAsync(cancel))
        {
            var (wrapper, _) = wrappers.Current(mayMake: false);
            if (wrapper.Name == record.WrappedBy)
            {
                continue;
            }

            var wrapped = await wrapper.WrapAsync(record.Number, Keys.All[record.Number].Bytes.ToArray(), cancel);
            if (await store.RewrapKeyAsync(record with { Wrapped = wrapped, WrappedBy = wrapper.Name }, record.WrappedBy))
            {
                Log.Rewrapped(logger, record.Number, wrapper.Description);
            }
        }
    }

    private sealed record State(Dictionary<uint, DataKey> All, DataKey Current);
}
