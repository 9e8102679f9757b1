using Microsoft.Extensions.Logging;

namespace Mooring.Stores.Sqlite;

/// <summary>
/// The embedded store: one file, one writer thread, a few reader threads. Owns its data directory while open; made and disposed by
/// the service container. No call blocks its caller's thread.
/// </summary>
internal sealed partial class SqliteStore(SqliteStoreOptions options, TimeProvider time, ILogger<SqliteStore> logger) : IStore, IReplicaStore, IAuthStore, IVaultStore
{
    /// <summary>
    /// Rows that one operation on many rows changes at most, so that those behind it wait some milliseconds and not seconds
    /// (a thousand events are dropped in about 9 ms).
    /// </summary>
    private const int RowsPerOperation = 1000;

    private readonly SqliteWriter _writer = new(options, time, logger);
    private readonly SqliteReaders _readers = new(options);
    private DirectoryLock? _lock;
    private bool _open;
    private bool _disposed;

    public DateTimeOffset? AwaySince => _writer.FailingSince;

    public async Task OpenAsync(CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_lock is not null || _open)
        {
            throw new InvalidOperationException("The store was opened before.");
        }

        try
        {
            PrepareDirectory();
            _lock = options.IsBeside ? null : DirectoryLock.Take(options);
            MakeFile();
            await _writer.StartAsync();
            _readers.Start();
            _open = true;
        }
        catch (UnauthorizedAccessException failure)
        {
            throw new StoreException($"The data directory '{options.Directory}' cannot be used: {failure.Message}", failure);
        }
        catch (IOException failure)
        {
            throw new StoreException($"The data directory '{options.Directory}' cannot be used: {failure.Message}", failure);
        }
        finally
        {
            if (!_open)
            {
                _lock?.Dispose();
            }
        }
    }

    public async ValueTask<SessionRecord?> FindSessionAsync(string sessionId, CancellationToken cancel) =>
        await Read(SessionRows.Find, sessionId, cancel);

    public Task SaveSessionAsync(SessionRecord session) => Write(SessionRows.Save, session);

    public Task<bool> UpdateSessionAsync(SessionRecord session) => Write(SessionRows.Update, session);

    public Task SetListenerAsync(string sessionId, SessionListener listener) => Write(SessionRows.SetListener, (sessionId, listener));

    public Task TouchSessionsAsync(IReadOnlyList<(string SessionId, DateTimeOffset Seen)> sessions) =>
        Task.WhenAll(sessions.Chunk(RowsPerOperation).Select(chunk => Write(SessionRows.Touch, chunk)));

    public Task DeleteSessionAsync(string sessionId) => Write(SessionRows.Delete, sessionId);

    public Task<bool> DeleteIdleSessionAsync(string sessionId, DateTimeOffset before) => Write(SessionRows.DeleteIdle, (sessionId, before));

    public Task<IReadOnlyList<string>> FindIdleSessionsAsync(DateTimeOffset before, int limit, CancellationToken cancel) =>
        Read(SessionRows.FindIdle, (before, limit), cancel);

    public Task<int> CountSessionsAsync(CancellationToken cancel) => Read(static (database, _) => SessionRows.Count(database), 0, cancel);

    public Task<IReadOnlyList<LinkRecord>> FindLinksAsync(string sessionId, CancellationToken cancel) =>
        Read(SessionRows.FindLinks, sessionId, cancel);

    public Task SaveLinkAsync(LinkRecord link) => Write(SessionRows.SaveLink, link);

    public Task OpenStreamAsync(StreamRecord stream, EventRecord? primer) => Write(StreamRows.Open, (stream, primer));

    public Task<bool> AppendEventAsync(EventRecord record, StreamState? state = null) => Write(EventRows.Append, (record, state));

    public Task SetStreamStateAsync(string sessionId, string streamId, StreamState state) =>
        Write(StreamRows.SetState, (sessionId, streamId, state, time.GetUtcNow()));

    public Task SetCallCursorAsync(string sessionId, string streamId, CallCursor cursor) => Write(StreamRows.SetCursor, (sessionId, streamId, cursor));

    public Task<bool> TakeCallAsync(string sessionId, string streamId, string? from, string to) => Write(StreamRows.Take, (sessionId, streamId, from, to));

    public async ValueTask<StreamRecord?> FindStreamAsync(string sessionId, string streamId, CancellationToken cancel) =>
        await Read(StreamRows.Find, (sessionId, streamId), cancel);

    public Task<IReadOnlyList<EventRecord>> ReadEventsAsync(
        string sessionId, string streamId, long after, int limit, CancellationToken cancel) =>
        Read(EventRows.Read, (sessionId, streamId, after, limit), cancel);

    public Task TrimEventsAsync(string sessionId, int maxEvents, long maxBytes) =>
        Write(EventRows.Trim, (sessionId, maxEvents, maxBytes));

    public async Task<int> ExpireEventsAsync(DateTimeOffset before)
    {
        var total = 0;
        int dropped;
        do
        {
            dropped = await Write(EventRows.Expire, (before, RowsPerOperation));
            total += dropped;
        }
        while (dropped == RowsPerOperation);

        do
        {
            dropped = await Write(StreamRows.DropEnded, (before, RowsPerOperation));
        }
        while (dropped == RowsPerOperation);

        return total;
    }

    public Task<IReadOnlyList<StreamRecord>> FindRunningCallsAsync(CancellationToken cancel) =>
        Read(static (database, _) => StreamRows.FindRunningCalls(database), 0, cancel);

    public Task<IReadOnlyList<StreamRecord>> FindRunningCallsAsync(string replica, CancellationToken cancel) =>
        Read(StreamRows.FindRunningCallsOf, replica, cancel);

    public Task<IReadOnlyList<StreamRecord>> FindRunningCallsExceptAsync(IReadOnlyList<string> replicas, int limit, CancellationToken cancel) =>
        Read(StreamRows.FindRunningCallsExcept, (replicas, limit), cancel);

    public Task<IReadOnlyList<CatalogueRecord>> LoadCatalogueAsync(CancellationToken cancel) =>
        Read(static (database, _) => CatalogueRows.Load(database), 0, cancel);

    public Task SaveCatalogueAsync(CatalogueRecord record) => Write(CatalogueRows.Save, record);

    public async ValueTask<CatalogueRecord?> FindCatalogueAsync(string server, string key, string kind, CancellationToken cancel) =>
        await Read(CatalogueRows.Find, (server, key, kind), cancel);

    public Task DeleteCatalogueAsync(string server) => Write(CatalogueRows.Delete, server);

    public Task DeleteCatalogueAsync(string server, string key) => Write(CatalogueRows.DeleteKey, (server, key));

    public Task<IReadOnlyList<NameRecord>> LoadNamesAsync(CancellationToken cancel) =>
        Read(static (database, _) => CatalogueRows.LoadNames(database), 0, cancel);

    public Task<string> ClaimNameAsync(NameRecord name) => Write(CatalogueRows.Claim, name);

    public Task ReleaseNamesAsync(string server) => Write(CatalogueRows.Release, server);

    public Task SaveTaskAsync(TaskRecord task) => Write(TaskRows.Save, task);

    public async ValueTask<TaskRecord?> FindTaskAsync(string server, string taskId, CancellationToken cancel) =>
        await Read(TaskRows.Find, (server, taskId), cancel);

    public Task<IReadOnlyList<string>> FindTasksOfAsync(string server, string issuer, string subject, CancellationToken cancel) =>
        Read(TaskRows.FindOf, (server, issuer, subject), cancel);

    public async Task ExpireTasksAsync(DateTimeOffset now)
    {
        await Write(TaskRows.Expire, now);
        await Write(HeldTaskRows.Expire, now);
    }

    public Task<bool> HoldTaskAsync(HeldTask task, int mostOfOne, int mostOfAll) => Write(HeldTaskRows.Hold, (task, mostOfOne, mostOfAll));

    public Task<bool> UpdateHeldTaskAsync(HeldTask task) => Write(HeldTaskRows.Update, task);

    public async ValueTask<HeldTask?> FindHeldTaskAsync(string id, CancellationToken cancel) => await Read(HeldTaskRows.Find, id, cancel);

    public Task<IReadOnlyList<HeldTask>> FindUnfinishedTasksAsync(string replica, CancellationToken cancel) =>
        Read(HeldTaskRows.FindUnfinished, replica, cancel);

    public Task<IReadOnlyList<HeldTask>> FindUnfinishedTasksExceptAsync(IReadOnlyList<string> replicas, int limit, CancellationToken cancel) =>
        Read(HeldTaskRows.FindUnfinishedExcept, (replicas, limit), cancel);

    public Task DropHeldTaskAsync(string id) => Write(HeldTaskRows.Drop, id);

    /// <summary>Commits what is queued, then closes the file and gives up the directory.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        if (_open)
        {
            // Readers first: the last connection to close folds the log back into the file, and only the writer's may take that long.
            await _readers.StopAsync();
            await _writer.StopAsync();
        }

        _lock?.Dispose();
    }

    private Task<TResult> Write<TArgument, TResult>(Func<SqliteDatabase, TArgument, TResult> work, TArgument argument)
    {
        ThrowIfNotOpen();
        return _writer.Do(work, argument);
    }

    private Task<TResult> Read<TArgument, TResult>(
        Func<SqliteDatabase, TArgument, TResult> work, TArgument argument, CancellationToken cancel)
    {
        ThrowIfNotOpen();
        return _readers.Do(work, argument, cancel);
    }

    private void ThrowIfNotOpen()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (!_open)
        {
            throw new InvalidOperationException("The store is not open yet.");
        }
    }

    private void PrepareDirectory()
    {
        // Sessions hold what people asked and got: nobody else on the machine reads them.
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(options.Directory);
        }
        else
        {
            Directory.CreateDirectory(options.Directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    private void MakeFile()
    {
        // An existing file is left alone: closing it here would drop the locks that SQLite in this process holds on it.
        if (File.Exists(options.DatabasePath))
        {
            return;
        }

        // Made here rather than by SQLite, which would let the group and others read; its log takes over the mode.
        var mode = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            mode.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        new FileStream(options.DatabasePath, mode).Dispose();
    }
}
