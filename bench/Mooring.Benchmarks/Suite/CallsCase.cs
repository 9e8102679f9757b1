using Mooring.Benchmarks.Load;

namespace Mooring.Benchmarks.Suite;

/// <summary>
/// Calls per second and latency to the same fast upstream, four ways, in turn; with sessions, and as 2026-07-28 has it. Beside each of the latter the gateway is
/// measured with sessions once more, so that both are compared in the same moments.
/// </summary>
internal sealed class CallsCase(SuiteOptions options, Candidates candidates, Report report)
{
    private static readonly int[] Workers = [1, 8, 32];

    private sealed record Row(string Name, int Workers, string Tool)
    {
        public bool Merged { get; init; }

        public bool Stateless { get; init; }
    }

    public async Task RunAsync(CancellationToken cancellation)
    {
        await using var upstream = await candidates.UpstreamAsync(cancellation);
        await using var passthrough = await candidates.PassthroughAsync(upstream.Url, cancellation);
        await using var nginx = await candidates.NginxAsync(upstream.Url, cancellation);
        await using var gateway = options.Gateway is null
            ? await candidates.PassthroughAsync(upstream.Url, cancellation)
            : await candidates.GatewayOfBothAsync(upstream.Url, cancellation);
        var bare = options.Gateway is null ? gateway.Url : new Uri(gateway.Url, "/servers/bare/mcp");
        var merged = options.Gateway is null ? gateway.Url : new Uri(gateway.Url, "/mcp");

        foreach (var tool in new[] { "echo", "echo_sse" })
        {
            foreach (var server in new[] { upstream, passthrough, nginx, gateway })
            {
                // Compiled code and connection pools as they are after a while, before anything counts.
                await MeasureAsync(server, server.Url, new Row("", 8, tool), Math.Min(4, options.Seconds * 2), cancellation);
            }

            await MeasureAsync(gateway, bare, new Row("", 8, tool) { Stateless = true }, Math.Min(4, options.Seconds * 2), cancellation);
        }

        Row[] rows =
        [
            .. Workers.Select(workers => new Row("JSON", workers, "echo")),
            .. Workers.Select(workers => new Row("SSE", workers, "echo_sse")),
            new Row("JSON, merged `/mcp`", 8, "echo") { Merged = true },
            new Row("JSON, merged `/mcp`", 32, "echo") { Merged = true },
            .. Workers.Select(workers => new Row("JSON, 2026-07-28", workers, "echo") { Stateless = true }),
            .. Workers.Select(workers => new Row("SSE, 2026-07-28", workers, "echo_sse") { Stateless = true }),
        ];
        var results = rows.ToDictionary(row => row, _ => new List<LoadResult>[] { [], [], [], [], [] });
        for (var round = 0; round < options.CallRounds; round++)
        {
            foreach (var row in rows)
            {
                var named = row.Merged && options.Gateway is not null ? row with { Tool = "bench__" + row.Tool } : row;
                List<(ServerProcess Server, Uri Url, Row Row)> ways =
                [
                    (upstream, upstream.Url, row),
                    (passthrough, passthrough.Url, row),
                    (nginx, nginx.Url, row),
                    (gateway, row.Merged ? merged : row.Stateless ? bare : gateway.Url, named),
                ];
                if (row.Stateless)
                {
                    ways.Add((gateway, gateway.Url, row with { Stateless = false }));
                }

                // There and back again: who comes first or last is not the same each time.
                var order = Enumerable.Range(0, ways.Count);
                foreach (var way in round % 2 == 0 ? order : order.Reverse())
                {
                    results[row][way].Add(await MeasureAsync(ways[way].Server, ways[way].Url, ways[way].Row, options.CallSeconds, cancellation));
                }

                Report.Progress($"{row.Name}, {row.Workers} workers, {round + 1} of {options.CallRounds}: " +
                    string.Join(" | ", results[row].Where(results => results.Count > 0).Select(results => $"{results[^1].CallsPerSecond:F0}/s {results[^1].P50:F0} µs")));
            }
        }

        foreach (var row in rows)
        {
            Add(row, results[row]);
        }
    }

    private void Add(Row row, List<LoadResult>[] measured)
    {
        var (direct, passthrough, nginx, ours) = (measured[0], measured[1], measured[2], measured[3]);
        var added = Medians.Of(Enumerable.Range(0, ours.Count).Select(at =>
            (ours[at].P50 - direct[at].P50) / (passthrough[at].P50 - direct[at].P50)));
        report.AddCalls(
            row.Name, row.Workers, [.. measured.Take(4).Select(Cell)],
            Medians.OfRatios(ours, passthrough, result => result.CallsPerSecond),
            Medians.OfRatios(ours, nginx, result => result.CallsPerSecond),
            added,
            Medians.OfRatios(ours, measured[4], result => result.CallsPerSecond),
            Medians.OfRatios(ours, measured[4], result => result.ProcessorMicrosPerCall ?? double.NaN),
            Medians.OfRatios(ours, passthrough, result => result.ProcessorMicrosPerCall ?? double.NaN),
            Medians.Of(ours.Select(result => result.AllocatedBytesPerCall ?? double.NaN)));
    }

    private static string Cell(List<LoadResult> results) =>
        $"{Medians.Of(results.Select(result => result.CallsPerSecond)):F0}/s, " +
        $"{Medians.Of(results.Select(result => result.P50)):F0} / {Medians.Of(results.Select(result => result.P99)):F0} µs, " +
        $"{Medians.Of(results.Select(result => result.ProcessorMicrosPerCall ?? double.NaN)):F0} µs cpu";

    private static async Task<LoadResult> MeasureAsync(
        ServerProcess server, Uri url, Row row, double seconds, CancellationToken cancellation)
    {
        var result = await LoadRun.RunAsync(
            new LoadOptions(url, row.Workers, seconds, WarmUp: 0.3, row.Tool) { Stateless = row.Stateless, Pid = server.Pid, Metrics = new Uri(url, "/metrics") }, cancellation);
        return result.Errors == 0 ? result : throw new InvalidDataException($"{result.Errors} wrong answers from {url}, the first: {result.FirstError}");
    }
}
