using System.Text;

namespace Mooring.Chaos.Servers;

/// <summary>
/// Where servers write down every execution, one key per line, before they answer, and what <see cref="Notices"/> says. Each process has a file of its own in one folder, so
/// that nobody writes over anybody. Made by the server that writes; whoever judges reads the folder.
/// </summary>
internal sealed class Ledger : IDisposable
{
    private readonly Lock _gate = new();
    private readonly FileStream _file;

    public Ledger(string folder) =>
        _file = new FileStream(Path.Combine(folder, $"{Environment.ProcessId}-{Guid.NewGuid():n}"), FileMode.CreateNew, FileAccess.Write, FileShare.Read, bufferSize: 0);

    /// <summary>Writes a key down. When this returns, a kill of the process does not undo it.</summary>
    public void Executed(string key) => Write(key);

    /// <summary>As <see cref="Executed"/>, of what is no execution: it must not look like a key.</summary>
    public void Write(string text)
    {
        var line = Encoding.UTF8.GetBytes(text + "\n");
        lock (_gate)
        {
            _file.Write(line);
        }
    }

    /// <summary>How often each key was executed, over all servers.</summary>
    public static Dictionary<string, int> Read(string folder)
    {
        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var key in Directory.EnumerateFiles(folder).SelectMany(File.ReadLines))
        {
            counts[key] = counts.GetValueOrDefault(key) + 1;
        }

        return counts;
    }

    public void Dispose() => _file.Dispose();
}
