using Mooring.Stores;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores;

/// <summary>Streams, event logs, their limits, order and concurrency.</summary>
public abstract partial class StoreContractTests
{
    [Fact]
    public async Task OpenStream_WithPrimer_BothComeBackUnchanged()
    {
        await _store.SaveSessionAsync(Session());
        var primer = new EventRecord("session", "stream", 1, default, FakeClock.Start);
        await _store.OpenStreamAsync(Call() with { TrimmedTo = 99 }, primer);
        await _store.OpenStreamAsync(Get(), null);

        Assert.Equal(Describe(Call()), Describe(await _store.FindStreamAsync("session", "stream", Cancel)));
        Assert.Equal(Describe(Get()), Describe(await _store.FindStreamAsync("session", "get", Cancel)));
        Assert.Equal([Describe(primer)], (await _store.ReadEventsAsync("session", "stream", 0, 10, Cancel)).Select(Describe));
        Assert.Empty(await _store.ReadEventsAsync("session", "get", 0, 10, Cancel));
        Assert.Null(await _store.FindStreamAsync("other", "stream", Cancel));
    }

    [Fact]
    public async Task OpenStream_OpenedBefore_IsRefusedAndChangesNothing()
    {
        await _store.SaveSessionAsync(Session());
        await _store.OpenStreamAsync(Call(), Event(1));

        await Assert.ThrowsAsync<InvalidOperationException>(() => _store.OpenStreamAsync(Get("stream"), Event(2)));

        Assert.Equal(Describe(Call()), Describe(await _store.FindStreamAsync("session", "stream", Cancel)));
        Assert.Equal([1], await SequencesAsync());
    }

    [Fact]
    public async Task AppendEvent_WithState_WritesBoth()
    {
        await _store.SaveSessionAsync(Session());
        await _store.OpenStreamAsync(Call(), null);
        var answer = Event(1, written: FakeClock.Start + TimeSpan.FromSeconds(9)) with { RequestId = "\"seven\"" };
        await _store.AppendEventAsync(answer, StreamState.Finished);

        Assert.Equal(
            Describe(Call() with { State = StreamState.Finished, Changed = answer.Written }),
            Describe(await _store.FindStreamAsync("session", "stream", Cancel)));
        Assert.Equal([Describe(answer)], (await _store.ReadEventsAsync("session", "stream", 0, 1, Cancel)).Select(Describe));
    }

    [Fact]
    public async Task AppendEvent_SequenceAppendedBefore_FailsAlone()
    {
        await _store.SaveSessionAsync(Session());
        await _store.OpenStreamAsync(Call(), Event(1, body: "first"));

        var before = _store.AppendEventAsync(Event(2));
        var twice = _store.AppendEventAsync(Event(1, body: "second"), StreamState.Finished);
        var after = _store.AppendEventAsync(Event(3));

        await Assert.ThrowsAsync<InvalidOperationException>(() => twice);
        await Task.WhenAll(before, after);
        Assert.Equal([1, 2, 3], await SequencesAsync());
        Assert.Equal("first", Text((await _store.ReadEventsAsync("session", "stream", 0, 1, Cancel))[0].Body));
        Assert.Equal(StreamState.Running, (await _store.FindStreamAsync("session", "stream", Cancel))!.State);
    }

    [Fact]
    public async Task AppendEvent_LargeBody_ComesBackUnchanged()
    {
        await _store.SaveSessionAsync(Session());
        await _store.OpenStreamAsync(Call(), null);
        var body = new byte[3 * 1024 * 1024];
        new Random(1).NextBytes(body);
        await _store.AppendEventAsync(Event(1) with { Body = body });

        Assert.Equal(body, (await _store.ReadEventsAsync("session", "stream", 0, 1, Cancel))[0].Body.ToArray());
    }

    [Fact]
    public async Task SetStreamState_NoTimeGiven_TakesTheClocks()
    {
        await _store.SaveSessionAsync(Session());
        await _store.OpenStreamAsync(Call(), null);
        _clock.Advance(TimeSpan.FromSeconds(3));

        await _store.SetStreamStateAsync("session", "stream", StreamState.Cancelled);
        await _store.SetStreamStateAsync("session", "unknown", StreamState.Cancelled);

        Assert.Equal(
            Describe(Call() with { State = StreamState.Cancelled, Changed = FakeClock.Start + TimeSpan.FromSeconds(3) }),
            Describe(await _store.FindStreamAsync("session", "stream", Cancel)));
    }

    [Fact]
    public async Task ReadEvents_AfterAndLimit_GiveThatPartOfThatStreamInOrder()
    {
        await _store.SaveSessionAsync(Session());
        await _store.OpenStreamAsync(Call("a"), null);
        await _store.OpenStreamAsync(Call("b"), null);
        foreach (var sequence in new[] { 1, 2, 4, 3, 5 })
        {
            await _store.AppendEventAsync(Event(sequence, "a"));
            await _store.AppendEventAsync(Event(sequence * 10, "b"));
        }

        Assert.Equal([1, 2, 3, 4, 5], await SequencesAsync("a"));
        Assert.Equal([3, 4], (await _store.ReadEventsAsync("session", "a", 2, 2, Cancel)).Select(known => known.Sequence));
        Assert.Empty(await _store.ReadEventsAsync("session", "a", 5, 10, Cancel));
        Assert.Empty(await _store.ReadEventsAsync("session", "unknown", 0, 10, Cancel));
    }

    [Fact]
    public async Task Writes_NotAwaitedInBetween_ApplyInTheOrderOfTheCalls()
    {
        const int count = 500;
        List<Task> writes =
        [
            _store.SaveSessionAsync(Session()),
            _store.OpenStreamAsync(Call(), null),
            .. Enumerable.Range(1, count).Select(sequence => _store.AppendEventAsync(Event(sequence))),
            _store.TrimEventsAsync("session", 100, long.MaxValue),
            _store.AppendEventAsync(Event(count + 1), StreamState.Finished),
            _store.SetStreamStateAsync("session", "stream", StreamState.Cancelled),
            _store.SaveSessionAsync(Session() with { LogLevel = "debug" }),
            _store.SaveSessionAsync(Session() with { LogLevel = "error" }),
        ];
        await Task.WhenAll(writes);

        Assert.Equal(Enumerable.Range(count - 99, 101).Select(i => (long)i), await SequencesAsync());
        Assert.Equal(StreamState.Cancelled, (await _store.FindStreamAsync("session", "stream", Cancel))!.State);
        Assert.Equal("error", (await _store.FindSessionAsync("session", Cancel))!.LogLevel);
    }

    [Fact]
    public async Task TrimEvents_TooMany_DropsTheSessionsOldestAndRemembersPerStream()
    {
        await _store.SaveSessionAsync(Session());
        await _store.SaveSessionAsync(Session("other"));
        await _store.OpenStreamAsync(Call("a"), null);
        await _store.OpenStreamAsync(Call("b"), null);
        await _store.OpenStreamAsync(Call("a", "other"), Event(1, "a", "other"));
        foreach (var (stream, sequence, second) in new[] { ("a", 1, 1), ("a", 2, 2), ("b", 1, 3), ("a", 3, 4), ("b", 2, 4) })
        {
            await _store.AppendEventAsync(Event(sequence, stream, written: FakeClock.Start + TimeSpan.FromSeconds(second)));
        }

        await _store.TrimEventsAsync("session", 5, long.MaxValue);
        Assert.Equal([1, 2, 3], await SequencesAsync("a"));
        await _store.TrimEventsAsync("session", 2, long.MaxValue);

        Assert.Equal([3], await SequencesAsync("a"));
        Assert.Equal([2], await SequencesAsync("b"));
        Assert.Equal(2, await TrimmedToAsync("a"));
        Assert.Equal(1, await TrimmedToAsync("b"));
        Assert.Equal([1], await SequencesAsync("a", "other"));
        Assert.Equal(0, await TrimmedToAsync("a", "other"));

        await _store.TrimEventsAsync("session", 0, long.MaxValue);
        await _store.AppendEventAsync(Event(4, "a"));
        Assert.Equal([4], await SequencesAsync("a"));
        Assert.Equal(3, await TrimmedToAsync("a"));
    }

    [Fact]
    public async Task TrimEvents_TooManyBytes_DropsUntilTheRestFits()
    {
        await _store.SaveSessionAsync(Session());
        await _store.OpenStreamAsync(Call(), Event(1, body: ""));
        for (var sequence = 2; sequence <= 5; sequence++)
        {
            await _store.AppendEventAsync(Event(sequence, body: new string('é', 50)));
        }

        await _store.TrimEventsAsync("session", int.MaxValue, 400 + (4 * Overhead));
        Assert.Equal([1, 2, 3, 4, 5], await SequencesAsync());
        await _store.TrimEventsAsync("session", int.MaxValue, 399 + (4 * Overhead));
        Assert.Equal([3, 4, 5], await SequencesAsync());
        await _store.TrimEventsAsync("session", int.MaxValue, 99 + Overhead);

        Assert.Empty(await SequencesAsync());
        Assert.Equal(5, await TrimmedToAsync());
        await _store.AppendEventAsync(Event(6, body: new string('x', 99)));
        await _store.TrimEventsAsync("session", int.MaxValue, 99 + Overhead);
        Assert.Equal([6], await SequencesAsync());
    }

    [Fact]
    public async Task ExpireEvents_SomeOlder_DropsThoseAndTheRowsOfStreamsEndedBefore()
    {
        var border = FakeClock.Start + TimeSpan.FromMinutes(1);
        await _store.SaveSessionAsync(Session());
        foreach (var stream in new[] { "running", "ended", "cancelled", "ended late", "ended with rest" })
        {
            await _store.OpenStreamAsync(Call(stream), Event(1, stream));
        }

        await _store.SetStreamStateAsync("session", "cancelled", StreamState.Cancelled);
        await _store.AppendEventAsync(Event(2, "ended with rest"), StreamState.Finished);
        await _store.AppendEventAsync(Event(2, "ended", written: border - TimeSpan.FromTicks(1)), StreamState.Finished);
        await _store.AppendEventAsync(Event(2, "running", written: border));
        await _store.AppendEventAsync(Event(2, "ended late", written: border), StreamState.Finished);
        await _store.AppendEventAsync(Event(3, "ended with rest", written: border));

        Assert.Equal(7, await _store.ExpireEventsAsync(border));

        Assert.Equal([2], await SequencesAsync("running"));
        Assert.Equal(1, await TrimmedToAsync("running"));
        Assert.Null(await _store.FindStreamAsync("session", "ended", Cancel));
        Assert.Null(await _store.FindStreamAsync("session", "cancelled", Cancel));
        Assert.Equal([2], await SequencesAsync("ended late"));
        Assert.Equal([3], await SequencesAsync("ended with rest"));
        Assert.Equal(0, await _store.ExpireEventsAsync(border));

        // The limits count what is really there.
        await _store.TrimEventsAsync("session", 3, 6 + (3 * Overhead));
        Assert.Equal([2], await SequencesAsync("running"));
    }

    [Fact]
    public async Task ExpireEvents_MoreThanOneBatch_DropsAll()
    {
        const int count = 2300;
        await _store.SaveSessionAsync(Session());
        await _store.OpenStreamAsync(Call(), null);
        await Task.WhenAll(Enumerable.Range(1, count).Select(sequence => _store.AppendEventAsync(Event(sequence))));

        Assert.Equal(count, await _store.ExpireEventsAsync(FakeClock.Start + TimeSpan.FromTicks(1)));

        Assert.Empty(await SequencesAsync());
        Assert.Equal(count, await TrimmedToAsync());
    }

    [Fact]
    public async Task FindRunningCalls_StreamsOfAllKinds_GivesCallsThatRun()
    {
        await _store.SaveSessionAsync(Session());
        await _store.SaveSessionAsync(Session("other"));
        await _store.OpenStreamAsync(Call("runs"), null);
        await _store.OpenStreamAsync(Call("runs", "other") with { Server = null }, null);
        await _store.OpenStreamAsync(Call("finished"), null);
        await _store.AppendEventAsync(Event(1, "finished"), StreamState.Finished);
        await _store.OpenStreamAsync(Call("cancelled"), null);
        await _store.SetStreamStateAsync("session", "cancelled", StreamState.Cancelled);
        await _store.OpenStreamAsync(Get(), null);

        Assert.Equal(
            [Describe(Call("runs", "other") with { Server = null }), Describe(Call("runs"))],
            (await _store.FindRunningCallsAsync(Cancel)).OrderBy(call => call.SessionId, StringComparer.Ordinal).Select(Describe));
    }

    [Fact]
    public async Task FindRunningCalls_OfOneReplica_GivesItsOwnCallsThatRun()
    {
        await _store.SaveSessionAsync(Session());
        await _store.SaveSessionAsync(Session("other"));
        await _store.OpenStreamAsync(Call("mine"), null);
        await _store.OpenStreamAsync(Call("mine", "other"), null);
        await _store.OpenStreamAsync(Call("another's") with { Replica = "r2" }, null);
        await _store.OpenStreamAsync(Call("nobody's") with { Replica = null }, null);
        await _store.OpenStreamAsync(Get() with { Replica = "r1" }, null);
        await _store.OpenStreamAsync(Call("no call") with { Kind = StreamKind.Get }, null);
        await _store.OpenStreamAsync(Call("finished"), null);
        await _store.AppendEventAsync(Event(1, "finished"), StreamState.Finished);

        Assert.Equal(
            [Describe(Call("mine", "other")), Describe(Call("mine"))],
            (await _store.FindRunningCallsAsync("r1", Cancel)).OrderBy(call => call.SessionId, StringComparer.Ordinal).Select(Describe));
        Assert.Empty(await _store.FindRunningCallsAsync("R1", Cancel));
    }

    [Fact]
    public async Task FindRunningCalls_OfNoneOfTheseReplicas_GivesWhatOthersRanUpToTheLimit()
    {
        await _store.SaveSessionAsync(Session());
        await _store.SaveSessionAsync(Session("other"));
        await _store.OpenStreamAsync(Call("mine"), null);
        await _store.OpenStreamAsync(Call("another's") with { Replica = "r2" }, null);
        await _store.OpenStreamAsync(Call("dead one's", "other") with { Replica = "r3" }, null);
        await _store.OpenStreamAsync(Call("dead one's") with { Replica = "r3" }, null);
        await _store.OpenStreamAsync(Call("nobody's") with { Replica = null }, null);
        await _store.OpenStreamAsync(Get() with { Replica = "r3" }, null);
        await _store.OpenStreamAsync(Call("no call") with { Kind = StreamKind.Get, Replica = "r3" }, null);
        await _store.OpenStreamAsync(Call("finished") with { Replica = "r3" }, null);
        await _store.AppendEventAsync(Event(1, "finished"), StreamState.Finished);

        async Task<IEnumerable<string>> FindAsync(IReadOnlyList<string> replicas, int limit) =>
            (await _store.FindRunningCallsExceptAsync(replicas, limit, Cancel)).Select(Describe).Order(StringComparer.Ordinal);

        Assert.Equal(
            new[] { Call("dead one's", "other") with { Replica = "r3" }, Call("dead one's") with { Replica = "r3" }, Call("nobody's") with { Replica = null } }
                .Select(Describe).Order(StringComparer.Ordinal),
            await FindAsync(["r1", "r2"], 10));
        Assert.Equal(5, (await FindAsync([], 10)).Count());
        var some = await FindAsync(["r1"], 2);
        Assert.Equal(2, some.Count());
        Assert.Equal(some, await FindAsync(["r1"], 2));
    }

    [Fact]
    public async Task SetCallCursor_OfARunningCall_ReplacesItAlone()
    {
        await _store.SaveSessionAsync(Session());
        await _store.OpenStreamAsync(Call() with { Cursor = null }, null);
        Assert.Null((await _store.FindStreamAsync("session", "stream", Cancel))!.Cursor);

        await _store.SetCallCursorAsync("session", "stream", Cursor("e1"));
        await _store.SetCallCursorAsync("session", "stream", Cursor("e2"));
        await _store.SetCallCursorAsync("session", "nothing", Cursor());
        await _store.SetCallCursorAsync("nobody", "stream", Cursor());

        var changed = Describe(Call() with { Cursor = Cursor("e2") });
        Assert.Equal(changed, Describe(await _store.FindStreamAsync("session", "stream", Cancel)));
        Assert.Equal([changed], (await _store.FindRunningCallsAsync("r1", Cancel)).Select(Describe));
        Assert.Null(await _store.FindStreamAsync("session", "nothing", Cancel));
    }

    [Fact]
    public async Task TakeCall_OfTheReplicaThatHasIt_IsAnothersFromThenOn_AndStaysSoWhenItIsDoneAgain()
    {
        await _store.SaveSessionAsync(Session());
        await _store.OpenStreamAsync(Call(), null);
        await _store.OpenStreamAsync(Call("nobody's") with { Replica = null }, null);

        Assert.False(await _store.TakeCallAsync("session", "stream", "r3", "r2"));
        Assert.False(await _store.TakeCallAsync("session", "stream", null, "r2"));
        Assert.True(await _store.TakeCallAsync("session", "stream", "r1", "r2"));
        Assert.True(await _store.TakeCallAsync("session", "stream", "r1", "r2"));
        Assert.False(await _store.TakeCallAsync("session", "stream", "r1", "r3"));
        Assert.True(await _store.TakeCallAsync("session", "nobody's", null, "r2"));

        Assert.Empty(await _store.FindRunningCallsAsync("r1", Cancel));
        Assert.Equal(
            [Describe(Call("nobody's") with { Replica = "r2" }), Describe(Call() with { Replica = "r2" })],
            (await _store.FindRunningCallsAsync("r2", Cancel)).OrderBy(call => call.StreamId, StringComparer.Ordinal).Select(Describe));
    }

    [Fact]
    public async Task TakeCall_ThatEndedOrIsNotThere_IsNobodys()
    {
        await _store.SaveSessionAsync(Session());
        await _store.OpenStreamAsync(Call(), null);
        await _store.AppendEventAsync(Event(1), StreamState.Finished);

        Assert.False(await _store.TakeCallAsync("session", "stream", "r1", "r2"));
        Assert.False(await _store.TakeCallAsync("session", "nothing", "r1", "r2"));
        Assert.False(await _store.TakeCallAsync("nobody", "stream", "r1", "r2"));

        Assert.Equal("r1", (await _store.FindStreamAsync("session", "stream", Cancel))!.Replica);
        Assert.Empty(await _store.FindRunningCallsAsync(Cancel));
    }

    [Fact]
    public async Task Store_ManyCallersAtOnce_NothingIsLostOrMixedUp()
    {
        const int callers = 16;
        const long eventsEach = 60;
        using var start = new Barrier(callers);

        async Task CallAsync(string session)
        {
            await _store.SaveSessionAsync(Session(session));
            await _store.OpenStreamAsync(Call("stream", session), null);
            for (long sequence = 1; sequence <= eventsEach; sequence++)
            {
                await _store.AppendEventAsync(Event(sequence, "stream", session, $"{session}:{sequence}"));
                var last = Assert.Single(await _store.ReadEventsAsync(session, "stream", sequence - 1, 10, Cancel));
                Assert.Equal(Describe(Event(sequence, "stream", session, $"{session}:{sequence}")), Describe(last));
            }
        }

        await Task.WhenAll(Enumerable.Range(0, callers).Select(i => Task.Factory.StartNew(
            () =>
            {
                start.SignalAndWait(Cancel);
                return CallAsync($"s{i}");
            },
            Cancel,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default).Unwrap()));

        for (var i = 0; i < callers; i++)
        {
            Assert.Equal(eventsEach, (await _store.ReadEventsAsync($"s{i}", "stream", 0, 1000, Cancel)).Count);
        }

        Assert.Equal(callers, await _store.CountSessionsAsync(Cancel));
    }

    private async Task<IEnumerable<long>> SequencesAsync(string stream = "stream", string session = "session") =>
        (await _store.ReadEventsAsync(session, stream, 0, int.MaxValue, Cancel)).Select(known => known.Sequence);

    private async Task<long> TrimmedToAsync(string stream = "stream", string session = "session") =>
        (await _store.FindStreamAsync(session, stream, Cancel))!.TrimmedTo;

    [Fact]
    public async Task AppendEvent_WithItsOrigin_IsRememberedByTheLink()
    {
        await _store.SaveSessionAsync(Session());
        await _store.SaveSessionAsync(Session("other"));
        await _store.SaveLinkAsync(Link());
        await _store.SaveLinkAsync(Link() with { Server = "mail" });
        await _store.SaveLinkAsync(Link() with { SessionId = "other" });
        await _store.OpenStreamAsync(Call(), Event(1));
        Assert.All(await _store.FindLinksAsync("session", Cancel), link => Assert.Null(link.Heard));

        var upstream = Link().UpstreamSessionId!;
        await Task.WhenAll(
            _store.AppendEventAsync(Event(2) with { Origin = new("files", upstream, "e 1") }),
            _store.AppendEventAsync(Event(3) with { Origin = new("files", upstream, "e 2") }),
            _store.AppendEventAsync(Event(4)),
            _store.AppendEventAsync(Event(5) with { Origin = new("mail", "of another session", "e 9") }));

        Assert.Equal([("files", "e 2"), ("mail", null)], (await _store.FindLinksAsync("session", Cancel)).Select(link => (link.Server, link.Heard)));
        Assert.Null(Assert.Single(await _store.FindLinksAsync("other", Cancel)).Heard);
    }

    [Fact]
    public async Task AppendEvent_NotTheSuccessorOfWhatWasHeard_IsRefusedAndChangesNothing()
    {
        await _store.SaveSessionAsync(Session());
        await _store.SaveLinkAsync(Link());
        await _store.OpenStreamAsync(Call(), Event(1));

        Assert.True(await _store.AppendEventAsync(Heard(2, "e1", after: "")));
        Assert.True(await _store.AppendEventAsync(Heard(3, "e2", after: "e1")));
        Assert.False(await _store.AppendEventAsync(Heard(4, "e2", after: "e1"), StreamState.Finished));
        Assert.False(await _store.AppendEventAsync(Heard(4, "e4", after: "e3")));
        Assert.False(await _store.AppendEventAsync(Heard(4, "e1", after: "")));
        Assert.Equal([1, 2, 3], await SequencesAsync());
        Assert.Equal((StreamState.Running, "e2"), ((await _store.FindStreamAsync("session", "stream", Cancel))!.State, (await HeardAsync())));

        Assert.True(await _store.AppendEventAsync(Heard(4, "e3", after: "e2"), StreamState.Finished));
        Assert.Equal((StreamState.Finished, "e3"), ((await _store.FindStreamAsync("session", "stream", Cancel))!.State, (await HeardAsync())));
    }

    [Fact]
    public async Task AppendEvent_HeardInAnotherSessionOrOfALinkThatIsNotThere_IsNobodysSuccessor()
    {
        await _store.SaveSessionAsync(Session());
        await _store.SaveLinkAsync(Link());
        await _store.OpenStreamAsync(Call(), Event(1));
        Assert.True(await _store.AppendEventAsync(Heard(2, "e1", after: "")));

        Assert.True(await _store.AppendEventAsync(Event(3) with { Origin = new("files", "the session before", "e7", "e6", "me") }));
        Assert.True(await _store.AppendEventAsync(Event(4) with { Origin = new("mail", Link().UpstreamSessionId!, "e7", "e6", "me") }));
        Assert.True(await _store.AppendEventAsync(Event(1, "gone") with { Origin = new("files", Link().UpstreamSessionId!, "e7", "e6", "me") }));

        Assert.Equal([1, 2, 3, 4], await SequencesAsync());
        Assert.Equal("e1", await HeardAsync());
    }

    [Fact]
    public async Task AppendEvent_AppendedBeforeAndHeardFurtherSince_IsStillCalledAppended()
    {
        await _store.SaveSessionAsync(Session());
        await _store.SaveLinkAsync(Link());
        await _store.OpenStreamAsync(Call(), Event(1));
        Assert.True(await _store.AppendEventAsync(Heard(2, "e1", after: "")));
        Assert.True(await _store.AppendEventAsync(Heard(3, "e2", after: "e1")));

        await Assert.ThrowsAsync<InvalidOperationException>(() => _store.AppendEventAsync(Heard(2, "e1", after: "")));
        await Assert.ThrowsAsync<InvalidOperationException>(() => _store.AppendEventAsync(Heard(3, "e3", after: "e2")));

        Assert.Equal("e2", await HeardAsync());
    }

    [Fact]
    public async Task AppendEvent_HeardBySeveralAtOnce_IsThereOnceAndInOrder()
    {
        await _store.SaveSessionAsync(Session());
        await _store.SaveLinkAsync(Link());
        for (var hearer = 0; hearer < 4; hearer++)
        {
            await _store.OpenStreamAsync(Get($"g{hearer}"), null);
        }

        var appended = 0;
        for (var said = 1; said <= 25; said++)
        {
            appended += (await Task.WhenAll(Enumerable.Range(0, 4).Select(hearer => Task.Run(
                () => _store.AppendEventAsync(Heard(said, $"e{said}", said == 1 ? "" : $"e{said - 1}") with { StreamId = $"g{hearer}" })))))
                .Count(isAppended => isAppended);
        }

        var all = await Task.WhenAll(Enumerable.Range(0, 4).Select(hearer => SequencesAsync($"g{hearer}")));
        Assert.Equal((25, "e25"), (appended, await HeardAsync()));
        Assert.Equal(Enumerable.Range(1, 25).Select(n => (long)n), all.SelectMany(sequences => sequences).Order());
    }

    [Fact]
    public async Task SaveLink_WithThePlaceToListenFrom_KeepsItUntilSomethingWasHeard()
    {
        await _store.SaveSessionAsync(Session());
        await _store.SaveLinkAsync(Link());
        await _store.SaveLinkAsync(Link() with { Heard = "p0" });
        Assert.Equal("p0", await HeardAsync());
        await _store.SaveLinkAsync(Link());
        await _store.SaveLinkAsync(Link() with { Heard = "p1" });
        Assert.Equal("p0", await HeardAsync());

        await _store.SaveLinkAsync(Link() with { UpstreamSessionId = "another", Heard = "p2" });

        Assert.Equal("p2", await HeardAsync());
    }

    private async Task<string?> HeardAsync() => Assert.Single(await _store.FindLinksAsync("session", Cancel)).Heard;

    private static EventRecord Heard(long sequence, string id, string after) =>
        Event(sequence) with { Origin = new("files", Link().UpstreamSessionId!, id, after, "me") };

    [Fact]
    public async Task SaveLink_OfTheSameSession_KeepsWhatWasHeardAndOfAnotherForgetsIt()
    {
        await _store.SaveSessionAsync(Session());
        await _store.SaveLinkAsync(Link());
        await _store.OpenStreamAsync(Call(), Event(1));
        await _store.AppendEventAsync(Event(2) with { Origin = new("files", Link().UpstreamSessionId!, "e1") });

        await _store.SaveLinkAsync(Link() with { Version = "2025-03-26", Heard = "not a saver's to say" });
        var same = Assert.Single(await _store.FindLinksAsync("session", Cancel));
        await _store.SaveLinkAsync(Link() with { UpstreamSessionId = "another" });
        var other = Assert.Single(await _store.FindLinksAsync("session", Cancel));

        Assert.Equal(("2025-03-26", "e1"), (same.Version, same.Heard));
        Assert.Null(other.Heard);
    }
}
