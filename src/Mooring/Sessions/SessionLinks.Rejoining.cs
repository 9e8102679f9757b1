using Mooring.Stores;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>Links for calls that another process began.</content>
internal sealed partial class SessionLinks
{
    /// <summary>A link in the very session with the server in which a call of this session was sent.</summary>
    /// <returns>The link, null where there can be none; and whether it is for that call alone, and to be left with it.</returns>
    public async ValueTask<(Link? Link, bool IsItsOwn)> RejoinAsync(Upstream upstream, CallCursor place, CancellationToken cancel)
    {
        if (!upstream.IsPerSession)
        {
            return (services.Shared.Rejoin(upstream, place), true);
        }

        // Clients with sessions have theirs kept with the session, and go on with it here.
        if (session.IsKept && await OpenAsync(upstream, cancel) is { Link: { } link } && link.SessionId == place.Session)
        {
            return (link, false);
        }

        // What was begun with an account that is not the person's any more is not for the one that is, nor is its answer.
        var linking = upstream.NeedsAccount ? upstream.LinkingAt(place) : null;
        if (upstream.NeedsAccount && (session.IsKept || linking is null || !await IsOfNowAsync(upstream, linking)))
        {
            return (null, false);
        }

        LinkAuthorizer? authorizer;
        lock (_gate)
        {
            if (_disposed)
            {
                return (null, false);
            }

            authorizer = SlotLocked(upstream).Authorizer;
            if (linking is not null && authorizer is { Linking: null })
            {
                authorizer.GoOnWith(linking);
            }
        }

        return (upstream.Rejoin(Parameters() with { Authorizer = authorizer }, this, place), true);
    }

    /// <summary>Whether a linking is what the person has now; not while that cannot be told.</summary>
    private async ValueTask<bool> IsOfNowAsync(Upstream upstream, string linking)
    {
        try
        {
            return await services.Accounts.LinkingAsync(upstream, session.Principal.Issuer, session.Principal.Subject) == (true, linking);
        }
        catch (StoreException)
        {
            return false;
        }
    }
}
