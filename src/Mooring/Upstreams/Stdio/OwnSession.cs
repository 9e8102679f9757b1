using System.Diagnostics;

namespace Mooring.Upstreams.Stdio;

/// <summary>
/// Starts programs in a session, and so in a process group, of their own: a Ctrl-C meant for the gateway does not reach
/// them, and one signal reaches all they started. .NET cannot ask for that, so a small program that makes the session and
/// then becomes the wanted one (same process id) stands before it.
/// </summary>
internal static class OwnSession
{
    private static readonly string[] Prefix = OperatingSystem.IsWindows()
        ? []
        : PrefixOf(CommandLookup.FindSystemProgram("setsid"), CommandLookup.FindSystemProgram("perl"));

    /// <summary>False where the system has no such program (Windows): then a process is ended with the tree of its children instead.</summary>
    public static bool IsAvailable => Prefix.Length > 0;

    public static ProcessStartInfo StartInfo(string file, IEnumerable<string> arguments)
    {
        string[] line = [.. Prefix, file, .. arguments];
        return new ProcessStartInfo(line[0], line.Skip(1))
        {
            UseShellExecute = false,
            CreateNoWindow = true,
            RedirectStandardInput = true,
        };
    }

    /// <summary>What stands before the program's own line. macOS has no setsid, but it has Perl.</summary>
    internal static string[] PrefixOf(string? setsid, string? perl) => (setsid, perl) switch
    {
        ({ } program, _) => [program],
        (null, { } program) => [program, "-MPOSIX=setsid", "-e", "setsid(); exec {$ARGV[0]} @ARGV or exit 127", "--"],
        _ => [],
    };
}
