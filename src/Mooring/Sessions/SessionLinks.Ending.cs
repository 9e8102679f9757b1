using Mooring.Stores;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>Links that end while their session goes on: here, or at another replica.</content>
internal sealed partial class SessionLinks
{
    private async Task GiveUpAsync(Slot slot, Link link)
    {
        try
        {
            await ReleaseAsync([(slot, link)]);
            await EndAsync(link);
        }
        catch (Exception e)
        {
            Log.NotGivenUp(services.Logger, e, link.Upstream.Name);
        }
    }

    /// <summary>Ends a link while its session goes on.</summary>
    private ValueTask EndAsync(Link link)
    {
        ForgetQuestions(link);
        return link.DisposeAsync();
    }

    /// <summary>Nobody waits any more for what was asked on a link: the client need not answer it.</summary>
    private void ForgetQuestions(Link link)
    {
        foreach (var line in session.Questions.Forget(link))
        {
            session.Outbox.Send(line);
        }
    }

    /// <summary>Lets go of the links, which other replicas go on with.</summary>
    public async Task LeaveAsync()
    {
        var all = TakeAll();
        foreach (var (_, link) in all)
        {
            await link.LeaveAsync();
        }

        await ReleaseAsync(all);
    }

    private async Task ReleaseAsync(IReadOnlyList<(Slot Slot, Link Link)> links)
    {
        var any = false;
        foreach (var (slot, link) in links.Where(l => l.Link.HasToListen))
        {
            await link.StopListeningAsync();
            if (!services.Peers.IsShared || !session.IsKept)
            {
                continue;
            }

            try
            {
                any |= await _homes.InTurnAsync(link.Upstream.Name, () => ReleaseAsync(slot, link));
            }
            catch (StoreException e)
            {
                Log.LinksNotRead(services.Logger, e.Message);
            }
        }

        if (any)
        {
            services.Peers.SignalAll(KeptSignal, session.Id);
        }
    }

    /// <returns>Whether the place is free: it was this replica's, and no other link of this session to a server of that name has claimed it by now.</returns>
    private async Task<bool> ReleaseAsync(Slot slot, Link link)
    {
        var name = services.Peers.Name;
        lock (_gate)
        {
            if (slot.Home is { } home && home != name)
            {
                return false;
            }

            if (slot.Listener is not { IsUsable: true } listener || ReferenceEquals(listener, link))
            {
                (slot.Home, slot.Listener) = (null, null);
            }

            if (slot.Home is not null || _slots?.Exists(s => s.Upstream.Name == link.Upstream.Name && s.Home == name) == true)
            {
                return false;
            }
        }

        await services.Replicas.ReleaseHomeAsync(session.Id, link.Upstream.Name, name);
        return true;
    }
}
