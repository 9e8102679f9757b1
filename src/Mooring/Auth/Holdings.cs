using Mooring.Stores;

namespace Mooring.Auth;

/// <summary>Something that lets a person in, as whoever steers the gateway sees it: never what is secret of it.</summary>
/// <param name="Id">The beginning of its key; enough to name it, and no way back to a secret.</param>
/// <param name="Kind">An API key, what was allowed to a client (<see cref="AuthKind.Grant"/>), or a browser in which the person is signed in.</param>
/// <param name="Person">Whose it is.</param>
/// <param name="Name">What the client, or the maker of the key, calls it; null: nothing.</param>
/// <param name="Client">The client that it was allowed to; null: it is no grant.</param>
internal sealed record Holding(string Id, AuthKind Kind, Person Person, string? Name, string? Client, DateTimeOffset Created, DateTimeOffset Expires);

/// <summary>
/// What people hold that lets them in: keys, what they allowed clients, browsers in which they are signed in. Lists and revokes it on the store directly, whether or
/// not a gateway runs; one that does notices within 5 s. Access and refresh tokens are not among it: they count only while what was allowed is there.
/// </summary>
internal sealed class Holdings(IAuthStore store, TimeProvider time)
{
    private const int IdLength = 12;

    /// <summary>Browsers come first: what is signed out can allow no client anything while the rest is taken away.</summary>
    private static readonly AuthKind[] Kinds = [AuthKind.Browser, AuthKind.Grant, AuthKind.ApiKey];

    public static string IdOf(AuthRecord record) => record.Key[..Math.Min(IdLength, record.Key.Length)];

    /// <param name="person">Whose; null: everybody's. Named as in a rule of <c>policies</c>.</param>
    /// <param name="cancel">Gives up.</param>
    public async Task<IReadOnlyList<Holding>> ListAsync(string? person, CancellationToken cancel)
    {
        var all = await AllAsync(cancel);
        var names = person is null ? null : NamesOf(all, person);
        return [.. all.Select(one => one.Shown).Where(one => one.Expires > time.GetUtcNow() && (names is null || names.Contains(one.Person.Key)))];
    }

    /// <summary>Whom a name means, of those who hold something: issuer and subject of each.</summary>
    public async Task<IReadOnlySet<(string Issuer, string Subject)>> NamesAsync(string person, CancellationToken cancel) => NamesOf(await AllAsync(cancel), person);

    /// <returns>What was revoked; empty where nothing has that id.</returns>
    public async Task<IReadOnlyList<Holding>> RevokeAsync(string id, CancellationToken cancel) =>
        await TakeAwayAsync((await AllAsync(cancel)).Where(one => string.Equals(one.Shown.Id, id, StringComparison.OrdinalIgnoreCase)));

    /// <summary>All that one person holds.</summary>
    /// <returns>What was revoked; empty where nobody of that name holds anything.</returns>
    public async Task<IReadOnlyList<Holding>> RevokeAllAsync(string person, CancellationToken cancel)
    {
        var names = NamesOf(await AllAsync(cancel), person);
        List<Holding> gone = [];
        // Twice: what the person was just allowing when the browser was signed out is found the second time.
        for (var round = 0; round < 2; round++)
        {
            gone.AddRange(await TakeAwayAsync((await AllAsync(cancel)).Where(one => names.Contains(one.Shown.Person.Key))));
        }

        return gone;
    }

    /// <summary>All that people allowed one client, by its id.</summary>
    /// <returns>What was revoked; empty where nobody allowed it anything.</returns>
    public async Task<IReadOnlyList<Holding>> RevokeAllOfClientAsync(string client, CancellationToken cancel) =>
        await TakeAwayAsync((await AllAsync(cancel)).Where(one => one.Shown.Client == client));

    private async Task<List<Holding>> TakeAwayAsync(IEnumerable<(AuthRecord Record, Holding Shown)> all)
    {
        List<Holding> gone = [];
        foreach (var (record, shown) in all)
        {
            if (await store.RemoveAuthAsync(record.Kind, record.Key))
            {
                gone.Add(shown);
            }
        }

        return gone;
    }

    private async Task<List<(AuthRecord Record, Holding Shown)>> AllAsync(CancellationToken cancel)
    {
        List<(AuthRecord, Holding)> all = [];
        foreach (var kind in Kinds)
        {
            all.AddRange((await store.ListAuthAsync(kind, cancel)).Select(record => (record, Shown(record))));
        }

        return all;
    }

    /// <summary>Whom a name means. Somebody's address may have changed, or not have been said each time: then one row with it stands for the others.</summary>
    private static HashSet<(string Issuer, string Subject)> NamesOf(List<(AuthRecord Record, Holding Shown)> all, string person) =>
        [.. all.Where(one => one.Shown.Person.IsCalled(person)).Select(one => one.Shown.Person.Key)];

    private static Holding Shown(AuthRecord record)
    {
        var (person, name, client) = record.Kind switch
        {
            AuthKind.ApiKey when AuthJson.Read<KeyData>(record) is var key => (key.Person, key.Name, (string?)null),
            AuthKind.Grant when AuthJson.Read<GrantData>(record) is var grant => (grant.Person, grant.ClientName, grant.Client),
            _ => (AuthJson.Read<BrowserData>(record).Person, null, null),
        };
        return new Holding(IdOf(record), record.Kind, person, name, client, record.Created, record.Expires);
    }
}
