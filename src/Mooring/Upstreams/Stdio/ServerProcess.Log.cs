using Microsoft.Extensions.Logging;

namespace Mooring.Upstreams.Stdio;

internal sealed partial class ServerProcess
{
    private static partial class Log
    {
        [LoggerMessage(1381, LogLevel.Debug, "Server {Server} started as process {ProcessId}.", EventName = "ServerProcessStarted")]
        public static partial void Started(ILogger logger, string server, int processId);

        [LoggerMessage(1382, LogLevel.Debug, "Server {Server} (process {ProcessId}) ended with {Exit}.", EventName = "ServerProcessEnded")]
        public static partial void Ended(ILogger logger, string server, int processId, ProcessExit exit);

        [LoggerMessage(1383, LogLevel.Information, "{Server}: {Line}", EventName = "ServerErrorOutput")]
        public static partial void ErrorLine(ILogger logger, string server, string line);

        [LoggerMessage(1384, LogLevel.Warning, "{Server}: {Count} lines of its error output were left out, it writes too many.", EventName = "ServerErrorOutputLeftOut")]
        public static partial void LinesLeftOut(ILogger logger, string server, long count);

        [LoggerMessage(1385, LogLevel.Information, "Server {Server} (process {ProcessId}) did not end when its input was closed; sending SIGTERM.", EventName = "ServerProcessTerminated")]
        public static partial void Terminating(ILogger logger, string server, int processId);

        [LoggerMessage(1386, LogLevel.Warning, "Server {Server} (process {ProcessId}) does not end; killing it.", EventName = "ServerProcessKilled")]
        public static partial void Killing(ILogger logger, string server, int processId);

        [LoggerMessage(1387, LogLevel.Error, "Server {Server} (process {ProcessId}) is still there after SIGKILL (stuck in the system); giving it up.", EventName = "ServerProcessStuck")]
        public static partial void Stuck(ILogger logger, string server, int processId);
    }
}
