using Mooring.Chaos.Clients;
using Mooring.Chaos.Stands;

namespace Mooring.Chaos.Rounds;

/// <summary>kill -9 of one replica after the other, each back after a while.</summary>
/// <param name="commit">When calls are committed; null for the gateways' own way.</param>
internal sealed class KillRound(string? commit = null) : Round
{
    public override string Name => commit is null ? "kill" : $"kill-{commit}";

    public override string Title => $"kill -9 of each replica in turn, back after 5 s{(commit is null ? "" : $", commit {commit}")}";

    public override StandShape Shape => new(Replicas: 3) { Commit = commit };

    public override TimeSpan? ResumeLimit => TimeSpan.FromSeconds(1);

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        foreach (var replica in field.Stand.Replicas)
        {
            await field.CallsUnderWayAsync(cancel);
            field.ShowKill(await replica.KillAsync(cancel));
            await field.WaitAsync(5, 1, cancel);
            await replica.StartAsync(cancel);
            await field.WaitAsync(10, 2, cancel);
        }
    }
}

/// <summary>The only gateway is killed and started again.</summary>
internal sealed class KillOneRound : Round
{
    public override string Name => "kill-one";

    public override string Title => "kill -9 of the only gateway, back after 2 s, three times";

    public override StandShape Shape => new(Replicas: 1);

    public override bool ToolsAlways => false;

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        for (var time = 0; time < (field.IsShort ? 2 : 3); time++)
        {
            await field.CallsUnderWayAsync(cancel);
            field.ShowKill(await field.Stand.Replicas[0].KillAsync(cancel));
            await field.WaitAsync(2, 1, cancel);
            await field.Stand.Replicas[0].StartAsync(cancel);
            await field.WaitAsync(10, 3, cancel);
        }
    }
}

/// <summary>A deploy: each replica is asked to stop, ends when it wants to, and is started again.</summary>
internal sealed class RollingRound : Round
{
    public override string Name => "rolling";

    public override string Title => "rolling restart of all replicas (SIGTERM, start)";

    public override StandShape Shape => new(Replicas: 3);

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        foreach (var replica in field.Stand.Replicas)
        {
            await field.CallsUnderWayAsync(cancel);
            field.ShowStop(await replica.StopAsync(cancel));
            await replica.StartAsync(cancel);
            await field.WaitAsync(5, 1.5, cancel);
        }
    }
}

/// <summary>One replica becomes three, and one again: another one than at first.</summary>
internal sealed class ScaleRound : Round
{
    public override string Name => "scale";

    public override string Title => "scale from 1 to 3 replicas and back to 1";

    public override StandShape Shape => new(Replicas: 1) { Places = 3 };

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        var replicas = field.Stand.Replicas;
        foreach (var replica in replicas.Skip(1))
        {
            await replica.StartAsync(cancel);
            await replica.MetricAsync(CallsMetric, "", cancel);
            await field.WaitAsync(8, 2.5, cancel);
            field.Evidence.Show("calls on added replicas", await replica.MetricAsync(CallsMetric, "", cancel));
        }

        foreach (var replica in replicas.SkipLast(1))
        {
            await field.CallsUnderWayAsync(cancel);
            field.ShowStop(await replica.StopAsync(cancel));
            await field.WaitAsync(5, 1.5, cancel);
        }
    }

    private const string CallsMetric = "mooring_call_duration_seconds_count";
}

/// <summary>The only gateway is asked to stop while most sessions wait for a long call.</summary>
internal sealed class SigtermRound : Round
{
    public override string Name => "sigterm";

    public override string Title => "SIGTERM during calls of 12 s, start again";

    public override StandShape Shape => new(Replicas: 1);

    public override bool ToolsAlways => false;

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        // Beside what the sessions do on their own; their outcomes are in the same tally.
        var seconds = field.IsShort ? 4 : 12;
        List<Task<Outcome>> calls =
        [
            .. field.Crowd.Sessions.Where((_, index) => index % 2 == 1).Select(session => session.CallAsync("slow", seconds, cancel)),
            .. field.Crowd.Stateless.Select(client => client.CallAsync("slow", seconds, cancel)),
        ];
        await field.WaitAsync(3, 1, cancel);
        field.Evidence.Show("long calls under way", calls.Count(call => !call.IsCompleted));
        field.ShowStop(await field.Stand.Replicas[0].StopAsync(cancel));
        await field.Stand.Replicas[0].StartAsync(cancel);
        await Task.WhenAll(calls);
    }
}
