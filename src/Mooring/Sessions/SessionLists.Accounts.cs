using Mooring.Routing;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>Servers that are used with the account of each user.</content>
internal sealed partial class SessionLists
{
    /// <summary>The person has linked an account that the server needs: what it shows is read.</summary>
    /// <returns>Whether it is there to show something.</returns>
    public async Task<bool> ReadAnewAsync(Upstream upstream)
    {
        var (link, _) = await session.Links.OpenAsync(upstream, CancellationToken.None);
        if (link is null)
        {
            return false;
        }

        foreach (var kind in ListKinds.All)
        {
            Task? reading;
            lock (_gate)
            {
                reading = EntryLocked(upstream)[kind].Reading;
            }

            await (reading ?? Task.CompletedTask);
        }

        return true;
    }

    /// <summary>What a server shows is of another account by now, or nothing. Each replica that has the session sees to that; the one that has the stream tells it.</summary>
    public void TellChanged()
    {
        foreach (var method in ListKinds.All.Select(kind => kind.Changed()).Distinct())
        {
            session.Outbox.SendListChanged(method, isEverybodys: true);
        }
    }
}
