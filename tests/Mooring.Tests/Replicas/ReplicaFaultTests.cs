using System.Net;
using System.Text;
using Mooring.Replicas;
using Mooring.Sessions;
using Mooring.Stores;
using Xunit;

namespace Mooring.Tests.Replicas;

/// <summary>Signals are lost, the store fails now and then, replicas stand still: what was said reaches the client all the same, once.</summary>
public sealed class ReplicaFaultTests
{
    [Fact]
    public async Task Message_WaitsHereAndTheSignalOfTheStreamIsLost_ReachesItAllTheSame()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        pair.Store.Signals.LosesAll = true;
        pair.B.Tell(there, "early");

        using var stream = await pair.A.ListenAsync(client);

        Assert.Equal("early", await SaidAsync(pair, stream));
    }

    [Fact]
    public async Task Message_ForASilentStreamAndTheSignalOfTheNewOneIsLost_ReachesItAllTheSame()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        using (await pair.B.ListenAsync(there))
        {
        }

        await pair.UntilAsync(() => pair.B.Streams.Count == 0, "the stream is lost");
        pair.Store.Signals.LosesAll = true;
        pair.B.Tell(there, "0");
        using var stream = await pair.A.ListenAsync(client);
        pair.B.Tell(there, "1");

        await pair.PassAsync(TimeSpan.FromSeconds(6));
        await there.ResultAsync("echo");

        Assert.Equal("0", await SaidAsync(pair, stream));
        Assert.Equal("1", await SaidAsync(pair, stream));
        Assert.False(stream.Events.HasNext);
    }

    [Fact]
    public async Task Message_PostedAndTheStoresAnswerIsLost_AndTheStreamComesToTheSender_IsToldOnce()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        using (await pair.B.ListenAsync(there))
        {
        }

        await pair.UntilAsync(() => pair.B.Streams.Count == 0 && pair.A.Session(client).Outbox.IsConnected, "the stream is lost, and it is known where it was");
        pair.Store.Store.Before = Failing("ReadMailboxAsync");
        pair.StoreOfA.After = operation =>
        {
            if (operation == "PostAsync")
            {
                pair.StoreOfA.After = null;
                throw new StoreException("scripted failure");
            }
        };
        pair.A.Tell(client, "once");
        await pair.A.UntilAsync(() => pair.StoreOfA.After is null, "it is posted");

        using var stream = await pair.A.ListenAsync(client);
        Assert.Equal("once", await SaidAsync(pair, stream));
        pair.Store.Store.Before = null;
        await pair.PassAsync(TimeSpan.FromSeconds(10));
        pair.A.Tell(client, "next");

        Assert.Equal("next", await SaidAsync(pair, stream));
    }

    [Fact]
    public async Task Message_CommittedButSaidToHaveFailed_AndTheStreamIsResumedBeforeItIsTriedAgain_IsToldOnce()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var client = await pair.A.ClientAsync();
        string last;
        using (var before = await pair.A.ListenAsync(client))
        {
            pair.A.Tell(client, "first");
            last = (await before.Events.EventAsync()).Id!;
        }

        await pair.UntilAsync(() => pair.A.Streams.Count == 0, "the stream is lost");
        pair.StoreOfA.LosesAnswers = true;
        pair.A.Tell(client, "second");
        await pair.A.UntilAsync(() => pair.A.LogLines.Lines.Any(l => l.StartsWith("Warning EventNotKept", StringComparison.Ordinal)), "the store lost its answer");
        pair.StoreOfA.LosesAnswers = false;

        using var stream = await pair.A.ListenAsync(client, last);
        Assert.Equal("second", await SaidAsync(pair, stream));
        pair.A.Tell(client, "third");

        Assert.Equal("third", await SaidAsync(pair, stream));
        var written = await pair.Store.Store.ReadEventsAsync(client.SessionId!, last[..last.LastIndexOf('-')], 0, 10, CancellationToken.None);
        Assert.Single(written, e => Encoding.UTF8.GetString(e.Body.Span).Contains("second", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Message_CannotBePassedOnForAWhile_ArrivesInOrderAndOnce()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        using var stream = await pair.A.ListenAsync(client);
        await pair.UntilAsync(() => pair.B.Session(there).Outbox.IsConnected, "it is known where the stream is");
        pair.Store.Store.Before = Failing("PostAsync");
        for (var i = 0; i < 3; i++)
        {
            pair.B.Tell(there, $"{i}");
        }

        var first = stream.Events.EventAsync();
        await pair.PassAsync(TimeSpan.FromSeconds(3));
        Assert.False(first.IsCompleted);
        pair.Store.Store.Before = null;
        pair.B.Tell(there, "3");

        Assert.Equal("0", Data(await pair.A.PassTimeAsync(first, TimeSpan.FromSeconds(30), "what was said")));
        for (var i = 1; i <= 3; i++)
        {
            Assert.Equal($"{i}", await SaidAsync(pair, stream));
        }

        await pair.PassAsync(TimeSpan.FromSeconds(3));
        Assert.False(stream.Events.HasNext);
    }

    [Fact]
    public async Task Record_ReadBeforeTheStreamCameHere_MovesNothing()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        using var older = await pair.A.ListenAsync(client);
        var session = pair.B.Session(there);
        var asked = session.Asking();
        var record = await pair.Store.Store.FindSessionAsync(session.Id, CancellationToken.None);
        using var stream = await pair.B.ListenAsync(there);
        var posted = 0;
        pair.Store.Store.Before = operation => Task.FromResult(operation == "PostAsync" ? ++posted : 0);

        session.Confirm(record!, asked);
        pair.B.Tell(there, "here");

        Assert.Equal("here", await SaidAsync(pair, stream));
        Assert.Equal(0, posted);
    }

    [Fact]
    public async Task Listener_StoreDidNotTakeIt_IsToldAgain()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        pair.Store.Store.Before = Failing("SetListenerAsync");
        using var stream = await pair.A.ListenAsync(client);
        pair.B.Tell(there, "early");
        var first = stream.Events.EventAsync();
        await pair.PassAsync(TimeSpan.FromSeconds(3));
        Assert.False(first.IsCompleted);

        pair.Store.Store.Before = null;

        Assert.Equal("early", Data(await pair.A.PassTimeAsync(first, TimeSpan.FromSeconds(30), "what was said")));
    }

    [Fact]
    public async Task Listener_StoreDidNotTakeIt_AndTheRecordNamesAReplicaWithoutAnybody_IsToldAgain()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        using (await pair.B.ListenAsync(there))
        {
        }

        await pair.UntilAsync(() => pair.B.Streams.Count == 0 && pair.A.Session(client).Outbox.IsConnected, "the stream is lost, and it is known where it was");
        pair.Store.Store.Before = Failing("SetListenerAsync");
        using var stream = await pair.A.ListenAsync(client);
        await pair.PassAsync(TimeSpan.FromSeconds(3));
        pair.Store.Store.Before = null;
        pair.B.Tell(there, "said there");
        pair.A.Tell(client, "said here");

        Assert.Equal(["said here", "said there"], new[] { await SaidAsync(pair, stream), await SaidAsync(pair, stream) }.Order());
    }

    /// <summary>The stream that only broke is asked for again before its replica is taken for one that has nobody.</summary>
    [Fact]
    public async Task Listener_BrokenForAMoment_IsNotTakenFromItsReplica()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        using var older = await pair.A.ListenAsync(client);
        string? last = null;
        for (var round = 0; round < 4; round++)
        {
            using var newest = await pair.B.ListenAsync(there, last);
            pair.B.Tell(there, $"{round}");
            var told = await pair.A.PassTimeAsync(newest.Events.EventAsync(), TimeSpan.FromSeconds(5), "what was said");
            Assert.Equal($"{round}", Data(told));
            last = told.Id;
            await pair.PassAsync(TimeSpan.FromSeconds(1));
            newest.Dispose();
            await pair.B.UntilAsync(() => pair.B.Streams.Count == 0, "the stream is lost");
            await pair.PassAsync(TimeSpan.FromSeconds(3));
            Assert.True(pair.A.Session(client).Outbox is { IsConnected: true, HasStream: false });
        }
    }

    [Fact]
    public async Task Listener_GivenUpAndTheStoreTookItAfterTheNextOne_TheNextOneIsTold()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        var (isHeld, held) = pair.StoreOfA.Hold("SetListenerAsync");
        using (await pair.A.ListenAsync(client))
        {
            await pair.UntilAsync(isHeld, "A is about to say that the stream is there");
        }

        using var stream = await pair.B.ListenAsync(there);
        await pair.UntilAsync(() => pair.B.Session(there).Outbox.HasStream, "the next one is there");
        held.SetResult();
        await pair.PassAsync(TimeSpan.FromSeconds(3));
        pair.A.Tell(client, "said at A");
        pair.B.Tell(there, "said at B");

        Assert.Equal(["said at A", "said at B"], new[] { await SaidAsync(pair, stream), await SaidAsync(pair, stream) }.Order());
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task Stream_OpenedOrResumedWhileItsSessionEnds_EndsWithIt(bool isResumed, bool endsHere)
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        string? last = null;
        if (isResumed)
        {
            using var before = await pair.B.ListenAsync(there);
            pair.B.Tell(there, "before");
            last = (await before.Events.EventAsync()).Id;
        }

        await pair.UntilAsync(() => pair.B.Streams.Count == 0, "the stream is lost");
        var (isHeld, held) = pair.StoreOfA.Hold("SetListenerAsync");
        var listening = client.GetAsync(last);
        await pair.UntilAsync(isHeld, "A is about to say that the stream is there");
        using var deleted = await Limit.Of((endsHere ? client : there).DeleteAsync(), "the end of the session");
        await pair.UntilAsync(() => !pair.A.Sessions.Has(client.SessionId!), "it has ended at A");
        held.SetResult();

        using var stream = await listening;
        await pair.A.PassTimeAsync(stream.Events.RestAsync(), TimeSpan.FromSeconds(5), "the end of the stream");
        await pair.A.UntilAsync(() => pair.A.Streams.Count == 0, "the stream is over");
    }

    [Fact]
    public async Task Stream_ResumedWhileItIsHeardThatItWasElsewhere_IsTheOneThatIsTold()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        pair.Store.Signals.LosesAll = true;
        string? last;
        using (var before = await pair.A.ListenAsync(client))
        {
            pair.A.Tell(client, "first");
            last = (await before.Events.EventAsync()).Id!;
        }

        var streamId = last[..last.LastIndexOf('-')];
        using (await pair.B.ListenAsync(there, last))
        {
            await pair.UntilAsync(() => pair.B.Session(there).Outbox.HasStream, "it is at B");
        }

        await pair.UntilAsync(() => pair.A.Streams.Count + pair.B.Streams.Count == 0, "it is lost again");
        var (isHeld, held) = pair.StoreOfA.Hold("FindStreamAsync");
        var listening = client.GetAsync(last);
        await pair.A.UntilAsync(isHeld, "A has found it and asks the store for it");
        pair.A.Session(client).Doubt();
        await pair.UntilAsync(() => pair.A.Session(client).Outbox.Find(streamId) is null, "A has heard where it was");
        held.SetResult();

        using var stream = await Limit.Of(listening, "the head of the stream");
        pair.A.Tell(client, "second");
        Assert.Equal("second", await SaidAsync(pair, stream));
    }

    /// <summary>As behind a transaction-pooling proxy: what signals would have said is found within seconds, not within what is bearable once.</summary>
    [Fact]
    public async Task Stream_OpenedAtTheOtherWhileNobodyHears_IsGivenWhatIsSaidHere()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        pair.Store.Signals.Break();
        using var stream = await pair.B.ListenAsync(there);

        pair.A.Tell(client, "said here");

        Assert.Equal("said here", Data(await pair.A.PassTimeAsync(stream.Events.EventAsync(), TimeSpan.FromSeconds(15), "what was said")));
    }

    [Fact]
    public async Task Replica_TakenForDeadWhileItStoodStill_IsFoundUnderItsNewName()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        using var stream = await pair.A.ListenAsync(client);
        var before = pair.A.Get<Peers>().Name;
        pair.Store.Store.Before = Failing($"BeatAsync {before}");
        // A lease that is over is not enough: until it is taken over, its next beat counts, and it keeps its name.
        var others = pair.B.Get<Peers>();
        await pair.UntilAsync(() => others.Others.Count == 0 && !others.IsDoubted(before), "it is taken over");
        pair.B.Tell(there, "meanwhile");

        pair.Store.Store.Before = null;
        await pair.UntilAsync(() => pair.A.Get<Peers>().Name != before, "it goes on as a new one");
        pair.B.Tell(there, "later");

        Assert.Equal("meanwhile", await SaidAsync(pair, stream));
        Assert.Equal("later", await SaidAsync(pair, stream));
    }

    [Fact]
    public async Task Store_AwayForLong_NoReplicaIsSaidToBeGone()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var gone = new List<string>();
        pair.A.Get<Peers>().OnGone(gone.Add);
        pair.Store.Store.IsAway = true;
        await pair.PassAsync(TimeSpan.FromSeconds(20));
        pair.Store.Store.IsAway = false;

        await pair.PassAsync(TimeSpan.FromSeconds(20));

        Assert.Empty(gone);
        Assert.Equal([pair.B.Get<Peers>().Name], pair.A.Get<Peers>().Others);
    }

    [Fact]
    public async Task Dead_ReplicaAndTheStoreFailsWhileItsCallsAreEnded_TheyAreEndedLater()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, _) = await KnownToBothAsync(pair);
        pair.Store.Store.Before = Failing("FindRunningCallsAsync");
        await DieWithACallAsync(pair, client);
        await pair.UntilAsync(() => pair.Store.Replicas.FindReplicasAsync(CancellationToken.None).Result.All(r => r.Id != "dead"), "it is taken over");
        await pair.PassAsync(TimeSpan.FromSeconds(5));
        Assert.Empty(Events(pair, client));

        pair.Store.Store.Before = null;
        await pair.UntilAsync(() => Events(pair, client).Count > 0, "the call is ended");

        Assert.Contains("outcome_unknown", Encoding.UTF8.GetString(Assert.Single(Events(pair, client)).Body.Span), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Dead_ReplicaThatWasOnlySlowAndAnswersJustNow_ItsAnswerCounts()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, _) = await KnownToBothAsync(pair);
        pair.Store.Store.Before = async operation =>
        {
            if (operation == "AppendEventAsync")
            {
                pair.Store.Store.Before = null;
                await pair.Store.Store.AppendEventAsync(
                    new EventRecord(client.SessionId!, "p0123456789", 1, "late but true"u8.ToArray(), pair.A.Clock.GetUtcNow(), "7"));
            }
        };
        await DieWithACallAsync(pair, client);
        await pair.UntilAsync(() => Events(pair, client).Count > 0, "the call is answered");
        await pair.PassAsync(TimeSpan.FromSeconds(20));

        Assert.Equal("late but true", Encoding.UTF8.GetString(Assert.Single(Events(pair, client)).Body.Span));
    }

    [Fact]
    public async Task Change_HereAndAtTheOtherWithoutASignal_BothHold()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        pair.Store.Signals.LosesAll = true;

        Assert.True(await pair.A.Sessions.ChangeAsync(pair.A.Session(client), r => r with { LogLevel = "error" }));
        Assert.True(await pair.B.Sessions.ChangeAsync(pair.B.Session(there), r => r with { Subscriptions = ["x"] }));

        var record = await pair.Store.Store.FindSessionAsync(client.SessionId!, CancellationToken.None);
        Assert.Equal(("error", "x"), (record!.LogLevel, Assert.Single(record.Subscriptions)));
        Assert.Equal("error", pair.B.Session(there).Record.LogLevel);
    }

    [Fact]
    public async Task Changes_ManyAtOnceAtBoth_NoneIsLost()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, there) = await KnownToBothAsync(pair);

        var done = await Task.WhenAll(Enumerable.Range(0, 10).Select(i =>
        {
            var (gateway, at) = i % 2 == 0 ? (pair.A, client) : (pair.B, there);
            return gateway.Sessions.ChangeAsync(gateway.Session(at), r => r with { Subscriptions = [.. r.Subscriptions, $"{i}"] });
        }));

        Assert.DoesNotContain(false, done);
        var record = await pair.Store.Store.FindSessionAsync(client.SessionId!, CancellationToken.None);
        Assert.Equal(Enumerable.Range(0, 10).Select(i => $"{i}"), record!.Subscriptions.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Change_OfASessionThatEndedAtTheOther_DoesNotBringItBack()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, _) = await KnownToBothAsync(pair);
        await pair.Store.Store.DeleteSessionAsync(client.SessionId!);

        Assert.False(await pair.A.Sessions.ChangeAsync(pair.A.Session(client), r => r with { LogLevel = "error" }));

        Assert.Null(await pair.Store.Store.FindSessionAsync(client.SessionId!, CancellationToken.None));
        Assert.DoesNotContain(pair.A.Sessions.All, s => s.Id == client.SessionId);
    }

    [Fact]
    public async Task Change_StoreLostTheLatestRevision_StartsFromWhatTheStoreHas()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, _) = await KnownToBothAsync(pair);
        var session = pair.A.Session(client);
        Assert.True(await pair.A.Sessions.ChangeAsync(session, r => r with { LogLevel = "error" }));
        var before = session.Record;
        await pair.Store.Store.DeleteSessionAsync(session.Id);
        await pair.Store.Store.SaveSessionAsync(before with { LogLevel = null });

        Assert.True(await pair.A.Sessions.ChangeAsync(session, r => r with { Subscriptions = ["x"] }));

        Assert.Equal("x", Assert.Single((await pair.Store.Store.FindSessionAsync(session.Id, CancellationToken.None))!.Subscriptions));
    }

    [Fact]
    public async Task Delete_AtTheOtherAndItsSignalLost_TheOpenStreamEndsWithinAMinuteOrTwo()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, _) = await KnownToBothAsync(pair);
        using var stream = await pair.A.ListenAsync(client);
        await pair.Store.Store.DeleteSessionAsync(client.SessionId!);

        await pair.A.PassTimeAsync(stream.Events.RestAsync(), TimeSpan.FromSeconds(90), "the end of the stream");
    }

    [Fact]
    public async Task Session_DoubtedJustBeforeTheStoreIsAway_IsServed()
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var (client, _) = await KnownToBothAsync(pair);
        pair.A.Session(client).Doubt();
        pair.Store.Store.IsAway = true;

        using var answer = await Limit.Of(client.CallAsync("echo"), "an answer");

        Assert.Equal(HttpStatusCode.OK, answer.Status);
    }

    [Fact]
    public async Task Session_DoubtedWhileTheStoreAnswers_IsAskedAboutAgain()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, _) = await KnownToBothAsync(pair);
        var session = pair.A.Session(client);
        var asked = session.Asking();
        var record = await pair.Store.Store.FindSessionAsync(session.Id, CancellationToken.None);
        session.Doubt();

        session.Confirm(record!, asked);
        Assert.True(session.IsDoubted);

        session.Confirm(record!, session.Asking());
        Assert.False(session.IsDoubted);
    }

    [Fact]
    public async Task Letter_ThatMustArriveAndTheStoreIsAway_ArrivesOnceItIsBack()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (a, b) = (pair.A.Get<Peers>(), pair.B.Get<Peers>());
        var read = new List<string>();
        b.OnLetter("test", letter =>
        {
            read.Add(letter.Subject);
            return Task.CompletedTask;
        });
        pair.Store.Store.IsAway = true;
        var posting = a.PostSurelyAsync(b.Name, "test", new Letter("session", "hello", default));
        await pair.PassAsync(TimeSpan.FromSeconds(3));
        Assert.False(posting.IsCompleted);

        pair.Store.Store.IsAway = false;

        Assert.True(await pair.A.PassTimeAsync(posting, TimeSpan.FromSeconds(5), "it was posted"));
        await pair.UntilAsync(() => read.Count > 0, "it was read");
        await pair.PassAsync(TimeSpan.FromSeconds(3));
        Assert.Equal(["hello"], read);
    }

    [Fact]
    public async Task Letter_ThatMustArriveAndOnlyTheAnswerOfTheStoreIsLost_IsReadOnce()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (a, b) = (pair.A.Get<Peers>(), pair.B.Get<Peers>());
        var read = 0;
        b.OnLetter("test", _ =>
        {
            read++;
            return Task.CompletedTask;
        });
        var posts = 0;
        pair.Store.Store.After = operation =>
        {
            if (operation == "PostAsync" && ++posts == 1)
            {
                throw new StoreException("the answer was lost");
            }
        };

        Assert.True(await pair.A.PassTimeAsync(a.PostSurelyAsync(b.Name, "test", new Letter("session", "hello", default)), TimeSpan.FromSeconds(5), "it was posted"));

        await pair.PassAsync(TimeSpan.FromSeconds(6));
        Assert.Equal((2, 1), (posts, read));
    }

    [Fact]
    public async Task Letter_ToAReplicaThatIsGone_IsNotPosted()
    {
        await using var pair = await ReplicaPair.StartAsync();

        Assert.False(await Limit.Of(pair.A.Get<Peers>().PostSurelyAsync("nobody", "test", new Letter("session", "hello", default)), "the answer"));
    }

    [Fact]
    public async Task Gone_Replica_IsToldAfterAllItWroteWasRead()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (a, b) = (pair.A.Get<Peers>(), pair.B.Get<Peers>());
        var heard = new List<string>();
        a.OnLetter("test", _ =>
        {
            heard.Add("letter");
            return Task.CompletedTask;
        });
        a.OnGone(_ => heard.Add("gone"));
        pair.Store.Signals.LosesAll = true;
        for (var i = 0; i < 150; i++)
        {
            Assert.True(await b.PostAsync(a.Name, "test", new Letter("session", "", default)));
        }

        await pair.StopBAsync();

        await pair.UntilAsync(() => heard.Contains("gone"), "it is known to be gone");
        Assert.Equal([.. Enumerable.Repeat("letter", 150), "gone"], heard);
    }

    [Fact]
    public async Task Changes_ManyAreSignalledWhileTheStoreIsSlow_TheStoreIsAskedOnceAndAgainByTheNextUse()
    {
        await using var pair = await ReplicaPair.StartAsync();
        var (client, there) = await KnownToBothAsync(pair);
        await pair.UntilAsync(() => pair.B.Get<Peers>().Others.Contains(pair.A.Get<Peers>().Name), "the one that signals knows that the other lives");
        var (answers, asked) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), 0);
        pair.Store.Store.Before = operation =>
        {
            asked += operation == "FindSessionAsync" ? 1 : 0;
            return operation == "FindSessionAsync" ? answers.Task : Task.CompletedTask;
        };

        for (var i = 1; i <= 20; i++)
        {
            var doubts = pair.A.Session(client).Asking().Doubts;
            pair.B.Get<Peers>().SignalAll(SessionTable.ChangedSignal, client.SessionId!);
            await pair.A.UntilAsync(() => pair.A.Session(client).Asking().Doubts > doubts, "the change is heard of");
        }

        Assert.Equal(1, asked);
        pair.Store.Store.Before = null;
        answers.SetResult();
        // A request that came before that would only share the answer to the first question.
        await pair.A.UntilAsync(() => pair.A.Session(client).Confirming is { IsCompleted: true }, "the store's answer is taken");
        Assert.Equal("nothing", (await client.ResultAsync("echo")).Text());
        await pair.UntilAsync(() => !pair.A.Session(client).IsDoubted, "no doubt is left");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Answer_ForTheOtherAndTheStoreDoesNotTakeTheLetter_Is503AndCountsWhenItIsSaidAgain(bool isSilent)
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var client = await pair.A.ClientAsync(capabilities: """{"elicitation":{}}""");
        var there = ReplicaPair.At(pair.B, client);
        await there.ResultAsync("echo");
        var (stream, call) = await pair.A.StreamedAsync(client);
        using var reply = stream;
        await call.SendAsync("""{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}""");
        var question = await reply.MessageAsync();
        var answer = "{\"jsonrpc\":\"2.0\",\"id\":" + question.RawId() + ",\"result\":{\"action\":\"accept\",\"content\":{}}}";
        var never = new TaskCompletionSource();
        pair.Store.Store.Before = operation => operation != "PostAsync" ? Task.CompletedTask
            : isSilent ? never.Task : Task.FromException(new StoreException("scripted failure"));

        using (var refused = await pair.B.PassTimeAsync(there.PostAsync(answer), TimeSpan.FromSeconds(6), "an answer"))
        {
            Assert.Equal((HttpStatusCode.ServiceUnavailable, "2"), (refused.Status, refused.Header("Retry-After")));
        }

        pair.Store.Store.Before = null;
        using (var taken = await Limit.Of(there.PostAsync(answer), "an answer"))
        {
            Assert.Equal(HttpStatusCode.Accepted, taken.Status);
        }

        never.SetResult();
        await pair.UntilAsync(() => pair.Upstream.Requests.Any(r => r.Message?["result"] is not null), "the server has its answer");
        await pair.PassAsync(TimeSpan.FromSeconds(5));
        Assert.Single(pair.Upstream.Requests, r => r.Message?["result"] is not null);
    }

    [Fact]
    public async Task Notification_ForTheOtherAndTheStoreIsAway_Is503WhereItMatters()
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var client = await pair.A.ClientAsync();
        var there = ReplicaPair.At(pair.B, client);
        await there.ResultAsync("echo");
        var (reply, _) = await pair.A.StreamedAsync(client, id: "77");
        using var _r = reply;
        pair.Store.Store.IsAway = true;
        foreach (var (method, parameters, status) in new[]
        {
            ("notifications/cancelled", """{"requestId":77}""", HttpStatusCode.ServiceUnavailable),
            ("notifications/roots/list_changed", "{}", HttpStatusCode.ServiceUnavailable),
            ("notifications/progress", """{"progressToken":1,"progress":1}""", HttpStatusCode.Accepted),
        })
        {
            using var said = await pair.B.PassTimeAsync(
                there.PostAsync($$"""{"jsonrpc":"2.0","method":"{{method}}","params":{{parameters}}}"""), TimeSpan.FromSeconds(6), "an answer");
            Assert.Equal(status, said.Status);
        }

        pair.Store.Store.IsAway = false;
        await there.NotifyAsync("notifications/cancelled", """{"requestId":77}""");
        await pair.UntilAsync(() => pair.A.Runner.Running == 0, "the call ended");
    }

    [Fact]
    public async Task Session_StoreDoesNotAnswer_IsServedAsItIsKnownAndAnUnknownOneIs503()
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var client = await pair.A.ClientAsync();
        await client.ResultAsync("echo");
        pair.A.Advance(TimeSpan.FromSeconds(6));
        var never = new TaskCompletionSource();
        pair.Store.Store.Before = operation => operation == "FindSessionAsync" ? never.Task : Task.CompletedTask;

        using var known = await pair.A.PassTimeAsync(client.CallAsync("echo"), TimeSpan.FromSeconds(3), "an answer");
        using var unknown = await pair.A.PassTimeAsync(ReplicaPair.At(pair.B, client).CallAsync("echo"), TimeSpan.FromSeconds(6), "an answer");

        Assert.Equal(HttpStatusCode.OK, known.Status);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, unknown.Status);
        Assert.NotNull(unknown.Header("Retry-After"));
        never.SetResult();
    }

    [Fact]
    public async Task Session_TakenOutOfMemoryWhileTheStoreIsAskedAboutIt_IsTheOneOfTheTable()
    {
        await using var pair = await ReplicaPair.StartAsync(config: ReplicaPair.FastCalls);
        var client = await pair.A.ClientAsync();
        pair.A.Advance(TimeSpan.FromSeconds(6));
        var (asked, answers) = (0, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        pair.Store.Store.Before = operation => operation == "FindSessionAsync" && Interlocked.Increment(ref asked) == 1 ? answers.Task : Task.CompletedTask;

        var listening = pair.A.ListenAsync(client);
        await pair.A.UntilAsync(() => Volatile.Read(ref asked) == 1, "the store is asked");
        // As the sweeper does with one that was unused for long.
        pair.A.Sessions.Forget(pair.A.Session(client));
        answers.SetResult();

        using var stream = await listening;
        Assert.True(pair.A.Session(client).Connections > 0);
        pair.A.Tell(client, "heard");
        Assert.Equal("heard", (string?)(await stream.Events.MessageAsync())["params"]!["data"]);
    }

    [Fact]
    public async Task Start_StoreIsReachedInAMoment_IsWaitedForAndNotRefused()
    {
        var clock = new FakeClock();
        var store = SharedStore.On(clock);
        var opens = new TaskCompletionSource();
        store.Store.Before = operation => operation == "OpenAsync" ? opens.Task : Task.CompletedTask;
        await using var gateway = await GatewayFixture.StartAsync(new FixtureOptions { Clock = clock, Shared = store }, new FakeUpstream());

        var opening = gateway.ClientAsync();
        await gateway.PassTimeAsync(Task.Delay(TimeSpan.FromSeconds(1), clock), TimeSpan.FromSeconds(2), "a second passed");
        Assert.False(opening.IsCompleted);
        opens.SetResult();

        Assert.Equal("nothing", (await (await Limit.Of(opening, "a session")).ResultAsync("echo")).Text());
    }

    /// <summary>A client whose session both have in memory.</summary>
    private static async Task<(McpTestClient Client, McpTestClient There)> KnownToBothAsync(ReplicaPair pair)
    {
        var client = await pair.A.ClientAsync();
        var there = ReplicaPair.At(pair.B, client);
        await there.ResultAsync("echo");
        return (client, there);
    }

    private static Func<string, Task> Failing(string which) =>
        operation => operation == which ? Task.FromException(new StoreException("scripted failure")) : Task.CompletedTask;

    private static async Task DieWithACallAsync(ReplicaPair pair, McpTestClient client)
    {
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
    }

    private static IReadOnlyList<EventRecord> Events(ReplicaPair pair, McpTestClient client) =>
        pair.Store.Store.ReadEventsAsync(client.SessionId!, "p0123456789", 0, 10, CancellationToken.None).Result;

    private static async Task<string?> SaidAsync(ReplicaPair pair, TestReply stream) =>
        Data(await pair.A.PassTimeAsync(stream.Events.EventAsync(), TimeSpan.FromSeconds(90), "what was said"));

    private static string? Data(TestEvent said) => (string?)said.Message["params"]?["data"];
}
