namespace Mooring.Calls;

/// <content>Calls that are put on record before anything is done for them.</content>
internal sealed partial class CallRunner
{
    /// <summary>
    /// Runs a call once its record is in the store and its client has an event id to come back with. Where the store does not take it, or
    /// the client is gone before its first byte, the server never hears of the call.
    /// </summary>
    /// <param name="call">The call.</param>
    /// <param name="run">Has it run, here or elsewhere; completes when whoever runs it counts it.</param>
    public async Task RunOnRecordAsync(Call call, Func<Call, Task> run)
    {
        Interlocked.Increment(ref _running);
        // A cancellation may come meanwhile, and must find it.
        call.Session.Add(call);
        call.Trace = CallTraces.Begin(call);
        var isOnRecord = false;
        try
        {
            if (isOnRecord = await IsOnRecordAsync(call))
            {
                // However long the store took, the server's time begins now.
                call.Sign();
                await run(call);
                return;
            }
        }
        catch (Exception e)
        {
            // A bug of ours must not leave a client waiting for ever.
            Log.RunnerFailed(logger, e, call.Upstream.Name);
            Fail(call, isOnRecord ? CallFailure.OutcomeUnknown : CallFailure.NotRecorded, "the gateway failed while it handled it");
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }

        call.Session.Remove(call);
        call.Dispose();
    }

    /// <summary>Whether the call may go on; if not, it has ended.</summary>
    private async Task<bool> IsOnRecordAsync(Call call)
    {
        switch (await call.Reply.CommitAsync(call.Upstream.Name))
        {
            case Recording.StoreFailed:
                Fail(call, CallFailure.NotRecorded, "the gateway's store is not reachable just now");
                return false;
            case Recording.ClientLeft:
                // It could never hear what came of it, and has to take it for one that did not arrive.
                call.Abandon("its client left before it was begun", byClient: true);
                EndAbandoned(call);
                return false;
            case Recording.Done when !call.Abandoned.IsCancellationRequested:
                return true;
            case Recording.Done when call.WasCancelledByClient:
                EndAbandoned(call);
                return false;
            default:
                Fail(call, CallFailure.NotRecorded, call.AbandonReason ?? "");
                return false;
        }
    }
}
