using Mooring.Configuration;

namespace Mooring.Vault;

/// <summary>The systems at which people can have accounts, as the configuration in force says.</summary>
internal sealed class Providers(ConfigStore config)
{
    public bool Any => config.Current.Providers.Count > 0;

    public ProviderConfig? Find(string name) => config.Current.Providers.GetValueOrDefault(name);

    /// <summary>The gateway as this provider's client; null where it is not in the configuration any more.</summary>
    public TokenClient? ClientOf(string name) =>
        Find(name) is { TokenUrl: { } url } known ? new TokenClient(url.AbsoluteUri, known.ClientId, known.ClientSecret) : null;
}
