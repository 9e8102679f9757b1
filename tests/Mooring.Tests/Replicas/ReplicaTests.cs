using System.Net;
using Mooring.Configuration;
using Mooring.Replicas;
using Mooring.Stores;
using Mooring.Tests.Routing;
using Xunit;

namespace Mooring.Tests.Replicas;

/// <summary>Any replica serves anything: sessions have no home, and streams are found wherever they are (invariants 6 to 8).</summary>
public sealed class ReplicaTests
{
    [Fact]
    public async Task Post_SessionOfTheOther_GoesOn()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();

        Assert.Equal("nothing", (await ReplicaPair.At(pair.B, client).ResultAsync("echo")).Text());
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task Link_SentHere_LeadsToItsServerAtTheOtherBeforeLong()
    {
        var server = new ListingServer("one") { CallResult = """{"content":[{"type":"resource_link","uri":"l:1","name":"l"}]}""" };
        await using var pair = await ReplicaPair.StartAsync(server.Fake);
        var client = await pair.A.ClientAsync(path: "/mcp");
        var there = ReplicaPair.At(pair.B, client);
        await there.ResultAsync("one__x");

        await pair.UntilAsync(() => pair.B.Session(client).Record.Links.Count == 1, "the link is kept");
        await pair.UntilAsync(() => pair.A.Session(client).IsDoubted || pair.A.Session(client).Record.Links.Count == 1, "the other heard of it");

        Assert.Equal("one:l:1", (string?)(await client.ReadAsync("l:1"))["result"]!["contents"]![0]!["text"]);
    }

    [Fact]
    public async Task Delete_AtTheOther_EndsTheStreamHereAndIs404()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        using var stream = await pair.A.ListenAsync(client);

        using var deleted = await Limit.Of(ReplicaPair.At(pair.B, client).DeleteAsync(), "the end of the session");

        Assert.Equal(HttpStatusCode.OK, deleted.Status);
        await Limit.Of(stream.Events.RestAsync(), "the end of the stream");
        using var late = await Limit.Of(client.CallAsync("echo"), "an answer");
        Assert.Equal(HttpStatusCode.NotFound, late.Status);
    }

    [Fact]
    public async Task Delete_AtTheOtherAndItsSignalLost_Is404WithinSeconds()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        await pair.Store.Store.DeleteSessionAsync(client.SessionId!);

        pair.A.Advance(TimeSpan.FromSeconds(6));

        using var late = await Limit.Of(client.CallAsync("echo"), "an answer");
        Assert.Equal(HttpStatusCode.NotFound, late.Status);
    }

    [Fact]
    public async Task Session_StoreAwayForLong_IsServedForAMinuteAndThen503()
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var client = await pair.A.ClientAsync();
        pair.Store.Store.IsAway = true;

        pair.A.Advance(TimeSpan.FromSeconds(30));
        using (var soon = await Limit.Of(client.CallAsync("echo"), "an answer"))
        {
            Assert.Equal(HttpStatusCode.OK, soon.Status);
        }

        pair.A.Advance(TimeSpan.FromSeconds(40));
        using var late = await Limit.Of(client.CallAsync("echo"), "an answer");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, late.Status);
        Assert.NotNull(late.Header("Retry-After"));
        pair.Store.Store.IsAway = false;
        using var healed = await Limit.Of(client.CallAsync("echo"), "an answer");
        Assert.Equal(HttpStatusCode.OK, healed.Status);
    }

    [Fact]
    public async Task Message_SaidHere_ReachesTheStreamAtTheOtherOnce()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        using var stream = await pair.B.ListenAsync(ReplicaPair.At(pair.B, client));

        for (var i = 0; i < 5; i++)
        {
            pair.A.Tell(client, $"{i}");
        }

        for (var i = 0; i < 5; i++)
        {
            Assert.Equal($"{i}", Data(await stream.Events.EventAsync()));
        }

        Assert.False(stream.Events.HasNext);
    }

    [Fact]
    public async Task Message_NobodyListensYet_WaitsForTheStreamAtTheOther()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        pair.A.Tell(client, "early");

        using var stream = await pair.B.ListenAsync(ReplicaPair.At(pair.B, client));

        Assert.Equal("early", Data(await stream.Events.EventAsync()));
    }

    [Fact]
    public async Task Message_SaidHereByAReplicaThatLearnsOfTheSessionLate_ReachesTheStream()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        using var stream = await pair.A.ListenAsync(client);
        var there = ReplicaPair.At(pair.B, client);
        await there.ResultAsync("echo");

        pair.B.Tell(there, "from the other");

        Assert.Equal("from the other", Data(await stream.Events.EventAsync()));
    }

    [Fact]
    public async Task Resume_GetStreamAtTheOther_GoesOnWhereItWasAndTakesWhatIsSaidLater()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        string? last;
        using (var first = await pair.A.ListenAsync(client))
        {
            pair.A.Tell(client, "0");
            last = (await first.Events.EventAsync()).Id;
        }

        await pair.UntilAsync(() => pair.A.Streams.Count == 0, "the stream is lost");
        pair.A.Tell(client, "1");

        using var resumed = await pair.B.ListenAsync(ReplicaPair.At(pair.B, client), last);
        Assert.Equal("1", Data(await resumed.Events.EventAsync()));
        pair.A.Tell(client, "2");
        Assert.Equal("2", Data(await resumed.Events.EventAsync()));
        pair.B.Tell(ReplicaPair.At(pair.B, client), "3");
        Assert.Equal("3", Data(await resumed.Events.EventAsync()));
        Assert.False(resumed.Events.HasNext);
    }

    [Fact]
    public async Task Resume_ThereAndBackAgain_NothingIsLostOrTwice()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        string? last = null;
        var seen = new List<string?>();
        for (var turn = 0; turn < 6; turn++)
        {
            var gateway = turn % 2 == 0 ? pair.A : pair.B;
            using var stream = await gateway.ListenAsync(ReplicaPair.At(gateway, client), last);
            pair.A.Tell(client, $"{turn}");
            do
            {
                var next = await stream.Events.EventAsync();
                seen.Add(Data(next));
                last = next.Id;
            }
            while (seen[^1] != $"{turn}");
        }

        Assert.Equal(["0", "1", "2", "3", "4", "5"], seen);
    }

    [Fact]
    public async Task Resume_CallRunsAtTheOther_GetsItsProgressAndAnswerLive()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        var (reply, call) = await pair.A.StreamedAsync(client);
        while (reply.Events.LastEventId is null)
        {
            Assert.NotNull(await reply.Events.NextAsync());
        }

        var last = reply.Events.LastEventId;
        reply.Dispose();

        using var resumed = await pair.B.ListenAsync(ReplicaPair.At(pair.B, client), last);
        call.Text("from afar");

        var answer = pair.A.PassTimeAsync(resumed.MessageAsync(), TimeSpan.FromSeconds(10), "the answer");
        Assert.Equal("from afar", (await answer).Text());
        await pair.A.PassTimeAsync(resumed.Events.RestAsync(), TimeSpan.FromSeconds(10), "the end of the stream");
        Assert.Equal(1, pair.Upstream.Executions("slow"));
    }

    [Fact]
    public async Task Resume_CallRunsAtTheOtherAndSaysNothing_ProgressIsMadeUpForIt()
    {
        await using var pair = await ReplicaPair.StartAsync(config: c => c with { Calls = c.Calls with { ProgressEvery = TimeSpan.FromSeconds(5) } });
        var client = await pair.A.ClientAsync();
        var posting = client.CallAsync("slow", meta: """{"progressToken":7}""");
        var call = await pair.Upstream.CallAsync();
        var reply = await pair.A.PassTimeAsync(posting, TimeSpan.FromSeconds(2), "the head of the answer");
        var primer = await reply.Events.NextAsync();
        while (primer!.Id is null)
        {
            primer = await reply.Events.NextAsync();
        }

        reply.Dispose();

        using var resumed = await pair.B.ListenAsync(ReplicaPair.At(pair.B, client), lastEventId: primer.Id);
        var made = pair.A.PassTimeAsync(resumed.Events.MessageAsync(), TimeSpan.FromSeconds(30), "progress");
        Assert.Equal((7, 0.000001), ((int?)(await made)["params"]!["progressToken"], (double?)(await made)["params"]!["progress"]));
        await call.SendTextAsync("done");
        string? text;
        while ((text = (await pair.A.PassTimeAsync(resumed.Events.MessageAsync(), TimeSpan.FromSeconds(30), "the answer")).Text()) is null)
        {
            // Time went on, and with it what is made up.
        }

        Assert.Equal("done", text);
    }

    [Fact]
    public async Task Cancel_AtTheOther_EndsTheCallHere()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        var (reply, _) = await pair.A.StreamedAsync(client, id: "77");
        using (reply)
        {
            await ReplicaPair.At(pair.B, client).NotifyAsync("notifications/cancelled", """{"requestId":77,"reason":"enough"}""");

            await pair.UntilAsync(() => pair.A.Runner.Running == 0, "the call ended");
        }
    }

    [Fact]
    public async Task Level_SetHere_HoldsAtTheOther()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        var there = ReplicaPair.At(pair.B, client);
        await there.ResultAsync("echo");

        using (await Limit.Of(client.RequestAsync("logging/setLevel", """{"level":"error"}"""), "the level"))
        {
        }

        // By signal at once; where that is lost, with the first use after some seconds.
        await pair.PassAsync(TimeSpan.FromSeconds(6));
        await there.ResultAsync("echo");
        Assert.Equal("error", pair.B.Session(there).Record.LogLevel);
    }

    [Fact]
    public async Task Dead_Replica_ItsCallsAreEndedByOneOtherAsOutcomeUnknown()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        await pair.Store.Replicas.BeatAsync("dead", "test", TimeSpan.FromSeconds(1));
        await pair.Store.Store.OpenStreamAsync(
            new StreamRecord
            {
                SessionId = client.SessionId!,
                StreamId = "p0123456789",
                Kind = StreamKind.Post,
                State = StreamState.Running,
                RequestIds = ["7"],
                Server = "one",
                Replica = "dead",
                Changed = pair.A.Clock.GetUtcNow(),
            },
            primer: null);

        await pair.UntilAsync(() => Events(pair, client.SessionId!).Count > 0, "the call was ended");
        pair.A.Advance(TimeSpan.FromSeconds(10));

        var only = Assert.Single(Events(pair, client.SessionId!));
        Assert.Equal("7", only.RequestId);
        Assert.Contains("outcome_unknown", System.Text.Encoding.UTF8.GetString(only.Body.Span), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Store_BackAfterLong_NobodyIsTakenForDead()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var names = (pair.A.Get<Peers>().Name, pair.B.Get<Peers>().Name);
        pair.Store.Store.IsAway = true;
        await pair.PassAsync(TimeSpan.FromSeconds(20));
        pair.Store.Store.IsAway = false;

        await pair.PassAsync(TimeSpan.FromSeconds(20));
        await pair.UntilAsync(() => pair.A.Get<Peers>().Others.Count == 1 && pair.B.Get<Peers>().Others.Count == 1, "both live");

        Assert.Equal(names, (pair.A.Get<Peers>().Name, pair.B.Get<Peers>().Name));
    }

    [Fact]
    public async Task Idle_HereButUsedAtTheOther_IsOnlyLetGoOfHere()
    {
        await using var pair = await ReplicaPair.StartAsync(config: Briefly);
        var client = await pair.A.ClientAsync();
        await client.ResultAsync("echo");
        var there = ReplicaPair.At(pair.B, client);
        for (var i = 0; i < 4; i++)
        {
            await pair.PassAsync(TimeSpan.FromSeconds(25));
            await there.ResultAsync("echo");
        }

        await pair.UntilAsync(() => pair.A.Sessions.Count == 0, "it is let go of");
        Assert.Equal("nothing", (await there.ResultAsync("echo")).Text());
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
    }

    [Fact]
    public async Task Idle_Everywhere_EndsWithItsLinks()
    {
        await using var pair = await ReplicaPair.StartAsync(config: Briefly);
        var client = await pair.A.ClientAsync();
        await client.ResultAsync("echo");
        var link = pair.A.Session(client).Links.Open[0].SessionId!;

        await pair.PassAsync(TimeSpan.FromSeconds(100));

        await pair.UntilAsync(() => pair.A.Sessions.Count == 0 && !pair.Upstream.Sessions.Contains(link), "the session and its link are over");
        Assert.Null(await pair.Store.Store.FindSessionAsync(client.SessionId!, CancellationToken.None));
    }

    private static MooringConfig Briefly(MooringConfig config) => config with { Sessions = config.Sessions with { Idle = TimeSpan.FromSeconds(70) } };

    [Fact]
    public async Task Stopped_Replica_IsGoneAtOnce()
    {
        await using var pair = await ReplicaPair.StartAsync();

        await pair.StopBAsync();

        Assert.Equal([pair.A.Get<Peers>().Name], (await pair.Store.Replicas.FindReplicasAsync(CancellationToken.None)).Select(r => r.Id));
    }

    private static IReadOnlyList<EventRecord> Events(ReplicaPair pair, string session) =>
        pair.Store.Store.ReadEventsAsync(session, "p0123456789", 0, 10, CancellationToken.None).Result;

    private static string? Data(TestEvent said) => (string?)said.Message["params"]?["data"];
}
