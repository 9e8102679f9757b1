using System.Text;
using Mooring.Calls;
using Mooring.FrontDoor;
using Mooring.Replicas;
using Mooring.Routing;
using Mooring.Stores;
using Mooring.Streams;
using Xunit;

namespace Mooring.Tests.Replicas;

/// <summary>Who is there, who answers for whom, and letters that must not be read twice.</summary>
public sealed class PeersTests
{
    [Fact]
    public async Task Idle_ForAMinute_AskTheStoreOncePerBeatAndLook()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var asked = 0;
        pair.Store.Store.Before = operation =>
        {
            if (operation is "FindReplicasAsync" or "ReadMailboxAsync" || operation.StartsWith("BeatAsync", StringComparison.Ordinal))
            {
                Interlocked.Increment(ref asked);
            }

            return Task.CompletedTask;
        };

        await pair.PassAsync(TimeSpan.FromMinutes(1));

        // Two replicas, each with 30 beats of two questions and 30 looks into its mailbox.
        Assert.InRange(asked, 100, 200);
    }

    /// <summary>Behind a transaction-pooling proxy, say, nobody hears signals: mail then waits for a fifth of a second at most, where it would wait for two.</summary>
    [Theory]
    [InlineData(false, 5, 12)]
    [InlineData(true, 25, 110)]
    public async Task Mailbox_IsLookedIntoMoreOften_WhileNobodyHears(bool isDeaf, int least, int most)
    {
        await using var pair = await ReplicaPair.StartAsync();
        if (isDeaf)
        {
            pair.Store.Signals.Break();
            await pair.PassAsync(TimeSpan.FromSeconds(3));
        }

        var looks = 0;
        pair.Store.Store.Before = operation => Task.FromResult(operation == "ReadMailboxAsync" ? Interlocked.Increment(ref looks) : 0);
        await pair.PassAsync(TimeSpan.FromSeconds(10));

        Assert.InRange(looks, least, most);
    }

    [Fact]
    public async Task Beginning_IsKnownToTheOthersAtOnce_AndSoIsItsEnd()
    {
        await using var pair = await ReplicaPair.StartAsync();
        await using var third = await GatewayFixture.StartAsync(new FixtureOptions { Clock = pair.A.Clock, Shared = pair.Store }, pair.Upstream);
        var (a, c) = (pair.A.Get<Peers>(), third.Get<Peers>());

        await pair.A.UntilAsync(() => a.Others.Contains(c.Name) && c.Others.Contains(a.Name), "they know of each other, with the clock standing");

        await Limit.Of(c.DisposeAsync().AsTask(), "the goodbye");
        await pair.A.UntilAsync(() => !a.Others.Contains(c.Name), "it is known to be gone, with the clock standing");
    }

    [Fact]
    public async Task Beginning_ListsChangeBeforeTheOthersKnowOfIt_HasThemAllTheSame()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (names, loads) = (new[] { pair.A.Get<Peers>().Name, pair.B.Get<Peers>().Name }, 0);
        var begins = new TaskCompletionSource();
        pair.Store.Store.Before = operation =>
        {
            _ = operation == "LoadCatalogueAsync" ? Interlocked.Increment(ref loads) : 0;
            return operation.Split(' ') is ["BeatAsync", var name] && !names.Contains(name) ? begins.Task : Task.CompletedTask;
        };
        await using var third = await GatewayFixture.StartAsync(new FixtureOptions { Clock = pair.A.Clock, Shared = pair.Store }, pair.Upstream);
        await pair.A.UntilAsync(() => Volatile.Read(ref loads) >= 2, "it has read what there was, at its start and each time it heard");

        pair.A.Get<Catalogue>().Save("one", "news", "{}"u8.ToArray());
        begins.SetResult();

        await pair.A.UntilAsync(() => !third.Get<Catalogue>().Find("one", "news").InitializeResult.IsEmpty, "it has the news");
    }

    [Fact]
    public async Task Mailbox_ReadingItFailsByABug_IsReadAgain()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (a, b) = (pair.A.Get<Peers>(), pair.B.Get<Peers>());
        var failed = 0;
        pair.Store.Store.Before = operation => operation == "ReadMailboxAsync" && Interlocked.Increment(ref failed) < 5
            ? Task.FromException(new InvalidOperationException("scripted bug"))
            : Task.CompletedTask;
        await pair.UntilAsync(() => Volatile.Read(ref failed) > 4, "reading has failed");
        var read = false;
        b.OnLetter("late", _ =>
        {
            read = true;
            return Task.CompletedTask;
        });

        Assert.True(await a.PostAsync(b.Name, "late", new Letter("session", "", default)));

        await pair.UntilAsync(() => read, "it is read");
    }

    [Fact]
    public async Task Letter_ReadOnce_IsOffTheMailboxBefore()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (a, b) = (pair.A.Get<Peers>(), pair.B.Get<Peers>());
        int? left = null;
        b.OnLetter("once", async _ => left = (await pair.Store.Replicas.ReadMailboxAsync(b.Name, 0, 10, CancellationToken.None)).Count, once: true);

        Assert.True(await a.PostAsync(b.Name, "once", new Letter("session", "", default)));

        await pair.UntilAsync(() => left is not null, "it is read");
        Assert.Equal(0, left);
    }

    [Fact]
    public async Task Letter_ReadOnceAndTakenOverMeanwhile_IsReadByTheHeirAlone()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (a, b) = (pair.A.Get<Peers>(), pair.B.Get<Peers>());
        var readers = new List<string>();
        foreach (var (who, peers) in new[] { ("a", a), ("b", b) })
        {
            peers.OnLetter(
                "once",
                _ =>
                {
                    readers.Add(who);
                    return Task.CompletedTask;
                },
                once: true);
        }

        var (name, held, isHeld) = (b.Name, new TaskCompletionSource(), false);
        pair.Store.Store.Before = operation => operation == "AcknowledgeAsync" && !isHeld ? HoldAsync() : Task.CompletedTask;
        Assert.True(await a.PostAsync(name, "once", new Letter("session", "", default)));
        await pair.UntilAsync(() => isHeld, "it is about to be read");

        await pair.Store.Replicas.BeatAsync(name, "", TimeSpan.Zero);
        Assert.True(await pair.Store.Replicas.TryTakeOverAsync(name, a.Name));
        held.SetResult();

        await pair.UntilAsync(() => readers.Count > 0 && b.Name != name, "it is read, and the other has another name");
        await pair.PassAsync(TimeSpan.FromSeconds(5));
        Assert.Equal(["a"], readers);

        Task HoldAsync()
        {
            isHeld = true;
            return held.Task;
        }
    }

    [Fact]
    public async Task Letter_ReadOnceAndTheStoresAnswerIsLost_IsReadOnceAllTheSame()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (a, b) = (pair.A.Get<Peers>(), pair.B.Get<Peers>());
        var (read, answers) = (0, 0);
        b.OnLetter(
            "once",
            _ =>
            {
                read++;
                return Task.CompletedTask;
            },
            once: true);
        pair.Store.Store.After = operation =>
        {
            if (operation == "AcknowledgeAsync" && ++answers == 1)
            {
                throw new StoreException("the answer was lost");
            }
        };

        Assert.True(await a.PostAsync(b.Name, "once", new Letter("session", "", default)));

        await pair.UntilAsync(() => read > 0, "it is read");
        await pair.PassAsync(TimeSpan.FromSeconds(5));
        Assert.Equal(1, read);
    }

    [Fact]
    public async Task Dead_HeirOfADeadOne_ItsCallsAreEndedByTheNext()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        await pair.Store.Replicas.BeatAsync("dead", "", TimeSpan.Zero);
        await pair.Store.Replicas.BeatAsync("heir", "", TimeSpan.FromSeconds(1));
        Assert.True(await pair.Store.Replicas.TryTakeOverAsync("dead", "heir"));
        await RunningAsync(pair, client, "dead");

        await pair.UntilAsync(() => Events(pair, client).Count > 0, "the call is ended");

        Assert.Contains("outcome_unknown", Encoding.UTF8.GetString(Assert.Single(Events(pair, client)).Body.Span), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stop_CallStillOpenInTheStore_IsEndedBeforeItGoes()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        await RunningAsync(pair, client, pair.B.Get<Peers>().Name);

        await pair.StopBAsync();

        Assert.Contains("outcome_unknown", Encoding.UTF8.GetString(Assert.Single(Events(pair, client)).Body.Span), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stop_LettersComeJustThen_AreHandedOnAndCallsSentBack()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        var (a, name, read) = (pair.A.Get<Peers>(), pair.B.Get<Peers>().Name, new List<string>());
        a.OnLetter("test", letter =>
        {
            read.Add(letter.Subject);
            return Task.CompletedTask;
        });
        await pair.Store.Replicas.BeatAsync("asking", "", TimeSpan.FromHours(1));
        pair.Store.Store.Before = async operation =>
        {
            if (operation == "RemoveReplicaAsync")
            {
                pair.Store.Store.Before = null;
                await pair.Store.Replicas.PostAsync(name, "test", "1", new Letter(client.SessionId!, "late", default).ToBytes());
                await pair.Store.Replicas.PostAsync(name, "call", "2", new Letter(client.SessionId!, $"asking key {name}", Echo).ToBytes());
            }
        };

        await pair.StopBAsync();

        await pair.UntilAsync(() => read.Count > 0, "the letter is read");
        Assert.Equal(["late"], read);
        Assert.Equal(["moved"], (await pair.Store.Replicas.ReadMailboxAsync("asking", 0, 10, CancellationToken.None)).Select(mail => mail.Kind));
        Assert.Equal(0, pair.Upstream.Executions("echo"));
        Assert.DoesNotContain(await pair.Store.Replicas.FindReplicasAsync(CancellationToken.None), r => r.Id == name);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Slow_ReplicaTakenForDeadAnswersLate_ClientHasOneAnswer(bool saysMoreBefore)
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        var (reply, call) = await pair.A.StreamedAsync(client, id: "7");
        using var stream = reply;
        await pair.B.Get<CallsLeftBehind>().EndAsync(
            await pair.Store.Store.FindRunningCallsAsync(pair.A.Get<Peers>().Name, CancellationToken.None), "it is slow", pair.B.Get<LeftCalls>(), CancellationToken.None);

        if (saysMoreBefore)
        {
            call.Stream();
            await call.SendAsync("""{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"still here"}}""");
        }

        var told = saysMoreBefore ? await stream.MessageAsync() : null;
        if (saysMoreBefore)
        {
            await call.SendTextAsync("late");
            call.End();
        }
        else
        {
            call.Text("late");
        }

        told ??= await stream.MessageAsync();
        Assert.Equal("outcome_unknown", told.Reason());
        Assert.DoesNotContain(await Limit.Of(stream.Events.RestAsync(), "the end of the stream"), e => e.IsMessage && e.Message["id"] is not null);
        Assert.True(EventId.TryParse(stream.Events.LastEventId, out var last));
        var log = await pair.Store.Store.ReadEventsAsync(client.SessionId!, last.Stream, 0, 100, CancellationToken.None);
        Assert.Single(log, e => e.RequestId is not null);
        Assert.Empty(await pair.Store.Store.FindRunningCallsAsync(CancellationToken.None));
    }

    private static readonly byte[] Echo = """{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}"""u8.ToArray();

    private static Task RunningAsync(ReplicaPair pair, McpTestClient client, string replica) => pair.Store.Store.OpenStreamAsync(
        new StreamRecord
        {
            SessionId = client.SessionId!,
            StreamId = "p0123456789",
            Kind = StreamKind.Post,
            State = StreamState.Running,
            RequestIds = ["7"],
            Server = "one",
            Replica = replica,
            Changed = pair.A.Clock.GetUtcNow(),
        },
        primer: null);

    private static IReadOnlyList<EventRecord> Events(ReplicaPair pair, McpTestClient client) =>
        pair.Store.Store.ReadEventsAsync(client.SessionId!, "p0123456789", 0, 10, CancellationToken.None).Result;
}
