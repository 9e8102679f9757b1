using Mooring.Stores;

namespace Mooring.Auth;

/// <summary>An API key as its maker sees it later: never the key itself.</summary>
/// <param name="Id">The beginning of its hash; enough to name it, and no way back to the key.</param>
internal sealed record ApiKey(string Id, KeyData Data, DateTimeOffset Created, DateTimeOffset Expires);

/// <summary>Makes and lists API keys, on the store directly: whether or not a gateway runs. They are revoked as all that people hold is (<see cref="Holdings"/>).</summary>
internal sealed class ApiKeys(IAuthStore store, TimeProvider time)
{
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

    private static ApiKey Shown(AuthRecord record) => new(Holdings.IdOf(record), AuthJson.Read<KeyData>(record), record.Created, record.Expires);
}
