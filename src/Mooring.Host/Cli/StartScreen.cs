using Mooring.Configuration;

namespace Mooring.Host.Cli;

/// <summary>What a person sees after the start: where the gateway is, how to use it, and which timeouts are in force.</summary>
internal static class StartScreen
{
    public static void Write(TextWriter output, ConfigResult result, IReadOnlyList<string> addresses, TimeoutChain timeouts)
    {
        var config = result.Config!;
        var endpoint = Endpoint(config, addresses);
        output.WriteLine($"Mooring {ProductVersion.Current.Number} is ready.");
        output.WriteLine();
        output.WriteLine($"  endpoint   {endpoint}");
        output.WriteLine($"  listening  {string.Join(", ", addresses)}");
        output.WriteLine($"  hosts      {new ServedNames(config)}");
        output.WriteLine($"  config     {result.File ?? "none (defaults)"}");
        output.WriteLine($"  data       {Data(config, result)}");
        output.WriteLine($"  serving    {Serving(config)}");
        output.WriteLine($"  for        {For(config.Auth)}");
        WriteClients(output, endpoint);
        WriteTimeouts(output, timeouts);
        foreach (var note in result.Notes)
        {
            output.WriteLine(note);
        }

        output.Flush();
    }

    private static string Data(MooringConfig config, ConfigResult result) => config.Store.Kind switch
    {
        StoreKind.Memory => "none (store.kind is memory)",
        StoreKind.Postgres => "in PostgreSQL (store.connection); /ready says when it is reached",
        StoreKind.DynamoDb => $"in the DynamoDB table {config.Store.Table} (store.table); /ready says when it is reached",
        _ => result.DataDirectory,
    };

    private static string Endpoint(MooringConfig config, IReadOnlyList<string> addresses)
    {
        var root = config.PublicUrl?.AbsoluteUri ?? addresses[0];
        // Nobody can connect to "any address".
        root = root.Replace("//0.0.0.0", "//127.0.0.1", StringComparison.Ordinal).Replace("//[::]", "//127.0.0.1", StringComparison.Ordinal);
        return root.TrimEnd('/') + "/mcp";
    }

    internal static string Serving(MooringConfig config)
    {
        var names = config.Servers.Where(s => !s.Disabled).Select(s => s.Name)
            .Concat(config.Connectors.Select(c => c.Settings["path"] is { } path ? $"{c.Name} ({path})" : c.Name)).ToList();
        return names.Count == 0 ? "nothing (add servers to mcpServers)" : string.Join(", ", names);
    }

    private static string For(AuthConfig auth) => string.Join(", ", auth.Mode.Select(mode => mode switch
    {
        AuthMode.ApiKey => "whoever has a key (mooring token create)",
        AuthMode.Jwt => $"whoever has a token of {string.Join(" or ", auth.Jwt.Select(one => one.Issuer))}",
        AuthMode.OAuth => $"whoever signs in ({string.Join(", ", auth.OAuth.Providers.Keys.Concat(auth.OAuth.Users.Count > 0 ? ["by name and password"] : []))})",
        _ => "everybody who reaches it (auth.mode)",
    }));

    private static void WriteClients(TextWriter output, string endpoint) => output.WriteLine($$$"""

        Add it to
          Claude Code     claude mcp add --transport http mooring {{{endpoint}}}
          VS Code         code --add-mcp '{"name":"mooring","type":"http","url":"{{{endpoint}}}"}'
          Cursor          in ~/.cursor/mcp.json:
                          { "mcpServers": { "mooring": { "url": "{{{endpoint}}}" } } }
          Claude Desktop  in claude_desktop_config.json:
                          { "mcpServers": { "mooring": { "command": "npx", "args": ["-y", "mcp-remote", "{{{endpoint}}}"] } } }

        """);

    private static void WriteTimeouts(TextWriter output, TimeoutChain timeouts)
    {
        output.WriteLine("Timeouts");
        var widest = timeouts.Rows.Max(r => r.Origin.Length);
        foreach (var row in timeouts.Rows)
        {
            output.WriteLine($"  {row.Setting,-22} {DurationText.Format(row.Value),-8} {row.Origin.PadRight(widest)}  {row.Rule}");
        }

        foreach (var warning in timeouts.Warnings)
        {
            output.WriteLine($"  warning: {warning}");
        }

        output.WriteLine();
    }
}
