using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Http;
using Mooring.Audit;
using Mooring.Auth.Server;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Streams;
using Mooring.Telemetry;

namespace Mooring.Auth;

/// <summary>What became of a request's token.</summary>
internal enum TokenFound
{
    Good,

    /// <summary>The request has none.</summary>
    Missing,

    /// <summary>Nobody knows it, or it was taken away.</summary>
    Unknown,

    Expired,

    /// <summary>The store cannot be asked just now.</summary>
    StoreAway,

    /// <summary>Its issuer's keys cannot be had just now: it may be good.</summary>
    KeysAway,

    /// <summary>It says that it is younger than its issuer's keys, which are asked for again in a moment: it may be good.</summary>
    KeysOlder,

    /// <summary>It may be good; but so many were shown from that address that were not that nobody is asked about another one just now.</summary>
    TooMany,
}

/// <summary>
/// Finds who makes a request. A token is verified once and remembered by its hash: a call with one that is known costs a hash and a look-up. What
/// the store says of it is asked again after <see cref="Fresh"/>, beside the requests while that is soon enough, so that one that is revoked
/// anywhere works nowhere after <see cref="Longest"/>. One that only open streams use is asked about as often, so that they end within 5 s too.
/// </summary>
internal sealed partial class Authenticator(
    ConfigStore config, IEnumerable<ITokenVerifier> verifiers, IAuthStore store, Attempts attempts, TimeProvider time, AuditLog audit, ILogger<Authenticator> logger) : IHeartbeatHandler, IDisposable
{
    /// <summary>How long an answer of the store is good without another question.</summary>
    public static readonly TimeSpan Fresh = TimeSpan.FromSeconds(3);

    /// <summary>Once it is that old, requests wait for the next one.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(4.5);

    /// <summary>Questions at once about tokens that only open streams use: there may be as many of those as of streams, and the store has others to serve.</summary>
    public const int LooksAtOnce = 32;

    /// <summary>
    /// Tokens that nobody knows and one address may show in a minute: each is a question to the store. An office of a thousand people, whose tokens all ended over night, shows that
    /// many on its own; tokens that are remembered are looked up nowhere, and work on.
    /// </summary>
    public const int UnknownPerMinute = 1200;

    /// <summary>What these are counted as.</summary>
    internal const string Unknown = "unknown token";

    /// <summary>
    /// What those are counted as, with the same limit, of which nobody could tell for want of their issuer's keys. Past it they are not verified any more before the key that they name is
    /// there: their answer stays the same (503), and whoever has a good one is let in as soon as the keys are back, whatever others sent from the same address.
    /// </summary>
    internal const string Untold = "token without keys";

    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan SweepEvery = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan ForgetAfter = TimeSpan.FromMinutes(10);

    /// <summary>No token of ours is longer, and few of others are; headers as a whole are bounded as well.</summary>
    private const int LongestToken = 16 * 1024;

    private readonly ConcurrentDictionary<TokenHash, Known> _known = new();
    private readonly ITokenVerifier[] _verifiers = [.. verifiers];
    private readonly SemaphoreSlim _looks = new(LooksAtOnce);
    private long _nextLook;
    private long _nextSweep;

    public void Dispose() => _looks.Dispose();

    public ValueTask<(Caller? Caller, TokenFound Found)> FindAsync(HttpContext context)
    {
        var token = TokenOf(context.Request);
        if (token.IsEmpty)
        {
            return new((null, TokenFound.Missing));
        }

        var hash = TokenHash.Of(token);
        if (!_known.TryGetValue(hash, out var known))
        {
            return MeetAsync(token.ToString(), hash, context.Connection.RemoteIpAddress);
        }

        if (!IsAllowed(known, hash))
        {
            return new((null, TokenFound.Unknown));
        }

        var now = time.GetTimestamp();
        known.Used = now;
        if (known.Caller.Expires <= time.GetUtcNow())
        {
            return new((null, TokenFound.Expired));
        }

        var age = time.GetElapsedTime(known.Checked, now);
        if (known.Verifier.Generation >= 0 ? known.Verifier.Generation == known.Generation : age < Fresh)
        {
            return new((known.Caller, TokenFound.Good));
        }

        if (known.Verifier.Generation < 0 && age < Longest)
        {
            Refresh(known, hash);
            return new((known.Caller, TokenFound.Good));
        }

        return VerifyAsync(known.Token, hash, known);
    }

    /// <summary>For how many seconds nobody is asked about tokens from where a request is from.</summary>
    public int WaitOf(HttpContext context) => attempts.WaitOf(Unknown, Attempts.Who(context.Connection.RemoteIpAddress), UnknownPerMinute) ?? 1;

    /// <summary>Somebody took a token away at this replica: it works no longer from now on.</summary>
    public void Forget(string token)
    {
        if (_known.TryRemove(TokenHash.Of(token), out var known))
        {
            known.Caller.End(isRevoked: true);
        }
    }

    /// <summary>The tokens that came of one consent are asked about anew: all of them were taken away at once. Those of others wait for nothing, or anybody could have all wait for the store.</summary>
    public void Doubt(string grant)
    {
        foreach (var (_, known) in _known)
        {
            if (known.Caller.Grant == grant)
            {
                known.Checked = long.MinValue / 2;
            }
        }
    }

    public void OnHeartbeat(long now)
    {
        if (now < _nextLook || config.Current.Auth.IsOpen)
        {
            return;
        }

        _nextLook = now + Units(LookEvery);
        var today = time.GetUtcNow();
        var isTimeToSweep = now >= _nextSweep;
        HashSet<string>? issuers = null;
        foreach (var (hash, known) in _known)
        {
            if (isTimeToSweep)
            {
                (issuers ??= new HashSet<string>(StringComparer.Ordinal)).Add(known.Caller.Person.Issuer);
            }

            if (known.Caller.Expires <= today)
            {
                known.Caller.End(isRevoked: false);
                _known.TryRemove(hash, out _);
            }
            else if (IsAllowed(known, hash) && known.Caller.HasStreams)
            {
                if (known.Verifier.Generation >= 0 ? known.Verifier.Generation != known.Generation : time.GetElapsedTime(known.Checked, now) >= Fresh)
                {
                    Refresh(known, hash, _looks);
                }
            }
            else if (time.GetElapsedTime(known.Used, now) > ForgetAfter)
            {
                _known.TryRemove(hash, out _);
            }
        }

        if (isTimeToSweep)
        {
            _nextSweep = now + Units(SweepEvery);
            SweepAsync(today).Unawaited(logger);
            foreach (var verifier in issuers is null ? [] : _verifiers)
            {
                verifier.Remembered(issuers!);
            }
        }
    }

    /// <summary>The one place a token is taken from: the header. Never the address, which logs and histories keep (2025-11-25, basic/authorization, "Token Requirements").</summary>
    private static ReadOnlySpan<char> TokenOf(HttpRequest request)
    {
        const string scheme = "Bearer ";
        return request.Headers.Authorization is [{ } value] && value.Length is > 7 and < LongestToken && value.StartsWith(scheme, StringComparison.OrdinalIgnoreCase)
            ? value.AsSpan(scheme.Length).Trim()
            : default;
    }

    /// <param name="known">What is known of it.</param>
    /// <param name="hash">What it is known by.</param>
    /// <param name="turns">Whose turn it is first; null: nobody waits for another.</param>
    private void Refresh(Known known, TokenHash hash, SemaphoreSlim? turns = null)
    {
        if (Interlocked.Exchange(ref known.Refreshing, 1) == 0)
        {
            RefreshAsync().Unawaited(logger);
        }

        async Task RefreshAsync()
        {
            await (turns?.WaitAsync() ?? Task.CompletedTask);
            try
            {
                await VerifyAsync(known.Token, hash, known);
            }
            finally
            {
                turns?.Release();
                Volatile.Write(ref known.Refreshing, 0);
            }
        }
    }

    /// <summary>A token that is not remembered.</summary>
    private async ValueTask<(Caller? Caller, TokenFound Found)> MeetAsync(string token, TokenHash hash, IPAddress? from)
    {
        if (Array.Find(_verifiers, one => one.Takes(token)) is not { } verifier)
        {
            return (null, TokenFound.Unknown);
        }

        var who = Attempts.Who(from);
        if (attempts.WaitOf(Unknown, who, UnknownPerMinute) is not null)
        {
            return (null, TokenFound.TooMany);
        }

        if (attempts.WaitOf(Untold, who, UnknownPerMinute) is not null && !verifier.CanTell(token))
        {
            return (null, TokenFound.KeysAway);
        }

        var (caller, found) = await VerifyAsync(token, hash, known: null, from);
        if (found is TokenFound.Unknown or TokenFound.KeysOlder or TokenFound.KeysAway)
        {
            // Anybody can say that a token is young; where nobody can be asked for the keys, it is not the token's fault.
            attempts.TryTake(found == TokenFound.KeysAway ? Untold : Unknown, who, UnknownPerMinute, TimeSpan.FromMinutes(1));
        }

        return (caller, found);
    }

    private async ValueTask<(Caller? Caller, TokenFound Found)> VerifyAsync(string token, TokenHash hash, Known? known, IPAddress? from = null)
    {
        if (Array.Find(_verifiers, one => one.Takes(token)) is not { } verifier)
        {
            return (null, TokenFound.Unknown);
        }

        // Noted before the question: what is revoked, or taken out of the configuration, while it is answered is found by the next one.
        var asked = time.GetTimestamp();
        var auth = config.Current.Auth;
        var generation = verifier.Generation;
        Caller? caller;
        TokenFound found;
        try
        {
            (caller, found) = await verifier.VerifyAsync(token, CancellationToken.None);
        }
        catch (StoreException e)
        {
            Log.StoreFailed(logger, e.Message);
            return known is not null && time.GetElapsedTime(known.Checked) <= config.Current.Cache.MaxStale
                ? (known.Caller, TokenFound.Good)
                : (null, TokenFound.StoreAway);
        }

        if (caller is null)
        {
            if (known is not null && _known.TryRemove(hash, out _))
            {
                known.Caller.End(isRevoked: true);
            }

            return (null, found);
        }

        if (known is not null && !known.Caller.IsAs(caller))
        {
            // Another configuration, another caller: who has it now counts, and nothing goes on with what it was before.
            Replace(known, hash);
            known = null;
        }

        if (known is null)
        {
            MakeRoom(asked);
            // Requests that come at once have one caller, so that its streams are all found when it ends.
            var first = new Known(caller, verifier, token) { Used = asked };
            while (!(known = _known.GetOrAdd(hash, first)).Caller.IsAs(caller))
            {
                // Somebody was faster, with the configuration before. Where it was the newer one, the next request finds out: the generation is the one noted above.
                Replace(known, hash);
            }

            if (audit.IsOn && ReferenceEquals(known, first))
            {
                audit.Write(new AuditEntry("token_accepted", "ok") { Issuer = caller.Person.Issuer, User = caller.Person.Subject, Credential = caller.Credential, Address = from?.ToString(), Reason = string.Join(' ', caller.Scopes) });
            }
        }

        known.Allowed = auth;
        known.Generation = generation;
        known.Checked = asked;
        return (known.Caller, TokenFound.Good);
    }

    /// <summary>Whether the configuration in force lets its person in; where it does so no longer, the token ends at once, whether the store can be asked or not.</summary>
    private bool IsAllowed(Known known, TokenHash hash)
    {
        var auth = config.Current.Auth;
        if (ReferenceEquals(known.Allowed, auth))
        {
            return true;
        }

        if (known.Verifier.Allows(known.Caller))
        {
            known.Allowed = auth;
            return true;
        }

        Replace(known, hash);
        return false;
    }

    private void Replace(Known known, TokenHash hash)
    {
        _known.TryRemove(KeyValuePair.Create(hash, known));
        known.Caller.End(isRevoked: true);
    }

    private async Task SweepAsync(DateTimeOffset today)
    {
        try
        {
            if (await store.TakeAuthSweepAsync())
            {
                await store.ExpireAuthAsync(today);
            }
        }
        catch (StoreException e)
        {
            Log.StoreFailed(logger, e.Message);
        }
    }

    private long Units(TimeSpan span) => (long)(span.TotalSeconds * time.TimestampFrequency);

    private static partial class Log
    {
        [LoggerMessage(808, LogLevel.Warning, "The store could not be asked about a token: {Reason}", EventName = "TokenNotAsked")]
        public static partial void StoreFailed(ILogger logger, string reason);
    }
}
