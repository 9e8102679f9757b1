using Mooring.Configuration;

namespace Mooring.Vault;

/// <summary>The systems at which people can have accounts, as the configuration in force says: its providers, and servers that say themselves where tokens come from.</summary>
internal sealed class Providers(ConfigStore config)
{
    /// <summary>Whether there are any.</summary>
    public bool Any => config.Current.UsesAccounts;

    /// <summary>Whether everybody is the same anonymous person here.</summary>
    public bool AreAnonymous => config.Current.Auth.IsOpen;

    /// <summary>Names of all of them, as they stand in addresses.</summary>
    public IEnumerable<string> Names => config.Current.Providers.Keys.Concat(Servers.Select(server => server.Slug));

    private IEnumerable<ServerConfig> Servers => config.Current.Servers.Where(server => server.Auth?.Kind == ServerAuthKind.OAuth);

    public AccountProviderConfig? Find(string name) => config.Current.Providers.GetValueOrDefault(name);

    /// <summary>The server of this name that says itself where tokens come from.</summary>
    public ServerConfig? ServerOf(string name) => Servers.FirstOrDefault(server => server.Slug == name);

    /// <summary>Whoever named an endpoint and is in the configuration no longer: no network is his.</summary>
    private static readonly Uri Gone = new("https://192.0.2.0/");

    /// <summary>The gateway as the client with which one token was had; null where its provider is not in the configuration any more.</summary>
    /// <param name="name">The provider.</param>
    /// <param name="registered">As whom it was registered for this token alone, at an endpoint that a server named; null: as the configuration says.</param>
    public TokenClient? ClientFor(string name, TokenClient? registered) =>
        registered is null ? ClientOf(name) : registered with { NamedBy = ServerOf(name)?.Url ?? Gone };

    /// <summary>The gateway as this provider's client; null where it is not in the configuration any more.</summary>
    public TokenClient? ClientOf(string name) =>
        Find(name) is { TokenUrl: { } url } known ? new TokenClient(url.AbsoluteUri, known.ClientId, known.ClientSecret) : null;
}
