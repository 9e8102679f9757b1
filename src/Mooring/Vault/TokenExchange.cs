using System.Collections.Concurrent;
using Mooring.Configuration;
using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>
/// Tokens for servers, had from an authorization server in exchange for the token of the request at hand, or for that of an account (RFC 8693). Kept in memory until they end:
/// each process exchanges for itself, once for all requests that want the same one. One per process.
/// </summary>
internal sealed partial class TokenExchange(Tokens tokens, TokenRequests endpoint, VaultMetrics metrics, TimeProvider time, ILogger<TokenExchange> logger)
{
    private const string Grant = "urn:ietf:params:oauth:grant-type:token-exchange";
    private const string AccessTokenType = "urn:ietf:params:oauth:token-type:access_token";

    /// <summary>How long a token is used whose end nobody told.</summary>
    private static readonly TimeSpan WithoutEnd = TimeSpan.FromMinutes(5);

    /// <summary>It is not sent so shortly before its end: it may be over when it arrives.</summary>
    private static readonly TimeSpan Margin = TimeSpan.FromSeconds(10);

    /// <summary>After a failure nobody is asked again for a second, then two, to this.</summary>
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);

    /// <summary>A token that its server refused is had anew once in so long: a server that takes none would have it exchanged with each call.</summary>
    private static readonly TimeSpan RenewedLately = TimeSpan.FromMinutes(1);

    /// <summary>
    /// What endpoints answer that do not take the token that is to be exchanged: RFC 8693 (2.2.2) has the first of them for that, and many have one of the others, which mean
    /// nothing else here.
    /// </summary>
    private static readonly string[] SubjectRefused = ["invalid_request", "invalid_grant", "invalid_token"];

    /// <summary>Entries kept before the ended ones are looked for.</summary>
    private const int Many = 10_000;

    private readonly ConcurrentDictionary<Key, Entry> _entries = new();
    private int _sweepAt = Many;

    public IPersonTokens For(string server, ServerAuthConfig config, CredentialKey person) => new Source(this, server, config, person);

    private async Task<Token> GetAsync(string server, ServerAuthConfig config, CredentialKey person, SubjectToken? shown, string? refused, CancellationToken cancel)
    {
        var subject = config.Provider is { } provider
            ? await new LinkedTokens(tokens, person with { Provider = provider }).GetAsync(shown: null, cancel)
            : Of(shown);
        if (subject.Value is not { } value)
        {
            return subject;
        }

        // What is given for one token, or for the account of one linking, is for no other.
        var entry = _entries.GetOrAdd(new Key(server, person.Issuer, person.Subject, config.Provider is null ? value : subject.Link), _ => new Entry());
        if (_entries.Count >= Volatile.Read(ref _sweepAt))
        {
            Sweep();
        }

        Task<Token> exchanging;
        lock (entry)
        {
            var now = time.GetUtcNow();
            if (entry.Config != config)
            {
                // Another configuration: what was had by the one before is not for this.
                (entry.Config, entry.Token, entry.Failures, entry.PausedUntil, entry.Renewed) = (config, null, 0, default, default);
            }

            if (entry.Token is not null && entry.Token == refused)
            {
                if (entry.Renewed + RenewedLately > now)
                {
                    return new Token(TokenState.Broken, Why: "the server took neither that nor the one before");
                }

                (entry.Token, entry.Renewed) = (null, now);
            }

            if (entry.Token is { } token && entry.Expires - Margin > now)
            {
                return new Token(TokenState.Usable, token) { Link = subject.Link };
            }

            if (entry.Exchanging is null && entry.PausedUntil > now)
            {
                return new Token(entry.State, Why: entry.Why);
            }

            exchanging = entry.Exchanging ??= ExchangeAsync(entry, server, config, person, value, subject.Link);
        }

        return await exchanging.WaitAsync(cancel) with { Link = subject.Link };
    }

    /// <summary>One at a time for each token and server. It goes on when those who asked for it leave.</summary>
    private async Task<Token> ExchangeAsync(Entry entry, string server, ServerAuthConfig config, CredentialKey person, string subject, string? link)
    {
        // Never under the caller's lock.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        Token result;
        try
        {
            result = await AskAsync(entry, server, config, person, subject, link);
        }
        catch (Exception e)
        {
            Log.Failed(logger, e, server);
            result = new Token(TokenState.Unavailable, Why: "the gateway failed to exchange a token");
        }

        lock (entry)
        {
            entry.Exchanging = null;
        }

        return result;
    }

    /// <summary>What the client shows with the request at hand.</summary>
    private Token Of(SubjectToken? shown) => shown is null
        ? new Token(TokenState.Unavailable, Why: "your client has shown no token of another issuer that could be exchanged for it")
        : shown.Expires <= time.GetUtcNow() ? new Token(TokenState.Unavailable, Why: "the token that your client has shown is over")
        : new Token(TokenState.Usable, shown.Value);

    private async Task<Token> AskAsync(Entry entry, string server, ServerAuthConfig config, CredentialKey person, string subject, string? link)
    {
        var answer = await AskAsync(server, config, subject);
        Token? account = null;
        if (config.Provider is { } provider && IsSubjectRefused(answer))
        {
            // It may have been taken back since it was given, which nobody else says: the account's provider is asked for another one, or says that there is none.
            var renewed = await new LinkedTokens(tokens, person with { Provider = provider }).RenewAsync(shown: null, subject, CancellationToken.None);
            var isOfAnother = renewed.State == TokenState.Usable && renewed.Link != link;
            if (renewed is { State: TokenState.Usable, Value: { } another } && !isOfAnother)
            {
                answer = await AskAsync(server, config, another);
            }

            // What the person has linked meanwhile is for other links than this token's.
            account = renewed.State != TokenState.Usable ? renewed
                : isOfAnother ? new Token(TokenState.NotLinked)
                : IsSubjectRefused(answer) ? new Token(TokenState.Broken, Why: $"its token is not taken in exchange for one of the server, nor is a renewed one: {answer.Error}")
                : null;
        }

        lock (entry)
        {
            if (answer.Credential is { } credential && entry.Config == config)
            {
                (entry.Token, entry.Expires, entry.Failures, entry.PausedUntil) = (credential.AccessToken, credential.Expires ?? credential.Received + WithoutEnd, 0, default);
                return new Token(TokenState.Usable, credential.AccessToken);
            }

            (entry.State, entry.Why) = account is { } none ? (none.State, none.Why)
                : (TokenState.Unavailable, answer.Outcome == TokenOutcome.Refused ? "your token is not taken in exchange for one of it" : answer.Why);
            entry.PausedUntil = time.GetUtcNow() + TimeSpan.FromSeconds(Math.Min(Math.Pow(2, entry.Failures++), LongestPause.TotalSeconds));
        }

        Log.NotExchanged(logger, server, answer.Why);
        return new Token(entry.State, Why: entry.Why);
    }

    private static bool IsSubjectRefused(TokenAnswer answer) => answer.Error is { } error && SubjectRefused.Contains(error, StringComparer.Ordinal);

    private async Task<TokenAnswer> AskAsync(string server, ServerAuthConfig config, string subject)
    {
        List<KeyValuePair<string, string>> fields =
        [
            new("grant_type", Grant), new("subject_token", subject), new("subject_token_type", AccessTokenType), new("requested_token_type", AccessTokenType),
        ];
        if (config.Audience is { } audience)
        {
            fields.Add(new("audience", audience));
        }

        if (config.Scopes.Count > 0)
        {
            fields.Add(new("scope", string.Join(' ', config.Scopes)));
        }

        var client = new TokenClient(config.TokenUrl!.AbsoluteUri, config.ClientId!, config.ClientSecret, config.Resource);
        var answer = await endpoint.AskAsync(client, fields, before: null, CancellationToken.None);
        metrics.Exchanged(server, answer.Outcome);
        return answer;
    }

    private void Sweep()
    {
        var now = time.GetUtcNow();
        foreach (var (key, entry) in _entries)
        {
            lock (entry)
            {
                if (entry.Exchanging is null && (entry.Token is null || entry.Expires <= now) && entry.PausedUntil <= now)
                {
                    _entries.TryRemove(key, out _);
                }
            }
        }

        Volatile.Write(ref _sweepAt, Math.Max(Many, _entries.Count * 2));
    }

    private sealed class Source(TokenExchange exchange, string server, ServerAuthConfig config, CredentialKey person) : IPersonTokens
    {
        public Task<Token> GetAsync(SubjectToken? shown, CancellationToken cancel) => exchange.GetAsync(server, config, person, shown, refused: null, cancel);

        public Task<Token> RenewAsync(SubjectToken? shown, string refused, CancellationToken cancel) => exchange.GetAsync(server, config, person, shown, refused, cancel);
    }

    /// <param name="For">The token that the client showed, or the linking of the account; null: one that nothing is known of.</param>
    private readonly record struct Key(string Server, string Issuer, string Subject, string? For);

    /// <summary>What was given for one token; guarded by a lock on itself.</summary>
    private sealed class Entry
    {
        public ServerAuthConfig? Config { get; set; }

        public string? Token { get; set; }

        public DateTimeOffset Expires { get; set; }

        public Task<Token>? Exchanging { get; set; }

        /// <summary>When it was last had anew because the server refused the one before.</summary>
        public DateTimeOffset Renewed { get; set; }

        public int Failures { get; set; }

        public DateTimeOffset PausedUntil { get; set; }

        /// <summary>What is answered while nobody is asked again.</summary>
        public TokenState State { get; set; }

        public string Why { get; set; } = "";
    }

    private static partial class Log
    {
        [LoggerMessage(1441, LogLevel.Warning, "No token for server {Server} was given in exchange: {Why}. It is tried again.", EventName = "TokenNotExchanged")]
        public static partial void NotExchanged(ILogger logger, string server, string why);

        [LoggerMessage(1442, LogLevel.Error, "Exchanging a token for server {Server} failed.", EventName = "TokenExchangeFailed")]
        public static partial void Failed(ILogger logger, Exception exception, string server);
    }
}
