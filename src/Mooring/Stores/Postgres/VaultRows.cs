using Npgsql;

namespace Mooring.Stores.Postgres;

/// <summary>The statements on the vault's data keys and credentials. Leases end by the database's clock, the only one that all replicas share.</summary>
/// <remarks>Each may be run again where the answer to the first was lost: whoever finds what it wrote itself has succeeded.</remarks>
internal static class VaultRows
{
    internal const string LoadKeysSql = "select number, wrapped, wrapped_by, created from mooring.vault_keys order by number";

    internal const string AddKeySql = """
        insert into mooring.vault_keys as k (number, wrapped, wrapped_by, created) values ($1, $2, $3, $4)
        on conflict (number) do update set number = excluded.number where k.wrapped = excluded.wrapped
        """;

    internal const string RewrapSql = """
        update mooring.vault_keys set wrapped = $2, wrapped_by = $3 where number = $1 and (wrapped_by = $4 or wrapped = $2)
        """;

    internal const string IsSealedSql = "select exists (select from mooring.sealing)";

    /// <summary>In one transaction; $1 is the time, $2 the version that a release must know from now on.</summary>
    internal static readonly string[] BeginSealingSql =
    [
        "insert into mooring.sealing (one, began) values (1, $1) on conflict do nothing",
        "update mooring.schema_version set works_from = greatest(works_from, $2) where version = (select max(version) from mooring.schema_version)",
    ];

    internal const string FindSql = "select version, body, due from mooring.credentials where issuer = $1 and subject = $2 and provider = $3";

    /// <summary>By bytes, as the other kinds of store have it, whatever the database's own order is.</summary>
    internal const string ListSql = """
        select issuer, subject, provider from mooring.credentials order by issuer collate "C", subject collate "C", provider collate "C"
        """;

    internal const string FindDueSql = """
        select issuer, subject, provider from mooring.credentials
        where due < $1 and (leased_until is null or leased_until <= clock_timestamp()) and provider <> all($3) order by due limit $2
        """;

    internal const string InsertSql = """
        insert into mooring.credentials as c (issuer, subject, provider, version, body, due) values ($1, $2, $3, $4, $5, $6)
        on conflict (issuer, subject, provider) do update set version = excluded.version where c.version = excluded.version and c.body = excluded.body
        """;

    internal const string UpdateSql = """
        update mooring.credentials set version = $4, body = $5, due = $6, holder = null, leased_until = null
        where issuer = $1 and subject = $2 and provider = $3 and (version = $4 - 1 or (version = $4 and body = $5))
        """;

    internal const string DeleteSql = "delete from mooring.credentials where issuer = $1 and subject = $2 and provider = $3";

    internal const string LeaseSql = """
        update mooring.credentials set holder = $5, leased_until = clock_timestamp() + $6
        where issuer = $1 and subject = $2 and provider = $3 and version = $4 and (holder is null or holder = $5 or leased_until <= clock_timestamp())
        """;

    internal const string ReleaseSql = """
        update mooring.credentials set holder = null, leased_until = null where issuer = $1 and subject = $2 and provider = $3 and holder = $4
        """;

    public static KeyRecord ReadKey(NpgsqlDataReader row) => new((uint)row.GetInt64(0), row.Bytes(1), row.Text(2), row.Time(3));

    public static CredentialKey ReadName(NpgsqlDataReader row) => new(row.Text(0), row.Text(1), row.Text(2));

    public static NpgsqlParameterCollection Name(this NpgsqlParameterCollection to, CredentialKey key) =>
        to.Text(key.Issuer).Text(key.Subject).Text(key.Provider);
}
