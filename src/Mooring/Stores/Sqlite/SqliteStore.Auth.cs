namespace Mooring.Stores.Sqlite;

/// <content>Who may come in.</content>
internal sealed partial class SqliteStore
{
    public async ValueTask<AuthRecord?> FindAuthAsync(AuthKind kind, string key, DateTimeOffset now, CancellationToken cancel) =>
        await Read(AuthRows.Find, (kind, key, now), cancel);

    public Task<bool> AddAuthAsync(AuthRecord record) => Write(AuthRows.Add, record);

    public Task<AuthRecord?> UseAuthAsync(AuthKind kind, string key, DateTimeOffset now) => Write(AuthRows.Use, (kind, key, now));

    public Task ExtendAuthAsync(AuthKind kind, string key, DateTimeOffset expires) => Write(AuthRows.Extend, (kind, key, expires));

    public Task<bool> RemoveAuthAsync(AuthKind kind, string key) => Write(AuthRows.Remove, (kind, key));

    public Task<IReadOnlyList<AuthRecord>> ListAuthAsync(AuthKind kind, CancellationToken cancel) => Read(AuthRows.List, kind, cancel);

    public Task<int> CountAuthAsync(AuthKind kind, CancellationToken cancel) => Read(AuthRows.Count, kind, cancel);

    public Task ExpireAuthAsync(DateTimeOffset now) => Write(AuthRows.Expire, now);
}
