using Mooring.EndToEndTests.Faults.Parts;
using Npgsql;
using Xunit;

namespace Mooring.EndToEndTests.Replicas;

/// <summary>Two gateways whose store is behind PgBouncer, which gives each transaction any of a few server sessions.</summary>
public sealed class PooledStoreTests(ReplicaDatabase database) : IClassFixture<ReplicaDatabase>
{
    /// <summary>Without a connection of its own to listen on nobody hears wake-ups: everything works all the same, later.</summary>
    [Theory(Timeout = ReplicaPair.TestLimit)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Replicas_BehindPgBouncer_ServeEachOthersSessions(bool listensDirectly)
    {
        var pooled = new NpgsqlConnectionStringBuilder(await database.Cluster.ProxiedConnectionToAsync("postgres"));
        await using var pair = await ReplicaPair.StartAsync(
            database,
            config =>
            {
                var store = config["store"]!;
                var direct = (string)store["connection"]!;
                store["connection"] = new NpgsqlConnectionStringBuilder(direct) { Port = pooled.Port }.ConnectionString;
                if (listensDirectly)
                {
                    store["listenConnection"] = direct;
                }
            },
            withLocal: true);
        using var client = await McpClient.ConnectAsync(pair.AtA);
        using var other = client.At(pair.AtB);
        using var stream = await other.OpenAsync();

        // What the server says to A has to reach the stream that B has.
        Assert.Equal("through A", await client.CallAsync("echo", "through A"));
        pair.Server.Log("said to A");
        Assert.Equal("said to A", (string?)(await stream.NotificationAsync("notifications/message"))["params"]!["data"]);
        Assert.Equal("through B", await other.CallAsync("echo", "through B"));

        // A process lives at one of them, and calls reach it from both.
        using var local = await McpClient.ConnectAsync(pair.LocalAtA);
        using var localAtB = local.At(pair.LocalAtB);
        Assert.Equal(await local.CallAsync("pid"), await localAtB.CallAsync("pid"));
    }
}
