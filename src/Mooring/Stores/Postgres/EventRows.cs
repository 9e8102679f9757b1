using Npgsql;

namespace Mooring.Stores.Postgres;

/// <summary>What became of one of many writes in a shared statement.</summary>
internal enum WriteOutcome
{
    /// <summary>What it belongs to is gone.</summary>
    Gone,

    Done,

    /// <summary>The same was written before.</summary>
    WasThere,

    /// <summary>Something else stands in its place.</summary>
    IsTaken,

    /// <summary>It is not the successor of what came before.</summary>
    NotNext,
}

/// <summary>The statements on event logs.</summary>
internal static class EventRows
{
    internal const string ReadSql = """
        select e.sequence, e.body, e.written, e.request_id
        from mooring.sessions s join mooring.streams t on t.session = s.n join mooring.events e on e.session = s.n and e.stream = t.n
        where s.id = $1 and t.stream_id = $2 and e.sequence > $3 order by e.sequence limit $4
        """;

    internal const string ExpireSql = """
        with gone as (
            select session, stream, sequence from mooring.events where written < $1 order by written limit $2 for update skip locked),
        dropped as (
            delete from mooring.events e using gone g where e.session = g.session and e.stream = g.stream and e.sequence = g.sequence
            returning e.stream, e.sequence),
        remembered as (
            update mooring.streams t set trimmed_to = greatest(t.trimmed_to, d.highest)
            from (select stream, max(sequence) as highest from dropped group by stream) d where t.n = d.stream)
        select count(*) from dropped
        """;

    /// <summary>
    /// An append that races with the end of its session may leave a row that belongs to nothing; nobody finds it (a session that comes back
    /// has another number), and it expires like every event. So the hot path locks no row of the session. What a server said of its own accord
    /// locks its link: two replicas that heard the same wait for each other, in the order of the links, and the second reads what the first wrote.
    /// </summary>
    public static readonly PostgresStatement<(EventRecord Record, StreamState? State), WriteOutcome> Append = new()
    {
        Sql =
        [
            """
            with input as (
                select * from unnest(
                    $1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::bytea[], $7::smallint[], $8::text[], $9::text[], $10::text[], $11::text[])
                with ordinality as i (session_id, stream_id, sequence, written, request_id, body, state, server, server_session, server_event, server_after, place)),
            owned as materialized (
                select i.sequence, i.written, i.request_id, i.body, i.state, i.server, i.server_session, i.server_event, i.server_after, i.place,
                    t.session, t.n as stream
                from input i join mooring.sessions s on s.id = i.session_id
                join mooring.streams t on t.session = s.n and t.stream_id = i.stream_id),
            known as materialized (
                select session, server, upstream_session_id, heard from mooring.links
                where (session, server) in (select session, server from owned where server is not null)
                order by session, server for no key update),
            judged as materialized (
                select o.*, o.server is null or o.server_after is null or k.heard is null or k.heard = o.server_after as is_next
                from owned o left join known k on k.session = o.session and k.server = o.server and k.upstream_session_id = o.server_session),
            added as (
                insert into mooring.events (session, stream, sequence, written, request_id, body)
                select session, stream, sequence, written, request_id, body from judged where is_next order by place
                on conflict do nothing returning stream, sequence),
            changed as (
                update mooring.streams t set state = c.state, changed = c.written
                from (
                    select distinct on (o.stream) o.stream, o.state, o.written
                    from owned o join added a on a.stream = o.stream and a.sequence = o.sequence
                    where o.state is not null order by o.stream, o.place desc) c
                where t.n = c.stream),
            heard as (
                update mooring.links l set heard = h.server_event
                from (
                    select distinct on (o.session, o.server) o.session, o.server, o.server_session, o.server_event
                    from owned o join added a on a.stream = o.stream and a.sequence = o.sequence
                    where o.server is not null order by o.session, o.server, o.place desc) h
                where l.session = h.session and l.server = h.server and l.upstream_session_id = h.server_session)
            select j.place, case
                when exists (select from added a where a.stream = j.stream and a.sequence = j.sequence) then 1
                when exists (
                    select from mooring.events e
                    where e.session = j.session and e.stream = j.stream and e.sequence = j.sequence and e.body = j.body) then 2
                when j.is_next then 3 else 4 end
            from judged j
            """,
        ],
        HasRows = true,
        Parameters = static (to, all) => to.Texts(all, one => one.Record.SessionId).Texts(all, one => one.Record.StreamId)
            .Numbers(all, one => one.Record.Sequence).Numbers(all, one => one.Record.Written.UtcTicks)
            .Texts(all, one => one.Record.RequestId).Bodies(all, one => one.Record.Body.ToArray()).Smalls(all, one => (short?)one.State)
            .Texts(all, one => one.Record.Origin?.Server).Texts(all, one => one.Record.Origin?.UpstreamSessionId).Texts(all, one => one.Record.Origin?.EventId)
            .Texts(all, one => one.Record.Origin?.After),
        Result = static row => (WriteOutcome)row.GetInt32(1),
        // One at a time of each link: the next one's place depends on it.
        Identity = static one => one.Record.Origin is { } origin
            ? (one.Record.SessionId, origin.Server)
            : (one.Record.SessionId, one.Record.StreamId, one.Record.Sequence),
        Refusal = static (one, outcome, mayBeDone) => outcome switch
        {
            WriteOutcome.WasThere when !mayBeDone => WasThere(one.Record),
            // Of what another try writes at this very moment nothing is seen yet: whoever asks again will see whose it is.
            WriteOutcome.IsTaken => mayBeDone ? new StoreException(WasThere(one.Record).Message) : WasThere(one.Record),
            _ => null,
        },
    };

    /// <summary>Counts from the newest: an event stays while it and all after it are within both limits.</summary>
    public static readonly PostgresStatement<(string SessionId, int MaxEvents, long MaxBytes), bool> Trim = new()
    {
        Sql =
        [
            """
            with own as materialized (select n from mooring.sessions where id = $1),
            counted as (
                select session, stream, sequence, count(*) over newer as events, sum(octet_length(body)) over newer as bytes
                from mooring.events where session = (select n from own) window newer as (order by n desc rows unbounded preceding)),
            dropped as (
                delete from mooring.events e using counted c
                where (c.events > $2 or c.bytes > $3) and e.session = c.session and e.stream = c.stream and e.sequence = c.sequence
                returning e.stream, e.sequence)
            update mooring.streams t set trimmed_to = greatest(t.trimmed_to, d.highest)
            from (select stream, max(sequence) as highest from dropped group by stream) d where t.n = d.stream
            """,
        ],
        Parameters = static (to, all) => to.Text(all[0].SessionId).Number(all[0].MaxEvents).Number(all[0].MaxBytes),
    };

    private static InvalidOperationException WasThere(EventRecord record) =>
        new($"Event {record.Sequence} of stream {record.StreamId} was appended before.");

    public static EventRecord Read(NpgsqlDataReader row, string sessionId, string streamId) =>
        new(sessionId, streamId, row.GetInt64(0), row.Bytes(1), row.Time(2), row.TextOrNull(3));
}
