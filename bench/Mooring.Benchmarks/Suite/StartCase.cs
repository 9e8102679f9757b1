using System.Diagnostics;

namespace Mooring.Benchmarks.Suite;

/// <summary>From the start of the process to the first answered tools/list, with no configuration.</summary>
internal sealed class StartCase(SuiteOptions options, Candidates candidates, Report report)
{
    public async Task RunAsync(CancellationToken cancellation)
    {
        if (options.Gateway is null)
        {
            return;
        }

        var taken = new List<double>();
        for (var repetition = 0; repetition <= options.Repetitions; repetition++)
        {
            var start = Stopwatch.GetTimestamp();
            await using var server = candidates.FreshGateway();
            await server.WhenAsync(() => server.Lists(""), TimeSpan.FromMilliseconds(5), cancellation);
            var milliseconds = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            Report.Progress($"first answer after {milliseconds:F0} ms{(repetition == 0 ? " (not counted)" : "")}");
            if (repetition > 0)
            {
                // The very first start reads the program from the disk.
                taken.Add(milliseconds);
            }
        }

        report.AddFigure("Start to first answered `tools/list`, no configuration", $"{Medians.Of(taken):F0} ms", "", "", "< 1 s");
    }
}
