using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Mooring.Configuration;
using Mooring.Stores;
using Mooring.Stores.Memory;
using Mooring.Telemetry;
using Mooring.Vault;
using Xunit;

namespace Mooring.Tests.Vault;

/// <summary>Several replicas' vaults on one store, in front of one provider, on one clock.</summary>
internal sealed class TokenReplicas : IAsyncDisposable
{
    public const string Name = "acme";

    /// <summary>Another provider; its requests come to the same one, by another address.</summary>
    public const string Other = "zeta";

    private readonly VaultFixture _fixture = new();
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().AddSingleton<MooringMeter>().BuildServiceProvider();
    private readonly List<VaultHttp> _clients = [];

    private TokenReplicas(int count, IReadOnlyList<IVaultStore>? stores)
    {
        Provider = new FakeProvider(Clock);
        var key = _fixture.MakeKey("shared.key");
        Memory = new MemoryStore(Clock);
        All = [.. Enumerable.Range(0, count).Select(n => Make(key, stores?[n] ?? Memory))];
    }

    public FakeClock Clock => _fixture.Clock;

    public FixtureLog Log => _fixture.Log;

    public FakeProvider Provider { get; }

    /// <summary>What they share, unless each was given its own way to something else.</summary>
    public MemoryStore Memory { get; }

    public IReadOnlyList<TokenReplica> All { get; }

    public TokenReplica A => All[0];

    public TokenReplica B => All[1];

    /// <param name="count">How many.</param>
    /// <param name="stores">Of each its own way to what they share; null: <see cref="Memory"/>.</param>
    public static async Task<TokenReplicas> StartAsync(int count = 3, IReadOnlyList<IVaultStore>? stores = null)
    {
        var replicas = new TokenReplicas(count, stores);
        foreach (var replica in replicas.All)
        {
            await replica.Keys.OpenAsync(CancellationToken.None);
        }

        return replicas;
    }

    public static CredentialKey Of(string user) => new("https://issuer.test", user, Name);

    /// <summary>Links a user; the token ends after an hour.</summary>
    public Task LinkAsync(string user, TimeSpan? life = null, string? refresh = "first", string provider = Name) => A.Credentials.ReplaceAsync(
        Of(user) with { Provider = provider },
        new Credential
        {
            AccessToken = $"access of {user}",
            RefreshToken = refresh is null ? null : $"{refresh}-{user}",
            Expires = Clock.GetUtcNow() + (life ?? TimeSpan.FromHours(1)),
            Received = Clock.GetUtcNow(),
        },
        CancellationToken.None);

    /// <summary>Waits for what needs time to pass, moving the clock meanwhile.</summary>
    public async Task<T> PassAsync<T>(Task<T> task, string what, TimeSpan? step = null)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (!task.IsCompleted)
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < Limit.Patience, $"Waited in vain for {what}.\n{Log}");
            Clock.Advance(step ?? TimeSpan.FromMilliseconds(50));
            await Task.Yield();

            // What the step set going comes first, however slow the machine: a lease must not end because its holder had no processor.
            var turn = TimeProvider.System.GetTimestamp();
            do
            {
                await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System);
            }
            while (ThreadPool.PendingWorkItemCount > 0 && TimeProvider.System.GetElapsedTime(turn) < TimeSpan.FromSeconds(1));
        }

        return await task;
    }

    public async ValueTask DisposeAsync()
    {
        _clients.ForEach(client => client.Dispose());
        await _services.DisposeAsync();
        await _fixture.DisposeAsync();
    }

    private TokenReplica Make(string key, IVaultStore shared)
    {
        var config = new ConfigStore(
            new MooringConfig
            {
                Store = new StoreConfig { Kind = StoreKind.Memory },
                Vault = new VaultConfig { KeyFile = key },
                Providers = new Dictionary<string, AccountProviderConfig>(StringComparer.Ordinal)
                {
                    [Name] = new() { AuthorizeUrl = new Uri("https://acme.test/authorize"), TokenUrl = new Uri("https://acme.test/token"), ClientId = "gateway", ClientSecret = "gateway-secret" },
                    [Other] = new() { AuthorizeUrl = new Uri("https://zeta.test/authorize"), TokenUrl = new Uri("https://zeta.test/token"), ClientId = "gateway", ClientSecret = "gateway-secret" },
                },
            },
            _fixture.Folder);
        var store = new CuttableVault(shared);
        var ring = new KeyRing(store, new KeyWrappers(config), config, Clock, _fixture.Loggers.CreateLogger<KeyRing>());
        var credentials = new Credentials(ring, store);
        var http = new VaultHttp(Clock, _ => Provider);
        _clients.Add(http);
        var tokens = new Tokens(
            credentials, store, new Providers(config), new TokenRequests(http, Clock), new VaultMetrics(_services.GetRequiredService<MooringMeter>()), Clock,
            _fixture.Loggers.CreateLogger<Tokens>());
        return new TokenReplica(ring, credentials, tokens, store, config);
    }
}

internal sealed record TokenReplica(KeyRing Keys, Credentials Credentials, Tokens Tokens, CuttableVault Store, ConfigStore Config);

/// <summary>One replica's way to the store: cut, it behaves as the store does towards a process that was killed.</summary>
internal sealed class CuttableVault(IVaultStore inner) : IVaultStore
{
    /// <summary>Whether the process is dead: nothing it does reaches the store any more, and nothing comes back.</summary>
    public bool IsDead { get; set; }

    /// <summary>Whether everything fails for now.</summary>
    public bool IsAway { get; set; }

    /// <summary>Whether it takes no credential for now, though it answers all else.</summary>
    public bool TakesNothing { get; set; }

    /// <summary>As whom it leases; null: it has not yet.</summary>
    public string? Holder { get; private set; }

    public Task<IReadOnlyList<KeyRecord>> LoadKeysAsync(CancellationToken cancel) => Do(() => inner.LoadKeysAsync(cancel));

    public Task<bool> AddKeyAsync(KeyRecord key) => Do(() => inner.AddKeyAsync(key));

    public Task<bool> RewrapKeyAsync(KeyRecord key, string before) => Do(() => inner.RewrapKeyAsync(key, before));

    public Task<bool> IsSealedAsync(CancellationToken cancel) => Do(() => inner.IsSealedAsync(cancel));

    public Task BeginSealingAsync() => inner.BeginSealingAsync();

    /// <summary>Whether credentials do not open for now, as where their key is away.</summary>
    public bool Spoils { get; set; }

    /// <summary>Done once, before the next credential is given out and after it was read.</summary>
    public Func<Task>? Then { get; set; }

    public async ValueTask<CredentialRecord?> FindCredentialAsync(CredentialKey key, CancellationToken cancel)
    {
        var found = await Do(() => inner.FindCredentialAsync(key, cancel).AsTask());
        if (Then is { } then)
        {
            Then = null;
            await then();
        }

        if (found is null || !Spoils)
        {
            return found;
        }

        var body = found.Body.ToArray();
        body[^1] ^= 1;
        return found with { Body = body };
    }

    public Task<IReadOnlyList<CredentialKey>> ListCredentialsAsync(CancellationToken cancel) => Do(() => inner.ListCredentialsAsync(cancel));

    public Task<IReadOnlyList<CredentialKey>> FindDueCredentialsAsync(DateTimeOffset before, int limit, IEnumerable<string> except, CancellationToken cancel) =>
        Do(() => inner.FindDueCredentialsAsync(before, limit, except, cancel));

    public Task<bool> SaveCredentialAsync(CredentialRecord credential) =>
        Do(() => TakesNothing ? throw new StoreException("it takes nothing", null) : inner.SaveCredentialAsync(credential));

    public Task DeleteCredentialAsync(CredentialKey key) => inner.DeleteCredentialAsync(key);

    public Task<bool> TryLeaseCredentialAsync(CredentialKey key, long version, string holder, TimeSpan lease)
    {
        Holder = holder;
        return Do(() => inner.TryLeaseCredentialAsync(key, version, holder, lease));
    }

    public Task ReleaseCredentialAsync(CredentialKey key, string holder) => Do(async () =>
    {
        await inner.ReleaseCredentialAsync(key, holder);
        return true;
    });

    private async Task<T> Do<T>(Func<Task<T>> work)
    {
        if (IsDead)
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System);
        }

        // As with a real store, others come in between.
        await Task.Yield();
        return IsAway ? throw new StoreException("it is away", null) : await work();
    }
}
