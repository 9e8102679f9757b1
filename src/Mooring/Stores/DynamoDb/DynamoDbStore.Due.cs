using Amazon.DynamoDBv2.Model;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <content>
/// Which credentials are due. They lie by person, and a look at all of them is dear; so each version has a row in one partition, in the order in which they are due.
/// It is written before the version: what counts has its row, and whether a row counts, its credential says.
/// </content>
internal sealed partial class DynamoDbStore
{
    /// <summary>How often one replica looks whether all credentials have their rows: those of a release before have none.</summary>
    internal static readonly TimeSpan ListDueEvery = TimeSpan.FromHours(1);

    /// <summary>A row whose version is not there may be a write's that is under way; after so long it is one's that failed.</summary>
    internal static readonly TimeSpan DueUnderWay = TimeSpan.FromMinutes(5);

    private const int DueReadAtOnce = 32;

    public async Task<IReadOnlyList<CredentialKey>> FindDueCredentialsAsync(DateTimeOffset before, int limit, IEnumerable<string> except, CancellationToken cancel)
    {
        await ListAllDueAsync(cancel);
        // A row that came just now is found the next time; whether what is found counts is asked for certain.
        var query = new DynamoQuery(DynamoKeys.DuePartition).Between("0", DynamoKeys.Sequence(before.UtcTicks)).Loosely();
        query.Where($"attribute_not_exists({query.N("leased")}) OR {query.N("leased")} <= {query.V(Time(_table.Now))}");
        var leftOut = except.ToHashSet(StringComparer.Ordinal);
        var found = new List<CredentialKey>();
        foreach (var some in (await _table.QueryAsync(query, cancel)).Where(row => !leftOut.Contains(row.Text("provider"))).Chunk(DueReadAtOnce))
        {
            if (found.Count >= limit)
            {
                break;
            }

            var areDue = await Task.WhenAll(some.Select(row => IsDueAsync(row, cancel)));
            found.AddRange(some.Where((_, i) => areDue[i]).Select(CredentialOf));
        }

        return [.. found.Take(limit)];
    }

    /// <summary>Whether a row counts, and nobody has the lease on its credential. One that counts no more is deleted.</summary>
    private async Task<bool> IsDueAsync(Dictionary<string, AttributeValue> row, CancellationToken cancel)
    {
        var item = await _table.GetAsync(DynamoKeys.Credential(CredentialOf(row)), cancel);
        var version = item?.Number("version") ?? 0;
        if (version == row.Number("version") && item?.TimeOrNull("due") == row.Time("due"))
        {
            return !item!.ContainsKey("holder") || item.Time("leased") <= _table.Now;
        }

        if (version > row.Number("version") || row.Time("put") < _table.Now - DueUnderWay)
        {
            // Unless it was put anew meanwhile.
            var delete = new DynamoWrite(DynamoKeys.Of(row));
            await _table.DeleteAsync(delete.When($"{delete.N("put")} = {delete.V(Number(row.Number("put")))}"));
        }

        return false;
    }

    private async Task ListAllDueAsync(CancellationToken cancel)
    {
        if (!await TakeSweepAsync("due", ListDueEvery))
        {
            return;
        }

        var all = await _table.QueryAllAsync(
            DynamoKeys.All(DynamoKeys.CredentialPrefix).Select(partition =>
            {
                var query = new DynamoQuery(partition).Only("issuer", "subject", "provider", "due", "version").Loosely();
                return query.Where($"attribute_exists({query.N("due")})");
            }),
            cancel);
        var listed = (await _table.QueryAsync(new DynamoQuery(DynamoKeys.DuePartition).Only(DynamoKeys.Sort).Loosely(), cancel))
            .Select(row => row.Text(DynamoKeys.Sort)).ToHashSet(StringComparer.Ordinal);
        foreach (var item in all.Where(item => !listed.Contains(DueKey(item).Text(DynamoKeys.Sort))))
        {
            await ListDueAsync(CredentialOf(item), item.Time("due"), item.Number("version"));
        }
    }

    private Task ListDueAsync(CredentialKey key, DateTimeOffset due, long version) => _table.WriteAsync(DynamoWrite.Put(
        DynamoKeys.Due(key, due, version).With("issuer", Text(key.Issuer)).With("subject", Text(key.Subject)).With("provider", Text(key.Provider))
            .With("due", Time(due)).With("version", Number(version)).With("put", Time(_table.Now))));

    /// <summary>Takes the row of what a credential was away.</summary>
    private Task UnlistDueAsync(Dictionary<string, AttributeValue>? before) =>
        before?.ContainsKey("due") == true ? SpareAsync(_table.DeleteAsync(DueKey(before))) : Task.CompletedTask;

    /// <summary>Has a row passed over while the lease on its credential runs.</summary>
    private Task PassOverAsync(Dictionary<string, AttributeValue>? item) => item?.ContainsKey("due") == true
        ? SpareAsync(_table.WriteAsync(new DynamoWrite(DueKey(item)).Set("leased", TimeOrNull(item.TimeOrNull("leased"))).WhenThere()))
        : Task.CompletedTask;

    /// <summary>What only spares others a look must not have failed what is done already.</summary>
    private static async Task SpareAsync(Task write)
    {
        try
        {
            await write;
        }
        catch (StoreException)
        {
            // The row is found when it is due, and its credential tells what it is worth.
        }
    }

    private static Dictionary<string, AttributeValue> DueKey(Dictionary<string, AttributeValue> credential) =>
        DynamoKeys.Due(CredentialOf(credential), credential.Time("due"), credential.Number("version"));

    private static CredentialKey CredentialOf(Dictionary<string, AttributeValue> row) => new(row.Text("issuer"), row.Text("subject"), row.Text("provider"));
}
