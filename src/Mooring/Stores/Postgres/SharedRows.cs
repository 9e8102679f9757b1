namespace Mooring.Stores.Postgres;

/// <summary>The statements on what belongs to no session: the catalogue, merged names, whose tasks are whose.</summary>
internal static class SharedRows
{
    internal const string LoadCatalogueSql = "select server, key, kind, body, hash, fetched from mooring.catalogue order by server, key, kind";

    internal const string SaveCatalogueSql = """
        insert into mooring.catalogue (server, key, kind, body, hash, fetched) values ($1, $2, $3, $4, $5, $6)
        on conflict (server, key, kind) do update set body = excluded.body, hash = excluded.hash, fetched = excluded.fetched
        """;

    internal const string FindCatalogueSql = "select body, hash, fetched from mooring.catalogue where server = $1 and key = $2 and kind = $3";

    internal const string DeleteCatalogueSql = "delete from mooring.catalogue where server = $1";

    internal const string DeleteCatalogueKeySql = "delete from mooring.catalogue where server = $1 and key = $2";

    internal const string LoadNamesSql = "select kind, name, server from mooring.names order by kind, name";

    internal const string ClaimSql = "insert into mooring.names (kind, name, server) values ($1, $2, $3) on conflict do nothing";

    internal const string HolderSql = "select server from mooring.names where kind = $1 and name = $2";

    internal const string ReleaseSql = "delete from mooring.names where server = $1";

    internal const string SaveTaskSql = """
        insert into mooring.tasks (server, task_id, issuer, subject, expires) values ($1, $2, $3, $4, $5)
        on conflict (server, task_id) do update set issuer = excluded.issuer, subject = excluded.subject, expires = excluded.expires
        """;

    internal const string FindTaskSql = "select issuer, subject, expires from mooring.tasks where server = $1 and task_id = $2";

    internal const string FindTasksOfSql = "select task_id from mooring.tasks where server = $1 and issuer = $2 and subject = $3";

    internal const string ExpireTasksSql = "delete from mooring.tasks where expires < $1";
}
