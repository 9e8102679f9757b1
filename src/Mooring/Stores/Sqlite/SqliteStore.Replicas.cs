namespace Mooring.Stores.Sqlite;

/// <content>Replicas, their leases, mailboxes and homes.</content>
internal sealed partial class SqliteStore
{
    public Task<bool> BeatAsync(string replica, string info, TimeSpan lease) => Write(ReplicaRows.Beat, (replica, info, time.GetUtcNow() + lease));

    public Task<IReadOnlyList<ReplicaRecord>> FindReplicasAsync(CancellationToken cancel) => Read(ReplicaRows.Find, time.GetUtcNow(), cancel);

    public Task<bool> TryTakeOverAsync(string deadReplica, string byReplica) => Write(ReplicaRows.TakeOver, (deadReplica, byReplica, time.GetUtcNow()));

    public Task<IReadOnlyList<string>> FindTakenOverAsync(string byReplica, CancellationToken cancel) => Read(ReplicaRows.FindTakenOver, byReplica, cancel);

    public Task<bool> RemoveReplicaAsync(string replica) => Write(ReplicaRows.Remove, replica);

    public Task<long?> PostAsync(string toReplica, string kind, string callId, ReadOnlyMemory<byte> body) =>
        Write(ReplicaRows.Post, (toReplica, kind, callId, body));

    public Task<IReadOnlyList<MailRecord>> ReadMailboxAsync(string replica, long after, int limit, CancellationToken cancel) =>
        Read(ReplicaRows.Read, (replica, after, limit), cancel);

    public Task<bool> AcknowledgeAsync(string replica, long upTo, IReadOnlyList<long>? except = null) =>
        Write(ReplicaRows.Acknowledge, (replica, upTo, except ?? [], time.GetUtcNow()));

    public Task<string> ClaimHomeAsync(string sessionId, string server, string replica) =>
        Write(HomeRows.Claim, (sessionId, server, replica));

    public Task ReleaseHomeAsync(string sessionId, string server, string replica) => Write(HomeRows.Release, (sessionId, server, replica));
}
