using System.CommandLine;
using Mooring.Chaos.Rounds;
using Mooring.Chaos.Stands;

namespace Mooring.Chaos;

/// <summary>The command behind eng/chaos.sh.</summary>
internal static class ChaosCommand
{
    public static Task<int> RunAsync(string[] arguments)
    {
        var rounds = new Argument<string[]>("ROUND") { Description = "Rounds to play; all without one.", Arity = ArgumentArity.ZeroOrMore };
        rounds.AcceptOnlyFromAmong([.. AllRounds.Names, Throughput.Name]);
        var sessions = new Option<int?>("--sessions") { Description = "Sessions under load in each round; usually 200, in short rounds 10. Clients of 2026-07-28 come on top, one for four sessions." };
        var official = new Option<int?>("--official") { Description = "Clients built on the official libraries, two thirds of them among the sessions; usually 10, in short rounds 3." };
        var seed = new Option<int>("--seed") { Description = "Decides what each session does.", DefaultValueFactory = _ => 1 };
        var pace = new Option<double?>("--pace") { Description = "Mean seconds between two steps of one session; usually 2, in short rounds 1." };
        var isShort = new Option<bool>("--short") { Description = "Rounds of a few seconds each." };
        var parallel = new Option<int?>("--parallel") { Description = "Rounds played at the same time; usually 1, short ones 3." };
        var replicas = new Option<int?>("--replicas") { Description = "Another number of gateways than each round's own." };
        var commit = new Option<string?>("--commit") { Description = "When calls are committed: commit of all servers of the configuration." };
        var store = new Option<string>("--store") { Description = "What several gateways share: postgres or dynamodb.", DefaultValueFactory = _ => "postgres" };
        store.AcceptOnlyFromAmong("postgres", "dynamodb");
        var write = new Option<string?>("--write") { Description = "Page that keeps the result." };
        var root = new RootCommand("Faults against gateways under load. eng/chaos.sh installs what is needed and runs it.")
        {
            rounds, sessions, official, seed, pace, isShort, parallel, replicas, commit, store, write,
        };
        root.Validators.Add(given =>
        {
            if (given.GetValue(isShort) && given.GetValue(write) is not null)
            {
                given.AddError("Short rounds say nothing about times, so the page does not keep them: --short or --write.");
            }
        });
        root.Validators.Add(given =>
        {
            if (given.GetValue(sessions) is { } asked && asked < (given.GetValue(official) ?? (given.GetValue(isShort) ? 3 : 10)))
            {
                given.AddError("The official clients are among the sessions: more --sessions, or fewer --official.");
            }
        });
        root.Validators.Add(given =>
        {
            if (given.GetValue(store) == "dynamodb" && AllRounds.Of(given.GetValue(rounds)!).Any(round => round.Shape.StrikesStore || round.Shape.WiredStore))
            {
                given.AddError("Rounds that strike the store strike PostgreSQL: name others with --store dynamodb.");
            }
        });
        root.SetAction((parsed, cancel) => PlayAsync(
            new ChaosOptions(
                parsed.GetValue(rounds)!,
                parsed.GetValue(sessions) ?? (parsed.GetValue(isShort) ? 10 : 200),
                parsed.GetValue(official) ?? (parsed.GetValue(isShort) ? 3 : 10),
                parsed.GetValue(seed),
                TimeSpan.FromSeconds(parsed.GetValue(pace) ?? (parsed.GetValue(isShort) ? 1 : 2)),
                parsed.GetValue(isShort),
                parsed.GetValue(parallel) ?? (parsed.GetValue(isShort) ? 3 : 1),
                parsed.GetValue(replicas),
                parsed.GetValue(commit),
                parsed.GetValue(store) == "dynamodb",
                parsed.GetValue(write)),
            cancel));
        // Long enough to stop what was started when it is interrupted.
        return root.Parse(arguments).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromSeconds(60) });
    }

    private static async Task<int> PlayAsync(ChaosOptions options, CancellationToken cancel)
    {
        var loadBefore = Report.Load();
        var report = new Report(options);
        var broken = 0;
        await using var postgres = options.IsShort ? new SharedPostgres() : null;
        report.Begin();
        await Parallel.ForEachAsync(
            AllRounds.Of(options.Rounds),
            new ParallelOptions { MaxDegreeOfParallelism = options.Parallel, CancellationToken = cancel },
            async (round, over) => Interlocked.Add(ref broken, await PlayAsync(round, options, postgres, report, over) ? 0 : 1));
        if (options.Rounds.Contains(Throughput.Name) || (options.Rounds.Count == 0 && !options.IsShort))
        {
            report.Say("");
            report.Say(Throughput.Head);
            foreach (var figure in await Throughput.PlayAsync(cancel))
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
    private static async Task<bool> PlayAsync(Round round, ChaosOptions options, SharedPostgres? postgres, Report report, CancellationToken cancel)
    {
        var start = TimeProvider.System.GetTimestamp();
        try
        {
            if (round.Obstacle is { } obstacle)
            {
                // Nothing was proved by it.
                report.Unplayed(round, $"**broken: not played: {obstacle}**");
                return false;
            }

            var result = await Match.PlayAsync(round, options, postgres, cancel);
            foreach (var note in result.Notes)
            {
                Report.Progress($"  {round.Name}: {note}");
            }

            report.Played(round, result, TimeProvider.System.GetElapsedTime(start));
            return result.Broken.Count == 0;
        }
        catch (Exception e) when (e is not OperationCanceledException || !cancel.IsCancellationRequested)
        {
            Report.Progress($"  {round.Name}: {e.GetType().Name}: {e.Message}\n{e.StackTrace}");
            report.Unplayed(round, $"**broken: not played to its end: {e.GetType().Name}**");
            return false;
        }
        finally
        {
            await round.ClearAsync();
        }
    }
}
