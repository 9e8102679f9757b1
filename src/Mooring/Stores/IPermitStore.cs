namespace Mooring.Stores;

/// <summary>Permits that were taken out of a window of a minute.</summary>
/// <param name="Granted">How many; fewer than were wanted where no more are left.</param>
/// <param name="Left">How long they are good, and when there are new ones: until the window ends, by the store's clock.</param>
internal readonly record struct PermitLease(int Granted, TimeSpan Left);

/// <summary>Where shared permits are had, if anywhere.</summary>
internal sealed record PermitSource(IPermitStore? Store);

/// <summary>Limits that replicas share. Only a store that several of them are on has it; all others count for themselves.</summary>
internal interface IPermitStore
{
    /// <summary>Takes permits out of the present minute's.</summary>
    /// <param name="key">Whose.</param>
    /// <param name="wanted">How many are wanted.</param>
    /// <param name="limit">How many there are in a minute, for all replicas together.</param>
    /// <exception cref="StoreException">The store cannot be asked just now.</exception>
    Task<PermitLease> LeasePermitsAsync(string key, int wanted, int limit);
}
