using System.Text.Json;
using Mooring.Benchmarks.Suite;

namespace Mooring.Benchmarks.Scaling;

/// <summary>Measures one constant after the other and prints them with what follows from them. Each part has its own gateways and an empty database.</summary>
internal static class ScalingRun
{
    /// <summary>Seconds between two comments while streams are held; short, so that several rounds fit into one measurement.</summary>
    private const double Beat = 3;

    public static async Task<int> RunAsync(ScalingOptions options, CancellationToken cancellation)
    {
        var folder = Directory.CreateTempSubdirectory("mooring-scaling-");
        var loadBefore = Conditions.Load();
        try
        {
            var result = ScalingReport.ToMarkdown(await MeasureAsync(options, folder.FullName, cancellation), options, loadBefore);
            Console.WriteLine(string.Join("\n\n", result.Values));
            if (options.Write is not null)
            {
                ScalingReport.Write(options.Write, result);
            }

            return 0;
        }
        catch (OperationCanceledException)
        {
            return 130;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static async Task<Constants> MeasureAsync(ScalingOptions options, string folder, CancellationToken cancellation)
    {
        var candidates = new Candidates(new SuiteOptions(options.Gateway, options.Root, 1, options.Seconds, options.Sessions) { Beat = Beat }, folder);
        await using var upstream = await candidates.UpstreamAsync(cancellation);
        object fastServer = new { url = upstream.Url.ToString(), commit = "fast" };
        object durableServer = new { url = upstream.Url.ToString(), commit = "durable" };
        object stdio = new { command = Environment.ProcessPath, args = new[] { "stdio-upstream" }, scope = "session", commit = "fast" };

        var (session, link, stream, comment) = await WithGatewaysAsync(candidates, fastServer, 1, collectsOften: true,
            (gateways, database) => new GatewayCosts(options, gateways[0], database).MeasureAsync(Beat, cancellation), cancellation);
        var fast = await WithGatewaysAsync(candidates, fastServer, 1, collectsOften: false,
            (gateways, database) => new CallCosts(options, database).MeasureAsync("a call, answered at once", gateways[0], cancellation), cancellation);
        var durable = await WithGatewaysAsync(candidates, durableServer, 1, collectsOften: false,
            (gateways, database) => new CallCosts(options, database).MeasureAsync("a durable call", gateways[0], cancellation), cancellation);
        var home = await WithGatewaysAsync(candidates, stdio, 2, collectsOften: false,
            (gateways, database) => new CallCosts(options, database).HomeAsync(gateways[0], gateways[1], cancellation), cancellation);

        await using var empty = await Database.MakeAsync();
        var store = new StoreCosts(options, empty);
        var (one, touch, read, letter) = await store.MeasureAsync(cancellation);
        var (rates, wakeUp) = await store.NotifyAsync(cancellation);
        return new Constants
        {
            Session = session,
            Link = link,
            Stream = stream,
            Comment = comment,
            FastCall = fast.Cost,
            DurableCall = durable.Cost,
            Event = one,
            Touch = touch,
            Read = read,
            Letter = letter,
            CallElsewhere = home.Elsewhere,
            WakeUp = wakeUp,
            Notify = rates,
            Latency = (home.HomeMillis, home.ElsewhereMillis),
            Commit = (fast.MedianMillis, durable.MedianMillis),
        };
    }

    private static async Task<T> WithGatewaysAsync<T>(
        Candidates candidates, object server, int count, bool collectsOften, Func<IReadOnlyList<ServerProcess>, Database, Task<T>> measure, CancellationToken cancellation)
    {
        await using var database = await Database.MakeAsync();
        List<ServerProcess> gateways = [];
        try
        {
            for (var index = 0; index < count; index++)
            {
                gateways.Add(await candidates.GatewayOnPostgresAsync(server, database.Connection, collectsOften, cancellation));
            }

            return await measure(gateways, database);
        }
        finally
        {
            foreach (var gateway in gateways)
            {
                await gateway.DisposeAsync();
            }
        }
    }
}
