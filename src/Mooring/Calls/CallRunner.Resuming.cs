using Mooring.Stores;
using Mooring.Upstreams;

namespace Mooring.Calls;

/// <content>Calls whose process died while their server had them.</content>
internal sealed partial class CallRunner
{
    /// <summary>
    /// Goes on with a call from a place in its server's answer. Nothing is sent to the server but what its client still wants to tell it; where the answer
    /// cannot be had, the outcome is unknown.
    /// </summary>
    public async Task ResumeAsync(Call call, CallCursor place)
    {
        Interlocked.Increment(ref _running);
        call.Session.Add(call);
        call.Reply.Began(call);
        if (call.Upstream.TryEnter())
        {
            // The server executes it all the same, so it does not wait for one; while it has one, others do.
            call.TakePlace();
        }

        var isItsOwn = false;
        try
        {
            Log.GoesOn(logger, call.What, call.Upstream.Name);
            (call.Link, isItsOwn) = await call.Session.Links.RejoinAsync(call.Upstream, place, call.Abandoned);
            var attempt = call.Link is null ? Attempt.Unknown("the server is configured otherwise by now") : await call.Link.GoOnAsync(call, place.EventId);
            switch (attempt.Kind)
            {
                case AttemptKind.Answered:
                    call.Upstream.Succeeded();
                    Answer(call, attempt.Answer!);
                    break;
                case AttemptKind.Abandoned:
                    await GiveUpAsync(call);
                    break;
                default:
                    FailUnknown(call, $"the gateway process that ran it is gone, and {attempt.Detail}", "replica_gone");
                    break;
            }
        }
        catch (OperationCanceledException) when (call.Abandoned.IsCancellationRequested)
        {
            await GiveUpAsync(call);
        }
        catch (Exception e)
        {
            // A bug of ours must not leave a client waiting for ever.
            Log.RunnerFailed(logger, e, call.Upstream.Name);
            FailUnknown(call, "the gateway failed while it handled it", "fault");
        }
        finally
        {
            call.LeavePlace();
            call.Session.Remove(call);
            Interlocked.Decrement(ref _running);
            call.Dispose();
            if (isItsOwn && call.Link is { } link)
            {
                await link.LeaveAsync();
            }
        }
    }

    /// <summary>As with any call; but that the server says nothing in time says no more here than that it could not be asked.</summary>
    private async Task GiveUpAsync(Call call)
    {
        if (call.TimedOut)
        {
            FailUnknown(call, $"the gateway process that ran it is gone, and nothing more was heard of it ({call.AbandonReason})", "replica_gone");
        }

        if (call.Link is { } link)
        {
            await EndAbandonedAsync(call, link);
        }
        else
        {
            EndAbandoned(call);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(406, LogLevel.Information, "A call of {What} to server {Server}, whose gateway process is gone, is gone on with.", EventName = "CallTakenOver")]
        public static partial void GoesOn(ILogger logger, string what, string server);
    }
}
