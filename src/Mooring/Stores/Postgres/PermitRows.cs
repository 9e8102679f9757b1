namespace Mooring.Stores.Postgres;

/// <summary>The statements on limits that replicas share.</summary>
internal static class PermitRows
{
    /// <summary>One row per key: whoever comes at the same time waits for it, and finds what is left. The minute is the database's.</summary>
    internal const string LeaseSql = """
        insert into mooring.permits as p (key, minute, used, granted)
        values ($1, floor(extract(epoch from now()) / 60)::bigint, least($2, $3)::integer, least($2, $3)::integer)
        on conflict (key) do update set
            granted = least($2, greatest(0, $3 - case when p.minute >= excluded.minute then p.used else 0 end))::integer,
            used = (case when p.minute >= excluded.minute then p.used else 0 end
                + least($2, greatest(0, $3 - case when p.minute >= excluded.minute then p.used else 0 end)))::integer,
            minute = greatest(p.minute, excluded.minute)
        returning granted, (60 * (minute + 1) - extract(epoch from now()))::double precision
        """;

    internal const string ExpireSql = "delete from mooring.permits where minute < floor(extract(epoch from now()) / 60)::bigint - 5";
}
