using System.Net;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Mooring.EndToEndTests.Replicas;
using Xunit;

namespace Mooring.EndToEndTests.Faults;

/// <summary>The disk under the store is full, and then is not: a small tmpfs, which only root may mount.</summary>
public sealed class DiskFullTests(ReplicaDatabase database) : IClassFixture<ReplicaDatabase>
{
    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(10) };

    [Fact(Timeout = 120_000)]
    public async Task DiskFull_OpenStreamsAndCallsGoOn_NewSessionsAreAskedToComeLater_AndAllHeals()
    {
        SkipUnlessRoot();
        await using var disk = await SmallDisk.MountAsync();
        await GoOnAsync(disk, "sqlite", new JsonObject(), data: disk.Path);
    }

    /// <summary>Its log lies elsewhere: without room for that PostgreSQL ends, which is a store that is away.</summary>
    [Fact(Timeout = 120_000)]
    public async Task DiskFullUnderPostgres_OpenStreamsAndCallsGoOn_NewSessionsAreAskedToComeLater_AndAllHeals()
    {
        SkipUnlessRoot();
        await using var disk = await SmallDisk.MountAsync();
        await database.Cluster.ExecuteAsync("postgres", $"create tablespace small location '{await disk.FolderForAsync("postgres")}'");
        await database.Cluster.ExecuteAsync("postgres", "create database small tablespace small");
        try
        {
            await GoOnAsync(disk, "postgres", new JsonObject { ["kind"] = "postgres", ["connection"] = database.Cluster.ConnectionTo("small") }, data: null);
        }
        finally
        {
            await database.Cluster.DropDatabaseAsync("small");
            await database.Cluster.ExecuteAsync("postgres", "drop tablespace small");
        }
    }

    private static void SkipUnlessRoot() => Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.UserName == "root", "only root may mount a small disk");

    private static async Task GoOnAsync(SmallDisk disk, string kind, JsonObject store, string? data)
    {
        await using var server = await FaultyServer.StartAsync();
        var up = GatewayProcess.Remote(server.Url);
        // A durable call is refused while there is nothing to put it on record in; what is looked at here is everything else.
        up["commit"] = "fast";
        var config = GatewayProcess.Config(("up", up));
        config["keepAlive"] = new JsonObject { ["interval"] = "200ms" };
        if (store.Count > 0)
        {
            config["store"] = store;
        }

        await using var gateway = await GatewayProcess.StartAsync(config, data: data);
        await gateway.ReadyAsync();
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        await client.CallAsync("echo", "opens the link");
        using var get = await client.OpenAsync();
        var seen = await get.FirstIdAsync();
        var call = client.ToolCall("talk", "answered");
        using var post = await client.PostForStreamAsync(call);
        await post.NotificationAsync("notifications/message");
        var talked = post.LastEventId;
        post.Dispose();
        Assert.Equal("ok", await StoreAsync(gateway));

        await using (disk.Fill())
        {
            // What is said fills what room the store has left in its own files.
            await Wait.UntilAsync(
                async () =>
                {
                    server.Log(Noise(50_000));
                    await get.NotificationAsync("notifications/message");
                    return await MetricsPage.SumAsync(gateway, $$"""mooring_store_failures_total{store="{{kind}}",operation="append_event"}""") > 0;
                },
                () => gateway.Process.Describe("the store never ran out of room"));
            Assert.Equal("away", await StoreAsync(gateway));
            server.Release();
            await get.CommentsAsync(get.Comments + 5);
            Assert.Equal("goes on", await client.CallAsync("echo", "goes on"));
            // A database takes what fits into what its files have left, so some may still be let in.
            await Wait.UntilAsync(() => IsAskedToComeLaterAsync(gateway), () => gateway.Process.Describe("every new session was let in"));
            Assert.Equal("away", await StoreAsync(gateway));
            await get.CommentsAsync(get.Comments + 5);
        }

        await Wait.UntilAsync(
            async () =>
            {
                server.Log("healed");
                await get.NotificationAsync("notifications/message");
                var (before, now) = (seen, get.LastEventId);
                seen = now!;
                return before != now && await StoreAsync(gateway) == "ok";
            },
            () => gateway.Process.Describe("there is room, but events have no ids, or the store is still called away"));
        using var fresh = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        Assert.Equal("new", await fresh.CallAsync("echo", "new"));
        using var rest = await client.OpenAsync(talked);
        Assert.Equal("answered", (string?)(await rest.AnswerAsync((int)call["id"]!))["result"]!["content"]![0]!["text"]);
        Assert.Equal(1, server.Calls("talk"));
    }

    private static async Task<bool> IsAskedToComeLaterAsync(GatewayProcess gateway)
    {
        using var hello = new McpClient(gateway.ServerUrl("up"));
        using var later = await hello.PostAsync(hello.Request("initialize", new JsonObject
        {
            ["protocolVersion"] = "2025-11-25",
            ["capabilities"] = new JsonObject(),
            ["clientInfo"] = new JsonObject { ["name"] = Noise(5_000), ["version"] = "1" },
        }));
        if (later.StatusCode == HttpStatusCode.OK)
        {
            return false;
        }

        Assert.Equal(HttpStatusCode.ServiceUnavailable, later.StatusCode);
        Assert.NotNull(later.Headers.RetryAfter);
        return true;
    }

    private static async Task<string?> StoreAsync(GatewayProcess gateway) =>
        (string?)JsonNode.Parse(await Http.GetStringAsync(new Uri(gateway.BaseUrl, "/health"), TestContext.Current.CancellationToken))!["store"];

    /// <summary>Text that a database cannot make smaller.</summary>
    private static string Noise(int length) => Convert.ToBase64String(System.Security.Cryptography.RandomNumberGenerator.GetBytes(length))[..length];
}
