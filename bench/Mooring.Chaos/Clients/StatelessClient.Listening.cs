using System.Net;
using System.Text.Json.Nodes;
using Mooring.Chaos.Servers;
using static Mooring.Chaos.Clients.Talk;

namespace Mooring.Chaos.Clients;

/// <content>
/// The subscription: held all the time, opened again whenever it ends. The list of tools is read when it begins and whenever it says that the list
/// changed, and at no other time counts what is read: a change that is never told is never known.
/// </content>
internal sealed partial class StatelessClient
{
    private readonly TaskCompletionSource _listens = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long? _broke;

    private async Task ListenAsync(CancellationToken over)
    {
        try
        {
            while (true)
            {
                await ListenOnceAsync(over);
                await Task.Delay(Pause, over);
            }
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            // It is done.
        }
    }

    private async Task ListenOnceAsync(CancellationToken over)
    {
        try
        {
            var id = NextId();
            journal.Write("listens");
            using var response = await http.AskAsync(
                Post(id, "subscriptions/listen", name: null, new JsonObject { ["notifications"] = new JsonObject { ["toolsListChanged"] = true } }), over);
            if (response.StatusCode != HttpStatusCode.OK)
            {
                journal.Write($"may not listen: {(int)response.StatusCode}");
                tally.Waited();
                await Task.Delay(Later(response), over);
                return;
            }

            if (_broke is { } broke)
            {
                tally.Resumptions.Add((TimeProvider.System.GetElapsedTime(broke) - Pause).TotalMilliseconds);
            }

            using var reader = await EventReader.OfAsync(response);
            while (await reader.NextAsync(over) is { } block)
            {
                if (block.Message is { } message && IsOf(message, id))
                {
                    journal.Write($"hears {message.ToJsonString()}");
                    await HearAsync((string?)message["method"], over);
                }
            }

            over.ThrowIfCancellationRequested();
            journal.Write("the subscription ended");
            tally.Reconnected();
            _broke = TimeProvider.System.GetTimestamp();
        }
        catch (Exception e) when (IsTransport(e) && !over.IsCancellationRequested)
        {
            journal.Write($"cannot listen: {e.GetType().Name}: {e.Message}");
        }
    }

    /// <summary>Whether it is said on this subscription's account, which each message there has to say.</summary>
    private static bool IsOf(JsonObject message, int id) => (int?)message["params"]?["_meta"]?["io.modelcontextprotocol/subscriptionId"] == id;

    private async Task HearAsync(string? method, CancellationToken over)
    {
        if (method is "notifications/subscriptions/acknowledged" or "notifications/tools/list_changed")
        {
            _events.SawGeneration(Tools.GenerationOf(await AskForToolsAsync(over)));
            _listens.TrySetResult();
        }
    }
}
