using Mooring.Telemetry;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>Links that are missing while somebody listens: what their servers say of their own accord must not wait for the next call.</content>
internal sealed partial class SessionLinks
{
    private volatile bool _stops;

    /// <summary>Opens what is missing, for as long as it takes. Part of the heartbeat, once a second.</summary>
    public void Reopen()
    {
        if (_slots is null || _stops)
        {
            return;
        }

        List<(Upstream Upstream, bool WasOpened)>? missing = null;
        lock (_gate)
        {
            foreach (var slot in _slots ?? [])
            {
                // One that is away is probed, for all; one whose process is at another replica is heard there.
                if (slot is { Opening: null, Link: not { IsUsable: true }, Upstream: { IsGone: false, Health.IsAway: false }, Reopening.IsDue: true }
                    && !(slot.Home is { } home && home != services.Peers.Name && IsThere(home)))
                {
                    (missing ??= []).Add((slot.Upstream, slot.WasOpened));
                }
            }
        }

        foreach (var (upstream, wasOpened) in missing ?? [])
        {
            if (wasOpened ? IsWanted(upstream) : session.SubscriptionsAt(upstream).Any() && session.MayHear(upstream))
            {
                OpenAsync(upstream, CancellationToken.None).Unawaited(services.Logger);
            }
        }
    }

    private bool IsWanted(Upstream upstream) =>
        !_stops && (session.Outbox.IsConnected || session.Record.Subscriptions.Count > 0) && session.MayHear(upstream);
}
