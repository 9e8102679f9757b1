using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Mooring.Audit;

/// <summary>
/// The file of the audit log. Lines are added at its end and never changed; used by one task. Other processes may add to the same file, as <c>mooring token</c> does:
/// on Linux each write goes to the end as the system has it, and is one call with whole lines.
/// </summary>
internal sealed partial class AuditFile(string path) : IDisposable
{
    /// <summary>How long a file that could not be set aside grows before that is tried again.</summary>
    private static readonly TimeSpan AsideAgain = TimeSpan.FromMinutes(1);

    private const int SetFlags = 4;
    private const int AppendOnly = 0x400;
    private const int Shared = 1;
    private const int Exclusive = 2;
    private const int AtOnce = 4;

    private FileStream? _stream;
    private DateTimeOffset _asideAgain = DateTimeOffset.MinValue;

    /// <summary>A write failed, and may have left a part of a line.</summary>
    private bool _mayBeTorn;

    public string Path => path;

    /// <summary>Why the file grows beyond its size, as where its directory is another user's; null: it does not.</summary>
    public string? NotSetAside { get; private set; }

    /// <summary>Adds lines by one call of the system.</summary>
    /// <param name="lines">Each with its end.</param>
    /// <param name="maxSize">At this size the file is set aside first.</param>
    /// <param name="keep">Files set aside that stay.</param>
    /// <param name="now">For the name of the one that is set aside.</param>
    /// <exception cref="IOException">It could not be written; some of the lines may have been.</exception>
    public void Append(ReadOnlySpan<byte> lines, long maxSize, int keep, DateTimeOffset now)
    {
        try
        {
            var stream = Open();
            if (CanSetAside(stream) && now >= _asideAgain && stream.Length > 0 && stream.Length + lines.Length > maxSize)
            {
                TrySetAside(keep, now);
                stream = Open();
            }

            stream.Write(lines);
            _mayBeTorn = false;
        }
        catch
        {
            _mayBeTorn = true;
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
            // Nothing is held back in it, so nothing is lost with it.
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

        var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.ReadWrite | FileShare.Delete, BufferSize = 0 };
        if (!OperatingSystem.IsWindows())
        {
            // Who did what is nobody else's business.
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead;
        }

        _stream = new FileStream(path, options);
        if (OperatingSystem.IsLinux() && SetFlagsOf(_stream.SafeFileHandle, SetFlags, AppendOnly) != 0)
        {
            throw new IOException($"It cannot be opened for adding at its end (error {Marshal.GetLastPInvokeError()}).");
        }

        if (_stream.CanSeek && _stream.Length > 0)
        {
            // A line that was torn, as by a full disk or a kill, must not spoil the next one. Looked at again where nobody else writes any more: it may have been whole by then.
            if (!EndsWhole(_stream) && (_mayBeTorn || (IsAlone(_stream.SafeFileHandle) && !EndsWhole(_stream))))
            {
                _stream.WriteByte((byte)'\n');
            }
        }

        return _stream;
    }

    private static bool EndsWhole(FileStream stream)
    {
        stream.Seek(-1, SeekOrigin.End);
        return stream.ReadByte() == '\n';
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

    /// <summary>
    /// Whether nobody else has the file open: else a line without its end may be one that is being written, of which a reader sees one page before the next. .NET holds a
    /// shared lock on each open file.
    /// </summary>
    private static bool IsAlone(SafeFileHandle file)
    {
        if (!OperatingSystem.IsLinux())
        {
            return true;
        }

        var isAlone = Lock(file, Exclusive | AtOnce) == 0;
        // What failed to become exclusive may have been given up on the way.
        _ = Lock(file, Shared | AtOnce);
        return isAlone;
    }

    /// <summary>.NET opens no file so that the system writes at the end, whoever else made it longer: it keeps a place of its own, and one would write over the other.</summary>
    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int SetFlagsOf(SafeFileHandle file, int command, int flags);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int Lock(SafeFileHandle file, int operation);
}
