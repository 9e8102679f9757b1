using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Harness;
using Mooring.Tests;
using Npgsql;

namespace Mooring.Chaos.Stands;

/// <summary>What a round is played on.</summary>
/// <param name="Replicas">Gateways that run at the start. One keeps its data in SQLite, several share a PostgreSQL or a DynamoDB table.</param>
internal sealed record StandShape(int Replicas)
{
    /// <summary>Gateways the balancers know, also those that do not run yet.</summary>
    public int Places { get; init; } = Replicas;

    /// <summary>A wire between each gateway and the store.</summary>
    public bool WiredStore { get; init; }

    /// <summary>Whether the round strikes the database itself, which then is its own.</summary>
    public bool StrikesStore { get; init; }

    /// <summary>A wire between the clients and each balancer.</summary>
    public bool WiredClients { get; init; }

    /// <summary>Variables of each gateway.</summary>
    public Func<int, IReadOnlyDictionary<string, string>> Environment { get; init; } = _ => new Dictionary<string, string>();

    /// <summary>Changes to the configuration, also depending on whether the run is short.</summary>
    public Action<JsonObject, bool> Configure { get; init; } = (_, _) => { };

    /// <summary>Called with a gateway's data folder before its start.</summary>
    public Func<string, Task> Prepare { get; init; } = _ => Task.CompletedTask;

    /// <summary>When calls are committed, as the configuration has it; null for the gateway's own way.</summary>
    public string? Commit { get; init; }

    /// <summary>For a run that is to be over soon.</summary>
    public bool IsShort { get; init; }

    /// <summary>Whether the gateways are of the older build at first.</summary>
    public bool StartsOlder { get; init; }

    /// <summary>Whether gateways that share a store share a DynamoDB table.</summary>
    public bool OnDynamoDb { get; init; }

    public bool UsesPostgres => Places > 1 && !OnDynamoDb;

    public bool UsesDynamoDb => Places > 1 && OnDynamoDb;

    public string StoreName => UsesPostgres ? "PostgreSQL" : UsesDynamoDb ? "DynamoDB" : "SQLite";
}

/// <summary>Servers, gateways, store, balancers and the wires between them, all real. A round makes and disposes it; everything ends with it.</summary>
internal sealed class Stand : IAsyncDisposable
{
    private static readonly HttpClient Http = new(new SocketsHttpHandler { UseProxy = false });

    private readonly Stack<IAsyncDisposable> _parts = new();
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("mooring-chaos-");
    private readonly List<Replica> _replicas = [];
    private readonly List<Wire> _storeWires = [];
    private readonly List<Wire> _clientWires = [];
    private readonly StandShape _shape;

    private Stand(StandShape shape) => _shape = shape;

    /// <summary>The program of an older build; null where none was made. eng/chaos.sh names it.</summary>
    public static string? OlderProgram => Environment.GetEnvironmentVariable("MOORING_BIN_OLDER") is { Length: > 0 } program ? program : null;

    /// <summary>Whether that one knows less of the schema than this one.</summary>
    public static bool OlderHasOlderSchema => Environment.GetEnvironmentVariable("MOORING_OLDER_SCHEMA") == "1";

    public IReadOnlyList<Replica> Replicas => _replicas;

    /// <summary>One for each replica.</summary>
    public IReadOnlyList<Wire> StoreWires => _storeWires;

    /// <summary>One for each balancer.</summary>
    public IReadOnlyList<Wire> ClientWires => _clientWires;

    /// <summary>The server over HTTP that has sessions.</summary>
    public WebServerProcess Web { get; private set; } = null!;

    /// <summary>The one that speaks 2026-07-28 alone.</summary>
    public WebServerProcess Bare { get; private set; } = null!;

    public IReadOnlyList<WebServerProcess> Servers => [Web, Bare];

    public PostgresCluster Postgres { get; private set; } = null!;

    public DynaliteServer DynamoDb { get; private set; } = null!;

    /// <summary>The one that its gateways share.</summary>
    public string Database { get; private set; } = "";

    /// <summary>Where clients connect to: HAProxy, nginx.</summary>
    public List<Uri> Entrances { get; } = [];

    public string Ledgers => Path.Combine(_folder.FullName, "ledgers");

    public string Folder => _folder.FullName;

    /// <param name="shape">What it consists of.</param>
    /// <param name="shared">The cluster for those that do not strike it; null where every stand has its own.</param>
    /// <param name="cancel">Cancels.</param>
    public static async Task<Stand> BuildAsync(StandShape shape, SharedPostgres? shared, CancellationToken cancel)
    {
        var stand = new Stand(shape);
        try
        {
            await stand.BuildAsync(shared, cancel);
            return stand;
        }
        catch
        {
            await stand.DisposeAsync();
            throw;
        }
    }

    /// <summary>The configuration of one gateway, as at its start.</summary>
    public JsonObject Config(int index)
    {
        var (program, arguments) = WebServerProcess.Self("line-server", Ledgers);
        var config = new JsonObject
        {
            ["mcpServers"] = new JsonObject
            {
                ["web"] = new JsonObject { ["url"] = Web.Url.AbsoluteUri, ["concurrency"] = 1000, ["queue"] = 1000 },
                ["bare"] = new JsonObject { ["url"] = Bare.Url.AbsoluteUri, ["concurrency"] = 1000, ["queue"] = 1000 },
                ["local"] = new JsonObject { ["command"] = program, ["args"] = new JsonArray([.. arguments.Select(argument => JsonValue.Create(argument))]) },
            },
            // Below the 5 s of the balancers with room for a late beat.
            ["keepAlive"] = new JsonObject { ["interval"] = "2s" },
            ["calls"] = new JsonObject { ["deadline"] = _shape.IsShort ? "5s" : "15s", ["taskAfter"] = _shape.IsShort ? "1s" : "2s" },
            ["drain"] = new JsonObject { ["delay"] = _shape.IsShort ? "1500ms" : "2s", ["grace"] = _shape.IsShort ? "8s" : "20s" },
            ["logLevel"] = "warning",
        };
        if (_shape.UsesPostgres)
        {
            config["store"] = new JsonObject { ["kind"] = "postgres", ["connection"] = Connection(index) };
            config["vault"] = new JsonObject { ["keyFile"] = SharedKey };
        }

        if (_shape.UsesDynamoDb)
        {
            config["store"] = new JsonObject
            {
                ["kind"] = "dynamodb",
                ["endpoint"] = DynamoDb.Endpoint.AbsoluteUri,
                ["region"] = "eu-central-1",
                ["createTable"] = true,
            };
            config["vault"] = new JsonObject { ["keyFile"] = SharedKey };
        }

        if (_shape.Commit is { } commit)
        {
            foreach (var (_, server) in config["mcpServers"]!.AsObject())
            {
                server!["commit"] = commit;
            }
        }

        _shape.Configure(config, _shape.IsShort);
        return config;
    }

    /// <summary>Opens a response behind each balancer that stays silent, and waits for its end.</summary>
    /// <returns>How many the balancers ended between 4 and 9 s.</returns>
    public async Task<int> SilentStreamsEndAsync(CancellationToken cancel)
    {
        var ended = await Task.WhenAll(Entrances.Select(async entrance =>
        {
            var start = TimeProvider.System.GetTimestamp();
            try
            {
                await Http.GetStringAsync(new Uri(entrance, Silence.Path), cancel);
            }
            catch (Exception e) when (e is HttpRequestException or IOException)
            {
                // Cut short, which is one way to end it.
            }

            return TimeProvider.System.GetElapsedTime(start);
        }));
        return ended.Count(took => took > TimeSpan.FromSeconds(4) && took < TimeSpan.FromSeconds(9));
    }

    public async ValueTask DisposeAsync()
    {
        while (_parts.TryPop(out var part))
        {
            await part.DisposeAsync();
        }

        _folder.Delete(recursive: true);
    }

    /// <summary>What replicas on one database wrap its data keys with.</summary>
    private string SharedKey => Path.Combine(_folder.FullName, "vault.key");

    private async Task BuildAsync(SharedPostgres? shared, CancellationToken cancel)
    {
        await File.WriteAllTextAsync(SharedKey, Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)), cancel);
        Directory.CreateDirectory(Ledgers);
        Web = Add(new WebServerProcess("web-server", Ledgers));
        Bare = Add(new WebServerProcess("stateless-server", Ledgers));
        var serversStart = Task.WhenAll(Servers.Select(server => server.StartAsync(cancel)));
        if (_shape.UsesPostgres)
        {
            Postgres = shared is null || _shape.StrikesStore ? Add(await PostgresCluster.StartAsync()) : await shared.Cluster;
            Database = await Postgres.NewDatabaseAsync();
        }

        if (_shape.UsesDynamoDb)
        {
            DynamoDb = Add(await DynaliteServer.StartAsync());
        }

        await serversStart;

        for (var index = 0; index < _shape.Places; index++)
        {
            await AddReplicaAsync(index, cancel);
        }

        await Task.WhenAll(_replicas.Take(_shape.Replicas).Select(replica => replica.StartAsync(cancel)));
        var ports = _replicas.ConvertAll(replica => replica.Port);
        var silence = Add(new Silence());
        foreach (var balancer in new[] { Add(await Balancer.HaproxyAsync(ports, silence.Port)), Add(await Balancer.NginxAsync(ports, silence.Port)) })
        {
            var port = balancer.Port;
            if (_shape.WiredClients)
            {
                _clientWires.Add(Add(new Wire(port)));
                port = _clientWires[^1].Port;
            }

            Entrances.Add(new Uri($"http://127.0.0.1:{port}"));
        }

        // HAProxy's first look at the replicas.
        await Task.Delay(TimeSpan.FromSeconds(1), cancel);
    }

    private async Task AddReplicaAsync(int index, CancellationToken cancel)
    {
        if (_shape.WiredStore)
        {
            _storeWires.Add(Add(new Wire(Postgres.Port)));
        }

        var folder = Path.Combine(_folder.FullName, $"replica-{index}");
        var replica = Add(new Replica(_shape.StartsOlder ? OlderProgram! : await GatewayBinary.PathAsync(), LoopbackPorts.Take(), folder, _shape.Environment(index)));
        replica.Configure(Config(index));
        Directory.CreateDirectory(replica.DataFolder);
        await _shape.Prepare(replica.DataFolder);
        _replicas.Add(replica);
        cancel.ThrowIfCancellationRequested();
    }

    private string Connection(int index)
    {
        var connection = new NpgsqlConnectionStringBuilder(Postgres.ConnectionTo(Database));
        if (_shape.WiredStore)
        {
            connection.Port = _storeWires[index].Port;
        }

        return connection.ConnectionString;
    }

    private T Add<T>(T part)
        where T : IAsyncDisposable
    {
        _parts.Push(part);
        return part;
    }
}
