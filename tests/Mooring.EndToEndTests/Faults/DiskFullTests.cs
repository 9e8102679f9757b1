using System.Net;
using System.Text.Json.Nodes;
using Mooring.EndToEndTests.Faults.Parts;
using Mooring.EndToEndTests.Harness;
using Xunit;

namespace Mooring.EndToEndTests.Faults;

/// <summary>The disk under the embedded store is full, and then is not: a small tmpfs, which only root may mount.</summary>
public sealed class DiskFullTests
{
    [Fact(Timeout = 120_000)]
    public async Task DiskFull_OpenStreamsAndCallsGoOn_NewSessionsAreAskedToComeLater_AndAllHeals()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.UserName == "root", "only root may mount a small disk");
        await using var disk = await SmallDisk.MountAsync();
        await using var server = await FaultyServer.StartAsync();
        var config = GatewayProcess.Config(("up", GatewayProcess.Remote(server.Url)));
        config["keepAlive"] = new JsonObject { ["interval"] = "200ms" };
        await using var gateway = await GatewayProcess.StartAsync(config, data: disk.Path);
        using var client = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        await client.CallAsync("echo", "opens the link");
        using var get = await client.OpenAsync();
        var seen = await get.FirstIdAsync();
        var call = client.ToolCall("talk", "answered");
        using var post = await client.PostForStreamAsync(call);
        await post.NotificationAsync("notifications/message");
        var talked = post.LastEventId;
        post.Dispose();

        await using (disk.Fill())
        {
            // What is said fills what room the store has left in its own files.
            await Wait.UntilAsync(
                async () =>
                {
                    server.Log(new string('x', 50_000));
                    await get.NotificationAsync("notifications/message");
                    return await MetricsPage.SumAsync(gateway, """mooring_store_failures_total{store="sqlite",operation="append_event"}""") > 0;
                },
                () => gateway.Process.Describe("the store never ran out of room"));
            server.Release();
            await get.CommentsAsync(get.Comments + 5);
            Assert.Equal("goes on", await client.CallAsync("echo", "goes on"));
            using var hello = new McpClient(gateway.ServerUrl("up"));
            using var later = await hello.PostAsync(hello.Request("initialize", new JsonObject
            {
                ["protocolVersion"] = "2025-11-25",
                ["capabilities"] = new JsonObject(),
                ["clientInfo"] = new JsonObject { ["name"] = "later", ["version"] = "1" },
            }));
            Assert.Equal(HttpStatusCode.ServiceUnavailable, later.StatusCode);
            Assert.NotNull(later.Headers.RetryAfter);
            await get.CommentsAsync(get.Comments + 5);
        }

        await Wait.UntilAsync(
            async () =>
            {
                server.Log("healed");
                await get.NotificationAsync("notifications/message");
                var (before, now) = (seen, get.LastEventId);
                seen = now!;
                return before != now;
            },
            () => gateway.Process.Describe("there is room, but events have no ids"));
        using var fresh = await McpClient.ConnectAsync(gateway.ServerUrl("up"));
        Assert.Equal("new", await fresh.CallAsync("echo", "new"));
        using var rest = await client.OpenAsync(talked);
        Assert.Equal("answered", (string?)(await rest.AnswerAsync((int)call["id"]!))["result"]!["content"]![0]!["text"]);
        Assert.Equal(1, server.Calls("talk"));
    }

    private sealed class SmallDisk : IAsyncDisposable
    {
        private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

        private readonly TempFolder _folder = new();

        public string Path => _folder.Path;

        public static async Task<SmallDisk> MountAsync()
        {
            var disk = new SmallDisk();
            await RunAsync("mount", "-t", "tmpfs", "-o", "size=24m", "none", disk.Path);
            return disk;
        }

        /// <summary>Takes every byte there is, again and again, until disposed: the store frees some when it tidies up.</summary>
        public Ballast Fill() => new(_folder.File("ballast"));

        public async ValueTask DisposeAsync()
        {
            await RunAsync("umount", Path);
            _folder.Dispose();
        }

        private static async Task RunAsync(string program, params string[] arguments)
        {
            await using var process = ToolProcess.Start(program, arguments);
            Assert.True(await process.ExitAsync(Limit, CancellationToken.None) == 0, process.Describe($"{program} failed"));
        }
    }

    private sealed class Ballast : IAsyncDisposable
    {
        private readonly CancellationTokenSource _over = new();
        private readonly string _file;
        private readonly Task _filling;

        public Ballast(string file)
        {
            _file = file;
            _filling = FillAsync();
        }

        public async ValueTask DisposeAsync()
        {
            await _over.CancelAsync();
            await _filling;
            _over.Dispose();
            File.Delete(_file);
        }

        private async Task FillAsync()
        {
            await using var file = new FileStream(_file, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
            var chunk = new byte[64 * 1024];
            while (!_over.IsCancellationRequested)
            {
                // Big pieces first, then what is left beside them.
                foreach (var size in new[] { chunk.Length, 4096, 1 })
                {
                    try
                    {
                        while (true)
                        {
                            file.Write(chunk.AsSpan(0, size));
                        }
                    }
                    catch (IOException)
                    {
                        // Full, which is what was wanted.
                    }
                }

                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, CancellationToken.None);
            }
        }
    }
}
