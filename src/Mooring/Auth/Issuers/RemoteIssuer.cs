using System.Text.Json.Nodes;
using Microsoft.IdentityModel.Tokens;
using Mooring.Telemetry;

namespace Mooring.Auth.Issuers;

/// <summary>The keys of an issuer, as far as they can be had just now.</summary>
/// <param name="All">Those to verify with; empty: none could be had so far.</param>
/// <param name="HasIt">Whether the one that was asked for is among them.</param>
/// <param name="At">When the issuer said so.</param>
/// <param name="IsAway">Whether it said nothing when it was asked last.</param>
internal sealed record IssuerKeys(IReadOnlyList<SecurityKey> All, bool HasIt, DateTimeOffset At, bool IsAway);

/// <summary>
/// Another issuer: its discovery document and its keys, asked for when first needed and kept. Where it cannot be reached, what was known of it goes
/// on: tokens it signed before are as good as they were. A key that nobody knows has the keys asked for again, but not more often than every
/// <see cref="Pause"/>: a token with a made-up key id must not have it asked each time.
/// </summary>
internal sealed partial class RemoteIssuer(string issuer, Uri? jwks, AuthHttp http, TimeProvider time, ILogger<RemoteIssuer> logger)
{
    /// <summary>How old keys may be before they are asked for again, beside the requests, and while tokens are remembered that they vouch for.</summary>
    private static readonly TimeSpan KeysAge = TimeSpan.FromMinutes(30);

    private static readonly TimeSpan DocumentAge = TimeSpan.FromHours(12);

    public static readonly TimeSpan Pause = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private Task? _looking;
    private long? _lookedAt;
    private volatile Keys? _keys;
    private volatile Document? _document;
    private volatile bool _isAway;

    public string Name => issuer;

    /// <summary>Changes when a key is there no longer, or another is.</summary>
    public int Generation { get; private set; }

    /// <summary>The keys to verify with: those known, or after asking where none fits.</summary>
    public async ValueTask<IssuerKeys> KeysAsync(string? keyId)
    {
        var known = _keys;
        if (known is null || !known.Has(keyId))
        {
            await LookAsync();
            known = _keys;
        }
        else
        {
            LookIfOld();
        }

        return known is null ? new IssuerKeys([], HasIt: false, DateTimeOffset.MinValue, _isAway) : new IssuerKeys(known.All, known.Has(keyId), known.On, _isAway);
    }

    /// <summary>Whether a key is known. Where it is not, the keys are asked for again, beside whatever goes on.</summary>
    public bool LookFor(string? keyId)
    {
        if (_keys?.Has(keyId) is true)
        {
            return true;
        }

        LookAsync().Unawaited(logger);
        return false;
    }

    /// <summary>Asks for the keys again, beside whatever goes on, where those known are old.</summary>
    public void LookIfOld()
    {
        if (_keys is { } known && time.GetElapsedTime(known.At) > KeysAge)
        {
            LookAsync().Unawaited(logger);
        }
    }

    /// <summary>The discovery document; null where it cannot be had just now.</summary>
    public async ValueTask<JsonObject?> DocumentAsync()
    {
        if (_document is not { } known || time.GetElapsedTime(known.At) > DocumentAge)
        {
            await LookAsync();
        }

        return _document?.Json;
    }

    /// <summary>One look at a time, for all who wait.</summary>
    private Task LookAsync()
    {
        lock (_gate)
        {
            if (_looking is { IsCompleted: false })
            {
                return _looking;
            }

            if (_lookedAt is { } at && time.GetElapsedTime(at) < Pause)
            {
                return Task.CompletedTask;
            }

            _lookedAt = time.GetTimestamp();
            // Not on this stack, which holds the lock.
            return _looking = Task.Run(LookNowAsync);
        }
    }

    private async Task LookNowAsync() => _isAway = !await TryLookAsync();

    private async Task<bool> TryLookAsync()
    {
        var where = jwks;
        if (where is null)
        {
            if (_document is not { } known || time.GetElapsedTime(known.At) > DocumentAge)
            {
                await DiscoverAsync();
            }

            where = Uri.TryCreate((string?)_document?.Json["jwks_uri"], UriKind.Absolute, out var url) ? url : null;
        }

        if (where is null)
        {
            return false;
        }

        var answer = await http.GetAsync(where, CancellationToken.None);
        if (!answer.IsGood)
        {
            Log.NoKeys(logger, issuer, answer.Problem!, _keys is null ? "nobody can tell whose its tokens are until then" : "those known go on");
            return false;
        }

        Keys keys;
        try
        {
            keys = new Keys([.. new JsonWebKeySet(answer.Json!.ToJsonString()).GetSigningKeys()], time.GetTimestamp(), time.GetUtcNow());
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            Log.NoKeys(logger, issuer, "its keys cannot be read", "those known go on");
            return false;
        }

        if (keys.All.Count == 0)
        {
            Log.NoKeys(logger, issuer, "there are none among its keys that sign", "those known go on");
            return false;
        }

        var isAnother = _keys?.Ids.SetEquals(keys.Ids) is not true;
        _keys = keys;
        if (isAnother)
        {
            // Last: whoever sees the number verifies with the keys that it is the number of.
            Generation++;
        }

        return true;
    }

    private async Task DiscoverAsync()
    {
        foreach (var url in Addresses())
        {
            var answer = await http.GetAsync(url, CancellationToken.None);
            if (answer.IsGood)
            {
                if ((string?)answer.Json!["issuer"] == issuer)
                {
                    _document = new Document(answer.Json!, time.GetTimestamp());
                    return;
                }

                // Whoever answers there speaks for somebody else (RFC 8414, 3.3).
                Log.NotDiscovered(logger, issuer, $"the document at {url} names another issuer");
                return;
            }

            if (answer.Status != 404)
            {
                Log.NotDiscovered(logger, issuer, answer.Problem!);
                return;
            }
        }

        Log.NotDiscovered(logger, issuer, "it has no discovery document");
    }

    /// <summary>OpenID Connect Discovery, 4; RFC 8414, 3.1, which puts the words before the path.</summary>
    private IEnumerable<Uri> Addresses()
    {
        var trimmed = issuer.TrimEnd('/');
        yield return new Uri(trimmed + "/.well-known/openid-configuration");
        var url = new Uri(trimmed);
        yield return new Uri(url, "/.well-known/oauth-authorization-server" + url.AbsolutePath.TrimEnd('/'));
    }

    private sealed record Document(JsonObject Json, long At);

    private sealed record Keys(IReadOnlyList<SecurityKey> All, long At, DateTimeOffset On)
    {
        public HashSet<string> Ids { get; } = [.. All.Select(key => $"{key.KeyId}|{(key.CanComputeJwkThumbprint() ? Convert.ToHexString(key.ComputeJwkThumbprint()) : "")}")];

        /// <summary>A token that names no key is tried with all.</summary>
        public bool Has(string? keyId) => string.IsNullOrEmpty(keyId) || All.Any(key => key.KeyId == keyId);
    }

    private static partial class Log
    {
        [LoggerMessage(820, LogLevel.Warning, "The keys of issuer {Issuer} cannot be had: {Reason}; {Meanwhile}.", EventName = "IssuerKeysAway")]
        public static partial void NoKeys(ILogger logger, string issuer, string reason, string meanwhile);

        [LoggerMessage(821, LogLevel.Warning, "Issuer {Issuer} cannot be discovered: {Reason}. It is tried again when it is needed.", EventName = "IssuerNotDiscovered")]
        public static partial void NotDiscovered(ILogger logger, string issuer, string reason);
    }
}
