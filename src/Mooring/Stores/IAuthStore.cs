namespace Mooring.Stores;

/// <summary>
/// What the gateway knows of who may come in: API keys, tokens, registered clients, sign-ins under way. Every kind of store has it, and passes
/// the same contract tests. Secrets are never here: a row is found by the hash of one.
/// </summary>
/// <remarks>
/// A row that names a grant counts only while that grant's own row is there. So one deletion takes everything away that came of one consent, whatever
/// is being added to it at that moment.
/// </remarks>
internal interface IAuthStore
{
    /// <returns>Null: not there, expired by <paramref name="now"/>, or its grant is gone. One that was used is found.</returns>
    ValueTask<AuthRecord?> FindAuthAsync(AuthKind kind, string key, DateTimeOffset now, CancellationToken cancel);

    /// <returns>False: there is one of that kind and key.</returns>
    Task<bool> AddAuthAsync(AuthRecord record);

    /// <summary>Uses what works once. Of all that try at once, at any replica, one succeeds.</summary>
    /// <returns>The record as it was before: <see cref="AuthRecord.Used"/> is null where this use was the first. Null as with <see cref="FindAuthAsync"/>.</returns>
    Task<AuthRecord?> UseAuthAsync(AuthKind kind, string key, DateTimeOffset now);

    /// <summary>Moves the end of a row that is there; never back.</summary>
    Task ExtendAuthAsync(AuthKind kind, string key, DateTimeOffset expires);

    /// <returns>Whether it was there.</returns>
    Task<bool> RemoveAuthAsync(AuthKind kind, string key);

    /// <summary>All of one kind, the oldest first, also those that have expired.</summary>
    Task<IReadOnlyList<AuthRecord>> ListAuthAsync(AuthKind kind, CancellationToken cancel);

    /// <summary>How many of one kind there are. Those that have expired count until they are dropped, where that is soon.</summary>
    Task<int> CountAuthAsync(AuthKind kind, CancellationToken cancel);

    /// <summary>As <see cref="IStore.TakeSweepAsync"/>, for what is dropped here.</summary>
    Task<bool> TakeAuthSweepAsync() => Task.FromResult(true);

    /// <summary>Drops rows that expired before <paramref name="now"/>.</summary>
    Task ExpireAuthAsync(DateTimeOffset now);
}

/// <summary>What a row is. The numbers are stored.</summary>
internal enum AuthKind
{
    ApiKey = 1,
    AccessToken = 2,
    RefreshToken = 3,

    /// <summary>An authorization code.</summary>
    Code = 4,

    /// <summary>What one consent allowed; tokens belong to it.</summary>
    Grant = 5,

    /// <summary>A registered client.</summary>
    Client = 6,

    /// <summary>An authorization request that waits for its user.</summary>
    Request = 7,

    /// <summary>A visit to an identity provider that is to come back.</summary>
    Visit = 8,

    /// <summary>A browser in which somebody is signed in.</summary>
    Browser = 9,
}

/// <summary>One row.</summary>
internal sealed record AuthRecord
{
    public required AuthKind Kind { get; init; }

    /// <summary>The SHA-256 of the secret, or the id of what is not secret (a client, a grant).</summary>
    public required string Key { get; init; }

    /// <summary>The grant without which it does not count; null: it stands alone.</summary>
    public string? Grant { get; init; }

    /// <summary>JSON of the room that made it.</summary>
    public required ReadOnlyMemory<byte> Data { get; init; }

    public required DateTimeOffset Created { get; init; }

    public required DateTimeOffset Expires { get; init; }

    /// <summary>When it was used for the first time; kept by <see cref="IAuthStore.UseAuthAsync"/>.</summary>
    public DateTimeOffset? Used { get; init; }
}
