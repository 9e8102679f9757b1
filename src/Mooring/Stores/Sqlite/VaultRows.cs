namespace Mooring.Stores.Sqlite;

/// <summary>The statements on the vault's data keys and credentials.</summary>
internal static class VaultRows
{
    internal const string AddKeySql = """
        insert into vault_keys (number, wrapped, wrapped_by, created) values (?1, ?2, ?3, ?4)
        on conflict (number) do update set number = excluded.number where wrapped = excluded.wrapped
        """;

    internal const string RewrapSql = "update vault_keys set wrapped = ?2, wrapped_by = ?3 where number = ?1 and (wrapped_by = ?4 or wrapped = ?2)";

    internal const string FindSql = "select version, body, due from credentials where issuer = ? and subject = ? and provider = ?";

    internal const string FindDueSql = """
        select issuer, subject, provider from credentials
        where due < ?1 and (leased_until is null or leased_until <= ?2) order by due
        """;

    internal const string InsertSql = """
        insert into credentials (issuer, subject, provider, version, body, due) values (?1, ?2, ?3, ?4, ?5, ?6)
        on conflict (issuer, subject, provider) do update set version = excluded.version where version = excluded.version and body = excluded.body
        """;

    internal const string UpdateSql = """
        update credentials set version = ?4, body = ?5, due = ?6, holder = null, leased_until = null
        where issuer = ?1 and subject = ?2 and provider = ?3 and (version = ?4 - 1 or (version = ?4 and body = ?5))
        """;

    internal const string DeleteSql = "delete from credentials where issuer = ? and subject = ? and provider = ?";

    internal const string LeaseSql = """
        update credentials set holder = ?5, leased_until = ?6
        where issuer = ?1 and subject = ?2 and provider = ?3 and version = ?4 and (holder is null or holder = ?5 or leased_until <= ?7)
        """;

    internal const string ReleaseSql = """
        update credentials set holder = null, leased_until = null where issuer = ? and subject = ? and provider = ? and holder = ?
        """;

    public static IReadOnlyList<KeyRecord> LoadKeys(SqliteDatabase database)
    {
        using var load = database.Use("select number, wrapped, wrapped_by, created from vault_keys order by number");
        var keys = new List<KeyRecord>();
        while (load.Step())
        {
            keys.Add(new KeyRecord((uint)load.Number(0), load.Bytes(1), load.Text(2), load.Time(3)));
        }

        return keys;
    }

    public static bool AddKey(SqliteDatabase database, KeyRecord key)
    {
        using var add = database.Use(AddKeySql);
        return add.Bind(key.Number).Bind(key.Wrapped.Span).Bind(key.WrappedBy).Bind(key.Created).Run() > 0;
    }

    public static bool Rewrap(SqliteDatabase database, (KeyRecord Key, string Before) change)
    {
        using var rewrap = database.Use(RewrapSql);
        return rewrap.Bind(change.Key.Number).Bind(change.Key.Wrapped.Span).Bind(change.Key.WrappedBy).Bind(change.Before).Run() > 0;
    }

    public static bool IsSealed(SqliteDatabase database)
    {
        using var read = database.Use("select 1 from sealing");
        return read.Step();
    }

    public static bool BeginSealing(SqliteDatabase database, DateTimeOffset now)
    {
        using (var begin = database.Use("insert into sealing (one, began) values (1, ?) on conflict do nothing"))
        {
            begin.Bind(now).Run();
        }

        using var raise = database.Use("update schema_version set works_from = max(works_from, ?) where version = (select max(version) from schema_version)");
        return raise.Bind(SqliteSchema.ReadsSealed).Run() > 0;
    }

    public static CredentialRecord? Find(SqliteDatabase database, CredentialKey key)
    {
        using var find = database.Use(FindSql);
        return Bind(find, key).Step() ? new CredentialRecord(key, find.Number(0), find.Bytes(1), find.IsNull(2) ? null : find.Time(2)) : null;
    }

    public static IReadOnlyList<CredentialKey> ListCredentials(SqliteDatabase database)
    {
        using var list = database.Use("select issuer, subject, provider from credentials order by issuer, subject, provider");
        var keys = new List<CredentialKey>();
        while (list.Step())
        {
            keys.Add(new CredentialKey(list.Text(0), list.Text(1), list.Text(2)));
        }

        return keys;
    }

    public static IReadOnlyList<CredentialKey> FindDue(SqliteDatabase database, (DateTimeOffset Before, DateTimeOffset Now, int Limit, IReadOnlyList<string> Except) wanted)
    {
        using var find = database.Use(FindDueSql);
        find.Bind(wanted.Before).Bind(wanted.Now);
        var keys = new List<CredentialKey>();
        while (keys.Count < wanted.Limit && find.Step())
        {
            if (find.Text(2) is var provider && !wanted.Except.Contains(provider))
            {
                keys.Add(new CredentialKey(find.Text(0), find.Text(1), provider));
            }
        }

        return keys;
    }

    public static bool Save(SqliteDatabase database, CredentialRecord credential)
    {
        using var save = database.Use(credential.Version == 1 ? InsertSql : UpdateSql);
        Bind(save, credential.Key).Bind(credential.Version).Bind(credential.Body.Span);
        return (credential.Due is { } due ? save.Bind(due) : save.Bind((string?)null)).Run() > 0;
    }

    public static bool Delete(SqliteDatabase database, CredentialKey key)
    {
        using var delete = database.Use(DeleteSql);
        return Bind(delete, key).Run() > 0;
    }

    public static bool Lease(SqliteDatabase database, (CredentialKey Key, long Version, string Holder, DateTimeOffset Until, DateTimeOffset Now) lease)
    {
        using var take = database.Use(LeaseSql);
        return Bind(take, lease.Key).Bind(lease.Version).Bind(lease.Holder).Bind(lease.Until).Bind(lease.Now).Run() > 0;
    }

    public static bool Release(SqliteDatabase database, (CredentialKey Key, string Holder) lease)
    {
        using var release = database.Use(ReleaseSql);
        return Bind(release, lease.Key).Bind(lease.Holder).Run() > 0;
    }

    private static SqliteStatement Bind(SqliteStatement statement, CredentialKey key) =>
        statement.Bind(key.Issuer).Bind(key.Subject).Bind(key.Provider);
}
