using Microsoft.Extensions.Logging;

namespace Mooring.Connectors.Docs;

/// <summary>
/// Tells that something changed in the content folder, not what: the scan finds that out. Owned and called by the loop of
/// <see cref="DocsIndex"/> alone. Where the platform cannot watch (limits, network file systems) the periodic scan does it alone.
/// </summary>
internal sealed partial class ContentWatcher(Action changed, ILogger logger) : IDisposable
{
    private FileSystemWatcher? _watcher;
    private bool _gaveUp;

    /// <summary>Watches the folder, or the one it is linked to now. Cheap when that is watched already.</summary>
    public void Watch(string path)
    {
        if (_gaveUp)
        {
            return;
        }

        try
        {
            var real = ContentRoot.Open(path).RealPath;
            if (_watcher?.Path == real)
            {
                return;
            }

            _watcher?.Dispose();
            _watcher = new FileSystemWatcher(real) { IncludeSubdirectories = true };
            _watcher.Changed += OnEvent;
            _watcher.Created += OnEvent;
            _watcher.Deleted += OnEvent;
            _watcher.Renamed += OnEvent;
            _watcher.Error += OnError;
            _watcher.EnableRaisingEvents = true;
            // What changed between the last scan and now was not reported.
            changed();
        }
        catch (DirectoryNotFoundException)
        {
            // Away just now. The periodic scan says so in the log, and the next call tries again.
            Drop();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException or PlatformNotSupportedException)
        {
            // Commonly fs.inotify.max_user_instances or max_user_watches is used up.
            Log.NotWatched(logger, path, DocsIndex.ScanInterval.TotalSeconds, error.Message);
            _gaveUp = true;
            Drop();
        }
    }

    public void Dispose() => Drop();

    private void Drop()
    {
        _watcher?.Dispose();
        _watcher = null;
    }

    private void OnEvent(object sender, FileSystemEventArgs e)
    {
        // Version control and package folders change often and hold no pages.
        var first = e.Name is { } name ? name.AsSpan(0, name.IndexOf(Path.DirectorySeparatorChar) is >= 0 and var end ? end : name.Length) : default;
        if (first is not (".git" or "node_modules"))
        {
            changed();
        }
    }

    /// <summary>Events were lost, or the folder is gone: look for everything.</summary>
    private void OnError(object sender, ErrorEventArgs e) => changed();

    private static partial class Log
    {
        [LoggerMessage(1190, LogLevel.Warning, "Docs folder '{Folder}' cannot be watched; changes are seen at the next scan, every {Seconds} s: {Problem}", EventName = "DocsNotWatched")]
        public static partial void NotWatched(ILogger logger, string folder, double seconds, string problem);
    }
}
