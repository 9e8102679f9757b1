using Npgsql;

namespace Mooring.Stores.Postgres;

/// <summary>One step of the schema.</summary>
/// <param name="Version">1, 2, 3 … without a gap.</param>
/// <param name="WorksFrom">The oldest release's version that still runs on the result: a step that only adds keeps it, one that takes away raises it a release later.</param>
/// <param name="Sql">What it does.</param>
internal sealed record PostgresMigration(int Version, int WorksFrom, string Sql);

/// <summary>
/// Brings the database's schema up to date, at the start of any replica. All steps and the record of them are one transaction under a lock
/// that ends with it, so several replicas may start at once. A step runs beside replicas of the release before: it adds, and never takes away
/// what that release uses.
/// </summary>
internal static class PostgresSchema
{
    /// <summary>Any number of our own; the lock is one of this database only. Spells "mooring" on a telephone.</summary>
    private const long LockKey = 6_667_464;

    /// <summary>The version of the first release that reads sealed rows: none before it may open a store in which sealing was begun.</summary>
    internal const int ReadsSealed = 7;

    /// <summary>
    /// Everything lies in a schema of its own and is named in full, so that no search path matters. Rows refer to each other by small
    /// numbers, and times are ticks (100 ns) of UTC, both as in the embedded store. An append writes one row and two narrow indexes and
    /// updates nothing.
    /// </summary>
    public static readonly IReadOnlyList<PostgresMigration> Migrations =
    [
        new(1, 1, """
            create table mooring.sessions (
                n bigint generated always as identity primary key,
                id text collate "C" not null unique,
                issuer text not null,
                subject text not null,
                server text,
                transport text not null,
                version text not null,
                initialize_params bytea not null,
                initialized boolean not null,
                log_level text,
                subscriptions text,
                created bigint not null,
                last_seen bigint not null);
            create index sessions_last_seen on mooring.sessions (last_seen);

            create table mooring.links (
                session bigint not null,
                server text collate "C" not null,
                upstream_session_id text,
                version text not null,
                initialize_result bytea not null,
                fingerprint text not null,
                own_lists bytea not null,
                primary key (session, server));

            create table mooring.streams (
                n bigint generated always as identity primary key,
                session bigint not null,
                stream_id text collate "C" not null,
                kind smallint not null,
                state smallint not null,
                request_ids text,
                server text,
                replica text,
                changed bigint not null,
                trimmed_to bigint not null default 0,
                unique (session, stream_id));
            create index streams_running_calls on mooring.streams (n) where state = 0 and request_ids is not null;
            create index streams_ended on mooring.streams (changed) where state <> 0;

            create table mooring.events (
                n bigint generated always as identity,
                session bigint not null,
                stream bigint not null,
                sequence bigint not null,
                written bigint not null,
                request_id text,
                body bytea not null,
                unique (session, stream, sequence));
            create index events_written on mooring.events (written);

            create table mooring.catalogue (
                server text collate "C" not null,
                key text collate "C" not null,
                kind text collate "C" not null,
                body bytea not null,
                hash text not null,
                fetched bigint not null,
                primary key (server, key, kind));

            create table mooring.names (
                kind text collate "C" not null,
                name text collate "C" not null,
                server text collate "C" not null,
                primary key (kind, name));
            create index names_server on mooring.names (server);

            create table mooring.tasks (
                server text collate "C" not null,
                task_id text collate "C" not null,
                issuer text collate "C" not null,
                subject text collate "C" not null,
                expires bigint not null,
                primary key (server, task_id));
            create index tasks_owner on mooring.tasks (server, issuer, subject);
            create index tasks_expires on mooring.tasks (expires);

            create table mooring.replicas (
                id text collate "C" primary key,
                info text not null,
                expires timestamptz not null,
                taken_by text collate "C",
                last_sequence bigint not null default 0);

            create table mooring.mailbox (
                replica text collate "C" not null,
                sequence bigint not null,
                kind text collate "C" not null,
                call_id text collate "C" not null,
                body bytea not null,
                acknowledged timestamptz,
                primary key (replica, sequence),
                unique (replica, kind, call_id));
            create index mailbox_waiting on mooring.mailbox (replica, sequence) where acknowledged is null;
            create index mailbox_done on mooring.mailbox (replica, acknowledged) where acknowledged is not null;
            """),
        new(2, 1, "alter table mooring.sessions add column listener text"),
        // The cascade, because replicas of the release before do not know of homes.
        new(3, 1, """
            create table mooring.homes (
                session bigint not null references mooring.sessions (n) on delete cascade,
                server text collate "C" not null,
                replica text collate "C" not null,
                primary key (session, server));
            create index homes_replica on mooring.homes (replica);
            """),
        new(4, 1, "alter table mooring.sessions add column revision bigint not null default 0; alter table mooring.links add column heard text"),
        new(5, 1, """
            create table mooring.auth (
                kind smallint not null,
                key text collate "C" not null,
                "grant" text collate "C",
                data bytea not null,
                created bigint not null,
                expires bigint not null,
                used bigint,
                primary key (kind, key));
            create index auth_expires on mooring.auth (expires);
            """),
        new(6, 1, """
            create table mooring.held_tasks (
                id text collate "C" primary key,
                issuer text collate "C" not null,
                subject text collate "C" not null,
                route text,
                server text not null,
                tool text not null,
                meta bytea not null,
                status smallint not null,
                message text,
                created bigint not null,
                updated bigint not null,
                expires bigint not null,
                replica text collate "C" not null,
                server_task text,
                body bytea not null,
                revision bigint not null default 0);
            create index held_tasks_owner on mooring.held_tasks (issuer, subject);
            create index held_tasks_unfinished on mooring.held_tasks (replica) where status < 2;
            create index held_tasks_expires on mooring.held_tasks (expires);
            """),
        new(ReadsSealed, 1, """
            create table mooring.vault_keys (
                number bigint primary key,
                wrapped bytea not null,
                wrapped_by text collate "C" not null,
                created bigint not null);
            create table mooring.sealing (
                one integer primary key check (one = 1),
                began bigint not null);
            create table mooring.credentials (
                issuer text collate "C" not null,
                subject text collate "C" not null,
                provider text collate "C" not null,
                version bigint not null,
                body bytea not null,
                due bigint,
                holder text collate "C",
                leased_until timestamptz,
                primary key (issuer, subject, provider));
            create index credentials_due on mooring.credentials (due) where due is not null;
            """),
        new(8, 1, """
            create unlogged table mooring.permits (
                key text collate "C" primary key,
                minute bigint not null,
                used integer not null,
                granted integer not null);
            """),
        // Whose sessions are is a table of its own: an index on the sessions themselves would be written with each touch. By a trigger, so that
        // those which the release before makes are in it too.
        new(9, 1, """
            create table mooring.session_owners (
                session bigint primary key references mooring.sessions (n) on delete cascade,
                issuer text collate "C" not null,
                subject text collate "C" not null);
            create function mooring.own_session() returns trigger language plpgsql as $$
                begin
                    insert into mooring.session_owners (session, issuer, subject) values (new.n, new.issuer, new.subject);
                    return null;
                end
                $$;
            create trigger own_session after insert on mooring.sessions for each row execute function mooring.own_session();
            insert into mooring.session_owners (session, issuer, subject) select n, issuer, subject from mooring.sessions;
            create index session_owners_owner on mooring.session_owners (issuer, subject);

            create unlogged table mooring.open_streams (
                key text collate "C" not null,
                replica text collate "C" not null,
                streams bigint not null,
                stamp bigint not null,
                changed timestamptz not null default now(),
                primary key (key, replica));
            """),
        new(10, 1, "alter table mooring.streams add column cursor text; alter table mooring.held_tasks add column cursor text"),
    ];

    /// <summary>Applies what is missing, in order. Returns the version found before and after.</summary>
    /// <exception cref="StoreException">A newer release changed the database in a way that this one cannot work with.</exception>
    public static async Task<(int Before, int After)> ApplyAsync(
        NpgsqlConnection connection, IReadOnlyList<PostgresMigration> migrations, TimeSpan timeout, string name, CancellationToken cancel)
    {
        var known = migrations[^1].Version;
        var (before, worksFrom) = await ReadAsync(connection, cancel);
        if (before < known)
        {
            await using var transaction = await connection.BeginTransactionAsync(cancel);
            await RunAsync(connection, $"select pg_advisory_xact_lock({LockKey})", timeout, cancel);
            // Only now: another replica may have done it while we waited for the lock.
            (before, worksFrom) = await ReadAsync(connection, cancel);
            if (before == 0)
            {
                await MakeAsync(connection, timeout, cancel);
            }

            foreach (var step in migrations.Where(step => step.Version > before))
            {
                await RunAsync(connection, step.Sql, timeout, cancel);
                // Never below what stands there: a release that begins to seal raises it, and no later step takes that back.
                await RunAsync(
                    connection,
                    $"insert into mooring.schema_version (version, works_from) select {step.Version}, greatest({step.WorksFrom}, coalesce(max(works_from), 1)) from mooring.schema_version",
                    timeout,
                    cancel);
            }

            await transaction.CommitAsync(cancel);
        }

        return worksFrom <= known
            ? (before, Math.Max(before, known))
            : throw new StoreException(
                $"{name} has schema version {before}, which needs a release that knows version {worksFrom}; this one knows {known}. "
                + "Run the newer release, or restore the backup made before the upgrade.");
    }

    /// <summary>Version 0: nothing of ours is there.</summary>
    private static async Task<(int Version, int WorksFrom)> ReadAsync(NpgsqlConnection connection, CancellationToken cancel)
    {
        // Two questions: the second could not even be parsed without the table. Not by to_regclass(), which within a transaction may
        // still say what it found before the wait for the lock.
        await using var exists = new NpgsqlCommand(
            "select exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = 'mooring' and c.relname = 'schema_version')",
            connection);
        if (await exists.ExecuteScalarAsync(cancel) is not true)
        {
            return (0, 0);
        }

        await using var read = new NpgsqlCommand("select version, works_from from mooring.schema_version order by version desc limit 1", connection);
        await using var row = await read.ExecuteReaderAsync(cancel);
        return await row.ReadAsync(cancel) ? (row.GetInt32(0), row.GetInt32(1)) : (0, 0);
    }

    private static async Task MakeAsync(NpgsqlConnection connection, TimeSpan timeout, CancellationToken cancel)
    {
        // "if not exists" asks for the right to create schemas also where it exists; an administrator may have made it for us.
        await using var exists = new NpgsqlCommand("select exists (select from pg_catalog.pg_namespace where nspname = 'mooring')", connection);
        if (await exists.ExecuteScalarAsync(cancel) is not true)
        {
            await RunAsync(connection, "create schema mooring", timeout, cancel);
        }

        await RunAsync(connection, "create table if not exists mooring.schema_version (version integer primary key, works_from integer not null)", timeout, cancel);
    }

    private static async Task RunAsync(NpgsqlConnection connection, string sql, TimeSpan timeout, CancellationToken cancel)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = (int)timeout.TotalSeconds };
        await command.ExecuteNonQueryAsync(cancel);
    }
}
