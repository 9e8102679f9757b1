using Mooring.Replicas;
using Xunit;

namespace Mooring.Tests.Replicas;

/// <summary>Two replicas hear the same of a server, or one of them cannot say so: each message is in the client's log once, in order.</summary>
public sealed class ReplicaHearingTests
{
    [Fact]
    public async Task Listener_CutOffFromTheStoreAndTakenForDead_WhatBothHeardIsToldOnce()
    {
        await using var pair = await StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        var heard = await GetAsync(pair, client);
        using var stream = await pair.A.ListenAsync(client);
        await heard.SendAsync(Said("first"), id: "e1");
        Assert.Equal("first", await DataAsync(pair, stream));

        pair.StoreOfA.IsAway = true;
        await heard.SendAsync(Said("second"), id: "e2");
        var more = stream.Events.EventAsync();
        await pair.UntilAsync(() => pair.B.Session(there).Links.Open[0].Listens, "the other listens");
        // Shown to nobody by the one that cannot say that it was.
        Assert.False(more.IsCompleted);
        var again = await pair.A.PassTimeAsync(GetAsync(pair, client), TimeSpan.FromSeconds(30), "the other listens");
        Assert.Equal("e1", again.LastEventId);
        using var stream2 = await pair.B.ListenAsync(there);
        await again.SendAsync(Said("second"), id: "e2");
        Assert.Equal("second", await DataAsync(pair, stream2));

        pair.StoreOfA.IsAway = false;
        await pair.PassAsync(TimeSpan.FromSeconds(15));
        await again.SendAsync(Said("third"), id: "e3");
        Assert.Equal("third", await DataAsync(pair, stream2));
        var more2 = stream2.Events.EventAsync();
        await pair.PassAsync(TimeSpan.FromSeconds(5));
        Assert.False(more.IsCompleted);
        Assert.False(more2.IsCompleted);
        Assert.False(pair.A.Session(client).Links.Open[0].Listens);
    }

    [Fact]
    public async Task Listener_CutOffFromTheStoreForAMoment_TellsItWithAnIdWhenItIsBack()
    {
        await using var pair = await StartAsync();
        var (client, _) = await KnownToBothAsync(pair);
        var heard = await GetAsync(pair, client);
        using var stream = await pair.A.ListenAsync(client);

        pair.StoreOfA.IsAway = true;
        await heard.SendAsync(Said("first"), id: "e1");
        await heard.SendAsync(Said("second"), id: "e2");
        var first = stream.Events.EventAsync();
        await pair.PassAsync(TimeSpan.FromSeconds(3));
        Assert.False(first.IsCompleted);
        pair.StoreOfA.IsAway = false;

        var told = await pair.A.PassTimeAsync(first, TimeSpan.FromSeconds(30), "what was said");
        Assert.Equal(("first", true), (Data(told), told.Id is not null));
        Assert.Equal("second", await DataAsync(pair, stream));
    }

    [Fact]
    public async Task Listener_CutOffWhileMoreIsSaidThanThereIsRoomFor_AsksForTheRestOnceTheStoreIsBack()
    {
        const int many = 6;
        // However far the clock is moved before the test's own reader gets its turn, it is no slow one.
        await using var pair = await StartAsync(TimeSpan.FromMinutes(10));
        var (client, _) = await KnownToBothAsync(pair);
        var heard = await GetAsync(pair, client);
        using var stream = await pair.A.ListenAsync(client);
        var large = new string('x', 60_000);

        pair.StoreOfA.IsAway = true;
        for (var i = 1; i <= many; i++)
        {
            await heard.SendAsync(Said($"{i} {large}"), id: $"e{i}");
        }

        await pair.PassAsync(TimeSpan.FromSeconds(3));
        pair.StoreOfA.IsAway = false;
        var reading = Task.Run(async () =>
        {
            var told = new List<string>();
            while (told.Count < many)
            {
                told.Add(Data(await stream.Events.EventAsync())!.Split(' ')[0]);
            }

            return told;
        });

        var asked = 0;
        // Perhaps more than once: what waits for the store comes into the log meanwhile.
        _ = Task.Run(async () =>
        {
            while (true)
            {
                var again = await GetAsync(pair, client);
                Interlocked.Increment(ref asked);
                for (var i = 1 + int.Parse(again.LastEventId?[1..] ?? $"{many}", System.Globalization.CultureInfo.InvariantCulture); i <= many; i++)
                {
                    await again.SendAsync(Said($"{i} {large}"), id: $"e{i}");
                }
            }
        });
        Assert.Equal(Enumerable.Range(1, many).Select(i => $"{i}"), await pair.A.PassTimeAsync(reading, TimeSpan.FromSeconds(30), "all was told"));
        Assert.NotEqual(0, asked);
    }

    [Fact]
    public async Task Event_LargerThanAllThatMayWait_ReachesTheStreamAtTheOther()
    {
        await using var pair = await StartAsync(TimeSpan.FromMinutes(10));
        var (client, there) = await KnownToBothAsync(pair);
        var heard = await GetAsync(pair, client);
        using var stream = await pair.B.ListenAsync(there);
        await pair.UntilAsync(() => pair.A.Session(client).Outbox.IsConnected, "it is known where the stream is");
        var large = new string('x', 300_000);

        await heard.SendAsync(Said(large), id: "e1");
        Assert.Equal(large, await DataAsync(pair, stream));
        await heard.SendAsync(Said("second"), id: "e2");

        Assert.Equal("second", await DataAsync(pair, stream));
    }

    [Fact]
    public async Task Letter_StillUnderWayWhenTheStreamMovesToItsSender_IsHeardAgainAndToldInOrder()
    {
        await using var pair = await StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        // A listens to the server, and B has the client's stream.
        var heard = await GetAsync(pair, client);
        using var stream = await pair.B.ListenAsync(there);
        await pair.UntilAsync(() => pair.A.Session(client).Outbox.IsConnected, "it is known where the stream is");
        await heard.SendAsync(Said("first"), id: "e1");
        Assert.Equal("first", await DataAsync(pair, stream));
        var posts = 0;
        pair.Store.Store.Before = operation =>
        {
            posts += operation == "PostAsync" ? 1 : 0;
            return operation == "ReadMailboxAsync" ? Task.FromException(new Mooring.Stores.StoreException("scripted failure")) : Task.CompletedTask;
        };
        pair.Store.Signals.LosesAll = true;
        await heard.SendAsync(Said("second"), id: "e2");
        await pair.UntilAsync(() => posts > 0 && !pair.A.Session(client).Outbox.HasBacklog, "it is posted");
        pair.Store.Signals.LosesAll = false;

        using var stream2 = await pair.A.ListenAsync(client);
        await pair.UntilAsync(() => pair.A.Session(client).Outbox.Connections.Count > 0, "the stream is here");
        await heard.SendAsync(Said("third"), id: "e3");
        var again = await pair.A.PassTimeAsync(GetAsync(pair, client), TimeSpan.FromSeconds(30), "the server is asked again");
        Assert.Equal("e1", again.LastEventId);
        await again.SendAsync(Said("second"), id: "e2");
        await again.SendAsync(Said("third"), id: "e3");
        Assert.Equal("second", await DataAsync(pair, stream2));
        Assert.Equal("third", await DataAsync(pair, stream2));

        pair.Store.Store.Before = null;
        var (more, more2) = (stream.Events.EventAsync(), stream2.Events.EventAsync());
        await pair.PassAsync(TimeSpan.FromSeconds(10));
        Assert.False(more.IsCompleted);
        Assert.False(more2.IsCompleted);
    }

    [Fact]
    public async Task Letter_RefusedAtTheOther_IsHeardAgainByItsSender()
    {
        await using var pair = await StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        var heard = await GetAsync(pair, client);
        using var stream = await pair.B.ListenAsync(there);
        await pair.UntilAsync(() => pair.A.Session(client).Outbox.IsConnected, "it is known where the stream is");
        await heard.SendAsync(Said("first"), id: "e1");
        Assert.Equal("first", await DataAsync(pair, stream));

        // As if it had been lost on its way, with the memory of the one that had taken it.
        var lost = false;
        pair.Store.Store.Drop = record => !lost && (lost = record.Origin?.EventId == "e2");
        await heard.SendAsync(Said("second"), id: "e2");
        await heard.SendAsync(Said("third"), id: "e3");

        var again = await pair.A.PassTimeAsync(GetAsync(pair, client), TimeSpan.FromSeconds(30), "the server is asked again");
        Assert.Equal("e1", again.LastEventId);
    }

    [Fact]
    public async Task Server_NamedAPlaceBeforeItSaidAnything_IsListenedToFromThereByTheOther()
    {
        await using var pair = await StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        var heard = await GetAsync(pair, client);
        await heard.RawAsync("id: p0\ndata:\n\n");
        await pair.UntilAsync(
            () => pair.Store.Store.FindLinksAsync(client.SessionId!, CancellationToken.None).Result.Any(l => l.Heard == "p0"), "the place is kept");
        pair.StoreOfA.IsAway = true;

        var again = await pair.A.PassTimeAsync(GetAsync(pair, there), TimeSpan.FromSeconds(30), "the other listens");

        Assert.Equal("p0", again.LastEventId);
    }

    [Fact]
    public async Task Stream_LetGoOfBeforeTheStoreTookItsLastMessage_ShowsItWhereItIsNow()
    {
        await using var pair = await StartAsync();
        var stream = await LeaveWithALateMessageAsync(pair);
        var told = stream.Events.EventAsync();
        await pair.PassAsync(TimeSpan.FromSeconds(6));
        Assert.False(told.IsCompleted);

        pair.StoreOfA.Before = null;

        Assert.Equal("late", Data(await pair.A.PassTimeAsync(told, TimeSpan.FromSeconds(30), "what was said")));
        stream.Dispose();
    }

    [Fact]
    public async Task Stream_WrittenToByTheOtherWhileSignalsAreLost_IsLookedAtWhenTheyAreHeardAgain()
    {
        await using var pair = await StartAsync();
        var stream = await LeaveWithALateMessageAsync(pair);
        var told = stream.Events.EventAsync();
        await pair.PassAsync(TimeSpan.FromSeconds(6));
        pair.Store.Signals.LosesAll = true;
        pair.StoreOfA.Before = null;
        await pair.PassAsync(TimeSpan.FromSeconds(6));
        Assert.False(told.IsCompleted);

        pair.B.Sessions.All.Single().Doubt();

        Assert.Equal("late", Data(await pair.A.PassTimeAsync(told, TimeSpan.FromSeconds(30), "what was said")));
        stream.Dispose();
    }

    [Fact]
    public async Task Listener_TakenForDeadAndBackUnderAnotherName_ListensAnewUnderThat()
    {
        await using var pair = await StartAsync();
        var client = await pair.A.ClientAsync();
        await client.ResultAsync("echo");
        var heard = await GetAsync(pair, client);
        using var stream = await pair.A.ListenAsync(client);
        await heard.SendAsync(Said("first"), id: "e1");
        Assert.Equal("first", await DataAsync(pair, stream));
        pair.StoreOfA.IsAway = true;
        await TakenOverAsync(pair);

        pair.StoreOfA.IsAway = false;

        // What is refused elsewhere is signalled to who heard it, by name.
        var again = await pair.A.PassTimeAsync(GetAsync(pair, client), TimeSpan.FromSeconds(30), "it listens anew");
        Assert.Equal("e1", again.LastEventId);
        await again.SendAsync(Said("second"), id: "e2");
        Assert.Equal("second", await DataAsync(pair, stream));
    }

    [Fact]
    public async Task Server_SpeaksBeforeTheNewLinkIsSaved_IsNotSetBack()
    {
        var held = new TaskCompletionSource<UpstreamExchange>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var pair = await ReplicaPair.StartAsync(
            new FakeUpstream
            {
                HasGetStream = true,
                Intercept = e => (string?)e.Message?["method"] == "logging/setLevel" && held.TrySetResult(e),
            },
            ReplicaPair.FastCalls);
        // So that the server is known, and the next session has no link before its first call.
        await (await pair.A.ClientAsync()).ResultAsync("echo");
        var client = await pair.A.ClientAsync();
        await pair.A.Sessions.ChangeAsync(pair.A.Session(client), record => record with { LogLevel = "debug" });
        using var stream = await pair.A.ListenAsync(client);
        var calling = client.ResultAsync("echo");
        var setting = await pair.A.PassTimeAsync(held.Task, TimeSpan.FromSeconds(5), "the server is told the level");
        UpstreamExchange heard;
        do
        {
            heard = await pair.Upstream.GetAsync();
        }
        while (heard.Session != setting.Session);
        await heard.RawAsync("id: p0\ndata:\n\n");
        await heard.SendAsync(Said("first"), id: "e1");
        Assert.Equal("first", await DataAsync(pair, stream));

        setting.Result("{}");
        await calling;
        await pair.PassAsync(TimeSpan.FromSeconds(2));
        await heard.SendAsync(Said("second"), id: "e2");

        Assert.Equal("second", await DataAsync(pair, stream));
        Assert.Equal("e2", Assert.Single(await pair.Store.Store.FindLinksAsync(client.SessionId!, TestContext.Current.CancellationToken)).Heard);
    }

    /// <summary>It has no place at a server from which it could be heard again.</summary>
    [Fact]
    public async Task Letter_ReadAndNotYetInTheLogWhenItsReaderDies_IsToldByWhoeverTakesOver()
    {
        await using var pair = await StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        var (stream, first) = await PassedOnAsync(pair, client, there);
        var never = new TaskCompletionSource();
        pair.StoreOfA.Before = operation => operation == "AppendEventAsync" ? never.Task : Task.CompletedTask;
        pair.B.Tell(there, "second");
        // It is read, and whatever was read is off the mailbox, had it been taken off.
        await pair.PassAsync(TimeSpan.FromSeconds(3));

        pair.StoreOfA.IsAway = true;
        stream.Dispose();
        using var resumed = await pair.B.ListenAsync(there, first);

        Assert.Equal("second", await DataAsync(pair, resumed));
        pair.B.Tell(there, "third");
        Assert.Equal("third", await DataAsync(pair, resumed));
        never.SetResult();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Letter_InTheLogAndStillInTheMailboxWhenItsReaderDies_IsToldOnce(bool wasShown)
    {
        await using var pair = await StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        var (stream, first) = await PassedOnAsync(pair, client, there);
        var never = new TaskCompletionSource();
        pair.StoreOfA.Before = operation => operation == "AcknowledgeAsync" ? never.Task : Task.CompletedTask;
        pair.B.Tell(there, "second");
        var second = await pair.A.PassTimeAsync(stream.Events.EventAsync(), TimeSpan.FromSeconds(30), "what was said");

        pair.StoreOfA.IsAway = true;
        stream.Dispose();
        using var resumed = await pair.B.ListenAsync(there, wasShown ? second.Id : first);
        if (!wasShown)
        {
            Assert.Equal("second", await DataAsync(pair, resumed));
        }

        await TakenOverAsync(pair);
        await pair.PassAsync(TimeSpan.FromSeconds(3));
        pair.B.Tell(there, "third");

        Assert.Equal("third", await DataAsync(pair, resumed));
        never.SetResult();
    }

    [Fact]
    public async Task Letters_OfAStreamThatIsHere_AreOffTheMailboxOnceTheyAreInTheLog_AndSomeSecondsLaterInAnyCase()
    {
        await using var pair = await StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        var (stream, _) = await PassedOnAsync(pair, client, there);
        var never = new TaskCompletionSource();

        await pair.UntilAsync(() => Waiting() == 0, "it is off");
        pair.StoreOfA.Before = operation => operation == "AppendEventAsync" ? never.Task : Task.CompletedTask;
        pair.B.Tell(there, "second");
        await pair.PassAsync(TimeSpan.FromSeconds(4));
        Assert.Equal(1, Waiting());
        await pair.UntilAsync(() => Waiting() == 0, "it is off");

        never.SetResult();
        stream.Dispose();

        int Waiting() => pair.Store.Replicas.ReadMailboxAsync(pair.A.Get<Peers>().Name, 0, 10, CancellationToken.None).Result.Count;
    }

    private static async Task TakenOverAsync(ReplicaPair pair)
    {
        var (name, others) = (pair.A.Get<Peers>().Name, pair.B.Get<Peers>());
        await pair.UntilAsync(() => others.Others.Count == 0 && !others.IsDoubted(name), "it is taken over");
    }

    /// <summary>A stream at the first one, to which the second one has passed on something.</summary>
    private static async Task<(TestReply Stream, string First)> PassedOnAsync(ReplicaPair pair, McpTestClient client, McpTestClient there)
    {
        var stream = await pair.A.ListenAsync(client);
        await pair.UntilAsync(() => pair.B.Session(there).Outbox is { IsConnected: true, HasStream: false }, "it is known where the stream is");
        pair.B.Tell(there, "first");
        var first = await pair.A.PassTimeAsync(stream.Events.EventAsync(), TimeSpan.FromSeconds(30), "what was said");
        Assert.Equal("first", Data(first));
        return (stream, first.Id!);
    }

    /// <summary>A stream that has moved from the first one to the second, while that one has something for it which the store does not take.</summary>
    private static async Task<TestReply> LeaveWithALateMessageAsync(ReplicaPair pair)
    {
        var (client, there) = await KnownToBothAsync(pair);
        string? id;
        using (var before = await pair.A.ListenAsync(client))
        {
            pair.A.Tell(client, "first");
            id = (await before.Events.EventAsync()).Id;
        }

        await pair.UntilAsync(() => pair.A.Streams.Count == 0, "the stream is lost");
        pair.StoreOfA.Before = operation =>
            operation == "AppendEventAsync" ? Task.FromException(new Mooring.Stores.StoreException("scripted failure")) : Task.CompletedTask;
        pair.A.Tell(client, "late");
        var stream = await pair.B.ListenAsync(there, id);
        await pair.UntilAsync(() => pair.A.Session(client).Outbox.IsConnected, "it is known where the stream is");
        return stream;
    }

    private static Task<ReplicaPair> StartAsync(TimeSpan? writeTimeout = null) => ReplicaPair.StartAsync(
        new FakeUpstream { HasGetStream = true },
        config => ReplicaPair.FastCalls(config) with { Streams = config.Streams with { WriteTimeout = writeTimeout ?? config.Streams.WriteTimeout } });

    /// <summary>A client whose session both have in memory, and whose server the first one listens to.</summary>
    private static async Task<(McpTestClient Client, McpTestClient There)> KnownToBothAsync(ReplicaPair pair)
    {
        var client = await pair.A.ClientAsync();
        await client.ResultAsync("echo");
        await pair.UntilAsync(() => pair.A.Session(client).Links.Open is [{ Listens: true }], "the first one listens");
        var there = ReplicaPair.At(pair.B, client);
        await there.ResultAsync("echo");
        return (client, there);
    }

    /// <summary>The next GET on the server's session of the client.</summary>
    private static async Task<UpstreamExchange> GetAsync(ReplicaPair pair, McpTestClient client)
    {
        var gateway = pair.A.Sessions.Has(client.SessionId!) ? pair.A : pair.B;
        while (true)
        {
            var next = await pair.Upstream.GetAsync();
            if (next.Session == gateway.Session(client).Links.Open[0].SessionId)
            {
                return next;
            }
        }
    }

    private static string Said(string data) => $$$"""{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"{{{data}}}"}}""";

    private static async Task<string?> DataAsync(ReplicaPair pair, TestReply stream) =>
        Data(await pair.A.PassTimeAsync(stream.Events.EventAsync(), TimeSpan.FromSeconds(30), "what was said"));

    private static string? Data(TestEvent told) => (string?)told.Message["params"]?["data"];
}
