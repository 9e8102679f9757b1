using Mooring.Chaos.Clients;
using Mooring.Chaos.Rounds;
using Mooring.Chaos.Servers;
using Mooring.Chaos.Stands;

namespace Mooring.Chaos;

/// <summary>Plays one round: builds the stand, puts the load on, strikes, lets everything finish, and compares what clients and servers saw.</summary>
internal static class Match
{
    /// <summary>Longest of the slow calls of a short run, in seconds: long enough to be under way when something happens.</summary>
    private const int ShortSlowest = 3;

    public static async Task<Result> PlayAsync(Round round, ChaosOptions options, SharedPostgres? postgres, CancellationToken cancel)
    {
        var shape = round.Shape with { Commit = options.Commit ?? round.Shape.Commit, OnDynamoDb = options.OnDynamoDb, IsShort = options.IsShort };
        shape = options.Replicas is { } replicas ? shape with { Replicas = replicas, Places = replicas } : shape;
        var conduct = round.Conduct;
        conduct.Pace = options.Pace;
        conduct.Slowest = options.IsShort ? ShortSlowest : conduct.Slowest;
        var evidence = new Evidence();
        var population = new Population(options.Sessions, options.Official);
        await using var stand = await Stand.BuildAsync(shape, postgres, cancel);
        await using var crowd = new Crowd(population, options.Seed, stand.Entrances, conduct);
        await crowd.StartAsync(cancel);
        var field = new Field(stand, crowd, conduct, evidence, options.IsShort);
        await field.WaitAsync(5, 2, cancel);
        if (!options.IsShort)
        {
            Report.Progress($"{round.Name}: {population.Sessions} sessions and {population.WithoutSession} clients without one under load, {crowd.Tally.Calls.Count} calls so far, load average {Report.Load()}; " +
                $"without tools while all of it began: {crowd.Tally.WithoutToolsAtFirst.TotalSeconds:0.0} s");
        }

        crowd.Tally.Opened();
        await round.StrikeAsync(field, cancel);
        await field.WaitAsync(5, 1, cancel);
        await crowd.StopAsync(cancel);
        var executed = Ledger.Read(stand.Ledgers);
        KeepJournals(round, crowd.Tally);
        var result = new Result(round, shape, population, crowd.Tally, executed, evidence);
        if (result.Broken.Count > 0)
        {
            KeepLogs(round, stand);
        }

        return result;
    }

    /// <summary>What the sessions concerned did and received, so that what was lost or came twice can be explained.</summary>
    private static void KeepJournals(Round round, Tally tally)
    {
        if (tally.Journals.Count > 0)
        {
            var file = Path.Combine(Path.GetTempPath(), $"mooring-chaos-{round.Name}-sessions.log");
            File.WriteAllLines(file, tally.Journals.SelectMany(journal => journal.Append("")));
            Report.Progress($"  {round.Name}: what {tally.Journals.Count} sessions with lost or repeated events did is in {file}");
        }
    }

    /// <summary>What the gateways said in a round that broke a promise, for whoever looks for the reason.</summary>
    private static void KeepLogs(Round round, Stand stand)
    {
        foreach (var (replica, index) in stand.Replicas.Select((replica, index) => (replica, index)))
        {
            var file = Path.Combine(Path.GetTempPath(), $"mooring-chaos-{round.Name}-{index}.log");
            File.WriteAllText(file, replica.Log);
            Report.Progress($"  {round.Name}: log of gateway {index} in {file}");
        }
    }
}
