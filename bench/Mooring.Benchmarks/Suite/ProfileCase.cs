using System.Diagnostics;
using System.Diagnostics.Tracing;
using Microsoft.Diagnostics.NETCore.Client;
using Microsoft.Diagnostics.Tracing;
using Mooring.Benchmarks.Load;

namespace Mooring.Benchmarks.Suite;

/// <summary>Where the processor time and the allocated bytes of one forwarded call go, with sessions and as 2026-07-28 has it: samples of <c>perf</c>, and the runtime's own allocation samples.</summary>
internal sealed class ProfileCase(SuiteOptions options, Candidates candidates, Report report)
{
    /// <summary>Parts and types below this share are summed up as the rest.</summary>
    private const double Smallest = 0.015;

    private const int AllocationKeywords = 0x1;

    private static readonly Dictionary<string, string> Symbols = new()
    {
        // Everything compiled here and named in perf's map, in memory that perf takes for what it is.
        ["DOTNET_PerfMapEnabled"] = "1",
        ["DOTNET_ReadyToRun"] = "0",
        ["DOTNET_EnableWriteXorExecute"] = "0",
    };

    public async Task RunAsync(CancellationToken cancellation)
    {
        if (options.Gateway is null)
        {
            return;
        }

        await using var upstream = await candidates.UpstreamAsync(cancellation);
        await using var gateway = await candidates.GatewayOfBothAsync(upstream.Url, cancellation, Symbols);
        var ways = new[] { new Way(gateway, gateway.Url, Stateless: false), new Way(gateway, new Uri(gateway.Url, "/servers/bare/mcp"), Stateless: true) };
        foreach (var way in ways)
        {
            // Methods are compiled a second time once they are known to be hot, and a third.
            await LoadAsync(way, seconds: 12, cancellation);
        }

        Add("µs", [await TimesAsync(ways[0], cancellation), await TimesAsync(ways[1], cancellation)]);
        Add("B", [await AllocationsAsync(ways[0], cancellation), await AllocationsAsync(ways[1], cancellation)]);
        File.Delete($"/tmp/perf-{gateway.Pid}.map");
    }

    private static async Task<Shares> TimesAsync(Way way, CancellationToken cancellation)
    {
        var file = Path.GetTempFileName();
        try
        {
            var load = LoadAsync(way, seconds: 10, cancellation);
            await RunPerfAsync(["record", "-q", "-F", "499", "-e", "cpu-clock", "-g", "-p", $"{way.Gateway.Pid}", "-o", file, "--", "sleep", "8"], cancellation);
            var micros = (await load).ProcessorMicrosPerCall ?? double.NaN;
            return new Shares(PerfSamples.Parts(await RunPerfAsync(["script", "-i", file, "-F", "ip,sym,dso"], cancellation)), micros);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static async Task<Shares> AllocationsAsync(Way way, CancellationToken cancellation)
    {
        var client = new DiagnosticsClient(way.Gateway.Pid);
        var bytes = new Dictionary<string, long>();
        using var session = client.StartEventPipeSession(
            [new EventPipeProvider("Microsoft-Windows-DotNETRuntime", EventLevel.Verbose, AllocationKeywords)], requestRundown: false);
        using var source = new EventPipeEventSource(session.EventStream);
        source.Clr.GCAllocationTick += tick => bytes[tick.TypeName] = bytes.GetValueOrDefault(tick.TypeName) + tick.AllocationAmount64;
        var reading = Task.Run(source.Process, cancellation);
        await LoadAsync(way, seconds: 8, cancellation);
        await session.StopAsync(cancellation);
        await reading;
        return new Shares(bytes, (await LoadAsync(way, seconds: 3, cancellation)).AllocatedBytesPerCall ?? double.NaN);
    }

    private void Add(string unit, Shares[] ways)
    {
        var parts = ways.SelectMany(way => way.Parts.Keys).Distinct().Where(part => ways.Any(way => way.Of(part) >= Smallest * way.PerCall)).ToList();
        foreach (var part in parts.OrderByDescending(part => ways.Max(way => way.Of(part))))
        {
            report.AddPart(unit, part, ways.Select(way => way.Of(part)));
        }

        report.AddPart(unit, "all others", ways.Select(way => way.PerCall - parts.Sum(way.Of)));
        report.AddPart(unit, "together", ways.Select(way => way.PerCall));
    }

    private static async Task<LoadResult> LoadAsync(Way way, double seconds, CancellationToken cancellation) =>
        await LoadRun.RunAsync(
            new LoadOptions(way.Url, Workers: 8, seconds, WarmUp: 0.5, "echo") { Stateless = way.Stateless, Pid = way.Gateway.Pid, Metrics = new Uri(way.Url, "/metrics") }, cancellation);

    private static async Task<string> RunPerfAsync(string[] arguments, CancellationToken cancellation)
    {
        try
        {
            using var perf = Process.Start(new ProcessStartInfo("perf", arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true })!;
            var errors = perf.StandardError.ReadToEndAsync(cancellation);
            var output = await perf.StandardOutput.ReadToEndAsync(cancellation);
            await perf.WaitForExitAsync(cancellation);
            return perf.ExitCode == 0 ? output : throw new InvalidOperationException($"perf {arguments[0]} failed: {await errors}");
        }
        catch (System.ComponentModel.Win32Exception error)
        {
            throw new InvalidOperationException($"perf did not start ({error.Message}); it is in the package linux-perf", error);
        }
    }

    /// <summary>One of the two kinds of calls.</summary>
    private sealed record Way(ServerProcess Gateway, Uri Url, bool Stateless);

    /// <param name="Parts">What was sampled of each.</param>
    /// <param name="PerCall">What all of them together are of one call.</param>
    private sealed record Shares(Dictionary<string, long> Parts, double PerCall)
    {
        private readonly double _all = Parts.Values.Sum();

        public double Of(string part) => PerCall * Parts.GetValueOrDefault(part) / _all;
    }
}
