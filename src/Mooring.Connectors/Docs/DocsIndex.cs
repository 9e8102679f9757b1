using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace Mooring.Connectors.Docs;

/// <summary>
/// The pages of one content folder, kept up to date. Made and disposed by <see cref="DocsConnector"/>; any number of sessions read it
/// at once. One loop scans: at the start, shortly after the file system reports a change, and from time to time, since network and
/// container file systems report nothing. A scan reads only the files whose stamp changed.
/// </summary>
internal sealed partial class DocsIndex : IAsyncDisposable
{
    /// <summary>How often the folder is looked through without any report of a change. 500 files take about 10 ms.</summary>
    public static readonly TimeSpan ScanInterval = TimeSpan.FromSeconds(30);

    /// <summary>How long after a report the scan waits, so that a checkout of many files is one scan and not hundreds.</summary>
    public static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(200);

    /// <summary>How long a request waits for the very first scan; clients commonly give up after 60 s.</summary>
    private static readonly TimeSpan FirstScanWait = TimeSpan.FromSeconds(30);

    private readonly DocsSettings _settings;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _scanned = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Channel<Wake> _wake = Channel.CreateBounded<Wake>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>One scan at a time. Guards <see cref="_pages"/>.</summary>
    private readonly SemaphoreSlim _scanning = new(1, 1);
    private readonly KnownPages _pages;

    /// <summary>Guards the pair of <see cref="_table"/> and <see cref="_snapshot"/>: whoever holds it sees both of one scan.</summary>
    private readonly Lock _pair = new();
    private SearchTable? _table;
    private DocsSnapshot _snapshot = DocsSnapshot.Empty;
    private string? _unavailable;

    private readonly Lock _starting = new();
    private Task? _loop;

    public DocsIndex(DocsSettings settings, TimeProvider time, ILogger logger)
    {
        _settings = settings;
        _time = time;
        _logger = logger;
        _pages = new KnownPages(settings.MaxFileSize);
    }

    /// <summary>Files that were opened since the start; tells tests, and the log, what a scan cost.</summary>
    public long FilesRead => _pages.FilesRead;

    /// <summary>Scans in the background from now on. Only the first call does something.</summary>
    public void Start()
    {
        lock (_starting)
        {
            if (!_stop.IsCancellationRequested)
            {
                _loop ??= Task.Run(LoopAsync);
            }
        }
    }

    /// <summary>The pages as of the last scan; waits for the first one, which <see cref="Start"/> begins.</summary>
    /// <exception cref="DocsUnavailableException">There is nothing to answer from.</exception>
    public async Task<DocsSnapshot> SnapshotAsync(CancellationToken cancel)
    {
        await ScannedAsync(cancel);
        lock (_pair)
        {
            return Available();
        }
    }

    /// <summary>Searches; pages and words are of the same scan.</summary>
    /// <exception cref="DocsUnavailableException">There is nothing to answer from.</exception>
    public async Task<IReadOnlyList<SearchHit>> SearchAsync(SearchQuery query, int limit, CancellationToken cancel)
    {
        await ScannedAsync(cancel);
        lock (_pair)
        {
            var snapshot = Available();
            if (_table is null)
            {
                return [];
            }

            var hits = SearchHit.Find(_table, snapshot, query, limit);
            return hits.Count == 0 && query.Loosened is { } loosened ? SearchHit.Find(_table, snapshot, loosened, limit) : hits;
        }
    }

    /// <summary>Looks for changes now.</summary>
    public Task ScanAsync(CancellationToken cancel) => ScanAsync(readAll: false, cancel);

    /// <summary>Reads every file again, changed or not. Readers see the old pages until the new ones are complete.</summary>
    /// <returns>Whether it worked, and how many pages there are.</returns>
    public async Task<ReindexResult> ReindexAsync(CancellationToken cancel)
    {
        var ok = await ScanAsync(readAll: true, cancel);
        lock (_pair)
        {
            return new ReindexResult(ok, _snapshot.Routes.Count);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        Task? loop;
        lock (_starting)
        {
            // From here on Start does nothing.
            loop = _loop;
        }

        await (loop ?? Task.CompletedTask);

        // A scan that someone else asked for may still run; it stops at its next file.
        await _scanning.WaitAsync(CancellationToken.None);
        _scanned.TrySetCanceled();
        lock (_pair)
        {
            _table?.Dispose();
            _table = null;
            _snapshot = DocsSnapshot.Empty;
            _unavailable = "The documentation server is stopping.";
        }
    }

    private async Task ScannedAsync(CancellationToken cancel)
    {
        try
        {
            await _scanned.Task.WaitAsync(FirstScanWait, _time, cancel);
        }
        catch (TimeoutException)
        {
            throw new DocsUnavailableException("The documentation is still being indexed. Try again in a few seconds.");
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw new DocsUnavailableException("The documentation server is stopping.");
        }
    }

    private DocsSnapshot Available() => _unavailable is null ? _snapshot : throw new DocsUnavailableException(_unavailable);

    private async Task LoopAsync()
    {
        var stop = _stop.Token;
        try
        {
            await ScanAsync(readAll: false, stop);
            await using var timer = _time.CreateTimer(_ => _wake.Writer.TryWrite(Wake.Interval), null, ScanInterval, ScanInterval);
            using var watcher = new ContentWatcher(() => _wake.Writer.TryWrite(Wake.Change), _logger);
            while (true)
            {
                watcher.Watch(_settings.Path);
                if (await _wake.Reader.ReadAsync(stop) == Wake.Change)
                {
                    await Task.Delay(Settle, _time, stop);
                    _wake.Reader.TryRead(out _);
                }

                await ScanAsync(readAll: false, stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Disposed.
        }
        catch (Exception error)
        {
            // A bug, since a scan reports its own failures: the pages found so far stay, but changes are no longer seen.
            Log.LoopFailed(_logger, error);
        }
    }

    private async Task<bool> ScanAsync(bool readAll, CancellationToken cancel)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, _stop.Token);
        await _scanning.WaitAsync(either.Token);
        try
        {
            var started = _time.GetTimestamp();
            var root = ContentRoot.Open(_settings.Path);
            var found = ContentScan.List(root, _settings, (folder, error) => Log.FolderSkipped(_logger, folder, error.Message), out var complete, either.Token);
            if (!complete)
            {
                Log.TooManyPages(_logger, _settings.Path, ContentScan.MostPages);
            }

            var changes = _pages.Read(root, found, readAll, either.Token);
            LogProblems(changes);
            if (changes.Any || !_scanned.Task.IsCompleted)
            {
                Publish(changes);
                // Only now: had that failed, the next scan would have to read these files again.
                _pages.Accept(changes);
                Log.Indexed(_logger, _settings.Path, changes.AllPages.Count, changes.Read.Count, changes.Removed.Count, _time.GetElapsedTime(started).TotalMilliseconds);
            }

            lock (_pair)
            {
                _unavailable = null;
            }

            _scanned.TrySetResult();
            return true;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The folder itself is away: the last good pages stay.
            Log.FolderUnreadable(_logger, _settings.Path, error.Message);
            Fail("The documentation folder cannot be read; the gateway's log says why.");
            return false;
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            // A bug or no memory: the last good pages stay, and the next scan tries again.
            Log.ScanFailed(_logger, error, _settings.Path);
            Fail("The documentation could not be indexed; the gateway's log says why.");
            return false;
        }
        finally
        {
            _scanning.Release();
        }
    }

    private void LogProblems(PageChanges changes)
    {
        foreach (var (path, _, read) in changes.Read)
        {
            if (read.Problem is { } problem)
            {
                Log.FileSkipped(_logger, path, problem);
            }

            foreach (var warning in read.Warnings)
            {
                Log.IncludeUnresolved(_logger, warning);
            }
        }
    }

    private void Fail(string why)
    {
        lock (_pair)
        {
            _unavailable = _snapshot.Routes.Count == 0 ? why : null;
        }

        _scanned.TrySetResult();
    }

    /// <summary>Changes words and pages in one step for every reader.</summary>
    private void Publish(PageChanges changes)
    {
        var snapshot = new DocsSnapshot(changes.AllPages, (page, route) => Log.RouteContested(_logger, page.FilePath, page.WantedRoute, route));
        if (changes.IsWhole)
        {
            // Filled aside, so that no reader waits for it.
            var table = new SearchTable();
            table.Apply([], changes.Added);
            lock (_pair)
            {
                (_table, table) = (table, _table);
                _snapshot = snapshot;
            }

            table?.Dispose();
        }
        else
        {
            lock (_pair)
            {
                _table!.Apply(changes.Gone, changes.Added);
                _snapshot = snapshot;
            }
        }
    }

    private enum Wake
    {
        Interval,
        Change,
    }
}

/// <summary>What a rebuild came to.</summary>
/// <param name="Ok">False when the folder could not be read; the pages are then those from before.</param>
/// <param name="Count">Pages in the index.</param>
internal sealed record ReindexResult(bool Ok, int Count);

/// <summary>There are no pages to answer from; the message is for the caller.</summary>
internal sealed class DocsUnavailableException(string message) : Exception(message);
