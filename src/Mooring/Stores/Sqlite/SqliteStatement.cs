using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using SQLitePCL;
using static SQLitePCL.raw;

namespace Mooring.Stores.Sqlite;

/// <summary>One prepared statement, kept by its <see cref="SqliteDatabase"/>. Disposing resets it; <see cref="Close"/> ends it.</summary>
/// <remarks>
/// Text goes in and comes out by length, so a NUL inside an identity is kept instead of ending it early. Times are UTC ticks
/// (100 ns), lists of strings are JSON arrays.
/// </remarks>
internal sealed partial class SqliteStatement(SqliteDatabase database, sqlite3_stmt handle) : IDisposable
{
    private const int StackLimit = 512;
    private int _next = 1;

    /// <summary>Binds the next parameter, in the order of the question marks. Also the other overloads.</summary>
    public SqliteStatement Bind(long value)
    {
        database.Check(sqlite3_bind_int64(handle, _next++, value));
        return this;
    }

    public SqliteStatement Bind(DateTimeOffset value) => Bind(value.UtcTicks);

    public SqliteStatement Bind(ReadOnlySpan<byte> value)
    {
        // An empty span has no address, which SQLite would take for NULL.
        database.Check(value.IsEmpty ? sqlite3_bind_zeroblob(handle, _next++, 0) : sqlite3_bind_blob(handle, _next++, value));
        return this;
    }

    public SqliteStatement Bind(string? value)
    {
        if (value is null)
        {
            database.Check(sqlite3_bind_null(handle, _next++));
            return this;
        }

        var size = Encoding.UTF8.GetMaxByteCount(value.Length);
        byte[]? rented = null;
        var buffer = size <= StackLimit ? stackalloc byte[StackLimit] : (rented = ArrayPool<byte>.Shared.Rent(size));
        var written = Encoding.UTF8.GetBytes(value, buffer);
        // An empty span would be NULL here too; this overload passes the address of a terminator.
        var result = written == 0 ? sqlite3_bind_text(handle, _next++, string.Empty) : sqlite3_bind_text(handle, _next++, buffer[..written]);
        if (rented is not null)
        {
            ArrayPool<byte>.Shared.Return(rented);
        }

        database.Check(result);
        return this;
    }

    /// <summary>Binds a list; an empty one as NULL, so that partial indexes can leave it out.</summary>
    public SqliteStatement Bind(IReadOnlyList<string> values) =>
        Bind(values.Count == 0 ? null : JsonSerializer.Serialize([.. values], StringLists.Default.StringArray));

    /// <summary>Goes to the next row. Returns false after the last one.</summary>
    public bool Step()
    {
        var result = sqlite3_step(handle);
        database.Check(result);
        return result == SQLITE_ROW;
    }

    /// <summary>Runs to the end a statement whose rows do not matter. Returns the number of changed rows.</summary>
    public int Run()
    {
        while (Step())
        {
        }

        return database.Changes;
    }

    public bool IsNull(int column) => sqlite3_column_type(handle, column) == SQLITE_NULL;

    public long Number(int column) => sqlite3_column_int64(handle, column);

    public DateTimeOffset Time(int column) => new(Number(column), TimeSpan.Zero);

    public byte[] Bytes(int column) => sqlite3_column_blob(handle, column).ToArray();

    public string Text(int column) => Encoding.UTF8.GetString(sqlite3_column_blob(handle, column));

    public string? TextOrNull(int column) => IsNull(column) ? null : Text(column);

    public IReadOnlyList<string> Texts(int column) =>
        IsNull(column) ? [] : JsonSerializer.Deserialize(sqlite3_column_blob(handle, column), StringLists.Default.StringArray) ?? [];

    public void Dispose()
    {
        // The result repeats the error of the last step, which was thrown there.
        sqlite3_reset(handle);
        sqlite3_clear_bindings(handle);
        _next = 1;
    }

    public void Close() => handle.Dispose();

    [JsonSerializable(typeof(string[]))]
    private sealed partial class StringLists : JsonSerializerContext;
}
