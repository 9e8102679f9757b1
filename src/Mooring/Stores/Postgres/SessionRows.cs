using Npgsql;

namespace Mooring.Stores.Postgres;

/// <summary>The statements on sessions and their links.</summary>
internal static class SessionRows
{
    internal const string FindSql = """
        select id, issuer, subject, server, transport, version, initialize_params, initialized, log_level, subscriptions, created, last_seen, listener, revision
        from mooring.sessions where id = $1
        """;

    internal const string FindIdleSql = "select id from mooring.sessions where last_seen < $1 order by last_seen limit $2";

    internal const string CountSql = "select count(*) from mooring.sessions";

    internal const string CountUpToSql = "select count(*) from (select from mooring.sessions limit $1) s";

    internal const string CountOfSql = "select count(*) from (select from mooring.session_owners where issuer = $1 and subject = $2 limit $3) s";

    internal const string FindLinksSql = """
        select server, upstream_session_id, version, initialize_result, fingerprint, own_lists, heard from mooring.links
        where session = (select n from mooring.sessions where id = $1) order by server
        """;

    /// <summary>The listener is not a saver's to say.</summary>
    public static readonly PostgresStatement<SessionRecord, bool> Save = new()
    {
        Sql =
        [
            """
            insert into mooring.sessions
                (id, issuer, subject, server, transport, version, initialize_params, initialized, log_level, subscriptions, created, last_seen)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            on conflict (id) do update set
                issuer = excluded.issuer, subject = excluded.subject, server = excluded.server, transport = excluded.transport,
                version = excluded.version, initialize_params = excluded.initialize_params, initialized = excluded.initialized,
                log_level = excluded.log_level, subscriptions = excluded.subscriptions, created = excluded.created,
                last_seen = excluded.last_seen, revision = sessions.revision + 1
            """,
        ],
        Parameters = static (to, all) => to.Text(all[0].Id).Text(all[0].Issuer).Text(all[0].Subject).Text(all[0].Server).Text(all[0].Transport)
            .Text(all[0].Version).Bytes(all[0].InitializeParams).Flag(all[0].Initialized).Text(all[0].LogLevel)
            .Text(PostgresValues.List(all[0].Lasting)).Time(all[0].Created).Time(all[0].LastSeen),
    };

    public static readonly PostgresStatement<SessionRecord, bool> Update = new()
    {
        Sql =
        [
            """
            update mooring.sessions set
                version = $2, initialize_params = $3, initialized = $4, log_level = $5, subscriptions = $6, revision = revision + 1
            where id = $1 and revision = $7 returning true
            """,
        ],
        HasRows = true,
        Parameters = static (to, all) => to.Text(all[0].Id).Text(all[0].Version).Bytes(all[0].InitializeParams).Flag(all[0].Initialized)
            .Text(all[0].LogLevel).Text(PostgresValues.List(all[0].Lasting)).Number(all[0].Revision),
        Result = static row => row.GetBoolean(0),
    };

    public static readonly PostgresStatement<(string SessionId, SessionListener Listener), bool> SetListener = new()
    {
        Sql = ["update mooring.sessions set listener = $2 where id = $1 and listener is distinct from $2"],
        Parameters = static (to, all) => to.Text(all[0].SessionId).Text(all[0].Listener.ToString()),
    };

    /// <summary>Rows are locked in the order of their ids, so that two replicas which touch the same ones wait for each other and never deadlock.</summary>
    public static readonly PostgresStatement<(string SessionId, DateTimeOffset Seen)[], bool> Touch = new()
    {
        Sql =
        [
            """
            with seen as (select * from unnest($1::text[], $2::bigint[]) as i (id, seen)),
            locked as (
                select s.n, i.seen from mooring.sessions s join seen i on i.id = s.id
                where s.last_seen < i.seen order by s.id for no key update of s)
            update mooring.sessions s set last_seen = greatest(s.last_seen, l.seen) from locked l where s.n = l.n
            """,
        ],
        Parameters = static (to, all) => to.Texts(all[0], seen => seen.SessionId).Numbers(all[0], seen => seen.Seen.UtcTicks),
    };

    /// <summary>Locks the session first: a stream or link being added elsewhere is waited for, then goes with it.</summary>
    public static readonly PostgresStatement<string, bool> Delete = new()
    {
        Sql =
        [
            """
            with own as (select n from mooring.sessions where id = $1 for update)
            delete from mooring.links where session in (select n from own)
            """,
            "delete from mooring.events where session = (select n from mooring.sessions where id = $1)",
            "delete from mooring.streams where session = (select n from mooring.sessions where id = $1)",
            "delete from mooring.links where session = (select n from mooring.sessions where id = $1)",
            "delete from mooring.sessions where id = $1",
        ],
        Parameters = static (to, all) => to.Text(all[0]),
    };

    /// <summary>As <see cref="Delete"/>. A touch that is under way is waited for, and counts; one that comes later finds no row.</summary>
    public static readonly PostgresStatement<(string SessionId, DateTimeOffset Before), bool> DeleteIdle = new()
    {
        Sql =
        [
            """
            with own as (select n from mooring.sessions where id = $1 and last_seen < $2 for update)
            delete from mooring.links where session in (select n from own)
            """,
            "delete from mooring.events where session = (select n from mooring.sessions where id = $1 and last_seen < $2)",
            "delete from mooring.streams where session = (select n from mooring.sessions where id = $1 and last_seen < $2)",
            "delete from mooring.links where session = (select n from mooring.sessions where id = $1 and last_seen < $2)",
            "delete from mooring.sessions where id = $1 and last_seen < $2",
            "select not exists (select from mooring.sessions where id = $1 and last_seen >= $2)",
        ],
        HasRows = true,
        Parameters = static (to, all) => to.Text(all[0].SessionId).Time(all[0].Before),
        Result = static row => row.GetBoolean(0),
    };

    public static readonly PostgresStatement<LinkRecord, bool> SaveLink = new()
    {
        Sql =
        [
            """
            with own as (select n from mooring.sessions where id = $1 for key share)
            insert into mooring.links (session, server, upstream_session_id, version, initialize_result, fingerprint, own_lists, heard)
            select n, $2, $3, $4, $5, $6, $7, $8 from own
            on conflict (session, server) do update set
                heard = case when links.upstream_session_id is not distinct from excluded.upstream_session_id
                    then coalesce(links.heard, excluded.heard) else excluded.heard end,
                upstream_session_id = excluded.upstream_session_id, version = excluded.version,
                initialize_result = excluded.initialize_result, fingerprint = excluded.fingerprint, own_lists = excluded.own_lists
            """,
        ],
        Parameters = static (to, all) => to.Text(all[0].SessionId).Text(all[0].Server).Text(all[0].UpstreamSessionId).Text(all[0].Version)
            .Bytes(all[0].InitializeResult).Text(all[0].Fingerprint).Bytes(all[0].OwnLists).Text(all[0].Heard),
    };

    public static SessionRecord Read(NpgsqlDataReader row) => new()
    {
        Id = row.Text(0),
        Issuer = row.Text(1),
        Subject = row.Text(2),
        Server = row.TextOrNull(3),
        Transport = row.Text(4),
        Version = row.Text(5),
        InitializeParams = row.Bytes(6),
        Initialized = row.GetBoolean(7),
        LogLevel = row.TextOrNull(8),
        Lasting = row.List(9),
        Created = row.Time(10),
        LastSeen = row.Time(11),
        Listener = SessionListener.Parse(row.TextOrNull(12)),
        Revision = row.GetInt64(13),
    };

    public static LinkRecord ReadLink(NpgsqlDataReader row, string sessionId) => new()
    {
        SessionId = sessionId,
        Server = row.Text(0),
        UpstreamSessionId = row.TextOrNull(1),
        Version = row.Text(2),
        InitializeResult = row.Bytes(3),
        Fingerprint = row.Text(4),
        OwnLists = row.Bytes(5),
        Heard = row.TextOrNull(6),
    };
}
