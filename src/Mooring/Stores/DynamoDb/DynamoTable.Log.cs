using Microsoft.Extensions.Logging;

namespace Mooring.Stores.DynamoDb;

internal sealed partial class DynamoTable
{
    private static partial class Log
    {
        [LoggerMessage(1321, LogLevel.Debug, "{Name}: opened.", EventName = "StoreOpened")]
        public static partial void Opened(ILogger logger, string name);

        [LoggerMessage(1322, LogLevel.Error, "The store is away: {Reason} It is tried again until it is back.", EventName = "StoreAway")]
        public static partial void Away(ILogger logger, string reason);

        [LoggerMessage(1323, LogLevel.Information, "{Name} is back after {Seconds:0.0} s.", EventName = "StoreBack")]
        public static partial void Back(ILogger logger, string name, double seconds);

        [LoggerMessage(1324, LogLevel.Information, "{Name} was not there and was made.", EventName = "TableMade")]
        public static partial void Made(ILogger logger, string name);

        [LoggerMessage(1325, LogLevel.Warning, "{Name} has no TTL: {Reason} What has expired is not served and is swept up, but remains of what a process left behind stay in the table. Switch TTL on for the attribute \"expires\".", EventName = "TableWithoutTtl")]
        public static partial void NoTtl(ILogger logger, string name, string reason);
    }
}
