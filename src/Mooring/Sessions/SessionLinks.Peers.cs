using Mooring.Protocol;
using Mooring.Stores;
using Mooring.Telemetry;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>Links of a session that several replicas have in memory: which of them has the one that cannot move, and what theirs were shown.</content>
internal sealed partial class SessionLinks
{
    private readonly Homes _homes = new();
    private volatile bool _stopsListening;

    /// <summary>The replica that has this session's link to a server whose links cannot move; claimed for this one where nobody has it.</summary>
    /// <remarks>It stays with a replica until that is taken over; one that is doubted may live, and its process with it.</remarks>
    /// <exception cref="StoreException">It cannot be told.</exception>
    public async ValueTask<string> HomeOfAsync(Upstream upstream)
    {
        if (!session.IsKept)
        {
            // No other replica knows it.
            return services.Peers.Name;
        }

        lock (_gate)
        {
            if (SlotLocked(upstream).Home is { } known && IsThere(known))
            {
                return known;
            }
        }

        Link? lost = null;
        var home = await _homes.InTurnAsync(upstream.Name, async () =>
        {
            var home = await services.Replicas.ClaimHomeAsync(session.Id, upstream.Name, services.Peers.Name);
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

            return home;
        });
        if (lost is not null)
        {
            Log.GivenUp(services.Logger, upstream.Name);
            await EndAsync(lost);
        }

        return home;
    }

    /// <summary>This process was taken for dead: a link that cannot move stays only where nobody has claimed it meanwhile.</summary>
    private async Task KeepOrGiveUpAsync(Slot slot)
    {
        try
        {
            await HomeOfAsync(slot.Upstream);
        }
        catch (StoreException)
        {
            // With the next look.
        }
        finally
        {
            lock (_gate)
            {
                slot.IsClaiming = false;
            }
        }
    }

    private bool IsThere(string replica) => services.Peers.IsAlive(replica) || services.Peers.IsDoubted(replica);

    /// <summary>The replica named as home is not there; who it is now is asked anew.</summary>
    public void ForgetHome(Upstream upstream)
    {
        lock (_gate)
        {
            SlotLocked(upstream).Home = null;
        }
    }

    /// <summary>The replica named as home has said that it runs nothing there any more: it is free for the next.</summary>
    /// <exception cref="StoreException">It may be free or not.</exception>
    public Task ReleaseHomeAsync(Upstream upstream, string home)
    {
        ForgetHome(upstream);
        return services.Replicas.ReleaseHomeAsync(session.Id, upstream.Name, home);
    }

    /// <summary>
    /// Listens to the server of a link, unless another replica does: two would each pass on what it says, or take the stream from each other.
    /// It goes on from the last event that is in the session's log, whichever replica wrote that.
    /// </summary>
    private async Task ListenAsync(Link link)
    {
        if (!link.HasToListen)
        {
            return;
        }

        if (!services.Peers.IsShared || !session.IsKept)
        {
            Listen(link, _known);
            return;
        }

        Slot slot;
        lock (_gate)
        {
            slot = SlotLocked(link.Upstream);
            if (slot.IsClaiming || _disposed || _stopsListening)
            {
                return;
            }

            slot.IsClaiming = true;
        }

        try
        {
            var home = await _homes.InTurnAsync(link.Upstream.Name, async () =>
            {
                var home = await services.Replicas.ClaimHomeAsync(session.Id, link.Upstream.Name, services.Peers.Name);
                lock (_gate)
                {
                    (slot.Home, slot.Listener) = (home, link);
                }

                return home;
            });
            if (home != services.Peers.Name)
            {
                slot.IsHeardElsewhere = true;
                await link.StopListeningAsync();
            }
            else if (!link.Listens || !IsOwnHearing(slot))
            {
                // What the last listening still hands over belongs to that one.
                await link.StopListeningAsync();
                Listen(link, await services.Store.FindLinksAsync(session.Id, CancellationToken.None));
                await BecomeKeeperAsync(slot, link);
            }
            else
            {
                // It never stopped, and was not known as the one that listens for a while.
                await BecomeKeeperAsync(slot, link);
            }

            if (_stopsListening || _disposed || link.Upstream.IsGone)
            {
                // The stop came meanwhile, or the end of the server.
                await link.StopListeningAsync();
                await ReleaseAsync([(slot, link)]);
            }
        }
        catch (StoreException)
        {
            // With the next look.
            slot.Home = null;
        }
        finally
        {
            lock (_gate)
            {
                slot.IsClaiming = false;
            }
        }
    }

    /// <summary>Whether what is refused of it elsewhere is signalled to this replica by the name that it has; it is not where that was taken for dead since it began.</summary>
    private bool IsOwnHearing(Slot slot)
    {
        lock (_gate)
        {
            return slot.Hearing is not { } hearing || hearing.Name.StartsWith(services.Peers.Name + ".", StringComparison.Ordinal);
        }
    }

    /// <summary>
    /// Listens where the replica that did is gone, or may have stopped, and gives up what is elsewhere now. Part of the heartbeat, once a second.
    /// </summary>
    public void Look()
    {
        if (!session.IsKept)
        {
            return;
        }

        List<Link>? unheard = null;
        List<Slot>? uncertain = null;
        List<(Link Link, SessionRecord Before)>? behind = null;
        var record = session.Record;
        lock (_gate)
        {
            foreach (var slot in _slots ?? [])
            {
                if (slot is { Link: { IsUsable: true, KeepsWishes: true } wishing, Applied: { } before } && !ReferenceEquals(before, record))
                {
                    slot.Applied = record;
                    (behind ??= []).Add((wishing, before));
                }

                if (slot is { Link: { IsUsable: true, HasToListen: true } link, IsClaiming: false }
                    && (slot.Home is not { } home || !IsThere(home) || (home == services.Peers.Name) != link.Listens))
                {
                    (unheard ??= []).Add(link);
                }

                if (slot is { Link.IsUsable: true, IsClaiming: false, Upstream.HasHome: true } && !(slot.Home is { } known && IsThere(known)))
                {
                    slot.IsClaiming = true;
                    (uncertain ??= []).Add(slot);
                }
            }
        }

        foreach (var slot in uncertain ?? [])
        {
            KeepOrGiveUpAsync(slot).Unawaited(services.Logger);
        }

        foreach (var link in unheard ?? [])
        {
            ListenAsync(link).Unawaited(services.Logger);
        }

        foreach (var (link, before) in behind ?? [])
        {
            FollowAsync(link, before, record).Unawaited(services.Logger);
        }
    }

    /// <summary>What the client set by way of another replica, for a link that keeps it itself; what it set here the link has already.</summary>
    private async Task FollowAsync(Link link, SessionRecord before, SessionRecord now)
    {
        if (now.LogLevel is { } level && level != before.LogLevel)
        {
            await link.SetLevelAsync(level);
        }

        foreach (var uri in Places(now.Subscriptions.Except(before.Subscriptions)))
        {
            await link.SubscribeAsync(uri);
        }

        foreach (var uri in Places(before.Subscriptions.Except(now.Subscriptions)))
        {
            await link.UnsubscribeAsync(uri);
        }

        IEnumerable<string> Places(IEnumerable<string> uris) =>
            uris.Select(uri => services.Views.ServerOf(session, uri)).Where(place => ReferenceEquals(place?.Upstream, link.Upstream)).Select(place => place!.Value.Uri);
    }

    /// <summary>
    /// The gateway stops: what servers say of their own accord from now on is for whoever goes on with the session, from the last event that is in
    /// its log.
    /// </summary>
    public Task StopListeningAsync()
    {
        if (!services.Peers.IsShared)
        {
            // Nobody else goes on: better heard to the end.
            return Task.CompletedTask;
        }

        _stopsListening = true;
        return Task.WhenAll(All().Select(one => one.Link.StopListeningAsync()));
    }

    /// <summary>What was heard is in the log: whoever goes on with the session may listen from there.</summary>
    public Task ReleaseAsync() => services.Peers.IsShared ? ReleaseAsync(All()) : Task.CompletedTask;

    private List<(Slot Slot, Link Link)> All()
    {
        lock (_gate)
        {
            return _slots is null ? [] : [.. _slots.Where(s => s.Link is not null).Select(s => (s, s.Link!))];
        }
    }

    public async ValueTask<LinkRecord?> FindRenewedAsync(Link link, string? lost)
    {
        if (!services.Peers.IsShared || !session.IsKept)
        {
            return null;
        }

        try
        {
            return (await services.Store.FindLinksAsync(session.Id, CancellationToken.None)).FirstOrDefault(record => IsOther(record, link));
        }
        catch (StoreException)
        {
            return null;
        }
    }

    private static bool IsOther(LinkRecord record, Link link) =>
        IsTo(record, link.Upstream) && LinkingOf(record, link.Upstream) == (link.Parameters.Authorizer is { } authorizer ? authorizer.Linking ?? "" : null)
        && record.UpstreamSessionId is not null && record.UpstreamSessionId != link.SessionId;

    /// <summary>Another replica has kept a link anew, or stopped to listen: what it was shown counts here too, and so does its session with the server.</summary>
    public async Task ReloadAsync()
    {
        try
        {
            var records = await services.Store.FindLinksAsync(session.Id, CancellationToken.None);
            var open = Open.Where(l => l.HasToListen).ToList();
            // What is heard here is newer than what is kept of it.
            await RestoreAsync(records, except: record => open.Exists(link => link.Listens && link.Upstream.Name == record.Server && !IsOther(record, link)));
            foreach (var link in open)
            {
                if (records.FirstOrDefault(record => IsOther(record, link)) is { } other)
                {
                    await link.StopListeningAsync();
                    link.Adopt(other);
                }

                if (!link.Listens)
                {
                    ForgetHome(link.Upstream);
                }
            }

            if (session.Outbox.HasStream)
            {
                // Whoever tells the client has to know who hears the servers.
                Resume(listens: true);
            }
        }
        catch (StoreException e)
        {
            Log.LinksNotRead(services.Logger, e.Message);
        }
    }
}
