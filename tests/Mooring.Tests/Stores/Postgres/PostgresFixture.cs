using Microsoft.Extensions.Logging;
using Mooring.Stores;
using Mooring.Stores.Postgres;
using Npgsql;
using Xunit;

namespace Mooring.Tests.Stores.Postgres;

/// <summary>A database of its own for one test, and the stores opened on it. Its clock moves only while the test waits for something.</summary>
internal sealed class PostgresFixture : IAsyncDisposable
{
    private readonly List<PostgresStore> _stores = [];
    private readonly bool _ownsCluster;

    private PostgresFixture(PostgresCluster cluster, string database, bool ownsCluster)
    {
        Cluster = cluster;
        Database = database;
        _ownsCluster = ownsCluster;
    }

    public PostgresCluster Cluster { get; }

    public string Database { get; }

    public FakeClock Clock { get; } = new();

    public FixtureLog Log { get; } = new();

    public PostgresStoreOptions Options => new() { Connection = Cluster.ConnectionTo(Database) };

    public static async Task<PostgresFixture> OnAsync(SharedCluster shared)
    {
        var cluster = await shared.GetAsync();
        return new PostgresFixture(cluster, await cluster.NewDatabaseAsync(), ownsCluster: false);
    }

    /// <summary>With a server of its own, to be stopped at will.</summary>
    public static async Task<PostgresFixture> AloneAsync()
    {
        var cluster = await PostgresCluster.StartAsync();
        return new PostgresFixture(cluster, await cluster.NewDatabaseAsync(), ownsCluster: true);
    }

    public PostgresStore Make(PostgresStoreOptions? options = null)
    {
        var store = new PostgresStore(options ?? Options, Clock, new Logger<PostgresStore>(new LoggerFactory([Log])));
        _stores.Add(store);
        return store;
    }

    public async Task<PostgresStore> OpenAsync(PostgresStoreOptions? options = null)
    {
        var store = Make(options);
        await store.OpenAsync(CancellationToken.None);
        return store;
    }

    public PostgresSignals Signals(PostgresStore store, PostgresStoreOptions? options = null) =>
        new(store, options ?? Options, Clock, new Logger<PostgresSignals>(new LoggerFactory([Log])));

    public string With(Action<NpgsqlConnectionStringBuilder> change)
    {
        var settings = new NpgsqlConnectionStringBuilder(Options.Connection);
        change(settings);
        return settings.ConnectionString;
    }

    public Task ExecuteAsync(string sql) => Cluster.ExecuteAsync(Database, sql);

    public Task<object?> AskAsync(string sql) => Cluster.AskAsync(Database, sql);

    /// <summary>Ends the sessions of a kind, as an administrator or a failover does.</summary>
    public Task EndSessionsAsync(string application) => ExecuteAsync(
        $"select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = '{Database}' and application_name = '{application}'");

    /// <summary>Waits until something is so, and lets the clock run meanwhile, so that whoever waits for its next try gets it.</summary>
    /// <param name="isSo">Whether it is.</param>
    /// <param name="what">In words.</param>
    /// <param name="pause">For each tenth of a second: how long it really takes. Longer where what the clock ends takes its time as well.</param>
    public async Task UntilAsync(Func<Task<bool>> isSo, string what, TimeSpan? pause = null)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (!await isSo())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(began) < Limit.Patience, $"Waited in vain until {what}.\n{Log}");
            Clock.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Delay(pause ?? TimeSpan.FromMilliseconds(1), TimeProvider.System);
        }
    }

    /// <summary>Waits until a store that was away works again.</summary>
    public Task UntilBackAsync(IStore store) => UntilAsync(
        async () =>
        {
            try
            {
                await store.CountSessionsAsync(CancellationToken.None);
                return true;
            }
            catch (StoreException)
            {
                return false;
            }
        },
        "the store was back");

    /// <summary>Does something while another transaction holds what it did; that one commits once the other waits for it.</summary>
    public async Task BesideAsync(string sql, Func<Task> act)
    {
        await using var other = new NpgsqlConnection(Options.Connection);
        await other.OpenAsync(TestContext.Current.CancellationToken);
        await using var transaction = await other.BeginTransactionAsync(TestContext.Current.CancellationToken);
        await using (var hold = new NpgsqlCommand(sql, other, transaction))
        {
            await hold.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }

        var acting = act();
        await UntilAsync(
            async () => acting.IsCompleted || await AskAsync($"select count(*) from pg_stat_activity where datname = '{Database}' and wait_event_type = 'Lock'") is > 0L,
            "it waited for the other transaction");
        await transaction.CommitAsync(TestContext.Current.CancellationToken);
        await acting;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var store in _stores)
        {
            await store.DisposeAsync();
        }

        if (_ownsCluster)
        {
            await Cluster.DisposeAsync();
        }
        else
        {
            await Cluster.DropDatabaseAsync(Database);
        }
    }
}
