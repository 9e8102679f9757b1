using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Mooring.Chaos;

/// <summary>The table with its conditions, on standard output and in its page. Progress goes to standard error.</summary>
internal static class Report
{
    private const string Begin = "<!-- result: written by eng/chaos.sh --write -->";
    private const string End = "<!-- end of result -->";

    public static void Progress(string line) => Console.Error.WriteLine(line);

    /// <summary>What a reader must know to judge the table.</summary>
    public static string Conditions(ChaosOptions options, string loadBefore)
    {
        var text = new StringBuilder("Conditions:\n\n");
        text.Append($"- {DateTimeOffset.UtcNow.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}, {RuntimeInformation.FrameworkDescription}, ")
            .Append($"Linux {Environment.OSVersion.Version}, {Environment.ProcessorCount} cores. ")
            .Append($"Versions: {First("haproxy", "-v")}; {First("nginx", "-v")}.\n");
        text.Append($"- {options.Sessions} sessions in each round, seed {options.Seed}{(options.IsShort ? ", short: faults last 0.4 times as long" : "")}. ")
            .Append("Clients, servers, gateways, balancers and database share these cores over loopback: ")
            .Append($"load average {loadBefore} at the start, {Load()} at the end.\n");
        return text.ToString();
    }

    public static string Load() => string.Join(' ', File.ReadAllText("/proc/loadavg").Split(' ')[..2]);

    /// <summary>Puts the result between the markers of a page.</summary>
    public static void Write(string page, string result)
    {
        var text = File.ReadAllText(page);
        var from = text.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length;
        var to = text.IndexOf(End, StringComparison.Ordinal);
        File.WriteAllText(page, $"{text[..from]}\n\n{result.Trim()}\n\n{text[to..]}");
    }

    private static string First(string program, string argument)
    {
        var path = File.Exists($"/usr/sbin/{program}") ? $"/usr/sbin/{program}" : program;
        using var process = Process.Start(new ProcessStartInfo(path, [argument]) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true })!;
        var line = process.StandardOutput.ReadLine() ?? process.StandardError.ReadLine() ?? "";
        process.WaitForExit();
        return line.Replace("nginx version: ", "", StringComparison.Ordinal).Split(" - ")[0];
    }
}
