using Microsoft.Extensions.Logging;

namespace Mooring.Connectors.Docs;

internal sealed partial class DocsIndex
{
    private static partial class Log
    {
        [LoggerMessage(1161, LogLevel.Information, "Docs '{Folder}': {Pages} pages, {Read} files read, {Removed} removed, in {Milliseconds:F0} ms.", EventName = "DocsIndexed")]
        public static partial void Indexed(ILogger logger, string folder, int pages, int read, int removed, double milliseconds);

        [LoggerMessage(1162, LogLevel.Warning, "Docs file '{File}' is left out: {Problem}.", EventName = "DocsFileSkipped")]
        public static partial void FileSkipped(ILogger logger, string file, string problem);

        [LoggerMessage(1163, LogLevel.Warning, "Docs: {Warning}.", EventName = "DocsIncludeUnresolved")]
        public static partial void IncludeUnresolved(ILogger logger, string warning);

        [LoggerMessage(1164, LogLevel.Warning, "Docs folder '{Folder}' cannot be read, its last known pages stay: {Problem}", EventName = "DocsFolderUnreadable")]
        public static partial void FolderUnreadable(ILogger logger, string folder, string problem);

        [LoggerMessage(1165, LogLevel.Warning, "Docs subfolder '{Folder}' is left out: {Problem}", EventName = "DocsSubfolderSkipped")]
        public static partial void FolderSkipped(ILogger logger, string folder, string problem);

        [LoggerMessage(1166, LogLevel.Warning, "Docs folder '{Folder}' holds more than {Limit} pages; the rest is left out. Narrow it with include or exclude.", EventName = "DocsTooManyPages")]
        public static partial void TooManyPages(ILogger logger, string folder, int limit);

        [LoggerMessage(1167, LogLevel.Warning, "Docs file '{File}' asks for the route {Wanted}, which another file has; it is served as {Route}.", EventName = "DocsRouteContested")]
        public static partial void RouteContested(ILogger logger, string file, string wanted, string route);

        [LoggerMessage(1168, LogLevel.Error, "Docs indexing stopped; changes of the files are no longer seen.", EventName = "DocsLoopFailed")]
        public static partial void LoopFailed(ILogger logger, Exception error);

        [LoggerMessage(1169, LogLevel.Error, "Docs folder '{Folder}' could not be indexed; its last known pages stay.", EventName = "DocsScanFailed")]
        public static partial void ScanFailed(ILogger logger, Exception error, string folder);
    }
}
