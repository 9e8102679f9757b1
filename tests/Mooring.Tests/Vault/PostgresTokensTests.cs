using Mooring.Tests.Stores.Postgres;
using Mooring.Vault;
using Xunit;
using static Mooring.Tests.Vault.TokenReplicas;

namespace Mooring.Tests.Vault;

/// <summary>People's tokens on a real PostgreSQL: three replicas, each with connections of its own.</summary>
public sealed class PostgresTokensTests(SharedCluster cluster) : IAsyncLifetime
{
    private const int Users = 200;

    /// <summary>What the one that dies had done with: refreshed and written.</summary>
    private const int Done = 20;

    /// <summary>And what it had under way at the provider: all of its places there.</summary>
    private const int UnderWay = 64;

    private PostgresFixture _database = null!;
    private TokenReplicas _replicas = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _database = await PostgresFixture.OnAsync(cluster);
        var options = _database.Options with { MaxConnections = 5 };
        _replicas = await StartAsync(3, [await _database.OpenAsync(options), await _database.OpenAsync(options), await _database.OpenAsync(options)]);
    }

    public async ValueTask DisposeAsync()
    {
        await _replicas.DisposeAsync();
        await _database.DisposeAsync();
    }

    /// <summary>Of what the dead one had under way, every second request had come to the provider, which spent its token on nobody; of those only the user can help.</summary>
    [Fact]
    public async Task Refresh_OfManyOverThreeReplicas_OneKilledMeanwhile_IsOncePerToken_AndWhatWasSpentOnTheDeadOneIsTold()
    {
        await Task.WhenAll(Enumerable.Range(0, Users).Select(i => _replicas.LinkAsync($"u{i}")));
        _replicas.Clock.Advance(TimeSpan.FromHours(2));
        var (came, full, killed) = (0, NewSignal(), NewSignal());
        _replicas.Provider.Before = async _ =>
        {
            var number = Interlocked.Increment(ref came);
            if (number is > Done and <= Done + UnderWay)
            {
                if (number == Done + UnderWay)
                {
                    full.SetResult();
                }

                await killed.Task;
                if (number % 2 != 0)
                {
                    throw new HttpRequestException(HttpRequestError.ConnectionError);
                }
            }
        };
        foreach (var i in Enumerable.Range(0, Users))
        {
            _ = _replicas.A.Tokens.GetAsync(Of($"u{i}"), Cancel);
        }

        await Limit.Of(full.Task, "as many requests as one replica makes at once");
        await UntilAsync(async () => await _database.AskAsync("select count(*) from mooring.credentials where version = 2") is long written && written == Done, "what it had done with was written");
        _replicas.A.Store.IsDead = true;
        killed.SetResult();
        await UntilAsync(() => Task.FromResult(_replicas.Provider.Used.Count == Done + (UnderWay / 2)), "the provider had answered a dead one");
        var asking = Task.WhenAll(Enumerable.Range(0, Users).SelectMany(i => _replicas.All.Skip(1).Select(replica => Task.Run(() => replica.Tokens.GetAsync(Of($"u{i}"), Cancel)))));
        await EndLeasesOfTheDeadAsync(asking);
        var tokens = await asking;

        var spent = UnderWay / 2;
        var told = tokens.Chunk(2).ToList();
        Assert.All(told, pair => Assert.Equal((pair[0].State, pair[0].Value), (pair[1].State, pair[1].Value)));
        Assert.Equal((Users - spent, spent), (told.Count(pair => pair[0].State == TokenState.Usable), told.Count(pair => pair[0].State == TokenState.Broken)));
        Assert.All(told.Index().Where(user => user.Item[0].State == TokenState.Usable), user => Assert.Equal($"access after first-u{user.Index}", user.Item[0].Value));
        // Nobody's was used a second time but those that the dead one had spent, which is how that is found out.
        Assert.All(told.Index(), user => Assert.Equal(user.Item[0].State == TokenState.Usable ? 1 : 2, _replicas.Provider.Used[$"first-u{user.Index}"]));
        Assert.Equal(Users + UnderWay, _replicas.Provider.Asked);
    }

    private static async Task UntilAsync(Func<Task<bool>> isSo, string what)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (!await isSo())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < Limit.Patience, $"Waited in vain until {what}.");
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, Cancel);
        }
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Leases end by the database's own clock: half a minute of it is over at once for those of the dead one. The others' go on.</summary>
    private async Task EndLeasesOfTheDeadAsync(Task asking)
    {
        var passing = _replicas.PassAsync(AsOne(asking), "all tokens", TimeSpan.FromMilliseconds(10));
        while (!asking.IsCompleted)
        {
            await _database.ExecuteAsync($"update mooring.credentials set leased_until = clock_timestamp() where holder = '{_replicas.A.Store.Holder}' and leased_until > clock_timestamp()");
            await Task.WhenAny(passing, Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Cancel));
        }

        await passing;

        static async Task<bool> AsOne(Task task)
        {
            await task;
            return true;
        }
    }
}
