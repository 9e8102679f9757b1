using Microsoft.Extensions.Logging;

namespace Mooring.Upstreams.Stdio;

internal sealed partial class ProcessGuard
{
    private static partial class Log
    {
        [LoggerMessage(1361, LogLevel.Warning, "No shell to guard servers with: if the gateway is killed, servers that ignore the end of their input stay behind.", EventName = "GuardMissing")]
        public static partial void NoHelper(ILogger logger);

        [LoggerMessage(1362, LogLevel.Warning, "The guard of servers could not be started (system error {Error}); it is tried again.", EventName = "GuardNotStarted")]
        public static partial void HelperDidNotStart(ILogger logger, int error);

        [LoggerMessage(1363, LogLevel.Warning, "The guard of servers ended (exit code {Code}); another one is started.", EventName = "GuardEnded")]
        public static partial void HelperEnded(ILogger logger, int code);

        [LoggerMessage(1364, LogLevel.Warning, "The guard of servers (process {ProcessId}) is still at work; the gateway does not wait any longer.", EventName = "GuardStillRunning")]
        public static partial void HelperDidNotEnd(ILogger logger, int processId);
    }
}
