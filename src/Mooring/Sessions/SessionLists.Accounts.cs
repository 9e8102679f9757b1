using Mooring.Routing;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>Servers that are used with the account of each user.</content>
internal sealed partial class SessionLists
{
    /// <summary>The person has linked an account that the server needs: what it shows is read, and the client told.</summary>
    public async Task AccountLinkedAsync(Upstream upstream)
    {
        var (link, _) = await session.Links.OpenAsync(upstream, CancellationToken.None);
        if (link is null)
        {
            return;
        }

        foreach (var kind in ListKinds.All)
        {
            Task? reading;
            lock (_gate)
            {
                reading = EntryLocked(upstream)[kind].Reading;
            }

            await (reading ?? Task.CompletedTask);
            session.Outbox.SendListChanged(kind.Changed());
        }
    }
}
