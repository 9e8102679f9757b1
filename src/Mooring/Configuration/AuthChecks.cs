namespace Mooring.Configuration;

/// <summary>Rules of <c>auth</c> that look at more than one setting.</summary>
internal static class AuthChecks
{
    public static void Run(MooringConfig config, ConfigNode root, ConfigReading reading)
    {
        var node = root.Member("auth");
        var auth = config.Auth;
        Jwt(config, node, root, reading);
        Admins(auth, node, reading);
        if (!auth.Has(AuthMode.OAuth))
        {
            if (node?.Member("oauth") is { } unused && (auth.OAuth.Providers.Count > 0 || auth.OAuth.Users.Count > 0 || auth.OAuth.Clients.Count > 0))
            {
                reading.Warn("auth.oauth", unused.Line, "has no effect: auth.mode does not name \"oauth\".");
            }

            return;
        }

        var oauth = node?.Member("oauth");
        if (auth.OAuth.Providers.Count == 0 && auth.OAuth.Users.Count == 0 && !reading.Failed)
        {
            reading.Error("auth.oauth", (oauth ?? node)?.Line, "has neither \"providers\" nor \"users\", so nobody could sign in.");
        }

        foreach (var (name, provider) in auth.OAuth.Providers)
        {
            Provider(name, provider, oauth?.Member("providers")?.Member(name), reading);
        }

        foreach (var (name, user) in auth.OAuth.Users)
        {
            var place = oauth?.Member("users")?.Member(name);
            if (user.Password.Length == 0 && place?.Member("password") is null)
            {
                reading.Error(ConfigPath.Member(ConfigPath.Member("auth.oauth", "users"), name) + ".password", place?.Line, "is missing.");
            }
        }

        PublicUrl(config, root, reading);
    }

    private static void Jwt(MooringConfig config, ConfigNode? node, ConfigNode root, ConfigReading reading)
    {
        var auth = config.Auth;
        var list = node?.Member("jwt");
        if (auth.Has(AuthMode.Jwt) && auth.Jwt.Count == 0 && list is not { Items.Count: > 0 })
        {
            reading.Error("auth.jwt", (list ?? node)?.Line, "names no issuer, which auth.mode jwt needs, such as [{ \"issuer\": \"https://login.example.com\" }].");
        }
        else if (!auth.Has(AuthMode.Jwt) && list is { Items.Count: > 0 })
        {
            reading.Warn("auth.jwt", list.Line, "has no effect: auth.mode does not name \"jwt\".");
        }

        for (var i = 0; i < (list?.Items.Count ?? 0); i++)
        {
            if (list!.Items[i] is { Kind: System.Text.Json.JsonValueKind.Object } item && item.Member("issuer") is null)
            {
                reading.Error(ConfigPath.Item("auth.jwt", i) + ".issuer", item.Line, "is missing.");
            }
        }

        if (auth.Has(AuthMode.Jwt) && config.PublicUrl is null && root.Member("publicUrl") is null && auth.Jwt.Any(one => one.Audience.Count == 0))
        {
            // The name that a request came by is the sender's to choose.
            reading.Error("auth.jwt", list?.Line, "needs \"audience\" for each issuer, or publicUrl, which is the audience then: else tokens for others would be taken.");
        }

        if (auth.Has(AuthMode.Jwt) && !auth.Has(AuthMode.OAuth) && config.PublicUrl is null && root.Member("publicUrl") is null && config.Hosts.Count == 0 && IsOpenToOthers(config))
        {
            // Clients are told where to get a token for this gateway: under the name that their request came by, where nothing says which names are the gateway's.
            reading.Error("publicUrl", null, "is missing: auth.mode jwt needs the address that clients know the gateway by, or at least its names in \"hosts\"; else it would give back as its own any name that a request comes by.");
        }

        foreach (var twice in auth.Jwt.GroupBy(one => one.Issuer, StringComparer.Ordinal).Where(group => group.Key.Length > 0 && group.Count() > 1))
        {
            reading.Error("auth.jwt", list?.Line, $"names the issuer {twice.Key} twice.");
        }
    }

    /// <summary>Whoever runs one of several issuers says which addresses are verified there, and so who administers.</summary>
    private static void Admins(AuthConfig auth, ConfigNode? node, ConfigReading reading)
    {
        var issuers = auth.Has(AuthMode.Jwt) ? auth.Jwt.Select(one => one.Issuer) : [];
        issuers = issuers.Concat(auth.Has(AuthMode.OAuth) ? auth.OAuth.Providers.Select(one => one.Value.Issuer ?? one.Key) : []);
        if (auth.AdminUsers.FirstOrDefault(name => name.Contains('@', StringComparison.Ordinal) && !name.Contains('#', StringComparison.Ordinal)) is { } address && issuers.Distinct(StringComparer.Ordinal).Count() > 1)
        {
            reading.Warn("auth.adminUsers", node?.Member("adminUsers")?.Line, $"names {address} by the address alone, so each of the issuers says who that is. Name the one that counts: issuer#{address}.");
        }
    }

    private static void Provider(string name, SignInProviderConfig provider, ConfigNode? node, ConfigReading reading)
    {
        var path = ConfigPath.Member("auth.oauth.providers", name);
        var kind = KindOf(name, provider);
        void Need(string key, bool isThere)
        {
            if (!isThere && node?.Member(key) is null)
            {
                reading.Error($"{path}.{key}", node?.Line, "is missing.");
            }
        }

        Need("clientId", provider.ClientId.Length > 0);
        if (kind == SignInProviderKind.OpenId)
        {
            Need("issuer", provider.Issuer is not null);
        }
        else
        {
            Need("clientSecret", provider.ClientSecret is not null);
        }

        if (kind != SignInProviderKind.GitHub && provider.Organizations.Count > 0)
        {
            reading.Error($"{path}.organizations", node?.Line, "is for GitHub only.");
        }

        if (kind == SignInProviderKind.Google && provider.Domains.Count == 0)
        {
            reading.Warn($"{path}.domains", node?.Line, "is not set: everybody with a Google account may sign in.");
        }

        if (kind == SignInProviderKind.GitHub && provider.Domains.Count == 0 && provider.Organizations.Count == 0)
        {
            reading.Warn($"{path}.organizations", node?.Line, "is not set: everybody with a GitHub account may sign in.");
        }
    }

    internal static SignInProviderKind KindOf(string name, SignInProviderConfig provider) => provider.Kind ?? name.ToLowerInvariant() switch
    {
        "google" => SignInProviderKind.Google,
        "github" => SignInProviderKind.GitHub,
        _ => SignInProviderKind.OpenId,
    };

    private static bool IsOpenToOthers(MooringConfig config) => config.Listen.Any(text => ListenAddress.TryParse(text, out var address) && !address.IsLoopback);

    /// <summary>The issuer of tokens is one address, whatever name a request came by.</summary>
    private static void PublicUrl(MooringConfig config, ConfigNode root, ConfigReading reading)
    {
        if (config.PublicUrl is not { } url)
        {
            if (IsOpenToOthers(config) && root.Member("publicUrl") is null)
            {
                reading.Error("publicUrl", null, "is missing: auth.mode oauth needs the one address that clients know the gateway by.");
            }
        }
        else if (url.Query.Length > 0 || url.Fragment.Length > 0)
        {
            reading.Error("publicUrl", root.Member("publicUrl")?.Line, "must have neither ? nor # where auth.mode names \"oauth\".");
        }
        else if (url.Scheme != "https" && !url.IsLoopback)
        {
            reading.Warn("publicUrl", root.Member("publicUrl")?.Line, "is not https: tokens can be read on the way, and clients may refuse to sign in.");
        }
    }
}
