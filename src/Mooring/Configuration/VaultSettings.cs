using System.Net;
namespace Mooring.Configuration;

/// <summary>The part of the table under <c>vault</c>, and what is checked of it as a whole.</summary>
internal static class VaultSettings
{
    private static readonly ObjectShape<TlsConfig> Certificate = new ObjectShape<TlsConfig>(() => new("", ""))
        .Add("cert", new PathShape(), c => c.Cert.Length == 0 ? null : c.Cert, (c, v) => c with { Cert = v }, "PEM file with an RSA certificate.")
        .Add("key", new PathShape(), c => c.Key.Length == 0 ? null : c.Key, (c, v) => c with { Key = v }, "PEM file with its private key.");

    /// <summary>One entry of <c>providers</c>.</summary>
    public static readonly ObjectShape<AccountProviderConfig> Provider = new ObjectShape<AccountProviderConfig>(() => new())
        .Add("authorizeUrl", new UrlShape(), c => c.AuthorizeUrl, (c, v) => c with { AuthorizeUrl = v }, "Where a user allows the gateway to act for him.")
        .Add("tokenUrl", new UrlShape(), c => c.TokenUrl, (c, v) => c with { TokenUrl = v }, "Where the gateway gets and refreshes tokens.")
        .Add("revokeUrl", new UrlShape(), c => c.RevokeUrl, (c, v) => c with { RevokeUrl = v }, "Where the gateway tells the provider that a user took his account away (RFC 7009). Without it, the user is told to do so there.")
        .Add("clientId", new TextShape("an id", t => t.Length > 0), c => c.ClientId.Length == 0 ? null : c.ClientId, (c, v) => c with { ClientId = v }, "Who the gateway is at the provider.")
        .Add("clientSecret", new TextShape(), c => c.ClientSecret, (c, v) => c with { ClientSecret = v }, "Its secret there; write ${NAME} or ${file:PATH}. Without it the gateway is a public client.")
        .Add("scopes", new ListShape<string>(new TextShape("a scope without spaces", t => t.Length > 0 && !t.Contains(' '))), c => c.Scopes, (c, v) => c with { Scopes = v }, "What is asked for.")
        .Add("parameters", new MapShape<string>(new TextShape(loose: true), StringComparer.Ordinal), c => c.Parameters, (c, v) => c with { Parameters = v },
            "More parameters of the authorization request, such as access_type.")
        .Add("redirectUri", new UrlShape(), c => c.RedirectUri, (c, v) => c with { RedirectUri = v },
            "Where it sends people back to, if it knows the gateway by the address of an earlier system. Without it, /connect/NAME/callback of publicUrl.");

    /// <summary><c>providers</c>. Names stand in addresses.</summary>
    public static readonly MapShape<AccountProviderConfig> Providers = new(Provider, StringComparer.Ordinal, name =>
        name.Length is > 0 and <= 64 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_') ? null : "must be a name of letters, digits, - and _.");

    public static readonly ObjectShape<VaultConfig> Vault = new ObjectShape<VaultConfig>(() => new())
        .Add("kind", new ChoiceShape<VaultKind>([new("local", VaultKind.Local), new("awsKms", VaultKind.AwsKms)]), c => c.Kind, (c, v) => c with { Kind = v },
            "What the store's data keys are wrapped with. local: a key file or a certificate. awsKms: a key in the AWS Key Management Service.", restart: true)
        .Add("keyFile", new PathShape(), c => c.KeyFile, (c, v) => c with { KeyFile = v },
            "File with a key of 32 bytes in base64, as openssl rand -base64 32 writes it. Without it: vault.key in the data directory, which is made at the first start.", restart: true)
        .Add("certificate", Certificate, c => c.Certificate, (c, v) => c with { Certificate = v },
            "An RSA certificate instead of a key file.", restart: true)
        .Add("kmsKey", new TextShape("a key's id, ARN or alias", t => t.Length > 0), c => c.KmsKey, (c, v) => c with { KmsKey = v },
            "For awsKms: the key's id, ARN or alias. Its role needs kms:Encrypt and kms:Decrypt. With local: the key that was in use before.", restart: true)
        .Add("region", new TextShape("a region", t => t.Length > 0), c => c.Region, (c, v) => c with { Region = v },
            "For awsKms: the key's region. Without it: what its ARN says, or what the AWS SDK finds.", restart: true)
        .Add("role", new TextShape("a role's ARN", t => t.StartsWith("arn:", StringComparison.Ordinal)), c => c.Role, (c, v) => c with { Role = v },
            "For awsKms: a role that is assumed with the credentials that the AWS SDK finds, by its ARN. Without it, these are used.", restart: true)
        .Add("kmsEndpoint", new UrlShape(), c => c.KmsEndpoint, (c, v) => c with { KmsEndpoint = v },
            "For awsKms: another address of the service, such as an interface endpoint.", restart: true)
        .Add("oldKeyFiles", new ListShape<string>(new PathShape(), orOne: true), c => c.OldKeyFiles, (c, v) => c with { OldKeyFiles = v },
            "Key files that were in use before: data keys that they wrapped are wrapped anew at the start.", restart: true)
        .Add("oldCertificates", new ListShape<TlsConfig>(Certificate), c => c.OldCertificates, (c, v) => c with { OldCertificates = v },
            "Certificates that were in use before.", restart: true)
        .Add("seal", new BooleanShape(), c => c.Seal, (c, v) => c with { Seal = v },
            "Whether rows with what people asked and got are sealed; where several replicas share the store, once a key is named. Releases before this one cannot open a store with sealed rows: false keeps the way back open.", restart: true)
        .Add("rotateAfter", new DurationShape("1m", "3650d"), c => c.RotateAfter, (c, v) => c with { RotateAfter = v },
            "How old a data key becomes before the next one is made. Older ones are kept, and open what they sealed.");

    /// <summary>Whether other machines reach the gateway, and the first of its addresses, which people are sent to, would lead them to their own machine.</summary>
    private static bool LeadsElsewhere(IReadOnlyList<string> listen)
    {
        List<ListenAddress> addresses = [.. listen.Select(text => ListenAddress.TryParse(text, out var address) ? address : null).OfType<ListenAddress>()];
        return addresses.Exists(address => !address.IsLoopback)
            && addresses[0] is var first && (first.IsLoopback || first.Address is null || first.Address.Equals(IPAddress.Any) || first.Address.Equals(IPAddress.IPv6Any));
    }

    /// <summary>What the settings say together, and what is wrong with the files that they name.</summary>
    /// <param name="config">The whole configuration: a store that several replicas share needs a key that all of them have.</param>
    /// <param name="files">Says what is wrong with the files, each with the setting that names it below <c>vault</c>; null: nobody here knows.</param>
    public static void Check(
        MooringConfig config, ConfigNode root, ConfigReading reading, Func<VaultConfig, IReadOnlyList<(string Setting, string Problem)>>? files)
    {
        var (vault, node) = (config.Vault, root.Member("vault"));
        if (config.Store.IsShared && !vault.NamesKey && (config.UsesAccounts || (vault.Seal && node?.Member("seal") is not null)))
        {
            reading.Error(
                "vault.keyFile", (node ?? root.Member("store"))?.Line, "is missing; replicas that share a store need one key. Make it once with openssl rand -base64 32, give the file to each replica, and name it here.");
        }

        if (config.LinksAccounts && config.PublicUrl is null && root.Member("publicUrl") is null && LeadsElsewhere(config.Listen))
        {
            reading.Error("publicUrl", null, "is missing: people are sent to the gateway's pages to connect accounts (providers, and auth of servers), which needs the one address that their browsers reach it by.");
        }

        if (vault is { Kind: VaultKind.AwsKms, KmsKey: null })
        {
            reading.Error("vault.kmsKey", node?.Line, "is missing; vault.kind awsKms needs the id, ARN or alias of a key.");
        }

        if (vault is { Kind: VaultKind.AwsKms } and ({ KeyFile: not null } or { Certificate: not null }))
        {
            reading.Error("vault", node?.Line, "has a key of its own beside kind awsKms; one of them wraps the data keys. Name the other one under oldKeyFiles or oldCertificates.");
        }

        if (vault is { KeyFile: not null, Certificate: not null })
        {
            reading.Error("vault", node?.Line, "has both keyFile and certificate; one of them wraps the data keys. Name the other one under oldKeyFiles or oldCertificates.");
        }

        foreach (var (name, provider) in config.Providers)
        {
            foreach (var (key, isMissing) in new[] { ("authorizeUrl", provider.AuthorizeUrl is null), ("tokenUrl", provider.TokenUrl is null), ("clientId", provider.ClientId.Length == 0) })
            {
                var at = root.Member("providers")?.Member(name);
                if (isMissing && at?.Member(key) is null)
                {
                    reading.Error(ConfigPath.Member(ConfigPath.Member("providers", name), key), at?.Line, "is missing.");
                }
            }

            // Nobody would be found there, and only once somebody has come back.
            string[] served = [.. AccountProviderConfig.OlderCallbacks, $"/connect/{name}/callback"];
            if (provider.RedirectUri is { } back && !served.Any(path => back.AbsolutePath.EndsWith(path, StringComparison.Ordinal)))
            {
                reading.Error(
                    ConfigPath.Member(ConfigPath.Member("providers", name), "redirectUri"), root.Member("providers")?.Member(name)?.Member("redirectUri")?.Line, $"must end in one of {string.Join(", ", served)}.");
            }
        }

        foreach (var server in config.Servers.Where(s => s.Auth is { Provider: { } name } && !config.Providers.ContainsKey(name)))
        {
            var path = ConfigPath.Member(ConfigPath.Member("mcpServers", server.Name), "auth");
            reading.Error(ConfigPath.Member(path, "provider"), root.Member("mcpServers")?.Member(server.Name)?.Member("auth")?.Line, $"names \"{server.Auth!.Provider}\", which is not in providers.");
        }

        foreach (var server in config.Servers.Where(s => s.Auth is { Kind: ServerAuthKind.Exchange, Provider: null } && !config.Auth.Has(AuthMode.Jwt)))
        {
            var path = ConfigPath.Member(ConfigPath.Member("mcpServers", server.Name), "auth");
            reading.Error(ConfigPath.Member(path, "provider"), root.Member("mcpServers")?.Member(server.Name)?.Member("auth")?.Line,
                "is missing: a client shows a token that can be exchanged only with auth.mode jwt.");
        }

        foreach (var server in config.Servers.Where(s => s.Auth?.Kind == ServerAuthKind.OAuth && config.Providers.ContainsKey(s.Slug)))
        {
            reading.Error(ConfigPath.Member("providers", server.Slug), root.Member("providers")?.Member(server.Slug)?.Line, "is the name of a server with auth too; /connect/NAME must mean one thing.");
        }

        foreach (var (setting, problem) in files?.Invoke(vault) ?? [])
        {
            reading.Error($"vault.{setting}", node?.Member(setting.Split('[')[0])?.Line, problem);
        }
    }
}
