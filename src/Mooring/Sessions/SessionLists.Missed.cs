using Mooring.Routing;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>Lists that somebody was answered without, since their server was away and nobody had ever seen it.</content>
internal sealed partial class SessionLists
{
    /// <summary>Whether a list that is known from now on was asked for in vain, and nobody looks for it here, who would tell of it: once.</summary>
    public bool WasLeftWithout(Upstream upstream, ListKind kind)
    {
        lock (_gate)
        {
            if (FindLocked(upstream)?[kind] is not { LeftWith: "", Look: null } state)
            {
                return false;
            }

            state.LeftWith = null;
            return true;
        }
    }

    /// <summary>Somebody was answered without a list that is not known, since its server is away: whoever finds it next tells of a change.</summary>
    public void Missed(Upstream upstream, ListKind kind)
    {
        lock (_gate)
        {
            EntryLocked(upstream)[kind].LeftWith ??= "";
        }
    }
}
