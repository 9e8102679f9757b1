using Mooring.Protocol;
using Mooring.Routing;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <summary>Finds the changes that a server declares to tell of and has no way to tell (no GET stream), by reading its lists again and again.</summary>
internal static class SilentLists
{
    /// <param name="link">A link to the server.</param>
    /// <param name="isAnotherAsync">Reads one list and tells whomever it concerns; whether it is another than before.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancel">Ends it; it does not throw.</param>
    public static async Task WatchAsync(Link link, Func<ListKind, Task<bool>> isAnotherAsync, TimeProvider time, CancellationToken cancel)
    {
        var idle = 0;
        try
        {
            while (true)
            {
                await Task.Delay(ListPace.Pause(ttl: null, idle), time, cancel);
                var isAny = false;
                foreach (var kind in ListKinds.All.Where(kind => !link.Upstream.Health.IsAway && IsDeclared(link, kind)))
                {
                    isAny |= await isAnotherAsync(kind).WaitAsync(cancel);
                }

                idle = isAny ? 0 : idle + 1;
            }
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            // The link is closed, listens no more, or can hear again.
        }
    }

    private static bool IsDeclared(Link link, ListKind kind)
    {
        var capabilities = JsonFields.Object(link.InitializeResult.Span, "capabilities"u8);
        return JsonFields.IsTrue(JsonFields.Object(capabilities, System.Text.Encoding.ASCII.GetBytes(kind.Capability())), "listChanged"u8);
    }
}
