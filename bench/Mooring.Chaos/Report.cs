using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using Mooring.Chaos.Rounds;
using Mooring.EndToEndTests.Harness;

namespace Mooring.Chaos;

/// <summary>
/// The tables on standard output as they grow, and in their page at the end: a row that is there already is replaced, the others stay, and each says
/// what it was measured with. Progress goes to standard error.
/// </summary>
internal sealed partial class Report(ChaosOptions options)
{
    private const string RoundsMark = "<!-- rounds: written by eng/chaos.sh --write -->";
    private const string FiguresMark = "<!-- figures: written by eng/chaos.sh --write -->";
    private const string ConditionsMark = "<!-- conditions: written by eng/chaos.sh --write -->";
    private const string End = "<!-- end -->";

    /// <summary>The commit that the gateway's program names, which need not be that of this program.</summary>
    private static readonly Lazy<string> Build = new(() => Commit().Match(Says(GatewayBinary.PathAsync().GetAwaiter().GetResult(), "version")).Value);

    private readonly Lock _gate = new();
    private readonly List<string> _rows = [];
    private readonly List<string> _figures = [];

    public static void Progress(string line) => Console.Error.WriteLine(line);

    public static string Load() => File.ReadAllText("/proc/loadavg").Split(' ')[0];

    public void Begin()
    {
        if (!options.IsShort)
        {
            Say(Result.Head);
        }
    }

    /// <summary>A row of the table; of a short round, whose times are not those of the table, a line of its own.</summary>
    public void Played(Round round, Result result, TimeSpan took)
    {
        if (options.IsShort)
        {
            Say($"{round.Name}: {result.Verdict} in {took.TotalSeconds:0} s; {result.Line}");
        }
        else
        {
            Row(round, result.ToString());
        }
    }

    /// <summary>A round that has no figures.</summary>
    public void Unplayed(Round round, string why)
    {
        if (options.IsShort)
        {
            Say($"{round.Name}: {why}");
        }
        else
        {
            Row(round, $"| {round.Title} (`{round.Name}`) |{string.Concat(Enumerable.Repeat(" |", Result.Columns - 2))} {why} |");
        }
    }

    public void Say(string line)
    {
        lock (_gate)
        {
            Console.Out.WriteLine(line);
        }
    }

    /// <param name="round">Which.</param>
    /// <param name="row">Its row but for the last two cells: what it was measured with.</param>
    private void Row(Round round, string row)
    {
        var whole = $"{row} {Build.Value} | {Load()} |";
        Say(whole);
        lock (_gate)
        {
            _rows.Add(whole);
            if (round.Name == "kill" && row.Contains(" ms |", StringComparison.Ordinal))
            {
                var slowest = ResumedIn().Match(row).Groups["slowest"].Value;
                _figures.Add($"| a stream is back on another replica after kill -9, p99 (`resume`) | {slowest} ms | below 1000 ms | {Build.Value} | {Load()} |");
            }
        }
    }

    public void Figure(Figure figure)
    {
        var row = $"| {figure.Title} (`{figure.Name}`) | {figure.Value} | {figure.Target} | {Build.Value} | {Load()} |";
        Say(row);
        lock (_gate)
        {
            _figures.Add(row);
        }
    }

    /// <summary>Puts everything into its page, if there is one.</summary>
    public void Finish(string loadBefore)
    {
        if (options.Write is not { } page)
        {
            return;
        }

        var text = File.ReadAllText(page);
        text = Merge(text, RoundsMark, Result.Head, _rows, [.. AllRounds.Names]);
        text = Merge(text, FiguresMark, Throughput.Head, _figures, ["resume", .. Throughput.Figures]);
        text = Put(text, ConditionsMark, Conditions(loadBefore));
        File.WriteAllText(page, text);
    }

    private static string Merge(string text, string mark, string head, List<string> rows, List<string> order)
    {
        var (from, to) = Between(text, mark);
        var all = text[from..to].Split('\n').Where(line => NameOf(line).Length > 0).ToDictionary(NameOf);
        foreach (var row in rows)
        {
            all[NameOf(row)] = row;
        }

        return Put(text, mark, head + "\n" + string.Join('\n', all.OrderBy(row => order.IndexOf(row.Key)).Select(row => row.Value)));
    }

    private static string Put(string text, string mark, string content)
    {
        var (from, to) = Between(text, mark);
        return $"{text[..from]}\n\n{content.Trim()}\n\n{text[to..]}";
    }

    private static (int From, int To) Between(string text, string mark)
    {
        var from = text.IndexOf(mark, StringComparison.Ordinal) + mark.Length;
        return (from, text.IndexOf(End, from, StringComparison.Ordinal));
    }

    private static string NameOf(string row) => Named().Match(row).Groups["name"].Value;

    /// <summary>What a reader must know to judge the tables.</summary>
    private string Conditions(string loadBefore) => new StringBuilder("Conditions of the last run:\n\n")
        .Append($"- {TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}, {RuntimeInformation.FrameworkDescription}, ")
        .Append($"Linux {Environment.OSVersion.Version}, {Environment.ProcessorCount} cores. {FirstOf(Says("haproxy", "-v")).Split(" - ")[0]}; {FirstOf(Says("nginx", "-v"))}.\n")
        .Append($"- {options.Sessions} sessions in each round, and the clients of 2026-07-28; {options.Official} of all on the official libraries, seed {options.Seed}, ")
        .Append($"{options.Pace.TotalSeconds:0.#} s between two steps of a session on average. ")
        .Append("Clients, servers, gateways, balancers and database share these cores over loopback, with other programs: ")
        .Append($"load average {loadBefore} at the start, {Load()} at the end.\n").ToString();

    private static string Says(string program, params string[] arguments)
    {
        var path = File.Exists($"/usr/sbin/{program}") ? $"/usr/sbin/{program}" : program;
        using var process = Process.Start(new ProcessStartInfo(path, arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true })!;
        var said = process.StandardOutput.ReadToEnd();
        said = said.Length > 0 ? said : process.StandardError.ReadToEnd();
        process.WaitForExit();
        return said.Trim();
    }

    private static string FirstOf(string said) => said.Split('\n')[0];

    [GeneratedRegex(@"(?<=commit\s+)[0-9a-f]{8}", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Commit();

    [GeneratedRegex(@"^\|.*?\(`(?<name>[a-z-]+)`\) \|", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Named();

    [GeneratedRegex(@"/ (?<slowest>[0-9]+) ms \|", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex ResumedIn();
}
