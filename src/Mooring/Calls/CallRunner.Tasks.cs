using Mooring.Protocol;
using Mooring.Upstreams;

namespace Mooring.Calls;

/// <content>Calls that their servers make tasks of. Until the end of such a task the call is under way, whoever its client takes it for.</content>
internal sealed partial class CallRunner
{
    /// <summary>Between two tries to hear of a task whose server cannot be reached.</summary>
    private static readonly TimeSpan TaskPause = TimeSpan.FromSeconds(1);

    /// <summary>Sends a call, or waits for the task that it became.</summary>
    private ValueTask<Attempt> SendAsync(Call call, Link link)
    {
        if (link.FollowsTasks)
        {
            return link.CallAsync(call);
        }

        if (call.ServerTask is not null)
        {
            return serverTasks.FollowAsync(call, link);
        }

        call.WishTask(serverTasks.Wish(call, link));
        return call.WishesTask ? SendAsTaskAsync(call, link) : link.CallAsync(call);
    }

    private async ValueTask<Attempt> SendAsTaskAsync(Call call, Link link)
    {
        var attempt = await link.CallAsync(call);
        if (ServerTasks.IdIn(attempt) is not { } id)
        {
            return attempt;
        }

        call.OnServerTask(id, ofItsOwn: false);
        return await serverTasks.FollowAsync(call, link);
    }

    /// <summary>Has a server give another session for the one that it lost.</summary>
    private async Task RenewAsync(Call call, Link link, string? lost)
    {
        await link.ReinitializeAsync(lost, call.Abandoned);
        if (call.ServerTask is not null)
        {
            // Of tries there is no bound here: a server that loses each new session, or gives none, must not be asked as fast as it answers.
            await Task.Delay(TaskPause, time, call.Abandoned);
        }
    }

    /// <summary>The server is told, unless it is only this process that gives up: then another one may go on.</summary>
    private async Task CancelTaskAsync(Call call, Link link)
    {
        if (!call.WasCancelledByClient && !call.TimedOut && !call.IsStuck)
        {
            return;
        }

        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5), time);
        var attempt = await link.RequestAsync("tasks/cancel", [.. "{\"taskId\":"u8, .. JsonText.Quote(call.ServerTask!), (byte)'}'], limit.Token);
        if (attempt.Kind != AttemptKind.Answered)
        {
            Log.CancelNotSent(logger, call.Upstream.Name);
        }
    }
}
