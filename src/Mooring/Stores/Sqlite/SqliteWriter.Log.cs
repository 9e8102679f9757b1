using Microsoft.Extensions.Logging;

namespace Mooring.Stores.Sqlite;

internal sealed partial class SqliteWriter
{
    private static partial class Log
    {
        [LoggerMessage(1241, LogLevel.Debug, "Store {Path} opened, schema version {Before} → {After}.", EventName = "StoreOpened")]
        public static partial void Opened(ILogger logger, string path, int before, int after);

        [LoggerMessage(1242, LogLevel.Error, "Writing to the store fails until further notice: {Reason}", EventName = "StoreWritesFail")]
        public static partial void WritesFail(ILogger logger, string reason);

        [LoggerMessage(1243, LogLevel.Information, "Writing to the store {Path} works again.", EventName = "StoreWritesSucceedAgain")]
        public static partial void WritesSucceedAgain(ILogger logger, string path);
    }
}
