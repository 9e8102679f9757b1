using Npgsql;

namespace Mooring.Configuration;

/// <summary>How to reach PostgreSQL, as text. What is wrong with it is said without repeating it: it may hold a password.</summary>
internal static class PostgresConnectionText
{
    /// <summary>Completes "store.connection …"; null when the text is fine.</summary>
    public static string? ProblemOf(string text)
    {
        NpgsqlConnectionStringBuilder builder;
        try
        {
            builder = new NpgsqlConnectionStringBuilder(text);
        }
        catch (Exception e) when (e is ArgumentException or FormatException or InvalidCastException or OverflowException)
        {
            var word = text.Split(';').Select(part => part.Split('=')[0].Trim()).FirstOrDefault(key => key.Length > 0 && !IsKnown(key));
            return "must be a PostgreSQL connection such as Host=db;Database=mooring;Username=mooring;Password=${DB_PASSWORD}"
                + (word is null || !text.Contains('=', StringComparison.Ordinal) || word.Contains("://", StringComparison.Ordinal) ? "." : $"; \"{word}\" is no word of it.");
        }

        return string.IsNullOrWhiteSpace(builder.Host) ? "names no Host."
            : builder.Multiplexing ? "asks for Multiplexing, which the store does not work with; leave it out."
            : null;
    }

    private static bool IsKnown(string key)
    {
        try
        {
            return new NpgsqlConnectionStringBuilder().ContainsKey(key);
        }
        catch (Exception e) when (e is ArgumentException or KeyNotFoundException)
        {
            return false;
        }
    }
}
