using Microsoft.Extensions.Logging;
using Npgsql;

namespace Mooring.Stores.Postgres;

/// <summary>
/// The store that several replicas share. Writes of sessions go through a few lanes that group them, and questions about tokens are gathered; all else is a single round trip each.
/// Made and disposed by the service container. What replicas say to each other is in the other part.
/// </summary>
internal sealed partial class PostgresStore : IStore, IReplicaStore, IAuthStore, IVaultStore
{
    /// <summary>Rows that one operation on many rows changes at most, so that what it locks is free again soon.</summary>
    private const int RowsPerOperation = 1000;

    private readonly PostgresDatabase _database;
    private readonly PostgresLane[] _lanes;
    private readonly TimeProvider _time;
    private bool _disposed;

    public PostgresStore(PostgresStoreOptions options, TimeProvider time, ILogger<PostgresStore> logger)
    {
        _time = time;
        _database = new PostgresDatabase(options, time, logger);
        _lanes = [.. Enumerable.Range(0, options.Lanes).Select(_ => new PostgresLane(_database, options))];
        _auth = new PostgresGather<(AuthKind Kind, string Key, DateTimeOffset Now), AuthRecord>(FindManyAuthAsync);
    }

    public bool IsRemote => true;

    public DateTimeOffset? AwaySince => _database.AwaySince;

    /// <summary>The way to the database, for the signals that go beside the store's own transactions.</summary>
    public PostgresDatabase Database => _database;

    public Task OpenAsync(CancellationToken cancel) => _database.OpenAsync(cancel);

    public async ValueTask<SessionRecord?> FindSessionAsync(string sessionId, CancellationToken cancel) =>
        await OneAsync(SessionRows.FindSql, to => to.Text(sessionId), SessionRows.Read, cancel);

    public Task SaveSessionAsync(SessionRecord session) =>
        Write(SessionRows.Save, session.Id, session, session.InitializeParams.Length);

    public Task<bool> UpdateSessionAsync(SessionRecord session) =>
        Write(SessionRows.Update, session.Id, session, session.InitializeParams.Length);

    public Task SetListenerAsync(string sessionId, SessionListener listener) =>
        Write(SessionRows.SetListener, sessionId, (sessionId, listener));

    public Task TouchSessionsAsync(IReadOnlyList<(string SessionId, DateTimeOffset Seen)> sessions) => Task.WhenAll(
        sessions.GroupBy(seen => LaneOf(seen.SessionId)).SelectMany(group => group.Chunk(RowsPerOperation).Select(chunk => Add(group.Key, SessionRows.Touch, key: null, chunk))));

    public Task DeleteSessionAsync(string sessionId) => Write(SessionRows.Delete, sessionId, sessionId);

    public Task<bool> DeleteIdleSessionAsync(string sessionId, DateTimeOffset before) => Write(SessionRows.DeleteIdle, sessionId, (sessionId, before));

    public Task<IReadOnlyList<string>> FindIdleSessionsAsync(DateTimeOffset before, int limit, CancellationToken cancel) =>
        ManyAsync(SessionRows.FindIdleSql, to => to.Time(before).Number(limit), row => row.Text(0), cancel);

    public async Task<int> CountSessionsAsync(CancellationToken cancel) =>
        (int)await OneAsync(SessionRows.CountSql, _ => { }, row => row.GetInt64(0), cancel);

    public Task<IReadOnlyList<LinkRecord>> FindLinksAsync(string sessionId, CancellationToken cancel) =>
        ManyAsync(SessionRows.FindLinksSql, to => to.Text(sessionId), row => SessionRows.ReadLink(row, sessionId), cancel);

    public Task SaveLinkAsync(LinkRecord link) =>
        Write(SessionRows.SaveLink, link.SessionId, link, link.InitializeResult.Length + link.OwnLists.Length);

    public Task OpenStreamAsync(StreamRecord stream, EventRecord? primer) =>
        Write(StreamRows.Open, stream.SessionId, (stream, primer), primer?.Body.Length ?? 0);

    public async Task<bool> AppendEventAsync(EventRecord record, StreamState? state = null) =>
        await Write(EventRows.Append, record.SessionId, (record, state), record.Body.Length) != WriteOutcome.NotNext;

    public Task SetStreamStateAsync(string sessionId, string streamId, StreamState state) =>
        Write(StreamRows.SetState, sessionId, (sessionId, streamId, state, _time.GetUtcNow()));

    public Task SetCallCursorAsync(string sessionId, string streamId, CallCursor cursor) =>
        ChangeAsync(StreamRows.SetCursorSql, to => to.Text(sessionId).Text(streamId).Text(cursor.ToString()));

    public async Task<bool> TakeCallAsync(string sessionId, string streamId, string? from, string to) =>
        await ChangeAsync(StreamRows.TakeSql, values => values.Text(sessionId).Text(streamId).Text(from).Text(to)) > 0;

    public async ValueTask<StreamRecord?> FindStreamAsync(string sessionId, string streamId, CancellationToken cancel) =>
        await OneAsync(StreamRows.FindSql, to => to.Text(sessionId).Text(streamId), StreamRows.Read, cancel);

    public Task<IReadOnlyList<EventRecord>> ReadEventsAsync(
        string sessionId, string streamId, long after, int limit, CancellationToken cancel) =>
        ManyAsync(EventRows.ReadSql, to => to.Text(sessionId).Text(streamId).Number(after).Number(limit), row => EventRows.Read(row, sessionId, streamId), cancel);

    public Task TrimEventsAsync(string sessionId, int maxEvents, long maxBytes) =>
        Write(EventRows.Trim, sessionId, (sessionId, maxEvents, maxBytes));

    public async Task<int> ExpireEventsAsync(DateTimeOffset before)
    {
        var total = 0;
        int dropped;
        do
        {
            dropped = await DropAsync(EventRows.ExpireSql, before);
            total += dropped;
        }
        while (dropped == RowsPerOperation);

        while (await DropAsync(StreamRows.DropEndedSql, before) == RowsPerOperation)
        {
        }

        return total;
    }

    public Task<IReadOnlyList<StreamRecord>> FindRunningCallsAsync(CancellationToken cancel) =>
        ManyAsync(StreamRows.RunningCallsSql, _ => { }, StreamRows.Read, cancel);

    public Task<IReadOnlyList<StreamRecord>> FindRunningCallsAsync(string replica, CancellationToken cancel) =>
        ManyAsync(StreamRows.RunningCallsOfSql, to => to.Text(replica), StreamRows.Read, cancel);

    public Task<IReadOnlyList<StreamRecord>> FindRunningCallsExceptAsync(IReadOnlyList<string> replicas, int limit, CancellationToken cancel) =>
        ManyAsync(StreamRows.RunningCallsExceptSql, to => to.Texts(replicas, replica => replica).Number(limit), StreamRows.Read, cancel);

    public Task<IReadOnlyList<CatalogueRecord>> LoadCatalogueAsync(CancellationToken cancel) => ManyAsync(
        SharedRows.LoadCatalogueSql,
        _ => { },
        row => new CatalogueRecord(row.Text(0), row.Text(1), row.Text(2), row.Bytes(3), row.Text(4), row.Time(5)),
        cancel);

    public Task SaveCatalogueAsync(CatalogueRecord record) => ChangeAsync(
        SharedRows.SaveCatalogueSql,
        to => to.Text(record.Server).Text(record.Key).Text(record.Kind).Bytes(record.Body).Text(record.Hash).Time(record.Fetched));

    public async ValueTask<CatalogueRecord?> FindCatalogueAsync(string server, string key, string kind, CancellationToken cancel) => await OneAsync(
        SharedRows.FindCatalogueSql,
        to => to.Text(server).Text(key).Text(kind),
        row => new CatalogueRecord(server, key, kind, row.Bytes(0), row.Text(1), row.Time(2)),
        cancel);

    public Task DeleteCatalogueAsync(string server) => ChangeAsync(SharedRows.DeleteCatalogueSql, to => to.Text(server));

    public Task DeleteCatalogueAsync(string server, string key) => ChangeAsync(SharedRows.DeleteCatalogueKeySql, to => to.Text(server).Text(key));

    public Task<IReadOnlyList<NameRecord>> LoadNamesAsync(CancellationToken cancel) =>
        ManyAsync(SharedRows.LoadNamesSql, _ => { }, row => new NameRecord(row.Text(0), row.Text(1), row.Text(2)), cancel);

    public async Task<string> ClaimNameAsync(NameRecord name)
    {
        while (true)
        {
            await ChangeAsync(SharedRows.ClaimSql, to => to.Text(name.Kind).Text(name.Name).Text(name.Server));
            if (await OneAsync(SharedRows.HolderSql, to => to.Text(name.Kind).Text(name.Name), row => row.Text(0), CancellationToken.None) is { } holder)
            {
                return holder;
            }

            // Released in between: free to be claimed.
        }
    }

    public Task ReleaseNamesAsync(string server) => ChangeAsync(SharedRows.ReleaseSql, to => to.Text(server));

    public Task SaveTaskAsync(TaskRecord task) => ChangeAsync(
        SharedRows.SaveTaskSql,
        to => to.Text(task.Server).Text(task.TaskId).Text(task.Issuer).Text(task.Subject).Time(task.Expires));

    public async ValueTask<TaskRecord?> FindTaskAsync(string server, string taskId, CancellationToken cancel) => await OneAsync(
        SharedRows.FindTaskSql,
        to => to.Text(server).Text(taskId),
        row => new TaskRecord(server, taskId, row.Text(0), row.Text(1), row.Time(2)),
        cancel);

    public Task<IReadOnlyList<string>> FindTasksOfAsync(string server, string issuer, string subject, CancellationToken cancel) =>
        ManyAsync(SharedRows.FindTasksOfSql, to => to.Text(server).Text(issuer).Text(subject), row => row.Text(0), cancel);

    public async Task ExpireTasksAsync(DateTimeOffset now)
    {
        await ChangeAsync(SharedRows.ExpireTasksSql, to => to.Time(now));
        await ChangeAsync(HeldTaskRows.ExpireSql, to => to.Time(now));
        // Both here, since this is swept whoever may come in.
        await ChangeAsync(PermitRows.ExpireSql, _ => { });
        await ChangeAsync(OpenStreamRows.ExpireSql, _ => { });
    }

    public async Task<bool> HoldTaskAsync(HeldTask task, int mostOfOne, int mostOfAll) => await OneAsync(
        HeldTaskRows.HoldSql, to => HeldTaskRows.BindNew(to, task, mostOfOne, mostOfAll), row => row.GetBoolean(0), CancellationToken.None);

    public async Task<bool> UpdateHeldTaskAsync(HeldTask task) => await ChangeAsync(HeldTaskRows.UpdateSql, to => HeldTaskRows.BindChange(to, task)) > 0;

    public async ValueTask<HeldTask?> FindHeldTaskAsync(string id, CancellationToken cancel) =>
        await OneAsync(HeldTaskRows.FindSql, to => to.Text(id), HeldTaskRows.Read, cancel);

    public Task<IReadOnlyList<HeldTask>> FindUnfinishedTasksAsync(string replica, CancellationToken cancel) =>
        ManyAsync(HeldTaskRows.FindUnfinishedSql, to => to.Text(replica), HeldTaskRows.Read, cancel);

    public Task<IReadOnlyList<HeldTask>> FindUnfinishedTasksExceptAsync(IReadOnlyList<string> replicas, int limit, CancellationToken cancel) =>
        ManyAsync(HeldTaskRows.FindUnfinishedExceptSql, to => to.Texts(replicas, replica => replica).Number(limit), HeldTaskRows.Read, cancel);

    public Task DropHeldTaskAsync(string id) => ChangeAsync(HeldTaskRows.DropSql, to => to.Text(id));

    /// <summary>Commits what is queued, as far as the database lets it, then gives up its connections.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        await Task.WhenAll(_lanes.Select(lane => lane.StopAsync()));
        await _database.DisposeAsync();
    }

    private Task<TResult?> Write<TArgument, TResult>(PostgresStatement<TArgument, TResult> statement, string key, TArgument argument, int size = 0) =>
        Add(LaneOf(key), statement, key, argument, size);

    private Task<TResult?> Add<TArgument, TResult>(
        PostgresLane lane, PostgresStatement<TArgument, TResult> statement, string? key, TArgument argument, int size = 0)
    {
        try
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _database.ThrowIfAway();
        }
        catch (Exception failure) when (failure is StoreException or ObjectDisposedException)
        {
            return Task.FromException<TResult?>(failure);
        }

        var write = new PostgresWrite<TArgument, TResult>(statement, key, argument, size);
        lane.Add(write);
        return write.Done;
    }

    private PostgresLane LaneOf(string key) => _lanes[(uint)string.GetHashCode(key, StringComparison.Ordinal) % (uint)_lanes.Length];

    private async Task<int> DropAsync(string sql, DateTimeOffset before) =>
        (int)await OneAsync(sql, to => to.Time(before).Number(RowsPerOperation), row => row.GetInt64(0), CancellationToken.None);

    private async Task<T?> OneAsync<T>(string sql, Action<NpgsqlParameterCollection> bind, Func<NpgsqlDataReader, T> read, CancellationToken cancel) =>
        (await ManyAsync(sql, bind, read, cancel)) is [var first, ..] ? first : default;

    private Task<IReadOnlyList<T>> ManyAsync<T>(string sql, Action<NpgsqlParameterCollection> bind, Func<NpgsqlDataReader, T> read, CancellationToken cancel) =>
        _database.RunAsync<IReadOnlyList<T>>(
            async (connection, token) =>
            {
                await using var command = new NpgsqlCommand(sql, connection);
                bind(command.Parameters);
                await using var rows = await command.ExecuteReaderAsync(token);
                var all = new List<T>();
                while (await rows.ReadAsync(token))
                {
                    all.Add(read(rows));
                }

                return all;
            },
            cancel);

    private Task<int> ChangeAsync(string sql, Action<NpgsqlParameterCollection> bind) => _database.RunAsync(
        async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(sql, connection);
            bind(command.Parameters);
            return await command.ExecuteNonQueryAsync(token);
        },
        CancellationToken.None);
}
