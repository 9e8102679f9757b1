using System.Net;
using Mooring.Replicas;
using Mooring.Sessions;
using Mooring.Stores;
using Mooring.Streams;
using Xunit;

namespace Mooring.Tests.Replicas;

/// <summary>Clients of 2024-11-05 in front of several replicas: the stream is at one of them, and what they POST comes to any.</summary>
public sealed partial class ReplicaLegacyTests
{
    private const string Hello = """{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"t","version":"1"}}""";

    private const string Slow = """{"name":"slow","arguments":{}}""";

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
        var (before, endpoint) = await ConnectAsync(pair, pair.B);
        before.Dispose();
        await IsOverAsync(pair);

        var (isHeld, held) = pair.StoreOfA.Hold("SetListenerAsync");
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
        var (ofSession, session) = pair.Store.Store.Hold("SetListenerAsync");
        var (stream, endpoint) = await OpenAsync(pair.B);
        await pair.UntilAsync(ofSession, "B is about to say that the stream is there");
        var (ofLinks, links) = pair.StoreOfA.Hold("FindLinksAsync");
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
        var (first, endpoint) = await ConnectAsync(pair, pair.A);
        first.Dispose();
        await IsOverAsync(pair);

        var (isHeld, held) = pair.StoreOfA.Hold("SetListenerAsync");
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

    [Fact]
    public async Task Stream_GivenUpAndTheStoreTookItAfterTheNextOne_TheNextOneIsTold()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (before, endpoint) = await ConnectAsync(pair, pair.A);
        await AskAsync(pair, before, pair.B, endpoint.Data!, "ping");
        before.Dispose();
        await IsOverAsync(pair);

        var (isHeld, held) = pair.StoreOfA.Hold("SetListenerAsync");
        var (slow, _) = await OpenAsync(pair.A, endpoint.Id);
        await pair.UntilAsync(isHeld, "A is about to say that the stream is there");
        slow.Dispose();
        var (stream, _) = await OpenAsync(pair.B, endpoint.Id);
        await AskAsync(pair, stream, pair.B, endpoint.Data!, "ping");
        held.SetResult();
        await pair.PassAsync(TimeSpan.FromSeconds(80));

        await AskAsync(pair, stream, pair.A, endpoint.Data!, "ping");
        await AskAsync(pair, stream, pair.B, endpoint.Data!, "ping");
        stream.Dispose();
    }

    [Fact]
    public async Task Stream_OpenedWhileItsSessionEnds_EndsWithIt()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (before, endpoint) = await ConnectAsync(pair, pair.A);
        before.Dispose();
        await IsOverAsync(pair);
        var session = pair.A.Get<SessionTable>().Known(SessionOf(endpoint))!;

        var (isHeld, held) = pair.StoreOfA.Hold("SetListenerAsync");
        var (stream, _) = await OpenAsync(pair.A, endpoint.Id);
        await pair.UntilAsync(isHeld, "A is about to say that the stream is there");
        await pair.A.PassTimeAsync(pair.A.Sessions.EndAsync(session, StreamReason.SessionEnded), Soon, "the end of the session");
        held.SetResult();

        await pair.A.PassTimeAsync(stream.Events.RestAsync(), Soon, "the end of the stream");
        await IsOverAsync(pair);
        stream.Dispose();
    }

    [Fact]
    public async Task Answer_SentToAReplicaThatDied_ComesWhereTheClientIsBeforeTheLeaseOfThatOneIsOver()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (before, endpoint) = await ConnectAsync(pair, pair.A);
        before.Dispose();
        await IsOverAsync(pair);
        await pair.Store.Replicas.BeatAsync("dead", "", TimeSpan.FromHours(1));
        await pair.UntilAsync(() => pair.A.Get<Peers>().IsAlive("dead") && pair.B.Get<Peers>().IsAlive("dead"), "all know of it");
        await pair.Store.Store.SetListenerAsync(SessionOf(endpoint), new SessionListener("dead", "g0123456789"));
        pair.A.Get<SessionTable>().Known(SessionOf(endpoint))!.Doubt();

        var asked = await PostAsync(pair.B, endpoint.Data!, "ping");
        await pair.UntilAsync(() => Mail(pair, "dead").Count == 1, "its answer is in the mailbox of the dead");
        await PostAsync(pair.A, endpoint.Data!, "ping");
        await pair.UntilAsync(() => Mail(pair, "dead").Count == 2, "another is");
        var (stream, _) = await OpenAsync(pair.A, endpoint.Id);
        await AnsweredAsync(pair, stream, asked);
        await AnsweredAsync(pair, stream, asked + 1);

        // Whoever takes it over passes them on as well.
        await pair.Store.Replicas.BeatAsync("dead", "", TimeSpan.Zero);
        await pair.UntilAsync(() => Mail(pair, "dead").Count == 0 && Mail(pair, pair.A.Get<Peers>().Name).Count + Mail(pair, pair.B.Get<Peers>().Name).Count == 0, "its letters are read");
        await pair.PassAsync(TimeSpan.FromSeconds(3));
        await NothingIsToldBeforeTheNextAnswerAsync(pair, stream, endpoint);
        stream.Dispose();
    }

    [Fact]
    public async Task Answer_ThatWaitsWhereTheStreamWas_ComesBackToAReplicaThatHadIt()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (stream, endpoint) = await ConnectAsync(pair, pair.A);
        stream.Dispose();
        await IsOverAsync(pair);
        var asked = await PostAsync(pair.B, endpoint.Data!, "ping");
        await pair.UntilAsync(() => Holds(pair.A, endpoint), "it waits at A");

        for (var round = 0; round < 2; round++)
        {
            foreach (var (to, store) in new[] { (pair.B, pair.StoreOfA), (pair.A, pair.Store.Store) })
            {
                // Whoever has the answer gets to pass it on when the client has left again.
                var (isHeld, held) = store.Hold("PostAsync");
                (stream, _) = await OpenAsync(to, endpoint.Id);
                await pair.UntilAsync(isHeld, "it is about to be passed on");
                stream.Dispose();
                await IsOverAsync(pair);
                store.Before = null;
                held.SetResult();
                await pair.UntilAsync(() => Holds(to, endpoint), "it waits there");
            }
        }

        (stream, _) = await OpenAsync(pair.A, endpoint.Id);
        await AnsweredAsync(pair, stream, asked);
        stream.Dispose();

        static bool Holds(GatewayFixture at, TestEvent endpoint) => at.Get<SessionTable>().Known(SessionOf(endpoint))?.Outbox.HasUnseen == true;
    }

    [Fact]
    public async Task Event_ThatBothReplicasHeard_IsToldOnce()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (stream, endpoint) = await ConnectAsync(pair, pair.A);
        await AskAsync(pair, stream, pair.B, endpoint.Data!, "ping");
        var origin = new EventOrigin("one", "their session", "e1", After: "", Hearer: "somebody");

        foreach (var hearer in new[] { pair.B, pair.A, pair.B })
        {
            hearer.Get<SessionTable>().Known(SessionOf(endpoint))!.Outbox.Send("""{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}"""u8.ToArray(), origin);
            await pair.PassAsync(TimeSpan.FromSeconds(1));
        }

        Assert.Equal("x", (string?)(await pair.A.PassTimeAsync(stream.MessageAsync(), Soon, "what was said"))["params"]!["data"]);
        await NothingIsToldBeforeTheNextAnswerAsync(pair, stream, endpoint);
        stream.Dispose();
    }

    [Fact]
    public async Task Letter_OfOneThatWasTakenForDeadBeforeItWasOffTheMailbox_IsToldOnce()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (stream, endpoint) = await ConnectAsync(pair, pair.B);
        await AskAsync(pair, stream, pair.A, endpoint.Data!, "ping");
        var (a, b, before) = (pair.A.Get<Peers>(), pair.B.Get<Peers>(), pair.B.Get<Peers>().Name);
        pair.Store.Store.Before = FailingWhere(name => name == $"BeatAsync {before}" || name.StartsWith("AcknowledgeAsync", StringComparison.Ordinal));

        await AskAsync(pair, stream, pair.A, endpoint.Data!, "ping");
        Assert.NotEmpty(Mail(pair, before));
        await pair.UntilAsync(() => a.Others.Count == 0 && !a.IsDoubted(before), "it is taken over");
        pair.Store.Store.Before = null;
        await pair.UntilAsync(() => b.Name != before && a.Others.Contains(b.Name), "it goes on under another name");
        await pair.PassAsync(TimeSpan.FromSeconds(5));

        await NothingIsToldBeforeTheNextAnswerAsync(pair, stream, endpoint);
        stream.Dispose();
    }

    [Fact]
    public async Task Message_WhereTheStreamIsNot_WhileTheStoreIsAway_IsRefusedForNow_AndTakenWhereTheStreamIs()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (stream, endpoint) = await ConnectAsync(pair, pair.A);
        await AskAsync(pair, stream, pair.B, endpoint.Data!, "ping");
        pair.Store.Store.IsAway = pair.StoreOfA.IsAway = true;

        using (var refused = await pair.B.NewClient(path: "/servers/one/" + endpoint.Data).PostAsync("""{"jsonrpc":"2.0","id":"r","method":"ping"}"""))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.Status);
            Assert.NotNull(refused.Header("Retry-After"));
        }

        // What needs no answer is taken anywhere.
        await pair.A.PassTimeAsync(SendAsync(pair.B, endpoint.Data!, """{"jsonrpc":"2.0","method":"notifications/initialized"}"""), Soon, "it is taken");
        await AskAsync(pair, stream, pair.A, endpoint.Data!, "ping");
        pair.Store.Store.IsAway = pair.StoreOfA.IsAway = false;
        await AskAsync(pair, stream, pair.B, endpoint.Data!, "ping");
        stream.Dispose();
    }

    private async Task<(TestReply Stream, TestEvent Endpoint)> ConnectAsync(ReplicaPair pair, GatewayFixture at)
    {
        var (stream, endpoint) = await OpenAsync(at);
        await AskAsync(pair, stream, at, endpoint.Data!, "initialize", Hello);
        return (stream, endpoint);
    }

    private async Task NothingIsToldBeforeTheNextAnswerAsync(ReplicaPair pair, TestReply stream, TestEvent endpoint)
    {
        var asked = await PostAsync(pair.A, endpoint.Data!, "ping");
        Assert.Equal($"{asked}", (await pair.A.PassTimeAsync(stream.MessageAsync(), Soon, "the next answer")).RawId());
    }

    private static Task IsOnRecordNoMoreAsync(ReplicaPair pair) => pair.UntilAsync(() => RunningAsync(pair).Result.Count == 0, "it is on record no more");

    private static Func<string, Task> FailingWhere(Func<string, bool> fails) =>
        name => fails(name) ? Task.FromException(new StoreException("scripted failure")) : Task.CompletedTask;

    private static async Task<IReadOnlyList<StreamRecord>> RunningAsync(ReplicaPair pair) => await pair.Store.Store.FindRunningCallsAsync(CancellationToken.None);

    private static IReadOnlyList<MailRecord> Mail(ReplicaPair pair, string replica) => pair.Store.Replicas.ReadMailboxAsync(replica, 0, 100, CancellationToken.None).Result;

    private static string SessionOf(TestEvent endpoint) => endpoint.Data!.Split("sessionId=")[1];

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
