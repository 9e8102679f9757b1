using Mooring.Chaos.Clients;
using Mooring.Chaos.Stands;
using Npgsql;

namespace Mooring.Chaos.Rounds;

/// <summary>The database is stopped for 20 s.</summary>
internal sealed class StoreStoppedRound : Round
{
    public override string Name => "store-stopped";

    public override string Title => "PostgreSQL stopped for 20 s";

    public override StandShape Shape => new(Replicas: 2) { StrikesStore = true };

    public override Conduct Conduct { get; } = new() { FaultsLast = TimeSpan.FromSeconds(20) };

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        await field.AcquaintAsync(cancel);
        using (field.Conduct.Faults.Begin())
        {
            await field.Stand.Postgres.StopServerAsync();
            await field.WaitAsync(20, 5, cancel);
            field.Evidence.Show("refused by the stopped database", await RefusesAsync(field.Stand, cancel) ? 1 : 0);
            await field.Stand.Postgres.StartServerAsync();
        }

        await field.WaitAsync(15, 4, cancel);
        field.ShowSaid("The store is away");
    }

    private static async Task<bool> RefusesAsync(Stand stand, CancellationToken cancel)
    {
        try
        {
            await using var connection = new NpgsqlConnection(stand.Postgres.ConnectionTo(stand.Database));
            await connection.OpenAsync(cancel);
            return false;
        }
        catch (NpgsqlException)
        {
            return true;
        }
    }
}

/// <summary>All processes of the database are killed; it recovers from its log.</summary>
internal sealed class StoreKilledRound : Round
{
    public override string Name => "store-killed";

    public override string Title => "PostgreSQL killed -9 and started, three times";

    public override StandShape Shape => new(Replicas: 2) { StrikesStore = true };

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        await field.AcquaintAsync(cancel);
        for (var time = 0; time < (field.IsShort ? 2 : 3); time++)
        {
            await field.CallsUnderWayAsync(cancel);
            var before = await StartedAsync(field.Stand);
            await field.Stand.Postgres.KillServerAsync();
            await field.Stand.Postgres.StartServerAsync();
            field.Evidence.Show("other starts of the database", await StartedAsync(field.Stand) > before ? 1 : 0);
            await field.WaitAsync(10, 3, cancel);
        }
    }

    private static async Task<DateTime> StartedAsync(Stand stand) => (DateTime)(await stand.Postgres.AskAsync(stand.Database, "select pg_postmaster_start_time()"))!;
}

/// <summary>One gateway after the other cannot reach the store, while the other can.</summary>
internal sealed class StoreCutRound : Round
{
    public override string Name => "store-cut";

    public override string Title => "network between each gateway and the store cut for 10 s in turn, then silent for 10 s";

    public override bool ToolsAlwaysLegacy => false;

    public override StandShape Shape => new(Replicas: 2) { WiredStore = true };

    public override Conduct Conduct { get; } = new() { FaultsLast = TimeSpan.FromSeconds(40) };

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        await field.AcquaintAsync(cancel);
        foreach (var wire in field.Stand.StoreWires)
        {
            using (field.Conduct.Faults.Begin())
            {
                wire.Cut();
                await field.WaitAsync(10, 2, cancel);
                wire.Heal();
            }

            field.Evidence.Show("connections to the store cut or refused", wire.CutConnections);
            await field.WaitAsync(8, 1, cancel);
            using (field.Conduct.Faults.Begin())
            {
                wire.FallSilent();
                await field.WaitAsync(10, 2, cancel);
                wire.Heal();
            }

            field.Evidence.Show("bytes to the store swallowed", wire.SwallowedBytes);
            await field.WaitAsync(8, 1, cancel);
        }
    }
}

/// <summary>Everything a gateway asks of the store takes longer.</summary>
internal sealed class StoreDelayedRound : Round
{
    public override string Name => "store-delayed";

    public override string Title => "network to the store delayed by 300 ms for 30 s";

    public override bool ToolsAlwaysLegacy => false;

    public override StandShape Shape => new(Replicas: 2) { WiredStore = true };

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        Set(TimeSpan.FromMilliseconds(300));
        await field.WaitAsync(30, 6, cancel);
        Set(TimeSpan.Zero);
        field.Evidence.Show("pieces to the store delayed", field.Stand.StoreWires.Sum(wire => wire.DelayedPieces), atLeast: field.IsShort ? 20 : 100);
        await field.WaitAsync(5, 1, cancel);

        void Set(TimeSpan delay)
        {
            foreach (var wire in field.Stand.StoreWires)
            {
                wire.Delay = delay;
            }
        }
    }
}
