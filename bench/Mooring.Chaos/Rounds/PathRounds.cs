using System.Text.Json.Nodes;
using Mooring.Chaos.Clients;
using Mooring.Chaos.Stands;

namespace Mooring.Chaos.Rounds;

/// <summary>Everybody is silent for a minute, behind balancers that end what is silent for 5 s; one call is under way in each session.</summary>
internal sealed class QuietRound : Round
{
    public override string Name => "quiet";

    public override string Title => "balancers cut after 5 s of silence, 60 s of quiet with a silent call under way";

    public override StandShape Shape => new(Replicas: 2) { Configure = (config, _) => config["calls"]!["deadline"] = "2m" };

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        field.Conduct.Calling(false);
        var silent = field.Stand.SilentStreamsEndAsync(cancel);
        var seconds = field.IsShort ? 7 : 60;
        var start = TimeProvider.System.GetTimestamp();
        var outcomes = await Task.WhenAll(
        [
            .. field.Crowd.Sessions.Select(session => session.CallAsync("quiet", seconds, cancel)),
            .. field.Crowd.Stateless.Select(client => client.CallAsync("quiet", seconds, cancel)),
        ]);
        field.Evidence.Show("s of quiet", TimeProvider.System.GetElapsedTime(start).TotalSeconds, atLeast: seconds);
        field.Evidence.Show("silent calls under way", outcomes.Length);
        field.Evidence.Show("streams without keep-alive, all cut", await silent, atLeast: field.Stand.Entrances.Count);
        // The streams were as quiet as the calls; they must still be there to carry something.
        await Task.WhenAll([.. field.Crowd.Sessions.Select(session => session.AnnounceAsync(3, cancel)), field.Crowd.Stateless[0].ChangeAsync(cancel), field.Crowd.Stateless[1].ChangeAsync(cancel)]);
        field.Conduct.Calling(true);
        await field.WaitAsync(5, 1, cancel);
    }
}

/// <summary>Every connection is reset at the same age, whatever it carries.</summary>
internal sealed class AgeRound : Round
{
    public override string Name => "age";

    public override string Title => "every connection to the balancers reset at the age of 6 s, for 40 s";

    public override StandShape Shape => new(Replicas: 2) { WiredClients = true };

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        SetAge(TimeSpan.FromSeconds(field.IsShort ? 2 : 6));
        // Connections that were there before have no age: they end at once, the rest follows.
        foreach (var wire in field.Stand.ClientWires)
        {
            wire.Cut();
            wire.Heal();
        }

        await field.WaitAsync(40, 7, cancel);
        SetAge(TimeSpan.Zero);
        field.Evidence.Show("connections reset for their age", field.Stand.ClientWires.Sum(wire => wire.AgedConnections), atLeast: field.Crowd.Sessions.Count);
        await field.WaitAsync(8, 2, cancel);

        void SetAge(TimeSpan age)
        {
            foreach (var wire in field.Stand.ClientWires)
            {
                wire.OldestAge = age;
            }
        }
    }
}

/// <summary>The network of half of the clients vanishes without a word, and comes back as another one.</summary>
internal sealed class HalfOpenRound : Round
{
    public override string Name => "half-open";

    public override string Title => "network of half of the clients silent for 30 s, old connections never come back";

    public override StandShape Shape => new(Replicas: 2) { WiredClients = true };

    public override Conduct Conduct { get; } = new() { FaultsLast = TimeSpan.FromSeconds(30) };

    /// <summary>Nobody can be given tools whose network is away.</summary>
    public override bool ToolsAlways => false;

    public override bool ListsAlways => true;

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        await field.CallsUnderWayAsync(cancel);
        using (field.Conduct.Faults.Begin())
        {
            field.Stand.ClientWires[0].FallSilent();
            await field.WaitAsync(30, 6, cancel);
            field.Stand.ClientWires[0].Heal();
        }

        field.Evidence.Show("bytes swallowed", field.Stand.ClientWires[0].SwallowedBytes);
        // Until the dead connections have been silent for too long.
        await field.WaitAsync(15, 5, cancel);
    }
}

/// <summary>A tenth of the sessions stop reading while much is sent to them.</summary>
internal sealed class SlowReadersRound : Round
{
    private const string Ended = "mooring_stream_duration_seconds_count";
    private const string SlowReader = "reason=\"slow_reader\"";

    public override string Name => "slow-readers";

    public override string Title => "a tenth of the sessions reads nothing for 40 s while 5 MB are sent to each";

    public override StandShape Shape => new(Replicas: 2)
    {
        Configure = (config, isShort) => config["streams"] = new JsonObject { ["writeTimeout"] = isShort ? "3s" : "30s" },
    };

    public override Conduct Conduct { get; } = new() { Padding = 40 * 1024 };

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        // The first look is the one from which on it is counted.
        var before = await EndedAsync();
        field.Conduct.Reading(false);
        var stalled = field.Crowd.Sessions.Where((_, index) => index % 10 == 5).ToList();
        foreach (var session in stalled)
        {
            // Below what the event log keeps of one session.
            await session.AnnounceAsync(128, cancel);
        }

        await field.WaitAsync(40, 7, cancel);
        field.Evidence.Show("streams ended for their slow reader", await EndedAsync() - before, atLeast: field.IsShort ? 1 : stalled.Count / 2);
        field.Conduct.Reading(true);
        await field.WaitAsync(15, 3, cancel);

        async Task<double> EndedAsync() => (await Task.WhenAll(field.Stand.Replicas.Select(replica => replica.MetricAsync(Ended, SlowReader, cancel)))).Sum();
    }
}
