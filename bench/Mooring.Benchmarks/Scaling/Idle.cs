using System.Diagnostics;
using Mooring.Benchmarks.Load;
using Mooring.Benchmarks.Suite;

namespace Mooring.Benchmarks.Scaling;

/// <summary>What gateways and their database use while nobody asks anything (heartbeat, beats of replicas, looks into the mailbox); taken off the cost of what is measured.</summary>
/// <param name="GatewayShare">Processor seconds of all gateways in a second.</param>
/// <param name="DatabaseShare">The same of PostgreSQL.</param>
internal readonly record struct Idle(double GatewayShare, double DatabaseShare)
{
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(5);

    public static async Task<Idle> OfAsync(Database database, IReadOnlyList<ServerProcess> gateways, CancellationToken cancellation)
    {
        // What was asked before comes to rest first.
        await Task.Delay(Window, cancellation);
        var (before, use, start) = (Of(gateways), await database.UseAsync(), Stopwatch.GetTimestamp());
        await Task.Delay(Window, cancellation);
        var (own, used, seconds) = (Of(gateways) - before, await database.UseAsync() - use, Stopwatch.GetElapsedTime(start).TotalSeconds);
        return new Idle(own.TotalSeconds / seconds, used.Processor.TotalSeconds / seconds);
    }

    /// <summary>Processor time of all of them since their start.</summary>
    public static TimeSpan Of(IReadOnlyList<ServerProcess> gateways) =>
        gateways.Aggregate(TimeSpan.Zero, (sum, gateway) => sum + ProcessFigures.Read(gateway.Pid)!.Value.Processor);

    /// <summary>Microseconds.</summary>
    public double Gateways(TimeSpan used, double seconds) => (used.TotalSeconds - (GatewayShare * seconds)) * 1e6;

    /// <summary>Microseconds.</summary>
    public double Database(TimeSpan used, double seconds) => (used.TotalSeconds - (DatabaseShare * seconds)) * 1e6;
}
