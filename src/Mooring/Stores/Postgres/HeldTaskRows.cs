using Npgsql;

namespace Mooring.Stores.Postgres;

/// <summary>The statements on held tasks.</summary>
internal static class HeldTaskRows
{
    private const string Columns = "id, issuer, subject, route, server, tool, meta, status, message, created, updated, expires, replica, server_task, body, revision, cursor";

    /// <summary>Done again where its answer was lost, it says the same.</summary>
    internal const string HoldSql = $"""
        with fresh as (
            insert into mooring.held_tasks ({Columns}) select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0, $18
            where (select count(*) from mooring.held_tasks where issuer = $2 and subject = $3) < $16 and (select count(*) from mooring.held_tasks) < $17
            on conflict (id) do nothing returning id)
        select exists (select from fresh) or exists (select from mooring.held_tasks where id = $1)
        """;

    internal const string UpdateSql = """
        update mooring.held_tasks set status = $3, message = $4, updated = $5, expires = $6, replica = $7, server_task = $8, body = $9, cursor = $10, revision = revision + 1
        where id = $1 and revision = $2 and status < 2
        """;

    internal const string FindSql = $"select {Columns} from mooring.held_tasks where id = $1";

    internal const string FindUnfinishedSql = $"select {Columns} from mooring.held_tasks where status < 2 and replica = $1 order by id";

    internal const string FindUnfinishedExceptSql = $"select {Columns} from mooring.held_tasks where status < 2 and replica <> all ($1) order by id limit $2";

    internal const string DropSql = "delete from mooring.held_tasks where id = $1";

    internal const string ExpireSql = "delete from mooring.held_tasks where expires < $1";

    public static void BindNew(NpgsqlParameterCollection to, HeldTask task, int mostOfOne, int mostOfAll) =>
        to.Text(task.Id).Text(task.Issuer).Text(task.Subject).Text(task.Route).Text(task.Server).Text(task.Tool).Bytes(task.Meta).Number((long)task.Status)
            .Text(task.Message).Time(task.Created).Time(task.Updated).Time(task.Expires).Text(task.Replica).Text(task.ServerTask).Bytes(task.Body)
            .Number(mostOfOne).Number(mostOfAll).Text(task.Cursor?.ToString());

    public static void BindChange(NpgsqlParameterCollection to, HeldTask task) =>
        to.Text(task.Id).Number(task.Revision).Number((long)task.Status).Text(task.Message).Time(task.Updated).Time(task.Expires).Text(task.Replica)
            .Text(task.ServerTask).Bytes(task.Body).Text(task.Cursor?.ToString());

    public static HeldTask Read(NpgsqlDataReader row) => new()
    {
        Id = row.Text(0),
        Issuer = row.Text(1),
        Subject = row.Text(2),
        Route = row.TextOrNull(3),
        Server = row.Text(4),
        Tool = row.Text(5),
        Meta = row.Bytes(6),
        Status = (HeldTaskStatus)row.GetInt16(7),
        Message = row.TextOrNull(8),
        Created = row.Time(9),
        Updated = row.Time(10),
        Expires = row.Time(11),
        Replica = row.Text(12),
        ServerTask = row.TextOrNull(13),
        Body = row.Bytes(14),
        Revision = row.GetInt64(15),
        Cursor = CallCursor.Parse(row.TextOrNull(16)),
    };
}
