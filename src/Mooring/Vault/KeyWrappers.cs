using Mooring.Configuration;
using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>
/// The keys outside of the store that the configuration names: the one that wraps, and older ones that only unwrap. Read once, at the start.
/// Owned by <see cref="KeyRing"/>.
/// </summary>
internal sealed class KeyWrappers(ConfigStore config) : IDisposable
{
    /// <summary>Beside the embedded store's files, where nobody named another place.</summary>
    public const string DefaultFile = "vault.key";

    private readonly List<IKeyWrapper> _older = [];
    private IKeyWrapper? _current;
    private string? _file;
    private bool _prepared;

    public bool IsRemote => config.Current.Vault is { Kind: VaultKind.AwsKms } or { KmsKey: not null };

    /// <summary>Reads the files. A default key file that is not there is no mistake yet: the store may be new.</summary>
    public Task PrepareAsync(CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        if (_prepared)
        {
            return Task.CompletedTask;
        }

        var vault = config.Current.Vault;
        _current = CurrentOf(vault);
        _older.Clear();
        _older.AddRange(vault.OldKeyFiles.Select(FileKey.Read));
        _older.AddRange(vault.OldCertificates.Select(ReadCertificate));
        if (vault is { Kind: VaultKind.Local, KmsKey: not null })
        {
            // On the way from the service to a key of one's own.
            _older.Add(new AwsKmsKey(vault));
        }

        _prepared = true;
        return Task.CompletedTask;
    }

    /// <summary>The key that wraps.</summary>
    /// <param name="mayMake">Whether it may be made now where it is missing: only where nothing was sealed yet.</param>
    /// <returns>The key, and its file where it was made just now.</returns>
    public (IKeyWrapper Wrapper, string? Made) Current(bool mayMake)
    {
        if (_current is { } current)
        {
            return (current, null);
        }

        if (!mayMake)
        {
            throw Missing();
        }

        (_current, var made) = FileKey.Create(_file!);
        return (_current, made ? _file : null);
    }

    /// <summary>Takes back what <see cref="Current"/> made: another replica's key counts.</summary>
    public void Unmake(string file)
    {
        _current = null;
        File.Delete(file);
    }

    /// <summary>The key that a data key was wrapped by.</summary>
    public IKeyWrapper Find(KeyRecord record)
    {
        var known = new List<IKeyWrapper>(_older);
        if (_current is not null)
        {
            known.Insert(0, _current);
        }

        return known.Find(key => key.Knows(record.WrappedBy)) ?? throw (_current is null ? Missing() : new VaultKeyException(
            $"The store's data key {record.Number} was sealed with {record.WrappedBy}, which is none of the keys here: "
            + string.Join("; ", known.Select(key => $"{key.Description} is {key.Name}"))
            + ". Bring back the right one, or name it in vault.oldKeyFiles or vault.oldCertificates. No new key is made while sealed rows are there."));
    }

    public void Dispose()
    {
        foreach (var key in new[] { _current }.Concat(_older).OfType<IDisposable>())
        {
            key.Dispose();
        }
    }

    private VaultKeyException Missing() => new(
        $"The store has sealed rows, but the key file {_file} does not exist. Put it back, or name it with vault.keyFile. No new key is made while sealed rows are there.");

    private IKeyWrapper? CurrentOf(VaultConfig vault)
    {
        if (vault.Kind == VaultKind.AwsKms)
        {
            return new AwsKmsKey(vault);
        }

        if (vault.Certificate is { } certificate)
        {
            return ReadCertificate(certificate);
        }

        if (vault.KeyFile is { } named)
        {
            return FileKey.Read(named);
        }

        if (config.Current.Store.Kind == StoreKind.Memory)
        {
            return FileKey.Ephemeral();
        }

        _file = Path.Combine(config.Current.Store.Directory ?? config.DataDirectory, DefaultFile);
        return File.Exists(_file) ? FileKey.Read(_file) : null;
    }

    private static CertificateKey ReadCertificate(TlsConfig files) =>
        CertificateKey.TryRead(files, out var key, out var problem) ? key : throw new VaultKeyException($"The vault's certificate {problem}");
}
