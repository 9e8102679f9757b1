namespace Mooring.Stores.Postgres;

/// <summary>
/// The statements on how many streams each replica has open of each user. A row is written by its replica alone, so nobody waits for it; whether it
/// counts is asked of that replica's lease, so nothing has to be taken back when one dies.
/// </summary>
internal static class OpenStreamRows
{
    /// <summary>In the order of the keys, so that two of these of one replica wait for each other and never deadlock.</summary>
    internal const string ShareSql = """
        with mine as (select * from unnest($3::text[], $4::bigint[]) with ordinality as m (key, streams, place)),
        said as (
            insert into mooring.open_streams as o (key, replica, streams, stamp)
            select m.key, $1, m.streams, $2 from mine m
            where exists (select from mooring.replicas where id = $1 and taken_by is null) order by m.key
            on conflict (key, replica) do update set streams = excluded.streams, stamp = excluded.stamp, changed = excluded.changed
            where o.stamp < excluded.stamp)
        select coalesce((
            select sum(o.streams) from mooring.open_streams o join mooring.replicas r on r.id = o.replica
            where o.key = m.key and o.replica <> $1 and r.taken_by is null and r.expires > clock_timestamp()), 0)::bigint
        from mine m order by m.place
        """;

    /// <summary>What no longer counts. A row without streams stays for as long as something said before it may still be on its way.</summary>
    internal const string ExpireSql = """
        delete from mooring.open_streams o
        where (o.streams = 0 and o.changed < now() - interval '1 minute')
            or not exists (select from mooring.replicas r where r.id = o.replica and r.taken_by is null)
        """;
}
