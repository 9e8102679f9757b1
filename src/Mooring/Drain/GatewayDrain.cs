using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Mooring.Calls;
using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Replicas;
using Mooring.Sessions;
using Mooring.Streams;
using Mooring.Tasks;

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
/// a window; calls finish; what is left is abandoned, and the store has its record. That happens once in a process, whoever asks and however
/// often; the process itself goes on, refusing work, until it is told to end.
/// </summary>
internal sealed partial class GatewayDrain(
    ConfigStore config, TimeProvider time, Readiness readiness, SessionTable sessions, StreamTable streams, CallRunner runner, HeldTasks tasks, Peers peers, IOptions<HostOptions> host,
    ILogger<GatewayDrain> logger, IListeners? listeners = null) : IDisposable
{
    /// <summary>Clients are told to come back within this window, so that they do not all arrive at one replica at once.</summary>
    private static readonly (int First, int Last) RetryWindow = (1000, 5000);

    /// <summary>A client that was heard of since may come back at any moment, on a new connection where it opens one for each request.</summary>
    private static readonly TimeSpan MayComeBack = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(20);

    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _givenUp = new();
    private TaskCompletionSource? _over;
    private DrainStage? _stage;
    private long _began;
    private TimeSpan _atMost;
    private TimeSpan? _took;
    private int _cutOff;
    private bool _failed;
    private volatile bool _ends;

    public DrainStage? Stage => Progress.Stage;

    /// <summary>How far it is.</summary>
    public DrainProgress Progress
    {
        get
        {
            lock (_gate)
            {
                var elapsed = _stage is null ? TimeSpan.Zero : _took ?? time.GetElapsedTime(_began);
                return new DrainProgress(_stage, sessions.Count, runner.Running, elapsed, _atMost, _cutOff, IsDone: _took is not null, _failed);
            }
        }
    }

    /// <summary>
    /// Returns when the last phase is over: streams are closed, and calls answered or out of time. It happens once: whoever comes while it
    /// runs waits for the same one, and whoever comes later does not wait.
    /// </summary>
    /// <param name="cancel">Ends the waiting, not the drain.</param>
    // Where there are several replicas there is a balancer that must notice.
    public Task RunAsync(CancellationToken cancel)
    {
        _ends = true;
        return Begin(evenIfIdle: peers.IsShared).WaitAsync(cancel);
    }

    /// <summary>
    /// The stop of a host that drained nothing before, such as an application with the gateway in it; its web server serves until this is over. What was begun
    /// before is waited for. All stages together take no longer than the host gives: for what finds no room in that, calls have less time, and then balancers.
    /// </summary>
    /// <param name="cancel">The host waits no longer.</param>
    public async Task StopAsync(CancellationToken cancel)
    {
        await using var late = cancel.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), _givenUp);
        _ends = true;
        await Begin(evenIfIdle: peers.IsShared, host.Value.ShutdownTimeout);
    }

    public void Dispose() => _givenUp.Dispose();

    /// <summary>Begins the drain unless it was begun before; the task is that of the one drain, and never fails.</summary>
    /// <param name="evenIfIdle">
    /// Whether <c>drain.delay</c> is waited for also where nobody was heard of lately. Whoever asks from outside has a balancer that must notice.
    /// </param>
    /// <param name="within">What there is for all stages, where that is less than they are set to.</param>
    public Task Begin(bool evenIfIdle, TimeSpan? within = null)
    {
        TaskCompletionSource over;
        DrainConfig settings;
        lock (_gate)
        {
            if (_over is not null)
            {
                return _over.Task;
            }

            over = _over = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            settings = config.Current.Drain.Within(within ?? Timeout.InfiniteTimeSpan);
            _began = time.GetTimestamp();
            _atMost = settings.Longest;
            _stage = DrainStage.Unready;
        }

        readiness.Drain();
        _ = RunOnceAsync(settings, evenIfIdle, over);
        return over.Task;
    }

    // Never throws: all who wait are told through the source.
    private async Task RunOnceAsync(DrainConfig settings, bool evenIfIdle, TaskCompletionSource over)
    {
        var left = 0;
        var failed = false;
        try
        {
            left = await StagesAsync(settings, evenIfIdle, _givenUp.Token);
        }
        catch (OperationCanceledException) when (_givenUp.IsCancellationRequested)
        {
            // The host waits for nobody any more.
            failed = true;
        }
        catch (Exception e)
        {
            // Whoever waits goes on to the stop; what comes until then could not be finished.
            Log.Failed(logger, e);
            readiness.Close();
            failed = true;
        }

        var took = time.GetElapsedTime(_began);
        lock (_gate)
        {
            _took = took;
            _cutOff = left;
            _failed = failed;
        }

        if (!failed)
        {
            Log.Drained(logger, took.TotalSeconds, left);
        }

        over.SetResult();
    }

    /// <returns>How many calls did not finish.</returns>
    private async Task<int> StagesAsync(DrainConfig settings, bool evenIfIdle, CancellationToken cancel)
    {
        Enter(DrainStage.Unready, settings.Delay.TotalSeconds);
        var now = time.GetTimestamp();
        if (evenIfIdle || runner.Running > 0 || sessions.All.Any(s => s.IdleFor(now) < MayComeBack))
        {
            // With nobody to come there is no balancer to wait for.
            await Task.Delay(settings.Delay, time, cancel);
        }

        Enter(DrainStage.CloseStreams, 0);
        if (_ends && peers.IsShared)
        {
            // A balancer that does not look at /ready goes to another replica by itself. With none to go to, being served until the end is better.
            listeners?.StopAccepting();
        }

        CloseStreams();
        // What comes on an idle one just before the process ends could only be refused, and balancers keep many of them.
        listeners?.EndConnections();

        Enter(DrainStage.FinishCalls, settings.Grace.TotalSeconds);
        await FinishedAsync(settings.Grace, cancel);

        Enter(DrainStage.AbortRest, 0);
        readiness.Close();
        var left = runner.Running;
        tasks.Leave();
        foreach (var session in sessions.All)
        {
            session.ForEachCall(call => call.Abandon("the gateway stops"));
        }

        peers.Leaving();

        await FinishedAsync(DrainConfig.AbortPatience, cancel);
        await SettleAsync(cancel);
        foreach (var session in sessions.All)
        {
            session.Outbox.Disconnect(StreamReason.Draining);
        }

        return left;
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
            await Task.WhenAll([peers.SettleAsync(), tasks.SettleAsync(), .. sessions.All.Select(StopListeningAsync)]).WaitAsync(DrainConfig.AbortPatience, time, cancel);
        }
        catch (TimeoutException)
        {
            Log.NotSettled(logger, DrainConfig.AbortPatience.TotalSeconds);
        }
    }

    /// <summary>What a server says from now on is left to whoever goes on; what it has said must be where that one finds it.</summary>
    private static async Task StopListeningAsync(Session session)
    {
        await session.Links.StopListeningAsync();
        await session.Outbox.SettleAsync();
        await session.Links.ReleaseAsync();
    }

    private void CloseStreams()
    {
        // Those that go on to their answers too: what comes next on their connections could only be refused.
        streams.EndConnections();
        foreach (var session in sessions.All)
        {
            foreach (var connection in session.Outbox.Connections)
            {
                SendAway(connection);
            }

            // Their clients were given an event id and come back for the rest; the calls themselves go on.
            foreach (var stream in session.Outbox.ResumableCalls)
            {
                if (session.HasPrimer && stream.Connection is { } connection)
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

    private void Enter(DrainStage stage, double seconds)
    {
        lock (_gate)
        {
            _stage = stage;
        }

        Log.Stage(logger, stage, seconds, sessions.Count, runner.Running);
    }

    private static partial class Log
    {
        [LoggerMessage(700, LogLevel.Information, "Drain: {Stage} (up to {Seconds:0.#} s), {Sessions} sessions, {Calls} calls under way.", EventName = "DrainStage")]
        public static partial void Stage(ILogger logger, DrainStage stage, double seconds, int sessions, int calls);

        [LoggerMessage(701, LogLevel.Information, "Drained in {Seconds:0.0} s; {Calls} calls did not finish.", EventName = "Drained")]
        public static partial void Drained(ILogger logger, double seconds, int calls);

        [LoggerMessage(703, LogLevel.Error, "The drain failed.", EventName = "DrainStagesFailed")]
        public static partial void Failed(ILogger logger, Exception exception);

        [LoggerMessage(702, LogLevel.Warning, "Drain: some answers were not in the store after {Seconds:0.#} s; they are given up.", EventName = "DrainNotSettled")]
        public static partial void NotSettled(ILogger logger, double seconds);
    }
}
