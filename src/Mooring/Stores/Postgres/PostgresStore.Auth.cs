using Npgsql;

namespace Mooring.Stores.Postgres;

/// <content>Who may come in.</content>
internal sealed partial class PostgresStore
{
    private readonly PostgresGather<(AuthKind Kind, string Key, DateTimeOffset Now), AuthRecord> _auth;

    public async ValueTask<AuthRecord?> FindAuthAsync(AuthKind kind, string key, DateTimeOffset now, CancellationToken cancel) =>
        await _auth.AskAsync((kind, key, now), cancel);

    private Task<IReadOnlyList<(int Place, AuthRecord Answer)>> FindManyAuthAsync(IReadOnlyList<(AuthKind Kind, string Key, DateTimeOffset Now)> these) => ManyAsync(
        AuthRows.FindSql,
        to => to.Numbers(these, one => (long)one.Kind).Texts(these, one => one.Key).Numbers(these, one => one.Now.UtcTicks),
        row =>
        {
            var place = (int)row.GetInt64(0) - 1;
            return (place, AuthRows.Read(row, these[place].Kind, these[place].Key, 1));
        },
        CancellationToken.None);

    public async Task<bool> AddAuthAsync(AuthRecord record) => await ChangeAsync(
        AuthRows.AddSql,
        to => to.Number((long)record.Kind).Text(record.Key).Text(record.Grant).Bytes(record.Data).Time(record.Created).Time(record.Expires)) > 0;

    public async Task<AuthRecord?> UseAuthAsync(AuthKind kind, string key, DateTimeOffset now)
    {
        void Bind(NpgsqlParameterCollection to) => to.Number((long)kind).Text(key).Time(now);
        var first = await OneAsync(AuthRows.UseSql, Bind, row => AuthRows.Read(row, kind, key, 0), CancellationToken.None);
        return first is null ? await FindAuthAsync(kind, key, now, CancellationToken.None) : first with { Used = null };
    }

    public Task ExtendAuthAsync(AuthKind kind, string key, DateTimeOffset expires) =>
        ChangeAsync(AuthRows.ExtendSql, to => to.Number((long)kind).Text(key).Time(expires));

    public async Task<bool> RemoveAuthAsync(AuthKind kind, string key) =>
        await ChangeAsync(AuthRows.RemoveSql, to => to.Number((long)kind).Text(key)) > 0;

    public Task<IReadOnlyList<AuthRecord>> ListAuthAsync(AuthKind kind, CancellationToken cancel) =>
        ManyAsync(AuthRows.ListSql, to => to.Number((long)kind), row => AuthRows.Read(row, kind, row.Text(0), 1), cancel);

    public async Task<int> CountAuthAsync(AuthKind kind, CancellationToken cancel) =>
        (int)await OneAsync(AuthRows.CountSql, to => to.Number((long)kind), row => row.GetInt64(0), cancel);

    public Task ExpireAuthAsync(DateTimeOffset now) => ChangeAsync(AuthRows.ExpireSql, to => to.Time(now));
}
