namespace Mooring.Stores;

/// <summary>Measures what is asked of shared limits.</summary>
/// <param name="inner">The store's side for limits.</param>
/// <param name="kind">The metric tag.</param>
internal sealed class MeasuredPermits(IPermitStore inner, string kind, StoreMetrics metrics, TimeProvider time) : Measured(kind, metrics, time), IPermitStore
{
    public Task<PermitLease> LeasePermitsAsync(string key, int wanted, int limit) => ObserveAsync("lease_permits", Now, inner.LeasePermitsAsync(key, wanted, limit));
}
