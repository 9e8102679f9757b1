using Microsoft.Extensions.Logging;

namespace Mooring.Stores.Postgres;

internal sealed partial class PostgresDatabase
{
    private static partial class Log
    {
        [LoggerMessage(1261, LogLevel.Debug, "{Name}: opened, schema version {Before} → {After}.", EventName = "StoreOpened")]
        public static partial void Opened(ILogger logger, string name, int before, int after);

        [LoggerMessage(1262, LogLevel.Error, "The store is away: {Reason} It is tried again until it is back.", EventName = "StoreAway")]
        public static partial void Away(ILogger logger, string reason);

        [LoggerMessage(1263, LogLevel.Information, "{Name} is back after {Seconds:0.0} s.", EventName = "StoreBack")]
        public static partial void Back(ILogger logger, string name, double seconds);

        [LoggerMessage(1264, LogLevel.Error, "{Name} is full: {Reason}", EventName = "StoreFull")]
        public static partial void Full(ILogger logger, string name, string reason);

        [LoggerMessage(1265, LogLevel.Information, "{Name} has room again after {Seconds:0.0} s.", EventName = "StoreHasRoom")]
        public static partial void HasRoom(ILogger logger, string name, double seconds);
    }
}
