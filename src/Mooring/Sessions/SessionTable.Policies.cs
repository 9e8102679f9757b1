using Mooring.Configuration;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>Policies, servers and names that change meanwhile.</content>
internal sealed partial class SessionTable
{
    /// <summary>Every client looks again: what it sees may be more or less than before. Each replica reads the file for itself, so each tells its own.</summary>
    private void OnConfigChanged(MooringConfig old, MooringConfig next)
    {
        if (PoliciesConfig.Same(old.Policies, next.Policies))
        {
            return;
        }

        foreach (var (_, session) in _sessions)
        {
            TellListsChanged(session);
        }
    }

    private async Task OnServersChangedAsync(IReadOnlyList<Upstream> gone)
    {
        foreach (var (_, session) in _sessions)
        {
            await session.Links.DropAsync(gone);
            if (session.Server is null)
            {
                TellListsChanged(session);
            }
        }
    }

    /// <summary>Clients of the merged route were shown a name as another server's.</summary>
    private void OnNameCorrected()
    {
        foreach (var (_, session) in _sessions)
        {
            if (session.Server is null)
            {
                TellListsChanged(session);
            }
        }
    }

    private static void TellListsChanged(Session session)
    {
        session.Outbox.SendListChanged("notifications/tools/list_changed", isEverybodys: true);
        session.Outbox.SendListChanged("notifications/prompts/list_changed", isEverybodys: true);
        session.Outbox.SendListChanged("notifications/resources/list_changed", isEverybodys: true);
    }
}
