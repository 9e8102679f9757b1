namespace Mooring.Stores.Sqlite;

/// <summary>The statements on held tasks.</summary>
internal static class HeldTaskRows
{
    private const string Columns = "id, issuer, subject, route, server, tool, meta, status, message, created, updated, expires, replica, server_task, body, revision, cursor";

    public static bool Hold(SqliteDatabase database, (HeldTask Task, int MostOfOne, int MostOfAll) held)
    {
        var task = held.Task;
        using var insert = database.Use($"""
            insert into held_tasks ({Columns}) select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, 0, ?18
            where (select count(*) from held_tasks where issuer = ?2 and subject = ?3) < ?16 and (select count(*) from held_tasks) < ?17
            """);
        return insert.Bind(task.Id).Bind(task.Issuer).Bind(task.Subject).Bind(task.Route).Bind(task.Server).Bind(task.Tool).Bind(task.Meta.Span)
            .Bind((long)task.Status).Bind(task.Message).Bind(task.Created).Bind(task.Updated).Bind(task.Expires).Bind(task.Replica).Bind(task.ServerTask)
            .Bind(task.Body.Span).Bind(held.MostOfOne).Bind(held.MostOfAll).Bind(task.Cursor?.ToString()).Run() > 0;
    }

    public static bool Update(SqliteDatabase database, HeldTask task)
    {
        using var update = database.Use("""
            update held_tasks set status = ?, message = ?, updated = ?, expires = ?, replica = ?, server_task = ?, body = ?, cursor = ?, revision = revision + 1
            where id = ? and revision = ? and status < 2
            """);
        return update.Bind((long)task.Status).Bind(task.Message).Bind(task.Updated).Bind(task.Expires).Bind(task.Replica).Bind(task.ServerTask)
            .Bind(task.Body.Span).Bind(task.Cursor?.ToString()).Bind(task.Id).Bind(task.Revision).Run() > 0;
    }

    public static HeldTask? Find(SqliteDatabase database, string id)
    {
        using var find = database.Use($"select {Columns} from held_tasks where id = ?");
        return find.Bind(id).Step() ? Read(find) : null;
    }

    public static IReadOnlyList<HeldTask> FindUnfinished(SqliteDatabase database, string replica)
    {
        using var find = database.Use($"select {Columns} from held_tasks where status < 2 and replica = ? order by id");
        return ReadAll(find.Bind(replica));
    }

    /// <summary>One process at a time has the file, so that none of these is one that lives.</summary>
    public static IReadOnlyList<HeldTask> FindUnfinishedExcept(SqliteDatabase database, (IReadOnlyList<string> Replicas, int Limit) arguments)
    {
        using var find = database.Use($"select {Columns} from held_tasks where status < 2 order by replica, id");
        return [.. ReadAll(find).Where(task => !arguments.Replicas.Contains(task.Replica)).Take(arguments.Limit)];
    }

    public static bool Drop(SqliteDatabase database, string id)
    {
        using var drop = database.Use("delete from held_tasks where id = ?");
        return drop.Bind(id).Run() > 0;
    }

    public static bool Expire(SqliteDatabase database, DateTimeOffset now)
    {
        using var delete = database.Use("delete from held_tasks where expires < ?");
        return delete.Bind(now).Run() > 0;
    }

    private static List<HeldTask> ReadAll(SqliteStatement rows)
    {
        var tasks = new List<HeldTask>();
        while (rows.Step())
        {
            tasks.Add(Read(rows));
        }

        return tasks;
    }

    private static HeldTask Read(SqliteStatement row) => new()
    {
        Id = row.Text(0),
        Issuer = row.Text(1),
        Subject = row.Text(2),
        Route = row.TextOrNull(3),
        Server = row.Text(4),
        Tool = row.Text(5),
        Meta = row.Bytes(6),
        Status = (HeldTaskStatus)row.Number(7),
        Message = row.TextOrNull(8),
        Created = row.Time(9),
        Updated = row.Time(10),
        Expires = row.Time(11),
        Replica = row.Text(12),
        ServerTask = row.TextOrNull(13),
        Body = row.Bytes(14),
        Revision = row.Number(15),
        Cursor = CallCursor.Parse(row.TextOrNull(16)),
    };
}
