using Mooring.Stores;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>Links of a session that several replicas have in memory: which of them has the one that cannot move, and what theirs were shown.</content>
internal sealed partial class SessionLinks
{
    /// <summary>The replica that has this session's link to a server whose links cannot move; claimed for this one where nobody alive has it.</summary>
    /// <exception cref="StoreException">It cannot be told.</exception>
    public async ValueTask<string> HomeOfAsync(Upstream upstream)
    {
        lock (_gate)
        {
            if (SlotLocked(upstream).Home is { } known && services.Peers.IsAlive(known))
            {
                return known;
            }
        }

        var home = await services.Replicas.ClaimHomeAsync(session.Id, upstream.Name, services.Peers.Name);
        Link? lost = null;
        lock (_gate)
        {
            var slot = SlotLocked(upstream);
            slot.Home = home;
            if (home != services.Peers.Name)
            {
                // Taken for dead meanwhile; the other one has a link of its own now.
                (lost, slot.Link) = (slot.Link, null);
            }
        }

        if (lost is not null)
        {
            await lost.DisposeAsync();
        }

        return home;
    }

    /// <summary>The replica named as home is not there; who it is now is asked anew.</summary>
    public void ForgetHome(Upstream upstream)
    {
        lock (_gate)
        {
            SlotLocked(upstream).Home = null;
        }
    }

    /// <summary>Another replica has kept a link anew: what it was shown counts here too.</summary>
    public async Task ReloadAsync()
    {
        try
        {
            Restore(await services.Store.FindLinksAsync(session.Id, CancellationToken.None));
        }
        catch (StoreException e)
        {
            Log.LinksNotRead(services.Logger, e);
        }
    }
}
