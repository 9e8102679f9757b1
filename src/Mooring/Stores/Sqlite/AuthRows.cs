namespace Mooring.Stores.Sqlite;

/// <summary>The statements on who may come in.</summary>
internal static class AuthRows
{
    /// <summary>A row of a grant counts while the grant is there.</summary>
    internal const string FindSql = """
        select "grant", data, created, expires, used from auth a
        where kind = ? and key = ? and expires > ? and ("grant" is null or exists (select 1 from auth g where g.kind = 5 and g.key = a."grant"))
        """;

    internal const string AddSql = """insert into auth (kind, key, "grant", data, created, expires) values (?, ?, ?, ?, ?, ?) on conflict do nothing""";

    internal const string UseSql = "update auth set used = ? where kind = ? and key = ?";

    internal const string ExtendSql = "update auth set expires = ?1 where kind = ?2 and key = ?3 and expires < ?1";

    internal const string RemoveSql = "delete from auth where kind = ? and key = ?";

    internal const string ListSql = """select key, "grant", data, created, expires, used from auth where kind = ? order by created, key""";

    internal const string CountSql = "select count(*) from auth where kind = ?";

    internal const string ExpireSql = "delete from auth where expires < ?";

    public static AuthRecord? Find(SqliteDatabase database, (AuthKind Kind, string Key, DateTimeOffset Now) wanted)
    {
        using var find = database.Use(FindSql);
        find.Bind((long)wanted.Kind).Bind(wanted.Key).Bind(wanted.Now);
        return find.Step() ? Read(find, wanted.Kind, wanted.Key, 0) : null;
    }

    public static bool Add(SqliteDatabase database, AuthRecord record)
    {
        using var add = database.Use(AddSql);
        return add.Bind((long)record.Kind).Bind(record.Key).Bind(record.Grant).Bind(record.Data.Span).Bind(record.Created).Bind(record.Expires).Run() > 0;
    }

    /// <summary>Of one writer that does one thing after the other nobody comes between the two statements, and other programs wait for its transaction.</summary>
    public static AuthRecord? Use(SqliteDatabase database, (AuthKind Kind, string Key, DateTimeOffset Now) wanted)
    {
        var found = Find(database, wanted);
        if (found is { Used: null })
        {
            using var use = database.Use(UseSql);
            use.Bind(wanted.Now).Bind((long)wanted.Kind).Bind(wanted.Key).Run();
        }

        return found;
    }

    public static bool Extend(SqliteDatabase database, (AuthKind Kind, string Key, DateTimeOffset Expires) change)
    {
        using var extend = database.Use(ExtendSql);
        return extend.Bind(change.Expires).Bind((long)change.Kind).Bind(change.Key).Run() > 0;
    }

    public static bool Remove(SqliteDatabase database, (AuthKind Kind, string Key) record)
    {
        using var remove = database.Use(RemoveSql);
        return remove.Bind((long)record.Kind).Bind(record.Key).Run() > 0;
    }

    public static IReadOnlyList<AuthRecord> List(SqliteDatabase database, AuthKind kind)
    {
        using var list = database.Use(ListSql);
        list.Bind((long)kind);
        var all = new List<AuthRecord>();
        while (list.Step())
        {
            all.Add(Read(list, kind, list.Text(0), 1));
        }

        return all;
    }

    public static int Count(SqliteDatabase database, AuthKind kind)
    {
        using var count = database.Use(CountSql);
        return count.Bind((long)kind).Step() ? (int)count.Number(0) : 0;
    }

    public static bool Expire(SqliteDatabase database, DateTimeOffset now)
    {
        using var expire = database.Use(ExpireSql);
        return expire.Bind(now).Run() > 0;
    }

    private static AuthRecord Read(SqliteStatement row, AuthKind kind, string key, int first) => new()
    {
        Kind = kind,
        Key = key,
        Grant = row.TextOrNull(first),
        Data = row.Bytes(first + 1),
        Created = row.Time(first + 2),
        Expires = row.Time(first + 3),
        Used = row.IsNull(first + 4) ? null : row.Time(first + 4),
    };
}
