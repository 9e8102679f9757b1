using Mooring.Upstreams;

namespace Mooring.Calls;

/// <content>What is told of the end of a call.</content>
internal sealed partial class CallRunner
{
    private void Ended(Call call, string outcome)
    {
        metrics.Ended(call.Upstream.Name, outcome, time.GetElapsedTime(call.Started));
        CallTraces.End(call.Trace, outcome);
    }

    private Next FailForAccount(Call call, AccountNeeded needed)
    {
        if (TryEnd(call))
        {
            Ended(call, CallFailure.AccountNeeded.ToTag());
            Log.Failed(logger, LogLevel.Information, call.Upstream.Name, CallFailure.AccountNeeded, needed.Why);
            call.Reply.Complete(call.ClientId, AccountErrors.ToResponse(call.ClientId.Span, call.Session, call.Upstream.Name, needed));
        }

        return Next.Done;
    }
}
