namespace Mooring.Stores;

/// <summary>Measures what is asked of a store of any kind about who may come in.</summary>
/// <param name="inner">The store's side for it.</param>
/// <param name="kind">The metric tag.</param>
internal sealed class MeasuredAuth(IAuthStore inner, string kind, StoreMetrics metrics, TimeProvider time) : Measured(kind, metrics, time), IAuthStore
{
    public ValueTask<AuthRecord?> FindAuthAsync(AuthKind kind, string key, DateTimeOffset now, CancellationToken cancel) =>
        ReadAsync("find_auth", Now, inner.FindAuthAsync(kind, key, now, cancel));

    public Task<bool> AddAuthAsync(AuthRecord record) =>
        ObserveAsync("add_auth", Now, inner.AddAuthAsync(record));

    public Task<AuthRecord?> UseAuthAsync(AuthKind kind, string key, DateTimeOffset now) =>
        ObserveAsync("use_auth", Now, inner.UseAuthAsync(kind, key, now));

    public Task ExtendAuthAsync(AuthKind kind, string key, DateTimeOffset expires) =>
        ObserveAsync("extend_auth", Now, inner.ExtendAuthAsync(kind, key, expires));

    public Task<bool> RemoveAuthAsync(AuthKind kind, string key) =>
        ObserveAsync("remove_auth", Now, inner.RemoveAuthAsync(kind, key));

    public Task<IReadOnlyList<AuthRecord>> ListAuthAsync(AuthKind kind, CancellationToken cancel) =>
        ObserveAsync("list_auth", Now, inner.ListAuthAsync(kind, cancel));

    public Task<int> CountAuthAsync(AuthKind kind, CancellationToken cancel) =>
        ObserveAsync("count_auth", Now, inner.CountAuthAsync(kind, cancel));

    public Task<bool> TakeAuthSweepAsync() => ObserveAsync("take_auth_sweep", Now, inner.TakeAuthSweepAsync());

    public Task ExpireAuthAsync(DateTimeOffset now) =>
        ObserveAsync("expire_auth", Now, inner.ExpireAuthAsync(now));
}
