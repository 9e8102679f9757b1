using Npgsql;

namespace Mooring.Stores.Postgres;

/// <content>Replicas, their leases, mailboxes and homes.</content>
internal sealed partial class PostgresStore
{
    /// <summary>Replicas may die one after the other while a message looks for who took over; more than this is a mistake.</summary>
    private const int MostMoves = 8;

    public async Task<bool> BeatAsync(string replica, string info, TimeSpan lease) =>
        await OneAsync(ReplicaRows.BeatSql, to => to.Text(replica).Text(info).Span(lease), row => row.GetBoolean(0), CancellationToken.None);

    public Task<IReadOnlyList<ReplicaRecord>> FindReplicasAsync(CancellationToken cancel) =>
        ManyAsync(ReplicaRows.FindSql, _ => { }, row => new ReplicaRecord(row.Text(0), row.Text(1), row.GetBoolean(2)), cancel);

    public Task<bool> TryTakeOverAsync(string deadReplica, string byReplica) =>
        TogetherAsync(ReplicaRows.TakeOverSql, to => to.Text(deadReplica).Text(byReplica));

    public Task<IReadOnlyList<string>> FindTakenOverAsync(string byReplica, CancellationToken cancel) =>
        ManyAsync(ReplicaRows.FindTakenOverSql, to => to.Text(byReplica), row => row.Text(0), cancel);

    public Task<bool> RemoveReplicaAsync(string replica) => TogetherAsync(ReplicaRows.RemoveSql, to => to.Text(replica));

    public async Task<long?> PostAsync(string toReplica, string kind, string callId, ReadOnlyMemory<byte> body)
    {
        var to = toReplica;
        for (var moves = 0; moves < MostMoves; moves++)
        {
            var (sequence, takenBy) = await Write(ReplicaRows.Post, to, (to, kind, callId, body), body.Length);
            if (takenBy is null)
            {
                return sequence;
            }

            to = takenBy;
        }

        throw new StoreException($"Replica {toReplica} was taken over {MostMoves} times while a message was on its way to it.");
    }

    public Task<IReadOnlyList<MailRecord>> ReadMailboxAsync(string replica, long after, int limit, CancellationToken cancel) =>
        ManyAsync(ReplicaRows.ReadMailboxSql, to => to.Text(replica).Number(after).Number(limit), ReplicaRows.ReadMail, cancel);

    public Task<bool> AcknowledgeAsync(string replica, long upTo, IReadOnlyList<long>? except = null) =>
        Write(ReplicaRows.Acknowledge, replica, (replica, upTo, except ?? []));

    public async Task<string> ClaimHomeAsync(string sessionId, string server, string replica) =>
        await Write(HomeRows.Claim, sessionId, (sessionId, server, replica)) ?? replica;

    public Task ReleaseHomeAsync(string sessionId, string server, string replica) => Write(HomeRows.Release, sessionId, (sessionId, server, replica));

    /// <summary>Several statements in one transaction. Returns whether any of them gave a row.</summary>
    private Task<bool> TogetherAsync(string[] statements, Action<NpgsqlParameterCollection> bind) => _database.RunAsync(
        async (connection, token) =>
        {
            await using var batch = new NpgsqlBatch(connection);
            foreach (var sql in statements)
            {
                var command = new NpgsqlBatchCommand(sql);
                bind(command.Parameters);
                batch.BatchCommands.Add(command);
            }

            await using var rows = await batch.ExecuteReaderAsync(token);
            var any = false;
            do
            {
                any |= await rows.ReadAsync(token);
            }
            while (await rows.NextResultAsync(token));

            return any;
        },
        CancellationToken.None);
}
