using System.Text;
using Microsoft.AspNetCore.Http;
using Mooring.FrontDoor;
using Mooring.Host.Listening;
using Mooring.Network;
using Mooring.Tests.Routing;
using Xunit;
using static Mooring.Tests.Routing.Asking;

namespace Mooring.Tests.FrontDoor;

/// <summary>What goes on on a thread that waits for sockets, and what is taken to the thread pool.</summary>
public sealed class InPlaceTests
{
    [Theory]
    [InlineData("POST", "/mcp", 100L, true)]
    [InlineData("POST", "/servers/one/mcp", (long)WaitingThreads.Turn, true)]
    [InlineData("POST", "/mcp", WaitingThreads.Turn + 1L, false)]
    [InlineData("POST", "/mcp", null, false)]
    [InlineData("POST", "/messages", 100L, false)]
    [InlineData("POST", "/admin/api/drain", 0L, false)]
    [InlineData("GET", "/mcp", null, false)]
    [InlineData("DELETE", "/mcp", 0L, false)]
    public async Task Request_OnlyAShortMessageStays(string method, string path, long? length, bool stays)
    {
        var context = new DefaultHttpContext { Request = { Method = method, Path = path, ContentLength = length } };
        bool? onPool = null;
        var handler = InPlace.Middleware(_ =>
        {
            onPool = Thread.CurrentThread.IsThreadPoolThread;
            return Task.CompletedTask;
        });

        await OnAThreadOfItsOwn(() => handler(context));

        Assert.Equal(!stays, onPool);
    }

    [Theory]
    [InlineData("tools/call", """{"name":"x","arguments":{}}""", true)]
    [InlineData("prompts/get", """{"name":"x"}""", false)]
    public async Task Message_OnlyACallStays(string method, string parameters, bool stays) =>
        Assert.Equal(!stays, await IsSentFromPoolAsync(method, parameters));

    [Fact]
    public async Task Call_LongerThanATurn_IsTakenApartOnTheThreadPool() => Assert.True(
        await IsSentFromPoolAsync("tools/call", """{"name":"x","arguments":{"text":"$"}}""".Replace("$", new string('x', WaitingThreads.Turn), StringComparison.Ordinal)));

    [Fact]
    public async Task Batch_IsTakenApartOnTheThreadPool() => Assert.True(
        await IsSentFromPoolAsync("tools/call", """{"name":"x","arguments":{}}""", version: "2025-03-26", isBatch: true));

    [Fact]
    public async Task MessageOfHttpSse_IsTakenApartOnTheThreadPool()
    {
        var server = new ListingServer("one");
        await using var gateway = await GatewayAsync(null, server);
        using var stream = await gateway.NewClient(path: "/servers/one/sse").GetAsync();
        await stream.Events.NextAsync();
        var id = (await stream.Events.NextAsync())!.Data!.Split('=')[1];
        DefaultHttpContext Call()
        {
            var context = Post("""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{}}}""");
            context.Request.QueryString = new QueryString("?sessionId=" + id);
            return context;
        }

        // The first one opens the link.
        await gateway.Get<LegacySse>().PostAsync(Call(), "one");
        await stream.MessageAsync();

        Assert.True(await WhereAsync(server, () => gateway.Get<LegacySse>().PostAsync(Call(), "one")));
    }

    /// <summary>Whether a message that comes on a thread that waits is handed on by another one.</summary>
    private static async Task<bool> IsSentFromPoolAsync(string method, string parameters, string version = "2025-11-25", bool isBatch = false)
    {
        var server = new ListingServer("one");
        await using var gateway = await GatewayAsync(null, server);
        var client = await gateway.ClientAsync(version);
        await client.ResultAsync("x");
        var message = $$"""{"jsonrpc":"2.0","id":77,"method":"{{method}}","params":{{parameters}}}""";
        var context = Post(isBatch ? $"[{message}]" : message);
        context.Request.Headers["Mcp-Session-Id"] = client.SessionId;

        return await WhereAsync(server, () => gateway.Get<StreamableHttp>().PostAsync(context, "one"));
    }

    private static async Task<bool> WhereAsync(ListingServer server, Func<Task> handle)
    {
        var onPool = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        server.Before = exchange =>
        {
            if ((string?)exchange.Message?["method"] is "tools/call" or "prompts/get")
            {
                onPool.TrySetResult(exchange.WasSentFromPool);
            }

            return false;
        };
        await OnAThreadOfItsOwn(handle);
        return await Limit.Of(onPool.Task, "the server to be asked");
    }

    private static DefaultHttpContext Post(string body)
    {
        var bytes = Encoding.UTF8.GetBytes(body);
        return new DefaultHttpContext
        {
            Request = { Method = "POST", ContentType = "application/json", ContentLength = bytes.Length, Body = new MemoryStream(bytes) },
            Response = { Body = new MemoryStream() },
        };
    }

    /// <summary>Begins work where sockets would have it begin: on a thread that is none of the pool's.</summary>
    private static Task OnAThreadOfItsOwn(Func<Task> work)
    {
        var done = new TaskCompletionSource<Task>(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() => done.SetResult(work())) { IsBackground = true }.Start();
        return Limit.Of(done.Task.Unwrap(), "the request");
    }
}
