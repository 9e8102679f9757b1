namespace Mooring.Stores.Sqlite;

/// <summary>The statements on whose tasks are whose.</summary>
internal static class TaskRows
{
    public static bool Save(SqliteDatabase database, TaskRecord task)
    {
        using var save = database.Use("insert or replace into tasks (server, task_id, issuer, subject, expires) values (?, ?, ?, ?, ?)");
        return save.Bind(task.Server).Bind(task.TaskId).Bind(task.Issuer).Bind(task.Subject).Bind(task.Expires).Run() > 0;
    }

    public static TaskRecord? Find(SqliteDatabase database, (string Server, string TaskId) task)
    {
        using var find = database.Use("select issuer, subject, expires from tasks where server = ? and task_id = ?");
        find.Bind(task.Server).Bind(task.TaskId);
        return find.Step() ? new TaskRecord(task.Server, task.TaskId, find.Text(0), find.Text(1), find.Time(2)) : null;
    }

    public static IReadOnlyList<string> FindOf(SqliteDatabase database, (string Server, string Issuer, string Subject) owner)
    {
        using var find = database.Use("select task_id from tasks where server = ? and issuer = ? and subject = ?");
        find.Bind(owner.Server).Bind(owner.Issuer).Bind(owner.Subject);
        var ids = new List<string>();
        while (find.Step())
        {
            ids.Add(find.Text(0));
        }

        return ids;
    }

    public static bool Expire(SqliteDatabase database, DateTimeOffset now)
    {
        using var delete = database.Use("delete from tasks where expires < ?");
        return delete.Bind(now).Run() > 0;
    }
}
