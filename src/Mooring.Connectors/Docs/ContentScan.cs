namespace Mooring.Connectors.Docs;

/// <summary>Lists the files that are pages, with their stamps, without opening any.</summary>
internal static class ContentScan
{
    /// <summary>Most pages of one connector; what comes after them is left out and the caller says so.</summary>
    /// <remarks>All sources are held in memory. 20,000 pages of 10 kB are about 400 MB, more than any docs site we know needs.</remarks>
    public const int MostPages = 20_000;

    private const int DeepestFolder = 32;

    /// <summary>Lists pages by their path relative to the root.</summary>
    /// <param name="failed">Gets each folder that could not be listed.</param>
    /// <param name="complete">False when <see cref="MostPages"/> was reached.</param>
    public static SortedDictionary<string, FileStamp> List(
        ContentRoot root, DocsSettings settings, Action<string, Exception> failed, out bool complete, CancellationToken cancel)
    {
        var found = new SortedDictionary<string, FileStamp>(StringComparer.Ordinal);
        var folders = new Stack<(string Relative, int Depth)>([("", 0)]);
        while (folders.TryPop(out var folder))
        {
            cancel.ThrowIfCancellationRequested();
            try
            {
                foreach (var entry in new DirectoryInfo(Path.Combine(root.RealPath, folder.Relative)).EnumerateFileSystemInfos())
                {
                    var relative = folder.Relative.Length == 0 ? entry.Name : $"{folder.Relative}/{entry.Name}";
                    if (entry is DirectoryInfo directory)
                    {
                        if (folder.Depth < DeepestFolder && MayHoldPages(directory))
                        {
                            folders.Push((relative, folder.Depth + 1));
                        }
                    }
                    else if (IsPage(relative, settings) && StampOf(root, relative, (FileInfo)entry) is { RealPath: not null } stamp)
                    {
                        if (found.Count == MostPages)
                        {
                            complete = false;
                            return found;
                        }

                        found[relative] = stamp;
                    }
                }
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                failed(folder.Relative, error);
            }
        }

        complete = true;
        return found;
    }

    /// <summary>
    /// Folders that start with a dot hold parts (<c>.includes</c>), tools' state (<c>.git</c>, <c>.next</c>) or the versions behind a
    /// mounted volume (<c>..data</c>). Linked folders are left out because their pages would be listed twice, or for ever.
    /// </summary>
    private static bool MayHoldPages(DirectoryInfo folder) =>
        folder.Name[0] != '.' && folder.Name != "node_modules" && !folder.Attributes.HasFlag(FileAttributes.ReparsePoint);

    private static bool IsPage(string relative, DocsSettings settings) =>
        settings.Include.Any(glob => glob.IsMatch(relative)) && !settings.Exclude.Any(glob => glob.IsMatch(relative));

    private static FileStamp StampOf(ContentRoot root, string relative, FileInfo file) =>
        file.Attributes.HasFlag(FileAttributes.ReparsePoint) ? root.Stamp(relative) : FileStamp.Of(file);
}
