using Mooring.Protocol;

namespace Mooring.Calls;

/// <content>Calls that are sent again: where twice does no harm, or since they were provably not executed.</content>
internal sealed partial class CallRunner
{
    private Action<Call>? _noteSentAgain;

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
