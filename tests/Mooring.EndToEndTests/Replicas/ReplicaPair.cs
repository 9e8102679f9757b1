using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Mooring.Tests;
using Xunit;

namespace Mooring.EndToEndTests.Replicas;

/// <summary>The PostgreSQL of one class of tests; each pair of replicas has a database of its own in it.</summary>
public sealed class ReplicaDatabase : IAsyncLifetime
{
    internal PostgresCluster Cluster { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Cluster = await PostgresCluster.StartAsync();

    public ValueTask DisposeAsync() => Cluster.DisposeAsync();
}

/// <summary>Two gateways with the same configuration on one database, and their server. The test that started it disposes it.</summary>
internal sealed class ReplicaPair : IAsyncDisposable
{
    /// <summary>Milliseconds after which a test fails: a stream that is only kept alive would otherwise be waited on for ever.</summary>
    public const int TestLimit = 120_000;

    private readonly Stack<IAsyncDisposable> _parts = new();

    public FaultyServer Server { get; private set; } = null!;

    public GatewayProcess A { get; private set; } = null!;

    public GatewayProcess B { get; private set; } = null!;

    /// <summary>The server over HTTP, through A; it is called <c>up</c>.</summary>
    public Uri AtA => A.ServerUrl("up");

    public Uri AtB => B.ServerUrl("up");

    /// <summary>The server on standard streams, through A, if asked for; it is called <c>local</c>, and each session has a process of its own.</summary>
    public Uri LocalAtA => A.ServerUrl("local");

    public Uri LocalAtB => B.ServerUrl("local");

    private static string Script { get; } = Path.Combine(Repository.Root, "tests", "Mooring.EndToEndTests", "Faults", "Parts", "stdio-server.mjs");

    public static async Task<ReplicaPair> StartAsync(ReplicaDatabase database, Action<JsonObject>? configure = null, bool withLocal = false)
    {
        var pair = new ReplicaPair();
        try
        {
            pair.Server = pair.Add(await FaultyServer.StartAsync());
            var name = await database.Cluster.NewDatabaseAsync();
            var config = GatewayProcess.Config([
                ("up", GatewayProcess.Remote(pair.Server.Url)),
                // Only where it is used: each gateway starts it at once to see what it has.
                .. withLocal ? [("local", GatewayProcess.Command(NodeTool.Program, Script))] : Array.Empty<(string, JsonObject)>(),
            ]);
            config["store"] = new JsonObject { ["kind"] = "postgres", ["connection"] = database.Cluster.ConnectionTo(name) };
            config["drain"] = new JsonObject { ["delay"] = "0s", ["grace"] = "20s" };
            configure?.Invoke(config);
            pair.A = pair.Add(await GatewayProcess.StartAsync(config));
            pair.B = pair.Add(await GatewayProcess.StartAsync(config));
            await pair.ReadyAsync();
            return pair;
        }
        catch
        {
            await pair.DisposeAsync();
            throw;
        }
    }

    /// <summary>HAProxy in front of both, by turns, which ends what is silent for 30 s.</summary>
    public async Task<Proxy> BalancedAsync() => Add(await Proxy.HaproxyAsync([A, B], idleSeconds: 30));

    /// <summary>kill -9 of one gateway and of no process that it started.</summary>
    public static async Task KillAsync(GatewayProcess gateway)
    {
        gateway.Signal(9);
        await Wait.UntilAsync(() => gateway.Process.HasExited, () => gateway.Process.Describe("the gateway still runs"));
    }

    public async ValueTask DisposeAsync()
    {
        while (_parts.TryPop(out var part))
        {
            await part.DisposeAsync();
        }
    }

    /// <summary>The store is opened in the background; until then sessions are refused.</summary>
    private async Task ReadyAsync()
    {
        using var http = new HttpClient();
        foreach (var gateway in new[] { A, B })
        {
            await Wait.UntilAsync(
                async () =>
                {
                    using var response = await http.GetAsync(new Uri(gateway.BaseUrl, "/ready"), TestContext.Current.CancellationToken);
                    return response.IsSuccessStatusCode;
                },
                () => gateway.Process.Describe("the gateway is not ready"));
        }
    }

    private T Add<T>(T part)
        where T : IAsyncDisposable
    {
        _parts.Push(part);
        return part;
    }
}
