using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Telemetry;

namespace Mooring.Vault;

/// <summary>
/// Links people's accounts: makes the address that a person is sent to, sends the browser on to the provider, and exchanges what it brings back.
/// Nothing of it is kept between the steps but in what the browser carries, sealed; so any replica goes on.
/// </summary>
internal sealed class AccountLinks(
    KeyRing keys, Credentials credentials, Providers providers, OAuthDiscovery discovery, ClientRegistrations registrations, TokenRequests endpoint, VaultHttp http, ConfigStore config, TimeProvider time)
{
    private const string There = "there";
    private const string Back = "back";

    /// <summary>What is longer is no name, and would make addresses that no client takes.</summary>
    private const int LongestName = 200;

    /// <summary>How long a link, and the way to the provider and back, may take.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    /// <summary>What people are asked to allow at a provider of the configuration; empty: what that one has by default.</summary>
    public IReadOnlyList<string> ScopesOf(string provider) => providers.Find(provider)?.Scopes ?? [];

    /// <summary>The address of this gateway, as browsers reach it. Without <c>publicUrl</c> they are on this machine: where others can reach the gateway, the configuration has to say it.</summary>
    public Uri Gateway => config.Current.PublicUrl ?? new Uri(config.Current.Listen[0]);

    /// <summary>Where browsers bring back what they were given when they went: the path of the pages, or that of a provider's older way back.</summary>
    public string CookiePath(string provider) => providers.Find(provider)?.RedirectUri?.AbsolutePath ?? new Uri(PageOf(Gateway, "")).AbsolutePath.TrimEnd('/');

    /// <summary>One of a gateway's pages. The gateway may live below a path, which is a proxy's business.</summary>
    public static string PageOf(Uri gateway, string page) => new Uri($"{gateway.GetLeftPart(UriPartial.Path).TrimEnd('/')}/connect/{page}").AbsoluteUri;

    /// <summary>To the letter as it is registered, where the configuration says it.</summary>
    public string RedirectUri(string provider) => providers.Find(provider)?.RedirectUri?.OriginalString ?? PageOf(Gateway, $"{provider}/callback");

    /// <summary>Where this person links this account. It is his alone, and of no use after a few minutes. Asked for is what the server wants, with what the person allowed before.</summary>
    public string AddressFor(CredentialKey key, string? name, Challenge challenge)
    {
        var ticket = NewTicket(key, name) with { Scope = challenge.Scope, Metadata = challenge.Metadata };
        return PageOf(Gateway, $"{key.Provider}?ticket={ticket.Write(keys, There)}");
    }

    /// <param name="key">Whose account, and where.</param>
    /// <param name="name">What the person is called where he is shown.</param>
    public AccountTicket NewTicket(CredentialKey key, string? name) =>
        new() { Issuer = key.Issuer, Subject = key.Subject, Name = name is { Length: <= LongestName } ? name : null, Provider = key.Provider, Expires = time.GetUtcNow() + Patience };

    /// <summary>Whose link this is; null: nobody's any more.</summary>
    public async Task<AccountTicket?> ReadAsync(string provider, string? text, CancellationToken cancel) =>
        await AccountTicket.ReadAsync(keys, There, provider, text, cancel) is { } ticket && ticket.Expires > time.GetUtcNow() ? ticket : null;

    /// <summary>Where the browser goes from here, with the word that it has to bring back in a cookie.</summary>
    public async Task<(Uri? To, string Nonce, string Why)> BeginAsync(AccountTicket ticket, CancellationToken cancel)
    {
        var (to, client, server, scope, why) = providers.Find(ticket.Provider) is { } provider
            ? (Authorize(provider), providers.ClientOf(ticket.Provider), null, string.Join(' ', provider.Scopes), "")
            : await DiscoverAsync(ticket, cancel);
        if (to is null || client is null)
        {
            return (null, "", why);
        }

        var verifier = Random();
        var back = ticket with
        {
            // Nobody reads it on the way back.
            Name = null,
            Scope = scope is { Length: > 0 } ? scope : null,
            Nonce = Random(),
            Verifier = verifier,
            Client = providers.Find(ticket.Provider) is null ? client : null,
            From = server?.Issuer,
            NamesItself = server?.NamesItself == true,
            Expires = time.GetUtcNow() + Patience,
        };
        List<(string Name, string Value)> query =
        [
            ("response_type", "code"), ("client_id", client.ClientId), ("redirect_uri", RedirectUri(ticket.Provider)), ("state", back.Write(keys, Back)),
            ("code_challenge", Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(verifier)))), ("code_challenge_method", "S256"),
        ];
        if (client.Resource is { } resource)
        {
            query.Add(("resource", resource));
        }

        var text = string.Join('&', query.Select(field => $"{field.Name}={Uri.EscapeDataString(field.Value)}"));
        return (new UriBuilder(to) { Query = to.Query.Length > 1 ? $"{to.Query[1..]}&{text}" : text }.Uri, back.Nonce!, "");
    }

    /// <summary>The browser is back.</summary>
    /// <param name="provider">From where; null: the address does not say it, but the state does.</param>
    /// <param name="state">As the gateway sent it.</param>
    /// <param name="code">To be exchanged for a token.</param>
    /// <param name="error">Why there is no code.</param>
    /// <param name="from">Which authorization server says that it answers.</param>
    /// <param name="nonce">What the browser was given when it went.</param>
    /// <param name="isTheirs">Whether the browser is one of this person, as far as can be told.</param>
    /// <param name="cancel">Gives up.</param>
    /// <returns>Whose account it is, where that is known, and what went wrong, for a page; null: it is linked.</returns>
    public async Task<(CredentialKey? Whose, string? Why)> CompleteAsync(
        string? provider, string? state, string? code, string? error, string? from, string? nonce, Func<CredentialKey, bool> isTheirs, CancellationToken cancel)
    {
        if (await ReadBackAsync(provider, state, cancel) is not { Nonce: { } expected, Verifier: { } verifier } ticket || ticket.Expires <= time.GetUtcNow())
        {
            return (null, "This link is of no use any more. Ask for a new one.");
        }

        if (nonce is null || !CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(nonce), Encoding.UTF8.GetBytes(expected)))
        {
            return (ticket.Key, "This was begun in another browser. Open the link again, and finish it there.");
        }

        if (!isTheirs(ticket.Key))
        {
            return (ticket.Key, "Whoever began this is not signed in here any more. Open the link again.");
        }

        if (ticket.From is { } issuer && (from ?? (ticket.NamesItself ? "" : issuer)) != issuer)
        {
            return (ticket.Key, "The answer is not from the authorization server that was asked.");
        }

        if (error is not null || string.IsNullOrEmpty(code))
        {
            return (ticket.Key, $"The account was not linked ({(error is null ? "no code" : OAuthText.Word(error))}).");
        }

        if (providers.ClientFor(ticket.Provider, ticket.Client) is not { } client)
        {
            return (ticket.Key, "This provider is not in the configuration any more.");
        }

        var answer = await endpoint.RedeemAsync(client, code, RedirectUri(ticket.Provider), verifier, cancel);
        if (answer.Credential is not { } credential)
        {
            return (ticket.Key, $"The provider gave no token: {answer.Why}.");
        }

        // Where the answer does not say what was granted, it is what was asked for (RFC 6749, 5.1).
        await credentials.ReplaceAsync(ticket.Key, credential with { Client = ticket.Client, Scope = credential.Scope ?? ticket.Scope }, cancel);
        return (ticket.Key, null);
    }

    /// <summary>A state opens for its own provider alone, so each that has such a way back is tried. There are few.</summary>
    private async Task<AccountTicket?> ReadBackAsync(string? provider, string? state, CancellationToken cancel)
    {
        foreach (var name in provider is not null ? [provider] : providers.Names.Where(name => providers.Find(name)?.RedirectUri is not null))
        {
            if (await AccountTicket.ReadAsync(keys, Back, name, state, cancel) is { } ticket)
            {
                return ticket;
            }
        }

        return null;
    }

    /// <summary>Text that nobody guesses.</summary>
    internal static string Random() => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));

    private static Uri Authorize(AccountProviderConfig provider)
    {
        var fields = provider.Parameters.Select(p => $"{Uri.EscapeDataString(p.Key)}={Uri.EscapeDataString(p.Value)}").ToList();
        if (provider.Scopes.Count > 0)
        {
            fields.Add("scope=" + Uri.EscapeDataString(string.Join(' ', provider.Scopes)));
        }

        return With(provider.AuthorizeUrl!, fields);
    }

    private static Uri With(Uri address, List<string> fields) =>
        fields.Count == 0 ? address : new UriBuilder(address) { Query = string.Join('&', [.. address.Query.Length > 1 ? [address.Query[1..]] : Array.Empty<string>(), .. fields]) }.Uri;

    /// <summary>A server that says itself where its tokens come from.</summary>
    private async Task<(Uri? To, TokenClient? Client, AuthorizationServer? Server, string? Scope, string Why)> DiscoverAsync(AccountTicket ticket, CancellationToken cancel)
    {
        if (providers.ServerOf(ticket.Provider) is not { Url: { } url, Auth: { } auth })
        {
            return (null, null, null, null, "it is not in the configuration any more");
        }

        var challenge = ticket.Metadata is null && ticket.Scope is null ? await http.ChallengeOfAsync(url, cancel) : new Challenge(ticket.Metadata, ticket.Scope, null);
        var (server, whyNone) = await discovery.FindAsync(url, challenge, auth.Issuer, cancel);
        if (server is null)
        {
            return (null, null, null, null, whyNone);
        }

        var (client, whyNot) = await registrations.FindAsync(server, url, auth, Gateway, RedirectUri(ticket.Provider), cancel);
        var scope = auth.Scopes.Count > 0
            ? string.Join(' ', auth.Scopes)
            : With(await GrantedAsync(ticket.Key, server, cancel), challenge.Scope ?? string.Join(' ', server.Scopes));
        if (scope.Length > 0 && server.KnownScopes.Contains("offline_access") && !scope.Split(' ').Contains("offline_access"))
        {
            scope += " offline_access";
        }

        var to = scope.Length == 0 ? server.AuthorizeUrl : With(server.AuthorizeUrl, ["scope=" + Uri.EscapeDataString(scope)]);
        return (to, client, server, scope, whyNot);
    }

    /// <summary>
    /// What the person allowed before: a server that wants more for one tool still wants that for the others (SEP-2350). What another authorization server granted says nothing here,
    /// and may be unknown to this one.
    /// </summary>
    private async Task<string> GrantedAsync(CredentialKey key, AuthorizationServer server, CancellationToken cancel) =>
        await credentials.FindAsync(key, cancel) is { Credential: { Scope: { } scope, Client.TokenUrl: { } url } } && url == server.TokenUrl.AbsoluteUri ? scope : "";

    private static string With(string granted, string wanted) =>
        string.Join(' ', granted.Split(' ').Concat(wanted.Split(' ')).Where(scope => scope.Length > 0).Distinct());
}
