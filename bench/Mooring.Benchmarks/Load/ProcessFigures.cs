using System.Globalization;
using System.Runtime.InteropServices;

namespace Mooring.Benchmarks.Load;

/// <summary>What a process and its children have used, from /proc: memory now, processor time since their start.</summary>
/// <param name="Resident">Bytes.</param>
/// <param name="Anonymous">Of these, bytes that are not mapped files.</param>
/// <param name="Processor">User and system time.</param>
internal readonly partial record struct ProcessFigures(long Resident, long Anonymous, TimeSpan Processor)
{
    public static ProcessFigures? Read(int? pid) => pid is { } known && Directory.Exists($"/proc/{known}") ? Sum(known) : null;

    private static ProcessFigures Sum(int pid)
    {
        try
        {
            var status = File.ReadAllLines($"/proc/{pid}/status");
            var sum = new ProcessFigures(
                Kilobytes(status, "VmRSS:"), Kilobytes(status, "RssAnon:"), ProcessorTime(pid));

            // A child belongs to the thread that started it.
            var children = Directory.GetDirectories($"/proc/{pid}/task")
                .SelectMany(task => File.ReadAllText(task + "/children").Split(' ', StringSplitOptions.RemoveEmptyEntries));
            foreach (var child in children)
            {
                var its = Sum(int.Parse(child));
                sum = sum with { Resident = sum.Resident + its.Resident, Anonymous = sum.Anonymous + its.Anonymous, Processor = sum.Processor + its.Processor };
            }

            return sum;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Ended between the listing and the reading.
            return default;
        }
    }

    private static long Kilobytes(string[] status, string name)
    {
        var line = status.FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal));
        return line is null ? 0 : long.Parse(line.AsSpan(name.Length).Trim(" \tkB"), NumberStyles.Integer) * 1024;
    }

    /// <summary>The kernel's own clock of a process, in nanoseconds; /proc/PID/stat counts in 10 ms, a whole keep-alive round of some servers.</summary>
    private static TimeSpan ProcessorTime(int pid)
    {
        // man 3 clock_getcpuclockid: the clock of process p is (~p << 3) | 2 (CPUCLOCK_SCHED).
        return ClockGetTime((~pid << 3) | 2, out var time) == 0
            ? TimeSpan.FromSeconds(time.Seconds) + TimeSpan.FromMicroseconds(time.Nanoseconds / 1000.0)
            : TimeSpan.Zero;
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static partial int ClockGetTime(int clock, out Timespec time);

    [StructLayout(LayoutKind.Sequential)]
    private struct Timespec
    {
        public nint Seconds;
        public nint Nanoseconds;
    }
}
