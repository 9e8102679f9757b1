using Mooring.Configuration;

namespace Mooring.Stores.Sqlite;

/// <summary>How the embedded store works. Fixed for the life of the process.</summary>
internal sealed record SqliteStoreOptions
{
    /// <summary>Where <c>mooring.db</c> and <c>mooring.lock</c> lie; made if missing, readable by its owner only.</summary>
    public required string Directory { get; init; }

    /// <summary>Writes that may wait for the writer; further callers wait, in order, until there is room.</summary>
    /// <value>Default 4,096: sixteen full batches, so the writer never runs dry under load, and a bounded number of bodies in memory.</value>
    public int QueueLength { get; init; } = 4096;

    /// <summary>Operations committed together at most.</summary>
    /// <value>Default 256. The time per operation hardly falls beyond 32; the rest is for bursts.</value>
    public int BatchOperations { get; init; } = 256;

    /// <summary>Once a batch took this long it is committed, whatever still waits.</summary>
    /// <value>Default 2 ms, which bounds what grouping can add to the latency of one write.</value>
    public TimeSpan BatchTime { get; init; } = TimeSpan.FromMilliseconds(2);

    /// <summary>Threads, each with a connection of its own, that answer reads.</summary>
    /// <value>Default 2: a long replay does not hold up the look-up of a session.</value>
    public int Readers { get; init; } = 2;

    /// <summary>How long to wait for another program (a <c>token</c> command, a backup) that holds the file's write lock.</summary>
    /// <value>Default 5 s.</value>
    public TimeSpan LockWait { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Whether a gateway may have the directory open too: for tools, which only look something up or change a row.</summary>
    public bool IsBeside { get; init; }

    /// <summary>Largest size of the file in pages of 4 kB; null: only the disk bounds it. How tests fill the store.</summary>
    public int? MaxPages { get; init; }

    public string DatabasePath => Path.Combine(Directory, DataDirectories.StoreFile);

    public string LockPath => Path.Combine(Directory, "mooring.lock");

    /// <summary>Holds the number of the process that has the lock, for the message to the next one.</summary>
    public string OwnerPath => Path.Combine(Directory, "mooring.pid");
}
