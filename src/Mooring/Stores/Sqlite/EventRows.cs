namespace Mooring.Stores.Sqlite;

/// <summary>The statements on event logs. Every session's number and bytes of events are kept in a small row beside them.</summary>
internal static class EventRows
{
    internal const string InsertSql = """
        insert into events (session, stream, sequence, written, request_id, body) values (?, ?, ?, ?, ?, ?) on conflict do nothing
        """;

    internal const string AddTotalSql = """
        insert into event_totals (session, events, bytes) values (?, 1, ?)
        on conflict (session) do update set events = events + 1, bytes = bytes + excluded.bytes
        """;

    internal const string ReadSql = """
        select sequence, body, written, request_id from events
        where session = ? and stream = ? and sequence > ? order by sequence limit ?
        """;

    internal const string NumbersSql = "select n from events where session = ?";

    internal const string OneSql = "select n, session, stream, sequence, written, length(body) from events where n = ?";

    internal const string OldestSql = "select n, session, stream, sequence, written, length(body) from events where n > 0 order by n";

    /// <returns>False: it is not the next one of its link.</returns>
    public static bool Append(SqliteDatabase database, (EventRecord Record, StreamState? State) arguments)
    {
        var record = arguments.Record;
        if (StreamRows.NumbersOf(database, record.SessionId, record.StreamId) is not { } numbers)
        {
            return true;
        }

        if (record.Origin is { } origin)
        {
            if (!origin.Follows(SessionRows.HeardOf(database, numbers.Session, origin)))
            {
                ThrowIfThere(database, numbers.Session, numbers.Stream, record);
                return false;
            }

            SessionRows.Hear(database, numbers.Session, origin);
        }

        Insert(database, numbers.Session, numbers.Stream, record);

        if (arguments.State is { } state)
        {
            StreamRows.SetState(database, numbers.Stream, state, record.Written);
        }

        return true;
    }

    public static void Insert(SqliteDatabase database, long session, long stream, EventRecord record)
    {
        using (var insert = database.Use(InsertSql))
        {
            insert.Bind(session).Bind(stream).Bind(record.Sequence).Bind(record.Written).Bind(record.RequestId).Bind(record.Body.Span);
            if (insert.Run() == 0)
            {
                throw WasThere(record);
            }
        }

        using var total = database.Use(AddTotalSql);
        total.Bind(session).Bind(record.Body.Length).Run();
    }

    private static void ThrowIfThere(SqliteDatabase database, long session, long stream, EventRecord record)
    {
        using var read = database.Use(ReadSql);
        if (read.Bind(session).Bind(stream).Bind(record.Sequence - 1).Bind(1).Step() && read.Number(0) == record.Sequence)
        {
            throw WasThere(record);
        }
    }

    private static InvalidOperationException WasThere(EventRecord record) =>
        new($"Event {record.Sequence} of stream {record.StreamId} was appended before.");

    public static IReadOnlyList<EventRecord> Read(SqliteDatabase database, (string SessionId, string StreamId, long After, int Limit) range)
    {
        if (StreamRows.NumbersOf(database, range.SessionId, range.StreamId) is not { } numbers)
        {
            return [];
        }

        using var read = database.Use(ReadSql);
        read.Bind(numbers.Session).Bind(numbers.Stream).Bind(range.After).Bind(range.Limit);
        var events = new List<EventRecord>();
        while (read.Step())
        {
            events.Add(new EventRecord(
                range.SessionId, range.StreamId, read.Number(0), read.Bytes(1), read.Time(2), read.TextOrNull(3)));
        }

        return events;
    }

    public static int Trim(SqliteDatabase database, (string SessionId, int MaxEvents, long MaxBytes) limit)
    {
        if (SessionRows.NumberOf(database, limit.SessionId) is not { } session)
        {
            return 0;
        }

        var (events, bytes) = Totals(database, session);
        if (events <= limit.MaxEvents && bytes <= limit.MaxBytes)
        {
            return 0;
        }

        // The index alone gives the numbers, by stream; only those that go are looked up.
        var numbers = NumbersOf(database, session);
        numbers.Sort();
        var drop = new List<EventRow>();
        foreach (var number in numbers)
        {
            if (events <= limit.MaxEvents && bytes <= limit.MaxBytes)
            {
                break;
            }

            using var one = database.Use(OneSql);
            one.Bind(number).Step();
            var row = EventRow.Read(one);
            drop.Add(row);
            events--;
            bytes -= row.Bytes;
        }

        Drop(database, drop);
        return drop.Count;
    }

    /// <summary>Drops the oldest events, up to the first that was not written before, and at most <c>Limit</c>. Returns how many.</summary>
    public static int Expire(SqliteDatabase database, (DateTimeOffset Before, int Limit) arguments)
    {
        var drop = new List<EventRow>();
        using (var oldest = database.Use(OldestSql))
        {
            while (drop.Count < arguments.Limit && oldest.Step())
            {
                var row = EventRow.Read(oldest);
                if (row.Written >= arguments.Before.UtcTicks)
                {
                    break;
                }

                drop.Add(row);
            }
        }

        Drop(database, drop);
        return drop.Count;
    }

    private static List<long> NumbersOf(SqliteDatabase database, long session)
    {
        using var read = database.Use(NumbersSql);
        read.Bind(session);
        var numbers = new List<long>();
        while (read.Step())
        {
            numbers.Add(read.Number(0));
        }

        return numbers;
    }

    private static (long Events, long Bytes) Totals(SqliteDatabase database, long session)
    {
        using var read = database.Use("select events, bytes from event_totals where session = ?");
        read.Bind(session);
        return read.Step() ? (read.Number(0), read.Number(1)) : (0, 0);
    }

    private static void Drop(SqliteDatabase database, List<EventRow> rows)
    {
        foreach (var row in rows)
        {
            using var delete = database.Use("delete from events where n = ?");
            delete.Bind(row.Number).Run();
        }

        foreach (var stream in rows.GroupBy(row => row.Stream))
        {
            using var remember = database.Use("update streams set trimmed_to = max(trimmed_to, ?) where n = ?");
            remember.Bind(stream.Max(row => row.Sequence)).Bind(stream.Key).Run();
        }

        foreach (var session in rows.GroupBy(row => row.Session))
        {
            using var subtract = database.Use("update event_totals set events = events - ?, bytes = bytes - ? where session = ?");
            subtract.Bind(session.Count()).Bind(session.Sum(row => row.Bytes)).Bind(session.Key).Run();
        }
    }

    private readonly record struct EventRow(long Number, long Session, long Stream, long Sequence, long Written, long Bytes)
    {
        public static EventRow Read(SqliteStatement row) =>
            new(row.Number(0), row.Number(1), row.Number(2), row.Number(3), row.Number(4), row.Number(5));
    }
}
