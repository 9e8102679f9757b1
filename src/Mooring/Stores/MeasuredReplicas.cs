namespace Mooring.Stores;

/// <summary>Measures what replicas ask of each other through a store of any kind.</summary>
/// <param name="inner">The store's side for replicas.</param>
/// <param name="kind">The metric tag.</param>
internal sealed class MeasuredReplicas(IReplicaStore inner, string kind, StoreMetrics metrics, TimeProvider time) : Measured(kind, metrics, time), IReplicaStore
{
    public Task<bool> BeatAsync(string replica, string info, TimeSpan lease) =>
        ObserveAsync("beat", Now, inner.BeatAsync(replica, info, lease));

    public Task<IReadOnlyList<ReplicaRecord>> FindReplicasAsync(CancellationToken cancel) =>
        ObserveAsync("find_replicas", Now, inner.FindReplicasAsync(cancel));

    public Task<bool> TryTakeOverAsync(string deadReplica, string byReplica) =>
        ObserveAsync("take_over", Now, inner.TryTakeOverAsync(deadReplica, byReplica));

    public Task<IReadOnlyList<string>> FindTakenOverAsync(string byReplica, CancellationToken cancel) =>
        ObserveAsync("find_taken_over", Now, inner.FindTakenOverAsync(byReplica, cancel));

    public Task<bool> RemoveReplicaAsync(string replica) =>
        ObserveAsync("remove_replica", Now, inner.RemoveReplicaAsync(replica));

    public Task<long?> PostAsync(string toReplica, string kind, string callId, ReadOnlyMemory<byte> body) =>
        ObserveAsync("post_letter", Now, inner.PostAsync(toReplica, kind, callId, body));

    public Task<IReadOnlyList<MailRecord>> ReadMailboxAsync(string replica, long after, int limit, CancellationToken cancel) =>
        ObserveAsync("read_mailbox", Now, inner.ReadMailboxAsync(replica, after, limit, cancel));

    public Task<bool> AcknowledgeAsync(string replica, long upTo, IReadOnlyList<long>? except = null) =>
        ObserveAsync("acknowledge", Now, inner.AcknowledgeAsync(replica, upTo, except));

    public Task<string> ClaimHomeAsync(string sessionId, string server, string replica) =>
        ObserveAsync("claim_home", Now, inner.ClaimHomeAsync(sessionId, server, replica));

    public Task ReleaseHomeAsync(string sessionId, string server, string replica) =>
        ObserveAsync("release_home", Now, inner.ReleaseHomeAsync(sessionId, server, replica));
}
