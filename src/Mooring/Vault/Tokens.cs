using System.Collections.Concurrent;
using System.Security.Cryptography;
using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>
/// Gives out people's tokens, and has them refreshed before they end. Of all replicas and requests that want the same one refreshed, one does it
/// at a time: within the process they share a task, and between processes a lease in the store, which ends with its holder. One per process.
/// </summary>
internal sealed partial class Tokens(
    Credentials credentials, IVaultStore store, Providers providers, TokenRequests endpoint, VaultMetrics metrics, TimeProvider time, ILogger<Tokens> logger) : IDisposable
{
    /// <summary>Longer than a token endpoint may take, so that a living holder keeps it; short, so that a dead one's is taken over soon.</summary>
    public static readonly TimeSpan Lease = TokenRequests.Patience + TimeSpan.FromSeconds(10);

    /// <summary>Who holds a credential that nothing can be done for: its provider was not in the configuration when it was due. Anybody may give it back.</summary>
    public const string Nobody = "nobody";

    /// <summary>How often whoever waits for another's refresh looks.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(200);

    /// <summary>Once in so many looks it is seen to it that it is not <see cref="Nobody"/> who is waited for.</summary>
    private const int LooksForNobody = 10;

    /// <summary>How long a call waits for another's refresh: until that one's lease is over, and one of its own could be done.</summary>
    private static readonly TimeSpan LongestWait = Lease + TokenRequests.Patience;

    /// <summary>How often it is tried to write what a provider gave while the store does not take it. Short: others may take the lease over meanwhile.</summary>
    private static readonly TimeSpan WriteAgain = TimeSpan.FromSeconds(1);

    /// <summary>After a failure a token is not tried again for a second, then two, to this.</summary>
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(1);

    /// <summary>A token that a server refused, and that was renewed for that, is not renewed for the same reason again for so long: such a server takes none.</summary>
    private static readonly TimeSpan RenewedLately = TimeSpan.FromMinutes(1);

    /// <summary>Refreshes under way at once at one provider: a slow one must not be met by all of its users' at a time.</summary>
    private const int PlacesPerProvider = 64;

    /// <summary>Of each provider its own, so that those of one that hangs are waited for by its own users alone.</summary>
    private readonly ConcurrentDictionary<string, SemaphoreSlim> _places = new();

    /// <summary>Providers of which nothing is looked for as due before then: what is due there is under way, or has just failed.</summary>
    private readonly ConcurrentDictionary<string, DateTimeOffset> _passedOver = new();

    private readonly CancellationTokenSource _stopping = new();

    private readonly string _holder = RandomNumberGenerator.GetHexString(32, lowercase: true);
    private readonly ConcurrentDictionary<CredentialKey, Task<Token>> _refreshing = new();
    private readonly ConcurrentDictionary<CredentialKey, Pause> _pauses = new();

    /// <summary>Which version a server refused last, so that it was renewed, and when.</summary>
    private readonly ConcurrentDictionary<CredentialKey, (long Version, DateTimeOffset When)> _renewed = new();

    /// <summary>A token that can be sent now. Waits for a refresh only where there is no other way.</summary>
    /// <exception cref="StoreException">The store cannot be asked.</exception>
    public async Task<Token> GetAsync(CredentialKey key, CancellationToken cancel)
    {
        var kept = await credentials.FindAsync(key, cancel);
        if (kept is not ({ } credential, var version, _))
        {
            return kept.ToNoToken();
        }

        if (credential.Broken is not null)
        {
            return Token.Of(credential);
        }

        var now = time.GetUtcNow();
        if (credential.Due() is { } due && due <= now)
        {
            var refreshing = Share(key, credential, version);
            if (credential.Expires <= now)
            {
                return await refreshing.WaitAsync(cancel);
            }
        }
        else if (credential.Expires <= now)
        {
            return new Token(TokenState.Broken, Why: "its token ended, and cannot be refreshed");
        }

        return Token.Of(credential);
    }

    /// <summary>
    /// The server did not take the token, whatever its end was said to be: gets another, unless somebody has one already. A server that takes no
    /// token at all would have the provider asked for one with each call; it does so once a minute.
    /// </summary>
    public async Task<Token> RenewAsync(CredentialKey key, string refused, CancellationToken cancel)
    {
        var kept = await credentials.FindAsync(key, cancel);
        if (kept is not ({ } credential, var version, _))
        {
            return kept.ToNoToken();
        }

        if (credential.Broken is not null || credential.AccessToken != refused)
        {
            return Token.Of(credential);
        }

        if (credential.RefreshToken is null)
        {
            return new Token(TokenState.Broken, Why: "the server takes its token no longer, which cannot be refreshed");
        }

        var now = time.GetUtcNow();
        var last = _renewed.GetValueOrDefault(key);
        if (last.Version != version)
        {
            if (last.When + RenewedLately > now)
            {
                return new Token(TokenState.Broken, Why: "the server took neither its token nor the one before");
            }

            _renewed[key] = (version, now);
        }

        return await Share(key, credential, version).WaitAsync(cancel);
    }

    /// <summary>
    /// Refreshes what is due, whether or not anybody asks for it. Called from time to time by each replica, which need not wait for it: what it
    /// has under way at one provider is left out the next time, and so is for a minute a provider at which something failed where more was due than was
    /// looked for, so that others' are found however many are due there.
    /// </summary>
    /// <param name="limit">How many at most.</param>
    /// <param name="cancel">Waits no longer; what is under way goes on.</param>
    public async Task RefreshDueAsync(int limit, CancellationToken cancel)
    {
        var now = time.GetUtcNow();
        ForgetWhatIsOver(now);
        var due = await store.FindDueCredentialsAsync(now, limit, _passedOver.Keys, cancel);
        await Task.WhenAll(due.GroupBy(key => key.Provider).Select(keys => RefreshDueAsync(keys.Key, [.. keys], isAll: due.Count < limit, cancel)));
    }

    public void Dispose()
    {
        _stopping.Cancel();
        _stopping.Dispose();
        foreach (var places in _places.Values)
        {
            places.Dispose();
        }
    }

    private async Task RefreshDueAsync(string provider, CredentialKey[] keys, bool isAll, CancellationToken cancel)
    {
        if (!_passedOver.TryAdd(provider, DateTimeOffset.MaxValue))
        {
            // By another round, which has begun meanwhile.
            return;
        }

        try
        {
            await Task.WhenAll(keys.Select(key => RefreshIfDueAsync(key, cancel)));
        }
        finally
        {
            if (!isAll && keys.Any(_pauses.ContainsKey))
            {
                _passedOver[provider] = time.GetUtcNow() + LongestPause;
            }
            else
            {
                _passedOver.TryRemove(provider, out _);
            }
        }
    }

    private void ForgetWhatIsOver(DateTimeOffset now)
    {
        Forget(_passedOver, until => until <= now);
        Forget(_renewed, last => last.When + RenewedLately <= now);
        // Of one that is still asked for, each failure makes a new one.
        Forget(_pauses, pause => pause.Until + (LongestPause * 60) <= now);

        static void Forget<TKey, TValue>(ConcurrentDictionary<TKey, TValue> all, Func<TValue, bool> isOver)
            where TKey : notnull
        {
            foreach (var one in all.Where(one => isOver(one.Value)))
            {
                all.TryRemove(one);
            }
        }
    }

    private async Task RefreshIfDueAsync(CredentialKey key, CancellationToken cancel)
    {
        if (await credentials.FindAsync(key, cancel) is ({ } credential, var version, _) && credential.Due() <= time.GetUtcNow())
        {
            await Share(key, credential, version).WaitAsync(cancel);
        }
    }

    /// <summary>One refresh per token in this process, whoever asks for it. It goes on when they leave.</summary>
    private Task<Token> Share(CredentialKey key, Credential credential, long version)
    {
        while (true)
        {
            if (_refreshing.TryGetValue(key, out var running))
            {
                return running;
            }

            var mine = new TaskCompletionSource<Token>(TaskCreationOptions.RunContinuationsAsynchronously);
            if (_refreshing.TryAdd(key, mine.Task))
            {
                _ = RunAsync(key, credential, version, mine);
                return mine.Task;
            }
        }
    }

    private async Task RunAsync(CredentialKey key, Credential credential, long version, TaskCompletionSource<Token> done)
    {
        Token token;
        try
        {
            token = await RefreshAsync(key, credential, version, done);
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            token = StillUsable(credential, "the gateway stops");
        }
        catch (StoreException e)
        {
            token = StillUsable(credential, e.Message);
        }
        catch (Exception e)
        {
            Log.Failed(logger, e, key.Provider);
            token = StillUsable(credential, "the gateway failed");
        }
        finally
        {
            _refreshing.TryRemove(key, out _);
        }

        done.TrySetResult(token);
    }

    private async Task<Token> RefreshAsync(CredentialKey key, Credential credential, long version, TaskCompletionSource<Token> done)
    {
        var began = time.GetTimestamp();
        for (var looks = 0; ; looks++)
        {
            if (_pauses.TryGetValue(key, out var pause) && pause.Until > time.GetUtcNow())
            {
                return StillUsable(credential, pause.Why);
            }

            // The place first: a lease must not run out while one is waited for.
            TokenAnswer? answer = null;
            var places = _places.GetOrAdd(key.Provider, static _ => new SemaphoreSlim(PlacesPerProvider));
            await places.WaitAsync();
            try
            {
                if (await store.TryLeaseCredentialAsync(key, version, _holder, Lease) || (looks % LooksForNobody == 0 && await FreeAsync()))
                {
                    answer = await AskAsync(key, credential, version);
                }
            }
            finally
            {
                places.Release();
            }

            if (answer is { } had)
            {
                return await TakeAsync(key, credential, version, had, done);
            }

            // Somebody else is at it, or has done it already.
            await Task.Delay(Look, time);
            var kept = await credentials.FindAsync(key, CancellationToken.None);
            if (kept is not ({ } newer, var newest, _))
            {
                return kept.ToNoToken();
            }

            if (newest != version)
            {
                return Token.Of(newer);
            }

            if (time.GetElapsedTime(began) > LongestWait)
            {
                return StillUsable(credential, "another replica has been refreshing it for too long");
            }
        }

        async Task<bool> FreeAsync()
        {
            await store.ReleaseCredentialAsync(key, Nobody);
            return await store.TryLeaseCredentialAsync(key, version, _holder, Lease);
        }
    }

    /// <summary>With the lease in hand: nobody else asks the provider for this one.</summary>
    private async Task<TokenAnswer> AskAsync(CredentialKey key, Credential credential, long version)
    {
        if (providers.ClientFor(key.Provider, credential.Client) is not { } client)
        {
            // Held, so that it is not among what is due again and again; by nobody, so that whoever has something to do with it need not wait.
            await store.ReleaseCredentialAsync(key, _holder);
            await store.TryLeaseCredentialAsync(key, version, Nobody, LongestPause * 60);
            return new TokenAnswer(TokenOutcome.NotAsked, null, "the provider is not in the configuration any more");
        }

        var answer = await endpoint.RefreshAsync(client, credential, CancellationToken.None);
        metrics.Refreshed(key.Provider, answer.Outcome);
        return answer;
    }

    private async Task<Token> TakeAsync(CredentialKey key, Credential credential, long version, TokenAnswer answer, TaskCompletionSource<Token> done)
    {
        switch (answer.Outcome)
        {
            case TokenOutcome.Granted:
                _pauses.TryRemove(key, out _);
                return await KeepAsync(key, credential, answer.Credential!, version, done);
            case TokenOutcome.Refused:
            // The client that it was had with stands beside it, so only another linking brings one that is known. Until its end that one may yet be taken.
            case TokenOutcome.ClientRefused when credential.Client is not null && !(credential.Expires > time.GetUtcNow()):
                _pauses.TryRemove(key, out _);
                Log.Refused(logger, key.Provider, answer.Why);
                return await SaveAsync(key, credential, credential with { Broken = answer.Why }, version);
            case TokenOutcome.NotAsked:
                return StillUsable(credential, answer.Why);
            default:
                var failures = (_pauses.TryGetValue(key, out var before) ? before.Failures : 0) + 1;
                var pause = Math.Min(Math.Pow(2, failures - 1), LongestPause.TotalSeconds);
                _pauses[key] = new Pause(time.GetUtcNow() + TimeSpan.FromSeconds(pause), failures, answer.Why);
                Log.NotRefreshed(logger, key.Provider, answer.Why);
                await store.ReleaseCredentialAsync(key, _holder);
                return StillUsable(credential, answer.Why);
        }
    }

    /// <summary>
    /// What the provider gave is the only copy there is: the token that it was given for is spent. So it is not let go before it is written,
    /// however long the store is away; whoever waits for the token gets it meanwhile.
    /// </summary>
    private async Task<Token> KeepAsync(CredentialKey key, Credential spent, Credential credential, long version, TaskCompletionSource<Token> done)
    {
        while (true)
        {
            try
            {
                return await SaveAsync(key, spent, credential, version);
            }
            catch (StoreException e)
            {
                if (done.TrySetResult(Token.Of(credential)))
                {
                    Log.NotWritten(logger, key.Provider, e.Message);
                }

                await Task.Delay(WriteAgain, time, _stopping.Token);
            }
        }
    }

    private async Task<Token> SaveAsync(CredentialKey key, Credential spent, Credential credential, long version)
    {
        var isMended = false;
        while (!await credentials.SaveAsync(key, credential, version, isMended))
        {
            var kept = await credentials.FindAsync(key, CancellationToken.None);
            if (kept is not ({ } newer, var newest, _))
            {
                return kept.ToNoToken();
            }

            // Another replica took the lease over while this one could not write, and was refused with what is spent: that says nothing of what was given for it.
            // All else counts: its person linked again meanwhile, or it is this very write, which was done though it seemed to fail.
            if (credential.Broken is not null || newer.Broken is null || newer.RefreshToken != spent.RefreshToken)
            {
                return Token.Of(newer);
            }

            (version, isMended) = (newest, true);
        }

        return Token.Of(credential);
    }

    private Token StillUsable(Credential credential, string why) =>
        credential.Expires > time.GetUtcNow() ? Token.Of(credential) : new Token(TokenState.Unavailable, Why: why);

    private sealed record Pause(DateTimeOffset Until, int Failures, string Why);
}
