using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Mooring.Benchmarks.Suite;

/// <summary>What a reader must know to judge the figures.</summary>
internal static class Conditions
{
    public static string Text(SuiteOptions options, string loadBefore) =>
        "Conditions:\n\n" + string.Join('\n', new[]
        {
            $"- {DateTimeOffset.UtcNow.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}, {RuntimeInformation.FrameworkDescription}, " +
                $"Linux {Environment.OSVersion.Version}, {Environment.ProcessorCount} cores ({Processor()}), " +
                $"{GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / (1L << 30)} GB.",
            $"- Versions: {First("nginx", "-v")}; node {First("node", "--version")}; supergateway 4.0.0; mcp-proxy 6.7.19.",
            "- Client, upstream and what is measured share these cores over loopback; nothing is pinned. Other programs ran on the machine: " +
                $"load average {loadBefore} at the start, {Load()} at the end. Only ratios within this run mean anything.",
            $"- Median of {options.Repetitions} interleaved rounds, of calls and authentication {options.CallRounds}, in turn there and back; a ratio is the median of the rounds' ratios. " +
                $"{options.CallSeconds:0.#} s for each measurement of calls after 0.3 s of warm-up; {options.Seconds:0.#} s over standard streams.",
            $"- Streams: {options.Streams:N0} held, one comment each {options.Beat:0.#} s (Mooring: ±20 %), counted over {options.BeatSeconds:0.#} s; " +
                "time before the first stream was opened is taken off. Memory is the growth of resident memory, without a forced collection.",
            options.Steered ? "- Received packets are handed to the first processor, as a network card would: who sends is not charged for who receives." : "",
            options.Gateway is null ? "- **No gateway was given: a second pass-through stands in for Mooring, which shows the noise of the measurement.**" : "",
        }.Where(line => line.Length > 0)) + "\n";

    public static string Load() => string.Join(' ', File.ReadAllText("/proc/loadavg").Split(' ')[..2]);

    private static string Processor() =>
        File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim() ?? "unknown";

    private static string First(string program, string argument)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, [argument])
            {
                UseShellExecute = false,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            var line = process.StandardOutput.ReadLine() ?? process.StandardError.ReadLine() ?? "";
            process.WaitForExit();
            return line.Replace("nginx version: ", "", StringComparison.Ordinal);
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return $"no {program}";
        }
    }
}
