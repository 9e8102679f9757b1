using Npgsql;

namespace Mooring.Stores.Postgres;

/// <summary>The statements on replicas and their mailboxes. Time is the database's, the only clock that all replicas share.</summary>
/// <remarks>
/// A mailbox's next sequence stands in its replica's row. Whoever posts holds that row until the commit, so messages become visible in
/// the order of their sequences, and none arrives behind a take-over.
/// </remarks>
internal static class ReplicaRows
{
    internal const string BeatSql = """
        insert into mooring.replicas as r (id, info, expires) values ($1, $2, clock_timestamp() + $3)
        on conflict (id) do update set info = excluded.info, expires = excluded.expires where r.taken_by is null
        returning true
        """;

    internal const string FindSql = """
        select id, info, expires <= clock_timestamp() from mooring.replicas where taken_by is null order by id
        """;

    internal const string FindTakenOverSql = "select id from mooring.replicas where taken_by = $1 order by id";

    internal const string ReadMailboxSql = """
        select sequence, kind, call_id, body from mooring.mailbox
        where replica = $1 and sequence > $2 and acknowledged is null order by sequence limit $3
        """;

    /// <summary>In one transaction; $1 is the dead one, $2 the one that takes over. The first gives a row to the winner, the others do nothing for a loser.</summary>
    internal static readonly string[] TakeOverSql =
    [
        """
        update mooring.replicas d set taken_by = $2
        where d.id = $1 and d.id <> $2 and ((d.taken_by is null and d.expires <= clock_timestamp()) or d.taken_by = $2)
            and exists (select from mooring.replicas b where b.id = $2 and b.taken_by is null)
        returning true
        """,
        // What the dead one had taken over itself: one step from any dead name to who answers for it now.
        """
        update mooring.replicas set taken_by = $2
        where taken_by = $1 and exists (select from mooring.replicas d where d.id = $1 and d.taken_by = $2)
        """,
        """
        with moved as (
            delete from mooring.mailbox
            where replica = $1 and exists (select from mooring.replicas d where d.id = $1 and d.taken_by = $2)
            returning sequence, kind, call_id, body, acknowledged),
        unread as (select row_number() over (order by sequence) as place, kind, call_id, body from moved where acknowledged is null),
        box as (
            update mooring.replicas set last_sequence = last_sequence + (select count(*) from unread)
            where id = $2 returning last_sequence - (select count(*) from unread) as before)
        insert into mooring.mailbox (replica, sequence, kind, call_id, body)
        select $2, b.before + u.place, u.kind, u.call_id, u.body from unread u, box b
        on conflict (replica, kind, call_id) do nothing
        """,
        "delete from mooring.homes where replica = $1 and exists (select from mooring.replicas d where d.id = $1 and d.taken_by = $2)",
        // Long enough for every late message and every late beat of a process that only slept.
        "delete from mooring.replicas where taken_by is not null and expires < clock_timestamp() - interval '1 day'",
    ];

    /// <summary>
    /// In one transaction. The first holds the replica's row, so that nothing is posted from then on, and each of the others sees what was
    /// before. The last gives a row unless something unread was in the way.
    /// </summary>
    internal static readonly string[] RemoveSql =
    [
        "update mooring.replicas set expires = expires where id = $1",
        """
        delete from mooring.replicas
        where id = $1 and not exists (select from mooring.mailbox where replica = $1 and acknowledged is null)
        """,
        "delete from mooring.homes where replica = $1 and not exists (select from mooring.replicas where id = $1)",
        "delete from mooring.mailbox where replica = $1 and not exists (select from mooring.replicas where id = $1)",
        "select true where not exists (select from mooring.replicas where id = $1)",
    ];

    public static readonly PostgresStatement<(string Replica, string Kind, string CallId, ReadOnlyMemory<byte> Body), (long? Sequence, string? TakenBy)> Post = new()
    {
        Sql =
        [
            """
            with box as (
                update mooring.replicas set last_sequence = last_sequence + 1 where id = $1 and taken_by is null returning id, last_sequence)
            insert into mooring.mailbox (replica, sequence, kind, call_id, body) select id, last_sequence, $2, $3, $4 from box
            on conflict (replica, kind, call_id) do nothing
            """,
            """
            select (select sequence from mooring.mailbox where replica = $1 and kind = $2 and call_id = $3),
                (select taken_by from mooring.replicas where id = $1)
            """,
        ],
        HasRows = true,
        Parameters = static (to, all) => to.Text(all[0].Replica).Text(all[0].Kind).Text(all[0].CallId).Bytes(all[0].Body),
        Result = static row => (row.IsDBNull(0) ? null : row.GetInt64(0), row.TextOrNull(1)),
    };

    /// <summary>
    /// Races with a take-over for each message's row: whoever comes second sees what the first made of it. So a message either moves, or is
    /// dropped and stays.
    /// </summary>
    public static readonly PostgresStatement<(string Replica, long UpTo, IReadOnlyList<long> Except), bool> Acknowledge = new()
    {
        Sql =
        [
            """
            update mooring.mailbox set acknowledged = clock_timestamp(), body = ''
            where replica = $1 and sequence <= $2 and acknowledged is null and not sequence = any($3::bigint[])
            """,
            "delete from mooring.mailbox where replica = $1 and acknowledged < clock_timestamp() - interval '5 minutes'",
            "select exists (select from mooring.mailbox where replica = $1 and sequence = $2)",
        ],
        HasRows = true,
        Parameters = static (to, all) => to.Text(all[0].Replica).Number(all[0].UpTo).Numbers(all[0].Except, static long (one) => one),
        Result = static row => row.GetBoolean(0),
    };

    public static MailRecord ReadMail(NpgsqlDataReader row) => new(row.GetInt64(0), row.Text(1), row.Text(2), row.Bytes(3));
}
