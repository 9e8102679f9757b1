using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>Seals the letters that replicas write to each other. Who writes to whom, and about which call, stays readable: the store works with it.</summary>
/// <param name="inner">The store's side for replicas.</param>
/// <param name="keys">Opened before any letter is written.</param>
/// <param name="seal">Told of the replicas that there are.</param>
internal sealed class SealedReplicas(IReplicaStore inner, KeyRing keys, StoreSeal seal) : IReplicaStore
{
    public Task<bool> BeatAsync(string replica, string info, TimeSpan lease) => inner.BeatAsync(replica, StoreSeal.Describe(info), lease);

    public async Task<IReadOnlyList<ReplicaRecord>> FindReplicasAsync(CancellationToken cancel)
    {
        var replicas = await inner.FindReplicasAsync(cancel);
        await seal.ConsiderAsync(replicas);
        return [.. replicas.Select(replica => replica with { Info = StoreSeal.Undescribe(replica.Info) })];
    }

    public Task<bool> TryTakeOverAsync(string deadReplica, string byReplica) => inner.TryTakeOverAsync(deadReplica, byReplica);

    public Task<IReadOnlyList<string>> FindTakenOverAsync(string byReplica, CancellationToken cancel) => inner.FindTakenOverAsync(byReplica, cancel);

    public Task<bool> RemoveReplicaAsync(string replica) => inner.RemoveReplicaAsync(replica);

    public async Task<long?> PostAsync(string toReplica, string kind, string callId, ReadOnlyMemory<byte> body) =>
        await inner.PostAsync(toReplica, kind, callId, keys.Seal(NameOf(kind, callId), body));

    public async Task<IReadOnlyList<MailRecord>> ReadMailboxAsync(string replica, long after, int limit, CancellationToken cancel)
    {
        var letters = await inner.ReadMailboxAsync(replica, after, limit, cancel);
        var opened = new List<MailRecord>(letters.Count);
        foreach (var letter in letters)
        {
            // One that does not open is no letter, as one that cannot be read: it must not hold up those behind it.
            opened.Add(letter with { Body = await keys.TryOpenAsync(NameOf(letter.Kind, letter.CallId), letter.Body, cancel) ?? default });
        }

        return opened;
    }

    public Task<bool> AcknowledgeAsync(string replica, long upTo, IReadOnlyList<long>? except = null) => inner.AcknowledgeAsync(replica, upTo, except);

    public Task<string> ClaimHomeAsync(string sessionId, string server, string replica) => inner.ClaimHomeAsync(sessionId, server, replica);

    public Task ReleaseHomeAsync(string sessionId, string server, string replica) => inner.ReleaseHomeAsync(sessionId, server, replica);

    /// <summary>Neither mailbox nor sequence: both change when a replica is taken over.</summary>
    private static RowName NameOf(string kind, string callId) => new("mailbox", kind, callId, 1);
}
