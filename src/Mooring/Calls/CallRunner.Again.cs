using Mooring.Protocol;
using Mooring.Upstreams;

namespace Mooring.Calls;

/// <content>Calls that are sent again: where twice does no harm, or since they were provably not executed.</content>
internal sealed partial class CallRunner
{
    /// <summary>How often a call is sent at most whose server loses its session, or that is safe to repeat. More would only hide a server that is broken.</summary>
    private const int MaxTries = 4;

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(800);

    private Action<Call>? _noteSentAgain;

    /// <summary>Whether the breaker opened a moment ago, so that the probes may find the server back within the time that the call has for it.</summary>
    private bool MayBeBackSoon(Call call) =>
        call.Upstream.Health.UnreachedFor is { } away && away < UpstreamHealth.Restart && time.GetElapsedTime(call.Started) < UpstreamHealth.Restart;

    private static TimeSpan PauseAfter(in Tries tries)
    {
        var pause = FirstPause * (1 << Math.Clamp(tries.Refused + tries.Unknown - 1, 0, 10));
        return pause < LongestPause ? pause : LongestPause;
    }

    /// <summary>How often a call met with what. Each has a bound of its own: a server that refused connections for a while has not lost a session yet, nor been sent the call.</summary>
    private struct Tries
    {
        /// <summary>Provably not executed; bounded by time.</summary>
        public int Refused;

        /// <summary>The server forgot the session, or its person's account is another one than the link was opened with.</summary>
        public int SessionsLost;

        /// <summary>Sent, and nobody knows what became of it.</summary>
        public int Unknown;
    }

    /// <summary>Executed or not, nobody can say; each of these decisions is for the log.</summary>
    private Next AgainAfterUnknown(Call call, string detail, Repeating repeating)
    {
        call.MayHaveRun = true;
        Log.SentAgain(logger, LogLevel.Information, call.What, call.Upstream.Name, repeating.ToTag(), detail);
        metrics.Replayed(call.Upstream.Name, repeating.ToTag());
        return Next.TryAgain;
    }

    private static Next AgainAfterNothing(Call call, string detail)
    {
        call.OnSentAgain("not_executed", detail);
        return Next.TryAgain;
    }

    /// <summary>Nothing was done, so this happens many times over while a server is away: not for the log of every day, which has it once, when the call is over.</summary>
    private void NoteSentAgain(Call call)
    {
        Log.SentAgain(logger, LogLevel.Debug, call.What, call.Upstream.Name, call.SentAgain.Reason, call.SentAgain.Detail);
        metrics.Replayed(call.Upstream.Name, call.SentAgain.Reason);
    }

    /// <summary>Its server got it at last.</summary>
    private void SaySentAgain(Call call)
    {
        if (call.SentAgain is { Times: > 0 } again)
        {
            Log.SentAgain(logger, LogLevel.Information, call.What, call.Upstream.Name, again.Reason, $"{again.Times} times before it was over; at last: {again.Detail}");
        }
    }

    /// <summary>A call that was passed to another replica came back, and is passed on anew.</summary>
    public void Moved(Frame request, string server, string home)
    {
        Log.SentAgain(logger, LogLevel.Information, Call.WhatOf(request), server, "moved", $"replica {home} did not run it");
        metrics.Replayed(server, "moved");
    }
}
