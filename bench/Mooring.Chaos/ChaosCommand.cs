using System.CommandLine;
using System.Text;
using Mooring.Chaos.Rounds;

namespace Mooring.Chaos;

/// <summary>The command behind eng/chaos.sh.</summary>
internal static class ChaosCommand
{
    public static Task<int> RunAsync(string[] arguments)
    {
        var sessions = new Option<int>("--sessions") { Description = "Sessions under load in each round.", DefaultValueFactory = _ => 200 };
        var seed = new Option<int>("--seed") { Description = "Decides what each session does.", DefaultValueFactory = _ => 1 };
        var only = new Option<string[]>("--only") { Description = "A round; may be given more than once.", DefaultValueFactory = _ => [] };
        only.AcceptOnlyFromAmong([.. AllRounds.Names]);
        var isShort = new Option<bool>("--short") { Description = "Faults last 0.4 times as long." };
        var replicas = new Option<int?>("--replicas") { Description = "Another number of gateways than each round's own." };
        var write = new Option<string?>("--write") { Description = "Page that keeps the result." };
        var root = new RootCommand("Faults against gateways under load. eng/chaos.sh installs what is needed and runs it.") { sessions, seed, only, isShort, replicas, write };
        root.SetAction((parsed, cancel) => PlayAsync(
            new ChaosOptions(
                parsed.GetValue(sessions), parsed.GetValue(seed), parsed.GetValue(only)!, parsed.GetValue(isShort), parsed.GetValue(replicas), parsed.GetValue(write)),
            cancel));
        // Long enough to stop what was started when it is interrupted.
        return root.Parse(arguments).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromSeconds(60) });
    }

    private static async Task<int> PlayAsync(ChaosOptions options, CancellationToken cancel)
    {
        var loadBefore = Report.Load();
        var table = new StringBuilder(Result.Head).Append('\n');
        var broken = 0;
        Console.Out.WriteLine(Result.Head);
        foreach (var round in AllRounds.Of(options.Only))
        {
            var (row, kept) = await RowAsync(round, options, cancel);
            Console.Out.WriteLine(row);
            table.Append(row).Append('\n');
            broken += kept ? 0 : 1;
        }

        var result = table.Append('\n').Append(Report.Conditions(options, loadBefore)).ToString();
        if (options.Write is { } page)
        {
            Report.Write(page, result);
        }

        Report.Progress(broken == 0 ? "Everything that is promised was kept." : $"{broken} rounds broke a promise.");
        return broken == 0 ? 0 : 1;
    }

    private static async Task<(string Row, bool Kept)> RowAsync(Round round, ChaosOptions options, CancellationToken cancel)
    {
        try
        {
            if (round.Obstacle is { } obstacle)
            {
                return ($"| {round.Title} (`{round.Name}`) |{string.Concat(Enumerable.Repeat(" |", Result.Columns - 2))} not played: {obstacle} |", true);
            }

            var result = await Match.PlayAsync(round, options, cancel);
            foreach (var note in result.Notes)
            {
                Report.Progress($"  {round.Name}: {note}");
            }

            return (result.ToString(), result.Broken.Count == 0);
        }
        catch (Exception e) when (e is not OperationCanceledException || !cancel.IsCancellationRequested)
        {
            Report.Progress($"  {round.Name}: {e}");
            return ($"| {round.Title} (`{round.Name}`) |{string.Concat(Enumerable.Repeat(" |", Result.Columns - 2))} **not played to its end: {e.GetType().Name}** |", false);
        }
        finally
        {
            await round.ClearAsync();
        }
    }
}
