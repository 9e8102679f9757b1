namespace Mooring.Stores.Postgres;

/// <summary>The statements on homes: which replica runs the process of a session at a server. A foreign key takes them along with their session.</summary>
internal static class HomeRows
{
    /// <summary>
    /// Whoever claims holds the session's row until the commit. Each statement sees what was committed before it began, so the second,
    /// which asks whether the holder was taken over, knows all that the claims before this one knew.
    /// </summary>
    public static readonly PostgresStatement<(string SessionId, string Server, string Replica), string> Claim = new()
    {
        Sql =
        [
            """
            with own as (select n from mooring.sessions where id = $1 for no key update)
            insert into mooring.homes (session, server, replica) select n, $2, $3 from own on conflict do nothing
            """,
            """
            update mooring.homes h set replica = $3
            where h.session = (select n from mooring.sessions where id = $1) and h.server = $2 and h.replica <> $3 and not exists (
                select from mooring.replicas r where r.id = h.replica and r.taken_by is null)
            """,
            "select replica from mooring.homes where session = (select n from mooring.sessions where id = $1) and server = $2",
        ],
        HasRows = true,
        Parameters = static (to, all) => to.Text(all[0].SessionId).Text(all[0].Server).Text(all[0].Replica),
        Result = static row => row.Text(0),
    };

    public static readonly PostgresStatement<(string SessionId, string Server, string Replica), bool> Release = new()
    {
        Sql = ["delete from mooring.homes where session = (select n from mooring.sessions where id = $1) and server = $2 and replica = $3"],
        Parameters = static (to, all) => to.Text(all[0].SessionId).Text(all[0].Server).Text(all[0].Replica),
    };
}
