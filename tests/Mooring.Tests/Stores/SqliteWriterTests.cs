using System.Buffers.Binary;
using Mooring.Stores;
using Mooring.Stores.Sqlite;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores;

/// <summary>Grouping of commits, and what fails with whom. The writer is held up by a foreign write lock, never by time.</summary>
public sealed class SqliteWriterTests : IAsyncDisposable
{
    private readonly SqliteFixture _fixture = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync() => await _fixture.DisposeAsync();

    [Fact]
    public async Task Writes_QueuedWhileTheWriterIsHeldUp_ShareCommitsUpToTheLimit()
    {
        var store = await OpenWithStreamAsync(_fixture.Options);
        var before = CountCommits();

        await HoldUpAsync(() => [.. Enumerable.Range(1, 300).Select(sequence => store.AppendEventAsync(Event(sequence)))]);

        Assert.Equal(2, CountCommits() - before); // 256 + 44
        Assert.Equal(300, (await store.ReadEventsAsync("session", "stream", 0, 1000, Cancel)).Count);
    }

    [Fact]
    public async Task Writes_OneOfAGroupFails_OnlyThatOneFails()
    {
        var store = await OpenWithStreamAsync(_fixture.Options);
        await store.AppendEventAsync(Event(1));

        var writes = await HoldUpAsync(
            () => [.. new[] { 2, 3, 1, 4 }.Select(sequence => store.AppendEventAsync(Event(sequence)))], expectFailures: true);

        Assert.Equal([true, true, false, true], writes.Select(write => write.IsCompletedSuccessfully));
        await Assert.ThrowsAsync<InvalidOperationException>(() => writes[2]);
        Assert.Equal([1, 2, 3, 4], (await store.ReadEventsAsync("session", "stream", 0, 10, Cancel)).Select(known => known.Sequence));
    }

    [Fact]
    public async Task Writes_MoreThanTheQueueHolds_WaitAndKeepTheirOrder()
    {
        var store = await OpenWithStreamAsync(_fixture.Options with { QueueLength = 4 });

        await HoldUpAsync(() =>
            [.. Enumerable.Range(1, 200).Select(i => store.SaveSessionAsync(Session() with { LogLevel = $"{i}" }))]);

        Assert.Equal("200", (await store.FindSessionAsync("session", Cancel))!.LogLevel);
    }

    [Fact]
    public async Task Writes_LockHeldTooLong_AllWaitingFailAndLaterOnesSucceed()
    {
        var store = await OpenWithStreamAsync(_fixture.Options with { LockWait = TimeSpan.Zero });
        using (var tool = SqliteDatabase.Open(_fixture.Options))
        {
            tool.Run("begin immediate");
            var failure = await Assert.ThrowsAsync<StoreException>(() => store.AppendEventAsync(Event(1)));
            Assert.Contains(_fixture.Options.DatabasePath, failure.Message, StringComparison.Ordinal);
            Assert.Contains("lock", failure.Message, StringComparison.Ordinal);
            tool.Run("rollback");
        }

        await store.AppendEventAsync(Event(1));
        Assert.Single(await store.ReadEventsAsync("session", "stream", 0, 10, Cancel));
    }

    [Fact]
    public async Task Writes_FileIsFull_FailNamingItAndGoOnWhenThereIsRoom()
    {
        var store = await OpenWithStreamAsync(_fixture.Options with { MaxPages = 64 });
        await store.SaveSessionAsync(Session("kept"));
        var body = new string('x', 16_000);
        var stored = 0;
        StoreException? full = null;
        while (full is null)
        {
            try
            {
                await store.AppendEventAsync(Event(stored + 1, body: body));
                stored++;
            }
            catch (StoreException failure)
            {
                full = failure;
            }
        }

        Assert.InRange(stored, 1, 20);
        Assert.Contains(_fixture.Options.DatabasePath, full.Message, StringComparison.Ordinal);
        Assert.Contains("full (SQLite error 13)", full.Message, StringComparison.Ordinal);
        Assert.NotNull(store.AwaySince);
        Assert.Equal(stored, (await store.ReadEventsAsync("session", "stream", 0, 100, Cancel)).Count);
        await Assert.ThrowsAsync<StoreException>(() => store.AppendEventAsync(Event(stored + 1, body: body)));

        await store.TrimEventsAsync("session", 1, long.MaxValue);
        await store.AppendEventAsync(Event(stored + 1, body: body), StreamState.Finished);

        Assert.Null(store.AwaySince);
        Assert.Equal(
            [stored, stored + 1],
            (await store.ReadEventsAsync("session", "stream", 0, 100, Cancel)).Select(known => (int)known.Sequence));
        Assert.NotNull(await store.FindSessionAsync("kept", Cancel));
    }

    [Fact]
    public async Task Writes_OneOfAGroupDoesNotFit_TheOthersAreStored()
    {
        var store = await OpenWithStreamAsync(_fixture.Options with { MaxPages = 64 });

        var writes = await HoldUpAsync(
            () =>
            [
                store.AppendEventAsync(Event(1)),
                store.AppendEventAsync(Event(2, body: new string('x', 1_000_000))),
                store.AppendEventAsync(Event(3)),
            ],
            expectFailures: true);

        await Assert.ThrowsAsync<StoreException>(() => writes[1]);
        Assert.Equal([1, 3], (await store.ReadEventsAsync("session", "stream", 0, 10, Cancel)).Select(known => known.Sequence));
    }

    [Fact]
    public async Task Reads_WhileTheWriterIsHeldUp_AreAnsweredFromWhatIsCommitted()
    {
        var store = await OpenWithStreamAsync(_fixture.Options);

        await HoldUpAsync(async () =>
        {
            var write = store.AppendEventAsync(Event(1));
            Assert.Empty(await store.ReadEventsAsync("session", "stream", 0, 10, Cancel));
            Assert.False(write.IsCompleted);
            return [write];
        });

        Assert.Single(await store.ReadEventsAsync("session", "stream", 0, 10, Cancel));
    }

    [Fact]
    public async Task Read_CancelledBefore_IsCancelled()
    {
        var store = await OpenWithStreamAsync(_fixture.Options);
        var cancelled = new CancellationToken(canceled: true);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => store.ReadEventsAsync("session", "stream", 0, 10, cancelled));
        Assert.NotNull(await store.FindSessionAsync("session", Cancel));
    }

    private async Task<SqliteStore> OpenWithStreamAsync(SqliteStoreOptions options)
    {
        var store = await _fixture.OpenAsync(options);
        await store.SaveSessionAsync(Session());
        await store.OpenStreamAsync(Call(), null);
        return store;
    }

    private Task<List<Task>> HoldUpAsync(Func<List<Task>> act, bool expectFailures = false) =>
        HoldUpAsync(() => Task.FromResult(act()), expectFailures);

    /// <summary>Holds the file's write lock while <paramref name="act"/> queues its writes, then waits for them.</summary>
    private async Task<List<Task>> HoldUpAsync(Func<Task<List<Task>>> act, bool expectFailures = false)
    {
        using var tool = SqliteDatabase.Open(_fixture.Options);
        tool.Run("begin immediate");
        var writes = await act();
        tool.Run("rollback");
        var all = Task.WhenAll(writes);
        await (expectFailures ? all.ContinueWith(static _ => { }, TaskScheduler.Default) : all);
        return writes;
    }

    /// <summary>
    /// Commits in the log: after a header of 32 bytes come frames of a 24 byte header and one page; the header's second number is
    /// not 0 in the last frame of a commit (sqlite.org/fileformat2.html#the_write_ahead_log).
    /// </summary>
    private int CountCommits()
    {
        using var file = new FileStream(_fixture.Options.DatabasePath + "-wal", FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        var log = new byte[file.Length];
        file.ReadExactly(log);
        var commits = 0;
        for (var frame = 32; frame + 24 <= log.Length; frame += 24 + 4096)
        {
            commits += BinaryPrimitives.ReadUInt32BigEndian(log.AsSpan(frame + 4)) != 0 ? 1 : 0;
        }

        return commits;
    }
}
