namespace Mooring.Connectors.Docs;

/// <summary>What is known of a file without reading it. Two equal stamps mean that the file need not be read again.</summary>
/// <param name="RealPath">Where the file really lies once links are followed; null: it does not exist, or lies outside the root.</param>
internal readonly record struct FileStamp(string? RealPath, long Size, long ModifiedTicks)
{
    public static readonly FileStamp Missing;

    public static FileStamp Of(FileInfo file) =>
        file.Exists ? new FileStamp(file.FullName, file.Length, file.LastWriteTimeUtc.Ticks) : Missing;
}

/// <summary>
/// The only door to the content folder: it follows every link on the way to a file, and gives nothing that lies outside the folder.
/// Made anew for each scan, because the folder itself may be a link that was switched.
/// </summary>
internal sealed class ContentRoot
{
    /// <summary>Links followed on the way to one file, as Linux does (path_resolution(7): 40).</summary>
    private const int MostLinks = 40;

    private readonly string _real;

    private ContentRoot(string real) => _real = real;

    /// <summary>The folder itself with all links followed.</summary>
    public string RealPath => _real;

    /// <exception cref="DirectoryNotFoundException">The folder is not there.</exception>
    public static ContentRoot Open(string path)
    {
        var real = Follow(Path.GetFullPath(path));
        return real is not null && Directory.Exists(real)
            ? new ContentRoot(real)
            : throw new DirectoryNotFoundException($"The folder '{path}' does not exist.");
    }

    /// <summary>Finds the real place of a path relative to the root (parts divided by '/').</summary>
    /// <returns>The absolute path with no link left in it; null when it leads outside the root, or to nothing.</returns>
    public string? Resolve(string relative)
    {
        if (relative.Length == 0 || Path.IsPathRooted(relative) || relative.AsSpan().ContainsAny('\0', '\\'))
        {
            return null;
        }

        var lexical = Path.GetFullPath(Path.Combine(_real, relative));
        if (!IsInside(lexical))
        {
            // Refused by its spelling already: what lies outside is not even looked at.
            return null;
        }

        return Follow(lexical) is { } real && IsInside(real) ? real : null;
    }

    public FileStamp Stamp(string relative) =>
        Resolve(relative) is { } real ? FileStamp.Of(new FileInfo(real)) : FileStamp.Missing;

    private bool IsInside(string full) =>
        full.StartsWith(_real, StringComparison.Ordinal)
        && (full.Length == _real.Length || full[_real.Length] == Path.DirectorySeparatorChar || Path.EndsInDirectorySeparator(_real));

    /// <summary>Walks a path part by part and follows each link; the platform's own call follows only the last part.</summary>
    private static string? Follow(string full)
    {
        var links = 0;
        var done = Path.GetPathRoot(full)!;
        var rest = new Stack<string>(Parts(full[done.Length..]));
        while (rest.TryPop(out var part))
        {
            if (part == "..")
            {
                done = Path.GetDirectoryName(done) ?? done;
                continue;
            }

            var next = Path.Combine(done, part);
            if (TargetOf(next) is not { } target)
            {
                done = next;
                continue;
            }

            if (++links > MostLinks)
            {
                return null;
            }

            if (Path.IsPathRooted(target))
            {
                done = Path.GetPathRoot(target)!;
                target = target[done.Length..];
            }

            foreach (var piece in Parts(target))
            {
                rest.Push(piece);
            }
        }

        return Path.Exists(done) ? done : null;
    }

    private static string? TargetOf(string path)
    {
        try
        {
            return new FileInfo(path).LinkTarget;
        }
        catch (IOException)
        {
            // Nothing there, or not readable: not a link for us; the caller finds out when it opens the file.
            return null;
        }
        catch (UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The parts in reverse, as a stack takes them.</summary>
    private static IEnumerable<string> Parts(string path) =>
        path.Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries).Where(part => part != ".").Reverse();
}
