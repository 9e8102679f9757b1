using Microsoft.Extensions.Logging;

namespace Mooring.Configuration;

internal sealed partial class ConfigWatcher
{
    private static partial class Log
    {
        [LoggerMessage(1101, LogLevel.Information, "Configuration {File} reloaded; changed: {Settings}.", EventName = "ConfigReloaded")]
        public static partial void Reloaded(ILogger logger, string? file, string settings);

        [LoggerMessage(1102, LogLevel.Error, "Configuration: {Path} (line {Line}) {Problem}", EventName = "ConfigError")]
        public static partial void Error(ILogger logger, string path, int? line, string problem);

        [LoggerMessage(1103, LogLevel.Warning, "Configuration: {Path} (line {Line}) {Problem}", EventName = "ConfigWarning")]
        public static partial void Warning(ILogger logger, string path, int? line, string problem);

        [LoggerMessage(1104, LogLevel.Error, "Configuration {File} has errors; the one in force stays.", EventName = "ConfigKept")]
        public static partial void KeptOld(ILogger logger, string? file);

        [LoggerMessage(1105, LogLevel.Warning, "Configuration: {Path} changed, which takes effect at the next start only.", EventName = "ConfigNeedsRestart")]
        public static partial void NeedsRestart(ILogger logger, string path);

        [LoggerMessage(1106, LogLevel.Error, "A part of the gateway could not take over the new configuration.", EventName = "ConfigCallbackFailed")]
        public static partial void CallbackFailed(ILogger logger, Exception exception);

        [LoggerMessage(1107, LogLevel.Error, "The configuration could not be loaded again; the one in force stays.", EventName = "ConfigLoadFailed")]
        public static partial void LoadFailed(ILogger logger, Exception exception);
    }
}
