using System.Runtime.InteropServices;

namespace Mooring.Upstreams.Stdio;

/// <summary>The few system calls that .NET has no name for. Only for Linux, macOS and the like.</summary>
internal static partial class Posix
{
    internal const int SigTerm = 15;
    internal const int SigKill = 9;

    private const int ExecuteOk = 1;
    private const int NotPermitted = 1;

    /// <summary>Signals one process; false if there is none.</summary>
    public static bool Signal(int process, int signal) => process > 1 && Kill(process, signal) == 0;

    /// <summary>Signals every process of a group; false if there is none.</summary>
    /// <remarks>0 would mean our own group and -1 every process there is: neither may ever get through.</remarks>
    public static bool SignalGroup(int group, int signal) => group > 1 && Kill(-group, signal) == 0;

    /// <summary>Whether the group has members, zombies included.</summary>
    public static bool GroupExists(int group) =>
        group > 1 && (Kill(-group, 0) == 0 || Marshal.GetLastPInvokeError() == NotPermitted);

    public static bool IsExecutable(string file) => Access(file, ExecuteOk) == 0;

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int process, int signal);

    [LibraryImport("libc", EntryPoint = "access", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Access(string file, int mode);
}
