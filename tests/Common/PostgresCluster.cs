using System.Diagnostics;
using Npgsql;

namespace Mooring.Tests;

/// <summary>
/// A real PostgreSQL of the tests' own: made in a temporary directory, on a loopback port, with fsync off; gone at the end, also when the
/// tests are killed. Started as the user <c>postgres</c> where the tests run as root, which PostgreSQL refuses.
/// </summary>
/// <remarks>
/// A shell stands between: it knows the cluster's directory, takes orders on its standard input, and ends the server and removes the
/// directory when that input ends, whatever the end of the tests was like.
/// </remarks>
internal sealed class PostgresCluster : IAsyncDisposable
{
    private const string Superuser = "tests";
    private const string Password = "Sesame, open!";

    private const string Script = """
        trap '' INT HUP TERM
        bin=$1 port=$2 proxy=$3 password=$4
        dir=$(mktemp -d /tmp/mooring-postgres-XXXXXX) && cd "$dir" || exit 1
        start() {
            "$bin/pg_ctl" start -D data -w -t 60 -l log -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off \
                -c full_page_writes=off -c shared_buffers=32MB -c max_connections=200 -c jit=off -c log_min_messages=fatal" > /dev/null 2>&1
        }
        slay() {
            read -r server < data/postmaster.pid || return 1
            all="$server $(cat "/proc/$server/task/$server/children")"
            kill -9 $all
            for one in $all; do
                while [ -d "/proc/$one" ] && ! grep -q '^State:.Z' "/proc/$one/status" 2> /dev/null; do sleep 0.02; done
            done
            # One that is dead and not yet waited for would pass for a running server.
            rm -f data/postmaster.pid
        }
        stop() { "$bin/pg_ctl" stop -D data -w -t 60 -m "$1" > /dev/null 2>&1; }
        proxy() {
            printf '"tests" "%s"\n' "$password" > users
            printf '%s\n' '[databases]' "* = host=127.0.0.1 port=$port" '[pgbouncer]' 'listen_addr = 127.0.0.1' "listen_port = $proxy" 'unix_socket_dir =' \
                'auth_type = scram-sha-256' "auth_file = $dir/users" 'pool_mode = transaction' 'default_pool_size = 4' "logfile = $dir/proxy.log" > proxy.ini
            PATH=$PATH:/usr/sbin pgbouncer -q proxy.ini > /dev/null 2>> log &
            pooler=$!
            while kill -0 $pooler 2> /dev/null; do
                grep -q 'process up' proxy.log 2> /dev/null && return 0
                sleep 0.05
            done
            return 1
        }
        printf '%s' "$password" > password
        if "$bin/initdb" -D data -U tests -A scram-sha-256 --pwfile=password -E UTF8 --no-locale --no-sync > init 2>&1; then
            echo ready
        else
            tr '\n' ' ' < init
            echo
        fi
        while read -r order; do
            case $order in
                start) start ;;
                stop) stop immediate ;;
                kill) slay ;;
                proxy) proxy ;;
            esac
            echo "$? $(tail -n 1 log 2> /dev/null)"
        done
        [ -n "${pooler-}" ] && kill $pooler && wait $pooler
        stop immediate
        cd / && rm -rf "$dir"
        """;

    private readonly SemaphoreSlim _turn = new(1);
    private readonly Process _shell;
    private int _databases;

    private readonly int _proxyPort;
    private readonly Lazy<Task> _proxy;

    private PostgresCluster(Process shell, int port, int proxyPort)
    {
        _shell = shell;
        Port = port;
        _proxyPort = proxyPort;
        _proxy = new Lazy<Task>(() => OrderAsync("proxy"));
    }

    public int Port { get; }

    /// <summary>Makes a cluster and starts it.</summary>
    public static async Task<PostgresCluster> StartAsync()
    {
        var (port, proxyPort) = (LoopbackPorts.Take(), LoopbackPorts.Take());
        string[] line = [.. Unprivileged(), "/bin/sh", "-c", Script, "postgres-of-the-tests", FindPrograms(), $"{port}", $"{proxyPort}", Password];
        var start = new ProcessStartInfo(line[0], line[1..]) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, WorkingDirectory = "/" };
        var cluster = new PostgresCluster(Process.Start(start)!, port, proxyPort);
        var made = await cluster._shell.StandardOutput.ReadLineAsync();
        if (made != "ready")
        {
            await cluster.DisposeAsync();
            throw new InvalidOperationException($"initdb failed: {made}");
        }

        await cluster.StartServerAsync();
        return cluster;
    }

    /// <summary>Starts the server again after <see cref="StopServerAsync"/>; returns when it takes connections.</summary>
    public Task StartServerAsync() => OrderAsync("start");

    /// <summary>Stops the server as a crash does: nobody is told, nothing is written.</summary>
    public Task StopServerAsync() => OrderAsync("stop");

    /// <summary>Kills the server and all its processes (kill -9); <see cref="StartServerAsync"/> then has it recover from its log.</summary>
    public Task KillServerAsync() => OrderAsync("kill");

    /// <summary>How to reach a database of this cluster as its superuser.</summary>
    public string ConnectionTo(string database) => new NpgsqlConnectionStringBuilder
    {
        Host = "127.0.0.1",
        Port = Port,
        Database = database,
        Username = Superuser,
        Password = Password,
        // Tests that end a server's sessions must not find them in a pool.
        Pooling = false,
    }.ConnectionString;

    /// <summary>The same through PgBouncer, which gives every transaction any of four server sessions; started when first asked for.</summary>
    public async Task<string> ProxiedConnectionToAsync(string database)
    {
        await _proxy.Value;
        return new NpgsqlConnectionStringBuilder(ConnectionTo(database)) { Port = _proxyPort }.ConnectionString;
    }

    /// <summary>Makes an empty database and returns its name.</summary>
    public async Task<string> NewDatabaseAsync()
    {
        var name = $"t{Interlocked.Increment(ref _databases)}";
        await ExecuteAsync("postgres", $"create database {name}");
        return name;
    }

    public Task DropDatabaseAsync(string name) => ExecuteAsync("postgres", $"drop database if exists {name} with (force)");

    /// <summary>Runs one or more statements.</summary>
    public async Task ExecuteAsync(string database, string sql)
    {
        await using var connection = new NpgsqlConnection(ConnectionTo(database));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>The one value that a question has for an answer.</summary>
    public async Task<object?> AskAsync(string database, string sql)
    {
        await using var connection = new NpgsqlConnection(ConnectionTo(database));
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync();
    }

    public async ValueTask DisposeAsync()
    {
        _shell.StandardInput.Close();
        await _shell.WaitForExitAsync();
        _shell.Dispose();
        _turn.Dispose();
    }

    private async Task OrderAsync(string order)
    {
        await _turn.WaitAsync();
        try
        {
            await _shell.StandardInput.WriteLineAsync(order);
            await _shell.StandardInput.FlushAsync();
            var answer = await _shell.StandardOutput.ReadLineAsync();
            if (answer?.StartsWith("0 ", StringComparison.Ordinal) != true)
            {
                throw new InvalidOperationException($"PostgreSQL did not {order}: {answer}");
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    private static string[] Unprivileged() =>
        Environment.UserName == "root" ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] : [];

    /// <summary>Debian keeps them beside each other by version, outside of the path.</summary>
    private static string FindPrograms()
    {
        const string debian = "/usr/lib/postgresql";
        var folders = Directory.Exists(debian)
            ? Directory.GetDirectories(debian).OrderByDescending(folder => int.TryParse(Path.GetFileName(folder), out var version) ? version : 0).Select(folder => Path.Combine(folder, "bin"))
            : [];
        return folders.Concat((Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')).FirstOrDefault(folder => File.Exists(Path.Combine(folder, "initdb")))
            ?? throw new InvalidOperationException("PostgreSQL is not installed; on Debian: apt-get install -y --no-install-recommends postgresql");
    }
}
