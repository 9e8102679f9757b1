namespace Mooring.Stores;

/// <summary>Measures what is asked of shared limits.</summary>
/// <param name="inner">The store's side for limits.</param>
/// <param name="kind">The metric tag.</param>
internal sealed class MeasuredPermits(IPermitStore inner, string kind, StoreMetrics metrics, TimeProvider time) : Measured(kind, metrics, time), IPermitStore
{
    public Task<PermitLease> LeasePermitsAsync(string key, int wanted, int limit) => ObserveAsync("lease_permits", Now, inner.LeasePermitsAsync(key, wanted, limit));

    public Task<IReadOnlyList<long>> ShareStreamsAsync(string replica, long stamp, IReadOnlyList<StreamShare> own) =>
        ObserveAsync("share_streams", Now, inner.ShareStreamsAsync(replica, stamp, own));

    public Task<int> CountSessionsOfAsync(string issuer, string subject, int most) =>
        ObserveAsync("count_sessions_of", Now, inner.CountSessionsOfAsync(issuer, subject, most));

    public Task<int> CountSessionsUpToAsync(int most) => ObserveAsync("count_sessions", Now, inner.CountSessionsUpToAsync(most));
}
