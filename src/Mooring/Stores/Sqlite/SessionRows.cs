namespace Mooring.Stores.Sqlite;

/// <summary>The statements on sessions and their links.</summary>
internal static class SessionRows
{
    internal const string FindSql = """
        select id, issuer, subject, server, transport, version, initialize_params, initialized, log_level, subscriptions, created, last_seen, listener, revision
        from sessions where id = ?
        """;

    internal const string NumberSql = "select n from sessions where id = ?";

    // Not "insert or replace": that would give the row a new number and cut off its streams. The listener is not a saver's to say.
    private const string SaveSql = """
        insert into sessions
            (id, issuer, subject, server, transport, version, initialize_params, initialized, log_level, subscriptions, created, last_seen)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        on conflict (id) do update set
            issuer = excluded.issuer, subject = excluded.subject, server = excluded.server, transport = excluded.transport,
            version = excluded.version, initialize_params = excluded.initialize_params, initialized = excluded.initialized,
            log_level = excluded.log_level, subscriptions = excluded.subscriptions, created = excluded.created,
            last_seen = excluded.last_seen, revision = sessions.revision + 1
        """;

    internal const string UpdateSql = """
        update sessions set version = ?, initialize_params = ?, initialized = ?, log_level = ?, subscriptions = ?, revision = revision + 1
        where id = ? and revision = ?
        """;

    internal const string SetListenerSql = "update sessions set listener = ? where id = ?";

    internal const string TouchSql = "update sessions set last_seen = ?1 where id = ?2 and last_seen < ?1";

    internal const string FindIdleSql = "select id from sessions where last_seen < ? order by last_seen limit ?";

    private static readonly string[] DeleteSql =
    [
        "delete from events where session = ?",
        "delete from event_totals where session = ?",
        "delete from streams where session = ?",
        "delete from links where session = ?",
        "delete from sessions where n = ?",
    ];

    public static SessionRecord? Find(SqliteDatabase database, string id)
    {
        using var find = database.Use(FindSql);
        find.Bind(id);
        return !find.Step() ? null : new SessionRecord
        {
            Id = find.Text(0),
            Issuer = find.Text(1),
            Subject = find.Text(2),
            Server = find.TextOrNull(3),
            Transport = find.Text(4),
            Version = find.Text(5),
            InitializeParams = find.Bytes(6),
            Initialized = find.Number(7) != 0,
            LogLevel = find.TextOrNull(8),
            Lasting = find.Texts(9),
            Created = find.Time(10),
            LastSeen = find.Time(11),
            Listener = SessionListener.Parse(find.TextOrNull(12)),
            Revision = find.Number(13),
        };
    }

    /// <summary>The row's number by which its streams, events and links refer to it.</summary>
    public static long? NumberOf(SqliteDatabase database, string id)
    {
        using var find = database.Use(NumberSql);
        find.Bind(id);
        return find.Step() ? find.Number(0) : null;
    }

    public static bool Save(SqliteDatabase database, SessionRecord session)
    {
        using var save = database.Use(SaveSql);
        save.Bind(session.Id).Bind(session.Issuer).Bind(session.Subject).Bind(session.Server).Bind(session.Transport)
            .Bind(session.Version).Bind(session.InitializeParams.Span).Bind(session.Initialized ? 1 : 0).Bind(session.LogLevel)
            .Bind(session.Lasting).Bind(session.Created).Bind(session.LastSeen);
        return save.Run() > 0;
    }

    public static bool Update(SqliteDatabase database, SessionRecord session)
    {
        using var update = database.Use(UpdateSql);
        update.Bind(session.Version).Bind(session.InitializeParams.Span).Bind(session.Initialized ? 1 : 0).Bind(session.LogLevel)
            .Bind(session.Lasting).Bind(session.Id).Bind(session.Revision);
        return update.Run() > 0;
    }

    public static bool SetListener(SqliteDatabase database, (string SessionId, SessionListener Listener) change)
    {
        using var set = database.Use(SetListenerSql);
        return set.Bind(change.Listener.ToString()).Bind(change.SessionId).Run() > 0;
    }

    public static bool Touch(SqliteDatabase database, (string SessionId, DateTimeOffset Seen)[] sessions)
    {
        foreach (var (id, seen) in sessions)
        {
            using var touch = database.Use(TouchSql);
            touch.Bind(seen).Bind(id).Run();
        }

        return true;
    }

    public static bool Delete(SqliteDatabase database, string id)
    {
        if (NumberOf(database, id) is not { } number)
        {
            return false;
        }

        foreach (var sql in DeleteSql)
        {
            using var delete = database.Use(sql);
            delete.Bind(number).Run();
        }

        return true;
    }

    /// <summary>Nothing is written between the question and the answer: there is one writer.</summary>
    public static bool DeleteIdle(SqliteDatabase database, (string Id, DateTimeOffset Before) session)
    {
        using (var seen = database.Use("select 1 from sessions where id = ? and last_seen >= ?"))
        {
            if (seen.Bind(session.Id).Bind(session.Before).Step())
            {
                return false;
            }
        }

        Delete(database, session.Id);
        return true;
    }

    public static IReadOnlyList<string> FindIdle(SqliteDatabase database, (DateTimeOffset Before, int Limit) arguments)
    {
        using var find = database.Use(FindIdleSql);
        find.Bind(arguments.Before).Bind(arguments.Limit);
        var ids = new List<string>();
        while (find.Step())
        {
            ids.Add(find.Text(0));
        }

        return ids;
    }

    public static int Count(SqliteDatabase database)
    {
        using var count = database.Use("select count(*) from sessions");
        return count.Step() ? (int)count.Number(0) : 0;
    }

    public static IReadOnlyList<LinkRecord> FindLinks(SqliteDatabase database, string sessionId)
    {
        using var find = database.Use("""
            select server, upstream_session_id, version, initialize_result, fingerprint, own_lists, heard from links
            where session = (select n from sessions where id = ?) order by server
            """);
        find.Bind(sessionId);
        var links = new List<LinkRecord>();
        while (find.Step())
        {
            links.Add(new LinkRecord
            {
                SessionId = sessionId,
                Server = find.Text(0),
                UpstreamSessionId = find.TextOrNull(1),
                Version = find.Text(2),
                InitializeResult = find.Bytes(3),
                Fingerprint = find.Text(4),
                OwnLists = find.Bytes(5),
                Heard = find.TextOrNull(6),
            });
        }

        return links;
    }

    public static bool SaveLink(SqliteDatabase database, LinkRecord link)
    {
        if (NumberOf(database, link.SessionId) is not { } session)
        {
            return false;
        }

        using var save = database.Use("""
            insert into links (session, server, upstream_session_id, version, initialize_result, fingerprint, own_lists, heard)
            values (?, ?, ?, ?, ?, ?, ?, ?)
            on conflict (session, server) do update set
                heard = case when upstream_session_id is excluded.upstream_session_id then coalesce(heard, excluded.heard) else excluded.heard end,
                upstream_session_id = excluded.upstream_session_id, version = excluded.version,
                initialize_result = excluded.initialize_result, fingerprint = excluded.fingerprint, own_lists = excluded.own_lists
            """);
        save.Bind(session).Bind(link.Server).Bind(link.UpstreamSessionId).Bind(link.Version)
            .Bind(link.InitializeResult.Span).Bind(link.Fingerprint).Bind(link.OwnLists.Span).Bind(link.Heard);
        return save.Run() > 0;
    }

    /// <summary>What the link of that session remembers; null where there is none.</summary>
    public static string? HeardOf(SqliteDatabase database, long session, EventOrigin origin)
    {
        using var read = database.Use("select heard from links where session = ? and server = ? and upstream_session_id = ?");
        return read.Bind(session).Bind(origin.Server).Bind(origin.UpstreamSessionId).Step() ? read.TextOrNull(0) : null;
    }

    public static bool Hear(SqliteDatabase database, long session, EventOrigin origin)
    {
        using var hear = database.Use("update links set heard = ? where session = ? and server = ? and upstream_session_id = ?");
        return hear.Bind(origin.EventId).Bind(session).Bind(origin.Server).Bind(origin.UpstreamSessionId).Run() > 0;
    }
}
