using SQLitePCL;
using static SQLitePCL.raw;

namespace Mooring.Stores.Sqlite;

/// <summary>One connection with its prepared statements. Made, used and disposed by exactly one thread.</summary>
/// <remarks>
/// Speaks to SQLite through its C interface rather than ADO.NET: blobs are bound from spans without a copy into an array, and a
/// statement costs no objects. That is most of the cost of appending a small event.
/// </remarks>
internal sealed class SqliteDatabase : IDisposable
{
    private readonly sqlite3 _handle;
    private readonly Dictionary<string, SqliteStatement> _statements = new(StringComparer.Ordinal);

    private SqliteDatabase(sqlite3 handle, string path)
    {
        _handle = handle;
        Path = path;
    }

    public string Path { get; }

    /// <summary>Whether an error was seen after which the connection itself is not to be trusted; its owner opens a new one.</summary>
    public bool Broken { get; private set; }

    /// <summary>Whether the last failure was that the disk, or the file's limit, is full.</summary>
    public bool Full { get; private set; }

    public bool InTransaction => sqlite3_get_autocommit(_handle) == 0;

    /// <summary>Rows changed by the last statement.</summary>
    public int Changes => sqlite3_changes(_handle);

    public long LastRow => sqlite3_last_insert_rowid(_handle);

    /// <summary>Opens the file, which <see cref="SqliteStore"/> made beforehand.</summary>
    public static SqliteDatabase Open(SqliteStoreOptions options)
    {
        Batteries_V2.Init();
        // NOMUTEX: one thread per connection, so SQLite need not lock around each call.
        var result = sqlite3_open_v2(options.DatabasePath, out var handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, null);
        var database = new SqliteDatabase(handle, options.DatabasePath);
        try
        {
            database.Check(result);
            sqlite3_extended_result_codes(handle, 1);
            sqlite3_busy_timeout(handle, (int)options.LockWait.TotalMilliseconds);
            database.Configure(options);
            return database;
        }
        catch
        {
            database.Dispose();
            throw;
        }
    }

    /// <summary>The prepared statement of this text, ready to be bound. Disposing it makes it ready for the next use.</summary>
    public SqliteStatement Use(string sql)
    {
        if (!_statements.TryGetValue(sql, out var statement))
        {
            Check(sqlite3_prepare_v3(_handle, sql, SQLITE_PREPARE_PERSISTENT, out var prepared));
            _statements[sql] = statement = new SqliteStatement(this, prepared);
        }

        return statement;
    }

    /// <summary>Runs one or more statements that need no parameters and are not worth keeping.</summary>
    public void Execute(string sql) => Check(sqlite3_exec(_handle, sql));

    /// <summary>Runs a prepared statement without parameters or rows.</summary>
    public void Run(string sql)
    {
        using var statement = Use(sql);
        statement.Run();
    }

    public void RollBack()
    {
        // Out of space and I/O errors may have rolled back already.
        if (InTransaction)
        {
            Run("rollback");
        }
    }

    /// <summary>Throws what SQLite reports as a <see cref="StoreException"/> naming the file.</summary>
    public void Check(int result)
    {
        if (result is SQLITE_OK or SQLITE_ROW or SQLITE_DONE)
        {
            return;
        }

        var primary = result & 0xFF;
        Full = primary == SQLITE_FULL;
        Broken |= primary is SQLITE_IOERR or SQLITE_CORRUPT or SQLITE_NOTADB or SQLITE_CANTOPEN or SQLITE_READONLY or SQLITE_INTERNAL;
        var text = _handle.IsInvalid ? sqlite3_errstr(result).utf8_to_string() : sqlite3_errmsg(_handle).utf8_to_string();
        var advice = primary switch
        {
            SQLITE_FULL => " Make room; the store goes on by itself.",
            SQLITE_CORRUPT or SQLITE_NOTADB => " The file is damaged or not a store of the gateway: restore it from a backup or move it away.",
            SQLITE_BUSY => " Another program holds its write lock.",
            SQLITE_READONLY or SQLITE_CANTOPEN or SQLITE_PERM => " Check who owns the file and its directory.",
            _ => string.Empty,
        };
        throw new StoreException($"The store file '{Path}' failed: {text} (SQLite error {result}).{advice}");
    }

    public void Dispose()
    {
        foreach (var statement in _statements.Values)
        {
            statement.Close();
        }

        _statements.Clear();
        _handle.Dispose();
    }

    private void Configure(SqliteStoreOptions options)
    {
        using (var mode = Use("pragma journal_mode = wal"))
        {
            if (mode.Step() && mode.Text(0) is not "wal")
            {
                throw new StoreException($"The store file '{Path}' cannot use a write-ahead log: its file system lacks shared memory. Use a local disk.");
            }
        }

        // NORMAL: survives the end of the process at any point; a power cut may lose the last commits, never consistency.
        // The log is folded into the file every 4,000 pages (16 MB) instead of 1,000: that waits for the disk, and measured six times
        // fewer writes of over 5 ms. Cache in kB, size limit of an idle log in bytes.
        Execute("pragma synchronous = normal; pragma temp_store = memory; pragma cache_size = -8000");
        Execute("pragma wal_autocheckpoint = 4000; pragma journal_size_limit = 33554432");
        if (options.MaxPages is { } pages)
        {
            Execute($"pragma max_page_count = {pages}");
        }
    }
}
