using System.Runtime.InteropServices;

namespace Mooring.Host.Lifetime;

internal sealed partial class SignalLifetime
{
    private static partial class Log
    {
        [LoggerMessage(1121, LogLevel.Information, "{Signal}: stopping; once more ends the process at once.", EventName = "StopSignal")]
        public static partial void Signal(ILogger logger, PosixSignal signal);

        [LoggerMessage(1122, LogLevel.Error, "The drain failed; stopping without it.", EventName = "DrainFailed")]
        public static partial void DrainFailed(ILogger logger, Exception exception);
    }
}
