using Mooring.Configuration;
using Mooring.Upstreams;

namespace Mooring.Sessions;

/// <content>Policies, servers and names that change meanwhile.</content>
internal sealed partial class SessionTable
{
    /// <summary>Links to servers that are gone that are given up at a time.</summary>
    private const int GivenUpAtOnce = 50;

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

    /// <summary>Clients are told at once, whatever the servers that are gone do: one that hangs takes seconds for each link to it.</summary>
    private async Task OnServersChangedAsync(IReadOnlyList<Upstream> gone)
    {
        List<Func<Task>> givenUp = [.. All.SelectMany(session => session.Links.Drop(gone))];
        TellMergedListsChanged();
        await Parallel.ForEachAsync(givenUp, new ParallelOptions { MaxDegreeOfParallelism = GivenUpAtOnce }, async (giveUp, _) => await giveUp());
    }

    /// <summary>Clients of the merged route were shown a name as another server's.</summary>
    private void OnNameCorrected() => TellMergedListsChanged();

    private void TellMergedListsChanged()
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
