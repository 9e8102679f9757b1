using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Npgsql;
using NpgsqlTypes;

namespace Mooring.Stores.Postgres;

/// <summary>
/// Values on their way in and out. PostgreSQL has no text with a NUL in it, but a subject or a task's id may have one: it is written
/// <c>\0</c>, and a backslash <c>\\</c>, so that different texts stay different.
/// </summary>
internal static partial class PostgresValues
{
    public static NpgsqlParameterCollection Text(this NpgsqlParameterCollection to, string? value)
    {
        to.Add(new NpgsqlParameter<string?> { TypedValue = Escape(value), NpgsqlDbType = NpgsqlDbType.Text });
        return to;
    }

    public static NpgsqlParameterCollection Number(this NpgsqlParameterCollection to, long value)
    {
        to.Add(new NpgsqlParameter<long> { TypedValue = value, NpgsqlDbType = NpgsqlDbType.Bigint });
        return to;
    }

    public static NpgsqlParameterCollection Time(this NpgsqlParameterCollection to, DateTimeOffset value) => to.Number(value.UtcTicks);

    public static NpgsqlParameterCollection TimeOrNull(this NpgsqlParameterCollection to, DateTimeOffset? value)
    {
        to.Add(new NpgsqlParameter<long?> { TypedValue = value?.UtcTicks, NpgsqlDbType = NpgsqlDbType.Bigint });
        return to;
    }

    public static NpgsqlParameterCollection Span(this NpgsqlParameterCollection to, TimeSpan value)
    {
        to.Add(new NpgsqlParameter<TimeSpan> { TypedValue = value, NpgsqlDbType = NpgsqlDbType.Interval });
        return to;
    }

    public static NpgsqlParameterCollection Flag(this NpgsqlParameterCollection to, bool value)
    {
        to.Add(new NpgsqlParameter<bool> { TypedValue = value, NpgsqlDbType = NpgsqlDbType.Boolean });
        return to;
    }

    public static NpgsqlParameterCollection Bytes(this NpgsqlParameterCollection to, ReadOnlyMemory<byte> value)
    {
        to.Add(new NpgsqlParameter<ReadOnlyMemory<byte>> { TypedValue = value, NpgsqlDbType = NpgsqlDbType.Bytea });
        return to;
    }

    public static NpgsqlParameterCollection Texts<T>(this NpgsqlParameterCollection to, IReadOnlyList<T> all, Func<T, string?> value) =>
        Array(to, all, item => Escape(value(item)), NpgsqlDbType.Text);

    public static NpgsqlParameterCollection Numbers<T>(this NpgsqlParameterCollection to, IReadOnlyList<T> all, Func<T, long> value) =>
        Array(to, all, value, NpgsqlDbType.Bigint);

    public static NpgsqlParameterCollection Numbers<T>(this NpgsqlParameterCollection to, IReadOnlyList<T> all, Func<T, long?> value) =>
        Array(to, all, value, NpgsqlDbType.Bigint);

    public static NpgsqlParameterCollection Smalls<T>(this NpgsqlParameterCollection to, IReadOnlyList<T> all, Func<T, short?> value) =>
        Array(to, all, value, NpgsqlDbType.Smallint);

    public static NpgsqlParameterCollection Bodies<T>(this NpgsqlParameterCollection to, IReadOnlyList<T> all, Func<T, byte[]?> value) =>
        Array(to, all, value, NpgsqlDbType.Bytea);

    /// <summary>A list as one text; an empty one as null, so that partial indexes can leave it out.</summary>
    public static string? List(IReadOnlyList<string> values) =>
        values.Count == 0 ? null : JsonSerializer.Serialize([.. values], TextLists.Default.StringArray);

    public static string Text(this NpgsqlDataReader row, int column) => Unescape(row.GetString(column));

    public static string? TextOrNull(this NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.Text(column);

    public static byte[] Bytes(this NpgsqlDataReader row, int column) => row.GetFieldValue<byte[]>(column);

    public static DateTimeOffset Time(this NpgsqlDataReader row, int column) => new(row.GetInt64(column), TimeSpan.Zero);

    public static IReadOnlyList<string> List(this NpgsqlDataReader row, int column) =>
        row.IsDBNull(column) ? [] : JsonSerializer.Deserialize(row.Text(column), TextLists.Default.StringArray) ?? [];

    internal static string? Escape(string? text) => text is null || text.AsSpan().IndexOfAny('\\', '\0') < 0
        ? text
        : text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\0", "\\0", StringComparison.Ordinal);

    internal static string Unescape(string text)
    {
        var at = text.IndexOf('\\', StringComparison.Ordinal);
        if (at < 0)
        {
            return text;
        }

        var plain = new StringBuilder(text, 0, at, text.Length);
        for (; at < text.Length; at++)
        {
            plain.Append(text[at] != '\\' ? text[at] : text[++at] == '0' ? '\0' : text[at]); // what follows a backslash is there: we wrote it
        }

        return plain.ToString();
    }

    private static NpgsqlParameterCollection Array<T, TValue>(NpgsqlParameterCollection to, IReadOnlyList<T> all, Func<T, TValue> value, NpgsqlDbType type)
    {
        var values = new TValue[all.Count];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = value(all[i]);
        }

        to.Add(new NpgsqlParameter<TValue[]> { TypedValue = values, NpgsqlDbType = NpgsqlDbType.Array | type });
        return to;
    }

    [JsonSerializable(typeof(string[]))]
    private sealed partial class TextLists : JsonSerializerContext;
}
