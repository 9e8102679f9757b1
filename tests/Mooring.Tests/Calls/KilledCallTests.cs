using Mooring.Stores;
using Mooring.Tests.Tasks;
using Xunit;
using static Mooring.Tests.Tasks.TaskClient;

namespace Mooring.Tests.Calls;

/// <summary>The process is killed while servers that give their events ids execute what it asked for; the next one, on the same files, hears the answers.</summary>
public sealed class KilledCallTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("mooring-killed-").FullName;
    private readonly string _next = Directory.CreateTempSubdirectory("mooring-killed-").FullName;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        Directory.Delete(_directory, recursive: true);
        Directory.Delete(_next, recursive: true);
    }

    [Fact]
    public async Task Call_UnderWay_IsGoneOnWith_AndItsClientHasTheRestOnce()
    {
        var upstream = new FakeUpstream().Hold("slow");
        await using var gateway = await StartAsync(_directory, upstream);
        var client = await gateway.ClientAsync();
        var (reply, call) = await gateway.StreamedAsync(client, id: "7");
        using var lost = reply;
        await call.RawAsync("id: e0\ndata:\n\n");
        await call.SendAsync("""{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"1"}}""", "e1");
        var first = await reply.Events.EventAsync();
        var store = gateway.Get<IStore>();
        await gateway.UntilAsync(() => store.FindRunningCallsAsync(Cancel).Result is [{ Cursor: not null }], "its place is kept", TimeSpan.FromSeconds(5));

        await using var next = await KillAsync(upstream);
        var get = await next.PassTimeAsync(upstream.GetAsync(), TimeSpan.FromSeconds(10), "the next one goes on");
        using var rest = await Limit.Of(Again(next, client).GetAsync(first.Id), "the rest");
        await get.SendAsync($$$"""{"jsonrpc":"2.0","id":{{{call.Id}}},"result":{"content":[{"type":"text","text":"done"}]}}""", "e2");

        Assert.Equal(("e1", call.Session), (get.LastEventId, get.Session));
        var answer = Assert.Single(await rest.Events.RestAsync(), e => e.IsMessage).Message;
        Assert.Equal(("7", "done"), (answer.RawId(), answer.Text()));
        Assert.Equal(1, upstream.Executions("slow"));
        Assert.Empty(await next.Get<IStore>().FindRunningCallsAsync(Cancel));
    }

    [Fact]
    public async Task Task_UnderWay_IsGoneOnWith()
    {
        var upstream = new FakeUpstream().Hold("slow");
        await using var gateway = await StartAsync(_directory, upstream);
        var posting = New(gateway).CallAsync("slow");
        var call = await upstream.CallAsync();
        await call.RawAsync("id: e0\ndata:\n\n");
        var id = (string)(await gateway.CreatedAsync(posting))["taskId"]!;

        await using var next = await KillAsync(upstream);
        var get = await next.PassTimeAsync(upstream.GetAsync(), TimeSpan.FromSeconds(10), "the next one goes on");
        await get.SendAsync($$$"""{"jsonrpc":"2.0","id":{{{call.Id}}},"result":{"content":[{"type":"text","text":"done"}]}}""", "e1");

        Assert.Equal(("e0", call.Session), (get.LastEventId, get.Session));
        Assert.Equal("done", (string?)(await next.UntilTaskAsync(New(next), id, "completed"))["result"]!["content"]![0]!["text"]);
        Assert.Equal(1, upstream.Executions("slow"));
    }

    /// <summary>A server goes on with the sessions of a killed process: what it says to a request of that one must not meet a request of the next.</summary>
    [Fact]
    public async Task Ids_TowardsServers_DoNotBeginWhereEveryProcessBegins_AndHave31Bits()
    {
        await using var gateway = await GatewayFixture.StartAsync(null, new FakeUpstream().Hold("slow"));
        var calling = (await gateway.ClientAsync()).CallAsync("slow");
        var call = await gateway.Upstream.CallAsync();

        Assert.InRange(long.Parse(call.Id, System.Globalization.CultureInfo.InvariantCulture), 1L << 20, (1L << 31) - 1);
        call.Text("done");
        (await Limit.Of(calling, "the answer")).Dispose();
    }

    /// <summary>What a kill leaves: the files as they are at this moment.</summary>
    private Task<GatewayFixture> KillAsync(FakeUpstream upstream)
    {
        foreach (var file in Directory.GetFiles(_directory).Where(file => Path.GetExtension(file) != ".lock"))
        {
            File.Copy(file, Path.Combine(_next, Path.GetFileName(file)));
        }

        return StartAsync(_next, upstream);
    }

    private static McpTestClient Again(GatewayFixture gateway, McpTestClient client) => new(gateway.Http, client.Path, client.Version, user: null) { SessionId = client.SessionId };

    private static Task<GatewayFixture> StartAsync(string directory, FakeUpstream upstream) => GatewayFixture.StartAsync(new FixtureOptions { Directory = directory }, upstream);
}
