using Amazon.DynamoDBv2;
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

    public async Task<IReadOnlyList<CredentialKey>> ListCredentialsAsync(CancellationToken cancel) =>
        [.. (await _table.QueryAllAsync(DynamoKeys.All(DynamoKeys.CredentialPrefix).Select(partition => new DynamoQuery(partition).Only("issuer", "subject", "provider")), cancel))
            .Select(CredentialOf).OrderBy(key => key.Issuer, StringComparer.Ordinal).ThenBy(key => key.Subject, StringComparer.Ordinal).ThenBy(key => key.Provider, StringComparer.Ordinal)];

    public async Task<bool> SaveCredentialAsync(CredentialRecord credential)
    {
        var (issuer, subject, provider) = credential.Key;
        if (credential.Due is { } due)
        {
            await ListDueAsync(credential.Key, due, credential.Version);
        }

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

        var (isWritten, before) = await _table.ChangeAsync(write, ReturnValue.ALL_OLD);
        if (isWritten)
        {
            await UnlistDueAsync(before);
            return true;
        }

        // Whoever finds what it wrote itself has succeeded: the answer to the first may have been lost.
        return await FindCredentialAsync(credential.Key, CancellationToken.None) is { } known && known.Version == credential.Version
            && known.Body.Span.SequenceEqual(credential.Body.Span);
    }

    public async Task DeleteCredentialAsync(CredentialKey key) => await UnlistDueAsync((await _table.DeleteAsync(DynamoKeys.Credential(key))).Before);

    public async Task<bool> TryLeaseCredentialAsync(CredentialKey key, long version, string holder, TimeSpan lease)
    {
        var now = _table.Now;
        var write = new DynamoWrite(DynamoKeys.Credential(key)).Set("holder", Text(holder)).Set("leased", Time(now + lease));
        write.When($"{write.N("version")} = {write.V(Number(version))}").When(
            $"attribute_not_exists({write.N("holder")}) OR {write.N("holder")} = {write.V(Text(holder))} OR {write.N("leased")} <= {write.V(Time(now))}");
        var (isTaken, item) = await _table.ChangeAsync(write, ReturnValue.ALL_NEW);
        await PassOverAsync(item);
        return isTaken;
    }

    public async Task ReleaseCredentialAsync(CredentialKey key, string holder)
    {
        var write = new DynamoWrite(DynamoKeys.Credential(key)).Set("holder", null).Set("leased", null);
        await PassOverAsync((await _table.ChangeAsync(write.When($"{write.N("holder")} = {write.V(Text(holder))}"), ReturnValue.ALL_NEW)).Item);
    }

    private static Dictionary<string, AttributeValue> Sealing => DynamoKeys.Key(DynamoKeys.VaultPartition, "sealing");

    private static Dictionary<string, AttributeValue> KeyOf(uint number) => DynamoKeys.Key(DynamoKeys.VaultPartition, "K#" + DynamoKeys.Sequence(number));

    private async Task<bool> IsWrappedAsync(KeyRecord key) =>
        await _table.GetAsync(KeyOf(key.Number), CancellationToken.None) is { } item && item.Bytes("wrapped").Span.SequenceEqual(key.Wrapped.Span);
}
