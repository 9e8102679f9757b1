using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Logging.Abstractions;
using Mooring.Auth;
using Mooring.Benchmarks.Stands;
using Mooring.Configuration;
using Mooring.Stores;

namespace Mooring.Benchmarks.Suite;

/// <summary>Starts what is compared, each on a free loopback port, with its files in a folder that goes with the run.</summary>
internal sealed class Candidates(SuiteOptions options, string folder)
{
    private static readonly JsonSerializerOptions WithoutNulls = new() { DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };
    private static readonly string Self = Environment.ProcessPath!;

    private int _gateways;

    public Task<ServerProcess> UpstreamAsync(CancellationToken cancellation) => OwnAsync("/mcp", ["upstream"], "echo", cancellation);

    public Task<ServerProcess> PassthroughAsync(Uri upstream, CancellationToken cancellation) =>
        OwnAsync("/mcp", ["passthrough", "--to", upstream.ToString()], "echo", cancellation);

    public Task<ServerProcess> SseHoldAsync(CancellationToken cancellation) =>
        OwnAsync("/", ["sse-hold", "--beat", options.Beat.ToString()], null, cancellation);

    public Task<ServerProcess> SocketHoldAsync(CancellationToken cancellation) =>
        OwnAsync("/", ["socket-hold", "--beat", options.Beat.ToString()], null, cancellation);

    public Task<ServerProcess> NginxAsync(Uri upstream, CancellationToken cancellation)
    {
        var port = ServerProcess.FreePort();
        var prefix = Directory.CreateDirectory(Path.Combine(folder, "nginx")).FullName;
        var config = Path.Combine(prefix, "nginx.conf");
        File.WriteAllText(config, NginxConfig.Text(prefix, port, upstream));
        return ServerProcess.Start(Local(port, "/mcp"), "nginx", ["-p", prefix, "-c", config, "-e", Path.Combine(prefix, "error.log")])
            .WhenServingAsync("echo", cancellation);
    }

    /// <summary>The gateway in front of one server called bench; the URL is that server's own route.</summary>
    public Task<ServerProcess> GatewayAsync(Uri upstream, CancellationToken cancellation, IReadOnlyDictionary<string, string>? environment = null) =>
        GatewayAsync(new { url = upstream.ToString() }, cancellation, environment);

    /// <summary>The same with a second server beside it, called bare: the upstream again, as one of 2026-07-28.</summary>
    public Task<ServerProcess> GatewayOfBothAsync(Uri upstream, CancellationToken cancellation, IReadOnlyDictionary<string, string>? environment = null) =>
        GatewayAsync(new { url = upstream.ToString() }, cancellation, environment, bare: new { url = new Uri(upstream, UpstreamServer.StatelessPath).ToString() });

    /// <summary>The same, asking who comes in: it takes keys, access tokens of its own authorization server, and the tokens of one issuer. Its token is a key.</summary>
    /// <param name="upstream">The server.</param>
    /// <param name="issuer">Whose tokens it takes beside its own keys.</param>
    /// <param name="keys">Where the issuer's keys are.</param>
    /// <param name="rules">Whether it also has rules of who may use what.</param>
    /// <param name="notes">Whether it notes each call in the audit log.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>The gateway, and an access token of its own.</returns>
    public async Task<(ServerProcess Server, string AccessToken)> GatewayThatAsksAsync(Uri upstream, string issuer, Uri keys, bool rules, bool notes, CancellationToken cancellation)
    {
        var data = NewData();
        var config = Config(data, new
        {
            mcpServers = new { bench = new { url = upstream.ToString() } },
            auth = new
            {
                mode = new[] { "apiKey", "jwt", "oauth" },
                jwt = new[] { new { issuer, jwks = keys, audience = issuer } },
                oauth = new { users = new { bench = new { password = "of no use here" } } },
            },
            policies = rules ? new { @default = "allow", rules = new[] { new { tools = new[] { "delete_*" }, effect = "deny" } } } : null,
            audit = notes ? new { file = Path.Combine(data, "audit.jsonl") } : null,
            drain = new { delay = "1s", grace = "1s" },
        });
        using var create = Process.Start(new ProcessStartInfo(options.Gateway!, ["token", "create", "--user", "bench", "--config", config, "--data", data]) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true })!;
        var key = (await create.StandardOutput.ReadToEndAsync(cancellation)).Trim();
        await create.WaitForExitAsync(cancellation);
        return create.ExitCode == 0 ? (await StartAsync(config, data, cancellation, token: key), await MakeAccessTokenAsync(data, cancellation))
            : throw new InvalidOperationException($"No key was made: {await create.StandardError.ReadToEndAsync(cancellation)}");
    }

    /// <summary>What the authorization server would have written for somebody who signed in, without a browser.</summary>
    private static async Task<string> MakeAccessTokenAsync(string data, CancellationToken cancellation)
    {
        var (store, auth, _) = StoresServiceCollectionExtensions.MakeBeside(new StoreConfig { Kind = StoreKind.Sqlite }, data, TimeProvider.System, NullLoggerFactory.Instance);
        await using (store)
        {
            await store.OpenAsync(cancellation);
            var token = Secret.New(StoredTokens.AccessPrefix);
            var now = TimeProvider.System.GetUtcNow();
            var person = new Person(Person.OfConfiguration, "bench");
            var grant = new AuthRecord { Kind = AuthKind.Grant, Key = "bench", Data = AuthJson.Write(new GrantData(person, "bench", null)), Created = now, Expires = now.AddDays(1) };
            await auth.AddAuthAsync(grant);
            await auth.AddAuthAsync(grant with
            {
                Kind = AuthKind.AccessToken,
                Key = Secret.KeyOf(token),
                Grant = grant.Key,
                Data = AuthJson.Write(new TokenData(person, "bench", [Scopes.Use], null)),
            });
            return token;
        }
    }

    public Task<ServerProcess> GatewayOverStdioAsync(string scope, CancellationToken cancellation) =>
        GatewayAsync(new { command = Self, args = new[] { "stdio-upstream" }, scope }, cancellation);

    /// <summary>A gateway that may share its database with others.</summary>
    /// <param name="server">Its one server.</param>
    /// <param name="connection">The database.</param>
    /// <param name="collectsOften">Garbage is collected every 4 MB, so that resident memory follows what is alive; costs processor time.</param>
    /// <param name="cancellation">Gives up.</param>
    public Task<ServerProcess> GatewayOnPostgresAsync(object server, string connection, bool collectsOften, CancellationToken cancellation) =>
        GatewayAsync(
            server, cancellation, collectsOften ? new Dictionary<string, string> { ["DOTNET_GCGen0MaxBudget"] = "400000" } : null, new { kind = "postgres", connection });

    public Task<ServerProcess> SupergatewayAsync(CancellationToken cancellation)
    {
        var port = ServerProcess.FreePort();
        return ServerProcess.Start(Local(port, "/mcp"), "node",
            [
                Npm("supergateway/dist/index.js"), "--stdio", $"{Self} stdio-upstream", "--outputTransport", "streamableHttp", "--stateful",
                "--port", $"{port}", "--logLevel", "none",
            ]).WhenServingAsync("echo", cancellation);
    }

    public Task<ServerProcess> McpProxyAsync(CancellationToken cancellation)
    {
        var port = ServerProcess.FreePort();
        return ServerProcess.Start(Local(port, "/mcp"), "node",
            [
                Npm("mcp-proxy/dist/bin/mcp-proxy.mjs"), "--host", "127.0.0.1", "--port", $"{port}", "--server", "stream", "--",
                Self, "stdio-upstream",
            ]).WhenServingAsync("echo", cancellation);
    }

    /// <summary>The gateway as a newcomer starts it: no configuration, in the repository. Not waited for.</summary>
    public ServerProcess FreshGateway()
    {
        var port = ServerProcess.FreePort();
        return ServerProcess.Start(Local(port, "/mcp"), options.Gateway!, ["run", "--urls", $"http://127.0.0.1:{port}", "--data", NewData()], options.Root);
    }

    private Task<ServerProcess> GatewayAsync(
        object server, CancellationToken cancellation, IReadOnlyDictionary<string, string>? environment = null, object? store = null, object? bare = null)
    {
        var data = NewData();
        var config = Config(data, new
        {
            mcpServers = bare is null ? (object)new { bench = server } : new { bench = server, bare },
            keepAlive = new { interval = $"{options.Beat}s" },
            store = store ?? new { kind = "sqlite" },

            // One for all, as gateways that share a database need it.
            vault = store is null ? null : new { keyFile = Key() },

            // No balancer to wait for, and the run is over when it stops.
            drain = new { delay = "1s", grace = "1s" },
        });
        return StartAsync(config, data, cancellation, environment);
    }

    private Task<ServerProcess> StartAsync(
        string config, string data, CancellationToken cancellation, IReadOnlyDictionary<string, string>? environment = null, string? token = null)
    {
        var port = ServerProcess.FreePort();
        return ServerProcess.Start(Local(port, "/servers/bench/mcp"), options.Gateway!,
            ["run", "--config", config, "--urls", $"http://127.0.0.1:{port}", "--data", data], environment: environment, token: token).WhenServingAsync("echo", cancellation);
    }

    private static string Config(string data, object config)
    {
        var path = Path.Combine(data, "bench.json");
        File.WriteAllText(path, JsonSerializer.Serialize(config, WithoutNulls));
        return path;
    }

    private string Key()
    {
        var path = Path.Combine(folder, "vault.key");
        if (!File.Exists(path))
        {
            File.WriteAllText(path, Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)));
        }

        return path;
    }

    private string NewData() => Directory.CreateDirectory(Path.Combine(folder, $"gateway-{_gateways++}")).FullName;

    private static Task<ServerProcess> OwnAsync(string path, string[] arguments, string? tool, CancellationToken cancellation)
    {
        var port = ServerProcess.FreePort();
        var server = ServerProcess.Start(Local(port, path), Self, [.. arguments, "--port", $"{port}"]);
        return tool is null ? server.WhenListeningAsync(cancellation) : server.WhenServingAsync(tool, cancellation);
    }

    private string Npm(string path) => Path.Combine(options.Root, "bench/npm/node_modules", path);

    private static Uri Local(int port, string path) => new($"http://127.0.0.1:{port}{path}");
}
