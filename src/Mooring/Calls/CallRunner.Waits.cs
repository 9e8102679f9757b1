using Mooring.Protocol;

namespace Mooring.Calls;

/// <content>Requests that no server is asked, and that the gateway answers in its own time.</content>
internal sealed partial class CallRunner
{
    /// <summary>
    /// Has a request wait for the gateway's own answer. Meanwhile it is under way as any call: its client can cancel it, it keeps its session, and a stop waits
    /// for it.
    /// </summary>
    /// <param name="call">The request, with the server that it is about.</param>
    /// <param name="answer">The response, with the request's id; given up with <see cref="Call.Abandoned"/>.</param>
    public async Task WaitAsync(Call call, Func<Task<byte[]>> answer)
    {
        Interlocked.Increment(ref _running);
        call.Session.Add(call);
        // What it waits for has deadlines of its own. Here only the hard cap counts, as while a client is asked.
        call.BeginAsking();
        call.Reply.Began(call);
        try
        {
            var response = await answer();
            if (TryEnd(call))
            {
                call.Reply.Complete(call.ClientId, response);
            }
        }
        catch (OperationCanceledException) when (call.Abandoned.IsCancellationRequested)
        {
            if (!TryEnd(call))
            {
                return;
            }

            if (call.WasCancelledByClient)
            {
                call.Reply.Abandon(call.ClientId);
            }
            else
            {
                var why = $"It is no longer waited for: {(call.IsStuck ? "the task could not be given the answer to what it asked" : call.AbandonReason)}. What it is about goes on; ask again.";
                call.Reply.Complete(call.ClientId, JsonRpc.Error(call.ClientId.Span, JsonRpc.InternalError, why));
            }
        }
        catch (Exception e)
        {
            // A bug of ours must not leave a client waiting for ever.
            Log.RunnerFailed(logger, e, call.Upstream.Name);
            if (TryEnd(call))
            {
                call.Reply.Complete(call.ClientId, JsonRpc.Error(call.ClientId.Span, JsonRpc.InternalError, "The gateway failed to answer."));
            }
        }
        finally
        {
            call.Session.Remove(call);
            Interlocked.Decrement(ref _running);
            call.Dispose();
        }
    }
}
