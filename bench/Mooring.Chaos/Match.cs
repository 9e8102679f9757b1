using Mooring.Chaos.Clients;
using Mooring.Chaos.Rounds;
using Mooring.Chaos.Servers;
using Mooring.Chaos.Stands;

namespace Mooring.Chaos;

/// <summary>Plays one round: builds the stand, puts the load on, strikes, lets everything finish, and compares what clients and servers saw.</summary>
internal static class Match
{
    private static readonly TimeSpan Warm = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Calm = TimeSpan.FromSeconds(5);

    public static async Task<Result> PlayAsync(Round round, ChaosOptions options, CancellationToken cancel)
    {
        var shape = options.Replicas is { } replicas ? round.Shape with { Replicas = replicas, Places = replicas } : round.Shape;
        var conduct = round.Conduct;
        await using var stand = await Stand.BuildAsync(shape, cancel);
        await using var crowd = new Crowd(options.Sessions, options.Seed, stand.Entrances, conduct);
        await crowd.StartAsync(cancel);
        await Task.Delay(Warm, cancel);
        Report.Progress($"{round.Name}: {options.Sessions} sessions under load, {crowd.Tally.Calls.Count} calls so far");
        await round.StrikeAsync(new Field(stand, crowd, conduct, options.IsShort), cancel);
        await Task.Delay(Calm, cancel);
        await crowd.StopAsync(cancel);
        var executed = Ledger.Read(stand.Ledgers);
        return new Result(round, shape, options.Sessions, crowd.Tally, executed);
    }
}
