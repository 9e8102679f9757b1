using Mooring.Calls;
using Mooring.Configuration;
using Mooring.Sessions;
using Mooring.Streams;

namespace Mooring.Drain;

/// <summary>Stages of a stop, in order (invariant 13).</summary>
internal enum DrainStage
{
    Unready,
    CloseStreams,
    FinishCalls,
    AbortRest,
}

/// <summary>
/// Stops in stages: unready but serving everything, until the balancer has noticed; streams that can come back are sent away, spread over
/// a window; calls finish; what is left is abandoned, and the store has its record.
/// </summary>
internal sealed partial class GatewayDrain(
    ConfigStore config, TimeProvider time, Readiness readiness, SessionTable sessions, CallRunner runner, ILogger<GatewayDrain> logger) : IDrain
{
    /// <summary>Clients are told to come back within this window, so that they do not all arrive at one replica at once.</summary>
    private static readonly (int First, int Last) RetryWindow = (1000, 5000);

    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(20);

    /// <summary>For what is left to say once everything is abandoned; only a store or a server that hangs takes so long.</summary>
    private static readonly TimeSpan AbortPatience = TimeSpan.FromSeconds(2);

    public DrainStage? Stage { get; private set; }

    public async Task RunAsync(CancellationToken cancel)
    {
        var settings = config.Current.Drain;
        var started = time.GetTimestamp();
        Begin(DrainStage.Unready, settings.Delay.TotalSeconds);
        readiness.Drain();
        if (sessions.All.Any(s => s.Connections > 0) || runner.Running > 0)
        {
            // With nobody connected there is no balancer to wait for.
            await Task.Delay(settings.Delay, time, cancel);
        }

        Begin(DrainStage.CloseStreams, 0);
        CloseStreams();

        Begin(DrainStage.FinishCalls, settings.Grace.TotalSeconds);
        await FinishedAsync(settings.Grace, cancel);

        Begin(DrainStage.AbortRest, 0);
        readiness.Close();
        var left = runner.Running;
        foreach (var session in sessions.All)
        {
            session.ForEachCall(call => call.Abandon("the gateway stops"));
        }

        await FinishedAsync(AbortPatience, cancel);
        await SettleAsync(cancel);
        foreach (var session in sessions.All)
        {
            session.Outbox.End(StreamReason.Draining);
        }

        Log.Drained(logger, time.GetElapsedTime(started).TotalSeconds, left);
    }

    /// <summary>Waits until no call is under way.</summary>
    private async Task FinishedAsync(TimeSpan limit, CancellationToken cancel)
    {
        var started = time.GetTimestamp();
        while (runner.Running > 0 && time.GetElapsedTime(started) < limit)
        {
            await Task.Delay(Poll, time, cancel);
        }
    }

    /// <summary>A call that is over is not yet an answer sent: that goes through the log, and a stream ended before would swallow it.</summary>
    private async Task SettleAsync(CancellationToken cancel)
    {
        try
        {
            await Task.WhenAll(sessions.All.Select(session => session.Outbox.SettleAsync())).WaitAsync(AbortPatience, time, cancel);
        }
        catch (TimeoutException)
        {
            Log.NotSettled(logger, AbortPatience.TotalSeconds);
        }
    }

    private void CloseStreams()
    {
        foreach (var session in sessions.All)
        {
            foreach (var connection in session.Outbox.Connections)
            {
                SendAway(connection);
            }

            // Their clients were given an event id and come back for the rest; the calls themselves go on.
            foreach (var stream in session.Outbox.ResumableCalls)
            {
                if (session.Version >= Protocol.ProtocolVersion.V2025_11_25 && stream.Connection is { } connection)
                {
                    stream.Detach(connection);
                    SendAway(connection);
                }
            }
        }
    }

    private static void SendAway(SseConnection connection)
    {
        var retry = TimeSpan.FromMilliseconds(Random.Shared.Next(RetryWindow.First, RetryWindow.Last));
        connection.Write(writer => SseFormat.WriteRetry(writer, retry));
        connection.Complete(StreamReason.Draining, ClosedBy.Gateway);
    }

    private void Begin(DrainStage stage, double seconds)
    {
        Stage = stage;
        Log.Stage(logger, stage, seconds, sessions.Count, runner.Running);
    }

    private static partial class Log
    {
        [LoggerMessage(700, LogLevel.Information, "Drain: {Stage} (up to {Seconds:0.#} s), {Sessions} sessions, {Calls} calls under way.", EventName = "DrainStage")]
        public static partial void Stage(ILogger logger, DrainStage stage, double seconds, int sessions, int calls);

        [LoggerMessage(701, LogLevel.Information, "Drained in {Seconds:0.0} s; {Calls} calls did not finish.", EventName = "Drained")]
        public static partial void Drained(ILogger logger, double seconds, int calls);

        [LoggerMessage(702, LogLevel.Warning, "Drain: some answers were not in the store after {Seconds:0.#} s; they are given up.", EventName = "DrainNotSettled")]
        public static partial void NotSettled(ILogger logger, double seconds);
    }
}
