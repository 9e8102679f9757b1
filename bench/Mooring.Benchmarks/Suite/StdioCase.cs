using Mooring.Benchmarks.Load;

namespace Mooring.Benchmarks.Suite;

/// <summary>The npm gateways and this one before the same stdio server, in turn.</summary>
internal sealed class StdioCase(SuiteOptions options, Candidates candidates, Report report)
{
    public async Task RunAsync(CancellationToken cancellation)
    {
        await using var supergateway = await candidates.SupergatewayAsync(cancellation);
        await using var proxy = await candidates.McpProxyAsync(cancellation);
        await using var ours = options.Gateway is null ? null : await candidates.GatewayOverStdioAsync("session", cancellation);
        await using var shared = options.Gateway is null ? null : await candidates.GatewayOverStdioAsync("shared", cancellation);
        (string Name, ServerProcess? Server)[] all =
            [("supergateway", supergateway), ("mcp-proxy", proxy), ("Mooring", ours), ("Mooring, one shared process", shared)];
        foreach (var (_, server) in all)
        {
            await MeasureAsync(server, 8, Math.Min(4, options.Seconds * 2), cancellation);
        }

        foreach (var workers in new[] { 1, 8 })
        {
            var results = all.Select(_ => new List<LoadResult>()).ToArray();
            for (var repetition = 0; repetition < options.Repetitions; repetition++)
            {
                for (var at = 0; at < all.Length; at++)
                {
                    if (await MeasureAsync(all[at].Server, workers, options.Seconds, cancellation) is { } result)
                    {
                        results[at].Add(result);
                    }
                }

                Report.Progress($"stdio, {workers} workers, {repetition + 1} of {options.Repetitions}: " +
                    string.Join(" | ", results.Select(results => results.Count == 0 ? "-" : $"{results[^1].CallsPerSecond:F0}/s {results[^1].P50:F0} µs")));
            }

            string Figure(int at) => results[at].Count == 0 ? "not measured"
                : $"{Medians.Of(results[at].Select(result => result.CallsPerSecond)):F0}/s, " +
                  $"{Medians.Of(results[at].Select(result => result.P50)):F0} / {Medians.Of(results[at].Select(result => result.P99)):F0} µs";
            double Ratio(int theirs) => Medians.OfRatios(results[2], results[theirs], result => result.CallsPerSecond);
            report.AddFigure(
                $"Calls to a stdio server, {workers} workers", $"{Figure(2)}; one shared process {Figure(3)}",
                $"supergateway {Figure(0)}; mcp-proxy {Figure(1)}", $"{Ratio(0):F1}× supergateway, {Ratio(1):F1}× mcp-proxy", "");
        }
    }

    private static async Task<LoadResult?> MeasureAsync(ServerProcess? server, int workers, double seconds, CancellationToken cancellation)
    {
        if (server is null)
        {
            return null;
        }

        var result = await LoadRun.RunAsync(new LoadOptions(server.Url, workers, seconds, WarmUp: 0.5, "echo") { Pid = server.Pid }, cancellation);
        return result.Errors == 0 ? result : throw new InvalidDataException($"{result.Errors} wrong answers from {server.Url}, the first: {result.FirstError}");
    }
}
