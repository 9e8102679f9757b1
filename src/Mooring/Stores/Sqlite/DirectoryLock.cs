using System.Globalization;

namespace Mooring.Stores.Sqlite;

/// <summary>
/// Says that this process owns a data directory. Taken and released by <see cref="SqliteStore"/>. The operating system drops it with
/// the process, however that ends; a leftover file means nothing.
/// </summary>
/// <remarks>Only gateways look at it: other tools may open the database beside a running gateway.</remarks>
internal sealed class DirectoryLock : IDisposable
{
    private const int SharingViolation = unchecked((int)0x80070020);

    private readonly FileStream _file;

    private DirectoryLock(FileStream file) => _file = file;

    /// <exception cref="StoreException">Another gateway owns the directory.</exception>
    public static DirectoryLock Take(SqliteStoreOptions options)
    {
        FileStream file;
        try
        {
            // No sharing: an exclusive flock on Unix, a sharing violation on Windows. Children do not inherit the handle.
            file = new FileStream(options.LockPath, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException failure) when (IsHeld(failure))
        {
            throw new StoreException(
                $"The data directory '{options.Directory}' is in use by another gateway{OwnerOf(options)}. "
                + "Stop that one, or give this one a directory of its own (--data).",
                failure);
        }

        try
        {
            // Beside the lock, since a locked file cannot be read everywhere.
            File.WriteAllText(options.OwnerPath, Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
            return new DirectoryLock(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public void Dispose() => _file.Dispose();

    /// <summary>EAGAIN of Linux, EWOULDBLOCK of macOS (the runtime hands on what flock says), or the error of Windows.</summary>
    private static bool IsHeld(IOException failure) => failure.HResult is 11 or 35 or SharingViolation;

    private static string OwnerOf(SqliteStoreOptions options)
    {
        try
        {
            return int.TryParse(File.ReadAllText(options.OwnerPath), NumberStyles.None, CultureInfo.InvariantCulture, out var id)
                ? $" (process {id})"
                : string.Empty;
        }
        catch (IOException)
        {
            return string.Empty; // the number is a kindness, the refusal stands without it
        }
    }
}
