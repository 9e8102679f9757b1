using System.Runtime.InteropServices;
using Mooring.Configuration;

namespace Mooring.Host.Lifetime;

/// <summary>Each stream is an open file to the system; its soft limit (often 1,024) would end the gateway's reach long before memory does.</summary>
internal static partial class OpenFileLimit
{
    /// <summary>Files beside streams: the store, pipes and connections to servers, requests that are no streams.</summary>
    private const ulong Slack = 2048;

    /// <summary>Raises the soft limit to the hard one; returns what to tell when that is still too low for the configured streams.</summary>
    public static string? Raise(LimitsConfig limits)
    {
        // RLIMIT_NOFILE has another number on each; Windows has no such limit.
        int resource = OperatingSystem.IsLinux() ? 7 : OperatingSystem.IsMacOS() ? 8 : -1;
        if (resource < 0 || GetLimit(resource, out var limit) != 0)
        {
            return null;
        }

        if (limit.Soft < limit.Hard)
        {
            // macOS refuses "unlimited" as soft limit; the old one then stays and is told below.
            var raised = limit with { Soft = limit.Hard };
            limit = SetLimit(resource, raised) == 0 ? raised : limit;
        }

        var needed = (ulong)limits.Streams + Slack;
        return limit.Soft >= needed
            ? null
            : $"the open-file limit is {(ulong)limit.Soft}, but limits.streams is {limits.Streams}, which needs about {needed}. Raise it (ulimit -Hn, LimitNOFILE) or lower limits.streams.";
    }

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static partial int GetLimit(int resource, out Limit limit);

    [LibraryImport("libc", EntryPoint = "setrlimit")]
    private static partial int SetLimit(int resource, in Limit limit);

    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct Limit(nuint Soft, nuint Hard);
}
