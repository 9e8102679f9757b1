using System.Text;

namespace Mooring.Benchmarks.Suite;

/// <summary>Gathers rows and turns them into the tables of the report. Progress goes to standard error, so that standard output is the report alone.</summary>
internal sealed class Report
{
    private const string Begin = "<!-- result: written by eng/bench.sh --write -->";
    private const string End = "<!-- end of result -->";

    private readonly List<string> _calls = [];
    private readonly List<string> _figures = [];
    private readonly List<string> _parts = [];

    public static void Progress(string line) => Console.Error.WriteLine(line);

    public void AddCalls(
        string name, int workers, string[] cells, double toPassthrough, double toNginx, double addedP50, double toSessions, double processorToSessions, double processor, double allocated) =>
        _calls.Add(
            $"| {name} | {workers} | {string.Join(" | ", cells)} | **{toPassthrough:F2}** | {toNginx:F2} | **{addedP50:F2}** | {processor:F2} | {toSessions:F2} | {processorToSessions:F2} | " +
            $"{(double.IsNaN(allocated) ? "–" : $"{allocated:F0} B")} |");

    public void AddFigure(string what, string ours, string others, string ratio, string target) =>
        _figures.Add($"| {what} | {ours} | {others} | {ratio} | {target} |");

    /// <summary>One line of where a call's processor time or its bytes go.</summary>
    /// <param name="unit">Of the amounts.</param>
    /// <param name="part">Whose work it is, or what is made.</param>
    /// <param name="amounts">Of one call with sessions, and of one of 2026-07-28.</param>
    public void AddPart(string unit, string part, IEnumerable<double> amounts) =>
        _parts.Add($"| {unit} | {part} | {string.Join(" | ", amounts.Select(amount => $"{amount:F1}"))} |");

    public string ToMarkdown(string conditions)
    {
        var text = new StringBuilder();
        if (_calls.Count > 0)
        {
            text.AppendLine("Each cell: calls per second, p50 / p99 of a call, processor time of that server per call. Targets: calls ÷ pass-through ≥ 0.9 and");
            text.AppendLine("added p50 ÷ the pass-through's ≤ 1.2, at 8 and at 32 workers; calls ÷ those with sessions ≥ 1.");
            text.AppendLine();
            text.AppendLine("| answer | workers | nothing between | bare pass-through | nginx | Mooring | calls ÷ pass-through | calls ÷ nginx | added p50 ÷ pass-through's | cpu ÷ pass-through's | calls ÷ with sessions | cpu ÷ with sessions | allocated per call |");
            text.AppendLine("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
            _calls.ForEach(row => text.AppendLine(row));
            text.AppendLine();
        }

        if (_figures.Count > 0)
        {
            text.AppendLine("| what | Mooring | others | ratio | target |");
            text.AppendLine("|---|---|---|---|---|");
            _figures.ForEach(row => text.AppendLine(row));
            text.AppendLine();
        }

        if (_parts.Count > 0)
        {
            text.AppendLine("Where the gateway's processor time (µs) and its allocated bytes (B) of one JSON call at 8 workers go:");
            text.AppendLine();
            text.AppendLine("| of | part | with sessions | 2026-07-28 |");
            text.AppendLine("|---|---|---|---|");
            _parts.ForEach(row => text.AppendLine(row));
            text.AppendLine();
        }

        // What was not measured in this run.
        return text.Replace("NaN", "–").Append(conditions).ToString();
    }

    /// <summary>Puts the result between the markers of a page.</summary>
    public static void Write(string page, string result)
    {
        var text = File.ReadAllText(page);
        var from = text.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length;
        var to = text.IndexOf(End, StringComparison.Ordinal);
        File.WriteAllText(page, $"{text[..from]}\n\n{result.Trim()}\n\n{text[to..]}");
    }
}
