using Mooring.Stores;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores;

/// <summary>Replicas, their leases and their mailboxes. A lease of no length is over at once, whatever clock the store goes by.</summary>
public abstract partial class StoreContractTests
{
    private static readonly TimeSpan Long = TimeSpan.FromHours(1);

    private protected virtual IReplicaStore Replicas => (IReplicaStore)_store;

    private async Task<IEnumerable<string>> ExpiredAsync() => (await Replicas.FindReplicasAsync(Cancel)).Where(replica => replica.IsExpired).Select(replica => replica.Id);

    [Fact]
    public async Task Beat_LeaseRunsOrIsOver_OthersSeeIt()
    {
        Assert.True(await Replicas.BeatAsync("a", "host a", Long));
        Assert.True(await Replicas.BeatAsync("b", "host b", TimeSpan.Zero));

        Assert.Equal([new ReplicaRecord("a", "host a", false), new ReplicaRecord("b", "host b", true)], await Replicas.FindReplicasAsync(Cancel));
        Assert.Equal(["b"], await ExpiredAsync());

        Assert.True(await Replicas.BeatAsync("b", "back", Long));
        Assert.Empty(await ExpiredAsync());
        Assert.Contains(new ReplicaRecord("b", "back", false), await Replicas.FindReplicasAsync(Cancel));
    }

    [Fact]
    public async Task TakeOver_ManyAtOnce_ExactlyOneWins()
    {
        const int others = 8;
        await Replicas.BeatAsync("dead", "", TimeSpan.Zero);
        for (var i = 0; i < others; i++)
        {
            await Replicas.BeatAsync($"r{i}", "", Long);
        }

        using var start = new Barrier(others);
        var tries = await Task.WhenAll(Enumerable.Range(0, others).Select(i => Task.Factory.StartNew(
            () =>
            {
                start.SignalAndWait(Cancel);
                return Replicas.TryTakeOverAsync("dead", $"r{i}");
            },
            Cancel,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default).Unwrap()));

        var winner = Assert.Single(Enumerable.Range(0, others), i => tries[i]);
        Assert.True(await Replicas.TryTakeOverAsync("dead", $"r{winner}"));
        Assert.Empty(await ExpiredAsync());
        Assert.DoesNotContain(await Replicas.FindReplicasAsync(Cancel), replica => replica.Id == "dead");
    }

    [Fact]
    public async Task TakeOver_LivingUnknownOrByNobody_IsRefused()
    {
        await Replicas.BeatAsync("a", "", Long);
        await Replicas.BeatAsync("b", "", TimeSpan.Zero);

        Assert.False(await Replicas.TryTakeOverAsync("a", "b"));
        Assert.False(await Replicas.TryTakeOverAsync("unknown", "a"));
        Assert.False(await Replicas.TryTakeOverAsync("b", "unknown"));
        Assert.False(await Replicas.TryTakeOverAsync("b", "b"));
        Assert.Equal(["b"], await ExpiredAsync());
    }

    [Fact]
    public async Task TakeOver_ByOneThatWasTakenOverItself_IsRefused()
    {
        await Replicas.BeatAsync("slept", "", TimeSpan.Zero);
        await Replicas.BeatAsync("dead", "", TimeSpan.Zero);
        await Replicas.BeatAsync("a", "", Long);
        await Replicas.TryTakeOverAsync("slept", "a");

        // It woke up and does not know yet. Whatever it took would never be done.
        Assert.False(await Replicas.TryTakeOverAsync("dead", "slept"));
        Assert.Equal(["dead"], await ExpiredAsync());
    }

    [Fact]
    public async Task TakeOver_Refused_MovesNoMessages()
    {
        await Replicas.BeatAsync("living", "", Long);
        await Replicas.BeatAsync("a", "", Long);
        await Replicas.PostAsync("living", "call", "c", Utf8("mine"));

        Assert.False(await Replicas.TryTakeOverAsync("living", "a"));

        Assert.Equal("mine", Text(Assert.Single(await Replicas.ReadMailboxAsync("living", 0, 10, Cancel)).Body));
        Assert.Empty(await Replicas.ReadMailboxAsync("a", 0, 10, Cancel));
    }

    [Fact]
    public async Task Beat_TakenOver_SaysNoForGood()
    {
        await Replicas.BeatAsync("slept", "", TimeSpan.Zero);
        await Replicas.BeatAsync("a", "", Long);
        await Replicas.TryTakeOverAsync("slept", "a");

        Assert.False(await Replicas.BeatAsync("slept", "", Long));
        Assert.Equal(["a"], (await Replicas.FindReplicasAsync(Cancel)).Select(replica => replica.Id));
        Assert.False(await Replicas.TryTakeOverAsync("a", "slept"));
    }

    [Fact]
    public async Task Mailbox_PostedReadAcknowledged_KeepsOrderAndDropsWhatIsDone()
    {
        await Replicas.BeatAsync("a", "", Long);
        await Replicas.BeatAsync("b", "", Long);
        var sequences = new List<long>();
        for (var i = 0; i < 5; i++)
        {
            sequences.Add((await Replicas.PostAsync("a", "call", $"c{i}", Utf8($"body {i}")))!.Value);
        }

        await Replicas.PostAsync("b", "call", "c0", default);

        Assert.Equal(sequences.Order(), sequences);
        var mails = await Replicas.ReadMailboxAsync("a", 0, 100, Cancel);
        Assert.Equal(["c0:body 0", "c1:body 1", "c2:body 2", "c3:body 3", "c4:body 4"], mails.Select(mail => $"{mail.CallId}:{Text(mail.Body)}"));
        Assert.Equal(sequences, mails.Select(mail => mail.Sequence));
        Assert.Equal(["c2", "c3"], (await Replicas.ReadMailboxAsync("a", sequences[1], 2, Cancel)).Select(mail => mail.CallId));

        await Replicas.AcknowledgeAsync("a", sequences[3]);

        Assert.Equal(["c4"], (await Replicas.ReadMailboxAsync("a", 0, 100, Cancel)).Select(mail => mail.CallId));
        Assert.Single(await Replicas.ReadMailboxAsync("b", 0, 100, Cancel));
        Assert.Empty(await Replicas.ReadMailboxAsync("unknown", 0, 100, Cancel));
    }

    [Fact]
    public async Task Acknowledge_ExceptSome_LeavesThemUntilTheyAreToo()
    {
        await Replicas.BeatAsync("a", "", Long);
        var sequences = new List<long>();
        for (var i = 0; i < 5; i++)
        {
            sequences.Add((await Replicas.PostAsync("a", "call", $"c{i}", Utf8($"body {i}")))!.Value);
        }

        Assert.True(await Replicas.AcknowledgeAsync("a", sequences[3], [sequences[0], sequences[2], sequences[4]]));
        Assert.Equal(["c0:body 0", "c2:body 2", "c4:body 4"], (await Replicas.ReadMailboxAsync("a", 0, 100, Cancel)).Select(mail => $"{mail.CallId}:{Text(mail.Body)}"));

        Assert.True(await Replicas.AcknowledgeAsync("a", sequences[3], [sequences[2]]));
        Assert.Equal(["c2", "c4"], (await Replicas.ReadMailboxAsync("a", 0, 100, Cancel)).Select(mail => mail.CallId));

        Assert.True(await Replicas.AcknowledgeAsync("a", sequences[4]));
        Assert.Empty(await Replicas.ReadMailboxAsync("a", 0, 100, Cancel));
    }

    [Fact]
    public async Task Post_PostedBefore_IsTheSameMessageAlsoAfterItWasRead()
    {
        await Replicas.BeatAsync("a", "", Long);
        var first = await Replicas.PostAsync("a", "call", "c", Utf8("one"));
        Assert.Equal(first, await Replicas.PostAsync("a", "call", "c", Utf8("two")));
        Assert.NotEqual(first, await Replicas.PostAsync("a", "answer", "c", Utf8("other kind")));

        Assert.Equal(["one", "other kind"], (await Replicas.ReadMailboxAsync("a", 0, 10, Cancel)).Select(mail => Text(mail.Body)));

        await Replicas.AcknowledgeAsync("a", long.MaxValue);
        Assert.Equal(first, await Replicas.PostAsync("a", "call", "c", Utf8("three")));
        Assert.Empty(await Replicas.ReadMailboxAsync("a", 0, 10, Cancel));
    }

    [Fact]
    public async Task Post_NoSuchReplica_IsNull()
    {
        Assert.Null(await Replicas.PostAsync("nobody", "call", "c", default));

        await Replicas.BeatAsync("a", "", Long);
        await Replicas.AcknowledgeAsync("a", (await Replicas.PostAsync("a", "call", "c", default))!.Value);
        Assert.True(await Replicas.RemoveReplicaAsync("a"));

        Assert.Null(await Replicas.PostAsync("a", "call", "c", default));
        Assert.Empty(await Replicas.ReadMailboxAsync("a", 0, 10, Cancel));
        Assert.Empty(await Replicas.FindReplicasAsync(Cancel));
    }

    [Fact]
    public async Task RemoveReplica_SomethingUnread_ChangesNothing()
    {
        await _store.SaveSessionAsync(Session());
        await Replicas.BeatAsync("a", "", Long);
        await Replicas.BeatAsync("b", "", Long);
        await Replicas.ClaimHomeAsync("session", "files", "a");
        var first = await Replicas.PostAsync("a", "call", "c", Utf8("one"));

        Assert.False(await Replicas.RemoveReplicaAsync("a"));

        Assert.Equal("one", Text(Assert.Single(await Replicas.ReadMailboxAsync("a", 0, 10, Cancel)).Body));
        Assert.Equal("a", await Replicas.ClaimHomeAsync("session", "files", "b"));
        Assert.True(await Replicas.BeatAsync("a", "", Long));

        await Replicas.AcknowledgeAsync("a", first!.Value);
        Assert.True(await Replicas.RemoveReplicaAsync("a"));
        Assert.True(await Replicas.RemoveReplicaAsync("a"));
        Assert.Equal(["b"], (await Replicas.FindReplicasAsync(Cancel)).Select(replica => replica.Id));
    }

    [Fact]
    public async Task Acknowledge_BeforeAndAfterATakeOver_SaysWhoseTheMessagesAre()
    {
        await Replicas.BeatAsync("slept", "", TimeSpan.Zero);
        await Replicas.BeatAsync("a", "", Long);
        var first = (await Replicas.PostAsync("slept", "call", "1", Utf8("first")))!.Value;
        var second = (await Replicas.PostAsync("slept", "call", "2", Utf8("second")))!.Value;

        Assert.True(await Replicas.AcknowledgeAsync("slept", first));
        // The answer may have been lost.
        Assert.True(await Replicas.AcknowledgeAsync("slept", first));
        Assert.True(await Replicas.TryTakeOverAsync("slept", "a"));

        Assert.False(await Replicas.AcknowledgeAsync("slept", second));
        Assert.False(await Replicas.AcknowledgeAsync("unknown", 1));
        Assert.Equal("second", Text(Assert.Single(await Replicas.ReadMailboxAsync("a", 0, 10, Cancel)).Body));
    }

    [Fact]
    public async Task FindTakenOver_OfOneThatTookOverAnother_NamesBoth()
    {
        foreach (var replica in new[] { "first", "second", "other" })
        {
            await Replicas.BeatAsync(replica, "", TimeSpan.Zero);
        }

        await Replicas.BeatAsync("third", "", Long);
        Assert.True(await Replicas.TryTakeOverAsync("first", "second"));
        Assert.Equal(["first"], await Replicas.FindTakenOverAsync("second", Cancel));
        Assert.True(await Replicas.TryTakeOverAsync("second", "third"));

        Assert.Equal(["first", "second"], (await Replicas.FindTakenOverAsync("third", Cancel)).Order(StringComparer.Ordinal));
        Assert.Empty(await Replicas.FindTakenOverAsync("second", Cancel));
    }

    [Fact]
    public async Task TakeOver_UnreadMessages_GoToTheWinnerBehindItsOwn()
    {
        await Replicas.BeatAsync("dead", "", Long);
        await Replicas.BeatAsync("a", "", Long);
        await Replicas.PostAsync("a", "call", "own", Utf8("own"));
        await Replicas.PostAsync("a", "call", "both", Utf8("first"));
        var read = await Replicas.PostAsync("dead", "call", "read", Utf8("read"));
        await Replicas.AcknowledgeAsync("dead", read!.Value);
        foreach (var call in new[] { "x", "both", "y" })
        {
            await Replicas.PostAsync("dead", "call", call, Utf8(call));
        }

        await Replicas.BeatAsync("dead", "", TimeSpan.Zero);
        Assert.True(await Replicas.TryTakeOverAsync("dead", "a"));
        await Replicas.PostAsync("dead", "call", "late", Utf8("late"));

        var mails = await Replicas.ReadMailboxAsync("a", 0, 10, Cancel);
        Assert.Equal(["own", "first", "x", "y", "late"], mails.Select(mail => Text(mail.Body)));
        Assert.Equal(mails.Select(mail => mail.Sequence).Distinct().Order(), mails.Select(mail => mail.Sequence));
        Assert.Empty(await Replicas.ReadMailboxAsync("dead", 0, 10, Cancel));
    }

    [Fact]
    public async Task Post_WinnerWasTakenOverItself_ReachesTheLastOne()
    {
        foreach (var replica in new[] { "first", "second" })
        {
            await Replicas.BeatAsync(replica, "", TimeSpan.Zero);
        }

        await Replicas.BeatAsync("third", "", Long);
        Assert.True(await Replicas.TryTakeOverAsync("first", "second"));
        Assert.True(await Replicas.TryTakeOverAsync("second", "third"));

        Assert.NotNull(await Replicas.PostAsync("first", "call", "c", Utf8("c")));
        Assert.Equal(["c"], (await Replicas.ReadMailboxAsync("third", 0, 10, Cancel)).Select(mail => mail.CallId));
    }

    [Fact]
    public async Task Post_ManyAtOnce_ReaderWhoGoesOnFromTheLastSeenMissesNone()
    {
        const int senders = 8;
        const int each = 25;
        await Replicas.BeatAsync("a", "", Long);
        var posting = Task.WhenAll(Enumerable.Range(0, senders).Select(async sender =>
        {
            for (var i = 0; i < each; i++)
            {
                await Replicas.PostAsync("a", "call", $"{sender}-{i}", Utf8("x"));
            }
        }));

        var seen = new HashSet<string>(StringComparer.Ordinal);
        long last = 0;
        var wasDone = false;
        while (true)
        {
            var page = await Replicas.ReadMailboxAsync("a", last, 7, Cancel);
            foreach (var mail in page)
            {
                Assert.True(mail.Sequence > last);
                last = mail.Sequence;
                Assert.True(seen.Add(mail.CallId));
            }

            if (page.Count == 0 && wasDone)
            {
                break;
            }

            wasDone = posting.IsCompleted;
            await Task.Yield();
        }

        await posting;
        Assert.Equal(senders * each, seen.Count);
    }
}
