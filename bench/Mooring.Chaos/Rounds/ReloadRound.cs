using System.Text.Json.Nodes;

namespace Mooring.Chaos.Rounds;

/// <summary>The configuration changes all the time: a server comes and goes, limits and intervals change, once it is not even valid.</summary>
internal sealed class ReloadRound : Round
{
    public override string Name => "reload";

    public override string Title => "configuration replaced every 500 ms for 30 s";

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        var over = field.WaitAsync(30, cancel);
        for (var time = 0; !over.IsCompleted; time++)
        {
            foreach (var (replica, index) in field.Stand.Replicas.Select((replica, index) => (replica, index)))
            {
                var config = field.Stand.Config(index);
                Change(config, time);
                replica.Configure(config);
            }

            await Task.Delay(TimeSpan.FromMilliseconds(500), cancel);
        }

        foreach (var (replica, index) in field.Stand.Replicas.Select((replica, index) => (replica, index)))
        {
            replica.Configure(field.Stand.Config(index));
        }

        await field.WaitAsync(5, cancel);
        // Every fourth is invalid, which is said; the valid ones between them are seen by the server that comes and goes.
        field.ShowSaid("has errors; the one in force stays");
    }

    private static void Change(JsonObject config, int time)
    {
        switch (time % 4)
        {
            case 0:
                config["mcpServers"]!["passing"] = config["mcpServers"]!["web"]!.DeepClone();
                break;
            case 1:
                config["keepAlive"]!["interval"] = "1500ms";
                break;
            case 2:
                config["limits"] = new JsonObject { ["callsPerSession"] = 100 };
                break;
            default:
                config["keepAlive"]!["interval"] = "no duration";
                break;
        }
    }
}
