using System.Buffers;
using System.Diagnostics;
using Microsoft.AspNetCore.Http;

namespace Mooring.Benchmarks.Stands;

/// <summary>
/// Kestrel holding event streams and nothing else: the floor for memory per stream and, with a beat, for the cost of a keep-alive round.
/// One thread writes to all streams, as the gateway's heartbeat does.
/// </summary>
internal sealed class SseHold
{
    private static readonly byte[] Comment = ":\n\n"u8.ToArray();

    private readonly Lock _lock = new();
    private readonly HashSet<Held> _streams = [];

    /// <param name="port">Loopback port.</param>
    /// <param name="beat">Time between two comments on each stream; zero for none.</param>
    /// <param name="inline">Let the writing thread do the socket send too, instead of a hop to the thread pool.</param>
    /// <param name="queues">Kestrel's I/O queues; 0 sends straight to the thread pool, null is Kestrel's default.</param>
    public static Task<int> RunAsync(int port, TimeSpan beat, bool inline, int? queues)
    {
        var hold = new SseHold();
        if (beat > TimeSpan.Zero)
        {
            new Thread(() => hold.Beat(beat)) { IsBackground = true, Name = "beat" }.Start();
        }

        return BareKestrel.RunAsync(port, hold.HandleAsync, transport =>
        {
            transport.UnsafePreferInlineScheduling = inline;
            transport.IOQueueCount = queues ?? transport.IOQueueCount;
        });
    }

    private async Task HandleAsync(HttpContext context)
    {
        context.Response.ContentType = "text/event-stream";
        context.Response.Headers.CacheControl = "no-cache, no-transform";
        context.Response.BodyWriter.Write(Comment);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
        var held = new Held(context);
        using var gone = context.RequestAborted.UnsafeRegister(static state => ((Held)state!).Ended.TrySetResult(), held);
        lock (_lock)
        {
            _streams.Add(held);
        }

        await held.Ended.Task;
        held.Close();
        lock (_lock)
        {
            _streams.Remove(held);
        }
    }

    private void Beat(TimeSpan interval)
    {
        var next = Stopwatch.GetTimestamp();
        while (true)
        {
            next += (long)(interval.TotalSeconds * Stopwatch.Frequency);
            var wait = Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), next);
            Thread.Sleep(wait > TimeSpan.Zero ? wait : TimeSpan.Zero);
            Held[] streams;
            lock (_lock)
            {
                streams = [.. _streams];
            }

            foreach (var held in streams)
            {
                held.Send();
            }
        }
    }

    private sealed class Held(HttpContext context)
    {
        private readonly Lock _lock = new();
        private Task _flush = Task.CompletedTask;
        private bool _closed;

        public TaskCompletionSource Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>Skips a stream whose last comment is still on its way.</summary>
        public void Send()
        {
            lock (_lock)
            {
                if (_closed || !_flush.IsCompleted)
                {
                    return;
                }

                context.Response.BodyWriter.Write(Comment);
                var flush = context.Response.BodyWriter.FlushAsync();
                _flush = flush.IsCompletedSuccessfully ? Task.CompletedTask : flush.AsTask();
            }
        }

        /// <summary>After this nothing is written: the response is Kestrel's again when its handler returns.</summary>
        public void Close()
        {
            lock (_lock)
            {
                _closed = true;
            }
        }
    }
}
