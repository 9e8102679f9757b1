namespace Mooring.Stores.Sqlite;

/// <summary>One step of the schema.</summary>
/// <param name="Version">1, 2, 3 … without a gap.</param>
/// <param name="WorksFrom">The oldest release's version that still runs on the result: a step that only adds keeps it, one that takes away raises it a release later.</param>
/// <param name="Sql">What it does, in one transaction with the record of it.</param>
internal sealed record SqliteMigration(int Version, int WorksFrom, string Sql);

/// <summary>Brings a file's schema up to date; run by the writer before anything else.</summary>
internal static class SqliteSchema
{
    /// <summary>The version of the first release that reads sealed rows: none before it may open a store in which sealing was begun.</summary>
    internal const int ReadsSealed = 10;

    /// <summary>
    /// Rows refer to each other by small numbers, not by the long random ids, which would otherwise stand in every index.
    /// An append costs the pages it touches, which go to the log whole: bodies lie in the order of appending, so that many share the
    /// last page, with one narrow index that serves replay, limits and deletion; expiry walks the table from its oldest end.
    /// </summary>
    public static readonly IReadOnlyList<SqliteMigration> Migrations =
    [
        new(1, 1, """
            create table sessions (
                n integer primary key,
                id text not null unique,
                issuer text not null,
                subject text not null,
                server text,
                transport text not null,
                version text not null,
                initialize_params blob not null,
                initialized integer not null,
                log_level text,
                subscriptions text,
                created integer not null,
                last_seen integer not null);
            create index sessions_last_seen on sessions (last_seen);

            create table links (
                session integer not null,
                server text not null,
                upstream_session_id text,
                version text not null,
                initialize_result blob not null,
                fingerprint text not null,
                primary key (session, server)) without rowid;

            create table streams (
                n integer primary key,
                session integer not null,
                stream_id text not null,
                kind integer not null,
                state integer not null,
                request_ids text,
                server text,
                replica text,
                changed integer not null,
                trimmed_to integer not null default 0,
                unique (session, stream_id));
            create index streams_running_calls on streams (n) where state = 0 and request_ids is not null;
            create index streams_ended on streams (changed) where state <> 0;

            create table events (
                n integer primary key,
                session integer not null,
                stream integer not null,
                sequence integer not null,
                written integer not null,
                request_id text,
                body blob not null,
                unique (session, stream, sequence));

            create table event_totals (
                session integer primary key,
                events integer not null,
                bytes integer not null);

            create table catalogue (
                server text not null,
                key text not null,
                kind text not null,
                body blob not null,
                hash text not null,
                fetched integer not null,
                primary key (server, key, kind)) without rowid;

            create table names (
                kind text not null,
                name text not null,
                server text not null,
                primary key (kind, name)) without rowid;
            create index names_server on names (server);
            """),
        new(2, 1, "alter table links add column own_lists blob not null default x''"),
        new(3, 1, """
            create table tasks (
                server text not null,
                task_id text not null,
                issuer text not null,
                subject text not null,
                expires integer not null,
                primary key (server, task_id)) without rowid;
            create index tasks_owner on tasks (server, issuer, subject);
            create index tasks_expires on tasks (expires);
            """),
        new(4, 1, """
            create table replicas (
                id text primary key,
                info text not null,
                expires integer not null,
                taken_by text,
                last_sequence integer not null default 0) without rowid;
            create table mailbox (
                replica text not null,
                sequence integer not null,
                kind text not null,
                call_id text not null,
                body blob not null,
                acknowledged integer,
                primary key (replica, sequence),
                unique (replica, kind, call_id));
            """),
        new(5, 1, "alter table sessions add column listener text"),
        // The trigger, because the release before does not know of homes, and numbers of sessions are used again.
        new(6, 1, """
            create table homes (
                session integer not null,
                server text not null,
                replica text not null,
                primary key (session, server)) without rowid;
            create index homes_replica on homes (replica);
            create trigger homes_end after delete on sessions begin
                delete from homes where session = old.n;
            end;
            """),
        new(7, 1, "alter table sessions add column revision integer not null default 0; alter table links add column heard text"),
        new(8, 1, """
            create table auth (
                kind integer not null,
                key text not null,
                "grant" text,
                data blob not null,
                created integer not null,
                expires integer not null,
                used integer,
                primary key (kind, key)) without rowid;
            create index auth_expires on auth (expires);
            """),
        new(9, 1, """
            create table held_tasks (
                id text not null unique,
                issuer text not null,
                subject text not null,
                route text,
                server text not null,
                tool text not null,
                meta blob not null,
                status integer not null,
                message text,
                created integer not null,
                updated integer not null,
                expires integer not null,
                replica text not null,
                server_task text,
                body blob not null,
                revision integer not null default 0);
            create index held_tasks_owner on held_tasks (issuer, subject);
            create index held_tasks_unfinished on held_tasks (replica) where status < 2;
            create index held_tasks_expires on held_tasks (expires);
            """),
        new(ReadsSealed, 1, """
            create table vault_keys (
                number integer primary key,
                wrapped blob not null,
                wrapped_by text not null,
                created integer not null);
            create table sealing (
                one integer primary key check (one = 1),
                began integer not null);
            create table credentials (
                issuer text not null,
                subject text not null,
                provider text not null,
                version integer not null,
                body blob not null,
                due integer,
                holder text,
                leased_until integer,
                primary key (issuer, subject, provider)) without rowid;
            create index credentials_due on credentials (due) where due is not null;
            """),
        new(11, 1, "alter table streams add column cursor text; alter table held_tasks add column cursor text"),
    ];

    /// <summary>Applies what is missing, in order. Returns the version found before and after.</summary>
    /// <exception cref="StoreException">A newer release wrote the file in a way that this one cannot work with.</exception>
    public static (int Before, int After) Apply(SqliteDatabase database, IReadOnlyList<SqliteMigration> migrations)
    {
        database.Execute("create table if not exists schema_version (version integer primary key, works_from integer not null)");
        var (before, worksFrom) = Read(database);
        var known = migrations[^1].Version;
        if (worksFrom > known)
        {
            throw new StoreException(
                $"The store file '{database.Path}' has schema version {before}, which needs a release that knows version {worksFrom}; "
                + $"this one knows {known}. Run the newer release, or restore the backup made before the upgrade.");
        }

        foreach (var migration in migrations)
        {
            if (migration.Version > before)
            {
                ApplyOne(database, migration);
            }
        }

        return (before, Math.Max(before, known));
    }

    private static (int Version, int WorksFrom) Read(SqliteDatabase database)
    {
        using var read = database.Use("select version, works_from from schema_version order by version desc limit 1");
        return read.Step() ? ((int)read.Number(0), (int)read.Number(1)) : (0, 0);
    }

    private static void ApplyOne(SqliteDatabase database, SqliteMigration migration)
    {
        database.Run("begin immediate");
        try
        {
            database.Execute(migration.Sql);
            // Never below what stands there: a release that begins to seal raises it, and no later step takes that back.
            using (var note = database.Use("insert into schema_version (version, works_from) select ?, max(?, coalesce(max(works_from), 1)) from schema_version"))
            {
                note.Bind(migration.Version).Bind(migration.WorksFrom).Run();
            }

            database.Run("commit");
        }
        catch
        {
            database.RollBack();
            throw;
        }
    }
}
