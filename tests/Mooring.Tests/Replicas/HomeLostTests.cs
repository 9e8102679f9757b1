using Mooring.Configuration;
using Mooring.Replicas;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Replicas;

/// <summary>A replica is taken for dead and lives: its links that cannot move are its own only where no other replica has one of its own by now.</summary>
public sealed class HomeLostTests
{
    [Fact]
    public async Task TakenForDead_LinkWasOpenedElsewhereMeanwhile_IsGivenUpWithoutACall()
    {
        var server = new SseServer();
        await using var pair = await StartAsync(server);
        var client = await pair.A.ClientAsync();
        Assert.Equal("done", (await client.ResultAsync("echo")).Text());
        var here = Assert.Single(server.Streams);
        await here.SendAsync("""{"jsonrpc":"2.0","id":"q","method":"roots/list"}""");
        var questions = pair.A.Session(client).Questions;
        await pair.UntilAsync(() => questions.Count == 1, "the client is asked");
        var name = await BuryAAsync(pair);
        Assert.Equal("done", (await ReplicaPair.At(pair.B, client).ResultAsync("echo")).Text());
        Assert.Equal(2, server.Streams.Count);
        Assert.False(here.WasLeft);

        await WakeAAsync(pair, name);
        await pair.UntilAsync(() => here.WasLeft, "the link is given up");

        Assert.Equal(0, questions.Count);
        Assert.False(server.Streams.Last().WasLeft);
        Assert.Contains(pair.A.LogLines.Lines, line => line.Contains("The link to server one is given up", StringComparison.Ordinal));
    }

    [Fact]
    public async Task TakenForDead_NobodyClaimedTheHome_KeepsItsLinkUnderTheNewName()
    {
        var server = new SseServer();
        await using var pair = await StartAsync(server);
        var client = await pair.A.ClientAsync();
        await client.ResultAsync("echo");
        var name = await BuryAAsync(pair);

        await WakeAAsync(pair, name);
        await pair.PassAsync(TimeSpan.FromSeconds(5));

        Assert.False(Assert.Single(server.Streams).WasLeft);
        Assert.Equal(pair.A.Get<Peers>().Name, await pair.Store.Replicas.ClaimHomeAsync(client.SessionId!, "one", pair.B.Get<Peers>().Name));
    }

    [Fact]
    public async Task TakenForDead_StoreFailsWhereItIsAskedWhoHasTheHome_AsksAgain()
    {
        var server = new SseServer();
        await using var pair = await StartAsync(server);
        var client = await pair.A.ClientAsync();
        await client.ResultAsync("echo");
        var name = await BuryAAsync(pair);
        await ReplicaPair.At(pair.B, client).ResultAsync("echo");
        var asked = 0;
        pair.StoreOfA.Before = operation => operation == "ClaimHomeAsync" && Interlocked.Increment(ref asked) < 3
            ? Task.FromException(new StoreException("scripted failure"))
            : Task.CompletedTask;

        await WakeAAsync(pair, name);
        await pair.UntilAsync(() => server.Streams.First().WasLeft, "the link is given up");

        Assert.Equal(3, asked);
    }

    /// <summary>The other one takes A over; A knows nothing of it.</summary>
    private static async Task<string> BuryAAsync(ReplicaPair pair)
    {
        var (name, b) = (pair.A.Get<Peers>().Name, pair.B.Get<Peers>());
        pair.Store.Store.Before = operation =>
            operation == $"BeatAsync {name}" ? Task.FromException(new StoreException("scripted failure")) : Task.CompletedTask;
        await pair.UntilAsync(() => b.Others.Count == 0 && !b.IsDoubted(name), "it is taken over");
        return name;
    }

    private static async Task WakeAAsync(ReplicaPair pair, string name)
    {
        pair.Store.Store.Before = null;
        await pair.UntilAsync(() => pair.A.Get<Peers>().Name != name, "it goes on as a new one");
    }

    private static Task<ReplicaPair> StartAsync(SseServer server) => ReplicaPair.StartAsync(
        new FakeUpstream { Intercept = server.Handle },
        config => config with { Servers = [.. config.Servers.Select(s => s with { Transport = ServerTransport.Sse, Commit = CommitRule.Fast })] });
}
