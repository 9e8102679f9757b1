using Mooring.Stores;

namespace Mooring.Auth;

/// <summary>An API key as its maker sees it later: never the key itself.</summary>
/// <param name="Id">The beginning of its hash; enough to name it, and no way back to the key.</param>
internal sealed record ApiKey(string Id, KeyData Data, DateTimeOffset Created, DateTimeOffset Expires);

/// <summary>Makes, lists and revokes API keys, on the store directly: whether or not a gateway runs.</summary>
internal sealed class ApiKeys(IAuthStore store, TimeProvider time)
{
    private const int IdLength = 12;

    /// <returns>The key, which is told once, and what is kept of it.</returns>
    public async Task<(string Secret, ApiKey Key)> CreateAsync(string user, string? name, IReadOnlyList<string> scopes, IReadOnlyList<string> groups, TimeSpan? lifetime, IReadOnlyList<string>? roles = null)
    {
        var secret = Secret.New(StoredTokens.KeyPrefix);
        var now = time.GetUtcNow();
        var data = new KeyData(new Person(Person.OfApiKeys, user, Groups: groups, Roles: roles), name, scopes);
        var record = new AuthRecord
        {
            Kind = AuthKind.ApiKey,
            Key = Secret.KeyOf(secret),
            Data = AuthJson.Write(data),
            Created = now,
            Expires = lifetime is { } span ? now + span : DateTimeOffset.MaxValue,
        };
        await store.AddAuthAsync(record);
        return (secret, Shown(record));
    }

    public async Task<IReadOnlyList<ApiKey>> ListAsync(CancellationToken cancel) =>
        [.. (await store.ListAuthAsync(AuthKind.ApiKey, cancel)).Where(record => record.Expires > time.GetUtcNow()).Select(Shown)];

    /// <returns>What was revoked; empty where no key has that id.</returns>
    public async Task<IReadOnlyList<ApiKey>> RevokeAsync(string id, CancellationToken cancel)
    {
        List<ApiKey> gone = [];
        foreach (var record in await store.ListAuthAsync(AuthKind.ApiKey, cancel))
        {
            if (string.Equals(Shown(record).Id, id, StringComparison.OrdinalIgnoreCase) && await store.RemoveAuthAsync(AuthKind.ApiKey, record.Key))
            {
                gone.Add(Shown(record));
            }
        }

        return gone;
    }

    private static ApiKey Shown(AuthRecord record) => new(record.Key[..IdLength], AuthJson.Read<KeyData>(record), record.Created, record.Expires);
}
