using System.Diagnostics;
using System.Net.Sockets;

namespace Mooring.Benchmarks.Load;

/// <summary>Opens many streams, lets the server come to rest, and looks at what they cost it.</summary>
internal static class HoldRun
{
    // More at a time only fills the accept queue.
    private const int OpeningAtATime = 64;

    private static readonly TimeSpan IdleWindow = TimeSpan.FromSeconds(2);

    public static async Task<HoldResult> RunAsync(HoldOptions options, CancellationToken cancellation)
    {
        var tally = new HoldTally(options.LongestGap);
        var streams = new List<HeldStream>();
        try
        {
            // A few streams first, so that compiling the server's code is not counted as memory of streams.
            await OpenAsync(options, tally, streams, Math.Min(200, options.Streams), stalled: false, cancellation);
            streams.ForEach(stream => stream.Dispose());
            streams.Clear();
            await Task.Delay(TimeSpan.FromSeconds(options.Settle), cancellation);

            var idleStart = ProcessFigures.Read(options.Pid);
            await Task.Delay(IdleWindow, cancellation);
            var before = ProcessFigures.Read(options.Pid);
            var idle = (before?.Processor - idleStart?.Processor) / IdleWindow;

            var start = Stopwatch.GetTimestamp();
            await OpenAsync(options, tally, streams, options.Streams, stalled: false, cancellation);
            var openSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            await Task.Delay(TimeSpan.FromSeconds(options.Settle), cancellation);
            var open = ProcessFigures.Read(options.Pid);

            await OpenAsync(options, tally, streams, options.Stalled, stalled: true, cancellation);
            var metricsBefore = options.Metrics is null ? null : await Metrics.ReadAsync(options.Metrics, cancellation);
            var beatBefore = ProcessFigures.Read(options.Pid);
            tally.Begin();
            var beatStart = Stopwatch.GetTimestamp();
            await Task.Delay(TimeSpan.FromSeconds(options.Seconds), cancellation);
            var comments = tally.Comments;
            var busy = ProcessFigures.Read(options.Pid)?.Processor - beatBefore?.Processor;
            var beatSeconds = busy?.TotalSeconds - (idle * Stopwatch.GetElapsedTime(beatStart).TotalSeconds);
            var metrics = metricsBefore is null ? null : await Metrics.ReadAsync(options.Metrics!, cancellation);

            return new HoldResult(
                options.Streams, tally.Failed, tally.FirstError, openSeconds,
                (open?.Resident - before?.Resident) / (double)options.Streams, open?.Resident / 1e6,
                idle * 1000, comments, comments == 0 ? null : beatSeconds * 1000 / comments * 10_000,
                tally.Late(0.99), tally.Late(1), metrics?.Quantile("mooring_keepalive_lateness_seconds", 0.99, metricsBefore!));
        }
        finally
        {
            streams.ForEach(stream => stream.Dispose());
        }
    }

    private static async Task OpenAsync(
        HoldOptions options, HoldTally tally, List<HeldStream> streams, int count, bool stalled, CancellationToken cancellation)
    {
        var opening = new SemaphoreSlim(OpeningAtATime);
        await Task.WhenAll(Enumerable.Range(0, count).Select(_ => OpenOneAsync()));

        async Task OpenOneAsync()
        {
            await opening.WaitAsync(cancellation);
            var stream = new HeldStream(options, tally);
            lock (streams)
            {
                streams.Add(stream);
            }

            try
            {
                await stream.OpenAsync(stalled, cancellation);
                if (!stalled)
                {
                    // Ends with its socket, and tells the tally why.
                    _ = stream.ReadAsync();
                }
            }
            catch (Exception error) when (error is SocketException or InvalidDataException)
            {
                tally.Ended(error.Message);
            }
            finally
            {
                opening.Release();
            }
        }
    }
}
