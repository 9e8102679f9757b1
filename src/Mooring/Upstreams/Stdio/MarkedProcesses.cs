using System.Globalization;
using System.Text;

namespace Mooring.Upstreams.Stdio;

/// <summary>Looks into /proc: who carries our mark, when a process began. Gives nothing where there is no /proc.</summary>
internal static class MarkedProcesses
{
    private const int StateField = 3;
    private const int StartTimeField = 22;

    /// <summary>Living processes (no zombies) with an environment variable that begins as given, each with what follows in that variable.</summary>
    /// <remarks>Those of other users cannot be read and are left out; so is what overwrote its own environment.</remarks>
    public static List<(int Id, string Remainder)> Find(string variablePrefix)
    {
        var found = new List<(int, string)>();
        if (!Directory.Exists("/proc/self"))
        {
            return found;
        }

        var prefix = Encoding.UTF8.GetBytes(variablePrefix);
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder.AsSpan()), NumberStyles.None, CultureInfo.InvariantCulture, out var id)
                && RestOf(Read($"{folder}/environ"), prefix) is { } rest
                && FieldOf(id, StateField) is not (null or "Z" or "X"))
            {
                found.Add((id, rest));
            }
        }

        return found;
    }

    /// <summary>When a process began, in the kernel's ticks: with the id it names a process for good, since ids are used again. Null if it is gone.</summary>
    public static string? StartTimeOf(int process) => FieldOf(process, StartTimeField);

    /// <summary>A field of /proc/N/stat, counted as in proc(5). The second is the program's name, which may hold anything, hence from behind.</summary>
    private static string? FieldOf(int process, int field)
    {
        var stat = Encoding.UTF8.GetString(Read($"/proc/{process}/stat"));
        var afterName = stat.LastIndexOf(')');
        var fields = afterName < 0 ? [] : stat[(afterName + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return fields.ElementAtOrDefault(field - 3);
    }

    private static string? RestOf(ReadOnlySpan<byte> environment, ReadOnlySpan<byte> prefix)
    {
        while (!environment.IsEmpty)
        {
            var end = environment.IndexOf((byte)0);
            var variable = end < 0 ? environment : environment[..end];
            if (variable.StartsWith(prefix))
            {
                return Encoding.UTF8.GetString(variable[prefix.Length..]);
            }

            environment = end < 0 ? default : environment[(end + 1)..];
        }

        return null;
    }

    private static byte[] Read(string file)
    {
        try
        {
            return File.ReadAllBytes(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return []; // ended meanwhile, or another user's
        }
    }
}
