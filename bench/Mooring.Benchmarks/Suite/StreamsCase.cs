using Mooring.Benchmarks.Load;

namespace Mooring.Benchmarks.Suite;

/// <summary>Memory per held stream and processor time of a keep-alive round: plain sockets, bare Kestrel, the gateway, each in a fresh process.</summary>
internal sealed class StreamsCase(SuiteOptions options, Candidates candidates, Report report)
{
    // The gateway spreads its comments by a fifth of the interval.
    private const double Jitter = 1.2;

    public async Task RunAsync(CancellationToken cancellation)
    {
        List<HoldResult> sockets = [], kestrel = [], ours = [], stalled = [];
        await using var upstream = await candidates.UpstreamAsync(cancellation);
        for (var repetition = 0; repetition < options.Repetitions; repetition++)
        {
            await HoldAsync(sockets, "plain sockets", await candidates.SocketHoldAsync(cancellation), bare: true, 0, cancellation);
            await HoldAsync(kestrel, "bare Kestrel", await candidates.SseHoldAsync(cancellation), bare: true, 0, cancellation);
            if (options.Gateway is not null)
            {
                await HoldAsync(ours, "Mooring", await candidates.GatewayAsync(upstream.Url, cancellation), bare: false, 0, cancellation);
                await HoldAsync(stalled, "Mooring, some stall", await candidates.GatewayAsync(upstream.Url, cancellation), bare: false, options.Stalled, cancellation);
            }
        }

        static double Bytes(HoldResult result) => result.BytesPerStream ?? double.NaN;
        static double Round(HoldResult result) => result.ProcessorMillisPerRound ?? double.NaN;
        var streams = $"{options.Streams:N0} streams";
        report.AddFigure(
            $"Memory per session with GET stream, {streams}", $"{Medians.Of(ours.Select(Bytes)):F0} B",
            $"bare Kestrel {Medians.Of(kestrel.Select(Bytes)):F0} B", $"{Medians.OfRatios(ours, kestrel, Bytes):F2}×", "≤ 1.5×");
        report.AddFigure(
            "Processor time of a keep-alive round over 10,000 streams", $"{Medians.Of(ours.Select(Round)):F0} ms",
            $"bare Kestrel {Medians.Of(kestrel.Select(Round)):F0} ms, plain sockets {Medians.Of(sockets.Select(Round)):F0} ms",
            $"{Medians.OfRatios(ours, kestrel, Round):F2}×", "≤ 100 ms");
        report.AddFigure(
            $"Lateness of keep-alive p99 while {options.Stalled} readers stall",
            $"{Medians.Of(stalled.Select(result => result.LateP99Millis ?? double.NaN)):F0} ms seen by clients",
            $"gateway's own metric ≤ {Medians.Of(stalled.Select(result => result.ServerLatenessP99Seconds ?? double.NaN)):0.###} s, " +
            $"worst {Medians.Of(stalled.Select(result => result.LateMaxMillis ?? double.NaN)):F0} ms", "", "< 1 s");
    }

    private async Task HoldAsync(
        List<HoldResult> results, string name, ServerProcess started, bool bare, int stalled, CancellationToken cancellation)
    {
        await using var server = started;
        var result = await HoldRun.RunAsync(
            new HoldOptions(server.Url, options.Streams, options.BeatSeconds)
            {
                Bare = bare,
                Stalled = stalled,
                Pid = server.Pid,
                LongestGap = bare ? options.Beat : options.Beat * Jitter,
                Metrics = bare ? null : new Uri(server.Url, "/metrics"),
                Settle = options.Beat * 1.5,
            },
            cancellation);
        if (result.Failed > 0)
        {
            throw new InvalidDataException($"{name}: {result.Failed} streams failed, the first: {result.FirstError}");
        }

        results.Add(result);
        Report.Progress($"{name}: {result.BytesPerStream:F0} B per stream, {result.ProcessorMillisPerRound:F0} ms per round, opened in {result.OpenSeconds:F1} s");
    }
}
