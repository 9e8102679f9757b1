using Mooring.Configuration;

namespace Mooring.Sessions;

/// <content>Policies that change meanwhile.</content>
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

    private static void TellListsChanged(Session session)
    {
        session.Outbox.SendListChanged("notifications/tools/list_changed", isEverybodys: true);
        session.Outbox.SendListChanged("notifications/prompts/list_changed", isEverybodys: true);
        session.Outbox.SendListChanged("notifications/resources/list_changed", isEverybodys: true);
    }
}
