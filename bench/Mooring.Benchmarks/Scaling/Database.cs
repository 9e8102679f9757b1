using System.Globalization;
using Mooring.Benchmarks.Load;
using Mooring.Tests;

namespace Mooring.Benchmarks.Scaling;

/// <summary>What a database has used so far.</summary>
/// <param name="Processor">Of all its processes that still run.</param>
/// <param name="Log">Bytes written ahead (WAL).</param>
internal readonly record struct DatabaseUse(TimeSpan Processor, double Log)
{
    public static DatabaseUse operator -(DatabaseUse later, DatabaseUse earlier) => new(later.Processor - earlier.Processor, later.Log - earlier.Log);
}

/// <summary>
/// One empty database in a cluster of the run's own. Nothing vacuums by itself: sizes are read after a full vacuum, and processor time is that of
/// the work asked for.
/// </summary>
internal sealed class Database : IAsyncDisposable
{
    private readonly PostgresCluster _cluster;
    private readonly string _name;
    private readonly int _postmaster;

    private Database(PostgresCluster cluster, string name, int postmaster)
    {
        _cluster = cluster;
        _name = name;
        _postmaster = postmaster;
    }

    public string Connection => _cluster.ConnectionTo(_name);

    public static async Task<Database> MakeAsync()
    {
        var cluster = await PostgresCluster.StartAsync();
        await cluster.ExecuteAsync("postgres", "alter system set autovacuum = off");
        await cluster.ExecuteAsync("postgres", "select pg_reload_conf()");
        var name = await cluster.NewDatabaseAsync();
        return new Database(cluster, name, await PostmasterOfAsync(cluster, name));
    }

    public async Task<DatabaseUse> UseAsync()
    {
        var log = Convert.ToDouble(await AskAsync("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"), CultureInfo.InvariantCulture);
        return new DatabaseUse(ProcessFigures.Read(_postmaster)!.Value.Processor, log);
    }

    /// <summary>Bytes of these tables with their indexes, as small as they can be.</summary>
    public async Task<double> SizeAsync(params string[] tables)
    {
        var sum = 0.0;
        foreach (var table in tables)
        {
            await ExecuteAsync($"vacuum full mooring.{table}");
            sum += Convert.ToDouble(await AskAsync($"select pg_total_relation_size('mooring.{table}')"), CultureInfo.InvariantCulture);
        }

        return sum;
    }

    public Task<object?> AskAsync(string sql) => _cluster.AskAsync(_name, sql);

    public Task ExecuteAsync(string sql) => _cluster.ExecuteAsync(_name, sql);

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    /// <summary>The parent of a process that serves a connection. Asked for while that connection is open.</summary>
    private static async Task<int> PostmasterOfAsync(PostgresCluster cluster, string name)
    {
        await using var connection = new Npgsql.NpgsqlConnection(cluster.ConnectionTo(name));
        await connection.OpenAsync();
        var stat = await File.ReadAllTextAsync($"/proc/{connection.ProcessID}/stat");

        // pid (command) state parent …; the command may hold spaces.
        return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1], CultureInfo.InvariantCulture);
    }
}
