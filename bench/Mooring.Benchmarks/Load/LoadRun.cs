using System.Diagnostics;

namespace Mooring.Benchmarks.Load;

/// <summary>Told by the run to all its workers.</summary>
internal sealed class LoadClock
{
    private volatile bool _measuring;
    private volatile bool _stopped;

    public bool Measuring { get => _measuring; set => _measuring = value; }

    public bool Stopped { get => _stopped; set => _stopped = value; }
}

/// <summary>A closed loop: every worker sends its next call when the last one is answered.</summary>
internal static class LoadRun
{
    public static async Task<LoadResult> RunAsync(LoadOptions options, CancellationToken cancellation)
    {
        var workers = new List<LoadWorker>();
        try
        {
            for (var index = 0; index < options.Workers; index++)
            {
                workers.Add(new LoadWorker(options, index));
            }

            var clock = new LoadClock();
            var threads = workers.Select(worker => new Thread(() => worker.Run(clock)) { IsBackground = true }).ToList();
            threads.ForEach(thread => thread.Start());
            try
            {
                await Task.Delay(TimeSpan.FromSeconds(options.WarmUp), cancellation);
                var allocatedBefore = await AllocatedAsync(options.Metrics, cancellation);
                var processorBefore = ProcessFigures.Read(options.Pid)?.Processor;
                clock.Measuring = true;
                var start = Stopwatch.GetTimestamp();
                await Task.Delay(TimeSpan.FromSeconds(options.Seconds), cancellation);
                clock.Measuring = false;
                var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
                var processor = ProcessFigures.Read(options.Pid)?.Processor - processorBefore;
                var allocated = await AllocatedAsync(options.Metrics, cancellation) - allocatedBefore;
                return Collect(workers, threads, clock, seconds, processor, allocated);
            }
            finally
            {
                clock.Stopped = true;
                threads.ForEach(thread => thread.Join());
            }
        }
        finally
        {
            workers.ForEach(worker => worker.Dispose());
        }
    }

    private static LoadResult Collect(
        List<LoadWorker> workers, List<Thread> threads, LoadClock clock, double seconds, TimeSpan? processor, double? allocated)
    {
        clock.Stopped = true;
        threads.ForEach(thread => thread.Join());
        var latencies = workers.SelectMany(worker => worker.Latencies).ToArray();
        Array.Sort(latencies);
        var calls = latencies.Length;
        return new LoadResult(
            calls / seconds, Percentile(latencies, 0.50), Percentile(latencies, 0.99), calls,
            workers.Sum(worker => worker.EventStreams), workers.Sum(worker => worker.Errors),
            workers.Select(worker => worker.FirstError).FirstOrDefault(error => error is not null),
            calls == 0 ? null : processor?.TotalMicroseconds / calls, calls == 0 ? null : allocated / calls);
    }

    private static double Percentile(long[] sorted, double share) =>
        sorted.Length == 0 ? double.NaN : sorted[(int)(share * (sorted.Length - 1))] * 1e6 / Stopwatch.Frequency;

    private static async Task<double?> AllocatedAsync(Uri? metrics, CancellationToken cancellation) =>
        metrics is null ? null : (await Metrics.ReadAsync(metrics, cancellation))?.Value("dotnet_gc_heap_total_allocated_bytes_total");
}
