using Mooring.Protocol;

namespace Mooring.Upstreams.Stateless;

/// <content>Changes that the server has not told of: it was not heard for a while, or tells of none and says how long its lists stay as they are.</content>
internal sealed partial class StatelessListener
{
    private static readonly TimeSpan ReadPatience = TimeSpan.FromSeconds(30);

    private volatile Subscription? _honoured;

    /// <summary>Nothing was heard for a while: lists are read again, and resources that are listened for may be others now.</summary>
    private async Task CatchUpAsync(CancellationToken cancel)
    {
        string[] uris;
        HashSet<string> declared;
        lock (_gate)
        {
            (uris, declared) = ([.. _uris], _declared);
        }

        await ReadAgainAsync(ListMemory.Lists.Where(l => declared.Contains(l.Capability)), cancel);
        foreach (var uri in uris)
        {
            byte[] parameters = [.. "{\"uri\":"u8, .. JsonText.Quote(uri), (byte)'}'];
            link.Owner.OnMessage(link, Frame.Parse(JsonRpc.Notification("notifications/resources/updated", parameters)), related: null);
        }
    }

    /// <summary>Tells of lists that are others than when they were read last.</summary>
    /// <returns>Whether any was.</returns>
    private async Task<bool> ReadAgainAsync(IEnumerable<ListName> which, CancellationToken cancel)
    {
        var told = new HashSet<string>(StringComparer.Ordinal);
        foreach (var list in which)
        {
            using var limit = new CancellationTokenSource(ReadPatience, time);
            using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
            if (!told.Contains(list.Changed) && await lists.IsAnotherAsync(link, list, both.Token) && told.Add(list.Changed))
            {
                cancel.ThrowIfCancellationRequested();
                link.Owner.OnMessage(link, Frame.Parse(JsonRpc.Notification(list.Changed)), related: null);
            }
        }

        return told.Count > 0;
    }

    /// <summary>Waits while there is nothing to listen for: until something is, or until a server that could not be listened to is asked again.</summary>
    private async Task WaitAsync(Wish wish, CancellationToken cancel)
    {
        if (wish.Later is not { } later)
        {
            await wish.Changed.WaitAsync(cancel);
            return;
        }

        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        await Task.WhenAny(wish.Changed, Task.Delay(later, time, over.Token));
        await over.CancelAsync();
        cancel.ThrowIfCancellationRequested();
    }

    /// <summary>Whether the server tells of changes of one kind of list just now: it has acknowledged that it does.</summary>
    public bool Tells(string capability)
    {
        lock (_gate)
        {
            return _declared.Contains(capability) && _honoured is { Ended.IsCompleted: false } subscription && subscription.Honours(capability + "ListChanged");
        }
    }

    /// <summary>
    /// Reads, each time that their time is up and less and less often where nothing is new, the lists that the server declares to tell changes of and
    /// then does not (some end each subscription at once, some do not know it at all).
    /// </summary>
    private async Task PollAsync(CancellationToken cancel)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        var idle = 0;
        while (!cancel.IsCancellationRequested)
        {
            try
            {
                var silent = Silent();
                await Task.Delay(ListPace.Pause(silent.Select(lists.Ttl).Where(t => t is not null).Min(), idle), time, cancel);
                var due = Silent().Where(l => lists.Ttl(l) is not null).ToList();
                idle = due.Count == 0 || await ReadAgainAsync(due, cancel) ? 0 : idle + 1;
            }
            catch (OperationCanceledException) when (cancel.IsCancellationRequested)
            {
                // The link is closed, or listens no more.
            }
            catch (Exception e)
            {
                // A bug of ours in one answer; the lists are read again after the next pause.
                Log.Failed(logger, e, link.Upstream.Name);
                idle++;
            }
        }
    }

    private List<ListName> Silent()
    {
        HashSet<string> declared;
        lock (_gate)
        {
            declared = _declared;
        }

        return [.. ListMemory.Lists.Where(l => declared.Contains(l.Capability) && !Tells(l.Capability))];
    }
}
