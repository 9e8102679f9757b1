namespace Mooring.Stores;

/// <summary>Permits that were taken out of a window of a minute.</summary>
/// <param name="Granted">How many; fewer than were wanted where no more are left.</param>
/// <param name="Left">How long they are good, and when there are new ones: until the window ends, by the store's clock.</param>
internal readonly record struct PermitLease(int Granted, TimeSpan Left);

/// <summary>How many streams a replica has open of one key.</summary>
/// <param name="Key">Whose.</param>
/// <param name="Streams">How many.</param>
internal readonly record struct StreamShare(string Key, int Streams);

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

    /// <summary>
    /// Says how many streams a replica has open, and asks how many the others have, in one. What a replica said counts for as long as its lease
    /// (<see cref="IReplicaStore.BeatAsync"/>) and as long as nobody has taken it over; that of a replica without a lease is not kept.
    /// </summary>
    /// <param name="replica">Who says so.</param>
    /// <param name="stamp">Higher each time: what was said of a key with a higher one stays.</param>
    /// <param name="own">No key twice.</param>
    /// <returns>For each of <paramref name="own"/>, in its order, how many the other replicas have together. Of several that say more at once none may know of the others.</returns>
    /// <exception cref="StoreException">The store cannot be asked just now.</exception>
    Task<IReadOnlyList<long>> ShareStreamsAsync(string replica, long stamp, IReadOnlyList<StreamShare> own);

    /// <summary>How many sessions a person has in the store; no more than <paramref name="most"/> are counted.</summary>
    /// <exception cref="StoreException">The store cannot be asked just now.</exception>
    Task<int> CountSessionsOfAsync(string issuer, string subject, int most);

    /// <summary>How many sessions there are in the store; no more than <paramref name="most"/> are counted.</summary>
    /// <exception cref="StoreException">The store cannot be asked just now.</exception>
    Task<int> CountSessionsUpToAsync(int most);
}
