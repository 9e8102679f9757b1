using Mooring.Chaos.Stands;
using Mooring.EndToEndTests.Harness;

namespace Mooring.Chaos.Rounds;

/// <summary>
/// A deploy of another release: gateways of an older build are replaced one by one by this one, on the store that the older made and the newer brings up to date
/// beside it. The first is taken back for a while, as a deploy that goes wrong is.
/// </summary>
internal sealed class UpgradeRound : Round
{
    private const string SchemaSql = "select max(version)::bigint from mooring.schema_version";

    public override string Name => "upgrade";

    public override string Title => "an older build replaced by this one, replica by replica, once taken back";

    public override StandShape Shape => new(Replicas: 3) { StartsOlder = true };

    public override string? Obstacle => Stand.OlderProgram is null ? "no older build; eng/chaos.sh makes one" : null;

    public override async Task StrikeAsync(Field field, CancellationToken cancel)
    {
        var (older, newer) = (Stand.OlderProgram!, await GatewayBinary.PathAsync());
        var before = await SchemaAsync(field);
        var replicas = field.Stand.Replicas;
        await ReplaceAsync(field, replicas[0], newer, cancel);
        field.Evidence.Show("steps of the schema taken beside the older build", await SchemaAsync(field) - before, atLeast: Stand.OlderHasOlderSchema ? 1 : 0);
        await ReplaceAsync(field, replicas[0], older, cancel);
        foreach (var replica in replicas)
        {
            await ReplaceAsync(field, replica, newer, cancel);
        }
    }

    private static async Task ReplaceAsync(Field field, Replica replica, string program, CancellationToken cancel)
    {
        await field.CallsUnderWayAsync(cancel);
        field.ShowStop(await replica.StopAsync(cancel));
        replica.Becomes(program);
        await replica.StartAsync(cancel);
        // Side by side.
        await field.WaitAsync(8, 2, cancel);
    }

    private static async Task<long> SchemaAsync(Field field) => (long)(await field.Stand.Postgres.AskAsync(field.Stand.Database, SchemaSql))!;
}
