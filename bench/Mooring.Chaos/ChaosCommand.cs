using System.CommandLine;
using Mooring.Chaos.Rounds;

namespace Mooring.Chaos;

/// <summary>The command behind eng/chaos.sh.</summary>
internal static class ChaosCommand
{
    public static Task<int> RunAsync(string[] arguments)
    {
        var rounds = new Argument<string[]>("ROUND") { Description = "Rounds to play; all without one.", Arity = ArgumentArity.ZeroOrMore };
        rounds.AcceptOnlyFromAmong([.. AllRounds.Names, Throughput.Name]);
        var sessions = Number("--sessions", "Sessions under load in each round.", 200);
        var official = Number("--official", "How many of them are clients built on the official libraries.", 10);
        var seed = Number("--seed", "Decides what each session does.", 1);
        var pace = new Option<double>("--pace") { Description = "Mean seconds between two steps of one session.", DefaultValueFactory = _ => 2 };
        var isShort = new Option<bool>("--short") { Description = "Faults last 0.4 times as long, and calls are shorter." };
        var parallel = Number("--parallel", "Rounds played at the same time.", 1);
        var replicas = new Option<int?>("--replicas") { Description = "Another number of gateways than each round's own." };
        var commit = new Option<string?>("--commit") { Description = "When calls are committed, as calls.commit of the configuration." };
        var write = new Option<string?>("--write") { Description = "Page that keeps the result." };
        var root = new RootCommand("Faults against gateways under load. eng/chaos.sh installs what is needed and runs it.")
        {
            rounds, sessions, official, seed, pace, isShort, parallel, replicas, commit, write,
        };
        root.SetAction((parsed, cancel) => PlayAsync(
            new ChaosOptions(
                parsed.GetValue(rounds)!,
                parsed.GetValue(sessions),
                parsed.GetValue(official),
                parsed.GetValue(seed),
                TimeSpan.FromSeconds(parsed.GetValue(pace)),
                parsed.GetValue(isShort),
                parsed.GetValue(parallel),
                parsed.GetValue(replicas),
                parsed.GetValue(commit),
                parsed.GetValue(write)),
            cancel));
        // Long enough to stop what was started when it is interrupted.
        return root.Parse(arguments).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromSeconds(60) });

        static Option<int> Number(string name, string description, int usually) => new(name) { Description = description, DefaultValueFactory = _ => usually };
    }

    private static async Task<int> PlayAsync(ChaosOptions options, CancellationToken cancel)
    {
        var loadBefore = Report.Load();
        var report = new Report(options);
        var broken = 0;
        report.Say(Result.Head);
        await Parallel.ForEachAsync(
            AllRounds.Of(options.Rounds),
            new ParallelOptions { MaxDegreeOfParallelism = options.Parallel, CancellationToken = cancel },
            async (round, over) => Interlocked.Add(ref broken, await PlayAsync(round, options, report, over) ? 0 : 1));
        if (options.Rounds.Count == 0 || options.Rounds.Contains(Throughput.Name))
        {
            report.Say("");
            report.Say(Throughput.Head);
            foreach (var figure in await Throughput.PlayAsync(options, cancel))
            {
                report.Figure(figure);
                broken += figure.IsKept ? 0 : 1;
            }
        }

        report.Finish(loadBefore);
        Report.Progress(broken == 0 ? "Everything that is promised was kept." : $"{broken} rounds broke a promise.");
        return broken == 0 ? 0 : 1;
    }

    /// <returns>Whether everything that is promised was kept.</returns>
    private static async Task<bool> PlayAsync(Round round, ChaosOptions options, Report report, CancellationToken cancel)
    {
        try
        {
            if (round.Obstacle is { } obstacle)
            {
                report.Row(round, Report.Empty(round, $"not played: {obstacle}"));
                return true;
            }

            var result = await Match.PlayAsync(round, options, cancel);
            foreach (var note in result.Notes)
            {
                Report.Progress($"  {round.Name}: {note}");
            }

            report.Row(round, result.ToString());
            return result.Broken.Count == 0;
        }
        catch (Exception e) when (e is not OperationCanceledException || !cancel.IsCancellationRequested)
        {
            Report.Progress($"  {round.Name}: {e.GetType().Name}: {e.Message}\n{e.StackTrace}");
            report.Row(round, Report.Empty(round, $"**not played to its end: {e.GetType().Name}**"));
            return false;
        }
        finally
        {
            await round.ClearAsync();
        }
    }
}
