namespace Mooring.Stores.Sqlite;

/// <summary>The statements on homes: which replica runs the process of a session at a server. A trigger takes them along with their session.</summary>
internal static class HomeRows
{
    internal const string ClaimSql = """
        insert into homes (session, server, replica) values (?1, ?2, ?3)
        on conflict (session, server) do update set replica = excluded.replica
        where not exists (select 1 from replicas r where r.id = homes.replica and r.taken_by is null)
        """;

    internal const string HolderSql = "select replica from homes where session = ? and server = ?";

    internal const string ReleaseSql = "delete from homes where session = (select n from sessions where id = ?) and server = ? and replica = ?";

    internal const string ReleaseAllSql = "delete from homes where replica = ?";

    public static string Claim(SqliteDatabase database, (string SessionId, string Server, string Replica) claim)
    {
        if (SessionRows.NumberOf(database, claim.SessionId) is not { } session)
        {
            return claim.Replica;
        }

        using (var insert = database.Use(ClaimSql))
        {
            insert.Bind(session).Bind(claim.Server).Bind(claim.Replica).Run();
        }

        using var holder = database.Use(HolderSql);
        return holder.Bind(session).Bind(claim.Server).Step() ? holder.Text(0) : claim.Replica;
    }

    public static bool Release(SqliteDatabase database, (string SessionId, string Server, string Replica) claim)
    {
        using var release = database.Use(ReleaseSql);
        return release.Bind(claim.SessionId).Bind(claim.Server).Bind(claim.Replica).Run() > 0;
    }

    public static void ReleaseAll(SqliteDatabase database, string replica)
    {
        using var release = database.Use(ReleaseAllSql);
        release.Bind(replica).Run();
    }
}
