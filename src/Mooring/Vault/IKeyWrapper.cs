using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>
/// Wraps the store's data keys with a key that lies outside of the store: a key file, a certificate, or a key management service.
/// </summary>
internal interface IKeyWrapper
{
    /// <summary>Says which key it is, without telling anything of the key; stands beside what it wrapped.</summary>
    string Name { get; }

    /// <summary>The key, for a person who has to find it.</summary>
    string Description { get; }

    /// <summary>Whether what was wrapped under this name can be unwrapped by it.</summary>
    bool Knows(string wrappedBy) => wrappedBy == Name;

    /// <param name="number">Of the data key: what it is wrapped for, so that it cannot stand in for another one.</param>
    /// <param name="key">The data key.</param>
    /// <param name="cancel">Gives up.</param>
    /// <exception cref="StoreException">The key cannot be asked for now.</exception>
    ValueTask<byte[]> WrapAsync(uint number, ReadOnlyMemory<byte> key, CancellationToken cancel);

    /// <exception cref="VaultKeyException">It was not wrapped by this key for this number, or was changed since.</exception>
    /// <exception cref="StoreException">The key cannot be asked for now.</exception>
    ValueTask<byte[]> UnwrapAsync(KeyRecord record, CancellationToken cancel);
}
