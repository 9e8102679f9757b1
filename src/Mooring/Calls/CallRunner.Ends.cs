namespace Mooring.Calls;

/// <content>What is told of the end of a call.</content>
internal sealed partial class CallRunner
{
    private void Ended(Call call, string outcome)
    {
        metrics.Ended(call.Upstream.Name, outcome, time.GetElapsedTime(call.Started));
        CallTraces.End(call.Trace, outcome);
    }
}
