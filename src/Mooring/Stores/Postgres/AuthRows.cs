using Npgsql;

namespace Mooring.Stores.Postgres;

/// <summary>The statements on who may come in.</summary>
internal static class AuthRows
{
    /// <summary>Many at once; the first column is the place of the question, from 1.</summary>
    internal const string FindSql = """
        select q.place, a."grant", a.data, a.created, a.expires, a.used
        from unnest($1::bigint[], $2::text[], $3::bigint[]) with ordinality as q (kind, key, now, place)
        join mooring.auth a on a.kind = q.kind and a.key = q.key and a.expires > q.now
        where 
        """ + GrantIsThere;

    internal const string AddSql = """
        insert into mooring.auth (kind, key, "grant", data, created, expires) values ($1, $2, $3, $4, $5, $6) on conflict do nothing
        """;

    /// <summary>Whoever comes second waits for the first one's row, and then finds it used.</summary>
    internal const string UseSql = "update mooring.auth a set used = $3 where kind = $1 and key = $2 and expires > $3 and used is null and " + GrantIsThere
        + " returning \"grant\", data, created, expires, used";

    internal const string ExtendSql = "update mooring.auth set expires = $3 where kind = $1 and key = $2 and expires < $3";

    internal const string RemoveSql = "delete from mooring.auth where kind = $1 and key = $2";

    internal const string ListSql = "select key, \"grant\", data, created, expires, used from mooring.auth where kind = $1 order by created, key";

    internal const string CountSql = "select count(*) from mooring.auth where kind = $1";

    internal const string ExpireSql = "delete from mooring.auth where expires < $1";

    private const string GrantIsThere = "(\"grant\" is null or exists (select from mooring.auth g where g.kind = 5 and g.key = a.\"grant\"))";

    public static AuthRecord Read(NpgsqlDataReader row, AuthKind kind, string key, int first) => new()
    {
        Kind = kind,
        Key = key,
        Grant = row.TextOrNull(first),
        Data = row.Bytes(first + 1),
        Created = row.Time(first + 2),
        Expires = row.Time(first + 3),
        Used = row.IsDBNull(first + 4) ? null : row.Time(first + 4),
    };
}
