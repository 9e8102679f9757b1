namespace Mooring.Chaos.Clients;

/// <summary>A strict client that has a session, over one transport or the other. Made and run by <see cref="Crowd"/>.</summary>
internal interface ISessionClient
{
    /// <summary>Completes when the session has been opened and its tools were seen.</summary>
    Task Ready { get; }

    /// <summary>Works until told to stop, finishes what it began, and waits for what is still owed.</summary>
    /// <param name="stop">No new calls.</param>
    /// <param name="end">Everything is over, finished or not.</param>
    Task RunAsync(CancellationToken stop, CancellationToken end);

    /// <summary>A call on the orders of a round, beside the session's own ones.</summary>
    Task<Outcome> CallAsync(string tool, int seconds, CancellationToken end);

    /// <summary>Has the server send numbered notifications outside of the call, and remembers that they are owed.</summary>
    Task AnnounceAsync(int count, CancellationToken end);

    /// <summary>Asks for its tools at one gateway, past the balancers.</summary>
    Task VisitAsync(Uri gateway, CancellationToken end);
}
