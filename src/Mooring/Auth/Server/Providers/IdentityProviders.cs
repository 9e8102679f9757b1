using Mooring.Auth.Issuers;
using Mooring.Configuration;

namespace Mooring.Auth.Server.Providers;

/// <summary>The providers of the configuration in force.</summary>
internal sealed class IdentityProviders(ConfigStore config, RemoteIssuers issuers, AuthHttp http, TimeProvider time)
{
    public IdentityProvider? Find(string name) => config.Current.Auth.OAuth.Providers.TryGetValue(name, out var found) ? Of(name, found) : null;

    /// <summary>Whether a person would still be let in by whoever vouched for them, as far as the configuration can tell.</summary>
    public bool StillVouches(Person person)
    {
        var oauth = config.Current.Auth.OAuth;
        return person.Issuer == Person.OfConfiguration ? oauth.Users.ContainsKey(person.Subject) : oauth.Providers.Any(one => Of(one.Key, one.Value).StillVouches(person));
    }

    /// <summary>
    /// Whether the people of an issuer sign in here. Those of the configuration do, also where it has none of them any more: then nobody can say that he is one.
    /// </summary>
    public bool AreOf(string issuer) => issuer == Person.OfConfiguration || config.Current.Auth.OAuth.Providers.Any(one => Of(one.Key, one.Value).Issuer == issuer);

    private IdentityProvider Of(string name, SignInProviderConfig provider) => AuthChecks.KindOf(name, provider) switch
    {
        SignInProviderKind.GitHub => new GitHubProvider(name, provider, http),
        SignInProviderKind.Google => new OpenIdProvider(name, provider, issuers.Of(OpenIdProvider.Google), http, time, isGoogle: true),
        _ => new OpenIdProvider(name, provider, issuers.Of(provider.Issuer ?? ""), http, time, isGoogle: false),
    };
}
