using System.Text.Json.Nodes;
using Mooring.Chaos.Stands;

namespace Mooring.Chaos.Rounds;

/// <summary>The configuration changes all the time: a server comes and goes, limits and intervals change, once it is not even valid.</summary>
internal sealed class ReloadRound : Round
{
    public override string Name => "reload";

    public override string Title => "configuration replaced every 3 s for 36 s";

    /// <summary>Said for each change that was taken over.</summary>
    private const string Reloaded = "reloaded; changed:";
    private const string Refused = "has errors; the one in force stays";

    /// <summary>A gateway looks once a second, and takes over what it has seen twice: what changes faster is not read at all.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(3);

    public override StandShape Shape => new(Replicas: 2) { Configure = (config, _) => config["logLevel"] = "information" };

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        var over = field.WaitAsync(36, 8, cancel);
        for (var time = 0; !over.IsCompleted; time++)
        {
            foreach (var (replica, index) in field.Stand.Replicas.Select((replica, index) => (replica, index)))
            {
                var config = field.Stand.Config(index);
                Change(config, time);
                replica.Configure(config);
            }

            await Task.Delay(Pause, cancel);
        }

        foreach (var (replica, index) in field.Stand.Replicas.Select((replica, index) => (replica, index)))
        {
            replica.Configure(field.Stand.Config(index));
        }

        await field.WaitAsync(5, 3, cancel);
        field.ShowSaid(Reloaded);
        field.ShowSaid(Refused);
    }

    private static void Change(JsonObject config, int time)
    {
        switch (time % 4)
        {
            case 0:
                config["mcpServers"]!["passing"] = config["mcpServers"]!["web"]!.DeepClone();
                break;
            case 1:
                config["keepAlive"]!["interval"] = "no duration";
                break;
            case 2:
                config["keepAlive"]!["interval"] = "1500ms";
                break;
            default:
                config["limits"] = new JsonObject { ["callsPerSession"] = 100 };
                break;
        }
    }
}
