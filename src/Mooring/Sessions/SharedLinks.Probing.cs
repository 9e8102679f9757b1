using Mooring.Routing;
using Mooring.Telemetry;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>Servers that are away, and links that were lost.</content>
internal sealed partial class SharedLinks
{
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Servers that are away are asked again, for ever; links that are missing are opened.</summary>
    public void OnHeartbeat(long now)
    {
        foreach (var upstream in upstreams.All)
        {
            if (!upstream.Health.IsAway)
            {
                if (IsMissing(upstream))
                {
                    LookAsync(upstream).Unawaited(logger);
                }
            }
            else if (upstream.Health.TryBeginProbe())
            {
                _ = ProbeAsync(upstream);
            }
        }
    }

    /// <summary>Whether a change of one of a server's lists is told on the link that belongs to no session.</summary>
    public bool Tells(Upstream upstream, ListKind kind)
    {
        Link? link;
        lock (_gate)
        {
            link = _slots.GetValueOrDefault(upstream)?.Link;
        }

        return link is { IsUsable: true } && link.Tells(kind.Capability());
    }

    /// <summary>A list that all share is older than its server says that it may be: it is read by one for all, and the catalogue tells of it if it is another one.</summary>
    public void ReadAgain(Upstream upstream, ListKind kind)
    {
        if (catalogue.TryReadAgain(upstream.Name, CatalogueKey.Base, kind))
        {
            ReadAgainAsync(upstream, kind).Unawaited(logger);
        }
    }

    private async Task ReadAgainAsync(Upstream upstream, ListKind kind)
    {
        try
        {
            if (await GetAsync(upstream, _stopping.Token) is { Link: { } link })
            {
                await RefreshAsync(link, kind);
            }
        }
        catch (OperationCanceledException)
        {
            // The gateway stops.
        }
    }

    /// <summary>
    /// Whether a link was lost that should be there, or one that all share could not be opened. A watch that could never be opened says nothing of the
    /// links of sessions, which declare more, and is left alone.
    /// </summary>
    private bool IsMissing(Upstream upstream)
    {
        lock (_gate)
        {
            return _slots.GetValueOrDefault(upstream) is { Opening: null, Link: not { IsUsable: true }, Reopening.IsDue: true } slot
                && (slot.WasOpened || !upstream.IsPerSession) && IsWatched(upstream);
        }
    }

    /// <summary>Whether a link to it stays open: one of a process of its own only to look would cost its memory for ever.</summary>
    private static bool IsWatched(Upstream upstream) => !upstream.NeedsAccount && (upstream.Config.Url is not null || !upstream.IsPerSession);

    private async Task ProbeAsync(Upstream upstream)
    {
        using var limit = new CancellationTokenSource(ProbeTimeout, time);
        try
        {
            var (link, why) = await GetAsync(upstream, limit.Token);
            if (link is null)
            {
                // Whoever tried to open it has said why.
                return;
            }

            var attempt = await link.RequestAsync("ping", [], limit.Token);
            if (attempt.Kind == AttemptKind.SessionLost)
            {
                attempt = await link.ReinitializeAsync(attempt.Session, limit.Token);
            }

            if (attempt.Kind == AttemptKind.Answered)
            {
                upstream.Succeeded();
                await LookAsync(upstream);
                return;
            }

            upstream.Failed(attempt.Detail);
        }
        catch (OperationCanceledException)
        {
            upstream.Failed($"it did not answer a probe within {ProbeTimeout.TotalSeconds:0} s", wasReached: true);
        }
        catch (Exception e)
        {
            // A bug of ours must not leave the server away for ever.
            Log.ProbeFailed(logger, e, upstream.Name);
        }
        finally
        {
            upstream.Health.EndProbe();
        }
    }
}
