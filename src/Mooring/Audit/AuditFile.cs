using System.Globalization;

namespace Mooring.Audit;

/// <summary>The file of the audit log. Lines are added at its end and never changed; used by one task.</summary>
internal sealed class AuditFile(string path) : IDisposable
{
    /// <summary>How long a file that could not be set aside grows before that is tried again.</summary>
    private static readonly TimeSpan AsideAgain = TimeSpan.FromMinutes(1);

    private FileStream? _stream;
    private DateTimeOffset _asideAgain = DateTimeOffset.MinValue;

    public string Path => path;

    /// <summary>Why the file grows beyond its size, as where its directory is another user's; null: it does not.</summary>
    public string? NotSetAside { get; private set; }

    /// <summary>Adds lines, and gives them to the system before it returns.</summary>
    /// <param name="lines">Each with its end.</param>
    /// <param name="maxSize">At this size the file is set aside first.</param>
    /// <param name="keep">Files set aside that stay.</param>
    /// <param name="now">For the name of the one that is set aside.</param>
    /// <exception cref="IOException">It could not be written; some of the lines may have been.</exception>
    public void Append(IReadOnlyList<byte[]> lines, long maxSize, int keep, DateTimeOffset now)
    {
        try
        {
            var stream = Open();
            if (CanSetAside(stream) && now >= _asideAgain && stream.Length > 0 && stream.Length + lines.Sum(line => (long)line.Length) > maxSize)
            {
                TrySetAside(keep, now);
                stream = Open();
            }

            foreach (var line in lines)
            {
                stream.Write(line);
            }

            stream.Flush();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        try
        {
            _stream?.Dispose();
        }
        catch (IOException)
        {
            // What could not be flushed is written once more, to a file opened anew.
        }

        _stream = null;
    }

    /// <summary>The file of that name, also where the one that was open was moved away or cut off.</summary>
    private FileStream Open()
    {
        if (_stream is { } open)
        {
            var there = new FileInfo(path);
            if (there.Exists && !open.CanSeek)
            {
                return open;
            }

            if (there.Exists && there.Length >= open.Position)
            {
                open.Seek(0, SeekOrigin.End);
                return open;
            }

            Dispose();
        }

        if (System.IO.Path.GetDirectoryName(path) is { Length: > 0 } directory)
        {
            Directory.CreateDirectory(directory);
        }

        var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.ReadWrite | FileShare.Delete, BufferSize = 64 * 1024 };
        if (!OperatingSystem.IsWindows())
        {
            // Who did what is nobody else's business.
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead;
        }

        _stream = new FileStream(path, options);
        if (_stream.CanSeek && _stream.Length > 0)
        {
            // A line that was torn, as by a full disk, must not spoil the next one.
            _stream.Seek(-1, SeekOrigin.End);
            if (_stream.ReadByte() != '\n')
            {
                _stream.WriteByte((byte)'\n');
            }
        }

        return _stream;
    }

    /// <summary>Pipes and devices, as the standard output is one, have no size; what is below /dev is nobody's to move, whatever it leads to.</summary>
    private bool CanSetAside(FileStream stream) => stream.CanSeek && !path.StartsWith("/dev/", StringComparison.Ordinal);

    private void TrySetAside(int keep, DateTimeOffset now)
    {
        Dispose();
        try
        {
            SetAside(keep, now);
            NotSetAside = null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The file takes lines all the same.
            (NotSetAside, _asideAgain) = (e.Message, now + AsideAgain);
        }
    }

    private void SetAside(int keep, DateTimeOffset now)
    {
        var directory = System.IO.Path.GetDirectoryName(path)!;
        var (name, end) = (System.IO.Path.GetFileNameWithoutExtension(path), System.IO.Path.GetExtension(path));
        var stamp = now.UtcDateTime.ToString("yyyyMMdd'T'HHmmssfff", CultureInfo.InvariantCulture);
        var aside = System.IO.Path.Combine(directory, $"{name}.{stamp}{end}");
        for (var i = 1; File.Exists(aside); i++)
        {
            aside = System.IO.Path.Combine(directory, $"{name}.{stamp}-{i:000}{end}");
        }

        File.Move(path, aside);
        foreach (var old in Directory.GetFiles(directory, $"{name}.????????T?????????*{end}").Order(StringComparer.Ordinal).SkipLast(keep))
        {
            File.Delete(old);
        }
    }
}
