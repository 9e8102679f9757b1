using Microsoft.Extensions.Logging.Abstractions;
using Mooring.Stores;
using Mooring.Stores.Sqlite;
using Xunit;
using static Mooring.Tests.Stores.StoreRecords;

namespace Mooring.Tests.Stores;

/// <summary>What the embedded store does when processes end badly, meet, or find a file that is not as it should be.</summary>
public sealed class SqliteRecoveryTests : IAsyncDisposable
{
    private readonly SqliteFixture _fixture = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync() => await _fixture.DisposeAsync();

    [Fact]
    public async Task Dispose_WritesStillQueued_AllAreThereAfterReopening()
    {
        var store = await _fixture.OpenAsync();
        List<Task> writes = [store.SaveSessionAsync(Session()), store.OpenStreamAsync(Call(), null)];
        writes.AddRange(Enumerable.Range(1, 1000).Select(sequence => store.AppendEventAsync(Event(sequence))));
        await store.DisposeAsync();
        await Task.WhenAll(writes);

        var again = await _fixture.OpenAsync();

        Assert.Equal(Describe(Session()), Describe(await again.FindSessionAsync("session", Cancel)));
        Assert.Equal(1000, (await again.ReadEventsAsync("session", "stream", 0, 2000, Cancel)).Count);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => store.SaveSessionAsync(Session()));
    }

    [Fact]
    public async Task Open_FilesAsAKilledProcessLeavesThem_HasEverythingCommitted()
    {
        var store = await _fixture.OpenAsync();
        await store.SaveSessionAsync(Session());
        await store.SaveLinkAsync(Link());
        await store.OpenStreamAsync(Call(), Event(1));
        for (var sequence = 2; sequence <= 20; sequence++)
        {
            await store.AppendEventAsync(Event(sequence));
        }

        // A copy of the files while they are open is what a kill leaves: the log is not folded into the file.
        await using var copy = new SqliteFixture();
        File.Copy(_fixture.Options.DatabasePath, copy.Options.DatabasePath);
        File.Copy(_fixture.Options.DatabasePath + "-wal", copy.Options.DatabasePath + "-wal");
        File.Copy(_fixture.Options.OwnerPath, copy.Options.OwnerPath);
        await File.WriteAllBytesAsync(copy.Options.LockPath, [], Cancel);

        var survivor = await copy.OpenAsync();

        Assert.Equal(Describe(Session()), Describe(await survivor.FindSessionAsync("session", Cancel)));
        Assert.Single(await survivor.FindLinksAsync("session", Cancel));
        Assert.Equal(["stream"], (await survivor.FindRunningCallsAsync(Cancel)).Select(call => call.StreamId));
        Assert.Equal(
            Enumerable.Range(1, 20).Select(i => (long)i),
            (await survivor.ReadEventsAsync("session", "stream", 0, 100, Cancel)).Select(known => known.Sequence));
        await survivor.AppendEventAsync(Event(21), StreamState.Finished);
        Assert.Empty(await survivor.FindRunningCallsAsync(Cancel));
    }

    [Fact]
    public async Task Open_LogEndsInTheMiddleOfACommit_HasEverythingBeforeIt()
    {
        var store = await _fixture.OpenAsync();
        await store.SaveSessionAsync(Session("whole"));
        await store.SaveSessionAsync(Session("torn"));
        await using var copy = new SqliteFixture();
        File.Copy(_fixture.Options.DatabasePath, copy.Options.DatabasePath);
        var log = await File.ReadAllBytesAsync(_fixture.Options.DatabasePath + "-wal", Cancel);
        await File.WriteAllBytesAsync(copy.Options.DatabasePath + "-wal", log[..^100], Cancel);

        var survivor = await copy.OpenAsync();

        Assert.NotNull(await survivor.FindSessionAsync("whole", Cancel));
        Assert.Null(await survivor.FindSessionAsync("torn", Cancel));
    }

    [Fact]
    public async Task Open_DirectoryOfAnotherGateway_IsRefusedUntilThatOneCloses()
    {
        var first = await _fixture.OpenAsync();
        await first.SaveSessionAsync(Session());

        var refusal = await Assert.ThrowsAsync<StoreException>(() => _fixture.OpenAsync());
        Assert.Contains(_fixture.Directory, refusal.Message, StringComparison.Ordinal);
        Assert.Contains($"another gateway (process {Environment.ProcessId})", refusal.Message, StringComparison.Ordinal);
        Assert.NotNull(await first.FindSessionAsync("session", Cancel));

        await first.DisposeAsync();
        var second = await _fixture.OpenAsync();
        Assert.NotNull(await second.FindSessionAsync("session", Cancel));
    }

    [Fact]
    public async Task Open_WhileAGatewayRuns_AnotherToolCanReadAndWriteBesideIt()
    {
        var store = await _fixture.OpenAsync();
        await store.SaveSessionAsync(Session());

        using var tool = SqliteDatabase.Open(_fixture.Options);
        Assert.Equal(1, SessionRows.Count(tool));
        SessionRows.Save(tool, Session("from the tool"));

        Assert.Equal(2, await store.CountSessionsAsync(Cancel));
    }

    [Fact]
    public async Task Open_FileIsNoDatabase_SaysSoAndNamesIt()
    {
        var garbage = new byte[8192];
        new Random(3).NextBytes(garbage);
        await File.WriteAllBytesAsync(_fixture.Options.DatabasePath, garbage, Cancel);

        var failure = await Assert.ThrowsAsync<StoreException>(() => _fixture.OpenAsync());

        Assert.Contains(_fixture.Options.DatabasePath, failure.Message, StringComparison.Ordinal);
        Assert.Contains("damaged", failure.Message, StringComparison.Ordinal);
        Assert.Equal(garbage, await File.ReadAllBytesAsync(_fixture.Options.DatabasePath, Cancel));

        // The failed attempt keeps no hold of the directory.
        File.Delete(_fixture.Options.DatabasePath);
        await _fixture.OpenAsync();
    }

    [Fact]
    public async Task Open_DirectoryIsAFile_SaysSo()
    {
        var path = Path.Combine(_fixture.Directory, "file");
        await File.WriteAllTextAsync(path, "x", Cancel);

        var failure = await Assert.ThrowsAsync<StoreException>(() => _fixture.OpenAsync(new SqliteStoreOptions { Directory = path }));

        Assert.Contains(path, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_NewDirectory_IsReadableByItsOwnerOnly()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Skip("Windows has no file modes.");
            return;
        }

        var options = new SqliteStoreOptions { Directory = Path.Combine(_fixture.Directory, "a", "b") };
        var store = await _fixture.OpenAsync(options);
        await store.SaveSessionAsync(Session());

        const UnixFileMode owner = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        Assert.Equal(owner | UnixFileMode.UserExecute, File.GetUnixFileMode(options.Directory));
        Assert.Equal(owner, File.GetUnixFileMode(options.DatabasePath));
        Assert.Equal(owner, File.GetUnixFileMode(options.DatabasePath + "-wal"));
    }

    [Fact]
    public async Task AnyCall_NotOpened_IsAMistakeOfTheCaller()
    {
        await using var store = new SqliteStore(_fixture.Options, _fixture.Clock, NullLogger<SqliteStore>.Instance);

        await Assert.ThrowsAsync<InvalidOperationException>(() => store.SaveSessionAsync(Session()));
    }
}
