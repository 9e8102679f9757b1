namespace Mooring.Connectors.Docs;

/// <summary>What is known of every file of the content folder. Owned by <see cref="DocsIndex"/>, used by one scan at a time.</summary>
internal sealed class KnownPages(long maxFileSize)
{
    /// <summary>
    /// Beyond this many changed files, if they are also most of them, all are read again into a new table: taking a page out of
    /// the old one takes SQLite about 2 ms, during which searches wait.
    /// </summary>
    private const int RebuildFrom = 50;

    private Dictionary<string, KnownFile> _files = new(StringComparer.Ordinal);
    private int _nextId = 1;

    public long FilesRead { get; private set; }

    /// <summary>Reads the files that differ from what is known, or all. Remembers nothing before <see cref="Accept"/>.</summary>
    public PageChanges Read(ContentRoot root, SortedDictionary<string, FileStamp> found, bool readAll, CancellationToken cancel)
    {
        // Many pages may include one file: its stamp is taken once per scan.
        var stamps = new Dictionary<string, FileStamp>(StringComparer.Ordinal);
        var stale = found.Where(file => !IsCurrent(file.Key, file.Value)).ToList();
        var removed = _files.Keys.Where(path => !found.ContainsKey(path)).ToList();
        if (readAll || stale.Count + removed.Count > Math.Max(RebuildFrom, _files.Count / 2))
        {
            stale = [.. found];
        }

        var read = new List<(string Path, FileStamp Stamp, ReadPage Result)>(stale.Count);
        foreach (var (path, stamp) in stale)
        {
            cancel.ThrowIfCancellationRequested();
            FilesRead++;
            read.Add((path, stamp, PageReader.Read(root, path, stamp, _nextId++, maxFileSize)));
        }

        return Changes(read, removed, isWhole: stale.Count == found.Count);

        bool IsCurrent(string path, FileStamp stamp) =>
            _files.TryGetValue(path, out var known) && known.Stamp == stamp && known.Includes.All(include => StampOf(include.Key) == include.Value);

        FileStamp StampOf(string include) =>
            stamps.TryGetValue(include, out var stamp) ? stamp : stamps[include] = root.Stamp(include);
    }

    /// <summary>The changes are public now.</summary>
    public void Accept(PageChanges changes) => _files = changes.Files;

    private PageChanges Changes(List<(string Path, FileStamp Stamp, ReadPage Result)> read, List<string> removed, bool isWhole)
    {
        var files = new Dictionary<string, KnownFile>(_files, StringComparer.Ordinal);
        var gone = new List<int>();
        foreach (var path in removed.Concat(read.Select(file => file.Path)))
        {
            if (files.Remove(path, out var known) && known.Page is { } page)
            {
                gone.Add(page.Id);
            }
        }

        foreach (var (path, stamp, result) in read)
        {
            files[path] = new KnownFile(stamp, result.Includes, result.Page);
        }

        return new PageChanges(read, removed, gone, files, isWhole);
    }
}

/// <summary>One file as it was last read.</summary>
/// <param name="Page">Null while the file cannot be a page; it is read again when its stamp changes.</param>
internal sealed record KnownFile(FileStamp Stamp, IReadOnlyDictionary<string, FileStamp> Includes, Page? Page);

/// <summary>What one scan found to be different.</summary>
/// <param name="Gone">Numbers of the pages that no longer hold, also those that were read again.</param>
/// <param name="Files">All files as they are known after this scan.</param>
/// <param name="IsWhole">Every page there is was read: nothing of the old search table is needed.</param>
internal sealed record PageChanges(
    IReadOnlyList<(string Path, FileStamp Stamp, ReadPage Result)> Read, IReadOnlyList<string> Removed, IReadOnlyList<int> Gone,
    Dictionary<string, KnownFile> Files, bool IsWhole)
{
    public bool Any => Read.Count > 0 || Removed.Count > 0;

    /// <summary>The new pages with their words.</summary>
    public IEnumerable<ReadPage> Added => Read.Select(file => file.Result).Where(result => result.Page is not null);

    /// <summary>In the order of the file paths.</summary>
    public IReadOnlyList<Page> AllPages { get; } =
        [.. Files.Where(file => file.Value.Page is not null).OrderBy(file => file.Key, StringComparer.Ordinal).Select(file => file.Value.Page!)];
}
