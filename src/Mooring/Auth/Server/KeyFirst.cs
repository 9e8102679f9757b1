using Microsoft.AspNetCore.Http;

namespace Mooring.Auth.Server;

/// <summary>
/// Has whoever opens a link of a person of API keys show a key of that person first: such people sign in nowhere at the gateway, so nothing else says who uses the browser.
/// A key is compared as that of any request, and is kept nowhere.
/// </summary>
internal sealed class KeyFirst(IEnumerable<ITokenVerifier> verifiers, Attempts attempts)
{
    internal const int TriesPerAddress = 30;

    /// <summary>From everywhere, in the same time: the store is asked each time. Far more than people who link accounts.</summary>
    internal const int TriesInAll = 1000;

    private static readonly TimeSpan Window = TimeSpan.FromMinutes(5);

    /// <summary>Whether the people of an issuer have nothing but keys.</summary>
    public static bool IsFor(string issuer) => issuer == Person.OfApiKeys;

    /// <summary>Whether there may be people of keys.</summary>
    public bool AreTaken => verifiers.Any(one => one.Takes(StoredTokens.KeyPrefix));

    /// <param name="context">The request that brings the key.</param>
    /// <param name="key">What was typed.</param>
    /// <param name="subject">Whose it has to be.</param>
    /// <returns>Whether it is; or for how many seconds none is looked at, since too many were.</returns>
    /// <exception cref="Stores.StoreException">The store cannot be asked.</exception>
    public async Task<(bool IsTheirs, int? Seconds)> TryAsync(HttpContext context, string key, string subject)
    {
        var (person, seconds) = await FindAsync(context, key);
        return (person is not null && person.Subject == subject, seconds);
    }

    /// <summary>As <see cref="TryAsync"/>: whose it is; null: nobody's.</summary>
    public async Task<(Person? Theirs, int? Seconds)> FindAsync(HttpContext context, string key)
    {
        var wait = attempts.TryTake("keys from", Attempts.Who(context.Connection.RemoteIpAddress), TriesPerAddress, Window) ?? attempts.TryTake("keys", "", TriesInAll, Window);
        if (wait is not null)
        {
            return (null, wait);
        }

        var caller = key.StartsWith(StoredTokens.KeyPrefix, StringComparison.Ordinal) && verifiers.FirstOrDefault(one => one.Takes(key)) is { } verifier
            ? (await verifier.VerifyAsync(key, context.RequestAborted)).Caller
            : null;
        return (caller is { Person: { Issuer: Person.OfApiKeys } person } ? person : null, null);
    }
}
