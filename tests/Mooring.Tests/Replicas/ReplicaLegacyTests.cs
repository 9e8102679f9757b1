using System.Net;
using Xunit;

namespace Mooring.Tests.Replicas;

/// <summary>Clients of 2024-11-05 in front of several replicas: the stream is at one of them, and what they POST comes to any.</summary>
public sealed class ReplicaLegacyTests
{
    private const string Hello = """{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"t","version":"1"}}""";

    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    private int _asked;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Stream_OpenedNowHereNowThere_BringsEveryAnswerThatIsAskedForOnIt(int seed)
    {
        await using var pair = await ReplicaPair.StartAsync();
        var random = new Random(seed);
        string? last = null;
        for (var opened = 1; opened <= 30; opened++)
        {
            var (stream, endpoint) = await OpenAsync(OneOf(), last);
            using var read = stream;
            if (last is null)
            {
                await AskAsync(pair, stream, OneOf(), endpoint.Data!, "initialize", Hello);
            }

            last = endpoint.Id;
            for (var asked = random.Next(4); asked > 0; asked--)
            {
                await AskAsync(pair, stream, OneOf(), endpoint.Data!, random.Next(2) == 0 ? "tools/list" : "ping");
            }

            stream.Dispose();
            await IsOverAsync(pair);
            if (random.Next(2) == 0)
            {
                // Nobody has a stream just now; it waits for the next one, wherever that is.
                await SendAsync(OneOf(), endpoint.Data!, """{"jsonrpc":"2.0","id":"of nobody","method":"ping"}""");
            }
        }

        GatewayFixture OneOf() => random.Next(2) == 0 ? pair.A : pair.B;
    }

    [Fact]
    public async Task Answer_WhereTheStreamWasBefore_GoesWhereItIs()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (before, endpoint) = await OpenAsync(pair.B);
        await AskAsync(pair, before, pair.B, endpoint.Data!, "initialize", Hello);
        before.Dispose();
        await IsOverAsync(pair);

        var (isHeld, held) = Hold(pair.StoreOfA, "SetListenerAsync");
        var (stream, _) = await OpenAsync(pair.A, endpoint.Id);
        await pair.UntilAsync(isHeld, "A is about to say that the stream is there");
        var asked = await PostAsync(pair.B, endpoint.Data!, "ping");
        held.SetResult();

        await AnsweredAsync(pair, stream, asked);
        stream.Dispose();
    }

    [Fact]
    public async Task Answer_OfAReplicaThatReadTheSessionWhileTheStreamCame_GoesWhereItIs()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (ofSession, session) = Hold(pair.Store.Store, "SetListenerAsync");
        var (stream, endpoint) = await OpenAsync(pair.B);
        await pair.UntilAsync(ofSession, "B is about to say that the stream is there");
        var (ofLinks, links) = Hold(pair.StoreOfA, "FindLinksAsync");
        var asking = PostAsync(pair.A, endpoint.Data!, "ping");
        await pair.UntilAsync(ofLinks, "A has read the session, and not yet its links");
        session.SetResult();
        await pair.PassAsync(TimeSpan.FromSeconds(1));
        links.SetResult();

        await AnsweredAsync(pair, stream, await asking);
        stream.Dispose();
    }

    [Fact]
    public async Task Stream_AskedForAgainWhileTheStoreWasSlow_IsTheNewersAlone()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (first, endpoint) = await OpenAsync(pair.A);
        await AskAsync(pair, first, pair.A, endpoint.Data!, "initialize", Hello);
        first.Dispose();
        await IsOverAsync(pair);

        var (isHeld, held) = Hold(pair.StoreOfA, "SetListenerAsync");
        var (slow, _) = await OpenAsync(pair.A, endpoint.Id);
        await pair.UntilAsync(isHeld, "the store is asked");
        pair.StoreOfA.Before = null;
        var (stream, _) = await OpenAsync(pair.A, endpoint.Id);
        await AskAsync(pair, stream, pair.A, endpoint.Data!, "ping");
        held.SetResult();

        await Assert.ThrowsAsync<InvalidOperationException>(() => slow.MessageAsync());
        await AskAsync(pair, stream, pair.A, endpoint.Data!, "ping");
        stream.Dispose();
    }

    /// <summary>Holds one operation of a store, once.</summary>
    private static (Func<bool> IsHeld, TaskCompletionSource Held) Hold(FaultyStore store, string operation)
    {
        var (held, isHeld) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), false);
        store.Before = name =>
        {
            if (name != operation || isHeld)
            {
                return Task.CompletedTask;
            }

            isHeld = true;
            return held.Task;
        };
        return (() => isHeld, held);
    }

    private static async Task<(TestReply Stream, TestEvent Endpoint)> OpenAsync(GatewayFixture at, string? last = null)
    {
        var stream = await at.NewClient(path: "/servers/one/sse").GetAsync(last);
        await stream.Events.NextAsync();
        return (stream, (await stream.Events.NextAsync())!);
    }

    private static Task IsOverAsync(ReplicaPair pair) => pair.UntilAsync(() => pair.A.Streams.Count + pair.B.Streams.Count == 0, "the stream is over");

    private async Task AskAsync(ReplicaPair pair, TestReply stream, GatewayFixture at, string endpoint, string method, string parameters = "{}") =>
        await AnsweredAsync(pair, stream, await PostAsync(at, endpoint, method, parameters));

    private async Task<int> PostAsync(GatewayFixture at, string endpoint, string method, string parameters = "{}")
    {
        var id = ++_asked;
        await SendAsync(at, endpoint, $$"""{"jsonrpc":"2.0","id":{{id}},"method":"{{method}}","params":{{parameters}}}""");
        return id;
    }

    private static async Task SendAsync(GatewayFixture at, string endpoint, string message)
    {
        using var taken = await at.NewClient(path: "/servers/one/" + endpoint).PostAsync(message);
        Assert.Equal(HttpStatusCode.Accepted, taken.Status);
    }

    private static async Task AnsweredAsync(ReplicaPair pair, TestReply stream, int id)
    {
        while ((await pair.A.PassTimeAsync(stream.MessageAsync(), Soon, $"answer {id}")).RawId() != $"{id}")
        {
            // What nobody waits for any more.
        }
    }
}
