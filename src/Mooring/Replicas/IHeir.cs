namespace Mooring.Replicas;

/// <summary>Ends what replicas left undone that are gone.</summary>
internal interface IHeir
{
    /// <summary>
    /// Ends what a dead replica left undone. Called by the one that took it over, again where it failed; and by one that stops, for itself. It is
    /// given up where others answer for that from now on.
    /// </summary>
    /// <param name="replica">Its name.</param>
    /// <param name="cancel">Gives up.</param>
    Task EndAsync(string replica, CancellationToken cancel);

    /// <summary>
    /// Ends what nobody answers for: recorded under a name that had been taken over and looked through before, say. Called of one replica from time to time.
    /// </summary>
    /// <param name="answered">All names that somebody answers for.</param>
    /// <param name="cancel">Gives up.</param>
    Task EndOrphansAsync(IReadOnlyList<string> answered, CancellationToken cancel);
}
