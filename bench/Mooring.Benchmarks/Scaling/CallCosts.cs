using System.Diagnostics;
using System.Net;
using Mooring.Benchmarks.Load;
using Mooring.Benchmarks.Suite;

namespace Mooring.Benchmarks.Scaling;

/// <summary>What a call costs the gateways and PostgreSQL, by where it runs and when it is committed.</summary>
internal sealed class CallCosts(ScalingOptions options, Database database)
{
    private const int Workers = 8;

    public async Task<(Cost Cost, double MedianMillis)> MeasureAsync(string what, ServerProcess gateway, CancellationToken cancellation)
    {
        var load = new LoadOptions(gateway.Url, Workers, options.Seconds, WarmUp: 3, "echo") { Pid = gateway.Pid };
        _ = await CheckedAsync(load with { Seconds = 0.5 }, cancellation);
        var use = await database.UseAsync();
        var start = ProcessFigures.Read(gateway.Pid)!.Value.Processor;
        var result = await CheckedAsync(load with { WarmUp = 0 }, cancellation);
        var used = await database.UseAsync() - use;
        var own = ProcessFigures.Read(gateway.Pid)!.Value.Processor - start;

        // Nobody waits for anybody: one session, one call at a time.
        var alone = await CheckedAsync(load with { Workers = 1, Seconds = options.Seconds / 2, WarmUp = 0.5 }, cancellation);
        var cost = new Cost(
            what, GatewayMicros: own.TotalMicroseconds / result.Calls, DatabaseMicros: used.Processor.TotalMicroseconds / result.Calls, LogBytes: used.Log / result.Calls);
        Report.Progress($"{cost}, {alone.P50 / 1000:0.00} ms, {result.CallsPerSecond:0} calls/s");
        return (cost, alone.P50 / 1000);
    }

    /// <summary>One session with a process on standard streams at <paramref name="home"/>, called there and through <paramref name="other"/> by turns.</summary>
    public async Task<(Cost Elsewhere, double HomeMillis, double ElsewhereMillis)> HomeAsync(ServerProcess home, ServerProcess other, CancellationToken cancellation)
    {
        using var atHome = new RawConnection(new IPEndPoint(IPAddress.Loopback, home.Url.Port));
        using var elsewhere = new RawConnection(new IPEndPoint(IPAddress.Loopback, other.Url.Port));
        atHome.Exchange(Requests.Post(home.Url, null, Requests.Initialize("bench")));
        var session = atHome.SessionId ?? throw new InvalidDataException($"initialize: {atHome.Status}");
        atHome.Exchange(Requests.Post(home.Url, session, Requests.Initialized));
        List<double> near = [], far = [];
        for (var warm = 0; warm < 20; warm++)
        {
            _ = Call(atHome, home.Url, session);
            _ = Call(elsewhere, other.Url, session);
        }

        for (var start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start).TotalSeconds < options.Seconds; cancellation.ThrowIfCancellationRequested())
        {
            near.Add(Call(atHome, home.Url, session));
            far.Add(Call(elsewhere, other.Url, session));
        }

        var idle = await Idle.OfAsync(database, [home, other], cancellation);
        var (before, use) = (Idle.Of([home, other]), await database.UseAsync());
        var calls = 0;
        var began = Stopwatch.GetTimestamp();
        for (var start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start).TotalSeconds < options.Seconds; calls++)
        {
            _ = Call(elsewhere, other.Url, session);
        }

        var (own, used, seconds) = (Idle.Of([home, other]) - before, await database.UseAsync() - use, Stopwatch.GetElapsedTime(began).TotalSeconds);
        var cost = new Cost(
            "a call to a process at another replica", GatewayMicros: idle.Gateways(own, seconds) / calls, DatabaseMicros: idle.Database(used.Processor, seconds) / calls,
            LogBytes: used.Log / calls);
        Report.Progress($"{cost}, {Medians.Of(near):0.00} ms at home, {Medians.Of(far):0.00} ms elsewhere");
        return (cost, Medians.Of(near), Medians.Of(far));
    }

    private static double Call(RawConnection connection, Uri url, string session)
    {
        var start = Stopwatch.GetTimestamp();
        connection.Exchange(Requests.Post(url, session, """{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}"""));
        return connection.Status == 200 && connection.Body.IndexOf("\"result\""u8) >= 0
            ? Stopwatch.GetElapsedTime(start).TotalMilliseconds
            : throw new InvalidDataException($"tools/call: {connection.Status} {System.Text.Encoding.UTF8.GetString(connection.Body)}");
    }

    private static async Task<LoadResult> CheckedAsync(LoadOptions load, CancellationToken cancellation)
    {
        var result = await LoadRun.RunAsync(load, cancellation);
        return result.Errors == 0 && result.Calls > 0 ? result : throw new InvalidDataException($"{result.Errors} wrong answers, the first: {result.FirstError}");
    }
}
