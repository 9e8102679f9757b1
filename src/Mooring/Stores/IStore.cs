namespace Mooring.Stores;

/// <summary>
/// What outlives connections, processes and replicas. One contract, several kinds; every kind passes the one contract test set.
/// A returned task means committed: only then may an id of that row leave the gateway (invariant 17).
/// </summary>
/// <remarks>
/// Methods may be called from any thread. Writes of one caller to one session are applied in the order of the calls, also when
/// they are not awaited in between. Failures of the store itself come as <see cref="StoreException"/>.
/// Writes to a session, or to a stream, that is not there change nothing: its end may race with a call still running, and what comes
/// too late must not bring rows of it back. Opening a stream or appending an event twice is a mistake of the caller
/// (<see cref="InvalidOperationException"/>). Memory handed to a write stays unchanged until its task is done; memory handed out is the caller's.
/// </remarks>
internal interface IStore : IAsyncDisposable
{
    /// <summary>Whether opening it depends on another machine: then the gateway listens first and opens it in the background (invariant 3).</summary>
    bool IsRemote => false;

    /// <summary>Since when it is away, or does not take what is written: for people to see. Null while it works, and for a store that cannot fail.</summary>
    DateTimeOffset? AwaySince => null;

    /// <summary>Opens the store and brings its schema up to date. May be tried again after a <see cref="StoreException"/> where the store is remote.</summary>
    Task OpenAsync(CancellationToken cancel);

    /// <summary>
    /// Whether this process is the one to look now for what has expired (sessions, events, tasks). Where looking is paid for by the row, one replica does it for
    /// all, and seldom; what it does is right whoever does it, and however often.
    /// </summary>
    Task<bool> TakeSweepAsync() => Task.FromResult(true);

    // Sessions

    ValueTask<SessionRecord?> FindSessionAsync(string sessionId, CancellationToken cancel);

    /// <summary>Inserts or replaces, but for <see cref="SessionRecord.Listener"/>: another replica may have set it since this one read the record.</summary>
    Task SaveSessionAsync(SessionRecord session);

    /// <summary>
    /// Replaces what a client can change of its session (version, initialize params, initialized, log level, subscriptions), provided that it
    /// is there and still has the <see cref="SessionRecord.Revision"/> of <paramref name="session"/>; it has the next one then.
    /// </summary>
    /// <returns>False: nothing was changed; another replica was first, or the session is gone.</returns>
    Task<bool> UpdateSessionAsync(SessionRecord session);

    /// <summary>Says where a session is listened to, from now on (<see cref="SessionRecord.Listener"/>). An unknown session is ignored.</summary>
    Task SetListenerAsync(string sessionId, SessionListener listener);

    /// <summary>Moves <c>LastSeen</c> forward for many sessions at once; unknown ids are ignored.</summary>
    Task TouchSessionsAsync(IReadOnlyList<(string SessionId, DateTimeOffset Seen)> sessions);

    /// <summary>Removes the session with its links, streams and events. Removing an unknown one is fine.</summary>
    Task DeleteSessionAsync(string sessionId);

    /// <summary>As <see cref="DeleteSessionAsync"/>, provided that it was not seen since <paramref name="before"/>; compared where it is removed, so that a touch counts to the last moment.</summary>
    /// <returns>Whether it is gone, or was not there; false: it was seen since.</returns>
    Task<bool> DeleteIdleSessionAsync(string sessionId, DateTimeOffset before);

    /// <summary>Ids of sessions not seen since <paramref name="before"/>, at most <paramref name="limit"/>.</summary>
    Task<IReadOnlyList<string>> FindIdleSessionsAsync(DateTimeOffset before, int limit, CancellationToken cancel);

    Task<int> CountSessionsAsync(CancellationToken cancel);

    // Links: the gateway's own sessions with upstreams, so that a restart can go on with them

    Task<IReadOnlyList<LinkRecord>> FindLinksAsync(string sessionId, CancellationToken cancel);

    /// <summary>Inserts or replaces by (session, server).</summary>
    Task SaveLinkAsync(LinkRecord link);

    // Streams and their event logs

    /// <summary>Writes the stream's row and, where given, its first event, in one transaction.</summary>
    Task OpenStreamAsync(StreamRecord stream, EventRecord? primer);

    /// <summary>
    /// Appends one event; with <paramref name="state"/> the stream's state changes in the same transaction, and with <see cref="EventRecord.Origin"/>
    /// <see cref="LinkRecord.Heard"/> moves on.
    /// </summary>
    /// <returns>
    /// False: nothing was changed, since the event is not the successor of what its link remembers. Another replica has heard it too, or hears it
    /// again: of all that one server said in one of its sessions each is in a log once, and in order, whoever hears how much of it.
    /// </returns>
    Task<bool> AppendEventAsync(EventRecord record, StreamState? state = null);

    Task SetStreamStateAsync(string sessionId, string streamId, StreamState state);

    /// <summary>Says from where the call of a stream can be gone on with, from now on (<see cref="StreamRecord.Cursor"/>).</summary>
    Task SetCallCursorAsync(string sessionId, string streamId, CallCursor cursor);

    /// <summary>
    /// Makes a running call that of another replica (<see cref="StreamRecord.Replica"/>), provided that it is still <paramref name="from"/>'s. Done again where
    /// its answer was lost, it says the same.
    /// </summary>
    /// <returns>Whether it is <paramref name="to"/>'s now; false: it ended, or somebody else took it.</returns>
    Task<bool> TakeCallAsync(string sessionId, string streamId, string? from, string to);

    ValueTask<StreamRecord?> FindStreamAsync(string sessionId, string streamId, CancellationToken cancel);

    /// <summary>Events of one stream with a sequence above <paramref name="after"/>, in order, at most <paramref name="limit"/>.</summary>
    Task<IReadOnlyList<EventRecord>> ReadEventsAsync(string sessionId, string streamId, long after, int limit, CancellationToken cancel);

    /// <summary>
    /// Drops the session's oldest events (in the order of appending) until at most <paramref name="maxEvents"/> and <paramref name="maxBytes"/> remain.
    /// The streams' rows stay and remember the highest sequence dropped (<see cref="StreamRecord.TrimmedTo"/>).
    /// </summary>
    Task TrimEventsAsync(string sessionId, int maxEvents, long maxBytes);

    /// <summary>
    /// Drops events written before <paramref name="before"/> (remembered in <see cref="StreamRecord.TrimmedTo"/>), and the rows of
    /// streams that ended, were last changed before it and have no events left. Returns the number of events.
    /// </summary>
    /// <remarks>Where a clock was set back, an event may stay as long as the one appended before it.</remarks>
    Task<int> ExpireEventsAsync(DateTimeOffset before);

    /// <summary>All streams in state <see cref="StreamState.Running"/> that carry a call: at start, the calls a dead process left behind.</summary>
    Task<IReadOnlyList<StreamRecord>> FindRunningCallsAsync(CancellationToken cancel);

    /// <summary>Of these, the <see cref="StreamKind.Post"/> ones that one replica runs (<see cref="StreamRecord.Replica"/>): what whoever takes it over has to end.</summary>
    Task<IReadOnlyList<StreamRecord>> FindRunningCallsAsync(string replica, CancellationToken cancel);

    /// <summary>Of these, the <see cref="StreamKind.Post"/> ones that none of these replicas runs; at most <paramref name="limit"/>, and as long as they run the same ones again.</summary>
    Task<IReadOnlyList<StreamRecord>> FindRunningCallsExceptAsync(IReadOnlyList<string> replicas, int limit, CancellationToken cancel);

    // Catalogue: last known good lists

    Task<IReadOnlyList<CatalogueRecord>> LoadCatalogueAsync(CancellationToken cancel);

    /// <summary>Inserts or replaces by (server, key, kind).</summary>
    Task SaveCatalogueAsync(CatalogueRecord record);

    ValueTask<CatalogueRecord?> FindCatalogueAsync(string server, string key, string kind, CancellationToken cancel);

    Task DeleteCatalogueAsync(string server);

    /// <summary>Removes what is kept of a server under one key. Removing what is not there is fine.</summary>
    Task DeleteCatalogueAsync(string server, string key);

    // Names: which server holds a name that two servers show

    Task<IReadOnlyList<NameRecord>> LoadNamesAsync(CancellationToken cancel);

    /// <summary>Inserts unless the name is held already; returns the server that holds it now.</summary>
    Task<string> ClaimNameAsync(NameRecord name);

    Task ReleaseNamesAsync(string server);

    // Tasks: whose they are, where several people share a link, or where they may be listed

    /// <summary>Inserts or replaces by (server, task id).</summary>
    Task SaveTaskAsync(TaskRecord task);

    ValueTask<TaskRecord?> FindTaskAsync(string server, string taskId, CancellationToken cancel);

    /// <summary>Ids of one person's tasks at a server.</summary>
    Task<IReadOnlyList<string>> FindTasksOfAsync(string server, string issuer, string subject, CancellationToken cancel);

    /// <summary>Drops rows that expire before <paramref name="now"/>, those of held tasks too.</summary>
    Task ExpireTasksAsync(DateTimeOffset now);

    // Held tasks: calls that became tasks

    /// <summary>
    /// Inserts a task, unless as many as that are there already of its person, or of all together; what is finished counts until it is gone.
    /// Several replicas at once may come to a few more.
    /// </summary>
    /// <returns>False: there are as many as there may be, and nothing was changed.</returns>
    Task<bool> HoldTaskAsync(HeldTask task, int mostOfOne, int mostOfAll);

    /// <summary>
    /// Replaces what changes in the life of a task (status, message, times, replica, body, the server's task, the cursor), provided that it is there, is not
    /// final, and still has the <see cref="HeldTask.Revision"/> of <paramref name="task"/>; it has the next one then.
    /// </summary>
    /// <returns>False: nothing was changed. After a <see cref="StoreException"/> the change may be there.</returns>
    Task<bool> UpdateHeldTaskAsync(HeldTask task);

    ValueTask<HeldTask?> FindHeldTaskAsync(string id, CancellationToken cancel);

    /// <summary>Tasks that are not final, of one replica (<see cref="HeldTask.Replica"/>): what whoever takes it over has to end.</summary>
    Task<IReadOnlyList<HeldTask>> FindUnfinishedTasksAsync(string replica, CancellationToken cancel);

    /// <summary>Tasks that are not final, of none of these replicas; at most <paramref name="limit"/>, and as long as they go on the same ones again.</summary>
    Task<IReadOnlyList<HeldTask>> FindUnfinishedTasksExceptAsync(IReadOnlyList<string> replicas, int limit, CancellationToken cancel);

    /// <summary>Removing an unknown one is fine.</summary>
    Task DropHeldTaskAsync(string id);
}

/// <summary>The store itself failed (not reachable, full, damaged); what was asked for may be tried again.</summary>
internal class StoreException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>The mailbox has no room for one letter more just now: this try has put none into it.</summary>
internal sealed class MailboxFullException(string message) : StoreException(message);
