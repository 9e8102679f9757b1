using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using Npgsql;

namespace Mooring.Stores.Postgres;

/// <summary>What a failure means: the connection, the time, a conflict that may be tried again, or the statement itself.</summary>
internal static class PostgresFailure
{
    /// <summary>The connection is gone, or was never made; nobody knows what became of what was under way.</summary>
    public static bool IsConnection(Exception failure) => !IsTimeout(failure) && failure switch
    {
        // Class 08: connection exceptions. 57P01 to 57P05: the server ends the session, stops or starts. 53300: too many connections.
        PostgresException refused => refused.SqlState.StartsWith("08", StringComparison.Ordinal)
            || refused.SqlState is "57P01" or "57P02" or "57P03" or "57P05" or PostgresErrorCodes.TooManyConnections,
        NpgsqlException or IOException or SocketException => true,
        _ => false,
    };

    public static bool IsTimeout(Exception failure) => failure switch
    {
        PostgresException refused => refused.SqlState == PostgresErrorCodes.QueryCanceled,
        NpgsqlException { InnerException: TimeoutException } or TimeoutException => true,
        _ => false,
    };

    /// <summary>There is no room for what was to be written. Questions are answered all the same.</summary>
    public static bool IsFull(Exception failure) => failure is PostgresException { SqlState: PostgresErrorCodes.DiskFull };

    /// <summary>Two transactions were in each other's way; the one that was rolled back goes through when tried again.</summary>
    public static bool IsConflict(Exception? failure) =>
        failure is PostgresException { SqlState: PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure };

    /// <summary>Whether trying to connect, or to use the connection, failed for a reason that concerns the database as a whole.</summary>
    public static bool IsOurs(Exception failure) =>
        failure is NpgsqlException or IOException or SocketException or TimeoutException
            // Certificates: somebody mends them without knowing of us.
            or AuthenticationException or CryptographicException or UnauthorizedAccessException;

    /// <summary>In words, with what to do about it where that is known. Holds no part of the connection's text.</summary>
    public static string Describe(Exception failure) => failure switch
    {
        PostgresException refused => $"{refused.MessageText.TrimEnd('.')} (SQLSTATE {refused.SqlState}).{AdviceOn(refused.SqlState)}",
        _ when IsTimeout(failure) => "no answer in time.",
        { InnerException: SocketException inner } => inner.Message.TrimEnd('.') + ".",
        { InnerException: { } inner } => $"{failure.Message.TrimEnd('.')}: {inner.Message.TrimEnd('.')}.",
        _ => failure.Message.TrimEnd('.') + ".",
    };

    private static string AdviceOn(string state) => state switch
    {
        "28P01" or "28000" => " Check the user and the password in store.connection, and the server's pg_hba.conf.",
        "3D000" => " Create the database, or name another one in store.connection.",
        "53300" => " Lower store.maxConnections, or raise the server's max_connections.",
        "42501" => " Give the user the right to create in the database, or create the schema \"mooring\" for it.",
        "25006" => " This server is a read-only standby; connect to the primary (Target Session Attributes=primary).",
        "53100" => " Make room; the store goes on by itself.",
        _ => string.Empty,
    };
}
