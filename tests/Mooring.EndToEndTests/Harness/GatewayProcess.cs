using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.Tests;
using Xunit;

namespace Mooring.EndToEndTests.Harness;

/// <summary>
/// The real program, started from a config with its own data folder, port and process. The test that started it disposes it,
/// which ends the process and removes the folder.
/// </summary>
internal sealed class GatewayProcess : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(60);
    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(10) };

    /// <summary>The key that all gateways of these tests have which share a database.</summary>
    private static readonly Lazy<string> SharedKey = new(() =>
    {
        var path = Path.Combine(Directory.CreateTempSubdirectory("mooring-e2e-key-").FullName, "vault.key");
        File.WriteAllText(path, Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)));
        return path;
    });

    private readonly string _folder;
    private readonly bool _ownsFolder;
    private readonly string _program;
    private Uri? _alsoListen;
    private string? _data;

    private GatewayProcess(string program, string folder, bool ownsFolder, int port)
    {
        _program = program;
        _folder = folder;
        _ownsFolder = ownsFolder;
        Port = port;
    }

    public int Port { get; }

    public Uri BaseUrl => new($"http://127.0.0.1:{Port.ToString(CultureInfo.InvariantCulture)}");

    /// <summary>Data folder; survives <see cref="StopAsync"/>, so that another process can go on with it.</summary>
    public string DataFolder => _data ?? Path.Combine(_folder, "data");

    public string ConfigFile => Path.Combine(_folder, "mooring.json");

    public ToolProcess Process { get; private set; } = null!;

    /// <summary>Streamable HTTP endpoint of one server alone.</summary>
    public Uri ServerUrl(string name) => new(BaseUrl, $"/servers/{name}/mcp");

    /// <summary>HTTP+SSE endpoint of one server alone.</summary>
    public Uri ServerSseUrl(string name) => new(BaseUrl, $"/servers/{name}/sse");

    /// <summary>The same by name: the suites insist on localhost.</summary>
    public Uri LocalhostServerUrl(string name) => new UriBuilder(ServerUrl(name)) { Host = "localhost" }.Uri;

    /// <summary>Starts the gateway with the given config and waits until /health answers.</summary>
    /// <param name="config">The configuration file's content.</param>
    /// <param name="program">Another program than the one built from this checkout.</param>
    /// <param name="environment">Variables beside those of the tests.</param>
    /// <param name="alsoListen">A second address to listen on, after the plain one.</param>
    /// <param name="data">Another data folder than one of its own.</param>
    public static async Task<GatewayProcess> StartAsync(
        JsonObject config, string? program = null, IReadOnlyDictionary<string, string>? environment = null, Uri? alsoListen = null, string? data = null)
    {
        var folder = Directory.CreateTempSubdirectory("mooring-e2e-").FullName;
        if ((string?)config["store"]?["kind"] == "postgres")
        {
            config["vault"] ??= new JsonObject { ["keyFile"] = SharedKey.Value };
        }

        var gateway = new GatewayProcess(program ?? await GatewayBinary.PathAsync(), folder, ownsFolder: true, LoopbackPorts.Take()) { _alsoListen = alsoListen, _data = data };
        await File.WriteAllTextAsync(gateway.ConfigFile, config.ToJsonString(), TestContext.Current.CancellationToken);
        try
        {
            await gateway.RunAsync(environment);
            return gateway;
        }
        catch
        {
            await gateway.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// A config with these servers under <c>mcpServers</c>. On a busy machine a server may take longer to start than a first list usually waits
    /// for, and would then be missing from what a client sees.
    /// </summary>
    public static JsonObject Config(params (string Name, JsonObject Server)[] servers) => new()
    {
        ["mcpServers"] = new JsonObject(servers.Select(entry => KeyValuePair.Create<string, JsonNode?>(entry.Name, entry.Server))),
        ["calls"] = new JsonObject { ["firstListWait"] = "30s" },
    };

    /// <summary>A server reached over HTTP, of either transport.</summary>
    public static JsonObject Remote(Uri url, string? type = null)
    {
        var server = new JsonObject { ["url"] = url.AbsoluteUri };
        if (type is not null)
        {
            server["type"] = type;
        }

        return server;
    }

    /// <summary>A server the gateway starts itself.</summary>
    public static JsonObject Command(string program, params string[] arguments) =>
        new() { ["command"] = program, ["args"] = new JsonArray([.. arguments.Select(argument => JsonValue.Create(argument))]) };

    /// <summary>Waits until /ready says so: a store on another machine is opened in the background.</summary>
    public Task ReadyAsync() => Wait.UntilAsync(
        async () =>
        {
            using var response = await Http.GetAsync(new Uri(BaseUrl, "/ready"), TestContext.Current.CancellationToken);
            return response.IsSuccessStatusCode;
        },
        () => Process.Describe("the gateway is not ready"));

    /// <summary>Starts the program again on the same port, config and data, after it ended.</summary>
    public async Task RestartAsync(IReadOnlyDictionary<string, string>? environment = null)
    {
        await Process.DisposeAsync();
        await RunAsync(environment);
    }

    /// <summary>Ends the process at once, as kill -9 does.</summary>
    public async Task KillAsync()
    {
        Process.Kill();
        await Process.ExitAsync(StopLimit, TestContext.Current.CancellationToken);
    }

    /// <summary>Asks the process to end (SIGTERM) and returns its exit code.</summary>
    public async Task<int> StopAsync()
    {
        Signal(15);
        return await Process.ExitAsync(StopLimit, TestContext.Current.CancellationToken);
    }

    /// <summary>Sends a signal by its number (15 SIGTERM, 2 SIGINT).</summary>
    public void Signal(int number) => Process.Signal(number);

    public async ValueTask DisposeAsync()
    {
        if (Process is not null)
        {
            await Process.DisposeAsync();
        }

        if (_ownsFolder)
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    private async Task RunAsync(IReadOnlyDictionary<string, string>? environment)
    {
        var cancellation = TestContext.Current.CancellationToken;
        Process = ToolProcess.Start(
            _program,
            ["run", "--config", ConfigFile, "--urls", string.Join(',', Addresses()), "--data", DataFolder],
            environment,
            _folder);
        var start = TimeProvider.System.GetTimestamp();
        while (!await HealthyAsync(cancellation))
        {
            Assert.False(Process.HasExited, Process.Describe("ended while it was starting"));
            Assert.True(
                TimeProvider.System.GetElapsedTime(start) < StartLimit,
                Process.Describe($"GET /health was not answered within {StartLimit.TotalSeconds} s"));
            await Task.Delay(50, cancellation);
        }
    }

    private IEnumerable<string> Addresses() =>
        new[] { BaseUrl, _alsoListen }.OfType<Uri>().Select(address => address.GetLeftPart(UriPartial.Authority));

    private async Task<bool> HealthyAsync(CancellationToken cancellation)
    {
        try
        {
            using var response = await Http.GetAsync(new Uri(BaseUrl, "/health"), cancellation);
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            // Not listening yet.
            return false;
        }
    }
}
