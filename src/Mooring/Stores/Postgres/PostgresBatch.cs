using Npgsql;

namespace Mooring.Stores.Postgres;

/// <summary>
/// Turns writes into as few statements as their order allows, and sends them in one round trip that is one transaction: without a
/// BEGIN, everything up to the one Sync at its end is committed together or not at all.
/// </summary>
internal static class PostgresBatch
{
    /// <param name="connection">Whose the transaction is.</param>
    /// <param name="writes">What is committed together.</param>
    /// <param name="cancel">Gives up.</param>
    /// <param name="seconds">How long it may take; null: as long as any command.</param>
    public static async Task RunAsync(NpgsqlConnection connection, IReadOnlyList<PostgresWrite> writes, CancellationToken cancel, int? seconds = null)
    {
        var groups = Group(writes);
        await using var batch = new NpgsqlBatch(connection);
        batch.Timeout = seconds ?? batch.Timeout;
        foreach (var (statement, members) in groups)
        {
            foreach (var sql in statement.Sql)
            {
                var command = new NpgsqlBatchCommand(sql);
                statement.Bind(command.Parameters, members);
                batch.BatchCommands.Add(command);
            }
        }

        await using var rows = await batch.ExecuteReaderAsync(cancel);
        foreach (var (statement, members) in groups)
        {
            if (statement.HasRows)
            {
                await statement.ReadAsync(rows, members, cancel);
                await rows.NextResultAsync(cancel);
            }
        }

        // To the end of all results: the word that it is committed comes last.
        while (await rows.NextResultAsync(cancel))
        {
        }
    }

    /// <summary>
    /// A write joins the last statement of its kind unless one after that has a write with its key, or its identity is in there already;
    /// so writes with one key never change their order.
    /// </summary>
    internal static List<(PostgresStatement Statement, List<PostgresWrite> Members)> Group(IReadOnlyList<PostgresWrite> writes)
    {
        var groups = new List<(PostgresStatement Statement, List<PostgresWrite> Members)>();
        var identities = new List<HashSet<object>?>();
        var latest = new Dictionary<PostgresStatement, int>();
        var lastOfKey = new Dictionary<string, int>(StringComparer.Ordinal);
        var first = 0;
        foreach (var write in writes)
        {
            var earliest = write.Key is null ? groups.Count : Math.Max(first, lastOfKey.GetValueOrDefault(write.Key, -1));
            if (!write.Statement.IsShared || !latest.TryGetValue(write.Statement, out var at) || at < earliest || !identities[at]!.Add(write.Identity!))
            {
                at = groups.Count;
                groups.Add((write.Statement, []));
                identities.Add(write.Statement.IsShared ? [write.Identity!] : null);
                latest[write.Statement] = at;
            }

            groups[at].Members.Add(write);
            if (write.Key is null)
            {
                first = groups.Count;
            }
            else
            {
                lastOfKey[write.Key] = at;
            }
        }

        return groups;
    }
}
