using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mooring.Configuration;

/// <summary>Rules that look at more than one setting.</summary>
internal static class ConfigChecks
{
    private const string OpenOrNot =
        $"Say who may come in with auth.mode, or set auth.allowAnonymous to true ({EnvironmentOverrides.Prefix}Auth__AllowAnonymous=true) to serve it without authentication";

    public static void Run(MooringConfig config, ConfigNode root, ConfigReading reading, ConfigLoadOptions options)
    {
        Listen(config, root, reading);
        Open(config, root, reading);
        Tls(config, root, reading);
        Names(config, root, reading);
        Store(config.Store, root.Member("store"), reading);
        AuthChecks.Run(config, root, reading);
        PolicySettings.Check(config, root, reading);
        VaultSettings.Check(config, root, reading, options.CheckVault);
        if (options.CheckConnector is not { } check)
        {
            return;
        }

        foreach (var connector in config.Connectors)
        {
            var node = root.Member("connectors")?.Member(connector.Name);
            var path = ConfigPath.Member("connectors", connector.Name);
            foreach (var said in check(connector.Name, connector.Settings, reading.BaseDirectory))
            {
                var problem = AsWritten(said, node, connector.Settings);
                var colon = problem.IndexOf(": ", StringComparison.Ordinal);
                var key = colon < 0 || problem[..colon].Contains(' ') ? null : problem[..colon];
                var line = (key is null ? node : node?.Member(key.Split('[')[0]) ?? node)?.Line;
                reading.Error(key is null ? path : $"{path}.{key}", line, key is null ? problem : problem[(colon + 2)..]);
            }
        }
    }

    /// <summary>What a connector says of its settings, with values as they are written: what a reference was replaced by may be a secret.</summary>
    private static string AsWritten(string problem, ConfigNode? written, JsonNode? value) => (written?.Kind, value) switch
    {
        (JsonValueKind.Object, JsonObject map) => written!.Members.Aggregate(problem, (said, member) => AsWritten(said, member.Value, map[member.Key])),
        (JsonValueKind.Array, JsonArray list) => written!.Items.Zip(list).Aggregate(problem, (said, item) => AsWritten(said, item.First, item.Second)),
        (JsonValueKind.String, JsonValue) when written!.Text.Contains("${", StringComparison.Ordinal) => problem
            .Replace($"'{value.GetValue<string>()}'", $"'{written.Text}'", StringComparison.Ordinal)
            .Replace(value.ToJsonString(), $"\"{written.Text}\"", StringComparison.Ordinal),
        _ => problem,
    };

    private static void Listen(MooringConfig config, ConfigNode root, ConfigReading reading)
    {
        var node = root.Member("listen");
        if (config.Listen.Count == 0 && node?.Items.Count == 0)
        {
            reading.Error("listen", node?.Line, "is empty; the gateway needs an address to listen on.");
        }

        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < config.Listen.Count; i++)
        {
            if (!ListenAddress.TryParse(config.Listen[i], out var address))
            {
                continue; // Reported while it was read.
            }

            // Items that could not be read are not in the list, so the place is looked up by the text.
            var at = node?.Items.FindIndex(item => item.Text == config.Listen[i]) ?? -1;
            var line = (at < 0 ? node : node!.Items[at])?.Line;
            var path = ConfigPath.Item("listen", at < 0 ? i : at);
            if (address.Secure && root.Member("tls") is null)
            {
                reading.Error(path, line, "is an https address but \"tls\" is not set; give it \"cert\" and \"key\".");
            }

            // The safe side is the default: whoever can reach the port can use every tool behind it.
            if (!address.IsLoopback && config.Auth is { IsOpen: true, AllowAnonymous: false })
            {
                reading.Error(path, line, $"({address}) can be reached from other machines, but auth.mode is none. {OpenOrNot}. Or listen on 127.0.0.1.");
            }

            if (address.Port != 0 && !seen.Add(address.ToString()))
            {
                reading.Error(path, line, "is listed twice.");
            }
        }
    }

    /// <summary>
    /// Also where the gateway listens for this machine alone, a proxy there may let in whoever reaches that. No error: the proxy may ask who they are itself, and a gateway that was only
    /// given its name serves nobody else.
    /// </summary>
    private static void Open(MooringConfig config, ConfigNode root, ConfigReading reading)
    {
        if (config.Auth is not { IsOpen: true, AllowAnonymous: false })
        {
            return;
        }

        if (config.PublicUrl is { IsLoopback: false } url)
        {
            reading.Warn("publicUrl", root.Member("publicUrl")?.Line, $"({url}) is an address that other machines reach, but auth.mode is none: whoever reaches it can use every tool. {OpenOrNot}.");
        }

        if (config.TrustedProxies.Count > 0)
        {
            reading.Warn("trustedProxies", root.Member("trustedProxies")?.Line, $"names a proxy, which other machines may reach the gateway through, but auth.mode is none: whoever reaches it can use every tool. {OpenOrNot}.");
        }
    }

    private static void Tls(MooringConfig config, ConfigNode root, ConfigReading reading)
    {
        if (config.Tls is not { } tls || root.Member("tls") is not { } node)
        {
            return;
        }

        var complete = true;
        foreach (var (key, file) in new[] { ("cert", tls.Cert), ("key", tls.Key) })
        {
            var path = ConfigPath.Member("tls", key);
            if (node.Member(key) is not { } written)
            {
                reading.Error(path, node.Line, "is missing.");
                complete = false;
            }
            else if (file.Length > 0 && !File.Exists(file))
            {
                reading.Error(path, written.Line, $"names {file}, which does not exist.");
                complete = false;
            }
            else
            {
                complete &= file.Length > 0;
            }
        }

        if (complete && !TlsFiles.TryLoad(tls, out _, out var problem))
        {
            reading.Error("tls", node.Line, problem);
        }

        if (!config.Listen.Any(a => ListenAddress.TryParse(a, out var address) && address.Secure))
        {
            reading.Warn("tls", node.Line, "has no effect: no address in listen is https.");
        }
    }

    private static void Store(StoreConfig store, ConfigNode? node, ConfigReading reading)
    {
        foreach (var (key, text) in new[] { ("connection", store.Connection), ("listenConnection", store.ListenConnection) })
        {
            var path = ConfigPath.Member("store", key);
            if (text is null)
            {
                if (key == "connection" && store.Kind == StoreKind.Postgres && node?.Member(key) is null)
                {
                    reading.Error(path, node?.Line, "is missing; store.kind postgres needs it, such as Host=db;Database=mooring;Username=mooring;Password=${DB_PASSWORD}.");
                }
            }
            else if (store.Kind != StoreKind.Postgres)
            {
                reading.Warn(path, node?.Member(key)?.Line, "has no effect: store.kind is not postgres.");
            }
            else if (PostgresConnectionText.ProblemOf(text) is { } problem)
            {
                reading.Error(path, node?.Member(key)?.Line, problem);
            }
        }

        var usual = new StoreConfig();
        foreach (var (key, isSet) in new[]
        {
            ("table", store.Table != usual.Table), ("region", store.Region is not null), ("endpoint", store.Endpoint is not null), ("createTable", store.CreateTable),
        })
        {
            if (isSet && store.Kind != StoreKind.DynamoDb)
            {
                reading.Warn(ConfigPath.Member("store", key), node?.Member(key)?.Line, "has no effect: store.kind is not dynamodb.");
            }
        }
    }

    private static void Names(MooringConfig config, ConfigNode root, ConfigReading reading)
    {
        // /servers/{name}/mcp must mean one thing.
        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var name in config.Servers.Select(s => s.Name).Concat(config.Connectors.Select(c => c.Name)))
        {
            if (!names.Add(name))
            {
                var last = root.Member("connectors")?.Member(name) ?? root.Member("servers")?.Member(name) ?? root.Member("mcpServers")?.Member(name);
                reading.Error(ConfigPath.Member("mcpServers", name), last?.Line,
                    "is the name of another server or connector too (upper and lower case do not count).");
            }
        }

        var places = config.Connectors.ToDictionary(connector => connector.Name, connector => connector.Name, StringComparer.Ordinal);
        foreach (var server in config.Servers.Where(server => !server.Disabled))
        {
            if (!places.TryAdd(server.Slug, server.Name) && places[server.Slug] is var first && first != server.Name)
            {
                reading.Warn(ConfigPath.Member("mcpServers", server.Name), (root.Member("mcpServers")?.Member(server.Name) ?? root.Member("servers")?.Member(server.Name))?.Line,
                    $"is left out: \"{first}\" is called {server.Slug} in addresses too (/servers/{server.Slug}/mcp). Give one of both another name.");
            }
        }
    }
}
