using Mooring.Configuration;
using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Sessions;
using Mooring.Upstreams;

namespace Mooring.Calls;

/// <summary>
/// Has calls executed. Whatever happens on the way, each call ends in exactly one of: its server's answer, an explicit error that says
/// whether it may have been executed, or silence where its own client cancelled it.
/// </summary>
/// <remarks>
/// :: 1 take a place at the server · 2 get a link · 3 send and wait · 4 decide: answer, go on with another session of the server, try
/// again where it was provably not executed or is declared safe to repeat, or say that the outcome is unknown · 5 answer once.
/// </remarks>
internal sealed partial class CallRunner(ConfigStore config, TimeProvider time, ReplayPolicy replay, ServerTasks serverTasks, Views views, CallsMetrics metrics, ILogger<CallRunner> logger)
{
    private int _running;

    /// <summary>Calls under way, in all sessions, those passed to another replica included.</summary>
    public int Running => Volatile.Read(ref _running);

    /// <summary>A call of this process runs at another replica; a drain waits for it too.</summary>
    public void Passed() => Interlocked.Increment(ref _running);

    /// <summary>It is answered.</summary>
    public void Returned() => Interlocked.Decrement(ref _running);

    public Task RunAsync(Call call)
    {
        Interlocked.Increment(ref _running);
        if (call.Node is null)
        {
            call.Session.Add(call);
        }

        call.NoteSentAgain = _noteSentAgain ??= NoteSentAgain;
        call.Reply.Began(call);
        return RunToEndAsync(call);
    }

    private async Task RunToEndAsync(Call call)
    {
        var upstream = call.Upstream;
        call.Trace ??= CallTraces.Begin(call);
        try
        {
            if (replay.HasKey(call))
            {
                call.GiveKey();
            }

            // :: 1
            if (call.ServerTask is null)
            {
                if (!await upstream.EnterAsync(call.Abandoned))
                {
                    Fail(call, CallFailure.Busy, $"{upstream.Config.Concurrency} under way, {upstream.Config.Queue} waiting");
                    return;
                }

                call.TakePlace();
            }

            var tries = default(Tries);
            while (true)
            {
                if (upstream.Health.IsAway && call.ServerTask is null)
                {
                    if (MayBeBackSoon(call))
                    {
                        await Task.Delay(FirstPause, time, call.Abandoned);
                        continue;
                    }

                    Fail(call, CallFailure.UpstreamUnreachable, $"{upstream.Health.LastFailure}; next probe in {upstream.Health.UntilProbe.TotalSeconds:0} s");
                    return;
                }

                // :: 2
                var (link, why) = await call.Session.Links.GetAsync(upstream, call.Abandoned);
                if (link is not null && call.IsOfAnotherAccount(link))
                {
                    FailUnknown(call, AccountNeeded.OfAnother.Why, "account_changed");
                    return;
                }

                call.Link = link;

                // :: 3
                var attempt = link is not null ? await SendAsync(call, link) : call.Session.Links.Needs(upstream)?.ToAttempt() ?? Attempt.NotExecuted(why);

                // :: 4
                switch (Decide(call, link, attempt, ref tries))
                {
                    case Next.Remember when await call.OnResult!(attempt.Answer!) is { } forgotten:
                        FailUnknown(call, forgotten, "not_kept");
                        return;
                    case Next.Remember or Next.Answer:
                        Answer(call, attempt.Answer!);
                        return;
                    case Next.RenewSession:
                        await RenewAsync(call, link!, attempt.Session);
                        continue;
                    case Next.TryAgain:
                        await Task.Delay(PauseAfter(tries) * (0.8 + (Random.Shared.NextDouble() * 0.4)), time, call.Abandoned);
                        continue;
                    case Next.AskAgain:
                        await Task.Delay(TaskPause, time, call.Abandoned);
                        continue;
                    case Next.CancelAtServer:
                        await EndAbandonedAsync(call, link!);
                        return;
                    default:
                        return;
                }
            }
        }
        catch (OperationCanceledException) when (call.Abandoned.IsCancellationRequested)
        {
            if (call is { ServerTask: not null, Link: { } last })
            {
                await EndAbandonedAsync(call, last);
                return;
            }

            EndAbandoned(call);
        }
        catch (Exception e)
        {
            // A bug of ours must not leave a client waiting for ever.
            Log.RunnerFailed(logger, e, upstream.Name);
            FailUnknown(call, "the gateway failed while it handled it", "fault");
        }
        finally
        {
            call.LeavePlace();
            call.Session.Remove(call);
            Interlocked.Decrement(ref _running);
            call.Dispose();
        }
    }

    /// <summary>What follows from how a try ended; a call that failed is answered here.</summary>
    private Next Decide(Call call, Link? link, Attempt attempt, ref Tries tries)
    {
        var upstream = call.Upstream;
        switch (attempt.Kind)
        {
            case AttemptKind.Answered:
                upstream.Succeeded();
                return call.OnResult is not null && attempt.Answer!.Kind == FrameKind.Result ? Next.Remember : Next.Answer;

            case AttemptKind.Abandoned:
                return Next.CancelAtServer;

            case AttemptKind.NotExecuted or AttemptKind.Unknown or AttemptKind.Refused or AttemptKind.LinkOver when call.ServerTask is not null:
                // The server has the task; asking for it does nothing. How long is for the deadline to say.
                return Next.AskAgain;

            case AttemptKind.SessionLost when ++tries.SessionsLost < MaxTries || call.ServerTask is not null:
                Log.SessionLost(logger, upstream.Name, attempt.Detail);
                metrics.Replayed(upstream.Name, "session_lost");
                return Next.RenewSession;

            case AttemptKind.SessionLost:
                return Fail(call, CallFailure.UpstreamRefused, $"it lost its session {tries.SessionsLost} times");

            case AttemptKind.AccountNeeded when call.ServerTask is not null:
                // On a link of the account that it was made with, a token may be had again. Where none opens, that account is gone.
                return link is not null ? Next.AskAgain : FailUnknown(call, AccountNeeded.OfAnother.Why, "account_changed");

            case AttemptKind.AccountNeeded:
                return FailForAccount(call, attempt.Needed!);

            case AttemptKind.LinkOver when ++tries.SessionsLost < MaxTries:
                return AgainAfterNothing(call, attempt.Detail);

            case AttemptKind.Refused or AttemptKind.LinkOver:
                return Fail(call, CallFailure.UpstreamRefused, attempt.Detail);

            case AttemptKind.NotExecuted:
                if (tries.Refused++ == 0 && link is not null)
                {
                    // Once for each call: else a few that try again in one moment were a server that is away. Opening a link tells the health itself.
                    upstream.Failed(attempt.Detail);
                }

                return time.GetElapsedTime(call.Started) < UpstreamHealth.Restart
                    ? AgainAfterNothing(call, attempt.Detail)
                    : Fail(call, CallFailure.UpstreamUnreachable, attempt.Detail);

            default:
                upstream.Failed(attempt.Detail, wasReached: !attempt.IsCut);
                tries.Unknown++;
                return AfterUnknown(call, attempt.Detail, tries.Unknown);
        }
    }

    /// <summary>Executed or not, nobody can say: again where twice does no harm, else the client is told.</summary>
    private Next AfterUnknown(Call call, string detail, int sent)
    {
        var repeating = replay.Of(call);
        return !repeating.IsSafe() ? FailUnknown(call, detail, repeating.ToTag())
            : sent < MaxTries ? AgainAfterUnknown(call, detail, repeating)
            : FailUnknown(call, $"{detail}, at the last of {sent} tries", "gave_up");
    }

    private Next FailUnknown(Call call, string detail, string reason)
    {
        if (call.HasEnded)
        {
            return Next.Done;
        }

        Log.NotSentAgain(logger, call.What, call.Upstream.Name, reason, detail);
        metrics.UnknownOutcome(call.Upstream.Name, reason);
        return Fail(call, CallFailure.OutcomeUnknown, detail);
    }

    private enum Next
    {
        Done,
        Answer,

        /// <summary>Ask again what became of the server's task.</summary>
        AskAgain,

        /// <summary>Answer, after the gateway has noted what the result changes.</summary>
        Remember,
        RenewSession,
        TryAgain,
        CancelAtServer,
    }

    /// <summary>True once, for whoever answers. The call leaves its session first: with the answer its request's buffer goes back to the pool.</summary>
    private static bool TryEnd(Call call)
    {
        if (!call.TryEnd())
        {
            return false;
        }

        call.Session.Remove(call);
        foreach (var line in call.Session.Questions.Forget(call))
        {
            // Its client is not to answer what nobody waits for.
            call.Reply.Send(line);
        }

        return true;
    }

    // :: 5
    private void Answer(Call call, Frame answer)
    {
        if (!TryEnd(call))
        {
            return;
        }

        SaySentAgain(call);
        Ended(call, answer.Kind == FrameKind.Error ? "error" : "result");
        if (views.NeedsTranslation(call.Session, call.Upstream, answer.Bytes))
        {
            answer = Frame.Parse(views.ToClient(call.Session, call.Upstream, answer.Bytes.ToArray()));
        }

        if (OlderClients.Answer(call.Session.Version, call.Request.Method, answer) is { } older)
        {
            answer = Frame.Parse(older);
        }
        else if (answer.Kind == FrameKind.Error && call.Session is { IsKept: true, OpensPages: false } && NeededPages.InWords(answer) is { } told)
        {
            // Of clients without sessions the front door makes what their version has for it.
            answer = Frame.Parse(told);
        }

        var response = answer.Id.IsEmpty
            ? new Message(Frame.Parse(WithoutId(answer, call)))
            : new Message(answer).Replace(answer.Envelope.Id, call.ClientId);
        call.Reply.Complete(call.ClientId, response);
    }

    /// <summary>An error whose server could not name the request: it answers the one it came on.</summary>
    private static byte[] WithoutId(Frame answer, Call call) =>
        [.. "{\"jsonrpc\":\"2.0\",\"id\":"u8, .. call.ClientId.Span, .. ",\"error\":"u8, .. answer.Span(answer.Envelope.Error), (byte)'}'];

    private Next Fail(Call call, CallFailure failure, string detail)
    {
        if (!TryEnd(call))
        {
            return Next.Done;
        }

        if (call.MayHaveRun && failure is (CallFailure.UpstreamUnreachable or CallFailure.UpstreamRefused))
        {
            // Of the last try it is known that it was not executed, of one before it is not.
            Log.NotSentAgain(logger, call.What, call.Upstream.Name, "gave_up", detail);
            metrics.UnknownOutcome(call.Upstream.Name, "gave_up");
            (failure, detail) = (CallFailure.OutcomeUnknown, $"gave no answer, and when it was asked again: {detail}");
        }

        if (failure != CallFailure.UpstreamUnreachable)
        {
            SaySentAgain(call);
        }

        Ended(call, failure.ToTag());
        // The store's failure is one thing to be told of, not one for each call that it refuses.
        Log.Failed(logger, failure == CallFailure.NotRecorded ? LogLevel.Debug : LogLevel.Warning, call.Upstream.Name, failure, detail);
        call.Reply.Complete(call.ClientId, failure.ToResponse(call.ClientId.Span, call.Upstream.Name, detail));
        return Next.Done;
    }

    private async Task EndAbandonedAsync(Call call, Link link)
    {
        // Answered first: the server may take its time to hear of it.
        EndAbandoned(call);
        if (call.ServerTask is not null)
        {
            await CancelTaskAsync(call, link);
            return;
        }

        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5), time);
        try
        {
            var id = System.Text.Encoding.ASCII.GetBytes(call.Id.ToString());
            await link.SendAsync(JsonRpc.Cancelled(id, call.AbandonReason ?? "no longer wanted"), limit.Token);
        }
        catch (OperationCanceledException)
        {
            Log.CancelNotSent(logger, call.Upstream.Name);
        }
    }

    private void EndAbandoned(Call call)
    {
        if (call.WasCancelledByClient)
        {
            if (TryEnd(call))
            {
                Ended(call, "cancelled");
                call.Reply.Abandon(call.ClientId);
            }

            return;
        }

        if (call.IsStuck)
        {
            FailUnknown(call, call.AbandonReason!, "answer_not_taken");
            return;
        }

        // One that was ended before says no more of the server than that it could not be asked.
        if (call is { TimedOut: true, HasEnded: false })
        {
            call.Upstream.Failed($"a call ran into its {call.AbandonReason}", wasReached: true);
        }

        Fail(call, call.TimedOut ? CallFailure.TimedOut : CallFailure.Draining, call.AbandonReason ?? "");
    }

    /// <summary>Deadlines of one session's calls, and what their clients hear meanwhile; part of the heartbeat.</summary>
    public void Tick(Session session, long now)
    {
        if (!session.HasCalls)
        {
            return;
        }

        var calls = config.Current.Calls;
        var progressEvery = session.Client.ProgressEvery ?? calls.ProgressEvery;
        session.ForEachCall(call => call.Tick(now, calls.Deadline, calls.HardCap, progressEvery));
    }

    private static partial class Log
    {
        [LoggerMessage(400, LogLevel.Error, "Running a call to server {Server} failed.", EventName = "CallRunnerFailed")]
        public static partial void RunnerFailed(ILogger logger, Exception exception, string server);

        [LoggerMessage(401, LogLevel.Information, "Server {Server} lost the gateway's session ({Detail}); it gets a new one and the call goes on.", EventName = "UpstreamSessionLost")]
        public static partial void SessionLost(ILogger logger, string server, string detail);

        [LoggerMessage(EventId = 402, Message = "A call of {What} to server {Server} is sent again ({Reason}): {Detail}", EventName = "CallSentAgain")]
        public static partial void SentAgain(ILogger logger, LogLevel level, string what, string server, string reason, string detail);

        [LoggerMessage(405, LogLevel.Information, "A call of {What} to server {Server} is not sent again ({Reason}): {Detail}", EventName = "CallNotSentAgain")]
        public static partial void NotSentAgain(ILogger logger, string what, string server, string reason, string detail);

        [LoggerMessage(EventId = 403, Message = "A call to server {Server} ended as {Failure}: {Detail}", EventName = "CallFailed")]
        public static partial void Failed(ILogger logger, LogLevel level, string server, CallFailure failure, string detail);

        [LoggerMessage(404, LogLevel.Debug, "Server {Server} could not be told that a call is cancelled.", EventName = "CancelNotSent")]
        public static partial void CancelNotSent(ILogger logger, string server);
    }
}
