using Npgsql;

namespace Mooring.Stores.Postgres;

/// <summary>The statements on streams. Writes to a session or stream that is gone change nothing.</summary>
internal static class StreamRows
{
    internal const string FindSql = """
        select s.id, t.stream_id, t.kind, t.state, t.request_ids, t.server, t.replica, t.changed, t.trimmed_to, t.cursor
        from mooring.sessions s join mooring.streams t on t.session = s.n where s.id = $1 and t.stream_id = $2
        """;

    internal const string RunningCallsSql = """
        select s.id, t.stream_id, t.kind, t.state, t.request_ids, t.server, t.replica, t.changed, t.trimmed_to, t.cursor
        from mooring.streams t join mooring.sessions s on s.n = t.session
        where t.state = 0 and t.request_ids is not null
        """;

    // By the index of all running calls, which are few: one of its own would be one more to write with every call.
    internal const string RunningCallsOfSql = RunningCallsSql + " and t.kind = 1 and t.replica = $1";

    internal const string RunningCallsExceptSql = RunningCallsSql + " and t.kind = 1 and coalesce(t.replica, '') <> all ($1) order by t.n limit $2";

    internal const string SetCursorSql = """
        update mooring.streams t set cursor = $3 from mooring.sessions s where s.id = $1 and t.session = s.n and t.stream_id = $2
        """;

    /// <summary>Done again where its answer was lost, it says the same.</summary>
    internal const string TakeSql = """
        update mooring.streams t set replica = $4 from mooring.sessions s
        where s.id = $1 and t.session = s.n and t.stream_id = $2 and t.state = 0 and (t.replica is not distinct from $3 or t.replica = $4)
        """;

    internal const string DropEndedSql = """
        with gone as (
            select n from mooring.streams t
            where state <> 0 and changed < $1 and not exists (select from mooring.events e where e.session = t.session and e.stream = t.n)
            limit $2 for update skip locked),
        dropped as (delete from mooring.streams where n in (select n from gone) returning n)
        select count(*) from dropped
        """;

    /// <summary>
    /// The session's row is locked against its deletion (and nothing else) until the commit: a stream of a session that is gone would
    /// be found by nobody, and stay for ever.
    /// </summary>
    public static readonly PostgresStatement<(StreamRecord Stream, EventRecord? Primer), WriteOutcome> Open = new()
    {
        Sql =
        [
            """
            with input as (
                select * from unnest($1::text[], $2::text[], $3::smallint[], $4::smallint[], $5::text[], $6::text[], $7::text[], $8::bigint[],
                    $9::bigint[], $10::bigint[], $11::text[], $12::bytea[], $13::text[])
                with ordinality as i (
                    session_id, stream_id, kind, state, request_ids, server, replica, changed,
                    primer_sequence, primer_written, primer_request_id, primer_body, cursor, place)),
            owned as (
                select i.*, s.n as session from input i join mooring.sessions s on s.id = i.session_id order by s.n for key share of s),
            opened as (
                insert into mooring.streams (session, stream_id, kind, state, request_ids, server, replica, changed, cursor)
                select session, stream_id, kind, state, request_ids, server, replica, changed, cursor from owned order by place
                on conflict do nothing returning n, session, stream_id),
            primed as (
                insert into mooring.events (session, stream, sequence, written, request_id, body)
                select t.session, t.n, o.primer_sequence, o.primer_written, o.primer_request_id, o.primer_body
                from owned o join opened t on t.session = o.session and t.stream_id = o.stream_id
                where o.primer_sequence is not null order by o.place)
            select o.place, exists (select from opened t where t.session = o.session and t.stream_id = o.stream_id) from owned o
            """,
        ],
        HasRows = true,
        Parameters = static (to, all) => to.Texts(all, one => one.Stream.SessionId).Texts(all, one => one.Stream.StreamId)
            .Smalls(all, one => (short)one.Stream.Kind).Smalls(all, one => (short)one.Stream.State)
            .Texts(all, one => PostgresValues.List(one.Stream.RequestIds)).Texts(all, one => one.Stream.Server)
            .Texts(all, one => one.Stream.Replica).Numbers(all, one => one.Stream.Changed.UtcTicks)
            .Numbers(all, one => one.Primer?.Sequence).Numbers(all, one => one.Primer?.Written.UtcTicks)
            .Texts(all, one => one.Primer?.RequestId).Bodies(all, one => one.Primer?.Body.ToArray()).Texts(all, one => one.Stream.Cursor?.ToString()),
        Result = static row => row.GetBoolean(1) ? WriteOutcome.Done : WriteOutcome.WasThere,
        Identity = static one => (one.Stream.SessionId, one.Stream.StreamId),
        Refusal = static (one, outcome, mayBeDone) => outcome == WriteOutcome.WasThere && !mayBeDone
            ? new InvalidOperationException($"Stream {one.Stream.StreamId} was opened before.")
            : null,
    };

    public static readonly PostgresStatement<(string SessionId, string StreamId, StreamState State, DateTimeOffset Now), bool> SetState = new()
    {
        Sql =
        [
            """
            update mooring.streams t set state = i.state, changed = i.changed
            from unnest($1::text[], $2::text[], $3::smallint[], $4::bigint[]) as i (session_id, stream_id, state, changed)
            join mooring.sessions s on s.id = i.session_id
            where t.session = s.n and t.stream_id = i.stream_id
            """,
        ],
        Parameters = static (to, all) => to.Texts(all, one => one.SessionId).Texts(all, one => one.StreamId)
            .Smalls(all, one => (short)one.State).Numbers(all, one => one.Now.UtcTicks),
        Identity = static one => (one.SessionId, one.StreamId),
    };

    public static StreamRecord Read(NpgsqlDataReader row) => new()
    {
        SessionId = row.Text(0),
        StreamId = row.Text(1),
        Kind = (StreamKind)row.GetInt16(2),
        State = (StreamState)row.GetInt16(3),
        RequestIds = row.List(4),
        Server = row.TextOrNull(5),
        Replica = row.TextOrNull(6),
        Changed = row.Time(7),
        TrimmedTo = row.GetInt64(8),
        Cursor = CallCursor.Parse(row.TextOrNull(9)),
    };
}
