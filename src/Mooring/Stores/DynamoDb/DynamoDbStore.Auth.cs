using Amazon.DynamoDBv2;
using Amazon.DynamoDBv2.Model;
using static Mooring.Stores.DynamoDb.DynamoValues;

namespace Mooring.Stores.DynamoDb;

/// <content>Who may come in. The service deletes what has expired when it likes, so every reader looks at the time.</content>
internal sealed partial class DynamoDbStore
{
    public async ValueTask<AuthRecord?> FindAuthAsync(AuthKind kind, string key, DateTimeOffset now, CancellationToken cancel) =>
        await _table.GetAsync(DynamoKeys.Auth(kind, key), cancel) is { } item && ReadAuth(item, kind) is { } found && found.Expires > now
            && await HasGrantAsync(found, cancel)
            ? found
            : null;

    public Task<bool> AddAuthAsync(AuthRecord record) => _table.WriteAsync(DynamoWrite.Put(
        DynamoKeys.Auth(record.Kind, record.Key).With("key", Text(record.Key)).With("grant", TextOrNull(record.Grant)).With("data", Bytes(record.Data))
            .With("created", Time(record.Created)).With("until", Time(record.Expires)).With(DynamoKeys.Expires, TtlOf(record.Expires))).WhenNotThere().Marked());

    public async Task<AuthRecord?> UseAuthAsync(AuthKind kind, string key, DateTimeOffset now)
    {
        if (await FindAuthAsync(kind, key, now, CancellationToken.None) is not { Used: null } found)
        {
            return await FindAuthAsync(kind, key, now, CancellationToken.None);
        }

        var write = new DynamoWrite(DynamoKeys.Auth(kind, key)).Set("used", Time(now)).WhenThere().Marked();
        write.When($"attribute_not_exists({write.N("used")})").When($"{write.N("until")} > {write.V(Time(now))}");
        var (isFirst, item) = await _table.ChangeAsync(write, ReturnValue.ALL_NEW);
        return isFirst ? ReadAuth(item!, kind) with { Used = null } : await FindAuthAsync(kind, key, now, CancellationToken.None);
    }

    public Task ExtendAuthAsync(AuthKind kind, string key, DateTimeOffset expires)
    {
        var write = new DynamoWrite(DynamoKeys.Auth(kind, key)).Set("until", Time(expires)).Set(DynamoKeys.Expires, TtlOf(expires)).WhenThere();
        return _table.WriteAsync(write.When($"{write.N("until")} < {write.V(Time(expires))}"));
    }

    public async Task<bool> RemoveAuthAsync(AuthKind kind, string key) => (await _table.DeleteAsync(DynamoKeys.Auth(kind, key))).Before is not null;

    public async Task<IReadOnlyList<AuthRecord>> ListAuthAsync(AuthKind kind, CancellationToken cancel) =>
        [.. (await _table.QueryAllAsync(DynamoKeys.All(DynamoKeys.AuthPrefix(kind)).Select(partition => new DynamoQuery(partition)), cancel))
            .Select(item => ReadAuth(item, kind)).OrderBy(row => row.Created).ThenBy(row => row.Key, StringComparer.Ordinal)];

    /// <remarks>What has expired may still be there for an hour, and must not keep others out meanwhile.</remarks>
    public async Task<int> CountAuthAsync(AuthKind kind, CancellationToken cancel) =>
        (await Task.WhenAll(DynamoKeys.All(DynamoKeys.AuthPrefix(kind)).Select(partition =>
        {
            var query = new DynamoQuery(partition);
            return _table.CountAsync(query.Where($"{query.N("until")} > {query.V(Time(_time.GetUtcNow()))}"), cancel);
        }))).Sum();

    public async Task ExpireAuthAsync(DateTimeOffset now)
    {
        foreach (var kind in Enum.GetValues<AuthKind>())
        {
            foreach (var over in await OverAsync(DynamoKeys.AuthPrefix(kind), now))
            {
                // One that was extended meanwhile stays.
                var delete = new DynamoWrite(DynamoKeys.Of(over));
                await _table.DeleteAsync(delete.When($"{delete.N("until")} < {delete.V(Time(now))}"));
            }
        }
    }

    private async Task<bool> HasGrantAsync(AuthRecord record, CancellationToken cancel) =>
        record.Grant is null || await _table.GetAsync(DynamoKeys.Auth(AuthKind.Grant, record.Grant), cancel) is not null;

    private static AttributeValue? TtlOf(DateTimeOffset expires) => Ttl(expires.Year > 9000 ? expires : expires + Grace);

    private static AuthRecord ReadAuth(Dictionary<string, AttributeValue> item, AuthKind kind) => new()
    {
        Kind = kind,
        Key = item.Text("key"),
        Grant = item.TextOrNull("grant"),
        Data = item.Bytes("data"),
        Created = item.Time("created"),
        Expires = item.Time("until"),
        Used = item.TimeOrNull("used"),
    };
}
