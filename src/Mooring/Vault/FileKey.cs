using System.Security.Cryptography;
using System.Text;
using Mooring.Stores;

namespace Mooring.Vault;

/// <summary>A key of 32 bytes in a file of its own: one line of base64, as <c>openssl rand -base64 32</c> writes it.</summary>
internal sealed class FileKey : IKeyWrapper
{
    private static readonly byte[] Purpose = Encoding.ASCII.GetBytes("mooring key name 1");

    private readonly byte[] _key;

    private FileKey(byte[] key, string description)
    {
        _key = key;
        Name = "file:" + Convert.ToHexStringLower(HKDF.DeriveKey(HashAlgorithmName.SHA256, key, outputLength: 8, info: Purpose));
        Description = description;
    }

    public string Name { get; }

    public string Description { get; }

    /// <summary>A key that is in no file, for a store that ends with the process.</summary>
    public static FileKey Ephemeral() => new(RandomNumberGenerator.GetBytes(DataKey.Size), "a key of this process");

    /// <exception cref="VaultKeyException">There is no usable key in it.</exception>
    public static FileKey Read(string path)
    {
        if (ProblemOf(path, out var key) is { } problem)
        {
            throw new VaultKeyException($"The vault's key file {path} {problem}");
        }

        return new FileKey(key, $"the key file {path}");
    }

    /// <summary>Null when the file holds a key; else what is wrong with it, never with its content.</summary>
    public static string? ProblemOf(string path) => ProblemOf(path, out _);

    /// <summary>Makes a file with a new key that only its owner may read, in a folder that is made if need be.</summary>
    /// <returns>The key in it, and whether it is new: where another process was first, its key is read.</returns>
    public static (FileKey Key, bool Made) Create(string path)
    {
        var draft = $"{path}.{Environment.ProcessId}.new";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            Write(draft, RandomNumberGenerator.GetBytes(DataKey.Size));
            // Whole or not at all: nobody reads half a key.
            File.Move(draft, path, overwrite: false);
            return (Read(path), true);
        }
        catch (IOException) when (File.Exists(path))
        {
            File.Delete(draft);
            return (Read(path), false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new VaultKeyException($"The vault's key file {path} cannot be made ({e.Message}); name another one with vault.keyFile.", e);
        }
    }

    public ValueTask<byte[]> WrapAsync(uint number, ReadOnlyMemory<byte> key, CancellationToken cancel) => new(KeyBox.Close(_key, number, key.Span));

    public ValueTask<byte[]> UnwrapAsync(KeyRecord record, CancellationToken cancel) =>
        new(KeyBox.Open(_key, record.Number, record.Wrapped.Span) ?? throw new VaultKeyException(
            $"Data key {record.Number} of the store does not open with {Description}, although it says that it was sealed with it: the row was changed. Restore the store from a backup."));

    private static void Write(string path, byte[] key)
    {
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using var file = new FileStream(path, options);
        file.Write(Encoding.ASCII.GetBytes(Convert.ToBase64String(key) + "\n"));
        // On the disk before anything is sealed: what a power cut takes of it can never be read again.
        file.Flush(flushToDisk: true);
    }

    private static string? ProblemOf(string path, out byte[] key)
    {
        key = [];
        try
        {
            // A key is 44 characters; whatever is much longer is another file.
            using var file = new StreamReader(path, Encoding.ASCII);
            var text = new char[256];
            var length = file.ReadBlock(text);
            key = Convert.FromBase64String(new string(text, 0, length).Trim());
            return key.Length == DataKey.Size ? null : "does not hold 32 bytes of base64. Make one with: openssl rand -base64 32";
        }
        catch (FormatException)
        {
            return "does not hold 32 bytes of base64. Make one with: openssl rand -base64 32";
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return "does not exist.";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"cannot be read: {e.Message}";
        }
    }
}
