using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;
using Mooring.Auth.Issuers;
using Mooring.Configuration;
using Mooring.Stores;

namespace Mooring.Auth.Server;

/// <summary>A client that asks for a code, or why there is none.</summary>
/// <param name="Data">What is known of it.</param>
/// <param name="Source">The host that vouches for it; null where it only says so itself.</param>
/// <param name="Problem">Why it is not known.</param>
/// <param name="Wait">For how many seconds nobody is asked about it; null: somebody was, or it needs nobody.</param>
internal sealed record ClientFound(ClientData? Data, string? Source = null, string? Problem = null, int? Wait = null);

/// <summary>
/// Clients by their id: those of the configuration, those that registered (RFC 7591), and those whose id is the address of a document about them
/// (draft-ietf-oauth-client-id-metadata-document).
/// </summary>
internal sealed class Clients(ConfigStore config, IAuthStore store, AuthHttp http, Attempts attempts, TimeProvider time)
{
    /// <summary>
    /// Questions in a minute, by each process, for documents that then were not good, to one host for whoever is in one network (<see cref="Attempts.NetworkOf"/>). Strangers name them, and
    /// what fails is not kept: without a bound the gateway would ask a host as often as they like. Of a network, so that one of them keeps nobody elsewhere waiting whose document lies there.
    /// </summary>
    internal const int QuestionsPerNetwork = 60;

    /// <summary>The same to one host for everybody: more than a few networks together may have it ask.</summary>
    internal const int QuestionsPerHost = 600;

    /// <summary>What these are counted as.</summary>
    internal const string Question = "document of";

    private const int LargestDocument = 16 * 1024;
    private const int MostDocuments = 1000;

    /// <summary>
    /// How long a document is kept that does not say so itself, and within which limits one that does is believed, also where it says that it may not be kept at all
    /// (draft-ietf-oauth-client-id-metadata-document, "Metadata Caching").
    /// </summary>
    private static readonly TimeSpan UsualAge = TimeSpan.FromHours(1);
    private static readonly TimeSpan LeastAge = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan MostAge = TimeSpan.FromDays(1);

    private readonly ConcurrentDictionary<string, Document> _documents = new(StringComparer.Ordinal);

    /// <summary>Questions under way: who wants the same document meanwhile waits for the same answer.</summary>
    private readonly ConcurrentDictionary<string, Lazy<Task<ClientFound>>> _asking = new(StringComparer.Ordinal);

    /// <summary>Whether an id is the address of a document: https, with a path, and nothing in it that could be read in two ways.</summary>
    public static bool IsDocument(string id) =>
        id.StartsWith("https://", StringComparison.Ordinal) && id.Length <= RedirectUris.Longest && Uri.TryCreate(id, UriKind.Absolute, out var url)
        && url.AbsolutePath.Length > 1 && url.UserInfo.Length == 0 && url.Fragment.Length == 0 && url.AbsoluteUri == id;

    /// <summary>
    /// Whether the configuration still lets a client be one, by its id: it stands there, or has a document, and such clients may, or registered itself. Whoever did stays one where no others may
    /// any more: that is how a gateway is closed once everybody is there. What others were given before is worth nothing.
    /// </summary>
    public static bool MayBe(OAuthConfig oauth, string id) =>
        oauth.Clients.ContainsKey(id) || (oauth.ClientMetadata && IsDocument(id)) || id.StartsWith(Registration.Prefix, StringComparison.Ordinal);

    /// <summary>Whether finding a client means to ask somebody for its document.</summary>
    public bool HasToAsk(string id) =>
        config.Current.Auth.OAuth.ClientMetadata && IsDocument(id) && !(_documents.TryGetValue(id, out var known) && known.Until > time.GetUtcNow());

    /// <param name="id">The client's.</param>
    /// <param name="from">From where it is asked for; null where that is not known.</param>
    /// <param name="cancel">Gives up; a document that is being asked for is asked for all the same.</param>
    public async Task<ClientFound> FindAsync(string id, IPAddress? from, CancellationToken cancel)
    {
        var oauth = config.Current.Auth.OAuth;
        if (oauth.Clients.TryGetValue(id, out var known))
        {
            return new ClientFound(new ClientData(id, known.Name ?? id, known.RedirectUris, Refreshes: true), "the gateway's configuration");
        }

        if (oauth.ClientMetadata && IsDocument(id))
        {
            return await ReadAsync(id, from);
        }

        if (!MayBe(oauth, id))
        {
            return new ClientFound(null, Problem: "This client is not known here, or is let in no longer.");
        }

        if (await store.FindAuthAsync(AuthKind.Client, id, time.GetUtcNow(), cancel) is not { } record)
        {
            return new ClientFound(null, Problem: "This client is not known here. If it was registered long ago, its registration has expired: have it connect anew.");
        }

        // Anybody may look, so that keeps it for as long as a person has to decide, and not again and again where none has ever decided; what a person allows keeps it for long (UsedAsync).
        var (until, unproven) = (time.GetUtcNow() + Requests.Lifetime, record.Created + Registration.Unproven + Requests.Lifetime);
        await store.ExtendAuthAsync(AuthKind.Client, id, record.Expires > unproven || until < unproven ? until : unproven);
        return new ClientFound(AuthJson.Read<ClientData>(record));
    }

    /// <summary>A person allowed it something.</summary>
    public Task UsedAsync(RequestData request) => request.ClientSource is null
        ? store.ExtendAuthAsync(AuthKind.Client, request.Client.Id, time.GetUtcNow() + config.Current.Auth.OAuth.RegistrationLifetime)
        : Task.CompletedTask;

    private async Task<ClientFound> ReadAsync(string id, IPAddress? from)
    {
        if (_documents.TryGetValue(id, out var known) && known.Until > time.GetUtcNow())
        {
            return known.Found;
        }

        if (_asking.TryGetValue(id, out var running))
        {
            return await running.Value;
        }

        // What was good the last time is asked for whatever others ask for, and stays known until there is an answer.
        if (known is not null)
        {
            return await AskAsync(id, known);
        }

        var (host, minute) = (new Uri(id).IdnHost, TimeSpan.FromMinutes(1));
        var network = $"{host} {Attempts.NetworkOf(from)}";
        var wait = attempts.TryTake(Question, network, QuestionsPerNetwork, minute) ?? attempts.TryTake(Question, host, QuestionsPerHost, minute);
        if (wait is { } seconds)
        {
            return new ClientFound(null, Wait: seconds);
        }

        // Counted before, so that many at once are; only what was no good stays counted.
        var found = await AskAsync(id, known: null);
        if (found.Data is not null)
        {
            attempts.GiveBack(Question, network);
            attempts.GiveBack(Question, host);
        }

        return found;
    }

    /// <summary>Not given up when a browser leaves: what was good the last time is known to be so again, or not, whoever asked.</summary>
    private async Task<ClientFound> AskAsync(string id, Document? known)
    {
        var mine = new Lazy<Task<ClientFound>>(() => AskNowAsync(id, known));
        try
        {
            return await _asking.GetOrAdd(id, mine).Value;
        }
        finally
        {
            _asking.TryRemove(KeyValuePair.Create(id, mine));
        }
    }

    private async Task<ClientFound> AskNowAsync(string id, Document? known)
    {
        var url = new Uri(id);
        var answer = await http.GetGuardedAsync(url, LargestDocument, CancellationToken.None);
        if (answer is not { Status: 200, Json: { } json })
        {
            return new ClientFound(null, Problem: $"What the client says of itself cannot be read: {answer.Problem ?? $"{url.Host} answered {answer.Status}"}.");
        }

        var found = Take(id, json);
        if (found.Data is null)
        {
            _documents.TryRemove(id, out _);
            return found;
        }

        if (_documents.Count >= MostDocuments && known is null && _documents.MinBy(document => document.Value.Until) is { Key: { } oldest })
        {
            _documents.TryRemove(oldest, out _);
        }

        var age = answer.MaxAge ?? UsualAge;
        _documents[id] = new Document(found, time.GetUtcNow() + TimeSpan.FromTicks(Math.Clamp(age.Ticks, LeastAge.Ticks, MostAge.Ticks)));
        return found;
    }

    private ClientFound Take(string id, JsonObject document)
    {
        ClientFound Wrong(string why) => new(null, Problem: $"What the client says of itself at {id} is not valid: {why}.");
        if (Text(document["client_id"]) != id)
        {
            return Wrong("client_id is not the address it was read from");
        }

        if (Text(document["token_endpoint_auth_method"]) is not (null or "none"))
        {
            return Wrong("token_endpoint_auth_method is not none, and clients with keys are not supported");
        }

        if (document.ContainsKey("client_secret") || document.ContainsKey("client_secret_expires_at"))
        {
            return Wrong("it names a client_secret, which everybody can read there");
        }

        var (data, problem) = Registration.Read(id, document, config.Current.Auth.OAuth);
        return data is null ? Wrong(problem!) : new ClientFound(data, new Uri(id).IdnHost);
    }

    private static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    private sealed record Document(ClientFound Found, DateTimeOffset Until);
}
