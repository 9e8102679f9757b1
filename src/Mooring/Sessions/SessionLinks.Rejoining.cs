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

        LinkAuthorizer? authorizer;
        lock (_gate)
        {
            if (_disposed)
            {
                return (null, false);
            }

            // It may have been opened with an account that is not the person's any more.
            if (session.IsKept && upstream.NeedsAccount)
            {
                return (null, false);
            }

            authorizer = SlotLocked(upstream).Authorizer;
        }

        return (upstream.Rejoin(Parameters() with { Authorizer = authorizer }, this, place), true);
    }
}
