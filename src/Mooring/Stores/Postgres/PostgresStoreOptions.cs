using System.Data.Common;
using Npgsql;

namespace Mooring.Stores.Postgres;

/// <summary>How the PostgreSQL store works. Fixed for the life of the process.</summary>
internal sealed record PostgresStoreOptions
{
    /// <summary>How to reach the database; may lead through a transaction-pooling proxy.</summary>
    public required string Connection { get; init; }

    /// <summary>The same for the connection that listens, which needs a session of its own; null: <see cref="Connection"/>.</summary>
    public string? ListenConnection { get; init; }

    /// <summary>Connections at most, besides the one that listens.</summary>
    /// <value>Default 16; a quarter of them is kept for the writer lanes.</value>
    public int MaxConnections { get; init; } = 16;

    /// <summary>Operations committed together at most, in one lane.</summary>
    /// <value>Default 256, as in the embedded store.</value>
    public int BatchOperations { get; init; } = 256;

    /// <summary>Bytes of bodies sent together at most; a single larger one goes alone.</summary>
    /// <value>Default 4 MB: large bodies of one session must not keep the small ones of others waiting for long.</value>
    public long BatchBytes { get; init; } = 4 * 1024 * 1024;

    /// <summary>Writes that may wait in one lane; further callers wait, in order, until there is room.</summary>
    /// <value>Default 1,024: four full batches.</value>
    public int QueueLength { get; init; } = 1024;

    /// <summary>How long connecting may take, and how long a caller waits for a free connection.</summary>
    /// <value>Default 5 s.</value>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a command may take before it fails, and the database is asked on another connection whether it is there.</summary>
    /// <value>Default 10 s.</value>
    public TimeSpan CommandTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a step of the schema may take, the wait for other replicas that do the same included.</summary>
    /// <value>Default 2 min.</value>
    public TimeSpan MigrationTimeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>After this long without a signal the listening connection is tested; a peer that vanished is not noticed otherwise.</summary>
    /// <value>Default 10 s.</value>
    public TimeSpan ListenKeepAlive { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Lanes that write, each with one transaction under way at most.</summary>
    public int Lanes => Math.Clamp(MaxConnections / 4, 1, 8);

    /// <summary>What the pool connects with.</summary>
    public NpgsqlConnectionStringBuilder PoolSettings()
    {
        var settings = Common(Connection);
        settings.ApplicationName ??= "mooring";
        settings.Pooling = true;
        settings.MinPoolSize = 0;
        settings.MaxPoolSize = MaxConnections;
        return settings;
    }

    /// <summary>
    /// The same, with statements that are used again and again prepared once for each connection; null where <see cref="Connection"/> says
    /// itself whether they are (<c>Max Auto Prepare</c>). Only for a connection that has a server session of its own, see <see cref="PostgresSource"/>.
    /// </summary>
    public NpgsqlConnectionStringBuilder? PreparedSettings()
    {
        var said = new DbConnectionStringBuilder { ConnectionString = Connection };
        if (said.ContainsKey("Max Auto Prepare") || said.ContainsKey("MaxAutoPrepare"))
        {
            return null;
        }

        var settings = PoolSettings();
        // More than there are statements, and from the second use on: they are few, and none is used only once.
        (settings.MaxAutoPrepare, settings.AutoPrepareMinUsages) = (128, 2);
        return settings;
    }

    /// <summary>How long each of several writes may take, in seconds, after they took too long together.</summary>
    public int AloneSeconds => Seconds(CommandTimeout / 4);

    /// <summary>What a connection beside the pool connects with, to ask whether the database is there: that takes no longer than connecting may.</summary>
    public NpgsqlConnectionStringBuilder CheckSettings()
    {
        var settings = Common(Connection);
        settings.ApplicationName = (settings.ApplicationName ?? "mooring") + "-check";
        settings.CommandTimeout = Seconds(ConnectTimeout);
        settings.Pooling = false;
        return settings;
    }

    /// <summary>What the listening connection connects with.</summary>
    public NpgsqlConnectionStringBuilder ListenSettings()
    {
        var settings = Common(ListenConnection ?? Connection);
        settings.ApplicationName = (settings.ApplicationName ?? "mooring") + "-listen";
        settings.Pooling = false;
        return settings;
    }

    private NpgsqlConnectionStringBuilder Common(string connection) => new(connection)
    {
        Timeout = Seconds(ConnectTimeout),
        CommandTimeout = Seconds(CommandTimeout),
        // Nothing of ours in a session needs to be reset; behind a transaction-pooling proxy a reset would hit somebody else's.
        NoResetOnClose = true,
        Multiplexing = false,
        Enlist = false,
        PersistSecurityInfo = false,
        IncludeErrorDetail = false,
        // A peer that vanished without a word is found by the kernel within a minute (nine probes on Linux), while nothing is asked of it; else by the command's time limit.
        TcpKeepAlive = true,
        TcpKeepAliveTime = 15,
        TcpKeepAliveInterval = 5,
    };

    private static int Seconds(TimeSpan time) => Math.Max(1, (int)Math.Ceiling(time.TotalSeconds));
}
