using Microsoft.Extensions.Logging.Console;
using Mooring.Configuration;

namespace Mooring.Host;

/// <summary>Logs go to stderr, one line each; <c>logLevel</c> is followed while running.</summary>
internal static class LogSetup
{
    /// <summary>Where the host reports a failed start, with its trace; the verb itself says it in one line.</summary>
    private const string HostCategory = "Microsoft.Extensions.Hosting.Internal.Host";

    /// <summary>
    /// Begins and ends of requests, never above "information". They have the query, in which codes and tickets stand, so they are not logged at any level. Where
    /// even "critical" is on, the web server makes an activity and a log scope for each request, a tenth of what a forwarded call allocates; those who trace get
    /// activities all the same.
    /// </summary>
    private const string RequestCategory = "Microsoft.AspNetCore.Hosting.Diagnostics";

    public static void Apply(ILoggingBuilder logging, ConfigStore store, Func<bool> started)
    {
        var level = Parse(store.Current.LogLevel);
        store.OnChange((_, next) => level = Parse(next.LogLevel));
        logging.SetMinimumLevel(LogLevel.Trace);
        logging.AddFilter((category, wanted) => wanted >= Floor(category, level) && (category != HostCategory || started()));
        logging.AddSimpleConsole(options =>
        {
            options.SingleLine = true;
            options.UseUtcTimestamp = true;
            options.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
            options.ColorBehavior = LoggerColorBehavior.Disabled;
        });
        // stdout belongs to what a verb prints.
        logging.Services.Configure<ConsoleLoggerOptions>(options =>
        {
            options.LogToStandardErrorThreshold = LogLevel.Trace;
            // Lines are lost (and counted) where nobody reads them; to wait for the reader would hold up every connection.
            options.QueueFullMode = ConsoleLoggerQueueFullMode.DropWrite;
        });
    }

    // Web server and connectors tell about each request at "information"; that is for those who look into the machinery.
    private static LogLevel Floor(string? category, LogLevel level)
    {
        if (category == RequestCategory)
        {
            return LogLevel.None;
        }

        if (category is null || level <= LogLevel.Debug)
        {
            return level;
        }

        var isTalkative = category.StartsWith("Microsoft.", StringComparison.Ordinal) || category.StartsWith("ModelContextProtocol.", StringComparison.Ordinal);
        return isTalkative && level < LogLevel.Warning ? LogLevel.Warning : level;
    }

    private static LogLevel Parse(string text) => Enum.Parse<LogLevel>(text, ignoreCase: true);
}
