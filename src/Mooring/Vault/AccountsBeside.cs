using System.Security.Cryptography;
using System.Text;
using Mooring.Configuration;
using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>An account that the gateway uses for somebody, as whoever steers the gateway sees it.</summary>
/// <param name="Id">The beginning of a hash of whose it is, and where; enough to name it.</param>
/// <param name="Key">Whose, and where.</param>
internal sealed record HeldAccount(string Id, CredentialKey Key);

/// <summary>
/// People's accounts at other systems, for a tool that has the store open beside a running gateway, or without one: lists them, and takes them away as the page of the gateway does. A
/// gateway that runs notices with the next request, and ends what is open there within a minute.
/// </summary>
internal sealed class AccountsBeside : IDisposable
{
    private const int IdLength = 12;

    private readonly IVaultStore _store;
    private readonly KeyWrappers _wrappers;
    private readonly KeyRing _keys;
    private readonly VaultHttp _http;
    private readonly AccountRemoval _removal;

    /// <param name="config">The configuration, with the providers that are told.</param>
    /// <param name="dataDirectory">Where the vault's key is, if the configuration names no other place.</param>
    /// <param name="store">Open by the time that this is used.</param>
    /// <param name="time">The clock.</param>
    /// <param name="loggers">For what does not open.</param>
    /// <param name="http">The way to providers; null: the network.</param>
    public AccountsBeside(MooringConfig config, string dataDirectory, IVaultStore store, TimeProvider time, ILoggerFactory loggers, VaultHttp? http = null)
    {
        var configuration = new ConfigStore(config, dataDirectory);
        _store = store;
        _wrappers = new KeyWrappers(configuration);
        _keys = new KeyRing(store, _wrappers, configuration, time, loggers.CreateLogger<KeyRing>());
        _http = http ?? new VaultHttp(time);
        _removal = new AccountRemoval(new Credentials(_keys, store), store, new Providers(configuration), new OAuthDiscovery(_http), new TokenRequests(_http, time), _http, time);
    }

    /// <returns>All of them, by person and provider.</returns>
    /// <exception cref="StoreException">The store cannot be asked.</exception>
    public async Task<IReadOnlyList<HeldAccount>> ListAsync(CancellationToken cancel) =>
        [.. (await _store.ListCredentialsAsync(cancel)).Where(key => !ClientRegistrations.IsOne(key)).Select(key => new HeldAccount(IdOf(key), key))];

    /// <inheritdoc cref="AccountRemoval.RemoveAsync"/>
    /// <exception cref="VaultKeyException">The key is missing or wrong with which the store was sealed, so nobody could be told; nothing was taken away.</exception>
    public async Task<RemovedAccount?> RemoveAsync(CredentialKey key, CancellationToken cancel)
    {
        await _keys.OpenToReadAsync(cancel);
        return await _removal.RemoveAsync(key, cancel);
    }

    public void Dispose()
    {
        _keys.Dispose();
        _wrappers.Dispose();
        _http.Dispose();
    }

    private static string IdOf(CredentialKey key) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{key.Issuer}\n{key.Subject}\n{key.Provider}")))[..IdLength];
}
