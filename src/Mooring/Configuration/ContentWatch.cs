using System.Security.Cryptography;
using System.Text;

namespace Mooring.Configuration;

/// <summary>
/// Notices that the content of files changed, by looking at the content: Kubernetes swaps a symbolic link two directories
/// up, editors rename over the file, and network file systems send no events, so neither times nor notifications tell.
/// Passive: someone calls <see cref="HasChanged"/> every second or two. Not for use by two threads at once.
/// </summary>
internal sealed class ContentWatch(IReadOnlyList<string> files)
{
    private IReadOnlyList<string> _files = files;
    private string _accepted = "";
    private string _seen = "";

    /// <summary>
    /// True once per change, and only when two looks in a row saw the same content: a file that is just being written is
    /// not read half. The content of the first two looks counts as a change: nobody knows whether it is what was read before
    /// the watch began.
    /// </summary>
    public bool HasChanged()
    {
        var now = Fingerprint(_files);
        var settled = now == _seen;
        _seen = now;
        if (!settled || now == _accepted)
        {
            return false;
        }

        _accepted = now;
        return true;
    }

    /// <summary>Watches other files from now on; their content counts as a change again.</summary>
    public void Watch(IReadOnlyList<string> files)
    {
        if (!files.SequenceEqual(_files))
        {
            _files = files;
            _accepted = _seen = "";
        }
    }

    private static string Fingerprint(IReadOnlyList<string> files)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var file in files)
        {
            // Name and length of each part, so that no two sets of files look alike.
            hash.AppendData(Encoding.UTF8.GetBytes(file + "\0"));
            try
            {
                var content = File.ReadAllBytes(file);
                hash.AppendData(Encoding.UTF8.GetBytes($"{content.Length}\0"));
                hash.AppendData(content);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Absent and unreadable are states like any other: leaving them is a change.
                hash.AppendData("unreadable\0"u8);
            }
        }

        return Convert.ToHexString(hash.GetHashAndReset());
    }
}
