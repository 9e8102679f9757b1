using System.Diagnostics;
using System.Diagnostics.Tracing;
using Microsoft.Diagnostics.NETCore.Client;
using Microsoft.Diagnostics.Tracing;
using Mooring.Benchmarks.Load;

namespace Mooring.Benchmarks.Suite;

/// <summary>Where the processor time and the allocated bytes of one forwarded call go: samples of <c>perf</c>, and the runtime's own allocation samples.</summary>
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
        await using var gateway = await candidates.GatewayAsync(upstream.Url, cancellation, Symbols);

        // Methods are compiled a second time once they are known to be hot, and a third.
        await LoadAsync(gateway, seconds: 12, cancellation);

        var file = Path.GetTempFileName();
        try
        {
            var load = LoadAsync(gateway, seconds: 10, cancellation);
            await RunPerfAsync(["record", "-q", "-F", "499", "-e", "cpu-clock", "-g", "-p", $"{gateway.Pid}", "-o", file, "--", "sleep", "8"], cancellation);
            var micros = (await load).ProcessorMicrosPerCall ?? double.NaN;
            Add("µs", PerfSamples.Parts(await RunPerfAsync(["script", "-i", file, "-F", "ip,sym,dso"], cancellation)), micros);
        }
        finally
        {
            File.Delete(file);
            File.Delete($"/tmp/perf-{gateway.Pid}.map");
        }

        Add("B", await AllocationsAsync(gateway, cancellation), (await LoadAsync(gateway, seconds: 3, cancellation)).AllocatedBytesPerCall ?? double.NaN);
    }

    private async Task<Dictionary<string, long>> AllocationsAsync(ServerProcess gateway, CancellationToken cancellation)
    {
        var client = new DiagnosticsClient(gateway.Pid);
        var bytes = new Dictionary<string, long>();
        using var session = client.StartEventPipeSession(
            [new EventPipeProvider("Microsoft-Windows-DotNETRuntime", EventLevel.Verbose, AllocationKeywords)], requestRundown: false);
        using var source = new EventPipeEventSource(session.EventStream);
        source.Clr.GCAllocationTick += tick => bytes[tick.TypeName] = bytes.GetValueOrDefault(tick.TypeName) + tick.AllocationAmount64;
        var reading = Task.Run(source.Process, cancellation);
        await LoadAsync(gateway, seconds: 8, cancellation);
        await session.StopAsync(cancellation);
        await reading;
        return bytes;
    }

    private void Add(string unit, Dictionary<string, long> parts, double perCall)
    {
        var all = (double)parts.Values.Sum();
        var rest = 1.0;
        foreach (var (part, count) in parts.OrderByDescending(part => part.Value).TakeWhile(part => part.Value / all >= Smallest))
        {
            report.AddPart(unit, part, count / all, perCall * count / all);
            rest -= count / all;
        }

        report.AddPart(unit, "all others", rest, perCall * rest);
    }

    private static async Task<LoadResult> LoadAsync(ServerProcess gateway, double seconds, CancellationToken cancellation) =>
        await LoadRun.RunAsync(
            new LoadOptions(gateway.Url, Workers: 8, seconds, WarmUp: 0.5, "echo") { Pid = gateway.Pid, Metrics = new Uri(gateway.Url, "/metrics") }, cancellation);

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
}
