using System.Globalization;
using System.Net;
using System.Text.Json;

namespace Mooring.Configuration;

/// <summary>
/// Variables that older deployments set. They count less than the file and <c>MOORING_</c> variables: PORT or HOST may well be
/// set for another program.
/// </summary>
internal static class LegacyVariables
{
    private static readonly (string Name, string[] Path, Func<string, string, ConfigNode> Convert)[] Aliases =
    [
        ("SSE_KEEPALIVE_INTERVAL", ["keepAlive", "interval"], Milliseconds),
        ("REQUEST_TIMEOUT", ["calls", "deadline"], Milliseconds),
        ("LOG_LEVEL", ["logLevel"], LogLevel),
        ("ALLOWED_ORIGINS", ["origins"], List),
        ("BASE_URL", ["publicUrl"], ConfigNode.String),
    ];

    /// <summary>Those of signing in with Google: they count where <c>auth.mode</c> names <c>oauth</c>.</summary>
    private static readonly (string Name, string Setting, Func<string, string, ConfigNode> Convert)[] SignIn =
    [
        ("ALLOWED_DOMAIN", "domains", List),
        ("GOOGLE_CLIENT_ID", "clientId", ConfigNode.String),
        ("GOOGLE_CLIENT_SECRET", "clientSecret", ConfigNode.String),
        ("GOOGLE_REDIRECT_URI", "redirectUri", ConfigNode.String),
    ];

    /// <summary>Variables whose part is not built, or that nothing here depends on.</summary>
    private static readonly (string Name, string Why)[] WithoutEffect =
    [
        ("SESSION_SECRET", "nothing is signed with it; what a browser holds is random and known to the store"),
        ("SERVICENOW_INSTANCE_URL", "the servicenow connector is not available in this version"),
        ("SERVICENOW_INSTANCE", "the servicenow connector is not available in this version"),
        ("SERVICENOW_USERNAME", "the servicenow connector is not available in this version"),
        ("SERVICENOW_PASSWORD", "the servicenow connector is not available in this version"),
        ("NODE_ENV", "there is one mode only"),
        ("MCP_MODE", "both transports are always served"),
    ];

    private static readonly (string Prefix, string Why)[] FamiliesWithoutEffect =
    [
        ("HUBSPOT_", "the hubspot connector is not available in this version"),
        ("SLACK_", "the slack connector is not available in this version"),
    ];

    /// <summary>Adds what the tree does not set yet.</summary>
    /// <param name="listens">Whether the command line names the addresses, which then win.</param>
    public static void Apply(ConfigNode root, bool listens, ConfigReading reading, List<string> notes)
    {
        Listen(root, listens, reading, notes);
        foreach (var (name, path, convert) in Aliases)
        {
            if (reading.Environment.TryGetValue(name, out var value) && value.Length > 0)
            {
                Set(root, path, name, convert(value, name), notes);
            }
        }

        SignInWithGoogle(root, reading, notes);
        Kms(root, reading, notes);
        DynamoDb(root, reading, notes);
        Role(root, reading, notes);
        foreach (var name in reading.Environment.Keys.Order(StringComparer.Ordinal))
        {
            var why = WithoutEffect.FirstOrDefault(known => known.Name == name).Why
                ?? FamiliesWithoutEffect.FirstOrDefault(family => name.StartsWith(family.Prefix, StringComparison.Ordinal)).Why;
            if (why is not null)
            {
                reading.Warn(name, null, $"is set but has no effect: {why}.");
            }
        }
    }

    private static void SignInWithGoogle(ConfigNode root, ConfigReading reading, List<string> notes)
    {
        var mode = root.Member("auth")?.Member("mode");
        var isOn = mode is not null && mode.Items.Prepend(mode).Any(word => string.Equals(word.Text, "oauth", StringComparison.OrdinalIgnoreCase));
        foreach (var (name, setting, convert) in SignIn)
        {
            if (!reading.Environment.TryGetValue(name, out var value) || value.Length == 0)
            {
                continue;
            }

            if (isOn)
            {
                Set(root, ["auth", "oauth", "providers", "google", setting], name, convert(value, name), notes);
            }
            else
            {
                reading.Warn(name, null, "is set but has no effect: auth.mode does not name \"oauth\".");
            }
        }
    }

    /// <summary>They named the key that everything is wrapped with; a vault with another one says more than both.</summary>
    private static void Kms(ConfigNode root, ConfigReading reading, List<string> notes)
    {
        foreach (var name in new[] { "KMS_KEY_ARN", "KMS_KEY_ID" })
        {
            if (!reading.Environment.TryGetValue(name, out var key) || key.Length == 0)
            {
                continue;
            }

            if (root.Member("vault") is { } vault && new[] { "kind", "keyFile", "certificate", "kmsKey" }.Any(setting => vault.Member(setting) is not null))
            {
                notes.Add($"{name}: older name of \"vault.kmsKey\"; ignored, \"vault\" is set.");
                continue;
            }

            Set(root, ["vault", "kind"], name, ConfigNode.String("awsKms", name), notes);
            Set(root, ["vault", "kmsKey"], name, ConfigNode.String(key, name), notes);
        }
    }

    /// <summary>They named the table that everything was in, the first before the second; a store of another kind says more than both.</summary>
    private static void DynamoDb(ConfigNode root, ConfigReading reading, List<string> notes)
    {
        foreach (var name in new[] { "SESSIONS_TABLE", "DYNAMODB_TABLE_NAME" })
        {
            if (!reading.Environment.TryGetValue(name, out var table) || table.Length == 0)
            {
                continue;
            }

            var isOther = root.Member("store")?.Member("kind") is { } kind
                ? !string.Equals(kind.Text, "dynamodb", StringComparison.OrdinalIgnoreCase)
                : root.Member("store") is { } store && new[] { "directory", "connection" }.Any(setting => store.Member(setting) is not null);
            if (isOther)
            {
                notes.Add($"{name}: older name of \"store.table\"; ignored, \"store\" is of another kind.");
                continue;
            }

            if (root.Member("store")?.Member("kind") is null)
            {
                Set(root, ["store", "kind"], name, ConfigNode.String("dynamodb", name), notes);
                // Nobody is asked here what the table looks like: a check runs where nothing can be reached.
                reading.Warn(name, null, "chooses a DynamoDB table for the store. The one of an earlier deployment (with the key sessionId) cannot be used: name a new one, and write store.kind to say that it is meant.");
            }

            Set(root, ["store", "table"], name, ConfigNode.String(table, name), notes);
        }

        if (reading.Environment.TryGetValue("AWS_REGION", out var region) && region.Length > 0
            && string.Equals(root.Member("store")?.Member("kind")?.Text, "dynamodb", StringComparison.OrdinalIgnoreCase))
        {
            Set(root, ["store", "region"], "AWS_REGION", ConfigNode.String(region, "AWS_REGION"), notes);
        }
    }

    /// <summary>It named the role that was assumed for the table and the key. With a token file beside it, the AWS SDK takes it for itself (a role of a service account).</summary>
    private static void Role(ConfigNode root, ConfigReading reading, List<string> notes)
    {
        const string name = "AWS_ROLE_ARN";
        if (!reading.Environment.TryGetValue(name, out var role) || role.Length == 0 || reading.Environment.GetValueOrDefault("AWS_WEB_IDENTITY_TOKEN_FILE") is { Length: > 0 })
        {
            return;
        }

        var isTable = string.Equals(root.Member("store")?.Member("kind")?.Text, "dynamodb", StringComparison.OrdinalIgnoreCase);
        var isKey = root.Member("vault")?.Member("kmsKey") is not null;
        if (isTable)
        {
            Set(root, ["store", "role"], name, ConfigNode.String(role, name), notes);
        }

        if (isKey)
        {
            Set(root, ["vault", "role"], name, ConfigNode.String(role, name), notes);
        }

        if (!isTable && !isKey)
        {
            reading.Warn(name, null, "is set but has no effect: neither \"store\" nor \"vault\" is one of AWS.");
        }
    }

    private static void Listen(ConfigNode root, bool listens, ConfigReading reading, List<string> notes)
    {
        reading.Environment.TryGetValue("PORT", out var port);
        reading.Environment.TryGetValue("HOST", out var host);
        var hasPort = !string.IsNullOrEmpty(port);
        if (!string.IsNullOrEmpty(host) && host is not ("localhost" or "*") && !IPAddress.TryParse(host.Trim('[', ']'), out _))
        {
            // Some shells and package managers put the machine's own name here.
            reading.Warn("HOST", null, "is set but is no address to listen on, so it has no effect; write it in \"listen\".");
            host = null;
        }

        if (!hasPort && string.IsNullOrEmpty(host))
        {
            return;
        }

        var name = hasPort && !string.IsNullOrEmpty(host) ? "HOST and PORT" : hasPort ? "PORT" : "HOST";
        if (listens)
        {
            notes.Add($"{name}: older name of \"listen\"; ignored, --urls is given.");
            return;
        }

        host = string.IsNullOrEmpty(host) ? "127.0.0.1" : host.Contains(':') && host[0] != '[' ? $"[{host}]" : host;
        var list = new ConfigNode(JsonValueKind.Array, name, null);
        list.Items.Add(ConfigNode.String($"http://{host}:{(hasPort ? port : "3000")}", name));
        Set(root, ["listen"], name, list, notes);
    }

    private static void Set(ConfigNode root, string[] path, string name, ConfigNode value, List<string> notes)
    {
        var node = root;
        foreach (var key in path.SkipLast(1))
        {
            var child = node.Member(key);
            if (child is null)
            {
                child = new ConfigNode(JsonValueKind.Object, name, null);
                node.SetMember(key, child);
            }

            node = child;
        }

        var setting = string.Join('.', path);
        if (node.Member(path[^1]) is { } set)
        {
            notes.Add($"{name}: older name of \"{setting}\"; ignored, {set.Origin} sets it.");
            return;
        }

        node.SetMember(path[^1], value);
        notes.Add($"{name}: older name of \"{setting}\"; in use. Write {EnvironmentOverrides.Prefix}{string.Join("__", path)} or set it in the file.");
    }

    // Left as it is when it is no number: the setting's own message then says what is wrong.
    private static ConfigNode Milliseconds(string value, string name) =>
        ConfigNode.String(long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out _) ? value + "ms" : value, name);

    private static ConfigNode LogLevel(string value, string name) => ConfigNode.String(value.ToUpperInvariant() switch
    {
        "HTTP" or "NOTICE" => "information",
        "VERBOSE" or "SILLY" => "trace",
        "FATAL" or "SILENT" or "OFF" => "critical",
        _ => value,
    }, name);

    private static ConfigNode List(string value, string name)
    {
        var list = new ConfigNode(JsonValueKind.Array, name, null);
        list.Items.AddRange(value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Select(part => ConfigNode.String(part, name)));
        return list;
    }
}
