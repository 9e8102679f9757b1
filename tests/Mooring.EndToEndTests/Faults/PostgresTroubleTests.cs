using System.Net;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Mooring.EndToEndTests.Replicas;
using Mooring.Tests;
using Npgsql;
using Xunit;

namespace Mooring.EndToEndTests.Faults;

/// <summary>PostgreSQL away, stalled, slow, cut off: streams stay, calls go on, nobody hears 404, and all heals by itself.</summary>
public sealed class PostgresTroubleTests(ReplicaDatabase database) : IClassFixture<ReplicaDatabase>
{
    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task ServerStoppedAndStarted_OpenStreamsAndCallsGoOn_AndAllHeals()
    {
        await using var site = await Site.StartAsync(database);
        await TroubleAsync(site, database.Cluster.StopServerAsync, database.Cluster.StartServerAsync);
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task RoadCut_OpenStreamsAndCallsGoOn_AndAllHeals()
    {
        await using var site = await Site.StartAsync(database);
        await TroubleAsync(site, () => Do(site.Road.Cut), () => Do(site.Road.Heal));
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task RoadStalled_OpenStreamsAndCallsGoOn_AndAllHeals()
    {
        await using var site = await Site.StartAsync(database);
        await TroubleAsync(site, () => Do(() => site.Road.Stall()), () => Do(site.Road.Heal));
    }

    [Fact(Timeout = ReplicaPair.TestLimit)]
    public async Task RoadDelayed_EverythingWorks_AndFastCallsDoNotWait()
    {
        await using var site = await Site.StartAsync(database);
        using var client = await McpClient.ConnectAsync(site.Url);
        await client.CallAsync("echo", "opens the link");
        site.Road.Delay = TimeSpan.FromMilliseconds(300);

        var fastest = TimeSpan.MaxValue;
        for (var i = 0; i < 10; i++)
        {
            var began = TimeProvider.System.GetTimestamp();
            Assert.Equal($"{i}", await client.CallAsync("echo", $"{i}"));
            fastest = TimeSpan.FromTicks(Math.Min(fastest.Ticks, TimeProvider.System.GetElapsedTime(began).Ticks));
        }

        // Ordinarily a call waits for no round trip to the store, which takes 600 ms now.
        Assert.True(fastest < TimeSpan.FromMilliseconds(300), $"the fastest of ten calls took {fastest.TotalMilliseconds} ms");
        using var stream = await client.OpenAsync();
        var seen = await stream.FirstIdAsync();
        site.Server.Log("late but there");
        Assert.Equal("late but there", (string?)(await stream.NotificationAsync("notifications/message"))["params"]!["data"]);
        Assert.NotEqual(seen, stream.LastEventId);
        using var fresh = await McpClient.ConnectAsync(site.Url);
        Assert.Equal("new", await fresh.CallAsync("echo", "new"));
    }

    private static async Task TroubleAsync(Site site, Func<Task> strike, Func<Task> heal)
    {
        using var client = await McpClient.ConnectAsync(site.Url);
        using var unknown = await McpClient.ConnectAsync(site.Other.ServerUrl("up"));
        // Nobody is left who could take this replica for dead, and end its calls, while it cannot beat.
        await site.Other.StopAsync();
        await client.CallAsync("echo", "opens the link");
        using var get = await client.OpenAsync();
        await get.FirstIdAsync();
        var call = client.ToolCall("talk", "answered");
        using var post = await client.PostForStreamAsync(call);
        await post.NotificationAsync("notifications/message");
        var talked = post.LastEventId;
        post.Dispose();

        await strike();

        // The answer comes while its client is gone and the store away.
        site.Server.Release();
        await get.CommentsAsync(get.Comments + 5);
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal($"{i}", await client.CallAsync("echo", $"{i}"));
        }

        using var elsewhere = unknown.At(site.Url);
        foreach (var asking in new[] { elsewhere.PostAsync(elsewhere.ToolCall("echo")), elsewhere.GetAsync() })
        {
            using var refused = await asking;
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
            Assert.NotNull(refused.Headers.RetryAfter);
        }

        await get.CommentsAsync(get.Comments + 5);
        await heal();

        await Wait.UntilAsync(
            async () =>
            {
                using var response = await elsewhere.PostAsync(elsewhere.ToolCall("echo"));
                Assert.NotEqual(HttpStatusCode.NotFound, response.StatusCode);
                return response.StatusCode == HttpStatusCode.OK;
            },
            () => site.Gateway.Process.Describe("the store is back, but not for the gateway"));
        using var rest = await client.OpenAsync(talked);
        Assert.Equal("answered", (string?)(await rest.AnswerAsync((int)call["id"]!))["result"]!["content"]![0]!["text"]);
        var before = get.LastEventId;
        site.Server.Log("healed");
        Assert.Equal("healed", (string?)(await get.NotificationAsync("notifications/message"))["params"]!["data"]);
        Assert.NotEqual(before, get.LastEventId);
        Assert.Equal(1, site.Server.Calls("talk"));
    }

    private static Task Do(Action action)
    {
        action();
        return Task.CompletedTask;
    }

    /// <summary>A gateway that reaches the database by a road that can be spoilt, and another one beside it that does not.</summary>
    private sealed class Site : IAsyncDisposable
    {
        private readonly Stack<IAsyncDisposable> _parts = new();

        public FaultyServer Server { get; private set; } = null!;

        public Road Road { get; private set; } = null!;

        public GatewayProcess Gateway { get; private set; } = null!;

        public GatewayProcess Other { get; private set; } = null!;

        public Uri Url => Gateway.ServerUrl("up");

        public static async Task<Site> StartAsync(ReplicaDatabase database)
        {
            var site = new Site();
            try
            {
                site.Server = site.Add(await FaultyServer.StartAsync());
                var direct = database.Cluster.ConnectionTo(await database.Cluster.NewDatabaseAsync());
                site.Road = site.Add(new Road(database.Cluster.Port));
                site.Gateway = site.Add(await GatewayProcess.StartAsync(Config(site.Server, new NpgsqlConnectionStringBuilder(direct) { Port = site.Road.Port }.ConnectionString)));
                site.Other = site.Add(await GatewayProcess.StartAsync(Config(site.Server, direct)));
                foreach (var gateway in new[] { site.Gateway, site.Other })
                {
                    await gateway.ReadyAsync();
                }

                return site;
            }
            catch
            {
                await site.DisposeAsync();
                throw;
            }
        }

        public async ValueTask DisposeAsync()
        {
            while (_parts.TryPop(out var part))
            {
                await part.DisposeAsync();
            }
        }

        private static JsonObject Config(FaultyServer server, string connection)
        {
            var up = GatewayProcess.Remote(server.Url);
            // A durable call is refused while there is nothing to put it on record in; what is looked at here is everything else.
            up["commit"] = "fast";
            var config = GatewayProcess.Config(("up", up));
            config["store"] = new JsonObject { ["kind"] = "postgres", ["connection"] = connection };
            config["keepAlive"] = new JsonObject { ["interval"] = "200ms" };
            config["drain"] = new JsonObject { ["delay"] = "0s", ["grace"] = "5s" };
            return config;
        }

        private T Add<T>(T part)
            where T : IAsyncDisposable
        {
            _parts.Push(part);
            return part;
        }
    }
}
