namespace Mooring.Stores;

/// <summary>
/// How the replicas on one store know of each other: a lease each, kept by beating, a mailbox each, and what cannot
/// move from where it runs. There are no peer ports.
/// Every kind of store has it, and passes the same contract tests.
/// </summary>
/// <remarks>
/// A replica's name is new with every start of a process: after <see cref="BeatAsync"/> said no, that name is dead for good.
/// Leases end by the store's own clock, so the clocks of the replicas need not agree.
/// </remarks>
internal interface IReplicaStore
{
    /// <summary>Says that a replica lives, for at least <paramref name="lease"/> from now.</summary>
    /// <returns>False: another replica has taken over its work; it must stop what it took over from itself and go on under another name.</returns>
    Task<bool> BeatAsync(string replica, string info, TimeSpan lease);

    /// <summary>All replicas that nobody has taken over, also those whose lease is over.</summary>
    Task<IReadOnlyList<ReplicaRecord>> FindReplicasAsync(CancellationToken cancel);

    /// <summary>
    /// Takes over a replica whose lease is over: of all that try at once, one succeeds. Its unread messages move to the winner's mailbox,
    /// behind what is there, in one transaction; later ones to the dead name arrive there too. Its homes are free again. Trying again
    /// after success is success.
    /// </summary>
    Task<bool> TryTakeOverAsync(string deadReplica, string byReplica);

    /// <summary>Names that this replica answers for: those it took over, and those that were taken over by them.</summary>
    Task<IReadOnlyList<string>> FindTakenOverAsync(string byReplica, CancellationToken cancel);

    /// <summary>A replica that stops in order takes its name, its mailbox and its homes away, in one transaction.</summary>
    /// <returns>False where a message waits that it has not acknowledged: then nothing is changed, and it has to see to that first.</returns>
    Task<bool> RemoveReplicaAsync(string replica);

    /// <summary>Puts a message into a replica's mailbox, or into that of whoever took it over.</summary>
    /// <returns>Its sequence; that of the first, where (replica, kind, call id) was posted within the last 5 minutes; null where there is no such replica.</returns>
    /// <exception cref="MailboxFullException">It has too many unread where a mailbox is bounded; nothing was posted, and it may be tried again.</exception>
    Task<long?> PostAsync(string toReplica, string kind, string callId, ReadOnlyMemory<byte> body);

    /// <summary>Unacknowledged messages with a sequence above <paramref name="after"/>, in order: what is committed later never has a lower one.</summary>
    Task<IReadOnlyList<MailRecord>> ReadMailboxAsync(string replica, long after, int limit, CancellationToken cancel);

    /// <summary>Drops messages up to and with <paramref name="upTo"/>. Their keys are remembered for 5 minutes, so that a repeated post is not delivered again.</summary>
    /// <param name="replica">Whose mailbox.</param>
    /// <param name="upTo">A sequence.</param>
    /// <param name="except">Sequences of those that stay all the same; some hundreds at most.</param>
    /// <returns>
    /// True: the message <paramref name="upTo"/> was this replica's, now or when this was asked before, and nobody else is given it. False: it is
    /// not in the mailbox; the replica was taken over, and what it had not dropped before is another's.
    /// </returns>
    Task<bool> AcknowledgeAsync(string replica, long upTo, IReadOnlyList<long>? except = null);

    /// <summary>
    /// Which replica runs the process (or another channel that cannot move) of this session at this server: the session's home there.
    /// Makes <paramref name="replica"/> the holder, unless one holds it that nobody has taken over; a holder that is unknown or was taken over
    /// loses it. That its lease is over does not count: it may live, and its process with it. Of all that claim at once one wins, and all are
    /// told the same.
    /// </summary>
    /// <returns>The holder from now on. Claims go with their session; where there is none, nothing is kept and the claiming replica is returned.</returns>
    Task<string> ClaimHomeAsync(string sessionId, string server, string replica);

    /// <summary>Takes the claim away if this replica holds it; else changes nothing.</summary>
    Task ReleaseHomeAsync(string sessionId, string server, string replica);
}

/// <summary>A replica as the others see it.</summary>
/// <param name="Id">Its name.</param>
/// <param name="Info">What it says of itself, for people.</param>
/// <param name="IsExpired">Whether its lease is over.</param>
internal sealed record ReplicaRecord(string Id, string Info, bool IsExpired);

/// <summary>One message in a mailbox.</summary>
/// <param name="Sequence">1, 2, 3 … in the mailbox, with gaps.</param>
/// <param name="Kind">What it is about; the sender's and the reader's matter.</param>
/// <param name="CallId">What it belongs to; with the kind, what a message is known by.</param>
/// <param name="Body">Raw bytes.</param>
internal sealed record MailRecord(long Sequence, string Kind, string CallId, ReadOnlyMemory<byte> Body);
