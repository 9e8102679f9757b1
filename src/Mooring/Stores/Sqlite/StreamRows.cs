namespace Mooring.Stores.Sqlite;

/// <summary>The statements on streams. Writes to a session or stream that is gone change nothing.</summary>
internal static class StreamRows
{
    internal const string FindSql = """
        select s.id, t.stream_id, t.kind, t.state, t.request_ids, t.server, t.replica, t.changed, t.trimmed_to, t.cursor
        from sessions s join streams t on t.session = s.n where s.id = ? and t.stream_id = ?
        """;

    internal const string NumbersSql = "select s.n, t.n from sessions s join streams t on t.session = s.n where s.id = ? and t.stream_id = ?";

    internal const string RunningCallsSql = """
        select s.id, t.stream_id, t.kind, t.state, t.request_ids, t.server, t.replica, t.changed, t.trimmed_to, t.cursor
        from streams t indexed by streams_running_calls join sessions s on s.n = t.session
        where t.state = 0 and t.request_ids is not null
        """;

    // By the index of all running calls, which are few: one of its own would be one more to write with every call.
    internal const string RunningCallsOfSql = RunningCallsSql + " and t.kind = 1 and t.replica = ?";

    internal const string SetStateSql = "update streams set state = ?, changed = ? where n = ?";

    internal const string DropEndedSql = """
        delete from streams where n in (
            select n from streams indexed by streams_ended
            where state <> 0 and changed < ? and not exists (
                select 1 from events where session = streams.session and stream = streams.n) limit ?)
        """;

    public static bool Open(SqliteDatabase database, (StreamRecord Stream, EventRecord? Primer) arguments)
    {
        var stream = arguments.Stream;
        if (SessionRows.NumberOf(database, stream.SessionId) is not { } session)
        {
            return false;
        }

        using (var insert = database.Use("""
            insert into streams (session, stream_id, kind, state, request_ids, server, replica, changed, cursor)
            values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing
            """))
        {
            insert.Bind(session).Bind(stream.StreamId).Bind((int)stream.Kind).Bind((int)stream.State)
                .Bind(stream.RequestIds).Bind(stream.Server).Bind(stream.Replica).Bind(stream.Changed).Bind(stream.Cursor?.ToString());
            if (insert.Run() == 0)
            {
                throw new InvalidOperationException($"Stream {stream.StreamId} was opened before.");
            }
        }

        if (arguments.Primer is { } primer)
        {
            EventRows.Insert(database, session, database.LastRow, primer);
        }

        return true;
    }

    /// <summary>The numbers by which events refer to the stream and its session, or null when one is gone.</summary>
    public static (long Session, long Stream)? NumbersOf(SqliteDatabase database, string sessionId, string streamId)
    {
        using var find = database.Use(NumbersSql);
        find.Bind(sessionId).Bind(streamId);
        return find.Step() ? (find.Number(0), find.Number(1)) : null;
    }

    public static bool SetState(SqliteDatabase database, (string SessionId, string StreamId, StreamState State, DateTimeOffset Now) change)
    {
        if (NumbersOf(database, change.SessionId, change.StreamId) is not { } numbers)
        {
            return false;
        }

        SetState(database, numbers.Stream, change.State, change.Now);
        return true;
    }

    public static void SetState(SqliteDatabase database, long stream, StreamState state, DateTimeOffset changed)
    {
        using var update = database.Use(SetStateSql);
        update.Bind((int)state).Bind(changed).Bind(stream).Run();
    }

    public static bool SetCursor(SqliteDatabase database, (string SessionId, string StreamId, CallCursor Cursor) change)
    {
        if (NumbersOf(database, change.SessionId, change.StreamId) is not { } numbers)
        {
            return false;
        }

        using var update = database.Use("update streams set cursor = ? where n = ?");
        return update.Bind(change.Cursor.ToString()).Bind(numbers.Stream).Run() > 0;
    }

    /// <returns>Whether the call is <c>To</c>'s now.</returns>
    public static bool Take(SqliteDatabase database, (string SessionId, string StreamId, string? From, string To) change)
    {
        if (NumbersOf(database, change.SessionId, change.StreamId) is not { } numbers)
        {
            return false;
        }

        using var update = database.Use("update streams set replica = ? where n = ? and state = 0 and (replica is ? or replica = ?)");
        return update.Bind(change.To).Bind(numbers.Stream).Bind(change.From).Bind(change.To).Run() > 0;
    }

    public static StreamRecord? Find(SqliteDatabase database, (string SessionId, string StreamId) ids)
    {
        using var find = database.Use(FindSql);
        find.Bind(ids.SessionId).Bind(ids.StreamId);
        return find.Step() ? Read(find) : null;
    }

    public static IReadOnlyList<StreamRecord> FindRunningCalls(SqliteDatabase database)
    {
        using var find = database.Use(RunningCallsSql);
        return ReadAll(find);
    }

    public static IReadOnlyList<StreamRecord> FindRunningCallsOf(SqliteDatabase database, string replica)
    {
        using var find = database.Use(RunningCallsOfSql);
        return ReadAll(find.Bind(replica));
    }

    /// <summary>One process at a time has the file, so that none of these is one that lives.</summary>
    public static IReadOnlyList<StreamRecord> FindRunningCallsExcept(SqliteDatabase database, (IReadOnlyList<string> Replicas, int Limit) arguments) =>
        [.. FindRunningCalls(database).Where(call => call.Kind == StreamKind.Post && !arguments.Replicas.Contains(call.Replica ?? "")).Take(arguments.Limit)];

    /// <summary>Drops the rows of streams that ended before and have no events any more. Returns how many.</summary>
    public static int DropEnded(SqliteDatabase database, (DateTimeOffset Before, int Limit) arguments)
    {
        using var drop = database.Use(DropEndedSql);
        return drop.Bind(arguments.Before).Bind(arguments.Limit).Run();
    }

    private static List<StreamRecord> ReadAll(SqliteStatement rows)
    {
        var streams = new List<StreamRecord>();
        while (rows.Step())
        {
            streams.Add(Read(rows));
        }

        return streams;
    }

    private static StreamRecord Read(SqliteStatement row) => new()
    {
        SessionId = row.Text(0),
        StreamId = row.Text(1),
        Kind = (StreamKind)row.Number(2),
        State = (StreamState)row.Number(3),
        RequestIds = row.Texts(4),
        Server = row.TextOrNull(5),
        Replica = row.TextOrNull(6),
        Changed = row.Time(7),
        TrimmedTo = row.Number(8),
        Cursor = CallCursor.Parse(row.TextOrNull(9)),
    };
}
