namespace Mooring.Stores.Sqlite;

/// <summary>The statements on the catalogue and on merged names.</summary>
internal static class CatalogueRows
{
    internal const string FindSql = "select body, hash, fetched from catalogue where server = ? and key = ? and kind = ?";

    internal const string DeleteKeySql = "delete from catalogue where server = ? and key = ?";

    internal const string HolderSql = "select server from names where kind = ? and name = ?";

    public static IReadOnlyList<CatalogueRecord> Load(SqliteDatabase database)
    {
        using var load = database.Use("select server, key, kind, body, hash, fetched from catalogue order by server, key, kind");
        var records = new List<CatalogueRecord>();
        while (load.Step())
        {
            records.Add(new CatalogueRecord(load.Text(0), load.Text(1), load.Text(2), load.Bytes(3), load.Text(4), load.Time(5)));
        }

        return records;
    }

    public static bool Save(SqliteDatabase database, CatalogueRecord record)
    {
        using var save = database.Use("""
            insert or replace into catalogue (server, key, kind, body, hash, fetched) values (?, ?, ?, ?, ?, ?)
            """);
        save.Bind(record.Server).Bind(record.Key).Bind(record.Kind).Bind(record.Body.Span).Bind(record.Hash).Bind(record.Fetched);
        return save.Run() > 0;
    }

    public static CatalogueRecord? Find(SqliteDatabase database, (string Server, string Key, string Kind) row)
    {
        using var find = database.Use(FindSql);
        find.Bind(row.Server).Bind(row.Key).Bind(row.Kind);
        return find.Step() ? new CatalogueRecord(row.Server, row.Key, row.Kind, find.Bytes(0), find.Text(1), find.Time(2)) : null;
    }

    public static bool DeleteKey(SqliteDatabase database, (string Server, string Key) entry)
    {
        using var delete = database.Use(DeleteKeySql);
        return delete.Bind(entry.Server).Bind(entry.Key).Run() > 0;
    }

    public static bool Delete(SqliteDatabase database, string server)
    {
        using var delete = database.Use("delete from catalogue where server = ?");
        return delete.Bind(server).Run() > 0;
    }

    public static IReadOnlyList<NameRecord> LoadNames(SqliteDatabase database)
    {
        using var load = database.Use("select kind, name, server from names order by kind, name");
        var names = new List<NameRecord>();
        while (load.Step())
        {
            names.Add(new NameRecord(load.Text(0), load.Text(1), load.Text(2)));
        }

        return names;
    }

    /// <summary>Returns the holder, which is the claiming server only when no other was first.</summary>
    public static string Claim(SqliteDatabase database, NameRecord name)
    {
        using (var insert = database.Use("insert into names (kind, name, server) values (?, ?, ?) on conflict do nothing"))
        {
            if (insert.Bind(name.Kind).Bind(name.Name).Bind(name.Server).Run() > 0)
            {
                return name.Server;
            }
        }

        using var holder = database.Use(HolderSql);
        holder.Bind(name.Kind).Bind(name.Name).Step();
        return holder.Text(0);
    }

    public static bool Release(SqliteDatabase database, string server)
    {
        using var delete = database.Use("delete from names where server = ?");
        return delete.Bind(server).Run() > 0;
    }
}
