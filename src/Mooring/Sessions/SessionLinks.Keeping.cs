using Mooring.Protocol;
using Mooring.Stores;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>
/// What a process after this one, or another replica, needs to go on with a link. Of several replicas that use one session with a server, the one
/// that listens to it knows its lists best, and is the only one to keep them.
/// </content>
internal sealed partial class SessionLinks
{
    /// <summary>Keeps the link, and with it the lists that are the session's own.</summary>
    /// <param name="link">The link.</param>
    /// <param name="isNew">Whether its session with the server began just now: then nobody else knows anything of it.</param>
    public async Task SaveAsync(Link link, bool isNew = false)
    {
        lock (_gate)
        {
            if (IsOver(link))
            {
                return;
            }

            var slot = SlotLocked(link.Upstream);
            if (!isNew && !IsItsKeeperLocked(slot, link))
            {
                // In case that this replica comes to listen.
                slot.IsUnsaved = true;
                return;
            }

            slot.IsUnsaved = false;
        }

        if (await KeepAsync(link))
        {
            services.Peers.SignalAll(KeptSignal, session.Id);
        }
    }

    private bool IsItsKeeperLocked(Slot slot, Link link) =>
        !services.Peers.IsShared || !session.IsKept || !link.HasToListen || slot.Home == services.Peers.Name;

    /// <summary>This replica listens to the server from now on: what other replicas were told meanwhile may never have come here.</summary>
    private async Task BecomeKeeperAsync(Slot slot, Link link)
    {
        if (slot.IsHeardElsewhere)
        {
            slot.IsHeardElsewhere = false;
            session.Lists.Doubt(link.Upstream, kind: null);
        }

        if (slot.IsUnsaved)
        {
            await SaveAsync(link);
        }
    }

    /// <summary>One after the other, each with what is known when its turn comes: an older one never comes last.</summary>
    private Task<bool> KeepAsync(Link link)
    {
        lock (_gate)
        {
            var slot = SlotLocked(link.Upstream);
            var keeping = KeepAfterAsync(slot.Keeping, slot, link);
            slot.Keeping = keeping;
            return keeping;
        }
    }

    private async Task<bool> KeepAfterAsync(Task before, Slot slot, Link link)
    {
        await before.ConfigureAwait(ConfigureAwaitOptions.ForceYielding | ConfigureAwaitOptions.SuppressThrowing);
        if (link.SessionId is null || !session.IsKept || IsOver(link))
        {
            return false;
        }

        EventOrigin? primed;
        lock (_gate)
        {
            slot.IsSaved = true;
            // No longer the place where something was passed on since: that goes on as it did, and what is in the log must not seem to be to come.
            primed = slot.Hearing is { } hearing && hearing.Last != slot.Primed?.EventId ? null : slot.Primed;
        }

        try
        {
            await services.Store.SaveLinkAsync(new LinkRecord
            {
                Heard = primed?.UpstreamSessionId == link.SessionId ? primed?.EventId : null,
                SessionId = session.Id,
                Server = link.Upstream.Name,
                UpstreamSessionId = link.SessionId,
                Version = link.Version.ToWire(),
                InitializeResult = link.InitializeResult,
                Fingerprint = FingerprintOf(link.Upstream, link.Parameters.Authorizer is { } authorizer ? authorizer.Linking ?? "" : null),
                OwnLists = session.Lists.Own(link.Upstream),
            });
            return true;
        }
        catch (StoreException e)
        {
            // After a restart the server gets a new session instead; that is all that is lost.
            if (services.Outage.IsNews("link"))
            {
                Log.LinkNotKept(services.Logger, link.Upstream.Name, e.Message);
            }

            return false;
        }
    }
}
