using Amazon.DynamoDBv2.Model;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <content>What the vault keeps.</content>
internal sealed partial class DynamoDbStore
{
    public async Task<IReadOnlyList<KeyRecord>> LoadKeysAsync(CancellationToken cancel) =>
        [.. (await _table.QueryAsync(new DynamoQuery(DynamoKeys.VaultPartition).StartingWith("K#"), cancel))
            .Select(item => new KeyRecord((uint)item.Number("number"), item.Bytes("wrapped"), item.Text("by"), item.Time("created")))];

    public async Task<bool> AddKeyAsync(KeyRecord key)
    {
        var item = KeyOf(key.Number).With("number", Number(key.Number)).With("wrapped", Bytes(key.Wrapped)).With("by", Text(key.WrappedBy)).With("created", Time(key.Created));
        return await _table.WriteAsync(DynamoWrite.Put(item).WhenNotThere()) || await IsWrappedAsync(key);
    }

    public async Task<bool> RewrapKeyAsync(KeyRecord key, string before)
    {
        var write = new DynamoWrite(KeyOf(key.Number)).Set("wrapped", Bytes(key.Wrapped)).Set("by", Text(key.WrappedBy));
        return await _table.WriteAsync(write.When($"{write.N("by")} = {write.V(Text(before))}")) || await IsWrappedAsync(key);
    }

    public async Task<bool> IsSealedAsync(CancellationToken cancel) => await _table.GetAsync(Sealing, cancel) is not null;

    /// <remarks>Every release that knows this kind of store reads sealed rows, so the schema's mark stays.</remarks>
    public Task BeginSealingAsync() => _table.WriteAsync(DynamoWrite.Put(Sealing.With("began", Time(_time.GetUtcNow()))).WhenNotThere());

    public async ValueTask<CredentialRecord?> FindCredentialAsync(CredentialKey key, CancellationToken cancel) =>
        await _table.GetAsync(DynamoKeys.Credential(key), cancel) is { } item
            ? new CredentialRecord(key, item.Number("version"), item.Bytes("body"), item.TimeOrNull("due"))
            : null;

    public async Task<IReadOnlyList<string>> FindProvidersAsync(string issuer, string subject, CancellationToken cancel) =>
        [.. (await _table.QueryAsync(
            new DynamoQuery(DynamoKeys.CredentialPartition(issuer, subject)).StartingWith(DynamoKeys.CredentialsOf(issuer, subject)).Only("provider"), cancel))
            .Select(item => item.Text("provider")).Order(StringComparer.Ordinal)];

    public async Task<IReadOnlyList<CredentialKey>> FindDueCredentialsAsync(DateTimeOffset before, int limit, IEnumerable<string> except, CancellationToken cancel)
    {
        var due = await _table.QueryAllAsync(
            DynamoKeys.All("CRED").Select(partition =>
            {
                var query = new DynamoQuery(partition).Only("issuer", "subject", "provider", "due");
                return query.Where($"{query.N("due")} < {query.V(Time(before))}")
                    .Where($"attribute_not_exists({query.N("holder")}) OR {query.N("leased")} <= {query.V(Time(_table.Now))}");
            }),
            cancel);
        return
        [
            .. due.Where(item => !except.Contains(item.Text("provider"))).OrderBy(item => item.Number("due")).Take(limit)
                .Select(item => new CredentialKey(item.Text("issuer"), item.Text("subject"), item.Text("provider"))),
        ];
    }

    public async Task<bool> SaveCredentialAsync(CredentialRecord credential)
    {
        var (issuer, subject, provider) = credential.Key;
        var write = new DynamoWrite(DynamoKeys.Credential(credential.Key)).Set("issuer", Text(issuer)).Set("subject", Text(subject)).Set("provider", Text(provider))
            .Set("version", Number(credential.Version)).Set("body", Bytes(credential.Body)).Set("due", TimeOrNull(credential.Due)).Set("holder", null).Set("leased", null);
        if (credential.Version == 1)
        {
            write.WhenNotThere();
        }
        else
        {
            write.When($"{write.N("version")} = {write.V(Number(credential.Version - 1))}");
        }

        // Whoever finds what it wrote itself has succeeded: the answer to the first may have been lost.
        return await _table.WriteAsync(write)
            || (await FindCredentialAsync(credential.Key, CancellationToken.None) is { } known && known.Version == credential.Version
                && known.Body.Span.SequenceEqual(credential.Body.Span));
    }

    public Task DeleteCredentialAsync(CredentialKey key) => _table.DeleteAsync(DynamoKeys.Credential(key));

    public Task<bool> TryLeaseCredentialAsync(CredentialKey key, long version, string holder, TimeSpan lease)
    {
        var now = _table.Now;
        var write = new DynamoWrite(DynamoKeys.Credential(key)).Set("holder", Text(holder)).Set("leased", Time(now + lease));
        return _table.WriteAsync(write.When($"{write.N("version")} = {write.V(Number(version))}").When(
            $"attribute_not_exists({write.N("holder")}) OR {write.N("holder")} = {write.V(Text(holder))} OR {write.N("leased")} <= {write.V(Time(now))}"));
    }

    public Task ReleaseCredentialAsync(CredentialKey key, string holder)
    {
        var write = new DynamoWrite(DynamoKeys.Credential(key)).Set("holder", null).Set("leased", null);
        return _table.WriteAsync(write.When($"{write.N("holder")} = {write.V(Text(holder))}"));
    }

    private static Dictionary<string, AttributeValue> Sealing => DynamoKeys.Key(DynamoKeys.VaultPartition, "sealing");

    private static Dictionary<string, AttributeValue> KeyOf(uint number) => DynamoKeys.Key(DynamoKeys.VaultPartition, "K#" + DynamoKeys.Sequence(number));

    private async Task<bool> IsWrappedAsync(KeyRecord key) =>
        await _table.GetAsync(KeyOf(key.Number), CancellationToken.None) is { } item && item.Bytes("wrapped").Span.SequenceEqual(key.Wrapped.Span);
}
