namespace Mooring.Vault;

internal sealed partial class Tokens
{
    private static partial class Log
    {
        [LoggerMessage(1461, LogLevel.Warning, "A token of {Provider} was not refreshed: {Why}. It is tried again.", EventName = "TokenNotRefreshed")]
        public static partial void NotRefreshed(ILogger logger, string provider, string why);

        [LoggerMessage(1462, LogLevel.Warning, "{Provider} takes a token back ({Why}); its user has to link the account again.", EventName = "TokenRefused")]
        public static partial void Refused(ILogger logger, string provider, string why);

        [LoggerMessage(1464, LogLevel.Warning, "A new token of {Provider} cannot be written: {Why}. It is kept and tried again until it can.", EventName = "TokenNotWritten")]
        public static partial void NotWritten(ILogger logger, string provider, string why);

        [LoggerMessage(1463, LogLevel.Error, "Refreshing a token of {Provider} failed.", EventName = "TokenRefreshFailed")]
        public static partial void Failed(ILogger logger, Exception exception, string provider);
    }
}
